//! A version that runs in the shadow of another: it sees what that one sees, and what it wishes is
//! compared and thrown away.

use std::cell::RefCell;
use std::fmt::Write;
use std::rc::Rc;

use tercel_core::{Intent, Intents, Strategy, StrategyEvent, StrategyFault, View};

use crate::directive::ShadowReport;

/// Differences that are kept in words.
const N_TOLD: usize = 20;

/// Both versions, held by the loop and by the strategy in the engine.
#[derive(Clone)]
pub(crate) struct Shadow(Rc<RefCell<Pair>>);

struct Pair {
    running: Box<dyn Strategy>,
    shadow: Box<dyn Strategy>,
    /// What the shadow wishes, from its first event on: as much as the running version may.
    wishes: Option<Intents>,
    report: ShadowReport,
}

impl Shadow {
    /// Returns both as one strategy. The shadow begins with the first event that comes.
    pub(crate) fn new(running: Box<dyn Strategy>, shadow: Box<dyn Strategy>) -> Self {
        let report = ShadowReport::default();
        Self(Rc::new(RefCell::new(Pair { running, shadow, wishes: None, report })))
    }

    /// Returns how many events both have seen.
    pub(crate) fn n_events(&self) -> u64 {
        self.0.borrow().report.n_events
    }

    /// Returns whether the shadow has failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.0.borrow().report.fault.is_some()
    }

    /// Ends the shadow run: returns the running version and what was seen.
    pub(crate) fn end(self) -> (Box<dyn Strategy>, ShadowReport) {
        let mut pair = self.0.borrow_mut();
        let running = std::mem::replace(&mut pair.running, Box::new(Nobody));
        (running, std::mem::take(&mut pair.report))
    }
}

impl Strategy for Shadow {
    fn on_event(
        &mut self,
        event: &StrategyEvent<'_>,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyFault> {
        let pair = &mut *self.0.borrow_mut();
        let next_order_id = intents.next_order_id();
        let result = pair.running.on_event(event, view, intents);
        pair.follow(event, view, next_order_id, intents);
        result
    }
}

impl Pair {
    fn follow(
        &mut self,
        event: &StrategyEvent<'_>,
        view: &View<'_>,
        next_order_id: tercel_core::ClientOrderId,
        wished: &Intents,
    ) {
        if self.report.fault.is_some() {
            return;
        }
        let has_begun = self.wishes.is_some();
        let wishes = self.wishes.get_or_insert_with(|| Intents::with_capacity(wished.capacity()));
        if !has_begun {
            wishes.begin(next_order_id);
            if let Err(fault) = self.shadow.on_event(&StrategyEvent::Start, view, wishes) {
                self.report.fault = Some(fault.to_string());
                return;
            }
        }
        wishes.begin(next_order_id);
        if let Err(fault) = self.shadow.on_event(event, view, wishes) {
            self.report.fault = Some(fault.to_string());
            return;
        }
        self.report.n_events += 1;
        let (wishes, wished) = (wishes.as_slice(), wished.as_slice());
        if wishes != wished {
            self.report.n_different += 1;
            if self.report.differences.len() < N_TOLD {
                self.report.differences.push(tell(event, wished, wishes));
            }
        }
    }
}

fn tell(event: &StrategyEvent<'_>, running: &[Intent], shadow: &[Intent]) -> String {
    let mut text = format!("{event:?}: ");
    let same = running.iter().zip(shadow).take_while(|(a, b)| a == b).count();
    // Writing to a string does not fail.
    let _ = write!(text, "running {:?}, shadow {:?}", running.get(same), shadow.get(same));
    text
}

/// Returns a strategy that does nothing: it keeps the place of one that is to take over.
#[must_use]
pub fn placeholder() -> Box<dyn Strategy> {
    Box::new(Nobody)
}

/// Stands where nobody is called any more.
pub(crate) struct Nobody;

impl Strategy for Nobody {
    fn on_event(
        &mut self,
        _event: &StrategyEvent<'_>,
        _view: &View<'_>,
        _intents: &mut Intents,
    ) -> Result<(), StrategyFault> {
        Ok(())
    }
}
