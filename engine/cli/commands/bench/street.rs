//! Both ends of a measured loop: market data by the clock, and a venue that stamps orders.

use std::collections::VecDeque;
use std::time::Instant;

use hdrhistogram::Histogram;
use tercel_core::{
    Approved, Event, ExecutionReport, InstrumentId, MarketData, MarketEvent, Nanos, OrderRequest,
    Price, Quantity, ReportKind, Side,
};
use tercel_runtime::{MarketSource, Port, Receiver, Sender, SourceFailure, SourceState};
use tercel_sim::VenuePort;

/// The time base that both ends share: nanoseconds since the run was set up, told as a UTC time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Base {
    begun: Instant,
    utc_ns: i64,
}

impl Base {
    pub(super) fn new(utc: Nanos) -> Self {
        Self { begun: Instant::now(), utc_ns: utc.0 }
    }

    fn now_ns(self) -> i64 {
        let ns = i64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(i64::MAX);
        self.utc_ns.saturating_add(ns)
    }
}

/// When each event is to be sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    /// Events a second; zero for as fast as possible.
    pub(super) rate: u32,
    pub(super) n_events: u64,
    /// How many of them come before the measurement begins.
    pub(super) n_warm_up: u64,
    /// Every so many events the strategy has a reason to order.
    pub(super) order_every: u64,
}

/// Sends market data by a schedule, late or not: a receiver that falls behind gets it no slower.
#[derive(Debug)]
pub(super) struct Street {
    base: Base,
    schedule: Schedule,
    start_ns: i64,
    n_sent: u64,
    /// What the engine orders, taken as a thread that writes to a venue would.
    orders: Receiver<Approved<OrderRequest>>,
}

/// Until the first event: the engine's thread is ready by then.
const LEAD_NS: i64 = 300 * Nanos::MILLI;

const MIDDLE: i64 = 600_000;

impl Street {
    pub(super) fn new(
        base: Base,
        schedule: Schedule,
        orders: Receiver<Approved<OrderRequest>>,
    ) -> Self {
        Self { base, schedule, start_ns: base.now_ns() + LEAD_NS, n_sent: 0, orders }
    }

    fn intended_ns(&self) -> i64 {
        let ns = u128::from(self.n_sent) * 1_000_000_000 / u128::from(self.schedule.rate.max(1));
        self.start_ns.saturating_add(i64::try_from(ns).unwrap_or(i64::MAX))
    }

    /// Returns the next event: now and then a bid that outweighs the ask, then one that does not,
    /// else changes deeper in the book.
    fn event(&self, intended_ns: i64, now_ns: i64) -> Event {
        let n = self.n_sent;
        let depth = i64::try_from(n % 7).unwrap_or(0) + 1;
        let (side, price, qty) = match n % self.schedule.order_every {
            _ if n == 0 => (Side::Sell, MIDDLE + 1, 1_000),
            0 => (Side::Buy, MIDDLE, 100_000),
            1 => (Side::Buy, MIDDLE, 1_000),
            _ if n.is_multiple_of(2) => (Side::Buy, MIDDLE - depth, 1_000 + depth),
            _ => (Side::Sell, MIDDLE + 1 + depth, 1_000 + depth),
        };
        Event::Market(MarketEvent {
            venue_at: Nanos(intended_ns),
            received_at: Nanos(now_ns),
            instrument: InstrumentId(0),
            data: MarketData::Level { side, price: Price(price), qty: Quantity(qty), last: true },
        })
    }
}

impl MarketSource for Street {
    fn poll(&mut self, out: &mut Vec<Event>, max: usize) -> Result<SourceState, SourceFailure> {
        while self.orders.pop().is_some() {}
        let before = out.len();
        let now_ns = self.base.now_ns();
        if now_ns < self.start_ns {
            return Ok(SourceState::Idle);
        }
        while self.n_sent < self.schedule.n_events && out.len() - before < max {
            let intended_ns = if self.schedule.rate == 0 { now_ns } else { self.intended_ns() };
            if intended_ns > now_ns {
                break;
            }
            out.push(self.event(intended_ns, now_ns));
            self.n_sent += 1;
        }
        Ok(match (out.len() > before, self.n_sent < self.schedule.n_events) {
            (true, _) => SourceState::Ready,
            (false, true) => SourceState::Idle,
            (false, false) => SourceState::Ended,
        })
    }
}

/// Puts orders into a ring, says when, and lets each expire at once.
#[derive(Debug)]
pub(super) struct Desk {
    base: Base,
    orders: Sender<Approved<OrderRequest>>,
    n_warm_up: u64,
    n_seen: u64,
    /// When the event that is being handled was to be sent, and when it was.
    event: (i64, i64),
    first_ns: i64,
    answers: VecDeque<ExecutionReport>,
    pub(super) times: Times,
}

/// What was measured.
#[derive(Clone, Debug)]
pub(super) struct Times {
    /// From when the event was to be sent until its order was in the ring, in nanoseconds.
    pub(super) from_intended: Histogram<u64>,
    /// From when it was sent.
    pub(super) from_sent: Histogram<u64>,
    /// From the first event after the warm-up to the last order.
    pub(super) span_ns: i64,
    /// Events after the warm-up.
    pub(super) n_events: u64,
    pub(super) n_orders: u64,
}

impl Desk {
    pub(super) fn new(
        base: Base,
        schedule: &Schedule,
        orders: Sender<Approved<OrderRequest>>,
    ) -> Self {
        // Three digits over a nanosecond to a minute; what takes longer is counted at the end.
        let times = || Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("valid bounds");
        Self {
            base,
            orders,
            n_warm_up: schedule.n_warm_up,
            n_seen: 0,
            event: (0, 0),
            first_ns: 0,
            answers: VecDeque::with_capacity(1_024),
            times: Times {
                from_intended: times(),
                from_sent: times(),
                span_ns: 0,
                n_events: 0,
                n_orders: 0,
            },
        }
    }

    fn stamp(&mut self) {
        let now_ns = self.base.now_ns();
        if self.n_seen <= self.n_warm_up {
            return;
        }
        let since = |at: i64| u64::try_from(now_ns - at).unwrap_or(0);
        let (intended, sent) = self.event;
        self.times.from_intended.saturating_record(since(intended));
        self.times.from_sent.saturating_record(since(sent));
        self.times.n_orders += 1;
        self.times.n_events = self.n_seen - self.n_warm_up;
        self.times.span_ns = now_ns - self.first_ns;
    }
}

impl VenuePort for Desk {
    fn send(&mut self, request: Approved<OrderRequest>, now: Nanos) {
        // A ring that is full has lost its reader: the run is over.
        if self.orders.push(request).is_err() {
            return;
        }
        let OrderRequest::New { id, account, spec, .. } = *request else { return };
        self.stamp();
        self.answers.push_back(ExecutionReport {
            order: id,
            account,
            instrument: spec.instrument,
            venue_at: now,
            received_at: now,
            kind: ReportKind::Expired,
        });
    }

    fn poll(&mut self, _now: Nanos) -> Option<Event> {
        self.answers.pop_front().map(Event::Execution)
    }
}

impl Port for Desk {
    #[inline]
    fn on_event(&mut self, _now: Nanos, event: &Event) {
        if let Event::Market(market) = event {
            self.event = (market.venue_at.0, market.received_at.0);
            self.n_seen += 1;
            if self.n_seen == self.n_warm_up + 1 {
                self.first_ns = market.received_at.0;
            }
        }
    }

    fn advance(&mut self, _now: Nanos) {}

    fn next_action_at(&self) -> Nanos {
        Nanos(i64::MAX)
    }

    fn next_report_at(&self) -> Nanos {
        if self.answers.is_empty() { Nanos(i64::MAX) } else { Nanos(i64::MIN) }
    }

    fn is_busy(&self) -> bool {
        !self.answers.is_empty()
    }

    fn resync(&mut self, _instrument: InstrumentId, _now: Nanos) {}
}
