//! Bar series: bars by time, by number of trades and by volume, built from trades or from bars.
//!
//! A time bar holds the trades whose venue time lies in its interval, which starts at a multiple
//! of its length since 1970. It closes when the engine's clock reaches its end ([`BarSeries::deadline`]) or
//! when a trade of a later interval arrives, whichever is first; a trade that comes later than that
//! counts into the bar that is open then. Intervals without trades have no bar.

use crate::config::SeriesConfig;
use crate::digest::Digest;
use crate::ids::InstrumentId;
use crate::image::{ImageError, SeriesImage, ensure};
use crate::market::Bar;
use crate::num::{Nanos, Price, Quantity};

/// What ends a bar.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum BarSpec {
    /// The clock, every so many milliseconds.
    Time {
        /// Length in milliseconds; positive.
        interval_ms: u32,
    },
    /// A number of trades.
    Tick {
        /// How many; positive.
        trades: u32,
    },
    /// A traded quantity. A trade that reaches it belongs to the bar whole.
    Volume {
        /// How many lots; positive.
        lots: i64,
    },
}

impl BarSpec {
    const fn is_positive(self) -> bool {
        match self {
            Self::Time { interval_ms } => interval_ms > 0,
            Self::Tick { trades } => trades > 0,
            Self::Volume { lots } => lots > 0,
        }
    }
}

/// A closed bar with its place in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ClosedBar {
    /// When it opened: the interval's start for time bars, else the first trade.
    pub open_at: Nanos,
    /// When it closed: the interval's end for time bars, else the last trade.
    pub close_at: Nanos,
    /// The bar.
    pub bar: Bar,
}

/// One instrument's bars of one specification, with the last ones kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BarSeries {
    /// The instrument.
    pub instrument: InstrumentId,
    /// What ends a bar.
    pub spec: BarSpec,
    history: Vec<ClosedBar>,
    capacity: usize,
    n_closed: u64,
    open: Option<OpenBar>,
}

impl BarSeries {
    /// Forgets all bars: what comes next does not join on to them.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.instrument, self.spec, self.capacity);
    }

    /// Returns whether it is what a configuration asks for, or more.
    pub(crate) fn serves(&self, config: &SeriesConfig) -> bool {
        self.instrument == config.instrument
            && self.spec == config.spec
            && self.capacity >= config.history
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct OpenBar {
    open_at: Nanos,
    close_at: Nanos,
    n_trades: u32,
    bar: Bar,
}

impl BarSeries {
    /// Returns an empty series that keeps the last `history` bars (at least one).
    ///
    /// # Panics
    ///
    /// If the specification's length is not positive.
    #[must_use]
    pub fn new(instrument: InstrumentId, spec: BarSpec, history: usize) -> Self {
        assert!(spec.is_positive(), "a bar's length is positive");
        let capacity = history.max(1);
        Self {
            instrument,
            spec,
            history: Vec::with_capacity(capacity),
            capacity,
            n_closed: 0,
            open: None,
        }
    }

    /// Returns the series as plain data.
    pub(crate) fn image(&self) -> SeriesImage {
        let Self { instrument, spec, history: _, capacity, n_closed, open } = self;
        let open = open.map(|OpenBar { open_at, close_at, n_trades, bar }| {
            (ClosedBar { open_at, close_at, bar }, n_trades)
        });
        SeriesImage {
            instrument: *instrument,
            spec: *spec,
            capacity: *capacity as u64,
            n_closed: *n_closed,
            history: (0..self.len()).rev().filter_map(|back| self.get(back).copied()).collect(),
            open,
        }
    }

    /// Returns the series that an image is of, the one of this index.
    pub(crate) fn from_image(
        image: SeriesImage,
        index: usize,
        n_instruments: u16,
    ) -> Result<Self, ImageError> {
        let SeriesImage { instrument, spec, capacity, n_closed, mut history, open } = image;
        let ensure = |holds, what| ensure(holds, "series", index, what);
        ensure(instrument.0 < n_instruments, "its instrument is not there")?;
        ensure(spec.is_positive(), "bars without length")?;
        let n_kept = history.len() as u64;
        ensure(capacity > 0 && n_kept == n_closed.min(capacity), "not the bars that it keeps")?;
        if let Some(Ok(oldest)) = n_closed.checked_rem(n_kept).map(usize::try_from) {
            // The next bar will take the place of the oldest one.
            history.rotate_right(oldest);
        }
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
        let open = open.map(|(ClosedBar { open_at, close_at, bar }, n_trades)| OpenBar {
            open_at,
            close_at,
            n_trades,
            bar,
        });
        Ok(Self { instrument, spec, history, capacity, n_closed, open })
    }

    /// Makes room for all the bars that the series keeps.
    pub(crate) fn make_room(&mut self) {
        self.history.reserve_exact(self.capacity - self.history.len());
    }

    /// Counts a trade in. Returns up to two bars that it closed: the one whose time had passed and
    /// the one that it completed.
    pub fn on_trade(&mut self, at: Nanos, price: Price, qty: Quantity) -> ClosedBars {
        let mut closed = ClosedBars::default();
        if let BarSpec::Time { .. } = self.spec
            && let Some(open) = self.open
            && at >= open.close_at
        {
            self.close(&mut closed);
        }
        let (open_at, close_at) = self.interval(at);
        let open = self.open.get_or_insert(OpenBar {
            open_at,
            close_at,
            n_trades: 0,
            bar: Bar { open: price, high: price, low: price, close: price, volume: Quantity(0) },
        });
        open.n_trades += 1;
        open.bar.high = open.bar.high.max(price);
        open.bar.low = open.bar.low.min(price);
        open.bar.close = price;
        open.bar.volume.0 = open.bar.volume.0.saturating_add(qty.0);
        let complete = match self.spec {
            BarSpec::Time { .. } => false,
            BarSpec::Tick { trades } => open.n_trades >= trades,
            BarSpec::Volume { lots } => open.bar.volume.0 >= lots,
        };
        if complete {
            open.close_at = at;
            self.close(&mut closed);
        }
        closed
    }

    /// Counts in a bar of `bar_ms` milliseconds that closed at `close_at`, shorter than or as long
    /// as this series' own.
    ///
    /// Series by number of trades cannot be built from bars and stay empty.
    pub fn on_bar(&mut self, close_at: Nanos, bar_ms: u32, bar: &Bar) -> ClosedBars {
        let mut closed = ClosedBars::default();
        let span_ns = i64::from(bar_ms) * Nanos::MILLI;
        let open_at = close_at.plus(-span_ns);
        match self.spec {
            BarSpec::Time { interval_ms } if interval_ms == bar_ms => {
                // The common case keeps the venue's own borders, on its grid or not.
                self.record(ClosedBar { open_at, close_at, bar: *bar }, &mut closed);
                return closed;
            }
            BarSpec::Time { interval_ms } if interval_ms < bar_ms => return closed,
            BarSpec::Tick { .. } => return closed,
            BarSpec::Time { .. } | BarSpec::Volume { .. } => {}
        }
        if let BarSpec::Time { .. } = self.spec
            && let Some(open) = self.open
            && open_at >= open.close_at
        {
            self.close(&mut closed);
        }
        let (own_open_at, own_close_at) = self.interval(open_at);
        let open = self.open.get_or_insert(OpenBar {
            open_at: own_open_at,
            close_at: own_close_at,
            n_trades: 0,
            bar: Bar { volume: Quantity(0), ..*bar },
        });
        open.bar.high = open.bar.high.max(bar.high);
        open.bar.low = open.bar.low.min(bar.low);
        open.bar.close = bar.close;
        open.bar.volume.0 = open.bar.volume.0.saturating_add(bar.volume.0);
        let complete = match self.spec {
            BarSpec::Time { .. } => close_at >= open.close_at,
            BarSpec::Tick { .. } => false,
            BarSpec::Volume { lots } => open.bar.volume.0 >= lots,
        };
        if complete {
            if let BarSpec::Volume { .. } = self.spec {
                open.close_at = close_at;
            }
            self.close(&mut closed);
        }
        closed
    }

    /// Closes the open time bar if its end has come.
    pub fn on_time(&mut self, now: Nanos) -> ClosedBars {
        let mut closed = ClosedBars::default();
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            self.close(&mut closed);
        }
        closed
    }

    /// Returns when the open time bar ends.
    #[must_use]
    pub fn deadline(&self) -> Option<Nanos> {
        match self.spec {
            BarSpec::Time { .. } => self.open.map(|open| open.close_at),
            BarSpec::Tick { .. } | BarSpec::Volume { .. } => None,
        }
    }

    /// Returns the closed bar `back` bars ago, 0 for the last one; `None` beyond what is kept.
    #[must_use]
    pub fn get(&self, back: usize) -> Option<&ClosedBar> {
        if back >= self.history.len() {
            return None;
        }
        let newest = usize::try_from(self.n_closed - 1).ok()? % self.capacity;
        self.history.get((newest + self.capacity - back) % self.capacity)
    }

    /// Returns how many closed bars are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.history.len()
    }

    /// Returns whether no bar has closed yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.history.is_empty()
    }

    /// Returns how many bars have closed in all.
    #[must_use]
    pub const fn n_closed(&self) -> u64 {
        self.n_closed
    }

    /// Mixes the series into `digest`.
    pub fn digest(&self, digest: &mut Digest) {
        digest.u64(self.n_closed);
        if let Some(last) = self.get(0) {
            digest_bar(&last.bar, last.open_at, last.close_at, digest);
        }
        if let Some(open) = &self.open {
            digest.u64(u64::from(open.n_trades));
            digest_bar(&open.bar, open.open_at, open.close_at, digest);
        }
    }

    fn interval(&self, at: Nanos) -> (Nanos, Nanos) {
        match self.spec {
            BarSpec::Time { interval_ms } => {
                let span = i64::from(interval_ms) * Nanos::MILLI;
                let open_at = Nanos(at.0.div_euclid(span) * span);
                (open_at, open_at.plus(span))
            }
            BarSpec::Tick { .. } | BarSpec::Volume { .. } => (at, at),
        }
    }

    fn close(&mut self, closed: &mut ClosedBars) {
        if let Some(open) = self.open.take() {
            let bar = ClosedBar { open_at: open.open_at, close_at: open.close_at, bar: open.bar };
            self.record(bar, closed);
        }
    }

    fn record(&mut self, bar: ClosedBar, closed: &mut ClosedBars) {
        if self.history.len() < self.capacity {
            self.history.push(bar);
        } else {
            let oldest = usize::try_from(self.n_closed % self.capacity as u64)
                .expect("a remainder of a usize fits");
            self.history[oldest] = bar;
        }
        self.n_closed += 1;
        closed.push(bar);
    }
}

/// The bars that one input closed, oldest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ClosedBars {
    bars: [ClosedBar; 2],
    len: usize,
}

impl ClosedBars {
    /// Returns the bars.
    #[must_use]
    pub fn as_slice(&self) -> &[ClosedBar] {
        &self.bars[..self.len]
    }

    fn push(&mut self, bar: ClosedBar) {
        self.bars[self.len] = bar;
        self.len += 1;
    }
}

fn digest_bar(bar: &Bar, open_at: Nanos, close_at: Nanos, digest: &mut Digest) {
    for word in
        [open_at.0, close_at.0, bar.open.0, bar.high.0, bar.low.0, bar.close.0, bar.volume.0]
    {
        digest.i64(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: BarSpec = BarSpec::Time { interval_ms: 60_000 };

    fn series(spec: BarSpec) -> BarSeries {
        BarSeries::new(InstrumentId(0), spec, 3)
    }

    fn at(seconds: i64) -> Nanos {
        Nanos(seconds * Nanos::SECOND)
    }

    fn prices(bar: &Bar) -> [i64; 5] {
        [bar.open.0, bar.high.0, bar.low.0, bar.close.0, bar.volume.0]
    }

    #[test]
    fn a_trade_of_the_next_interval_closes_the_bar() {
        let mut series = series(MINUTE);
        for (second, price) in [(61, 10), (70, 14), (80, 8), (119, 9)] {
            assert!(series.on_trade(at(second), Price(price), Quantity(2)).as_slice().is_empty());
        }
        let closed = series.on_trade(at(300), Price(11), Quantity(1));
        let [bar] = closed.as_slice() else { panic!("one bar closes") };
        assert_eq!(prices(&bar.bar), [10, 14, 8, 9, 8]);
        assert_eq!((bar.open_at, bar.close_at), (at(60), at(120)));
    }

    #[test]
    fn the_clock_closes_a_bar_and_later_trades_of_it_count_into_the_next() {
        let mut series = series(MINUTE);
        series.on_trade(at(61), Price(10), Quantity(1));
        assert_eq!(series.deadline(), Some(at(120)));
        assert_eq!(series.on_time(at(120)).as_slice().len(), 1);
        series.on_trade(at(119), Price(12), Quantity(1));
        assert_eq!(series.on_time(at(121)).as_slice().len(), 1, "its own interval has passed");
    }

    #[test]
    fn tick_and_volume_bars_close_with_the_trade_that_completes_them() {
        let mut ticks = series(BarSpec::Tick { trades: 2 });
        ticks.on_trade(at(1), Price(10), Quantity(1));
        assert_eq!(ticks.on_trade(at(2), Price(11), Quantity(1)).as_slice().len(), 1);
        let mut volume = series(BarSpec::Volume { lots: 5 });
        volume.on_trade(at(1), Price(10), Quantity(4));
        let closed = volume.on_trade(at(2), Price(11), Quantity(4));
        assert_eq!(closed.as_slice()[0].bar.volume, Quantity(8));
    }

    #[test]
    fn minutes_make_five_minute_bars_with_absent_minutes_left_out() {
        let mut series = series(BarSpec::Time { interval_ms: 300_000 });
        let bar = |price| Bar {
            open: Price(price),
            high: Price(price + 1),
            low: Price(price - 1),
            close: Price(price),
            volume: Quantity(1),
        };
        assert!(series.on_bar(at(60), 60_000, &bar(10)).as_slice().is_empty());
        assert!(series.on_bar(at(240), 60_000, &bar(20)).as_slice().is_empty());
        let closed = series.on_bar(at(420), 60_000, &bar(30));
        assert_eq!(prices(&closed.as_slice()[0].bar), [10, 21, 9, 20, 2]);
    }

    #[test]
    fn history_keeps_the_last_bars_newest_first() {
        let mut series = series(BarSpec::Tick { trades: 1 });
        for price in 1..=5 {
            series.on_trade(at(price), Price(price), Quantity(1));
        }
        let closes: Vec<_> = (0..4).map(|back| series.get(back).map(|b| b.bar.close.0)).collect();
        assert_eq!(closes, [Some(5), Some(4), Some(3), None]);
    }
}
