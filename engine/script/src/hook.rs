//! The functions of a script that the host calls.

use std::cell::Cell;
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

/// Most indicators that a script may bind.
pub const MAX_BOUND: usize = 8;

/// Most numbers that a hook takes.
const MAX_NUMBERS: usize = 6 + MAX_BOUND;

/// Numbers on their way to a hook.
///
/// They are written once and read where they lie: copying what was just written stalls the
/// processor for longer than all the rest of a call's preparation.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    values: [Cell<f64>; MAX_NUMBERS],
    len: Cell<usize>,
    /// From where on NaN means that there is no value yet.
    n_plain: Cell<usize>,
}

impl Numbers {
    /// Begins anew with numbers that are always there.
    #[inline]
    pub fn set<const N: usize>(&self, numbers: [f64; N]) {
        const { assert!(N <= MAX_NUMBERS) };
        for (place, number) in self.values.iter().zip(numbers) {
            place.set(number);
        }
        self.len.set(N);
        self.n_plain.set(N);
    }

    /// Adds a number that may not be there yet; those that find no place are left out.
    #[inline]
    pub fn push(&self, value: Option<f64>) {
        let len = self.len.get();
        if let Some(place) = self.values.get(len) {
            place.set(value.unwrap_or(f64::NAN));
            self.len.set(len + 1);
        }
    }

    /// Returns the numbers that are always there, and those that may not be: NaN for those.
    #[inline]
    #[must_use]
    pub fn parts(&self) -> (&[Cell<f64>], &[Cell<f64>]) {
        self.values[..self.len.get()].split_at(self.n_plain.get())
    }
}

/// One call of a hook with its arguments, which are those of the API table in the same order.
///
/// Numbers are plain floats in units of the instrument: passing them costs a few nanoseconds, where
/// a table would cost a hundred.
#[derive(Clone, Copy, Debug)]
pub enum HookCall<'a> {
    /// `on_init()`.
    Init,
    /// `on_book(bid, bid_qty, ask, ask_qty)`: best prices and the quantities there; a missing side
    /// is NaN with quantity 0.
    Book(&'a Numbers),
    /// `on_trade(price, qty, side, time)`: the side is the taker's, 1 or -1, or 0 where the venue
    /// does not say; the time is the venue's in milliseconds.
    Trade(&'a Numbers),
    /// `on_bar(open, high, low, close, volume, time, ...)`: the time is the opening's in
    /// milliseconds; the values of bound indicators follow.
    Bar(&'a Numbers),
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
            Self::Book(_) => Hook::Book,
            Self::Trade(_) => Hook::Trade,
            Self::Bar(_) => Hook::Bar,
            Self::Order { .. } => Hook::Order,
            Self::Fill { .. } => Hook::Fill,
            Self::Timer { .. } => Hook::Timer,
            Self::Signal { .. } => Hook::Signal,
            Self::Reload { .. } => Hook::Reload,
            Self::Stop => Hook::Stop,
        }
    }
}
