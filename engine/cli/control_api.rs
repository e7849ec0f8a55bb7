//! What goes over the control socket of a server: one JSON object a line, a request and its answer.
//!
//! ```text
//! {"cmd":"status"}                    {"ok":true,"result":{"run":7,"seq":120034,...}}
//! {"cmd":"kill","scope":"engine"}     {"ok":true,"result":null}
//! {"cmd":"kill","scope":"account:x"}  {"ok":false,"error":"there is no account `x`"}
//! ```
//!
//! Prices, quantities and amounts are exact decimals as text. Fields that a peer of another version
//! does not know are ignored, and those that it does not send have their defaults.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a client asks for.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(tag = "cmd", rename_all = "snake_case")]
pub(crate) enum Request {
    /// How everything stands: a [`Status`].
    Status,
    /// Only orders that shrink a position.
    Pause(ScopeName),
    /// Trade again.
    Resume(ScopeName),
    /// Cancel all orders and close all positions.
    Flatten(ScopeName),
    /// Cancel all orders and refuse new ones.
    Kill(ScopeName),
    /// Give a strategy new values of some of its parameters, between two events.
    Set {
        /// The strategy's name; may be empty if there is one only.
        #[serde(default)]
        strategy: String,
        /// Names and values, as the configuration has them.
        values: BTreeMap<String, String>,
    },
    /// Load a strategy's script again from its file.
    Reload {
        /// The strategy's name; may be empty if there is one only.
        #[serde(default)]
        strategy: String,
        /// Events that the new version first sees in the shadow of the old one.
        #[serde(default)]
        shadow: u64,
    },
    /// Go back to a version that was loaded before.
    Rollback {
        /// The strategy's name; may be empty if there is one only.
        #[serde(default)]
        strategy: String,
        /// The beginning of its hash.
        hash: String,
    },
    /// Compare the venue's books with ours now: a [`Comparison`].
    Reconcile,
    /// Answer with notices as they come, one a line, until the client goes.
    Tail,
    /// Stop the strategies and end.
    Stop,
}

/// What came out when the venue's books were compared with ours.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Comparison {
    /// Whether nothing differed.
    pub(crate) is_equal: bool,
    /// Open orders of ours at the venue.
    pub(crate) n_orders: u64,
    /// What was told meanwhile, the outcome last.
    pub(crate) lines: Vec<String>,
}

/// What a request applies to.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
pub(crate) struct ScopeName {
    /// `engine`, `account:NAME` or `strategy:NAME`.
    pub(crate) scope: String,
}

impl ScopeName {
    /// Everything.
    pub(crate) fn engine() -> Self {
        Self { scope: "engine".to_owned() }
    }
}

/// What the server says to a request.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Answer {
    /// Whether it was done.
    pub(crate) ok: bool,
    /// What was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) result: Option<Value>,
    /// Why it was not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// Whether it was asked for all the same, and is done as soon as that is possible.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_asked: bool,
}

/// How everything stands.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Status {
    /// Number of the run; of several that belong together, of the first.
    pub(crate) run: u32,
    /// `paper`.
    pub(crate) mode: String,
    /// Version of the server.
    pub(crate) version: String,
    /// Number of the last event; of several engines, the sum.
    pub(crate) seq: u64,
    /// The engine's time; of several, the latest.
    pub(crate) now_ns: i64,
    /// How long the server has been up.
    pub(crate) uptime_s: u64,
    /// What the engine as a whole may do; of several, the most restricted.
    pub(crate) state: TradingStateName,
    /// Each engine, at least one.
    pub(crate) engines: Vec<EngineStatus>,
    pub(crate) accounts: Vec<AccountStatus>,
    pub(crate) instruments: Vec<InstrumentStatus>,
    /// Positions that are not flat or ever had a fill, by strategy.
    pub(crate) positions: Vec<PositionStatus>,
    /// Open orders, oldest first; a server may leave the newest out.
    pub(crate) orders: Vec<OrderStatus>,
    /// How many open orders there are.
    pub(crate) n_open_orders: u64,
    pub(crate) strategies: Vec<StrategyStatus>,
    pub(crate) limits: Vec<LimitStatus>,
    pub(crate) links: Vec<LinkStatus>,
    pub(crate) rings: Vec<RingStatus>,
    pub(crate) journal: JournalStatus,
    pub(crate) tape: TapeStatus,
    pub(crate) log: LogStatus,
    /// How long calls into strategies took.
    pub(crate) hooks: Vec<HookStatus>,
    /// The last notices, oldest first.
    pub(crate) notices: Vec<NoticeStatus>,
}

/// What a scope may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TradingStateName {
    /// Trades within its limits.
    #[default]
    Active,
    /// Only orders that shrink a position.
    Reducing,
    /// No orders.
    Halted,
}

/// An engine, and the run that it records.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct EngineStatus {
    /// Number of its run.
    pub(crate) run: u32,
    /// Number of its last event.
    pub(crate) seq: u64,
    /// Its time.
    pub(crate) now_ns: i64,
    pub(crate) state: TradingStateName,
    /// Names of its strategies.
    pub(crate) strategies: Vec<String>,
    pub(crate) n_open_orders: u64,
    pub(crate) journal: JournalStatus,
    pub(crate) tape: TapeStatus,
}

/// An account.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct AccountStatus {
    pub(crate) name: String,
    pub(crate) state: TradingStateName,
    /// In quote.
    pub(crate) equity: String,
    /// Profit since the start of the run, in quote.
    pub(crate) pnl: String,
    pub(crate) balances: Vec<BalanceStatus>,
}

/// What an account holds of an asset.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct BalanceStatus {
    pub(crate) asset: String,
    pub(crate) total: String,
    pub(crate) locked: String,
}

/// An instrument and its market.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct InstrumentStatus {
    pub(crate) symbol: String,
    /// Whether strategies are called for it: its book is whole.
    pub(crate) is_live: bool,
    /// Up to ten levels, best first.
    pub(crate) bids: Vec<LevelStatus>,
    /// Up to ten levels, best first.
    pub(crate) asks: Vec<LevelStatus>,
    pub(crate) last_trade: Option<TradeStatus>,
}

/// A price and what is there.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct LevelStatus {
    pub(crate) price: String,
    pub(crate) quantity: String,
}

/// A trade of the market.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct TradeStatus {
    pub(crate) price: String,
    pub(crate) quantity: String,
    /// Who took: `buy` or `sell`; empty if unknown.
    pub(crate) side: String,
}

/// A strategy's position in an instrument.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct PositionStatus {
    pub(crate) strategy: String,
    pub(crate) account: String,
    pub(crate) symbol: String,
    /// Positive is long.
    pub(crate) quantity: String,
    /// Average price of what is open; `None` if flat.
    pub(crate) average_price: Option<String>,
    /// Profit of what is open, in quote.
    pub(crate) unrealised: String,
    /// Profit of what was closed, fees and funding included, in quote.
    pub(crate) realised: String,
    pub(crate) n_fills: u64,
}

/// An open order.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct OrderStatus {
    pub(crate) id: String,
    pub(crate) strategy: String,
    pub(crate) account: String,
    pub(crate) symbol: String,
    /// `buy` or `sell`.
    pub(crate) side: String,
    /// `limit`, `market`, ...
    pub(crate) kind: String,
    /// `None` for orders without one.
    pub(crate) price: Option<String>,
    pub(crate) quantity: String,
    pub(crate) filled: String,
    /// `pending_new`, `open`, ...
    pub(crate) status: String,
    pub(crate) age_ms: u64,
}

/// A strategy.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct StrategyStatus {
    pub(crate) name: String,
    /// The account that it trades.
    pub(crate) account: String,
    pub(crate) script: String,
    /// Hash of its source.
    pub(crate) hash: String,
    /// Versions loaded since the run began, from 1.
    pub(crate) generation: u64,
    pub(crate) state: TradingStateName,
    /// Whether it is called for events.
    pub(crate) is_running: bool,
    /// What stopped it.
    pub(crate) fault: Option<String>,
    /// Profit since the start of the run, in quote.
    pub(crate) pnl: String,
    /// Orders sent in the UTC day.
    pub(crate) orders_today: u64,
    /// Fills had in the UTC day.
    pub(crate) fills_today: u64,
}

/// How much of a limit is used.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct LimitStatus {
    /// `engine`, `account:NAME` or `strategy:NAME`.
    pub(crate) scope: String,
    /// Whose share of it this is, from 1, where there are several engines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) engine: Option<u32>,
    /// As in the configuration: `open_orders`, `daily_loss`, ...
    pub(crate) limit: String,
    pub(crate) used: String,
    pub(crate) max: String,
}

/// A source of market data, or an account's connection to its venue.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct LinkStatus {
    /// The kind of the feed, or `account NAME`.
    pub(crate) name: String,
    /// Which engine's, from 1, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) engine: Option<u32>,
    pub(crate) is_up: bool,
    /// Why it is down, once that is known.
    pub(crate) failure: Option<String>,
    /// Events taken from it; not told of an account's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) n_events: Option<u64>,
}

/// A ring between two threads.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct RingStatus {
    pub(crate) name: String,
    /// Which engine's, from 1, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) engine: Option<u32>,
    pub(crate) capacity: u64,
    /// The most that was ever found waiting.
    pub(crate) depth_max: u64,
    /// How often it was found full.
    pub(crate) n_full: u64,
    /// What was dropped because of that.
    pub(crate) n_dropped: u64,
}

/// The journal.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct JournalStatus {
    /// Records handed over.
    pub(crate) n_records: u64,
    /// Records that are safe on the disk.
    pub(crate) n_durable: u64,
    /// Why nothing is recorded any more.
    pub(crate) failure: Option<String>,
}

/// The tape of market data.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct TapeStatus {
    pub(crate) n_events: u64,
    pub(crate) n_dropped: u64,
}

/// The log.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct LogStatus {
    /// Lines dropped because too many were waiting.
    pub(crate) n_dropped: u64,
    /// Lines that could not be written.
    pub(crate) n_failed: u64,
}

/// How long calls of a strategy's hook took.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct HookStatus {
    pub(crate) strategy: String,
    /// `on_book`, ...
    pub(crate) hook: String,
    /// Calls that were timed.
    pub(crate) count: u64,
    /// What they took together.
    pub(crate) sum_ns: u64,
    pub(crate) p50_ns: u64,
    pub(crate) p99_ns: u64,
    pub(crate) p999_ns: u64,
    pub(crate) max_ns: u64,
}

/// Something that people should know.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct NoticeStatus {
    pub(crate) at_ns: i64,
    /// `error`, `warn` or `info`.
    pub(crate) level: String,
    pub(crate) text: String,
}

#[cfg(test)]
pub(crate) mod sample;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_answers_are_the_lines_that_are_documented() {
        let line = |request: &Request| serde_json::to_string(request).unwrap();
        assert_eq!(line(&Request::Status), r#"{"cmd":"status"}"#);
        let kill = Request::Kill(ScopeName::engine());
        assert_eq!(line(&kill), r#"{"cmd":"kill","scope":"engine"}"#);
        assert_eq!(serde_json::from_str::<Request>(&line(&kill)).unwrap(), kill);
        let no = Answer { error: Some("no".to_owned()), ..Answer::default() };
        assert_eq!(serde_json::to_string(&no).unwrap(), r#"{"ok":false,"error":"no"}"#);
    }

    #[test]
    fn a_status_of_another_version_is_understood() {
        let status: Status =
            serde_json::from_str(r#"{"run":3,"later":[1],"state":"halted"}"#).unwrap();
        assert_eq!((status.run, status.state), (3, TradingStateName::Halted));
        let text = serde_json::to_string(&sample::busy()).unwrap();
        assert_eq!(serde_json::from_str::<Status>(&text).unwrap(), sample::busy());
    }
}
