//! Binance: spot and USD-M futures.
//!
//! Written after the venue's public documents as of July 2026. Three things there are newer than
//! many clients: spot events come over the WebSocket API, because listen keys are gone; conditional
//! futures orders have a service of their own; and futures streams are split by kind over three
//! paths. Where the documents are silent, more than one form is understood: events with and without
//! a wrapper, numbers with and without quotes.
//!
//! Orders go over the WebSocket API where the venue has it for them and its connection is up, over
//! REST otherwise. Of futures positions only accounts that net long and short are followed by
//! events; those that hold them apart are added up from answers.

mod account;
mod capabilities;
mod desk;
mod directory;
mod errors;
mod hosts;
mod listen;
mod market;
mod message;
pub mod operation;
mod order;
mod params;
mod reference;
mod signed;
mod user;

use std::sync::{Arc, Mutex};

use tercel_core::Nanos;

pub use hosts::{Product, is_production};
pub use order::{Conditions, Leg, NewOrder, OrderList};
pub use params::Params;
pub use reference::{Fees, fees};
pub use signed::{Proof, Signed};

use account::Account;
use desk::Desk;
use directory::Directory;
use hosts::Hosts;
use listen::{PrivateStream, SharedKey};
use operation::{Operation, spot, usdm};

use crate::capabilities::Capabilities;
use crate::credentials::{AccountSetup, KeyError, OrderEntry};
use crate::gateway::ReplaceStyle;
use crate::limits::{Limit, Usage};
use crate::listing::Listing;
use crate::protocol::{Call, CallId, DecodeError};
use crate::reference::{Aggregate, Candle, CandleQuery, Listed, TradesFrom, TradesQuery};
use crate::venue::{Connection, Environment, Manners, Purpose, Topic, Venue};

/// A product of Binance in one of its installations.
#[derive(Debug)]
pub struct Binance {
    product: Product,
    hosts: Hosts,
}

impl Binance {
    /// Returns a product in an installation.
    #[must_use]
    pub fn new(product: Product, environment: &Environment) -> Self {
        Self { product, hosts: Hosts::new(product, environment) }
    }

    /// Returns what can be said over REST for an account, for requests that the engine has no
    /// words for.
    ///
    /// # Errors
    ///
    /// If its key cannot be used.
    pub fn signed(&self, setup: &AccountSetup) -> Result<Signed, KeyError> {
        Signed::new(&self.hosts.rest, &setup.credentials, &setup.clock)
    }

    fn public(&self, operation: &Operation, params: &Params, id: CallId) -> Call {
        let mut query = Vec::new();
        params.push_query(&mut query);
        let mark = if query.is_empty() { "" } else { "?" };
        Call {
            id,
            method: operation.method,
            // Percent-encoded, so it is ASCII.
            url: format!(
                "{}{}{mark}{}",
                self.hosts.rest,
                operation.path,
                String::from_utf8_lossy(&query)
            ),
            headers: Vec::new(),
            body: Vec::new(),
            cost: operation.cost,
            // Nothing in it grows stale.
            expires_at: Nanos(i64::MAX),
        }
    }

    const fn of(&self, spot: Operation, usdm: Operation) -> Operation {
        match self.product {
            Product::Spot => spot,
            Product::UsdMargined => usdm,
        }
    }

    fn desk(&self, listing: &Listing, setup: &AccountSetup) -> Result<Desk, KeyError> {
        let directory = Directory::new(listing, &setup.ids);
        Ok(Desk::new(self.product, directory, self.signed(setup)?))
    }
}

/// Messages a second on an account's connection: more than its budgets ever allow.
const MESSAGES_PER_S: u32 = 1_000;

impl Venue for Binance {
    fn name(&self) -> &'static str {
        self.product.name()
    }

    fn capabilities(&self) -> &Capabilities {
        match self.product {
            Product::Spot => &capabilities::SPOT,
            Product::UsdMargined => &capabilities::USD_MARGINED,
        }
    }

    fn limits(&self) -> Vec<Limit> {
        reference::usual_limits(self.product)
    }

    fn usage(&self, header: &str, value: &str) -> Option<Usage> {
        reference::usage(header, value)
    }

    fn replace_style(&self) -> ReplaceStyle {
        match self.product {
            // Withdraws and places in one step.
            Product::Spot => ReplaceStyle::CancelReplace,
            Product::UsdMargined => ReplaceStyle::Amend,
        }
    }

    fn market(&self, listing: &Listing, topics: &[Topic]) -> Vec<Connection> {
        market::connections(self.product, &self.hosts, listing, topics)
    }

    fn account(
        &self,
        listing: &Listing,
        setup: &AccountSetup,
    ) -> Result<Vec<Connection>, KeyError> {
        let by_rest = setup.entry == OrderEntry::Rest;
        // The venue counts messages a second on its streams only. Requests of an account are
        // counted by weight and by orders, which the limiter does.
        let manners = Manners { messages_per_s: MESSAGES_PER_S, ..market::manners(self.product) };
        let mut connections = Vec::new();
        let takes_orders = self.product == Product::Spot || !by_rest;
        if let Some(api) = self.hosts.api.clone()
            && takes_orders
        {
            let account = Account::new(self.desk(listing, setup)?, by_rest);
            connections.push(Connection {
                purpose: Purpose::Orders,
                address: Box::new(move || Some(api.clone())),
                protocol: Box::new(account),
                manners,
            });
        }
        if self.product == Product::UsdMargined {
            let key: SharedKey = Arc::new(Mutex::new(None));
            let stream = PrivateStream::new(self.desk(listing, setup)?, Arc::clone(&key));
            let hosts = self.hosts.clone();
            connections.push(Connection {
                purpose: Purpose::Private,
                address: Box::new(move || key.lock().ok()?.as_ref().map(|key| hosts.private(key))),
                protocol: Box::new(stream),
                manners,
            });
        }
        Ok(connections)
    }

    fn server_time(&self, id: CallId) -> Call {
        self.public(&self.of(spot::TIME, usdm::TIME), &Params::new(), id)
    }

    fn parse_server_time(&self, body: &[u8]) -> Result<Nanos, DecodeError> {
        reference::server_time(body)
    }

    fn instruments(&self, id: CallId) -> Call {
        self.public(&self.of(spot::RULES, usdm::RULES), &Params::new(), id)
    }

    fn parse_instruments(&self, body: &[u8]) -> Result<Listed, DecodeError> {
        reference::listed(self.product, body)
    }

    fn candles(&self, id: CallId, query: &CandleQuery<'_>) -> Call {
        let mut params = Params::new();
        params.text("symbol", query.symbol);
        match market::interval(query.minutes) {
            Some(name) => params.text("interval", name),
            // The venue refuses it by name, which is better than another length.
            None => params.text("interval", &format!("{}m", query.minutes)),
        };
        params.number("startTime", query.from.0.div_euclid(Nanos::MILLI));
        // The venue's end belongs to the page.
        params.number("endTime", query.to.0.div_euclid(Nanos::MILLI) - 1);
        params.number("limit", i64::from(query.limit.min(1_000)));
        self.public(&self.of(spot::CANDLES, usdm::CANDLES), &params, id)
    }

    fn parse_candles(&self, body: &[u8]) -> Result<Vec<Candle>, DecodeError> {
        reference::candles(body)
    }

    fn trades(&self, id: CallId, query: &TradesQuery<'_>) -> Call {
        let mut params = Params::new();
        params.text("symbol", query.symbol);
        match query.from {
            TradesFrom::Time(at) => {
                let ms = at.0.div_euclid(Nanos::MILLI);
                params.number("startTime", ms).number("endTime", ms + 3_600_000);
            }
            TradesFrom::Id(id) => {
                params.number("fromId", i64::try_from(id).unwrap_or(i64::MAX));
            }
        }
        params.number("limit", i64::from(query.limit.min(1_000)));
        self.public(&self.of(spot::AGGREGATES, usdm::AGGREGATES), &params, id)
    }

    fn parse_trades(&self, body: &[u8]) -> Result<Vec<Aggregate>, DecodeError> {
        reference::trades(body)
    }
}
