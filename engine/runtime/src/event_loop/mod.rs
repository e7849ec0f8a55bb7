//! The event loop: what an engine lives in, on its one thread.
//!
//! One duty cycle: commands; what the port has to say; timers that are due; at most so many market
//! events. Each becomes one call of [`Engine::handle`] with the next [`Seq`]. What the engine wishes
//! is recorded before any of it is sent (`gate.rs`).
//!
//! Where time passes by itself (`live.rs`), a market event happens when it was received, everything
//! else when its turn comes; the engine's time never goes back. In a replay (`replay.rs`, see
//! [`Clock`]) everything happens at its own time, earliest first, ties in the order of
//! [`tercel_sim::Backtest`]: the same data and script give the same events, effects and state.

mod directives;
mod gate;
mod inbox;
mod live;
mod loading;
mod replay;

use std::time::{Duration, Instant};

use tercel_core::{ClientOrderId, Command, Effects, Engine, Event, Nanos, Seq, StrategyId};
use tercel_crash::{Point, point};
use tercel_sim::{Observer, Summary};

use crate::clock::Clock;
use crate::control::{Control, Status};
use crate::idle::{Idle, IdleStrategy};
use crate::port::Port;
use crate::recorder::{RecordFailure, Recorder};
use crate::source::{MarketSource, SourceFailure, SourceState};
use directives::Following;
use gate::Gate;
use inbox::Inbox;
use loading::Workshop;

/// What a loop is made of.
#[derive(Debug)]
pub struct Parts<C, P, R, O, S> {
    /// The engine, its strategies not started.
    pub engine: Engine,
    /// Time.
    pub clock: C,
    /// The venue.
    pub port: P,
    /// What keeps everything that happens; `()` keeps nothing.
    pub recorder: R,
    /// Who watches; `()` for nobody.
    pub observer: O,
    /// Market data; a replay has exactly one source, which must be in order of time.
    pub sources: Vec<S>,
}

/// How a loop runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LoopOptions {
    /// Market events that are taken between two looks at commands and reports, of each source.
    pub events_per_cycle: usize,
    /// What the thread does while nothing happens.
    pub idle: IdleStrategy,
    /// Time between the observer's samples in nanoseconds; zero for only the one at the end.
    pub sample_interval_ns: i64,
    /// How long to wait at the end for reports that are under way and requests that wait for their
    /// records.
    pub drain: Duration,
}

impl Default for LoopOptions {
    fn default() -> Self {
        Self {
            events_per_cycle: 64,
            idle: IdleStrategy::default(),
            sample_interval_ns: 0,
            drain: Duration::from_secs(2),
        }
    }
}

/// Why a loop ended, and what it came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ending {
    /// Why.
    pub cause: EndCause,
    /// What happened.
    pub summary: Summary,
    /// Orders that still work, by their ids: what becomes of them is the venue's.
    pub open_orders: Vec<ClientOrderId>,
    /// Why the end of the run is not recorded, if so; no order was sent after that began.
    pub record_failure: Option<RecordFailure>,
}

/// Why a loop ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EndCause {
    /// Somebody asked.
    Stopped,
    /// There is no more market data.
    SourceEnded,
    /// A source failed; all that it gave before was handled.
    SourceFailed(SourceFailure),
}

impl std::fmt::Display for EndCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stopped => f.write_str("stopped"),
            Self::SourceEnded => f.write_str("no more market data"),
            Self::SourceFailed(failure) => write!(f, "market data failed: {failure}"),
        }
    }
}

/// An engine in its loop. Stays on the thread that built it, because strategies do.
#[derive(Debug)]
pub struct EventLoop<C, P, R, O, S> {
    parts: Parts<C, P, R, O, S>,
    options: LoopOptions,
    control: Control,
    gate: Gate,
    /// The version that runs in another's shadow, if one does.
    following: Option<Following>,
    workshop: Workshop,
    seq: Seq,
    effects: Effects,
    /// The engine's time: that of its last event.
    now: Nanos,
    /// The loop's time, which the port is told: the clock's when it was last looked at, never less
    /// than before and never before the engine's.
    time: Nanos,
    /// What a replay has read and not handled.
    inbox: Inbox,
    /// What has arrived where time passes by itself, and how much of it is handled.
    arrived: Vec<Event>,
    n_taken: usize,
    /// Whether each source may still give something.
    is_open: Vec<bool>,
    has_begun: bool,
    /// Whether the port was not ready when it was first looked at.
    has_waited: bool,
    /// When the last timer event was given: a deadline that it left behind waits until time moves.
    timer_at: Nanos,
    next_sample_at: Nanos,
    summary: Summary,
    source_failure: Option<SourceFailure>,
}

const NEVER: Nanos = Nanos(i64::MAX);

/// What a port says that has to be asked.
const UNKNOWN: Nanos = Nanos(i64::MIN);

/// Reports taken in one cycle.
const REPORTS_PER_CYCLE: usize = 1_024;

impl<C: Clock, P: Port, R: Recorder, O: Observer, S: MarketSource> EventLoop<C, P, R, O, S> {
    /// Returns a loop that has not begun.
    ///
    /// # Panics
    ///
    /// If a replay has not exactly one source: there would be no order between them.
    #[must_use]
    pub fn new(parts: Parts<C, P, R, O, S>, control: Control, options: LoopOptions) -> Self {
        let is_replay = parts.clock.is_replay();
        assert!(!is_replay || parts.sources.len() == 1, "a replay has one source");
        Self {
            is_open: vec![true; parts.sources.len()],
            parts,
            options,
            control,
            gate: Gate::default(),
            following: None,
            workshop: Workshop::default(),
            seq: Seq(0),
            effects: Engine::effects(),
            now: Nanos(i64::MIN),
            time: Nanos(i64::MIN),
            inbox: Inbox::new(),
            arrived: Vec::with_capacity(4_096),
            n_taken: 0,
            has_begun: false,
            has_waited: false,
            timer_at: Nanos(i64::MIN),
            next_sample_at: NEVER,
            summary: Summary::default(),
            source_failure: None,
        }
    }

    /// Lets the loop go on after an earlier one: its events are numbered after `seq`, and the engine's
    /// time does not go back behind `now`. A clock that shows less would hold it there: see
    /// [`crate::UtcClock::not_before`].
    #[must_use]
    pub const fn starting_after(mut self, seq: Seq, now: Nanos) -> Self {
        (self.seq, self.now, self.time) = (seq, now, now);
        self
    }

    /// Runs until somebody asks to stop or there is no more data; then stops the strategies, takes
    /// the reports that are under way and closes the recorder. Orders that rest stay as they are,
    /// unless the strategies withdraw them when they are stopped.
    ///
    /// Without sources it runs until somebody asks.
    pub fn run(&mut self) -> Ending {
        self.control.waker().attach();
        let mut idle = Idle::new(self.options.idle);
        let cause = loop {
            if self.control.is_stopping() {
                break EndCause::Stopped;
            }
            if self.cycle() {
                idle.reset();
            } else if self.is_over() {
                break self
                    .source_failure
                    .clone()
                    .map_or(EndCause::SourceEnded, EndCause::SourceFailed);
            } else if self.gate.n_held() > 0 {
                // The disk is about to answer; asleep it would be heard late.
                std::thread::yield_now();
            } else {
                let (control, sources) = (&self.control, &self.parts.sources);
                let port = &self.parts.port;
                idle.wait_for(control.waker(), Duration::MAX, || {
                    port.has_more()
                        || control.has_work()
                        || sources.iter().any(MarketSource::has_more)
                });
            }
        };
        let record_failure = self.end(&cause);
        let working = self.parts.engine.state().orders.all_working();
        let mut open_orders: Vec<_> = working.map(|order| order.id).collect();
        open_orders.sort_unstable();
        Ending { cause, summary: self.summary, open_orders, record_failure }
    }

    /// Returns what the loop was made of, as it has left it.
    #[must_use]
    pub fn into_parts(self) -> Parts<C, P, R, O, S> {
        self.parts
    }

    /// Returns what the loop is made of.
    #[must_use]
    pub const fn parts(&self) -> &Parts<C, P, R, O, S> {
        &self.parts
    }

    /// Returns what the loop is made of, for who does its cycles: what belongs to the world around
    /// it may be moved on between two of them.
    pub const fn parts_mut(&mut self) -> &mut Parts<C, P, R, O, S> {
        &mut self.parts
    }

    /// Does one duty cycle; returns whether anything happened. [`Self::run`] does them until it is
    /// asked to stop; simulations, in which one thread is the whole world, do them one by one and let
    /// `run` end what they began.
    pub fn cycle(&mut self) -> bool {
        let is_busy = if self.parts.clock.is_replay() { self.replay() } else { self.live() };
        let is_busy = self.work(is_busy) || is_busy;
        self.tend();
        if self.control.is_status_wanted() {
            let status = self.status();
            self.control.publish(status);
        }
        is_busy
    }

    /// Returns whether all that there was has been handled and nothing more will come.
    fn is_over(&self) -> bool {
        !self.is_open.is_empty()
            && self.is_open.iter().all(|is_open| !is_open)
            && self.inbox.engine_at() == NEVER
            && self.n_taken == self.arrived.len()
    }

    /// Takes what the port has to say by now.
    fn take_reports(&mut self) -> bool {
        for n in 0..REPORTS_PER_CYCLE {
            let port = &mut self.parts.port;
            if port.next_action_at().min(port.next_report_at()) > self.time {
                return n > 0;
            }
            let Some(event) = port.poll(self.time) else { return n > 0 };
            self.report(&event);
        }
        true
    }

    fn report(&mut self, event: &Event) {
        self.summary.n_reports += 1;
        point(Point::ReportTaken);
        self.handle(event);
        point(Point::ReportHandled);
    }

    fn take_timer(&mut self) {
        self.timer_at = self.time;
        self.summary.n_timers += 1;
        point(Point::TimerDue);
        self.handle(&Event::Timer);
        point(Point::TimerHandled);
    }

    /// Returns when the engine wants a timer event. One that would not move time waits for time to
    /// move, or a strategy that sets a timer for the past would hold the loop for ever.
    #[inline]
    fn deadline(&self) -> Nanos {
        // A timer that an earlier process has set would fire while nobody listens.
        if !self.has_begun {
            return NEVER;
        }
        match self.parts.engine.next_deadline() {
            Some(at) if at > self.timer_at => at.max(self.time),
            Some(_) if self.time > self.timer_at => self.time,
            _ => NEVER,
        }
    }

    /// Asks the sources that are open. Returns whether anything came.
    fn poll_sources(
        sources: &mut [S],
        is_open: &mut [bool],
        failure: &mut Option<SourceFailure>,
        out: &mut Vec<Event>,
        max: usize,
    ) -> bool {
        let before = out.len();
        for (source, is_open) in sources.iter_mut().zip(is_open) {
            if !*is_open {
                continue;
            }
            match source.poll(out, max) {
                Ok(SourceState::Ready | SourceState::Idle) => {}
                Ok(SourceState::Ended) => *is_open = false,
                Err(error) => {
                    *is_open = false;
                    failure.get_or_insert(error);
                }
            }
        }
        out.len() > before
    }

    /// Starts the strategies.
    fn begin(&mut self) {
        self.has_begun = true;
        self.summary.started_at = Some(self.time);
        self.next_sample_at = self.sample_after(self.time);
        point(Point::StrategiesStart);
        self.command_all(Command::Start);
        point(Point::StrategiesStarted);
    }

    /// Stops the strategies and lets what is under way arrive. Returns why not all of it is recorded,
    /// if so.
    fn end(&mut self, cause: &EndCause) -> Option<RecordFailure> {
        self.close_workshop();
        if self.has_begun {
            point(Point::StrategiesStop);
            self.command_all(Command::Stop);
            point(Point::StrategiesStopped);
            self.drain();
            self.summary.ended_at = Some(self.time);
            self.parts.observer.on_sample(self.time, &self.parts.engine);
        }
        let (recorder, engine) = (&mut self.parts.recorder, &self.parts.engine);
        let closed = recorder.close(self.seq, engine, &cause.to_string());
        if let Err(failure) = closed {
            self.gate.failure.get_or_insert(failure);
        }
        let status = self.status();
        self.control.publish(status);
        self.gate.failure.clone()
    }

    /// Waits for what is under way, but not for ever. In a replay it arrives at its time, without
    /// waiting for that time.
    fn drain(&mut self) {
        let begun = Instant::now();
        let mut idle = Idle::new(self.options.idle);
        loop {
            let is_busy = if self.parts.clock.is_replay() {
                self.finish_replay()
            } else {
                self.look_at_clock();
                self.take_reports()
            };
            self.tend();
            let is_waiting = self.parts.port.is_busy() || self.gate.n_held() > 0;
            if !is_waiting || begun.elapsed() >= self.options.drain {
                return;
            }
            if is_busy { idle.reset() } else { idle.wait() }
        }
    }

    fn command_all(&mut self, command: impl Fn(StrategyId) -> Command) {
        for idx in 0..self.parts.engine.state().strategies.len() {
            // The engine was built with 16-bit ids.
            let id = StrategyId(u16::try_from(idx).unwrap_or(u16::MAX));
            self.handle(&Event::Command(command(id)));
        }
    }

    fn sample_after(&self, time: Nanos) -> Nanos {
        let interval = self.options.sample_interval_ns;
        if interval <= 0 {
            return NEVER;
        }
        Nanos(time.0.div_euclid(interval).saturating_add(1).saturating_mul(interval))
    }

    fn status(&self) -> Status {
        Status {
            seq: self.seq,
            now: self.time,
            n_market: self.summary.n_events,
            n_reports: self.summary.n_reports,
            n_requests: self.summary.n_requests,
            n_held: self.gate.n_held(),
            recording: self.parts.recorder.progress(),
            record_failure: self.gate.failure.as_ref().map(ToString::to_string),
            source_failure: self.source_failure.as_ref().map(ToString::to_string),
            ..Status::of(&self.parts.engine)
        }
    }
}
