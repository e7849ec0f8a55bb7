//! Strategies that wish what was recorded, where those that did cannot be executed again.
//!
//! What a script keeps to itself is in no snapshot: beyond a hole in the record nobody knows it. Until
//! its next version takes over, its wishes are taken from the record; risk, orders, positions and
//! states are still computed, and compared.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use tercel_core::{
    ClientOrderId, Effect, Intent, Intents, Notice, OrderRequest, Strategy, StrategyEvent,
    StrategyFault, StrategyId, View,
};
use tercel_store::journal::RecordedEffect;

use super::is_same;

/// What was recorded of the event that is executed, and who repeats it.
#[derive(Clone, Default)]
pub(super) struct Repeaters {
    /// The recorded effects; each is taken once.
    wishes: Rc<RefCell<Vec<Option<RecordedEffect>>>>,
    who: BTreeSet<StrategyId>,
}

impl Repeaters {
    /// Puts a repeater in each strategy's place.
    pub(super) fn replace(&mut self, n_strategies: usize) -> Vec<Box<dyn Strategy>> {
        self.who = (0..).map(StrategyId).take(n_strategies).collect();
        let one = |_| -> Box<dyn Strategy> { Box::new(Repeater(Rc::clone(&self.wishes))) };
        (0..n_strategies).map(one).collect()
    }

    /// A script has taken a strategy's place.
    pub(super) fn leave(&mut self, strategy: StrategyId) {
        self.who.remove(&strategy);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.who.is_empty()
    }

    /// Tells what was recorded of the next event.
    pub(super) fn load(&self, expected: &[RecordedEffect]) {
        if !self.who.is_empty() {
            *self.wishes.borrow_mut() = expected.iter().cloned().map(Some).collect();
        }
    }

    /// Returns the first recorded effect that did not come and the first that came unrecorded, if there
    /// is either. Refusals do not count, as the record does not tell what was refused, and neither does
    /// the order, as a repeater wishes all that it has at once.
    pub(super) fn mismatch<'a>(
        &self,
        expected: &'a [RecordedEffect],
        got: &'a [Effect],
    ) -> Option<(Option<&'a RecordedEffect>, Option<&'a Effect>)> {
        let is_refusal = |notice: &Notice| match notice {
            Notice::RiskReject { strategy, .. } => self.who.contains(strategy),
            _ => false,
        };
        let mut left: Vec<_> = got
            .iter()
            .filter(|own| !matches!(own, Effect::Notice(notice) if is_refusal(notice)))
            .collect();
        let mut missing = expected
            .iter()
            .filter(|own| !matches!(own, RecordedEffect::Notice(notice) if is_refusal(notice)))
            .filter(|recorded| {
                let place = left.iter().position(|effect| is_same(recorded, effect));
                place.map(|n| left.remove(n)).is_none()
            });
        let first_missing = missing.next();
        missing.for_each(drop);
        let first_left = left.first().copied();
        (first_missing.is_some() || first_left.is_some()).then_some((first_missing, first_left))
    }
}

/// Wishes what the record says that its strategy has wished.
struct Repeater(Rc<RefCell<Vec<Option<RecordedEffect>>>>);

impl Strategy for Repeater {
    fn on_event(
        &mut self,
        _event: &StrategyEvent<'_>,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyFault> {
        for place in self.0.borrow_mut().iter_mut() {
            let Some(effect) = &*place else { continue };
            match wish(effect, view, intents) {
                Wish::None => continue,
                Wish::Later => return Ok(()),
                // What came before it was of an earlier call, which this one stands for as well.
                Wish::Fault(_) if !intents.is_empty() => return Ok(()),
                Wish::Fault(fault) => {
                    *place = None;
                    return Err(fault);
                }
                Wish::Given => {}
                Wish::Intent(intent) => {
                    // As many fit as fitted when it was recorded; a refused one differs by itself.
                    let _too_many = intents.push(intent).is_err();
                }
            }
            *place = None;
        }
        Ok(())
    }
}

/// What an effect says that a strategy wished.
enum Wish {
    /// Nothing, or it was another's.
    None,
    /// It was approved, and would not be now: a later call of the event wished it, and what follows.
    Later,
    /// An order, which has been given.
    Given,
    Intent(Intent),
    Fault(StrategyFault),
}

/// Returns whether a call has placed an order.
fn is_new(order: ClientOrderId, intents: &Intents) -> bool {
    let mut placed = intents.as_slice().iter();
    placed.any(|intent| matches!(intent, Intent::Place { id, .. } if *id == order))
}

fn wish(effect: &RecordedEffect, view: &View<'_>, intents: &mut Intents) -> Wish {
    let is_own = |strategy: &StrategyId| *strategy == view.strategy();
    let given = |is_given: bool| if is_given { Wish::Given } else { Wish::None };
    match effect {
        // Orders of another number are the engine's own, such as those that close positions.
        RecordedEffect::Send(OrderRequest::New { id, strategy, spec, .. }) => {
            if !is_own(strategy) || *id != intents.next_order_id() {
                Wish::None
            } else if view.is_live(spec.instrument) {
                given(intents.place(*spec).is_ok())
            } else {
                Wish::Later
            }
        }
        RecordedEffect::Send(OrderRequest::Replace { id, price, qty, .. }) => {
            match view.order(*id) {
                Some(order) if !view.is_live(order.spec.instrument) => Wish::Later,
                None if !is_new(*id, intents) => Wish::None,
                _ => Wish::Intent(Intent::Replace { id: *id, price: *price, qty: *qty }),
            }
        }
        RecordedEffect::Send(OrderRequest::Cancel { id, .. }) => match view.order(*id) {
            // The engine has seen to it already.
            Some(order) if order.pending.cancel => Wish::None,
            None if !is_new(*id, intents) => Wish::None,
            _ => Wish::Intent(Intent::Cancel { id: *id }),
        },
        // What was refused is not known, but it used up a number.
        RecordedEffect::Notice(Notice::RiskReject { strategy, order, .. }) => {
            let Some(instrument) = view.instruments().first() else { return Wish::None };
            let is_new = is_own(strategy) && *order == intents.next_order_id();
            given(is_new && intents.place_unrepresentable(*instrument).is_ok())
        }
        RecordedEffect::Remember { strategy, key, value } if is_own(strategy) => {
            Wish::Intent(Intent::Remember { key: key.clone(), value: value.clone() })
        }
        RecordedEffect::SetTimer { strategy, timer } if is_own(strategy) => {
            let (name, at, every_ns) = (timer.name.clone(), timer.at, timer.every_ns);
            Wish::Intent(Intent::SetTimer { name, at, every_ns })
        }
        RecordedEffect::CancelTimer { strategy, name } if is_own(strategy) => {
            Wish::Intent(Intent::CancelTimer { name: name.clone() })
        }
        RecordedEffect::Notice(Notice::Log { strategy, text }) if is_own(strategy) => {
            Wish::Intent(Intent::Log { text: text.clone() })
        }
        RecordedEffect::Notice(Notice::NamePlot { strategy, plot, name }) if is_own(strategy) => {
            Wish::Intent(Intent::NamePlot { plot: *plot, name: name.clone() })
        }
        RecordedEffect::Notice(Notice::Draw { strategy, plot, value_bits }) if is_own(strategy) => {
            Wish::Intent(Intent::Draw { plot: *plot, value_bits: *value_bits })
        }
        RecordedEffect::Notice(Notice::Mark { strategy, label, price_bits })
            if is_own(strategy) =>
        {
            Wish::Intent(Intent::Mark { label: label.clone(), price_bits: *price_bits })
        }
        RecordedEffect::Notice(Notice::Fault { strategy, fault }) if is_own(strategy) => {
            Wish::Fault(fault.clone())
        }
        RecordedEffect::Remember { .. }
        | RecordedEffect::SetTimer { .. }
        | RecordedEffect::CancelTimer { .. }
        | RecordedEffect::Notice(_)
        | RecordedEffect::Resync(_) => Wish::None,
    }
}
