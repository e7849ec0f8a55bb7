//! One number for all that a run wished: equal for two runs that behaved alike.

use std::fmt::{self, Write};

use tercel_core::{
    Digest, Effect, Engine, ExecutionReport, Nanos, Notice, OrderKind, OrderRequest, OrderSpec,
    ReportRefusal, Scope, Seq, StaleCause, StateCause, TimeInForce, Value,
};

use crate::observer::Observer;

/// Digests every effect with the number and time of its event.
///
/// All of an effect counts, log lines too, except the words of a fault (message, file and line):
/// two languages fail alike but say it differently.
#[derive(Clone, Debug, Default)]
pub struct EffectsHash {
    digest: Digest,
    n_effects: u64,
}

impl EffectsHash {
    /// Returns the hash of no effects.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the hash of the effects so far.
    #[must_use]
    pub const fn value(&self) -> u64 {
        self.digest.value()
    }

    /// Returns how many effects it has seen.
    #[must_use]
    pub const fn n_effects(&self) -> u64 {
        self.n_effects
    }

    fn add(&mut self, effect: &Effect) {
        let digest = &mut self.digest;
        match effect {
            Effect::Send(request) => {
                digest.u64(1);
                mix_request(request, digest);
            }
            Effect::Resync(instrument) => {
                digest.u64(2);
                digest.u64(u64::from(instrument.0));
            }
            Effect::Remember { strategy, key, value } => {
                digest.u64(3);
                digest.u64(u64::from(strategy.0));
                digest.bytes(key.as_bytes());
                mix_value(value, digest);
            }
            Effect::Notice(notice) => {
                digest.u64(4);
                mix_notice(notice, digest);
            }
            Effect::SetTimer { strategy, timer } => {
                digest.u64(5);
                digest.u64(u64::from(strategy.0));
                digest.bytes(timer.name.as_bytes());
                digest.i64(timer.at.0);
                digest.i64(timer.every_ns.unwrap_or(0));
            }
            Effect::CancelTimer { strategy, name } => {
                digest.u64(6);
                digest.u64(u64::from(strategy.0));
                digest.bytes(name.as_bytes());
            }
        }
    }
}

impl Observer for EffectsHash {
    fn on_effects(&mut self, seq: Seq, now: Nanos, effects: &[Effect], _engine: &Engine) {
        self.digest.u64(seq.0);
        self.digest.i64(now.0);
        for effect in effects {
            self.n_effects += 1;
            self.add(effect);
        }
    }

    fn on_report(&mut self, _now: Nanos, _report: &ExecutionReport, _engine: &Engine) {}

    fn on_sample(&mut self, _now: Nanos, _engine: &Engine) {}
}

fn mix_request(request: &OrderRequest, digest: &mut Digest) {
    match request {
        OrderRequest::New { id, account, strategy, spec } => {
            digest.u64(1);
            digest.u64(id.0);
            digest.u64(u64::from(account.0));
            digest.u64(u64::from(strategy.0));
            mix_spec(spec, digest);
        }
        OrderRequest::Replace { id, account, instrument, price, qty } => {
            digest.u64(2);
            digest.u64(id.0);
            digest.u64(u64::from(account.0));
            digest.u64(u64::from(instrument.0));
            digest.i64(price.0);
            digest.i64(qty.0);
        }
        OrderRequest::Cancel { id, account, instrument } => {
            digest.u64(3);
            digest.u64(id.0);
            digest.u64(u64::from(account.0));
            digest.u64(u64::from(instrument.0));
        }
    }
}

fn mix_spec(spec: &OrderSpec, digest: &mut Digest) {
    digest.u64(u64::from(spec.instrument.0));
    digest.i64(spec.side.sign());
    digest.u64(match spec.kind {
        OrderKind::Market => 1,
        OrderKind::Limit { .. } => 2,
        OrderKind::Stop { .. } => 3,
        OrderKind::StopLimit { .. } => 4,
    });
    digest.i64(spec.kind.limit_price().map_or(i64::MIN, |price| price.0));
    digest.i64(spec.kind.trigger().map_or(i64::MIN, |price| price.0));
    digest.i64(spec.qty.0);
    match spec.tif {
        TimeInForce::Gtc => digest.u64(1),
        TimeInForce::Ioc => digest.u64(2),
        TimeInForce::Fok => digest.u64(3),
        TimeInForce::Gtd(at) => {
            digest.u64(4);
            digest.i64(at.0);
        }
    }
    digest.u64(u64::from(spec.post_only));
    digest.u64(u64::from(spec.reduce_only));
}

fn mix_value(value: &Value, digest: &mut Digest) {
    match value {
        Value::Nil => digest.u64(1),
        Value::Bool(value) => {
            digest.u64(2);
            digest.u64(u64::from(*value));
        }
        Value::Integer(value) => {
            digest.u64(3);
            digest.i64(*value);
        }
        Value::Float(bits) => {
            digest.u64(4);
            digest.u64(*bits);
        }
        Value::Text(text) => {
            digest.u64(5);
            digest.bytes(text.as_bytes());
        }
    }
}

fn mix_scope(scope: Scope, digest: &mut Digest) {
    match scope {
        Scope::Strategy(id) => digest.u64(1 + 4 * u64::from(id.0)),
        Scope::Account(id) => digest.u64(2 + 4 * u64::from(id.0)),
        Scope::Engine => digest.u64(3),
    }
}

fn mix_notice(notice: &Notice, digest: &mut Digest) {
    match notice {
        Notice::Log { strategy, text } => {
            digest.u64(1);
            digest.u64(u64::from(strategy.0));
            digest.bytes(text.as_bytes());
        }
        Notice::NamePlot { strategy, plot, name } => {
            digest.u64(9);
            digest.u64(u64::from(strategy.0));
            digest.u64(u64::from(plot.0));
            digest.bytes(name.as_bytes());
        }
        Notice::Draw { strategy, plot, value_bits } => {
            digest.u64(2);
            digest.u64(u64::from(strategy.0));
            digest.u64(u64::from(plot.0));
            digest.u64(*value_bits);
        }
        Notice::Mark { strategy, label, price_bits } => {
            digest.u64(3);
            digest.u64(u64::from(strategy.0));
            digest.bytes(label.as_bytes());
            digest.u64(*price_bits);
        }
        Notice::RiskReject { strategy, order, reason } => {
            digest.u64(4);
            digest.u64(u64::from(strategy.0));
            digest.u64(order.0);
            digest.bytes(reason.as_str().as_bytes());
            // The text carries the numbers that decided.
            mix_text(format_args!("{reason}"), digest);
        }
        Notice::Fault { strategy, fault } => {
            digest.u64(5);
            digest.u64(u64::from(strategy.0));
            mix_text(format_args!("{}", fault.kind), digest);
        }
        Notice::BookStale { instrument, cause } => {
            digest.u64(6);
            digest.u64(u64::from(instrument.0));
            match cause {
                StaleCause::Gap { have, needed } => {
                    digest.u64(1);
                    digest.u64(*have);
                    digest.u64(*needed);
                }
                StaleCause::Crossed => digest.u64(2),
                StaleCause::Link => digest.u64(3),
            }
        }
        Notice::State { scope, state, cause } => {
            digest.u64(7);
            mix_scope(*scope, digest);
            digest.bytes(state.as_str().as_bytes());
            match cause {
                StateCause::Command => digest.u64(1),
                StateCause::DailyLoss => digest.u64(2),
                StateCause::Drawdown => digest.u64(3),
                StateCause::Overfill { excess } => {
                    digest.u64(4);
                    digest.i64(excess.0);
                }
            }
        }
        Notice::Funding { instrument, rate_e12, mark } => {
            digest.u64(9);
            digest.u64(u64::from(instrument.0));
            digest.i64(*rate_e12);
            digest.i64(mark.0);
        }
        Notice::LossMarks { scope, pnl_open, pnl_max } => {
            digest.u64(12);
            mix_scope(*scope, digest);
            digest.i128(pnl_open.0);
            digest.i128(pnl_max.0);
        }
        Notice::PositionDiffers { account, instrument, was, is, entry, at } => {
            digest.u64(10);
            digest.u64(u64::from(account.0));
            digest.u64(u64::from(instrument.0));
            for number in [was.0, is.0, entry.0, at.map_or(i64::MIN, |at| at.0)] {
                digest.i64(number);
            }
        }
        Notice::PositionTaken { strategy, account, instrument, qty, at } => {
            digest.u64(11);
            digest.u64(u64::from(strategy.0));
            digest.u64(u64::from(account.0));
            digest.u64(u64::from(instrument.0));
            digest.i64(qty.0);
            digest.i64(at.map_or(i64::MIN, |at| at.0));
        }
        Notice::ReportRefused { order, cause } => {
            digest.u64(8);
            digest.u64(order.0);
            digest.u64(match cause {
                ReportRefusal::UnknownOrder => 1,
                ReportRefusal::DuplicateFill => 2,
                ReportRefusal::AfterEnd => 3,
                ReportRefusal::Stale => 4,
                ReportRefusal::Overfill => 5,
                ReportRefusal::Malformed => 6,
            });
        }
    }
}

/// Mixes formatted text piece by piece, so that it is never allocated.
fn mix_text(text: fmt::Arguments<'_>, digest: &mut Digest) {
    struct Sink<'a> {
        digest: &'a mut Digest,
        len: u64,
    }
    impl Write for Sink<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            // Byte by byte: how a formatter cuts its text into pieces is its own affair.
            for byte in text.bytes() {
                self.digest.u64(u64::from(byte));
            }
            self.len += text.len() as u64;
            Ok(())
        }
    }
    let mut sink = Sink { digest, len: 0 };
    // The sink takes everything, so only a broken `Display` could fail; what it wrote counts.
    let _ = sink.write_fmt(text);
    let len = sink.len;
    digest.u64(len);
}

#[cfg(test)]
mod tests {
    use tercel_core::{FaultKind, StrategyFault, StrategyId};

    use super::*;

    fn hash(effects: &[Effect]) -> u64 {
        let mut hash = EffectsHash::new();
        effects.iter().for_each(|effect| hash.add(effect));
        hash.value()
    }

    fn fault(kind: FaultKind, message: &str) -> Effect {
        let fault =
            StrategyFault { kind, message: message.to_owned(), file: String::new(), line: 7 };
        Effect::Notice(Notice::Fault { strategy: StrategyId(0), fault })
    }

    fn log(text: &str) -> Effect {
        Effect::Notice(Notice::Log { strategy: StrategyId(0), text: text.to_owned() })
    }

    #[test]
    fn the_words_of_a_fault_do_not_count_but_its_kind_does() {
        assert_eq!(hash(&[fault(FaultKind::Error, "a")]), hash(&[fault(FaultKind::Error, "b")]));
        assert_ne!(hash(&[fault(FaultKind::Error, "a")]), hash(&[fault(FaultKind::Fuel, "a")]));
    }

    #[test]
    fn the_words_of_a_log_and_the_order_of_effects_count() {
        assert_ne!(hash(&[log("a")]), hash(&[log("b")]));
        assert_ne!(hash(&[log("a"), log("b")]), hash(&[log("b"), log("a")]));
    }
}
