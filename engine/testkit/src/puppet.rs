//! A strategy that a test pulls by strings.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use tercel_core::{
    ClientOrderId, Intent, Intents, OrderChange, OrderSpec, Quantity, Strategy, StrategyEvent,
    StrategyFault, View,
};

/// What a puppet has seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen {
    /// Its start.
    Start,
    /// New parameters.
    Params,
    /// A book.
    Book,
    /// A level.
    Level,
    /// A trade.
    Trade,
    /// A bar.
    Bar,
    /// An order's change.
    Order(ClientOrderId, OrderChange),
    /// A fill of so much.
    Fill(ClientOrderId, Quantity),
    /// A timer.
    Timer,
    /// A signal.
    Signal,
    /// Its stop.
    Stop,
}

/// The strings of a puppet: what it is to do at its next call, and what it saw.
#[derive(Clone, Debug, Default)]
pub struct Strings(Rc<RefCell<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    todo: VecDeque<Todo>,
    seen: Vec<Seen>,
    placed: Vec<ClientOrderId>,
}

#[derive(Debug)]
enum Todo {
    Place(OrderSpec),
    Intent(Intent),
    Fail(StrategyFault),
}

impl Strings {
    /// Returns a puppet on these strings.
    #[must_use]
    pub fn puppet(&self) -> Box<dyn Strategy> {
        Box::new(Puppet(self.clone()))
    }

    /// Lets the puppet place an order at its next call.
    pub fn place(&self, spec: OrderSpec) {
        self.0.borrow_mut().todo.push_back(Todo::Place(spec));
    }

    /// Lets the puppet give an intent at its next call.
    pub fn give(&self, intent: Intent) {
        self.0.borrow_mut().todo.push_back(Todo::Intent(intent));
    }

    /// Lets the puppet fail at its next call, after what it was to do before.
    pub fn fail(&self, fault: StrategyFault) {
        self.0.borrow_mut().todo.push_back(Todo::Fail(fault));
    }

    /// Returns what the puppet saw since the last time.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.0.borrow_mut().seen)
    }

    /// Returns the ids of the orders that it placed since the last time.
    #[must_use]
    pub fn placed(&self) -> Vec<ClientOrderId> {
        std::mem::take(&mut self.0.borrow_mut().placed)
    }
}

/// The strategy on the strings.
#[derive(Debug)]
pub struct Puppet(Strings);

impl Strategy for Puppet {
    fn on_event(
        &mut self,
        event: &StrategyEvent<'_>,
        _view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyFault> {
        let mut inner = self.0.0.borrow_mut();
        inner.seen.push(match event {
            StrategyEvent::Start => Seen::Start,
            StrategyEvent::Params(_) => Seen::Params,
            StrategyEvent::Book { .. } => Seen::Book,
            StrategyEvent::Level { .. } => Seen::Level,
            StrategyEvent::Trade { .. } => Seen::Trade,
            StrategyEvent::Bar { .. } => Seen::Bar,
            StrategyEvent::Order { order, change } => Seen::Order(*order, *change),
            StrategyEvent::Fill { order, fill, .. } => Seen::Fill(*order, fill.qty),
            StrategyEvent::Timer { .. } => Seen::Timer,
            StrategyEvent::Signal(_) => Seen::Signal,
            StrategyEvent::Stop => Seen::Stop,
        });
        // What a strategy that stood still was given meanwhile may be more than fits into one call.
        while let Some(todo) = inner.todo.pop_front() {
            let fits = match &todo {
                Todo::Place(spec) => {
                    let id = intents.place(*spec).ok();
                    inner.placed.extend(id);
                    id.is_some()
                }
                Todo::Intent(intent) => intents.push(intent.clone()).is_ok(),
                Todo::Fail(fault) => return Err(fault.clone()),
            };
            if !fits {
                inner.todo.push_front(todo);
                break;
            }
        }
        Ok(())
    }
}
