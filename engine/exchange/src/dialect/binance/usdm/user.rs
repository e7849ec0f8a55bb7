//! What a USD-M account is told about itself.

use serde_json::{Value, json};

use crate::exchange::Exchange;
use crate::ids::AccountId;
use crate::order::Order;
use crate::update::Update;

pub(in crate::dialect::binance) fn liquidation(_: &Exchange, _: &Order, now_ms: i64) -> Value {
    json!({"e": "forceOrder", "E": now_ms})
}

pub(in crate::dialect::binance) fn events(
    _: &Exchange,
    _: &Update,
    _: i64,
) -> Vec<(AccountId, Value)> {
    Vec::new()
}
