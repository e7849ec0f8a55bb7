//! What other threads ask for, done between two events.

use std::time::Instant;

use tercel_core::{Command, Event};
use tercel_sim::Observer;

use super::EventLoop;
use crate::clock::Clock;
use crate::directive::{Directive, Load, LoadReport, ShadowReport};
use crate::port::Port;
use crate::recorder::Recorder;
use crate::shadow::{Nobody, Shadow};
use crate::source::MarketSource;

/// A shadow run under way.
pub(super) struct Following {
    load: Box<Load>,
    shadow: Shadow,
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
        if self.following.is_some() {
            self.look_at_shadow();
        }
        for n in 0..DIRECTIVES_PER_CYCLE {
            let Some(directive) = self.control.next_directive() else { return n > 0 };
            self.direct(directive);
        }
        true
    }

    #[cold]
    fn direct(&mut self, directive: Directive) {
        match directive {
            Directive::Command(command) => self.handle(&Event::Command(command)),
            Directive::Load(load) if load.shadow > 0 => self.follow(load),
            Directive::Load(load) => self.load(&load, None),
            Directive::Inspect(look) => {
                let status = self.status();
                look(&self.parts.engine, &status);
            }
        }
    }

    /// Puts a version in its strategy's place: built, recorded, started.
    fn load(&mut self, load: &Load, shadow: Option<ShadowReport>) {
        let begun = Instant::now();
        let id = load.version.strategy();
        // A shadow run of the same strategy ends: it would be compared with what is gone.
        if self.following.as_ref().is_some_and(|own| own.load.version.strategy() == id)
            && let Some(following) = self.following.take()
        {
            let _ = following.load.answer.try_send(Err("another version was loaded".to_owned()));
        }
        if let Err(error) = load.version.take_over(&mut self.parts.engine, true) {
            let _ = load.answer.try_send(Err(error.to_string()));
            return;
        }
        for record in load.version.records() {
            if let Err(failure) = self.parts.recorder.keep(&record) {
                self.fail(failure);
            }
        }
        self.handle(&Event::Command(Command::Start(id)));
        let report = LoadReport { seq: self.seq, pause: begun.elapsed(), shadow };
        let is_running = self.parts.engine.state().strategies[id.index()].is_running;
        let answer = if is_running {
            Ok(report)
        } else {
            Err("the new version failed in its first call and is stopped; load another".to_owned())
        };
        // Who asked may have gone.
        let _ = load.answer.try_send(answer);
    }

    /// Lets a version run in the shadow of the running one.
    fn follow(&mut self, load: Box<Load>) {
        let refusal = if self.following.is_some() {
            Some("another version is running in shadow; wait for it".to_owned())
        } else {
            self.begin_shadow(&load)
        };
        if let Some(why) = refusal {
            let _ = load.answer.try_send(Err(why));
            return;
        }
        let engine = &mut self.parts.engine;
        let id = load.version.strategy();
        match load.version.build(engine, true) {
            Ok(shadow) => {
                let running = engine.exchange_strategy(id, Box::new(Nobody));
                let shadow = Shadow::new(running, shadow, 256);
                engine.exchange_strategy(id, Box::new(shadow.clone()));
                self.following = Some(Following { load, shadow });
            }
            Err(error) => {
                let _ = load.answer.try_send(Err(error.to_string()));
            }
        }
    }

    /// Returns why a version cannot run in shadow, if so.
    fn begin_shadow(&self, load: &Load) -> Option<String> {
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
        let is_over = self.following.as_ref().is_some_and(|following| {
            following.shadow.has_failed() || following.shadow.n_events() >= following.load.shadow
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
        self.load(&load, Some(report));
    }
}
