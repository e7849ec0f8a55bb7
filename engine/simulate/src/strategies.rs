//! The strategies of the world: two scripts in several versions, and a native one that does what
//! comes to its mind.

use std::rc::Rc;

use tercel_core::{
    Intent, Intents, Nanos, OrderKind, OrderSpec, Price, Quantity, Side, Strategy, StrategyEvent,
    StrategyFault, StrategyId, TimeInForce, Value, View,
};
use tercel_runtime::{Version, VersionError};
use tercel_script::{Language, Limits, Script, ScriptError, Source};
use tercel_testkit::Random;

use crate::desk::{Call, Desk};
use crate::listing::{MAKER, TAKER, instruments};

const MAKER_TEXT: &str = include_str!("../scripts/maker.luau");
const TAKER_TEXT: &str = include_str!("../scripts/taker.rhai");

/// Returns what the world's scripts may use up: little, so that one that misbehaves is found soon.
pub(crate) fn limits(language: Language) -> Limits {
    Limits { fuel: 20_000, memory: 8 << 20, memory_per_call: 1 << 20, ..Limits::of(language) }
}

/// The scripts, checked once.
#[derive(Clone, Debug)]
pub(crate) struct Scripts {
    maker: [Script; 2],
    taker: [Script; 2],
    /// Pass every check and fail in their first call.
    broken: [Script; 2],
}

/// Which version of a script.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Edition {
    First,
    Second,
    Broken,
}

impl Scripts {
    /// Checks all scripts.
    pub(crate) fn new() -> Result<Self, ScriptError> {
        let again = |text: &str| format!("{text}\n");
        let maker = |text: String| checked("maker.luau", Language::Luau, text);
        let taker = |text: String| checked("taker.rhai", Language::Rhai, text);
        let broken = (
            MAKER_TEXT.replace("on_reload(old)", "on_reload(old)\n    error(\"not like this\")"),
            TAKER_TEXT.replace("on_reload(old) {", "on_reload(old) { throw \"not like this\";"),
        );
        Ok(Self {
            maker: [maker(MAKER_TEXT.to_owned())?, maker(again(MAKER_TEXT))?],
            taker: [taker(TAKER_TEXT.to_owned())?, taker(again(TAKER_TEXT))?],
            broken: [maker(broken.0)?, taker(broken.1)?],
        })
    }

    /// Returns a version of a scripted strategy.
    pub(crate) fn version(
        &self,
        strategy: StrategyId,
        edition: Edition,
        params: &[(String, Value)],
        seed: u64,
    ) -> Result<Version, VersionError> {
        let is_maker = strategy == MAKER;
        let own = if is_maker { &self.maker } else { &self.taker };
        let script = match edition {
            Edition::First => &own[0],
            Edition::Second => &own[1],
            Edition::Broken => &self.broken[usize::from(!is_maker)],
        };
        let params = params.iter().map(|(name, value)| (name.as_str(), value));
        Version::new(strategy, script.clone(), params, &[], &instruments(), seed)
    }

    /// Returns why a text that is no script is refused, as its reload would be.
    pub(crate) fn refuse(strategy: StrategyId) -> Option<ScriptError> {
        let text = "strategy { name = \"maker\" }\nfunction on_book( end\n";
        let (file, language) = if strategy == TAKER {
            ("taker.rhai", Language::Rhai)
        } else {
            ("maker.luau", Language::Luau)
        };
        checked(file, language, text.to_owned()).err()
    }
}

fn checked(file: &str, language: Language, text: String) -> Result<Script, ScriptError> {
    let source = Source { file: file.to_owned(), path: file.into(), language, text };
    Script::check(source, &limits(language))
}

/// A strategy that does what comes to its mind: a function of its seed and of what it is shown.
pub(crate) struct Whim {
    random: Random,
    /// Who is told of its calls; nobody while a run is executed again.
    desk: Option<Rc<Desk>>,
}

impl Whim {
    pub(crate) fn seeded(seed: u64, desk: Option<Rc<Desk>>) -> Box<dyn Strategy> {
        Box::new(Self { random: Random::new(seed ^ 0x77), desk })
    }
}

impl Strategy for Whim {
    fn on_event(
        &mut self,
        event: &StrategyEvent<'_>,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyFault> {
        let instrument = match event {
            StrategyEvent::Book { instrument }
            | StrategyEvent::Level { instrument, .. }
            | StrategyEvent::Trade { instrument, .. } => Some(*instrument),
            _ => None,
        };
        if let Some(desk) = &self.desk {
            desk.calls.borrow_mut().push(match (event, instrument) {
                (StrategyEvent::Level { .. }, Some(id)) => Call::Level(id),
                (_, Some(id)) => Call::Market(id),
                (_, None) => Call::Other,
            });
        }
        let is_minded = match event {
            StrategyEvent::Book { .. } => self.random.chance(25),
            StrategyEvent::Timer { .. } | StrategyEvent::Fill { .. } => self.random.chance(40),
            StrategyEvent::Start => true,
            _ => false,
        };
        if is_minded {
            let instrument = instrument.unwrap_or_else(|| view.instruments()[self.random.index(2)]);
            for _ in 0..=self.random.below(2) {
                // More than it may give is not its business.
                let _ = self.wish(instrument, view, intents);
            }
        }
        Ok(())
    }
}

impl Whim {
    fn wish(
        &mut self,
        instrument: tercel_core::InstrumentId,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), tercel_core::TooManyIntents> {
        let own: Vec<_> = view.open_orders(instrument).map(|order| order.id).collect();
        let any = (!own.is_empty()).then(|| own[self.random.index(own.len())]);
        let reference = view.reference(instrument).map_or(10_000, |price| price.0);
        match (self.random.below(14), any) {
            (0..5, _) => {
                let spec = self.order(instrument, reference, view);
                intents.place(spec).map(|_| ())
            }
            (5 | 6, Some(id)) => {
                let price = Price(reference + self.random.between(-6, 6));
                let qty = Quantity(self.random.between(1, 12));
                intents.push(Intent::Replace { id, price, qty })
            }
            (7 | 8, Some(id)) => intents.push(Intent::Cancel { id }),
            (9, _) if self.random.chance(30) => {
                intents.push(Intent::CancelAll { instrument: Some(instrument) })
            }
            (10, _) => {
                let name = format!("whim {}", self.random.below(3)).into();
                let at = view.now().plus(self.random.between(-1, 9) * Nanos::SECOND);
                let every_ns = self.random.chance(30).then_some(3 * Nanos::SECOND);
                intents.push(Intent::SetTimer { name, at, every_ns })
            }
            (11, _) => {
                let name = format!("whim {}", self.random.below(3)).into();
                intents.push(Intent::CancelTimer { name })
            }
            (12.., _) => {
                let key = format!("mind {}", self.random.below(5)).into();
                let value = match self.random.below(4) {
                    0 => Value::Nil,
                    1 => Value::Text("a word".into()),
                    _ => Value::Integer(self.random.between(-9, 9)),
                };
                intents.push(Intent::Remember { key, value })
            }
            _ => Ok(()),
        }
    }

    fn order(
        &mut self,
        instrument: tercel_core::InstrumentId,
        reference: i64,
        view: &View<'_>,
    ) -> OrderSpec {
        let side = if self.random.chance(50) { Side::Buy } else { Side::Sell };
        let near = Price(reference + self.random.between(-5, 5));
        let beyond = Price(reference + side.sign() * self.random.between(1, 8));
        let kind = match self.random.below(9) {
            0 => OrderKind::Market,
            1 => OrderKind::Stop { trigger: beyond },
            2 => OrderKind::StopLimit { trigger: beyond, price: near },
            _ => OrderKind::Limit { price: near },
        };
        let tif = match self.random.below(8) {
            0 => TimeInForce::Ioc,
            1 => TimeInForce::Gtd(view.now().plus(self.random.between(1, 20) * Nanos::SECOND)),
            _ => TimeInForce::Gtc,
        };
        OrderSpec {
            instrument,
            side,
            kind,
            qty: Quantity(self.random.between(0, 14)),
            tif,
            post_only: self.random.chance(10),
            reduce_only: self.random.chance(12),
        }
    }
}
