//! How much a client may ask for.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tercel_core::Nanos;

use crate::dialect::binance::error::ApiError;
use crate::ids::AccountId;

/// Limits of one of the venue's products.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Limits {
    /// Weight that one address may use in a minute.
    pub(super) weight: i64,
    /// Orders that one account may send in ten seconds.
    pub(super) orders_10s: i64,
    /// Orders in the longer window.
    pub(super) orders_long: i64,
    /// Length of the longer window: a day or a minute.
    pub(super) long_ms: i64,
    /// Requests over the limit until the address is banned.
    pub(super) patience: i64,
}

/// Counts what clients use.
#[derive(Clone, Debug)]
pub(super) struct Limiter {
    pub(super) limits: Limits,
    addresses: BTreeMap<String, Address>,
    accounts: BTreeMap<AccountId, [Window; 2]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    begin_ms: i64,
    used: i64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Address {
    weight: Window,
    n_ignored: i64,
    banned_until_ms: i64,
}

const MINUTE_MS: i64 = 60_000;
const TEN_SECONDS_MS: i64 = 10_000;
/// The first ban's length.
const BAN_MS: i64 = 120_000;

impl Window {
    fn add(&mut self, now_ms: i64, length_ms: i64, n: i64) -> i64 {
        let begin_ms = now_ms.div_euclid(length_ms) * length_ms;
        if begin_ms != self.begin_ms {
            *self = Self { begin_ms, used: 0 };
        }
        self.used += n;
        self.used
    }
}

impl Limiter {
    pub(super) const fn new(limits: Limits) -> Self {
        Self { limits, addresses: BTreeMap::new(), accounts: BTreeMap::new() }
    }

    /// Counts a request of an address.
    pub(super) fn request(&mut self, now: Nanos, peer: &str, weight: i64) -> Result<(), ApiError> {
        let now_ms = now.0.div_euclid(1_000_000);
        if !self.addresses.contains_key(peer) {
            self.addresses.insert(peer.to_owned(), Address::default());
        }
        let limits = self.limits;
        let address = self.addresses.get_mut(peer).expect("inserted above");
        if now_ms < address.banned_until_ms {
            return Err(banned(address.banned_until_ms, now_ms));
        }
        let used = address.weight.add(now_ms, MINUTE_MS, weight);
        if used <= limits.weight {
            address.n_ignored = 0;
            return Ok(());
        }
        address.n_ignored += 1;
        if address.n_ignored > limits.patience {
            address.banned_until_ms = now_ms + BAN_MS;
            address.n_ignored = 0;
            return Err(banned(address.banned_until_ms, now_ms));
        }
        let msg = format!(
            "Too much request weight used; current limit is {} request weight per 1 MINUTE. \
             Please use WebSocket Streams for live updates to avoid polling the API.",
            limits.weight
        );
        let mut error = ApiError::new(-1003, msg).with_status(429);
        let end_ms = address.weight.begin_ms + MINUTE_MS;
        error.retry_after = Some((end_ms - now_ms + 999) / 1_000);
        error.data = Some(json!({"serverTime": now_ms, "retryAfter": end_ms}));
        Err(error)
    }

    /// Gives weight back: an order that was accepted costs none.
    pub(super) fn refund(&mut self, peer: &str, weight: i64) {
        if let Some(address) = self.addresses.get_mut(peer) {
            address.weight.used -= weight.min(address.weight.used);
        }
    }

    /// Counts orders of an account.
    pub(super) fn orders(
        &mut self,
        now: Nanos,
        account: AccountId,
        n: i64,
    ) -> Result<(), ApiError> {
        let now_ms = now.0.div_euclid(1_000_000);
        let limits = self.limits;
        let [short, long] = self.accounts.entry(account).or_default();
        let day = if limits.long_ms == MINUTE_MS { "1 MINUTE" } else { "1 DAY" };
        for (window, length_ms, most, name) in [
            (short, TEN_SECONDS_MS, limits.orders_10s, "10 SECOND"),
            (long, limits.long_ms, limits.orders_long, day),
        ] {
            if window.add(now_ms, length_ms, n) > most {
                window.used -= n;
                let msg =
                    format!("Too many new orders; current limit is {most} orders per {name}.");
                let mut error = ApiError::new(-1015, msg).with_status(429);
                error.retry_after = Some((window.begin_ms + length_ms - now_ms + 999) / 1_000);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Returns the weight that an address has used in this minute.
    pub(super) fn used_weight(&mut self, now: Nanos, peer: &str) -> i64 {
        let now_ms = now.0.div_euclid(1_000_000);
        let address = self.addresses.get_mut(peer);
        address.map_or(0, |address| address.weight.add(now_ms, MINUTE_MS, 0))
    }

    /// Returns the orders that an account has sent: in ten seconds and in the longer window.
    pub(super) fn used_orders(&mut self, now: Nanos, account: AccountId) -> [i64; 2] {
        let now_ms = now.0.div_euclid(1_000_000);
        let long_ms = self.limits.long_ms;
        let [short, long] = self.accounts.entry(account).or_default();
        [short.add(now_ms, TEN_SECONDS_MS, 0), long.add(now_ms, long_ms, 0)]
    }

    /// Returns the order limits with their counts.
    pub(super) fn order_counts(&mut self, now: Nanos, account: AccountId) -> [Value; 2] {
        let [short, long] = self.used_orders(now, account);
        let limits = self.limits;
        let interval = if limits.long_ms == MINUTE_MS { "MINUTE" } else { "DAY" };
        [
            json!({"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10,
                   "limit": limits.orders_10s, "count": short}),
            json!({"rateLimitType": "ORDERS", "interval": interval, "intervalNum": 1,
                   "limit": limits.orders_long, "count": long}),
        ]
    }

    /// Returns the limits as the venue lists them.
    pub(super) fn listed(&self) -> Vec<Value> {
        let limits = self.limits;
        let interval = if limits.long_ms == MINUTE_MS { "MINUTE" } else { "DAY" };
        vec![
            json!({"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1,
                   "limit": limits.weight}),
            json!({"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10,
                   "limit": limits.orders_10s}),
            json!({"rateLimitType": "ORDERS", "interval": interval, "intervalNum": 1,
                   "limit": limits.orders_long}),
        ]
    }
}

fn banned(until_ms: i64, now_ms: i64) -> ApiError {
    let msg = format!(
        "Way too much request weight used; IP banned until {until_ms}. Please use WebSocket \
         Streams for live updates to avoid bans."
    );
    let mut error = ApiError::new(-1003, msg).with_status(418);
    error.retry_after = Some((until_ms - now_ms + 999) / 1_000);
    error.data = Some(json!({"serverTime": now_ms, "retryAfter": until_ms}));
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter() -> Limiter {
        Limiter::new(Limits {
            weight: 10,
            orders_10s: 2,
            orders_long: 3,
            long_ms: 86_400_000,
            patience: 2,
        })
    }

    #[test]
    fn who_ignores_the_limit_is_banned() {
        let mut limiter = limiter();
        let at = |second: i64| Nanos(second * Nanos::SECOND);
        assert!(limiter.request(at(0), "a", 10).is_ok());
        assert!(limiter.request(at(1), "b", 10).is_ok(), "each address has its own");
        let status = |outcome: Result<(), ApiError>| outcome.unwrap_err().status;
        let first = limiter.request(at(1), "a", 1).unwrap_err();
        assert_eq!((first.status, first.retry_after), (429, Some(59)));
        assert_eq!(status(limiter.request(at(2), "a", 1)), 429);
        assert_eq!(status(limiter.request(at(3), "a", 1)), 418);
        assert_eq!(status(limiter.request(at(122), "a", 1)), 418, "for two minutes");
        assert!(limiter.request(at(123), "a", 1).is_ok());
    }

    #[test]
    fn orders_are_counted_in_both_windows() {
        let mut limiter = limiter();
        let account = AccountId(1);
        let at = |second: i64| Nanos(second * Nanos::SECOND);
        assert!(limiter.orders(at(0), account, 2).is_ok());
        assert_eq!(limiter.orders(at(9), account, 1).unwrap_err().code, -1015);
        assert!(limiter.orders(at(10), account, 1).is_ok());
        let error = limiter.orders(at(20), account, 1).unwrap_err();
        assert_eq!(error.msg, "Too many new orders; current limit is 3 orders per 1 DAY.");
        assert_eq!(limiter.used_orders(at(30), account), [0, 3]);
    }
}
