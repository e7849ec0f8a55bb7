//! What is counted per scope (strategy, account, engine): positions, exposures, rates, the day.

use std::collections::VecDeque;

use crate::digest::Digest;
use crate::event::Scope;
use crate::ids::InstrumentId;
use crate::image::{Counts, ImageError, ScopeImage, ensure};
use crate::instrument::Instrument;
use crate::limits::{RiskLimits, TradingState};
use crate::num::{Nanos, Notional, Price, Quantity, Side};
use crate::position::Position;
use crate::state::{Exposure, Market};

/// Positions, exposures, counters and limits of one scope.
#[derive(Clone, Debug)]
pub struct ScopeState {
    /// Which scope this is.
    pub id: Scope,
    /// What it may do.
    pub state: TradingState,
    /// Whether it was halted in a way that leaves open orders where they are.
    pub keeps_orders: bool,
    /// Whether what its strategies hold is to be closed: from a flatten on, until it trades again or is
    /// halted.
    pub flattens: bool,
    /// Its limits.
    pub limits: RiskLimits,
    /// Its net position in each instrument.
    pub positions: Vec<Position>,
    /// Its worst case in each instrument.
    pub exposures: Vec<Exposure>,
    /// Sum of the exposures' worst notionals, each as of its instrument's last order or fill: at the
    /// market's price of that moment, or at the order's if that was higher.
    pub gross: Notional,
    /// Working orders.
    pub open_orders: u32,
    /// What the current UTC day has seen.
    pub today: Day,
    /// When it last had a fill.
    pub last_fill_at: Option<Nanos>,
    /// Highest profit so far.
    pub pnl_max: Notional,
    /// Realised profit after fees and funding, in quote at the prices of the time.
    pub net_realised: Notional,
    /// When the last orders were sent, as many as the limit per second allows.
    recent: VecDeque<Nanos>,
}

/// Counts of a UTC day.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Day {
    /// Which day, counted from 1970-01-01.
    pub number: i64,
    /// Orders and replaces sent.
    pub orders: u32,
    /// Cancels and replaces sent.
    pub cancels: u32,
    /// Fills had.
    pub fills: u32,
    /// Profit at the day's first event that was counted, or when all that is held had a price at first;
    /// `None` until then.
    pub pnl_open: Option<Notional>,
}

impl ScopeState {
    /// Returns a fresh scope over `n_instruments`.
    #[must_use]
    pub fn new(id: Scope, n_instruments: usize, limits: RiskLimits) -> Self {
        let mut scope = Self {
            id,
            state: TradingState::Active,
            keeps_orders: false,
            flattens: false,
            limits: RiskLimits::default(),
            positions: vec![Position::default(); n_instruments],
            exposures: vec![Exposure::default(); n_instruments],
            gross: Notional::ZERO,
            open_orders: 0,
            today: Day::default(),
            last_fill_at: None,
            pnl_max: Notional::ZERO,
            net_realised: Notional::ZERO,
            recent: VecDeque::new(),
        };
        scope.set_limits(limits);
        scope
    }

    /// Replaces the limits; what was counted stays counted.
    pub fn set_limits(&mut self, limits: RiskLimits) {
        let capacity = limits.orders_per_second.map_or(0, |n| n as usize);
        while self.recent.len() > capacity {
            self.recent.pop_front();
        }
        self.limits = limits;
        self.make_room();
    }

    /// Returns whether it is halted in a way that leaves no order open.
    #[must_use]
    pub fn withdraws_orders(&self) -> bool {
        self.state == TradingState::Halted && !self.keeps_orders
    }

    /// Returns the scope as plain data.
    pub(crate) fn image(&self) -> ScopeImage {
        let Self {
            id: _,
            state,
            keeps_orders,
            flattens,
            limits,
            positions,
            exposures,
            gross,
            open_orders,
            today,
            last_fill_at,
            pnl_max,
            net_realised,
            recent,
        } = self;
        ScopeImage {
            state: *state,
            keeps_orders: *keeps_orders,
            flattens: *flattens,
            limits: limits.clone(),
            positions: positions.clone(),
            exposures: exposures.clone(),
            gross: *gross,
            open_orders: *open_orders,
            today: *today,
            last_fill_at: *last_fill_at,
            pnl_max: *pnl_max,
            net_realised: *net_realised,
            recent: recent.iter().copied().collect(),
        }
    }

    /// Returns the scope that an image is of.
    pub(crate) fn from_image(
        image: ScopeImage,
        id: Scope,
        index: usize,
        counts: &Counts,
    ) -> Result<Self, ImageError> {
        let ScopeImage {
            state,
            keeps_orders,
            flattens,
            limits,
            positions,
            exposures,
            gross,
            open_orders,
            today,
            last_fill_at,
            pnl_max,
            net_realised,
            recent,
        } = image;
        let part = match id {
            Scope::Strategy(_) => "scope of strategy",
            Scope::Account(_) => "scope of account",
            Scope::Engine => "scope of the engine",
        };
        let n_instruments = usize::from(counts.instruments);
        let fits = positions.len() == n_instruments && exposures.len() == n_instruments;
        ensure(fits, part, index, "not one position and exposure an instrument")?;
        let most = limits.orders_per_second.map_or(0, |n| n as usize);
        ensure(recent.len() <= most, part, index, "more sendings than its limit looks at")?;
        #[cfg(feature = "sabotage")]
        let state = match crate::sabotage::is_planted(crate::sabotage::Bug::SnapshotLacksSwitches) {
            true => TradingState::Active,
            false => state,
        };
        Ok(Self {
            id,
            state,
            keeps_orders,
            flattens,
            limits,
            positions,
            exposures,
            gross,
            open_orders,
            today,
            last_fill_at,
            pnl_max,
            net_realised,
            recent: recent.into(),
        })
    }

    /// Makes room for as many sendings as the limit per second looks at.
    pub(crate) fn make_room(&mut self) {
        let capacity = self.limits.orders_per_second.map_or(0, |n| n as usize);
        self.recent.reserve_exact(capacity.saturating_sub(self.recent.len()));
    }

    /// Returns the worst-case quantity in an instrument if `buys` and `sells` were added to what
    /// is open: the larger distance from flat that fills in any order could lead to.
    #[must_use]
    pub fn worst_qty(&self, instrument: InstrumentId, buys: Quantity, sells: Quantity) -> Quantity {
        let position = self.positions[instrument.index()].qty.0;
        let exposure = &self.exposures[instrument.index()];
        let long = position.saturating_add(exposure.open_buys.0).saturating_add(buys.0);
        let short = position.saturating_sub(exposure.open_sells.0).saturating_sub(sells.0);
        Quantity(long.saturating_abs().max(short.saturating_abs()))
    }

    /// Returns whether an order of `side` could move the position away from flat, everything that
    /// is open on its side counted.
    #[must_use]
    pub fn could_grow(&self, instrument: InstrumentId, side: Side, qty: Quantity) -> bool {
        let position = self.positions[instrument.index()].qty.0;
        let exposure = &self.exposures[instrument.index()];
        let open = match side {
            Side::Buy => exposure.open_buys.0,
            Side::Sell => exposure.open_sells.0,
        };
        let closable = (-position * side.sign()).max(0);
        open.saturating_add(qty.0) > closable
    }

    /// Returns whether the limit of orders per second is used up at `now`: whether the oldest of
    /// as many orders as it allows was sent less than a second ago. O(1).
    #[must_use]
    pub fn is_pace_reached(&self, now: Nanos) -> bool {
        match self.limits.orders_per_second {
            None => false,
            Some(0) => true,
            Some(limit) => {
                self.recent.len() >= limit as usize
                    && self.recent.front().is_some_and(|at| now.since(*at) < Nanos::SECOND)
            }
        }
    }

    /// Returns the profit since the start in quote: realised and unrealised, after fees. What has no
    /// price counts as neither gained nor lost.
    #[must_use]
    pub fn pnl(&self, instruments: &[Instrument], markets: &[Market]) -> Notional {
        let held = self.held(instruments, markets);
        held.fold(self.net_realised, |pnl, (position, instrument, market)| {
            pnl + market.reference().map_or(Notional::ZERO, |at| floats(position, instrument, at))
        })
    }

    /// Returns the same, but `None` if something that is held has no price: what is left out would be
    /// taken for a loss or hide one.
    #[must_use]
    pub fn priced_pnl(&self, instruments: &[Instrument], markets: &[Market]) -> Option<Notional> {
        let mut held = self.held(instruments, markets);
        held.try_fold(self.net_realised, |pnl, (position, instrument, market)| {
            Some(pnl + floats(position, instrument, market.value()?))
        })
    }

    fn held<'a>(
        &'a self,
        instruments: &'a [Instrument],
        markets: &'a [Market],
    ) -> impl Iterator<Item = (&'a Position, &'a Instrument, &'a Market)> {
        let all = self.positions.iter().zip(instruments.iter().zip(markets));
        all.filter(|(position, _)| !position.qty.is_zero())
            .map(|(position, (instrument, market))| (position, instrument, market))
    }

    /// Begins a new UTC day if `now` lies in one, and notes its first profit as soon as that is known.
    pub(crate) fn roll_day(&mut self, now: Nanos, pnl: impl FnOnce(&Self) -> Option<Notional>) {
        let number = now.day();
        if number != self.today.number {
            self.today = Day { number, ..Day::default() };
        }
        if self.today.pnl_open.is_none() {
            self.today.pnl_open = pnl(self);
        }
    }

    /// Counts a sent order or replace.
    pub(crate) fn count_order(&mut self, now: Nanos) {
        self.today.orders = self.today.orders.saturating_add(1);
        if let Some(limit) = self.limits.orders_per_second {
            if self.recent.len() >= limit as usize {
                self.recent.pop_front();
            }
            if limit > 0 {
                self.recent.push_back(now);
            }
        }
    }

    /// Adds to what is open on a side, by orders at `price`, or takes from it, and values the worst
    /// case anew.
    pub(crate) fn change_open(
        &mut self,
        instrument: &Instrument,
        market: &Market,
        side: Side,
        delta: i64,
        price: Price,
    ) {
        let before = self.worst(instrument.id);
        let exposure = &mut self.exposures[instrument.id.index()];
        let open = match side {
            Side::Buy => &mut exposure.open_buys,
            Side::Sell => &mut exposure.open_sells,
        };
        open.0 += delta;
        debug_assert!(open.0 >= 0, "open quantity is what working orders can still trade");
        // What is over does not count at its price any more.
        let price = if delta > 0 { price } else { Price(0) };
        self.revalue(instrument, market, price, before);
    }

    /// Returns the worst case in an instrument: how much, and what that was worth when last valued.
    pub(crate) fn worst(&self, id: InstrumentId) -> (Quantity, Notional) {
        (self.worst_qty(id, Quantity(0), Quantity(0)), self.exposures[id.index()].worst)
    }

    /// Values the worst case of an instrument, which was another `before`: at its market's price, or at
    /// `price` if that is higher. An order far below the market must not make little of what is held.
    pub(crate) fn revalue(
        &mut self,
        instrument: &Instrument,
        market: &Market,
        price: Price,
        (qty_before, worth_before): (Quantity, Notional),
    ) {
        let (qty, _) = self.worst(instrument.id);
        let most = Notional(i128::MAX / 4);
        let worth = |price| instrument.notional(price, qty).unwrap_or(most).abs();
        let worst = match market.reference() {
            Some(reference) => worth(reference.max(price)),
            // No lot is worth less than before.
            None => worth(price).max(worth_before.share(qty.0, qty_before.0)).min(most),
        };
        let exposure = &mut self.exposures[instrument.id.index()];
        self.gross = self.gross - exposure.worst + worst;
        exposure.worst = worst;
    }

    /// Mixes the scope into `digest`.
    pub(crate) fn digest(&self, digest: &mut Digest) {
        digest.u64(self.state as u64);
        digest.u64(u64::from(self.keeps_orders));
        digest.u64(u64::from(self.flattens));
        for position in &self.positions {
            position.digest(digest);
        }
        for exposure in &self.exposures {
            digest.i64(exposure.open_buys.0);
            digest.i64(exposure.open_sells.0);
            digest.i128(exposure.worst.0);
        }
        for money in [self.gross, self.pnl_max, self.net_realised] {
            digest.i128(money.0);
        }
        digest.i128(self.today.pnl_open.map_or(i128::MIN, |pnl| pnl.0));
        for count in [self.open_orders, self.today.orders, self.today.cancels, self.today.fills] {
            digest.u64(u64::from(count));
        }
        digest.i64(self.today.number);
        digest.i64(self.last_fill_at.map_or(i64::MIN, |at| at.0));
        for at in &self.recent {
            digest.i64(at.0);
        }
    }
}

/// Returns what a position gains or loses at a price, in quote.
fn floats(position: &Position, instrument: &Instrument, at: Price) -> Notional {
    instrument.in_quote(position.unrealised(instrument, at), at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> ScopeState {
        let limits = RiskLimits { orders_per_second: Some(2), ..RiskLimits::default() };
        ScopeState::new(Scope::Engine, 1, limits)
    }

    #[test]
    fn the_worst_case_counts_open_orders_on_each_side_alone() {
        let mut scope = scope();
        scope.positions[0].qty = Quantity(-5);
        scope.exposures[0].open_buys = Quantity(3);
        assert_eq!(scope.worst_qty(InstrumentId(0), Quantity(0), Quantity(0)), Quantity(5));
        assert_eq!(scope.worst_qty(InstrumentId(0), Quantity(9), Quantity(0)), Quantity(7));
        assert!(!scope.could_grow(InstrumentId(0), Side::Buy, Quantity(2)));
        assert!(scope.could_grow(InstrumentId(0), Side::Buy, Quantity(3)));
        assert!(scope.could_grow(InstrumentId(0), Side::Sell, Quantity(1)));
    }

    #[test]
    fn the_rate_window_slides() {
        let mut scope = scope();
        scope.count_order(Nanos(0));
        scope.count_order(Nanos(400_000_000));
        assert!(scope.is_pace_reached(Nanos(999_999_999)));
        assert!(!scope.is_pace_reached(Nanos(1_000_000_000)));
        scope.count_order(Nanos(1_000_000_000));
        assert!(scope.is_pace_reached(Nanos(1_399_999_999)));
        assert!(!scope.is_pace_reached(Nanos(1_400_000_000)));
    }
}
