//! What goes wrong on purpose.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tercel_core::Nanos;

use crate::dialect::{Channel, ConnId, Frame};

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestFate {
    /// It is served.
    Serve,
    /// It fails with a status; whether it was executed nevertheless is not told.
    Fail {
        /// HTTP status.
        status: u16,
        /// Whether it was executed.
        executes: bool,
        /// Seconds to stay away.
        retry_after: Option<i64>,
    },
    /// It is never answered.
    Silence {
        /// Whether it was executed.
        executes: bool,
    },
    /// Its connection breaks.
    Break {
        /// Whether it was executed.
        executes: bool,
    },
}

/// A fate for the requests that a rule is about.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Rule {
    /// Part of `METHOD /path`, or of `WS method`.
    matches: String,
    fate: RequestFate,
    /// How many more requests; `None` for all.
    left: Option<u64>,
    /// Chance in millionths.
    ppm: u64,
}

/// Which streams faults concern.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Only {
    All,
    Market,
    User,
}

/// Faults of what flows by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
struct StreamFaults {
    drop_ppm: u64,
    duplicate_ppm: u64,
    reorder_ppm: u64,
    delay_ns: i64,
    jitter_ns: i64,
    is_stalled: bool,
    only: Only,
}

/// How often each fault has struck, since the beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FaultCounts {
    /// Frames of streams that were lost.
    pub n_lost: u64,
    /// Frames of streams that came twice.
    pub n_doubled: u64,
    /// Frames of streams that others overtook.
    pub n_overtaken: u64,
    /// Requests that were answered with a failure and not executed.
    pub n_failed: u64,
    /// Requests that were answered with a failure although they were executed.
    pub n_failed_done: u64,
    /// Requests that were neither answered nor executed.
    pub n_silent: u64,
    /// Requests that were executed and never answered.
    pub n_silent_done: u64,
    /// Requests whose connection broke before they were executed.
    pub n_broken: u64,
    /// Requests whose connection broke after they were executed.
    pub n_broken_done: u64,
}

/// The switches.
#[derive(Clone, Debug)]
pub struct Faults {
    state: u64,
    counts: FaultCounts,
    rules: Vec<Rule>,
    streams: StreamFaults,
    answer_delay_ns: i64,
    is_maintenance: bool,
    refuses: bool,
    clock_skew_ms: i64,
    /// When the latest frame of a connection arrives, so that none overtakes it.
    latest: BTreeMap<ConnId, Nanos>,
}

const MILLION: u64 = 1_000_000;
/// How late a reordered message comes at most.
const REORDER_NS: u64 = 250_000_000;

impl Faults {
    /// Returns switches that are all off; `seed` decides what chance does once they are on.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            state: seed,
            counts: FaultCounts {
                n_lost: 0,
                n_doubled: 0,
                n_overtaken: 0,
                n_failed: 0,
                n_failed_done: 0,
                n_silent: 0,
                n_silent_done: 0,
                n_broken: 0,
                n_broken_done: 0,
            },
            rules: Vec::new(),
            streams: StreamFaults {
                drop_ppm: 0,
                duplicate_ppm: 0,
                reorder_ppm: 0,
                delay_ns: 0,
                jitter_ns: 0,
                is_stalled: false,
                only: Only::All,
            },
            answer_delay_ns: 0,
            is_maintenance: false,
            refuses: false,
            clock_skew_ms: 0,
            latest: BTreeMap::new(),
        }
    }

    /// Switches everything off.
    pub fn clear(&mut self) {
        let latest = std::mem::take(&mut self.latest);
        *self = Self { latest, counts: self.counts, ..Self::new(self.state) };
    }

    /// Returns how often each fault has struck.
    #[must_use]
    pub const fn counts(&self) -> FaultCounts {
        self.counts
    }

    /// Returns the switches as [`Self::set`] takes them.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let streams = &self.streams;
        let rules: Vec<Value> = self.rules.iter().map(rule_json).collect();
        json!({
            "streams": {
                "drop_ppm": streams.drop_ppm,
                "duplicate_ppm": streams.duplicate_ppm,
                "reorder_ppm": streams.reorder_ppm,
                "delay_ms": streams.delay_ns / 1_000_000,
                "jitter_ms": streams.jitter_ns / 1_000_000,
                "stall": streams.is_stalled,
                "only": match streams.only {
                    Only::All => "all",
                    Only::Market => "market",
                    Only::User => "user",
                },
            },
            "requests": rules,
            "answer_delay_ms": self.answer_delay_ns / 1_000_000,
            "maintenance": self.is_maintenance,
            "refuse_connections": self.refuses,
            "clock_skew_ms": self.clock_skew_ms,
        })
    }

    /// Changes the switches that an object names.
    ///
    /// # Errors
    ///
    /// If a name is unknown or a value not of its kind; some switches may have changed then.
    pub fn set(&mut self, switches: &Value) -> Result<(), String> {
        for (name, value) in members(switches, "faults")? {
            match name.as_str() {
                "seed" => self.state = whole(name, value)?,
                "streams" => self.set_streams(value)?,
                "requests" => {
                    let rules = value.as_array().ok_or("requests must be a list of rules")?;
                    self.rules = rules.iter().map(read_rule).collect::<Result<_, _>>()?;
                }
                "answer_delay_ms" => self.answer_delay_ns = millis(name, value)?,
                "maintenance" => self.is_maintenance = switch(name, value)?,
                "refuse_connections" => self.refuses = switch(name, value)?,
                "clock_skew_ms" => {
                    let skew = value.as_i64();
                    self.clock_skew_ms =
                        skew.ok_or_else(|| wrong(name, "a whole number", value))?;
                }
                _ => {
                    return Err(format!(
                        "unknown fault {name}: known are seed, streams, requests, \
                         answer_delay_ms, maintenance, refuse_connections, clock_skew_ms"
                    ));
                }
            }
        }
        Ok(())
    }

    fn set_streams(&mut self, value: &Value) -> Result<(), String> {
        let streams = &mut self.streams;
        for (name, value) in members(value, "streams")? {
            match name.as_str() {
                "drop_ppm" => streams.drop_ppm = whole(name, value)?,
                "duplicate_ppm" => streams.duplicate_ppm = whole(name, value)?,
                "reorder_ppm" => streams.reorder_ppm = whole(name, value)?,
                "delay_ms" => streams.delay_ns = millis(name, value)?,
                "jitter_ms" => streams.jitter_ns = millis(name, value)?,
                "stall" => streams.is_stalled = switch(name, value)?,
                "only" => {
                    streams.only = match value.as_str() {
                        Some("all") => Only::All,
                        Some("market") => Only::Market,
                        Some("user") => Only::User,
                        _ => return Err(wrong(name, "all, market or user", value)),
                    }
                }
                _ => {
                    return Err(format!(
                        "unknown fault of streams {name}: known are drop_ppm, duplicate_ppm, \
                         reorder_ppm, delay_ms, jitter_ms, stall, only"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Returns how wrong the venue's clock is, in milliseconds.
    #[must_use]
    pub const fn clock_skew_ms(&self) -> i64 {
        self.clock_skew_ms
    }

    /// Returns whether the venue is closed.
    #[must_use]
    pub const fn is_maintenance(&self) -> bool {
        self.is_maintenance
    }

    pub(crate) const fn refuses_connections(&self) -> bool {
        self.refuses || self.is_maintenance
    }

    pub(crate) const fn answer_delay_ns(&self) -> i64 {
        self.answer_delay_ns
    }

    pub(crate) fn forget(&mut self, conn: ConnId) {
        self.latest.remove(&conn);
    }

    /// Decides what becomes of a request.
    pub(crate) fn fate(&mut self, _now: Nanos, method: &str, path: &str) -> RequestFate {
        if self.is_maintenance {
            return RequestFate::Fail { status: 503, executes: false, retry_after: None };
        }
        let name = format!("{method} {path}");
        for idx in 0..self.rules.len() {
            let rule = &self.rules[idx];
            if !name.contains(&rule.matches) || rule.left == Some(0) {
                continue;
            }
            let (ppm, fate) = (rule.ppm, rule.fate);
            if ppm >= MILLION || self.draw(MILLION) < ppm {
                if let Some(left) = &mut self.rules[idx].left {
                    *left -= 1;
                }
                self.counts.add(fate);
                return fate;
            }
        }
        RequestFate::Serve
    }

    /// Decides when a frame arrives, once or twice, and whether it is lost.
    pub(crate) fn arrivals(&mut self, now: Nanos, frame: &Frame) -> (Vec<Nanos>, bool) {
        let concerns = match (frame.channel, self.streams.only) {
            (Channel::Answer | Channel::Control, _) => false,
            (Channel::Market, only) => only != Only::User,
            (Channel::User, only) => only != Only::Market,
        };
        let latest = self.latest.get(&frame.conn).copied().unwrap_or(now);
        if !concerns {
            return (vec![now], false);
        }
        if self.streams.is_stalled || self.hits(self.streams.drop_ppm) {
            self.counts.n_lost += 1;
            return (Vec::new(), true);
        }
        let jitter_ns = self.streams.jitter_ns.unsigned_abs();
        let jitter = if jitter_ns > 0 { self.draw(jitter_ns).cast_signed() } else { 0 };
        let mut at = now.plus(self.streams.delay_ns + jitter);
        if self.hits(self.streams.reorder_ppm) {
            // It comes late and everybody overtakes it.
            self.counts.n_overtaken += 1;
            at = at.plus(self.draw(REORDER_NS).cast_signed());
        } else {
            at = at.max(latest);
            if self.streams.delay_ns > 0 || jitter_ns > 0 || latest > now {
                self.latest.insert(frame.conn, at);
            }
        }
        let mut arrivals = vec![at];
        if self.hits(self.streams.duplicate_ppm) {
            self.counts.n_doubled += 1;
            arrivals.push(at);
        }
        (arrivals, false)
    }

    fn hits(&mut self, ppm: u64) -> bool {
        ppm > 0 && self.draw(MILLION) < ppm
    }

    /// Draws a number below `n`.
    const fn draw(&mut self, n: u64) -> u64 {
        // SplitMix64.
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % n
    }
}

impl FaultCounts {
    const fn add(&mut self, fate: RequestFate) {
        let count = match fate {
            RequestFate::Serve => return,
            RequestFate::Fail { executes: false, .. } => &mut self.n_failed,
            RequestFate::Fail { executes: true, .. } => &mut self.n_failed_done,
            RequestFate::Silence { executes: false } => &mut self.n_silent,
            RequestFate::Silence { executes: true } => &mut self.n_silent_done,
            RequestFate::Break { executes: false } => &mut self.n_broken,
            RequestFate::Break { executes: true } => &mut self.n_broken_done,
        };
        *count += 1;
    }
}

fn read_rule(value: &Value) -> Result<Rule, String> {
    let (mut matches, mut fate, mut status) = (String::new(), "status".to_owned(), 503);
    let (mut executes, mut left, mut ppm, mut retry_after) = (false, None, MILLION, None);
    for (name, value) in members(value, "a rule of requests")? {
        let text = || value.as_str().map(str::to_owned).ok_or_else(|| wrong(name, "a text", value));
        match name.as_str() {
            "match" => matches = text()?,
            "fate" => fate = text()?,
            "status" => {
                status = u16::try_from(whole(name, value)?)
                    .ok()
                    .filter(|status| (400..600).contains(status))
                    .ok_or_else(|| wrong(name, "between 400 and 599", value))?;
            }
            "executes" => executes = switch(name, value)?,
            "count" if value.is_null() => left = None,
            "count" => left = Some(whole(name, value)?),
            "ppm" => ppm = whole(name, value)?,
            "retry_after" if value.is_null() => retry_after = None,
            "retry_after" => retry_after = Some(whole(name, value)?.cast_signed()),
            _ => {
                return Err(format!(
                    "unknown part of a rule {name}: known are match, fate, status, executes, \
                     count, ppm, retry_after"
                ));
            }
        }
    }
    let fate = match fate.as_str() {
        "status" => RequestFate::Fail { status, executes, retry_after },
        "silence" => RequestFate::Silence { executes },
        "break" => RequestFate::Break { executes },
        other => return Err(format!("fate: must be status, silence or break, got {other:?}")),
    };
    Ok(Rule { matches, fate, left, ppm })
}

fn rule_json(rule: &Rule) -> Value {
    let mut object = json!({"match": rule.matches, "count": rule.left, "ppm": rule.ppm});
    let (fate, executes) = match rule.fate {
        RequestFate::Serve => ("serve", true),
        RequestFate::Fail { status, executes, retry_after } => {
            object["status"] = status.into();
            object["retry_after"] = retry_after.into();
            ("status", executes)
        }
        RequestFate::Silence { executes } => ("silence", executes),
        RequestFate::Break { executes } => ("break", executes),
    };
    object["fate"] = fate.into();
    object["executes"] = executes.into();
    object
}

fn members<'a>(value: &'a Value, what: &str) -> Result<Vec<(&'a String, &'a Value)>, String> {
    let object = value.as_object();
    object.map(|object| object.iter().collect()).ok_or_else(|| format!("{what} must be an object"))
}

fn wrong(name: &str, expected: &str, value: &Value) -> String {
    format!("{name}: must be {expected}, got {value}")
}

fn whole(name: &str, value: &Value) -> Result<u64, String> {
    value.as_u64().ok_or_else(|| wrong(name, "a whole number, zero or more", value))
}

fn millis(name: &str, value: &Value) -> Result<i64, String> {
    let ms = value.as_i64().filter(|ms| (0..=86_400_000).contains(ms));
    ms.map(|ms| ms * 1_000_000).ok_or_else(|| wrong(name, "between 0 and 86,400,000", value))
}

fn switch(name: &str, value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| wrong(name, "true or false", value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Payload;

    fn frame(channel: Channel) -> Frame {
        Frame { conn: ConnId(1), channel, payload: Payload::Text("x".into()) }
    }

    #[test]
    fn a_rule_ends_after_its_count() {
        let mut faults = Faults::new(1);
        let rule = json!({"requests": [{"match": "POST /api/v3/order", "fate": "silence",
                                        "executes": true, "count": 2}]});
        faults.set(&rule).unwrap();
        let mut fate = |path| faults.fate(Nanos(0), "POST", path);
        assert_eq!(fate("/api/v3/order"), RequestFate::Silence { executes: true });
        assert_eq!(fate("/api/v3/account"), RequestFate::Serve);
        assert_eq!(fate("/api/v3/order"), RequestFate::Silence { executes: true });
        assert_eq!(fate("/api/v3/order"), RequestFate::Serve);
    }

    #[test]
    fn what_is_shown_can_be_set() {
        let mut faults = Faults::new(1);
        let switches = json!({
            "streams": {"drop_ppm": 10, "delay_ms": 5, "jitter_ms": 7, "only": "user"},
            "requests": [{"match": "x", "status": 429, "retry_after": 3, "ppm": 5}],
            "clock_skew_ms": -1_500,
        });
        faults.set(&switches).unwrap();
        let shown = faults.to_json();
        let mut again = Faults::new(1);
        again.set(&shown).unwrap();
        assert_eq!(again.to_json(), shown);
        assert_eq!(shown["requests"][0]["status"], 429);
    }

    #[test]
    fn a_wrong_switch_is_named() {
        let mut faults = Faults::new(1);
        let error = |faults: &mut Faults, switches: Value| faults.set(&switches).unwrap_err();
        assert!(error(&mut faults, json!({"stall": true})).starts_with("unknown fault stall"));
        assert_eq!(
            error(&mut faults, json!({"streams": {"drop_ppm": -1}})),
            "drop_ppm: must be a whole number, zero or more, got -1"
        );
        assert!(error(&mut faults, json!({"requests": [{"status": 200}]})).contains("400 and 599"));
    }

    #[test]
    fn jitter_never_reorders_and_answers_are_left_alone() {
        let mut faults = Faults::new(7);
        faults
            .set(&json!({"streams": {"delay_ms": 5, "jitter_ms": 50, "drop_ppm": 100_000}}))
            .unwrap();
        let (mut last, mut n_lost) = (Nanos(0), 0);
        for n in 0..1_000 {
            let now = Nanos(n * 1_000_000);
            let (at, lost) = faults.arrivals(now, &frame(Channel::Market));
            n_lost += i32::from(lost);
            for at in at {
                assert!(at >= last && at.since(now) >= 5_000_000);
                last = at;
            }
            assert_eq!(faults.arrivals(now, &frame(Channel::Answer)), (vec![now], false));
        }
        assert!((50..200).contains(&n_lost), "{n_lost} of 1,000 lost at ten percent");
    }
}
