//! From the engine's events to the arguments of hooks.

use tercel_core::{InstrumentId, Level, Price, Quantity, Side, StrategyEvent, View};

use super::market::side_number;
use super::{BoundMarket, Host, millis};
use crate::hook::{Hook, HookCall, Numbers};
use crate::number;

impl Host {
    /// Returns the hook that an event is for. The engine's start and single book levels are not
    /// for hooks.
    pub(crate) const fn hook_of(event: &StrategyEvent<'_>) -> Option<Hook> {
        match event {
            StrategyEvent::Start | StrategyEvent::Params(_) | StrategyEvent::Level { .. } => None,
            StrategyEvent::Book { .. } => Some(Hook::Book),
            StrategyEvent::Trade { .. } => Some(Hook::Trade),
            StrategyEvent::Bar { .. } => Some(Hook::Bar),
            StrategyEvent::Order { .. } => Some(Hook::Order),
            StrategyEvent::Fill { .. } => Some(Hook::Fill),
            StrategyEvent::Timer { .. } => Some(Hook::Timer),
            StrategyEvent::Signal(_) => Some(Hook::Signal),
            StrategyEvent::Stop => Some(Hook::Stop),
        }
    }

    /// Returns the call that an event makes, and makes the event's instrument the current one.
    pub(crate) fn arguments<'a>(
        &mut self,
        event: &StrategyEvent<'a>,
        view: &View<'_>,
        numbers: &'a Numbers,
    ) -> Option<HookCall<'a>> {
        self.event_at = view.now();
        Some(match *event {
            StrategyEvent::Start | StrategyEvent::Params(_) | StrategyEvent::Level { .. } => {
                return None;
            }
            StrategyEvent::Book { instrument } => {
                let market = self.point_at(instrument)?;
                let (bid, bid_qty) = market.touch(view, Side::Buy);
                let (ask, ask_qty) = market.touch(view, Side::Sell);
                numbers.set([bid, bid_qty, ask, ask_qty]);
                HookCall::Book(numbers)
            }
            StrategyEvent::Trade { instrument, trade } => {
                let market = self.point_at(instrument)?;
                let side = trade.aggressor.map_or(0.0, side_number);
                let (price, qty) = (market.price_of(trade.price), market.qty_of(trade.qty));
                numbers.set([price, qty, side, millis(trade.at)]);
                HookCall::Trade(numbers)
            }
            StrategyEvent::Bar { series, bar, open_at } => {
                self.event_at = open_at;
                self.point_at_series(series);
                let market = self.point_at(view.series(series).instrument)?;
                let (open, high) = (market.price_of(bar.open), market.price_of(bar.high));
                let (low, close) = (market.price_of(bar.low), market.price_of(bar.close));
                let volume = market.qty_of(bar.volume);
                numbers.set([open, high, low, close, volume, millis(open_at)]);
                let bar =
                    tercel_indicators::Bar { at_ns: open_at.0, open, high, low, close, volume };
                self.feed(self.current_series, &bar, numbers);
                HookCall::Bar(numbers)
            }
            StrategyEvent::Order { order, change } => {
                if let Some(known) = view.order(order) {
                    self.point_at(known.spec.instrument)?;
                }
                HookCall::Order {
                    id: self.order_number(order),
                    status: change.as_str(),
                    reason: change.reason(),
                }
            }
            StrategyEvent::Fill { order, instrument, side, fill, .. } => {
                let id = self.order_number(order);
                let market = self.point_at(instrument)?;
                HookCall::Fill {
                    id,
                    side: side_number(side),
                    price: market.price_of(fill.price),
                    qty: market.qty_of(fill.qty),
                    fee: number::decimal(fill.fee),
                    role: fill.role.as_str(),
                }
            }
            StrategyEvent::Timer { name } => HookCall::Timer { name },
            StrategyEvent::Signal(signal) => {
                HookCall::Signal { name: &signal.name, text: &signal.text }
            }
            StrategyEvent::Stop => HookCall::Stop,
        })
    }

    /// Makes an instrument the one of the event; `None` if it is not the strategy's.
    fn point_at(&mut self, instrument: InstrumentId) -> Option<&mut BoundMarket> {
        if self.markets.get(self.current).is_none_or(|market| market.id != instrument) {
            self.current = self.markets.iter().position(|market| market.id == instrument)?;
        }
        self.markets.get_mut(self.current)
    }

    fn point_at_series(&mut self, series: tercel_core::SeriesId) {
        if self.series.get(self.current_series).is_none_or(|known| known.id != series) {
            self.current_series = self.series.iter().position(|s| s.id == series).unwrap_or(0);
        }
    }
}

impl BoundMarket {
    fn price_of(&self, price: Price) -> f64 {
        self.price.value(price.0)
    }

    fn qty_of(&self, qty: Quantity) -> f64 {
        self.qty.value(qty.0)
    }

    /// Returns price and quantity of a side's best level; NaN and 0 for none.
    #[inline]
    fn touch(&mut self, view: &View<'_>, side: Side) -> (f64, f64) {
        let Some(level) = view.best(self.id, side) else { return (f64::NAN, 0.0) };
        let (price_grid, qty_grid) = (self.price, self.qty);
        let kept = &mut self.touch[usize::from(side == Side::Sell)];
        if level.price != kept.level.price {
            kept.price = price_grid.value(level.price.0);
        }
        if level.qty != kept.level.qty {
            kept.qty = qty_grid.value(level.qty.0);
        }
        kept.level = level;
        (kept.price, kept.qty)
    }
}

/// A level with its numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Touch {
    level: Level,
    price: f64,
    qty: f64,
}

impl Default for Touch {
    fn default() -> Self {
        Self { level: Level { price: Price(0), qty: Quantity(0) }, price: 0.0, qty: 0.0 }
    }
}
