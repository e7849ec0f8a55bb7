//! What a strategy wishes: the only thing that it can give back.

use std::sync::Arc;

use crate::ids::{ClientOrderId, InstrumentId, PlotId};
use crate::num::{Nanos, Price, Quantity};
use crate::order::OrderSpec;
use crate::value::Value;

/// A wish of a strategy.
#[derive(Clone, PartialEq, Debug)]
pub enum Intent {
    /// Places an order under the id that the strategy was promised.
    Place {
        /// The next order id of the engine plus the number of orders placed before in this call.
        id: ClientOrderId,
        /// The order.
        spec: OrderSpec,
    },
    /// Changes price and total quantity of a working order.
    Replace {
        /// The order.
        id: ClientOrderId,
        /// New limit price.
        price: Price,
        /// New total quantity, what is filled included.
        qty: Quantity,
    },
    /// Withdraws an order.
    Cancel {
        /// The order.
        id: ClientOrderId,
    },
    /// Withdraws all of the strategy's orders, or those of one instrument.
    CancelAll {
        /// Which instrument; `None` for all.
        instrument: Option<InstrumentId>,
    },
    /// An order whose price or quantity is not on the grid: refused by risk, so that the script
    /// hears of it like of every other refusal. It uses up an order id as `Place` does.
    Unrepresentable {
        /// The promised id.
        id: ClientOrderId,
        /// The instrument asked for.
        instrument: InstrumentId,
    },
    /// Sets a timer, replacing the one of the same name.
    SetTimer {
        /// The strategy's name for it.
        name: Arc<str>,
        /// When it fires.
        at: Nanos,
        /// After how long it fires again; `None` for once.
        every_ns: Option<i64>,
    },
    /// Removes a timer.
    CancelTimer {
        /// The strategy's name for it.
        name: Arc<str>,
    },
    /// Keeps a value across reloads and restarts; [`Value::Nil`] forgets.
    Remember {
        /// Its key.
        key: Arc<str>,
        /// The value.
        value: Value,
    },
    /// Writes a line to the log.
    Log {
        /// The line.
        text: String,
    },
    /// Names a series of the report, before its first point.
    NamePlot {
        /// The series.
        plot: PlotId,
        /// What people call it.
        name: Arc<str>,
    },
    /// Adds a point to a series of the report. By number, because strategies draw on every bar.
    Draw {
        /// The series.
        plot: PlotId,
        /// The point, as the bits of an `f64`.
        value_bits: u64,
    },
    /// Puts a marker into the report.
    Mark {
        /// The marker's label.
        label: Arc<str>,
        /// Where, as the bits of an `f64` price.
        price_bits: u64,
    },
}

/// The wishes of one call, in order. Dropped whole if the call fails.
///
/// One pointer, because script hosts swap it in and out on every call.
#[derive(Debug)]
pub struct Intents(Box<List>);

#[derive(Debug)]
struct List {
    items: Vec<Intent>,
    capacity: usize,
    n_placed: u64,
    next_order_id: ClientOrderId,
}

/// The call has given as many intents as it may.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("more than {limit} intents in one call")]
pub struct TooManyIntents {
    /// The limit.
    pub limit: usize,
}

impl Intents {
    /// Returns an empty list that takes at most `capacity` intents a call. Allocates here only.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Box::new(List {
            items: Vec::with_capacity(capacity),
            capacity,
            n_placed: 0,
            next_order_id: ClientOrderId(0),
        }))
    }

    /// Adds an intent.
    ///
    /// # Errors
    ///
    /// If the call's limit is reached; the intent is not added.
    pub fn push(&mut self, intent: Intent) -> Result<(), TooManyIntents> {
        if self.0.items.len() >= self.0.capacity {
            return Err(TooManyIntents { limit: self.0.capacity });
        }
        self.0.items.push(intent);
        Ok(())
    }

    /// Adds an order and returns the id that it will have.
    ///
    /// # Errors
    ///
    /// If the call's limit is reached.
    pub fn place(&mut self, spec: OrderSpec) -> Result<ClientOrderId, TooManyIntents> {
        let id = self.0.next_order_id.plus(self.0.n_placed);
        self.push(Intent::Place { id, spec })?;
        self.0.n_placed += 1;
        Ok(id)
    }

    /// Adds an order that cannot be expressed in ticks and lots; it will be refused under the
    /// returned id with [`crate::RiskReject::Precision`].
    ///
    /// # Errors
    ///
    /// If the call's limit is reached.
    pub fn place_unrepresentable(
        &mut self,
        instrument: InstrumentId,
    ) -> Result<ClientOrderId, TooManyIntents> {
        let id = self.0.next_order_id.plus(self.0.n_placed);
        self.push(Intent::Unrepresentable { id, instrument })?;
        self.0.n_placed += 1;
        Ok(id)
    }

    /// Returns how many intents a call may give.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.0.capacity
    }

    /// Returns how many intents the call has given.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.items.len()
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.items.is_empty()
    }

    /// Returns the intents given so far.
    #[must_use]
    pub fn as_slice(&self) -> &[Intent] {
        &self.0.items
    }

    /// Empties the list for the next call, whose first order will have the id `next_order_id`.
    #[inline]
    pub fn begin(&mut self, next_order_id: ClientOrderId) {
        let list = &mut *self.0;
        if !list.items.is_empty() {
            list.items.clear();
        }
        list.n_placed = 0;
        list.next_order_id = next_order_id;
    }

    /// Returns the id that the next order of the call will have.
    #[must_use]
    pub const fn next_order_id(&self) -> ClientOrderId {
        self.0.next_order_id.plus(self.0.n_placed)
    }

    /// Returns how many order ids the call has used up.
    pub(crate) const fn n_placed(&self) -> u64 {
        self.0.n_placed
    }

    /// Takes the intents out, to be given back empty.
    pub(crate) fn take(&mut self) -> Vec<Intent> {
        std::mem::take(&mut self.0.items)
    }

    /// Takes the list back, for its allocation.
    pub(crate) fn give_back(&mut self, items: Vec<Intent>) {
        debug_assert!(items.is_empty(), "what was not taken would be taken twice");
        self.0.items = items;
    }
}
