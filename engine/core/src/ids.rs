//! Dense identifiers: small numbers that index vectors, handed out by configuration order.

use std::fmt;

macro_rules! dense_id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        pub struct $name(pub $inner);

        impl $name {
            /// Returns the position in vectors indexed by this id.
            #[must_use]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

dense_id!(
    /// An instrument on one venue.
    InstrumentId(u16)
);
dense_id!(
    /// A trading venue.
    VenueId(u16)
);
dense_id!(
    /// An account at a venue.
    AccountId(u16)
);
dense_id!(
    /// A running strategy.
    StrategyId(u16)
);
dense_id!(
    /// A currency or token.
    AssetId(u16)
);
dense_id!(
    /// A bar series: one instrument at one bar specification.
    SeriesId(u16)
);
dense_id!(
    /// A plotted series of a strategy, by the number that the strategy has given it.
    PlotId(u16)
);

/// Our identifier of an order: unique for ever, deterministic, short enough for every venue.
///
/// The upper 24 bits are the run number, the lower 40 a counter within the run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ClientOrderId(pub u64);

impl ClientOrderId {
    const COUNTER_BITS: u32 = 40;

    /// Largest counter of a run.
    pub const COUNTER_MAX: u64 = (1 << Self::COUNTER_BITS) - 1;

    /// Returns the id with this run number (24 bits) and counter (40 bits).
    ///
    /// # Panics
    ///
    /// If either is out of its range: an id that wraps could recur.
    #[must_use]
    pub const fn new(run: u32, counter: u64) -> Self {
        assert!(run < 1 << 24, "run number exceeds 24 bits");
        assert!(counter < 1 << Self::COUNTER_BITS, "order counter exceeds 40 bits");
        Self(((run as u64) << Self::COUNTER_BITS) | counter)
    }

    /// Returns the id of an order of other origin that an account takes over: the `n`th, as the
    /// account counts them for ever. `None` for accounts beyond the 256th, which have no room in it.
    ///
    /// Such ids are those of run 0, which is never a run that trades at a venue.
    #[must_use]
    pub fn adopted(account: AccountId, n: u32) -> Option<Self> {
        let account = u8::try_from(account.0).ok()?;
        Some(Self((u64::from(account) << u32::BITS) | u64::from(n)))
    }

    /// Returns which of its account's adopted orders it is of, if it is one.
    #[must_use]
    pub const fn adopted_number(self) -> Option<u32> {
        #[expect(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
        if self.run() == 0 { Some(self.0 as u32) } else { None }
    }

    /// Returns the counter within the run.
    #[must_use]
    pub const fn counter(self) -> u64 {
        self.0 & Self::COUNTER_MAX
    }

    /// Returns the run number.
    #[must_use]
    pub const fn run(self) -> u64 {
        self.0 >> Self::COUNTER_BITS
    }

    /// Returns the id of the `n`th order after this one.
    #[must_use]
    pub const fn plus(self, n: u64) -> Self {
        Self(self.0 + n)
    }
}

impl fmt::Display for ClientOrderId {
    /// Writes `T<run>-<counter>`: letters, digits and a dash, at most 22 characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "T{}-{}", self.run(), self.counter())
    }
}
