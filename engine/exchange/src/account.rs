//! Accounts: balances, positions, orders.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::fixed::Fixed;
use crate::ids::{ConditionalId, ListId, MarketId, OrderId};
use crate::order::{Fill, PositionSide};

/// What an account has of one asset.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Balance {
    /// Free to use.
    pub free: Fixed,
    /// Locked by open orders.
    pub locked: Fixed,
}

impl Balance {
    /// Returns both together.
    #[must_use]
    pub fn total(self) -> Fixed {
        self.free + self.locked
    }
}

/// A position in a perpetual.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Position {
    /// Quantity, negative when short.
    pub qty: Fixed,
    /// Average price of what is open.
    pub entry: Fixed,
    /// Paid for what is open, so that averages do not lose units: positive for longs.
    pub cost: Fixed,
    /// What closing parts of it earned so far, without fees.
    pub realized: Fixed,
    /// Margin set aside, if the symbol is isolated.
    pub isolated_margin: Fixed,
    /// When it last changed, in nanoseconds since 1970.
    pub updated_at: i64,
}

impl Position {
    /// Returns what closing it at a price would earn.
    #[must_use]
    pub fn unrealized(&self, mark: Fixed) -> Fixed {
        self.qty.times_floor(mark) - self.cost
    }

    /// Changes the position by a trade and returns what it earned. `qty` is signed.
    ///
    /// The price of what remains after a part is closed is the old average; a trade through zero
    /// opens the rest at its own price.
    pub fn trade(&mut self, qty: Fixed, price: Fixed) -> Fixed {
        let (before, opposite) = (self.qty, self.qty.units().signum() * qty.units().signum() < 0);
        if !opposite {
            self.qty += qty;
            self.cost += qty.times_floor(price);
            self.entry = self.cost.over_floor(self.qty);
            return Fixed::ZERO;
        }
        let closing = if qty.abs() < before.abs() { qty } else { -before };
        let cost_of_closed =
            if closing == -before { self.cost } else { self.cost.share_floor(-closing, before) };
        let earned = (-closing).times_floor(price) - cost_of_closed;
        self.qty += closing;
        self.cost -= cost_of_closed;
        self.realized += earned;
        if self.qty.is_zero() {
            self.entry = Fixed::ZERO;
            let rest = qty - closing;
            if !rest.is_zero() {
                self.qty = rest;
                self.cost = rest.times_floor(price);
                self.entry = price;
            }
        }
        earned
    }
}

/// An account's settings for one perpetual.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MarketSettings {
    /// Value of a position over its margin.
    pub leverage: i64,
    /// Whether each position has a margin of its own.
    pub is_isolated: bool,
}

impl Default for MarketSettings {
    fn default() -> Self {
        Self { leverage: 20, is_isolated: false }
    }
}

/// An account: what it owns, what it has asked for, what it has done.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Assets; for perpetuals `free` is the wallet.
    pub balances: BTreeMap<String, Balance>,
    /// Positions that are open or have been.
    pub positions: BTreeMap<(MarketId, PositionSide), Position>,
    /// Settings that differ from the default.
    pub settings: BTreeMap<MarketId, MarketSettings>,
    /// Whether long and short are separate positions.
    pub is_hedged: bool,
    /// Open orders.
    pub open: BTreeSet<OrderId>,
    /// Open lists.
    pub open_lists: BTreeSet<ListId>,
    /// Conditional orders that wait.
    pub open_conditionals: BTreeSet<ConditionalId>,
    /// Latest trades, the oldest first.
    pub fills: VecDeque<Fill>,
    /// When a balance last changed, in nanoseconds since 1970.
    pub updated_at: i64,
    /// Income that is not a trade's: funding.
    pub funding: Fixed,
}

impl Account {
    /// Trades that an account remembers.
    pub const FILLS_MAX: usize = 50_000;

    /// Returns what the account has of an asset.
    #[must_use]
    pub fn balance(&self, asset: &str) -> Balance {
        self.balances.get(asset).copied().unwrap_or_default()
    }

    /// Returns the account's settings for a perpetual.
    #[must_use]
    pub fn settings_of(&self, market: MarketId) -> MarketSettings {
        self.settings.get(&market).copied().unwrap_or_default()
    }

    /// Returns a position; an empty one where there is none.
    #[must_use]
    pub fn position(&self, market: MarketId, side: PositionSide) -> Position {
        self.positions.get(&(market, side)).copied().unwrap_or_default()
    }

    pub(crate) fn balance_mut(&mut self, asset: &str) -> &mut Balance {
        if !self.balances.contains_key(asset) {
            self.balances.insert(asset.to_owned(), Balance::default());
        }
        self.balances.get_mut(asset).expect("inserted above")
    }

    pub(crate) fn remember(&mut self, fill: Fill) {
        if self.fills.len() == Self::FILLS_MAX {
            self.fills.pop_front();
        }
        self.fills.push_back(fill);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_trade_through_zero_opens_the_rest_at_its_own_price() {
        let mut position = Position::default();
        assert_eq!(position.trade(Fixed::whole(2), Fixed::whole(100)), Fixed::ZERO);
        assert_eq!(position.trade(Fixed::whole(2), Fixed::whole(110)), Fixed::ZERO);
        assert_eq!(position.entry, Fixed::whole(105));
        assert_eq!(position.trade(Fixed::whole(-1), Fixed::whole(115)), Fixed::whole(10));
        assert_eq!(position.trade(Fixed::whole(-5), Fixed::whole(100)), Fixed::whole(-15));
        assert_eq!((position.qty, position.entry), (Fixed::whole(-2), Fixed::whole(100)));
        assert_eq!(position.unrealized(Fixed::whole(90)), Fixed::whole(20));
    }

    proptest! {
        /// What is earned and what is still open add up to what was paid and received: no unit
        /// gets lost in an average.
        #[test]
        fn earnings_are_the_money_that_moved(
            trades in prop::collection::vec((-50_i64..50, 1_i64..1_000), 1..60)
        ) {
            let mut position = Position::default();
            let (mut earned, mut paid) = (Fixed::ZERO, Fixed::ZERO);
            for (qty, price) in trades {
                let (qty, price) = (Fixed::from_units(i128::from(qty) * 1_000), Fixed::whole(price));
                earned += position.trade(qty, price);
                paid += qty.times_floor(price);
            }
            prop_assert_eq!(earned, position.cost - paid);
            prop_assert_eq!(position.realized, earned);
            if position.qty.is_zero() {
                prop_assert_eq!(position.cost, Fixed::ZERO);
            }
        }
    }
}
