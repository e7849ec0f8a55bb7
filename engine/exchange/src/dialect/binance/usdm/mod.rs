//! USD-M futures: `/fapi` and its WebSocket API.

mod listen_key;
pub(super) mod user;

use crate::dialect::binance::desk::{Endpoint, Security, none, one};
use crate::dialect::binance::spot::endpoints;

use Security::{Key, Public};

/// All that USD-M answers: HTTP, WebSocket, who may, weight, orders, how.
pub(super) const ENDPOINTS: &[Endpoint] = endpoints! {
    "GET /fapi/v1/ping" "ping" Public one none super::spot::market_data::ping;
    "GET /fapi/v1/time" "time" Public one none super::spot::market_data::time;
    "POST /fapi/v1/listenKey" "userDataStream.start" Key one none listen_key::start;
    "PUT /fapi/v1/listenKey" "userDataStream.ping" Key one none listen_key::keep;
    "DELETE /fapi/v1/listenKey" "userDataStream.stop" Key one none listen_key::stop;
};
