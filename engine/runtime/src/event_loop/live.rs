//! The duty cycle where time passes by itself: live and paper trading.

use tercel_core::{Event, Nanos};
use tercel_sim::Observer;

use super::EventLoop;
use crate::clock::Clock;
use crate::port::Port;
use crate::recorder::Recorder;
use crate::source::MarketSource;

impl<C: Clock, P: Port, R: Recorder, O: Observer, S: MarketSource> EventLoop<C, P, R, O, S> {
    /// Does one duty cycle; returns whether anything happened.
    pub(super) fn live(&mut self) -> bool {
        // Before the clock, so that what has arrived was received before the loop's time.
        let has_arrived = self.n_taken < self.arrived.len() || self.poll_arrived();
        self.look_at_clock();
        let mut is_busy = has_arrived;
        if !self.has_begun {
            if self.parts.port.is_ready() {
                // What the port has found out meanwhile may be a reason to stand still.
                while self.has_waited && self.take_reports() {}
                self.begin();
                is_busy = true;
            } else {
                self.has_waited = true;
            }
        }
        is_busy |= self.take_directives();
        is_busy |= self.take_reports();
        if self.deadline() <= self.time {
            self.take_timer();
            is_busy = true;
        }
        if has_arrived {
            self.take_arrived();
        }
        if self.next_sample_at <= self.time {
            // Samples that a sleep or a jump of the clock has passed over are not made up.
            self.next_sample_at = self.sample_after(self.time);
            let at = self.next_sample_at.plus(-self.options.sample_interval_ns);
            self.parts.observer.on_sample(at, &self.parts.engine);
        }
        is_busy
    }

    pub(super) fn look_at_clock(&mut self) {
        // The end of time stands for never and must not be reached.
        self.time = self.time.max(self.parts.clock.now()).min(Nanos(i64::MAX - 1));
    }

    fn poll_arrived(&mut self) -> bool {
        self.arrived.clear();
        self.n_taken = 0;
        Self::poll_sources(
            &mut self.parts.sources,
            &mut self.is_open,
            &mut self.source_failure,
            &mut self.arrived,
            self.options.events_per_cycle,
        )
    }

    /// Takes the cycle's share of what has arrived.
    fn take_arrived(&mut self) {
        let most = self.options.events_per_cycle.saturating_mul(self.parts.sources.len());
        let until = self.n_taken.saturating_add(most.max(1)).min(self.arrived.len());
        let mut arrived = std::mem::take(&mut self.arrived);
        for event in &mut arrived[self.n_taken..until] {
            correct_receive_time(event, self.time);
            self.parts.port.on_event(self.time, event);
            self.summary.n_events += 1;
            self.handle(event);
        }
        self.n_taken = until;
        self.arrived = arrived;
    }
}

/// What has arrived was received by now. One that claims otherwise would take the engine's time
/// ahead of the clock, where it would have to stay; it is corrected before anybody sees it, so that
/// tape and engine agree.
fn correct_receive_time(event: &mut Event, time: Nanos) {
    if let Event::Market(market) = event
        && market.received_at > time
    {
        market.received_at = time;
    }
}
