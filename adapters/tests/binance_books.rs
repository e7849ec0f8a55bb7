//! Books of Binance put together from real captures.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::collections::HashMap;

use rust_decimal::Decimal;
use support::{Talk, instrument, json, lines, listing};
use tercel_adapters::binance::{Binance, Product};
use tercel_adapters::{Environment, Topic, TopicKind, Venue as _};
use tercel_core::{
    BookState, Event, Instrument, InstrumentId, InstrumentKind, LinkState, MarketData, Nanos,
    OrderBook, Price, Quantity, Side,
};

/// Price and quantity of the best bid and the best ask.
type Top = [Option<(Price, Quantity)>; 2];

/// What the engine would make of the events.
struct Market {
    books: HashMap<InstrumentId, OrderBook>,
    /// Best bid and ask by instrument and number.
    quotes: HashMap<(InstrumentId, u64), Top>,
    n_gaps: usize,
    n_trades: usize,
    volume: Quantity,
    n_compared: usize,
    n_equal: usize,
    n_bars: usize,
}

impl Market {
    fn new(instruments: &[Instrument]) -> Self {
        Self {
            books: instruments.iter().map(|own| (own.id, OrderBook::default())).collect(),
            quotes: HashMap::new(),
            n_gaps: 0,
            n_trades: 0,
            volume: Quantity::ZERO,
            n_compared: 0,
            n_equal: 0,
            n_bars: 0,
        }
    }

    fn take(&mut self, talk: &mut Talk) {
        for event in talk.events() {
            match event {
                Event::Link(link) => self.n_gaps += usize::from(link.state == LinkState::Gap),
                Event::Market(event) => {
                    let book = self.books.get_mut(&event.instrument).unwrap();
                    match event.data {
                        MarketData::Clear { seq } => book.clear(seq),
                        MarketData::Batch { prev, seq } => book.begin(prev, seq).unwrap(),
                        MarketData::Level { side, price, qty, last } => {
                            book.set(side, price, qty);
                            if last {
                                // A crossed book would be an error here.
                                book.end().unwrap();
                                // Quotes are faster, so the one of this number has come before.
                                if let Some(quote) =
                                    self.quotes.remove(&(event.instrument, book.seq()))
                                {
                                    let top = [Side::Buy, Side::Sell].map(|side| {
                                        book.best(side).map(|top| (top.price, top.qty))
                                    });
                                    self.n_compared += 1;
                                    self.n_equal += usize::from(top == quote);
                                }
                            }
                        }
                        MarketData::Trade { qty, .. } => {
                            self.n_trades += 1;
                            self.volume += qty;
                        }
                        MarketData::Quote { bid_px, bid_qty, ask_px, ask_qty, seq } => {
                            let quote = [Some((bid_px, bid_qty)), Some((ask_px, ask_qty))];
                            self.quotes.insert((event.instrument, seq), quote);
                        }
                        MarketData::Bar { .. } => self.n_bars += 1,
                        other => panic!("{other:?}"),
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

fn topics(instruments: &[Instrument]) -> Vec<Topic> {
    let kinds = [TopicKind::Book, TopicKind::Quotes, TopicKind::Trades, TopicKind::Bars(1)];
    instruments
        .iter()
        .flat_map(|own| kinds.map(|kind| Topic { instrument: own.id, kind }))
        .collect()
}

/// Plays files of `<local ns> <json>` into a book and compares it with what is expected.
fn replay(product: Product, symbol: &str, tick: &str, lot: &str, files: &[&str], expected: &str) {
    let kind = match product {
        Product::Spot => InstrumentKind::Spot,
        Product::UsdMargined => InstrumentKind::LinearPerpetual,
    };
    let instruments = [instrument(0, symbol, kind, tick, lot)];
    let Some(expectations) = json("data/l2_binance_ws/EXPECTED.json") else { return };
    let expected = &expectations[expected];
    let venue = Binance::new(product, &Environment::Production);
    let listing = listing(&instruments, &["BTC", "USDT"]);
    // Futures have two connections; the capture has everything on one, which any of them reads.
    let connection = venue.market(&listing, &topics(&instruments)).swap_remove(0);
    let mut talk = Talk::new(connection);
    let mut market = Market::new(&instruments);
    let mut is_open = false;
    for (n_file, file) in files.iter().enumerate() {
        let lines = lines(&format!("data/l2_binance_ws/{file}")).unwrap();
        for line in &lines {
            let (at, text) = line.split_once(' ').unwrap();
            let at = Nanos(at.parse().unwrap());
            if !std::mem::replace(&mut is_open, true) {
                talk.open(at.plus(-2 * Nanos::SECOND));
            }
            if text.starts_with("{\"lastUpdateId\"") {
                talk.timer(at);
                let call = talk.calls.pop().expect("a snapshot was asked for");
                talk.answer(&call, 200, text, at);
            } else {
                talk.frame(text, at);
            }
            market.take(&mut talk);
        }
        if n_file == 0 {
            check_final(&instruments[0], &market, expected);
        }
    }
    assert_eq!(talk.n_errors, 0, "{:#?}", talk.errors);
    assert_eq!(market.n_gaps, 0);
    assert_eq!(market.books[&InstrumentId(0)].state(), BookState::Live);
    assert!(market.n_compared > 10, "{} quotes at a book's number", market.n_compared);
    assert_eq!(market.n_equal, market.n_compared);
}

fn check_final(instrument: &Instrument, market: &Market, expected: &serde_json::Value) {
    let book = &market.books[&instrument.id];
    assert_eq!(book.seq(), expected["final_update_id"].as_u64().unwrap());
    let number = |name: &str| usize::try_from(expected[name].as_u64().unwrap()).unwrap();
    assert_eq!(market.n_trades, number("trade_count"));
    let decimal = |text: &serde_json::Value| text.as_str().unwrap().parse::<Decimal>().unwrap();
    assert_eq!(instrument.quantity_decimal(market.volume), decimal(&expected["trade_base_volume"]));
    for (side, levels, top, sum) in [
        (Side::Buy, "bid_levels", "top10_bids", "sum_bid_qty"),
        (Side::Sell, "ask_levels", "top10_asks", "sum_ask_qty"),
    ] {
        let got: Vec<_> = book
            .levels(side)
            .map(|own| (instrument.price_decimal(own.price), instrument.quantity_decimal(own.qty)))
            .collect();
        assert_eq!(got.len(), number(levels), "{levels}");
        // Some old orders are not whole lots; each is rounded down to one.
        let rounded_off =
            decimal(&expected[sum]) - got.iter().map(|(_, qty)| *qty).sum::<Decimal>();
        let most = instrument.spec.lot * Decimal::from(10);
        assert!((Decimal::ZERO..most).contains(&rounded_off), "{sum}: {rounded_off}");
        for (got, want) in got.iter().zip(expected[top].as_array().unwrap()) {
            assert_eq!(*got, (decimal(&want[0]), decimal(&want[1])), "{top}");
        }
    }
}

#[test]
fn spot_bitcoin_is_rebuilt_without_a_gap() {
    let files = ["spot_btcusdt_20240808.gz", "spot_btcusdt_20240809.gz"];
    replay(Product::Spot, "BTCUSDT", "0.01", "0.00001", &files, files[0]);
}

#[test]
fn spot_ether_is_rebuilt_without_a_gap() {
    let files = ["spot_ethusdt_20240808.gz", "spot_ethusdt_20240809.gz"];
    replay(Product::Spot, "ETHUSDT", "0.01", "0.0001", &files, files[0]);
}

#[test]
fn futures_on_bitcoin_are_rebuilt_without_a_gap() {
    let files = ["usdm_btcusdt_20240808.gz"];
    replay(Product::UsdMargined, "BTCUSDT", "0.1", "0.001", &files, files[0]);
}

#[test]
fn futures_on_ether_are_rebuilt_without_a_gap() {
    let files = ["usdm_ethusdt_20240808.gz"];
    replay(Product::UsdMargined, "ETHUSDT", "0.01", "0.001", &files, files[0]);
}

/// Plays sessions of four instruments each, with the snapshots as they were fetched.
fn replay_session(product: Product, name: &str, grids: &[(&str, &str, &str)]) {
    let kind = match product {
        Product::Spot => InstrumentKind::Spot,
        Product::UsdMargined => InstrumentKind::LinearPerpetual,
    };
    let instruments: Vec<_> = grids
        .iter()
        .zip(0..)
        .map(|((symbol, tick, lot), id)| instrument(id, symbol, kind, tick, lot))
        .collect();
    let Some(frames) = lines(&format!("data/ws_raw/{name}.ws.1.0.gz")) else { return };
    let snapshots = lines(&format!("data/ws_raw/{name}.http.0.0.gz")).unwrap();
    let venue = Binance::new(product, &Environment::Production);
    let listing = listing(&instruments, &["BTC", "USDT"]);
    let mut talk = Talk::new(venue.market(&listing, &topics(&instruments)).swap_remove(0));
    let mut market = Market::new(&instruments);
    let seconds = |text: &str| {
        let at: Decimal = text.trim().parse().unwrap();
        let ns: i64 = (at * Decimal::from(Nanos::SECOND)).trunc().try_into().unwrap();
        Nanos(ns)
    };
    // Both in one order of time.
    let mut messages: Vec<(Nanos, Option<String>, String)> = Vec::new();
    for line in snapshots.iter().filter(|line| line.contains("/depth?")) {
        let (url, rest) = line.split_once(" -> ").unwrap();
        let (at, body) = rest.split_once(": ").unwrap();
        let symbol = url.split("symbol=").nth(1).unwrap().split('&').next().unwrap();
        messages.push((seconds(at), Some(symbol.to_owned()), body.to_owned()));
    }
    for line in frames.iter().filter(|line| !line.is_empty() && !line.starts_with("wss:")) {
        let (at, text) = line.split_once(": ").unwrap();
        messages.push((seconds(at), None, text.to_owned()));
    }
    messages.sort_by_key(|(at, ..)| *at);
    talk.open(messages[0].0.plus(-2 * Nanos::SECOND));
    talk.timer(messages[0].0);
    for (at, symbol, text) in &messages {
        match symbol {
            None => talk.frame(text, *at),
            Some(symbol) => {
                talk.timer(*at);
                let asked = talk
                    .calls
                    .iter()
                    .position(|call| call.url.contains(&format!("symbol={symbol}&")));
                let call = talk.calls.remove(asked.expect("a snapshot was asked for"));
                talk.answer(&call, 200, text, *at);
            }
        }
        market.take(&mut talk);
    }
    assert_eq!(talk.n_errors, 0, "{:#?}", talk.errors);
    assert_eq!(market.n_gaps, 0);
    for instrument in &instruments {
        let book = &market.books[&instrument.id];
        assert_eq!(book.state(), BookState::Live, "{}", instrument.spec.symbol);
    }
    assert!(market.n_compared > 0 && market.n_equal == market.n_compared);
}

#[test]
fn a_spot_session_is_rebuilt_without_a_gap() {
    replay_session(
        Product::Spot,
        "BINANCE",
        &[
            ("NKNUSDT", "0.0001", "1"),
            ("BLZETH", "0.00000001", "1"),
            ("LRCBTC", "0.00000001", "1"),
            ("RUNEEUR", "0.001", "0.1"),
        ],
    );
}

#[test]
fn a_futures_session_is_rebuilt_without_a_gap() {
    replay_session(
        Product::UsdMargined,
        "BINANCE_FUTURES",
        &[
            ("SUSHIUSDT", "0.001", "1"),
            ("AKROUSDT", "0.00001", "1"),
            ("KEEPUSDT", "0.0001", "1"),
            ("CTKUSDT", "0.001", "1"),
        ],
    );
}
