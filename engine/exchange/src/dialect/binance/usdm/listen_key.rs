//! Keys of user streams.

use serde_json::json;

use crate::dialect::binance::desk::{Answer, Call, Desk};
use crate::dialect::binance::error::ApiError;
use crate::dialect::binance::publish::LISTEN_KEY_NS;
use crate::exchange::made_up_name;
use crate::ids::AccountId;

/// Returns the account's key, a new one only where it has none.
pub(super) fn start(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let until = desk.exchange.now().plus(LISTEN_KEY_NS);
    if let Some(key) = key_of(desk, call.account) {
        desk.listen_keys.insert(key.clone(), (call.account, until));
        return Ok(json!({"listenKey": key}));
    }
    let number = desk.next_listen_key;
    desk.next_listen_key += 1;
    let parts = [number ^ (1 << 60), number ^ (1 << 59), number ^ (1 << 58)];
    let mut key = parts.map(made_up_name).concat();
    key.truncate(64);
    desk.listen_keys.insert(key.clone(), (call.account, until));
    Ok(json!({"listenKey": key}))
}

pub(super) fn keep(desk: &mut Desk, call: &Call<'_>) -> Answer {
    let until = desk.exchange.now().plus(LISTEN_KEY_NS);
    let key = key_of(desk, call.account)
        .ok_or_else(|| ApiError::new(-1125, "This listenKey does not exist."))?;
    desk.listen_keys.insert(key.clone(), (call.account, until));
    Ok(json!({"listenKey": key}))
}

pub(super) fn stop(desk: &mut Desk, call: &Call<'_>) -> Answer {
    if let Some(key) = key_of(desk, call.account) {
        desk.listen_keys.remove(&key);
    }
    Ok(json!({}))
}

fn key_of(desk: &Desk, account: AccountId) -> Option<String> {
    let found = desk.listen_keys.iter().find(|(_, (owner, _))| *owner == account)?;
    Some(found.0.clone())
}
