//! Requests, answers and signatures against those of other clients, read whole.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod answers;
mod requests;
mod second_client;
#[path = "../support/mod.rs"]
mod support;

use rust_decimal::Decimal;
use serde_json::Value;
use support::{Talk, instrument, listing};
use tercel_adapters::binance::operation::{Operation, spot, usdm};
use tercel_adapters::binance::{Binance, Product};
use tercel_adapters::{
    AccountSetup, Answer, ClientIds, ClockOffset, Credentials, Environment, News, OrderEntry,
    OrderKey, Request, RequestId, Tagged, Venue as _,
};
use tercel_core::{ClientOrderId, InstrumentKind, Nanos};

const NOW: Nanos = Nanos(1_700_000_000_123 * Nanos::MILLI);
const FOLDER: &str = "exchanges/fixtures/ccxt-golden";

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn decimal(value: &Value) -> Option<Decimal> {
    let text = text(value);
    text.parse().ok().or_else(|| Decimal::from_scientific(&text).ok())
}

fn symbol(unified: &Value) -> String {
    unified.as_str().unwrap().split(':').next().unwrap().replace('/', "")
}

fn by_place(product: Product, method: &str, path: &str) -> Option<Operation> {
    let all = match product {
        Product::Spot => spot::ALL,
        Product::UsdMargined => usdm::ALL,
    };
    all.iter().find(|own| own.method.as_str() == method && own.path == path).copied()
}

/// Checks a row of the table in the README, so that it counts what is counted here.
fn told(what: &str, n_pass: usize, n_listed: usize) {
    let row = format!("| {what} | {} | {n_pass} | {n_listed} |", n_pass + n_listed);
    let readme = include_str!("../../README.md");
    assert!(readme.contains(&row), "adapters/README.md lacks the row\n{row}");
}

/// An account that has asked something.
struct Asking {
    talk: Talk,
    next: u64,
}

const SYMBOLS: [&str; 4] = ["BTCUSDT", "LTCBTC", "BNBBTC", "ETHUSDT"];

impl Asking {
    fn new(product: Product) -> Self {
        let kind = match product {
            Product::Spot => InstrumentKind::Spot,
            Product::UsdMargined => InstrumentKind::LinearPerpetual,
        };
        let instruments: Vec<_> = SYMBOLS
            .iter()
            .zip(0..)
            .map(|(symbol, id)| instrument(id, symbol, kind, "0.000001", "0.00001"))
            .collect();
        let listing = listing(&instruments, &["BTC", "USDT", "BNB", "LTC"]);
        let setup = AccountSetup {
            credentials: Credentials::new("k", "s"),
            ids: ClientIds::new("tc").unwrap(),
            clock: ClockOffset::default(),
            entry: OrderEntry::Rest,
        };
        let venue = Binance::new(product, &Environment::Production);
        let connection = venue.account(&listing, &setup).unwrap().remove(0);
        Self { talk: Talk::new(connection), next: 0 }
    }

    /// Asks over REST and answers all of its calls with one body. What is asked for because of the
    /// answers, such as an earlier page, is answered with nothing.
    fn ask(&mut self, request: Request, body: &Value) -> Answer {
        self.next += 1;
        let tagged = Tagged { id: RequestId(self.next), request };
        self.talk.connection.protocol.encode(&tagged, NOW, &mut self.talk.out).unwrap();
        let empty = Value::Array(Vec::new());
        for call in std::mem::take(&mut self.talk.out.calls) {
            let is_first = !call.url.contains("lgo");
            let body = if is_first { body } else { &empty };
            self.talk.answer(&call, 200, &body.to_string(), NOW);
        }
        while let Some(call) = self.talk.calls.pop() {
            self.talk.answer(&call, 200, &empty.to_string(), NOW);
        }
        let news = std::mem::take(&mut self.talk.out.news);
        match news.into_iter().next() {
            Some(News::Answered { outcome: Ok(answer), .. }) => answer,
            other => panic!("{other:?}"),
        }
    }
}

fn key() -> OrderKey {
    OrderKey::first(ClientOrderId::new(1, 1))
}
