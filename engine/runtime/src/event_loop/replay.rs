//! The duty cycle of a replay: everything at its own time, earliest first.

use tercel_core::Nanos;
use tercel_sim::Observer;

use super::{EventLoop, NEVER, UNKNOWN};
use crate::clock::Clock;
use crate::port::Port;
use crate::recorder::Recorder;
use crate::source::MarketSource;

/// What can happen next, in the order that decides at one time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Turn {
    VenueTick,
    Start,
    VenueAction,
    Report,
    Timer,
    EngineEvent,
    VenueBar,
    Sample,
}

impl<C: Clock, P: Port, R: Recorder, O: Observer, S: MarketSource> EventLoop<C, P, R, O, S> {
    /// Does one duty cycle; returns whether anything happened.
    pub(super) fn replay(&mut self) -> bool {
        let mut is_busy = false;
        // There is no time to give a command before the first event.
        if self.has_begun {
            is_busy |= self.take_directives();
        }
        is_busy |= self.fill_inbox();
        is_busy | self.take_turns()
    }

    /// Lets what is under way arrive. Returns whether anything happened.
    pub(super) fn finish_replay(&mut self) -> bool {
        let mut is_busy = false;
        while self.parts.port.is_busy() && self.gate.n_held() == 0 {
            let turns = [
                (self.parts.port.next_action_at(), Turn::VenueAction),
                (self.report_at(), Turn::Report),
                (self.next_sample_at, Turn::Sample),
            ];
            let (at, turn) = turns.into_iter().min().expect("there are three");
            if at == NEVER {
                break;
            }
            self.take(at, turn);
            is_busy = true;
        }
        is_busy
    }

    /// Lets the source fill the inbox, unless there is enough in it.
    fn fill_inbox(&mut self) -> bool {
        if !self.inbox.is_shown() {
            return false;
        }
        self.inbox.make_room();
        let has_more = Self::poll_sources(
            &mut self.parts.sources,
            &mut self.is_open,
            &mut self.source_failure,
            &mut self.inbox.events,
            self.options.events_per_cycle,
        );
        if has_more {
            let is_first = self.summary.started_at.is_none() && self.inbox.engine_at() == NEVER;
            self.inbox.arrived();
            if is_first {
                self.parts.clock.begin(self.inbox.venue_at().min(self.inbox.engine_at()));
            }
        }
        has_more
    }

    /// Lets happen what is due, earliest first, until nothing is or the cycle has had its share of
    /// market events.
    fn take_turns(&mut self) -> bool {
        let (mut is_busy, mut n_events) = (false, 0);
        while n_events < self.options.events_per_cycle {
            // Nothing may happen before it is known what comes first; and once the data is over,
            // nothing happens after its last event but what the end brings.
            let is_blind = self.inbox.is_shown() && self.is_open.contains(&true);
            // Waiting for the disk takes no time: what waits leaves at the time of its wish, or the
            // run would depend on the machine.
            let is_waiting = self.gate.n_held() > 0;
            if is_blind || is_waiting || self.inbox.engine_at() == NEVER {
                break;
            }
            let (at, turn) = self.next_turn();
            if at > self.parts.clock.horizon() {
                break;
            }
            n_events += usize::from(turn == Turn::EngineEvent);
            self.take(at, turn);
            is_busy = true;
        }
        is_busy
    }

    fn next_turn(&self) -> (Nanos, Turn) {
        let tick = if self.inbox.is_venue_bar() { Turn::VenueBar } else { Turn::VenueTick };
        let start_at = if self.has_begun { NEVER } else { self.inbox.engine_at() };
        let turns = [
            (self.inbox.venue_at(), tick),
            (start_at, Turn::Start),
            (self.parts.port.next_action_at(), Turn::VenueAction),
            (self.report_at(), Turn::Report),
            (self.deadline(), Turn::Timer),
            (self.inbox.engine_at(), Turn::EngineEvent),
            (self.next_sample_at, Turn::Sample),
        ];
        turns.into_iter().min().expect("there are seven")
    }

    fn take(&mut self, at: Nanos, turn: Turn) {
        self.time = self.time.max(self.parts.clock.reach(at));
        match turn {
            Turn::VenueTick | Turn::VenueBar => {
                self.parts.port.on_event(self.time, self.inbox.venue_event());
                self.inbox.next_venue_event();
            }
            Turn::Start => self.begin(),
            Turn::VenueAction => self.parts.port.advance(self.time),
            Turn::Report => {
                if let Some(event) = self.parts.port.poll(self.time) {
                    self.report(&event);
                }
            }
            Turn::Timer => self.take_timer(),
            Turn::EngineEvent => {
                self.summary.n_events += 1;
                let event = self.inbox.engine_event().clone();
                self.inbox.next_engine_event();
                self.handle(&event);
            }
            Turn::Sample => {
                let at = self.next_sample_at;
                self.next_sample_at = at.plus(self.options.sample_interval_ns);
                self.parts.observer.on_sample(at, &self.parts.engine);
            }
        }
    }

    /// A port that has to be asked has no times of its own and no place in a replay.
    fn report_at(&self) -> Nanos {
        match self.parts.port.next_report_at() {
            UNKNOWN => NEVER,
            at => at,
        }
    }
}
