//! Candles of one symbol: minutes and seconds are kept, all longer ones are put together from minutes.

use std::collections::VecDeque;

use tercel_core::{Nanos, Side};

use crate::fixed::Fixed;
use crate::update::Trade;

/// Open, high, low, close and what was traded over an interval.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candle {
    /// When it opens, in milliseconds since 1970.
    pub open_ms: i64,
    /// First price.
    pub open: Fixed,
    /// Highest price.
    pub high: Fixed,
    /// Lowest price.
    pub low: Fixed,
    /// Last price.
    pub close: Fixed,
    /// Base quantity traded.
    pub volume: Fixed,
    /// Quote quantity traded.
    pub quote_volume: Fixed,
    /// Base quantity bought by incoming orders.
    pub taker_volume: Fixed,
    /// Quote quantity bought by incoming orders.
    pub taker_quote_volume: Fixed,
    /// Trades.
    pub n_trades: u64,
    /// Number of the first trade; `u64::MAX` before there is one.
    pub first_trade: u64,
    /// Number of the last trade.
    pub last_trade: u64,
}

impl Candle {
    /// Returns a candle in which nothing has traded, at a price.
    #[must_use]
    pub const fn flat(open_ms: i64, price: Fixed) -> Self {
        Self {
            open_ms,
            open: price,
            high: price,
            low: price,
            close: price,
            volume: Fixed::ZERO,
            quote_volume: Fixed::ZERO,
            taker_volume: Fixed::ZERO,
            taker_quote_volume: Fixed::ZERO,
            n_trades: 0,
            first_trade: u64::MAX,
            last_trade: 0,
        }
    }

    fn add(&mut self, trade: &Trade) {
        let quote = trade.price.times_floor(trade.qty);
        if self.n_trades == 0 {
            (self.open, self.high, self.low) = (trade.price, trade.price, trade.price);
        }
        self.high = self.high.max(trade.price);
        self.low = self.low.min(trade.price);
        self.close = trade.price;
        self.volume += trade.qty;
        self.quote_volume += quote;
        if trade.aggressor == Side::Buy {
            self.taker_volume += trade.qty;
            self.taker_quote_volume += quote;
        }
        self.n_trades += 1;
        self.first_trade = self.first_trade.min(trade.id);
        self.last_trade = trade.id;
    }

    fn absorb(&mut self, later: &Self) {
        if self.n_trades == 0 && later.n_trades > 0 {
            (self.open, self.high, self.low) = (later.open, later.high, later.low);
        }
        if later.n_trades > 0 {
            self.high = self.high.max(later.high);
            self.low = self.low.min(later.low);
            self.first_trade = self.first_trade.min(later.first_trade);
            self.last_trade = later.last_trade;
        }
        self.close = later.close;
        self.volume += later.volume;
        self.quote_volume += later.quote_volume;
        self.taker_volume += later.taker_volume;
        self.taker_quote_volume += later.taker_quote_volume;
        self.n_trades += later.n_trades;
    }
}

/// Length of a candle.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Interval {
    /// So many milliseconds, counted from 1970.
    Fixed(i64),
    /// A week, from Monday.
    Week,
    /// A calendar month, UTC.
    Month,
}

impl Interval {
    /// Returns when the candle around a time opens, both in milliseconds since 1970.
    #[must_use]
    pub fn open_ms(self, at_ms: i64) -> i64 {
        const DAY: i64 = 86_400_000;
        match self {
            Self::Fixed(length) => at_ms.div_euclid(length) * length,
            // 1970 began on a Thursday.
            Self::Week => (at_ms + 3 * DAY).div_euclid(7 * DAY) * 7 * DAY - 3 * DAY,
            Self::Month => month_start(at_ms.div_euclid(DAY)) * DAY,
        }
    }

    /// Returns when the candle that opens at a time closes, exclusive.
    #[must_use]
    pub fn end_ms(self, open_ms: i64) -> i64 {
        const DAY: i64 = 86_400_000;
        match self {
            Self::Fixed(length) => open_ms + length,
            Self::Week => open_ms + 7 * DAY,
            // Whatever the month's length, 35 days after its start lie in the next one.
            Self::Month => month_start(open_ms.div_euclid(DAY) + 35) * DAY,
        }
    }
}

/// Returns the first day of the month of a day, in days since 1970.
const fn month_start(day: i64) -> i64 {
    // Days of the civil calendar from a count that begins on 1 March of year zero.
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let month_first = (153 * month + 2) / 5;
    era * 146_097 + of_era - of_year + month_first - 719_468
}

/// The candles of one symbol.
#[derive(Clone, Debug)]
pub struct Candles {
    minutes: VecDeque<Candle>,
    seconds: VecDeque<Candle>,
}

const MINUTE_MS: i64 = 60_000;
const SECOND_MS: i64 = 1_000;
/// Two weeks and an hour.
const MINUTES_MAX: usize = 14 * 1_440 + 60;
const SECONDS_MAX: usize = 3_600;

impl Candles {
    /// Begins with minutes from the past, the oldest first.
    #[must_use]
    pub fn new(minutes: impl IntoIterator<Item = Candle>) -> Self {
        Self { minutes: minutes.into_iter().collect(), seconds: VecDeque::new() }
    }

    /// Counts a trade.
    pub fn add(&mut self, trade: &Trade) {
        self.advance(trade.at, trade.price);
        for series in [&mut self.minutes, &mut self.seconds] {
            if let Some(last) = series.back_mut() {
                last.add(trade);
            }
        }
    }

    /// Opens candles until the one around a time, flat at the last price or at `price`.
    pub fn advance(&mut self, now: Nanos, price: Fixed) {
        let now_ms = now.0.div_euclid(1_000_000);
        for (series, length, most) in [
            (&mut self.minutes, MINUTE_MS, MINUTES_MAX),
            (&mut self.seconds, SECOND_MS, SECONDS_MAX),
        ] {
            let open_ms = Interval::Fixed(length).open_ms(now_ms);
            let Some(last) = series.back().copied() else {
                series.push_back(Candle::flat(open_ms, price));
                continue;
            };
            // A jump over more than what is kept leaves nothing of the past worth filling.
            let first =
                (last.open_ms + length).max(open_ms - length * i64::try_from(most).unwrap_or(0));
            let mut at = first;
            while at <= open_ms {
                series.push_back(Candle::flat(at, last.close));
                at += length;
            }
            while series.len() > most {
                series.pop_front();
            }
        }
    }

    /// Returns the candle around now.
    #[must_use]
    pub fn current(&self, interval: Interval) -> Option<Candle> {
        let last = self.series(interval).back()?;
        self.build(interval, interval.open_ms(last.open_ms))
    }

    /// Returns the candle that opens at a time, if any of it is known.
    #[must_use]
    pub fn build(&self, interval: Interval, open_ms: i64) -> Option<Candle> {
        let series = self.series(interval);
        let end_ms = interval.end_ms(open_ms);
        let first = series.partition_point(|candle| candle.open_ms < open_ms);
        let mut parts = series.range(first..).take_while(|candle| candle.open_ms < end_ms);
        let mut candle = *parts.next()?;
        candle.open_ms = open_ms;
        for part in parts {
            candle.absorb(part);
        }
        Some(candle)
    }

    /// Returns up to `limit` candles whose opening times lie within bounds in milliseconds, the
    /// oldest first: the first ones if `start_ms` is given, else the last ones.
    #[must_use]
    pub fn list(
        &self,
        interval: Interval,
        start_ms: Option<i64>,
        end_ms: Option<i64>,
        limit: usize,
    ) -> Vec<Candle> {
        let series = self.series(interval);
        let (Some(oldest), Some(newest)) = (series.front(), series.back()) else {
            return Vec::new();
        };
        let (oldest, newest) = (interval.open_ms(oldest.open_ms), interval.open_ms(newest.open_ms));
        let last = end_ms.map_or(newest, |end| interval.open_ms(end).min(newest));
        let mut candles = VecDeque::new();
        if let Some(start) = start_ms {
            let mut open = interval.open_ms(start).max(oldest);
            if open < start {
                open = interval.end_ms(open);
            }
            while open <= last && candles.len() < limit {
                candles.extend(self.build(interval, open));
                open = interval.end_ms(open);
            }
        } else {
            let mut open = last;
            while open >= oldest && candles.len() < limit {
                if let Some(candle) = self.build(interval, open) {
                    candles.push_front(candle);
                }
                open = interval.open_ms(open - 1);
            }
        }
        candles.into()
    }

    /// Returns what the last 24 hours were as one candle.
    #[must_use]
    pub fn day(&self) -> Option<Candle> {
        let newest = self.minutes.back()?.open_ms;
        let from = newest - 1_439 * MINUTE_MS;
        let first = self.minutes.partition_point(|candle| candle.open_ms < from);
        let mut parts = self.minutes.range(first..);
        let mut candle = *parts.next()?;
        for part in parts {
            candle.absorb(part);
        }
        Some(candle)
    }

    /// Returns the average price of the last five minutes, and none if nothing traded.
    #[must_use]
    pub fn average(&self, n_minutes: usize) -> Option<Fixed> {
        let (mut base, mut quote) = (Fixed::ZERO, Fixed::ZERO);
        for candle in self.minutes.iter().rev().take(n_minutes) {
            base += candle.volume;
            quote += candle.quote_volume;
        }
        base.is_positive().then(|| quote.over_floor(base))
    }

    fn series(&self, interval: Interval) -> &VecDeque<Candle> {
        match interval {
            Interval::Fixed(length) if length < MINUTE_MS => &self.seconds,
            Interval::Fixed(_) | Interval::Week | Interval::Month => &self.minutes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trade(at_ms: i64, id: u64, price: i64, qty: i64) -> Trade {
        Trade {
            id,
            price: Fixed::whole(price),
            qty: Fixed::whole(qty),
            aggressor: if id.is_multiple_of(2) { Side::Buy } else { Side::Sell },
            at: Nanos(at_ms * 1_000_000),
        }
    }

    #[test]
    fn long_candles_are_their_minutes() {
        let mut candles = Candles::new([]);
        for (at_ms, id, price, qty) in
            [(0, 1, 100, 1), (59_999, 2, 90, 2), (60_000, 3, 120, 3), (300_000, 4, 110, 4)]
        {
            candles.add(&trade(at_ms, id, price, qty));
        }
        let minutes = candles.list(Interval::Fixed(60_000), None, None, 10);
        let opens: Vec<_> = minutes.iter().map(|candle| candle.open_ms).collect();
        assert_eq!(opens, [0, 60_000, 120_000, 180_000, 240_000, 300_000]);
        assert_eq!(minutes[2], Candle::flat(120_000, Fixed::whole(120)));
        let five = candles.list(Interval::Fixed(300_000), Some(0), None, 10);
        assert_eq!(five.len(), 2);
        assert_eq!((five[0].high, five[0].low), (Fixed::whole(120), Fixed::whole(90)));
        assert_eq!((five[0].n_trades, five[0].first_trade, five[0].last_trade), (3, 1, 3));
        assert_eq!(five[0].taker_volume, Fixed::whole(2));
        assert_eq!(candles.day().unwrap().volume, Fixed::whole(10));
    }

    #[test]
    fn weeks_begin_on_mondays_and_months_on_firsts() {
        // Sunday 1 March 2026, 12:00 UTC.
        let at = 1_772_366_400_000;
        assert_eq!(Interval::Week.open_ms(at), 1_771_804_800_000);
        assert_eq!(Interval::Month.open_ms(at), 1_772_323_200_000);
        assert_eq!(Interval::Month.end_ms(1_772_323_200_000), 1_775_001_600_000);
        assert_eq!(Interval::Month.open_ms(1_772_323_199_999), 1_769_904_000_000);
    }
}
