//! The functions of a script that the host calls.

use std::fmt;

use crate::tree::Tree;

/// A function that a script may define.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Hook {
    /// The strategy begins.
    Init,
    /// The book's best quote or depth changed.
    Book,
    /// A trade was printed.
    Trade,
    /// A bar closed.
    Bar,
    /// An order changed without a fill.
    Order,
    /// An order traded.
    Fill,
    /// A timer fired.
    Timer,
    /// A message came from outside.
    Signal,
    /// The strategy begins in place of an older version of itself.
    Reload,
    /// The strategy ends.
    Stop,
}

impl Hook {
    /// All hooks, in the order of a strategy's life.
    pub const ALL: [Self; 10] = [
        Self::Init,
        Self::Book,
        Self::Trade,
        Self::Bar,
        Self::Order,
        Self::Fill,
        Self::Timer,
        Self::Signal,
        Self::Reload,
        Self::Stop,
    ];

    /// Returns the name of the script's function.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Init => "on_init",
            Self::Book => "on_book",
            Self::Trade => "on_trade",
            Self::Bar => "on_bar",
            Self::Order => "on_order",
            Self::Fill => "on_fill",
            Self::Timer => "on_timer",
            Self::Signal => "on_signal",
            Self::Reload => "on_reload",
            Self::Stop => "on_stop",
        }
    }
}

/// A set of hooks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Hooks(u16);

impl Hooks {
    /// Adds a hook.
    pub const fn insert(&mut self, hook: Hook) {
        self.0 |= 1 << hook as u16;
    }

    /// Returns whether the hook is in the set.
    #[must_use]
    pub const fn contains(self, hook: Hook) -> bool {
        self.0 & (1 << hook as u16) != 0
    }

    /// Returns whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the hooks in the order of [`Hook::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Hook> {
        Hook::ALL.into_iter().filter(move |hook| self.contains(*hook))
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl FromIterator<Hook> for Hooks {
    fn from_iter<I: IntoIterator<Item = Hook>>(hooks: I) -> Self {
        let mut set = Self::default();
        hooks.into_iter().for_each(|hook| set.insert(hook));
        set
    }
}

/// One call of a hook with its arguments, which are those of the API table in the same order.
///
/// Numbers are plain floats in units of the instrument: passing them costs a few nanoseconds, where
/// a table would cost a hundred.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum HookCall<'a> {
    /// `on_init()`.
    Init,
    /// `on_book(bid, bid_qty, ask, ask_qty)`; a missing side is NaN with quantity 0.
    Book {
        /// Best bid.
        bid: f64,
        /// Quantity at the best bid.
        bid_qty: f64,
        /// Best ask.
        ask: f64,
        /// Quantity at the best ask.
        ask_qty: f64,
    },
    /// `on_trade(price, qty, side, time)`.
    Trade {
        /// Price.
        price: f64,
        /// Quantity.
        qty: f64,
        /// Side of the taker: 1, -1, or 0 where the venue does not say.
        side: f64,
        /// Venue time in milliseconds.
        time: f64,
    },
    /// `on_bar(open, high, low, close, volume, time)`.
    Bar {
        /// First price.
        open: f64,
        /// Highest price.
        high: f64,
        /// Lowest price.
        low: f64,
        /// Last price.
        close: f64,
        /// Quantity traded.
        volume: f64,
        /// Opening time in milliseconds.
        time: f64,
    },
    /// `on_order(id, status, reason)`.
    Order {
        /// The order's number.
        id: f64,
        /// What happened, in snake case.
        status: &'static str,
        /// Why, in snake case; empty where there is no reason to give.
        reason: &'static str,
    },
    /// `on_fill(id, side, price, qty, fee, role)`.
    Fill {
        /// The order's number.
        id: f64,
        /// 1 for a buy, -1 for a sell.
        side: f64,
        /// Price.
        price: f64,
        /// Quantity.
        qty: f64,
        /// Fee paid in the fee's asset; negative is a rebate.
        fee: f64,
        /// `maker` or `taker`.
        role: &'static str,
    },
    /// `on_timer(name)`.
    Timer {
        /// The timer's name.
        name: &'a str,
    },
    /// `on_signal(name, text)`.
    Signal {
        /// What the message is called.
        name: &'a str,
        /// What it says.
        text: &'a str,
    },
    /// `on_reload(old_state)`.
    Reload {
        /// All that was remembered, by key.
        old_state: &'a Tree,
    },
    /// `on_stop()`.
    Stop,
}

impl HookCall<'_> {
    /// Returns which hook is called.
    #[must_use]
    pub const fn hook(&self) -> Hook {
        match self {
            Self::Init => Hook::Init,
            Self::Book { .. } => Hook::Book,
            Self::Trade { .. } => Hook::Trade,
            Self::Bar { .. } => Hook::Bar,
            Self::Order { .. } => Hook::Order,
            Self::Fill { .. } => Hook::Fill,
            Self::Timer { .. } => Hook::Timer,
            Self::Signal { .. } => Hook::Signal,
            Self::Reload { .. } => Hook::Reload,
            Self::Stop => Hook::Stop,
        }
    }
}
