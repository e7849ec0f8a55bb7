//! The backtest driver: one loop over two clocks.
//!
//! The venue gets each market event at the venue's time, the engine at its receive time; a request
//! reaches the venue after its latency, a report reaches the engine after its own. The loop always
//! takes what is earliest. At one time the order is fixed: the venue first (market data, then
//! expiries and arriving requests), then the engine (commands, reports, timers, market data), then
//! bars at the venue, then the observer's sample. Bars come after the engine because the close of
//! one bar is the open of the next: what the engine decides on the close acts on that open.
//!
//! Events are taken in the order of their source. An event whose time lies before an earlier
//! event's is taken at that event's time: the engine's clock is the running maximum of the receive
//! times, the venue's the running maximum of [`SimVenue::time_of`]. Events that have no time of
//! their own (signals, links, commands) happen when the market event before them did.
//!
//! Requests for a new snapshot ([`Effect::Resync`]) have nobody to answer them: recorded data
//! brings the next snapshot when it does.

use tercel_core::{Command, Effect, Effects, Engine, Event, Nanos, Seq, StrategyId};

use crate::cues::Cues;
use crate::feed::Feed;
use crate::observer::Observer;
use crate::port::VenuePort;
use crate::venue::SimVenue;

/// A backtest: an engine and a simulated venue, driven by recorded or generated events.
#[derive(Debug)]
pub struct Backtest {
    engine: Engine,
    venue: SimVenue,
    options: BacktestOptions,
    seq: Seq,
    effects: Effects,
}

/// How a backtest is driven.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BacktestOptions {
    /// Time between samples for the observer, in nanoseconds; zero (the default) for only the one
    /// at the end. Samples lie at multiples of it since 1970, after all that happened up to then.
    pub sample_interval_ns: i64,
}

/// What a run came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// Events taken from the source.
    pub n_events: u64,
    /// Requests sent to the venue.
    pub n_requests: u64,
    /// Reports delivered to the engine.
    pub n_reports: u64,
    /// Timer events given to the engine.
    pub n_timers: u64,
    /// The engine's time of the first event; `None` of an empty run.
    pub started_at: Option<Nanos>,
    /// Time of the last thing that happened.
    pub ended_at: Option<Nanos>,
}

impl Backtest {
    /// Returns a backtest over an engine and a venue that list the same instruments.
    #[must_use]
    pub fn new(engine: Engine, venue: SimVenue, options: BacktestOptions) -> Self {
        Self { engine, venue, options, seq: Seq(0), effects: Engine::effects() }
    }

    /// Runs over all events of a source, in memory that does not grow with their number.
    ///
    /// The source appends a block of events to the list each time that it is called, says how
    /// many, and ends with a block of none. It must leave what is in the list alone: events
    /// between the venue's clock and the engine's wait there. Blocks of some thousands keep both
    /// the cost of the call and the memory small.
    ///
    /// Every strategy is started at the engine's time of the first event, before it, and stopped
    /// at that of the last, after it. Then no more timers fire, but requests and reports that are
    /// under way still arrive; orders that rest stay unfilled. The observer's last sample comes
    /// after that.
    ///
    /// # Errors
    ///
    /// Those of the source; the run ends there, without stopping the strategies.
    pub fn run<E>(
        &mut self,
        source: impl FnMut(&mut Vec<Event>) -> Result<usize, E>,
        observer: &mut impl Observer,
    ) -> Result<Summary, E> {
        Run::new(self, Feed::open(source, ())?, observer).all()
    }

    /// Runs over everything that went into a recorded run: its market data and, at their place among
    /// it, its commands and whatever else had no time of its own, which the cues tell.
    ///
    /// As [`Self::run`], but the source itself has the commands that start and stop strategies.
    ///
    /// # Errors
    ///
    /// Those of the source; the run ends there.
    pub fn rerun<E>(
        &mut self,
        source: impl FnMut(&mut Vec<Event>) -> Result<usize, E>,
        cues: impl Cues,
        observer: &mut impl Observer,
    ) -> Result<Summary, E> {
        Run::new(self, Feed::open(source, cues)?, observer).recorded()
    }

    /// Returns the engine.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Returns the venue.
    #[must_use]
    pub const fn venue(&self) -> &SimVenue {
        &self.venue
    }

    /// Returns engine and venue as the runs have left them.
    #[must_use]
    pub fn into_parts(self) -> (Engine, SimVenue) {
        (self.engine, self.venue)
    }
}

/// One run of a backtest.
struct Run<'a, S, C, O> {
    test: &'a mut Backtest,
    feed: Feed<S, C>,
    observer: &'a mut O,
    summary: Summary,
    clock: Clock,
}

/// Where the run stands in time.
struct Clock {
    now: Nanos,
    /// When the last timer event was given: a deadline that it left behind waits until time moves.
    timer_at: Nanos,
    next_sample_at: Nanos,
}

impl Clock {
    const fn new() -> Self {
        Self { now: Nanos(i64::MIN), timer_at: Nanos(i64::MIN), next_sample_at: NEVER }
    }
}

const NEVER: Nanos = Nanos(i64::MAX);

/// What can happen next, in the order that decides at one time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Turn {
    VenueTick,
    VenueAction,
    Report,
    Timer,
    EngineEvent,
    VenueBar,
    Sample,
}

impl<'a, S, C, O, E> Run<'a, S, C, O>
where
    S: FnMut(&mut Vec<Event>) -> Result<usize, E>,
    C: Cues,
    O: Observer,
{
    fn new(test: &'a mut Backtest, feed: Feed<S, C>, observer: &'a mut O) -> Self {
        Self { test, feed, observer, summary: Summary::default(), clock: Clock::new() }
    }

    fn all(mut self) -> Result<Summary, E> {
        let start = self.feed.engine_at();
        if start != NEVER {
            self.begin(start)?;
            self.data()?;
            self.command_all(Command::Stop);
            self.end();
        }
        Ok(self.summary)
    }

    fn recorded(mut self) -> Result<Summary, E> {
        let start = self.feed.engine_at();
        if start != NEVER {
            self.summary.started_at = Some(start);
            self.begin_samples(start);
            self.data()?;
            self.end();
        }
        Ok(self.summary)
    }

    /// Starts the strategies, after what the venue has seen before the engine's first event.
    fn begin(&mut self, at: Nanos) -> Result<(), E> {
        self.summary.started_at = Some(at);
        while self.feed.venue_at() < at || (self.feed.venue_at() == at && !self.feed.is_venue_bar())
        {
            self.venue_event(self.feed.venue_at())?;
        }
        self.clock.now = at;
        self.begin_samples(at);
        self.command_all(Command::Start);
        Ok(())
    }

    const fn begin_samples(&mut self, at: Nanos) {
        let interval = self.test.options.sample_interval_ns;
        if interval > 0 {
            let passed = at.0.div_euclid(interval);
            self.clock.next_sample_at = Nanos(passed.saturating_add(1).saturating_mul(interval));
        }
    }

    /// Takes everything up to the engine's last event.
    fn data(&mut self) -> Result<(), E> {
        // When something other than the feed is due. Looked up again only after what can make it
        // earlier; that it is later than thought costs a look at everything, nothing else.
        let mut other_at = self.other_at();
        loop {
            let (venue_at, engine_at) = (self.feed.venue_at(), self.feed.engine_at());
            let is_venue_next =
                venue_at < engine_at || (venue_at == engine_at && !self.feed.is_venue_bar());
            // The common case: nothing is due but the feed itself. Ties are judged below.
            if is_venue_next && venue_at < other_at {
                if self.venue_event(venue_at)? {
                    other_at = self.other_at();
                }
            } else if !is_venue_next && engine_at < other_at {
                if self.engine_event(engine_at) {
                    other_at = self.other_at();
                }
            } else if engine_at == NEVER {
                return Ok(());
            } else {
                self.turn()?;
                other_at = self.other_at();
            }
        }
    }

    /// Takes what is earliest, ties judged.
    fn turn(&mut self) -> Result<(), E> {
        let venue = if self.feed.is_venue_bar() { Turn::VenueBar } else { Turn::VenueTick };
        let turns = [
            (self.feed.venue_at(), venue),
            (self.test.venue.next_action_at(), Turn::VenueAction),
            (self.test.venue.next_report_at(), Turn::Report),
            (self.deadline(), Turn::Timer),
            (self.feed.engine_at(), Turn::EngineEvent),
            (self.clock.next_sample_at, Turn::Sample),
        ];
        let (at, turn) = turns.into_iter().min().expect("there are six");
        match turn {
            Turn::VenueTick | Turn::VenueBar => {
                self.venue_event(at)?;
            }
            Turn::EngineEvent => {
                self.engine_event(at);
            }
            Turn::VenueAction | Turn::Report | Turn::Sample => self.other(at, turn),
            Turn::Timer => {
                self.clock.now = self.clock.now.max(at);
                self.clock.timer_at = self.clock.now;
                self.summary.n_timers += 1;
                self.handle(&Event::Timer);
            }
        }
        Ok(())
    }

    fn other(&mut self, at: Nanos, turn: Turn) {
        self.clock.now = self.clock.now.max(at);
        match turn {
            Turn::VenueAction => self.test.venue.advance(at),
            Turn::Report => self.report(),
            _ => self.sample(),
        }
    }

    /// Lets what is under way arrive.
    fn end(&mut self) {
        while self.test.venue.is_busy() {
            let turns = [
                (self.test.venue.next_action_at(), Turn::VenueAction),
                (self.test.venue.next_report_at(), Turn::Report),
                (self.clock.next_sample_at, Turn::Sample),
            ];
            let (at, turn) = turns.into_iter().min().expect("there are three");
            self.other(at, turn);
        }
        self.summary.ended_at = Some(self.clock.now);
        self.observer.on_sample(self.clock.now, &self.test.engine);
    }

    /// Returns whether the venue may now have something to do or to say.
    #[inline]
    fn venue_event(&mut self, at: Nanos) -> Result<bool, E> {
        self.clock.now = at;
        let concerns_orders = match self.feed.venue_event() {
            Event::Market(market) => self.test.venue.on_market(at, market),
            event => {
                self.test.venue.on_event(event);
                false
            }
        };
        self.feed.next_venue_event()?;
        Ok(concerns_orders)
    }

    /// Returns whether requests were sent or the engine has a deadline.
    #[inline]
    fn engine_event(&mut self, at: Nanos) -> bool {
        self.clock.now = at;
        self.summary.n_events += 1;
        let test = &mut *self.test;
        test.seq.0 += 1;
        self.feed.prepare(&mut test.engine);
        test.engine.handle(test.seq, at, self.feed.engine_event(), &mut test.effects);
        if let Event::Execution(report) = self.feed.engine_event() {
            self.observer.on_report(at, report, &test.engine);
        }
        self.feed.next_engine_event();
        let has_effects = !test.effects.is_empty();
        let has_deadline = test.engine.next_deadline().is_some();
        if has_effects {
            self.take_effects();
        }
        has_effects || has_deadline
    }

    fn handle(&mut self, event: &Event) {
        let test = &mut *self.test;
        test.seq.0 += 1;
        test.engine.handle(test.seq, self.clock.now, event, &mut test.effects);
        if let Event::Execution(report) = event {
            self.observer.on_report(self.clock.now, report, &test.engine);
        }
        if !test.effects.is_empty() {
            self.take_effects();
        }
    }

    #[cold]
    fn take_effects(&mut self) {
        let (test, now) = (&mut *self.test, self.clock.now);
        for effect in test.effects.as_slice() {
            if let Effect::Send(request) = effect {
                self.summary.n_requests += 1;
                test.venue.send(*request, now);
            }
        }
        self.observer.on_effects(test.seq, now, test.effects.as_slice(), &test.engine);
        test.effects.clear();
    }

    fn report(&mut self) {
        if let Some(event) = self.test.venue.poll(self.clock.now) {
            self.summary.n_reports += 1;
            self.handle(&event);
        }
    }

    fn sample(&mut self) {
        let at = self.clock.next_sample_at;
        self.clock.next_sample_at = at.plus(self.test.options.sample_interval_ns);
        self.observer.on_sample(at, &self.test.engine);
    }

    fn command_all(&mut self, command: impl Fn(StrategyId) -> Command) {
        for idx in 0..self.test.engine.state().strategies.len() {
            // The engine was built with 16-bit ids.
            let id = StrategyId(u16::try_from(idx).unwrap_or(u16::MAX));
            self.handle(&Event::Command(command(id)));
        }
    }

    /// Returns when something other than the feed is next due.
    #[inline]
    fn other_at(&self) -> Nanos {
        self.test.venue.wake_at().min(self.deadline()).min(self.clock.next_sample_at)
    }

    /// Returns when the engine wants a timer event. One that would not move time waits for the
    /// next event, or a strategy that sets a timer for the past would hold the run for ever.
    #[inline]
    fn deadline(&self) -> Nanos {
        match self.test.engine.next_deadline() {
            None => NEVER,
            Some(at) if at > self.clock.timer_at => at.max(self.clock.now),
            Some(_) if self.clock.now > self.clock.timer_at => self.clock.now,
            Some(_) => NEVER,
        }
    }
}
