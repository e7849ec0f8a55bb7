//! Numbers of things.

/// The exchange's number of an order. Ascends over all symbols; never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OrderId(pub u64);

/// The exchange's number of an order list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ListId(pub u64);

/// The exchange's number of a conditional (algo) order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConditionalId(pub u64);

/// An account. Zero is the crowd, which is everybody who has no key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AccountId(pub u32);

impl AccountId {
    /// Everybody else: the market. Its money is not counted and its orders have no records.
    pub const CROWD: Self = Self(0);

    /// Returns the account at a place in the exchange's list.
    pub(crate) fn of_index(idx: usize) -> Self {
        Self(u32::try_from(idx).expect("an exchange has fewer than four billion accounts"))
    }
}

/// A symbol's place in the list of symbols.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MarketId(pub usize);
