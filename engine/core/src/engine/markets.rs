//! Market data: books, quotes, trades, bars, marks and funding.

use crate::bars::ClosedBars;
use crate::book::Level;
use crate::effect::{Effect, Effects, Notice, StaleCause};
use crate::engine::Engine;
use crate::event::{LinkEvent, LinkState};
use crate::ids::{InstrumentId, SeriesId, StrategyId};
use crate::market::{Bar, MarketData, MarketEvent};
use crate::num::{Nanos, Notional, Price};
use crate::state::{Market, Quote};
use crate::strategy::{Interest, StrategyEvent, Trade};

impl Engine {
    #[inline]
    pub(super) fn on_market(&mut self, now: Nanos, event: &MarketEvent, effects: &mut Effects) {
        let id = event.instrument;
        let market = &mut self.state.markets[id.index()];
        match event.data {
            MarketData::Level { side, price, qty, last } => {
                market.book.set(side, price, qty);
                if market.interest.level {
                    let event = StrategyEvent::Level { instrument: id, side, price, qty };
                    self.tell(id, &event, |interest| interest.level, now, effects);
                }
                if last {
                    self.end_of_list(id, now, effects);
                }
            }
            MarketData::Trade { aggressor, price, qty, id: trade_id } => {
                let trade = Trade { aggressor, price, qty, id: trade_id, at: event.venue_at };
                market.last_trade = Some(trade);
                let builds_bars = !market.has_bars && !market.series.is_empty();
                if market.interest.trade {
                    let event = StrategyEvent::Trade { instrument: id, trade };
                    self.tell(id, &event, |interest| interest.trade, now, effects);
                }
                if builds_bars {
                    self.feed_trade(id, &trade, now, effects);
                }
            }
            _ => self.on_rarer(now, event, effects),
        }
    }

    /// Takes what is not a level or a trade: apart, so that those cost no more than they must.
    #[inline(never)]
    fn on_rarer(&mut self, now: Nanos, event: &MarketEvent, effects: &mut Effects) {
        let id = event.instrument;
        let market = &mut self.state.markets[id.index()];
        match event.data {
            MarketData::Quote { bid_px, bid_qty, ask_px, ask_qty, seq } => {
                market.has_book = true;
                market.quote = Some(Quote {
                    bid: Level { price: bid_px, qty: bid_qty },
                    ask: Level { price: ask_px, qty: ask_qty },
                    seq,
                });
                self.price_changed(id, now, effects);
            }
            MarketData::Batch { prev, seq } => {
                market.has_book = true;
                if let Err(cause) = market.book.begin(prev, seq) {
                    stale(id, cause, effects);
                }
            }
            MarketData::Clear { seq } => {
                market.has_book = true;
                market.book.clear(seq);
            }
            MarketData::Bar { interval_ms, bar } => {
                self.on_bar(id, event.venue_at, interval_ms, &bar, now, effects);
            }
            MarketData::Mark { mark, .. } => {
                market.mark = Some(mark);
                self.watch_losses(now, effects);
            }
            MarketData::Funding { rate_e12 } => self.on_funding(id, rate_e12, now, effects),
            // Order-by-order feeds reach the engine as the levels that they add up to; levels and
            // trades are taken before.
            MarketData::BookOrder { .. } | MarketData::Level { .. } | MarketData::Trade { .. } => {}
        }
    }

    #[inline(never)]
    pub(super) fn on_link(&mut self, link: LinkEvent, effects: &mut Effects) {
        match link.state {
            LinkState::Up => {}
            LinkState::Down | LinkState::Gap => {
                for (instrument, market) in
                    self.state.instruments.iter().zip(&mut self.state.markets)
                {
                    let concerned = instrument.spec.venue == link.venue
                        && link.instrument.is_none_or(|id| id == instrument.id);
                    if concerned && market.has_book {
                        market.book.invalidate(StaleCause::Link);
                        market.quote = None;
                        stale(instrument.id, StaleCause::Link, effects);
                    }
                }
            }
        }
    }

    pub(super) fn close_due_bars(&mut self, now: Nanos, effects: &mut Effects) {
        for idx in 0..self.state.series.len() {
            let closed = self.state.series[idx].on_time(now);
            self.tell_bars(series_id(idx), &closed, now, effects);
        }
    }

    #[inline]
    fn end_of_list(&mut self, id: InstrumentId, now: Nanos, effects: &mut Effects) {
        match self.state.markets[id.index()].book.end() {
            Ok(()) => self.price_changed(id, now, effects),
            Err(cause) => stale(id, cause, effects),
        }
    }

    #[inline]
    fn price_changed(&mut self, id: InstrumentId, now: Nanos, effects: &mut Effects) {
        self.watch_losses(now, effects);
        let market = &self.state.markets[id.index()];
        if market.interest.book && market.is_live() {
            let event = StrategyEvent::Book { instrument: id };
            self.tell_fresh(id, &event, |interest| interest.book, now, effects);
        }
    }

    fn on_bar(
        &mut self,
        id: InstrumentId,
        close_at: Nanos,
        bar_ms: u32,
        bar: &Bar,
        now: Nanos,
        effects: &mut Effects,
    ) {
        let market = &mut self.state.markets[id.index()];
        market.has_bars = true;
        market.mark = Some(bar.close);
        let n_series = market.series.len();
        self.watch_losses(now, effects);
        for n in 0..n_series {
            let series = self.state.markets[id.index()].series[n];
            let closed = self.state.series[series.index()].on_bar(close_at, bar_ms, bar);
            self.tell_bars(series, &closed, now, effects);
        }
        self.refresh_deadline();
    }

    #[inline(never)]
    fn feed_trade(&mut self, id: InstrumentId, trade: &Trade, now: Nanos, effects: &mut Effects) {
        let n_series = self.state.markets[id.index()].series.len();
        let mut deadline = self.deadline;
        for n in 0..n_series {
            let series = self.state.markets[id.index()].series[n];
            let before = self.state.series[series.index()].deadline();
            let closed =
                self.state.series[series.index()].on_trade(trade.at, trade.price, trade.qty);
            self.tell_bars(series, &closed, now, effects);
            let after = self.state.series[series.index()].deadline();
            if before != after {
                deadline = None;
            }
        }
        if deadline.is_none() {
            self.refresh_deadline();
        }
    }

    fn tell_bars(
        &mut self,
        series: SeriesId,
        closed: &ClosedBars,
        now: Nanos,
        effects: &mut Effects,
    ) {
        for closed in closed.as_slice() {
            for idx in 0..self.state.strategies.len() {
                if self.state.strategies[idx].series.contains(&series) {
                    let event =
                        StrategyEvent::Bar { series, bar: &closed.bar, open_at: closed.open_at };
                    self.call(super::strategy_id(idx), &event, now, effects);
                }
            }
        }
    }

    /// Tells the market's listeners, unless its book is stale.
    #[inline]
    fn tell(
        &mut self,
        id: InstrumentId,
        event: &StrategyEvent<'_>,
        wants: impl Fn(&Interest) -> bool,
        now: Nanos,
        effects: &mut Effects,
    ) {
        if !self.state.markets[id.index()].is_stale() {
            self.tell_fresh(id, event, wants, now, effects);
        }
    }

    /// Tells the listeners of a market whose book is known not to be stale. No strategy can make
    /// it so, so one look is enough for all of them.
    #[inline]
    fn tell_fresh(
        &mut self,
        id: InstrumentId,
        event: &StrategyEvent<'_>,
        wants: impl Fn(&Interest) -> bool,
        now: Nanos,
        effects: &mut Effects,
    ) {
        let mut n = 0;
        while let Some(listener) = self.state.markets[id.index()].listeners.get(n).copied() {
            if wants(&listener.interest) {
                self.call(StrategyId(listener.strategy), event, now, effects);
            }
            n += 1;
        }
    }

    fn on_funding(&mut self, id: InstrumentId, rate_e12: i64, now: Nanos, effects: &mut Effects) {
        // A record tells at which price it was paid: marks and books are not in it.
        if self.repeats {
            return;
        }
        let market = &self.state.markets[id.index()];
        let mark = market.mark.or_else(|| market.reference()).or(market.price_before);
        let Some(mark) = mark else { return };
        effects.notice(Notice::Funding { instrument: id, rate_e12, mark });
        self.pay_funding(id, rate_e12, mark);
        self.watch_losses(now, effects);
    }

    /// Pays funding on every position of the instrument: longs pay shorts when the rate is positive.
    pub(super) fn pay_funding(&mut self, id: InstrumentId, rate_e12: i64, mark: Price) {
        let instrument = &self.state.instruments[id.index()];
        let payment = |qty| funding_payment(instrument, mark, qty, rate_e12);
        let strategies = self.state.strategies.iter_mut().map(|strategy| &mut strategy.scope);
        for scope in strategies.chain([&mut self.state.scope]) {
            let position = &mut scope.positions[id.index()];
            let paid = payment(position.qty);
            position.funding += paid;
            scope.net_realised += instrument.in_quote(paid, mark);
        }
        for account in &mut self.state.accounts {
            let position = &mut account.scope.positions[id.index()];
            let paid = payment(position.qty);
            position.funding += paid;
            account.scope.net_realised += instrument.in_quote(paid, mark);
            account.balances[instrument.settlement_asset().index()].total += paid;
        }
    }
}

impl Market {
    fn is_stale(&self) -> bool {
        #[cfg(feature = "sabotage")]
        if crate::sabotage::is_planted(crate::sabotage::Bug::StaleBookTrades) {
            return false;
        }
        matches!(self.book.state(), crate::book::BookState::Stale(_))
    }
}

/// What a position receives: minus its value times the rate for a long, rounded down.
fn funding_payment(
    instrument: &crate::Instrument,
    mark: Price,
    qty: crate::Quantity,
    rate_e12: i64,
) -> Notional {
    const PARTS: i128 = 1_000_000_000_000;
    let Some(value) = instrument.settlement_units(mark, qty.abs()) else { return Notional::ZERO };
    let rate = -i128::from(rate_e12) * i128::from(qty.0.signum());
    // Divided first, so that the product fits; the remainder is paid too.
    let (whole, part) = (value.0.div_euclid(PARTS), value.0.rem_euclid(PARTS));
    Notional(whole * rate + (part * rate).div_euclid(PARTS))
}

fn stale(instrument: InstrumentId, cause: StaleCause, effects: &mut Effects) {
    effects.notice(Notice::BookStale { instrument, cause });
    effects.push(Effect::Resync(instrument));
}

#[expect(clippy::cast_possible_truncation, reason = "the engine is built with 16-bit ids")]
const fn series_id(idx: usize) -> SeriesId {
    SeriesId(idx as u16)
}
