//! One of the venue's products: an exchange with what surrounds it.

use std::collections::BTreeMap;

use serde_json::Value;
use tercel_core::Nanos;

use crate::dialect::binance::error::ApiError;
use crate::dialect::binance::feeds::Feeds;
use crate::dialect::binance::limits::Limiter;
use crate::dialect::binance::params::Params;
use crate::exchange::{Exchange, Market};
use crate::ids::{AccountId, MarketId};

/// An exchange, its limits and its streams.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) exchange: Exchange,
    pub(super) limiter: Limiter,
    pub(super) feeds: Feeds,
    /// Keys of user streams: whose, and until when.
    pub(super) listen_keys: BTreeMap<String, (AccountId, Nanos)>,
    pub(super) next_listen_key: u64,
}

/// A request that is allowed: what it asks, and for whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub(super) params: &'a Params,
    /// The venue's clock in milliseconds.
    pub(super) server_ms: i64,
    /// The account of the key; the crowd's without one.
    pub(super) account: AccountId,
}

/// Who may call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Security {
    Public,
    Key,
    Signed,
}

pub(super) type Answer = Result<Value, ApiError>;

/// One function of the venue, over HTTP and over a WebSocket.
pub(super) struct Endpoint {
    /// Method and path; empty where there is only the WebSocket's.
    pub(super) http: &'static str,
    /// Name of the method on a WebSocket; empty where there is only HTTP's.
    pub(super) ws: &'static str,
    pub(super) security: Security,
    pub(super) weight: fn(&Params) -> i64,
    /// Orders that it counts as.
    pub(super) orders: fn(&Params) -> i64,
    pub(super) run: fn(&mut Desk, &Call<'_>) -> Answer,
}

impl Desk {
    pub(super) fn market_id(&self, params: &Params) -> Result<MarketId, ApiError> {
        let symbol = params.required("symbol")?;
        self.exchange.market_id(symbol).ok_or_else(ApiError::symbol)
    }

    pub(super) fn market(&self, params: &Params) -> Result<(MarketId, &Market), ApiError> {
        let id = self.market_id(params)?;
        Ok((id, self.exchange.market(id)))
    }

    /// Returns the markets that a request names by `symbol` or `symbols`; `None` for all.
    pub(super) fn named_markets(&self, params: &Params) -> Result<Option<Vec<MarketId>>, ApiError> {
        let named = match (params.optional("symbol")?, params.texts("symbols")?) {
            (Some(_), Some(_)) => {
                let msg = "Combination of optional parameters invalid. Recommendation: 'symbol' \
                           and 'symbols' cannot be sent together";
                return Err(ApiError::new(-1128, msg));
            }
            (Some(symbol), None) => vec![symbol.to_owned()],
            (None, Some(symbols)) => symbols,
            (None, None) => return Ok(None),
        };
        let find = |symbol: &String| self.exchange.market_id(symbol).ok_or_else(ApiError::symbol);
        named.iter().map(find).collect::<Result<_, _>>().map(Some)
    }
}

pub(super) fn one(_: &Params) -> i64 {
    1
}

pub(super) fn none(_: &Params) -> i64 {
    0
}
