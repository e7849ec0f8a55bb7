//! What other threads ask for, done between two events.

use tercel_core::{Command, Event, Scope};
use tercel_crash::{Point, point};
use tercel_sim::Observer;

use super::EventLoop;
use crate::clock::Clock;
use crate::directive::{Directive, Load};
use crate::port::Port;
use crate::recorder::Recorder;
use crate::shadow::Shadow;
use crate::source::MarketSource;

/// A shadow run under way.
pub(super) struct Following {
    pub(super) load: Box<Load>,
    pub(super) shadow: Shadow,
}

impl std::fmt::Debug for Following {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Following").field("load", &self.load).finish_non_exhaustive()
    }
}

/// Directives taken in one cycle.
const DIRECTIVES_PER_CYCLE: usize = 64;

impl<C: Clock, P: Port, R: Recorder, O: Observer, S: MarketSource> EventLoop<C, P, R, O, S> {
    pub(super) fn take_directives(&mut self) -> bool {
        let is_busy = self.take_urgent();
        // What was asked after a version was to be loaded is done after it, such as setting its
        // parameters.
        if self.workshop.is_building() {
            return is_busy;
        }
        if self.following.is_some() {
            self.look_at_shadow();
            if self.workshop.is_building() {
                return true;
            }
        }
        for n in 0..DIRECTIVES_PER_CYCLE {
            let Some((number, directive)) = self.control.next_directive() else {
                return is_busy || n > 0;
            };
            // Who kills and then looks is to see what has been killed.
            self.take_urgent();
            self.direct(number, directive);
            if self.workshop.is_building() {
                break;
            }
        }
        true
    }

    /// Takes the commands that wait for nothing.
    #[inline]
    fn take_urgent(&mut self) -> bool {
        let mut is_busy = false;
        while let Some(command) = self.control.next_urgent() {
            self.command(command);
            is_busy = true;
        }
        is_busy
    }

    #[cold]
    fn command(&mut self, command: Command) {
        point(Point::CommandTaken);
        self.handle(&Event::Command(command));
        point(Point::CommandHandled);
    }

    /// Lets a scope trade, and nothing happen before the commands that have overtaken this: they hold as if
    /// they came after it.
    fn resume(&mut self, number: u64, scope: Scope) {
        self.command(Command::Resume(scope));
        for command in self.control.overtakers(number, scope) {
            self.command(command);
        }
    }

    #[cold]
    fn direct(&mut self, number: u64, directive: Directive) {
        self.control.has_come_to(number);
        match directive {
            Directive::Command(Command::Resume(scope)) => self.resume(number, scope),
            Directive::Command(command) => self.command(command),
            Directive::Load(load) if load.shadow > 0 => self.follow(load),
            Directive::Load(load) => self.load(load, None),
            Directive::Reconcile(answer) => {
                // Nobody waits any more if this fails.
                let _ = answer.try_send(self.parts.port.reconcile());
            }
            Directive::Inspect(look) => {
                let status = self.status();
                look(&self.parts.engine, &status);
            }
        }
    }

    /// Returns why a version cannot run in shadow, if so.
    pub(super) fn refuse_shadow(&self, load: &Load) -> Option<String> {
        let state = self.parts.engine.state();
        let own = state.strategies.get(load.version.strategy().index());
        let Some(own) = own.filter(|own| own.is_running) else {
            return Some("the strategy does not run: nothing to compare with".to_owned());
        };
        if own.instruments != load.version.instruments() {
            return Some("a version on other instruments cannot run in shadow".to_owned());
        }
        match load.version.series_ids(&self.parts.engine) {
            Ok(series) if series.iter().all(|id| own.series.contains(id)) => None,
            Ok(_) => {
                Some("a version on bars that the running one has not cannot run in shadow".into())
            }
            Err(error) => Some(error.to_string()),
        }
    }

    #[cold]
    fn look_at_shadow(&mut self) {
        let is_over = self.following.as_ref().is_some_and(|Following { load, shadow }| {
            shadow.has_failed() || shadow.n_events() >= load.shadow || load.waiting.is_given_up()
        });
        if !is_over {
            return;
        }
        let Some(Following { load, shadow }) = self.following.take() else { return };
        let id = load.version.strategy();
        let (running, report) = shadow.end();
        self.parts.engine.exchange_strategy(id, running);
        if let Some(fault) = &report.fault {
            let _ = load.answer.try_send(Err(format!("failed in the shadow run: {fault}")));
            return;
        }
        if !load.waiting.is_given_up() {
            self.load(load, Some(report));
        }
    }
}
