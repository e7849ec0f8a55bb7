//! Letting a version take over while events go on coming.
//!
//! A script's machine takes milliseconds to build, on this thread, where it stays. It is built in steps
//! between events: one whenever nothing else is to be done, and under full load one after four times as
//! long as the last one took. Until it is whole the version before it goes on, and whatever else is
//! asked of the engine waits, so that all happens in the order in which it was asked for; all but commands
//! that stop or shrink what is traded, which wait for nothing.

use std::time::{Duration, Instant};

use tercel_core::{Command, Event, Nanos, Strategy};
use tercel_crash::{Point, point};
use tercel_script::StrategyBuild;
use tercel_sim::Observer;

use super::EventLoop;
use super::directives::Following;
use crate::clock::Clock;
use crate::directive::{Load, LoadReport, ShadowReport};
use crate::port::Port;
use crate::recorder::Recorder;
use crate::shadow::{Nobody, Shadow};
use crate::source::MarketSource;

/// Where versions are built and old ones taken apart.
#[derive(Default)]
pub(super) struct Workshop {
    building: Option<Building>,
    /// What was replaced. Taking a machine apart takes time too.
    retired: Option<Box<dyn Strategy>>,
    /// When the next step is due at the latest, by the loop's clock: a world that has a clock of its own
    /// is the same each time.
    next_at: Nanos,
}

impl std::fmt::Debug for Workshop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workshop").field("is_building", &self.is_building()).finish_non_exhaustive()
    }
}

impl Workshop {
    /// Returns whether a version is being built.
    #[inline]
    pub(super) const fn is_building(&self) -> bool {
        self.building.is_some()
    }

    #[inline]
    const fn has_work(&self) -> bool {
        self.building.is_some() || self.retired.is_some()
    }
}

/// A version that is being built.
struct Building {
    load: Box<Load>,
    stage: Stage,
    /// What its shadow run showed, if it had one.
    shadow: Option<ShadowReport>,
    /// The longest step, and all of them.
    pause: Duration,
    work: Duration,
}

enum Stage {
    Begun(Box<StrategyBuild>),
    Whole(Box<dyn Strategy>),
}

/// Events get so many times as long as the last step took, before the next one holds them up.
const SHARE: i64 = 4;

impl<C: Clock, P: Port, R: Recorder, O: Observer, S: MarketSource> EventLoop<C, P, R, O, S> {
    /// Begins to let a version take over.
    pub(super) fn load(&mut self, load: Box<Load>, shadow: Option<ShadowReport>) {
        let id = load.version.strategy();
        // A shadow run of the same strategy ends: it would be compared with what is gone.
        if self.following.as_ref().is_some_and(|own| own.load.version.strategy() == id)
            && let Some(following) = self.following.take()
        {
            let _ = following.load.answer.try_send(Err("another version was loaded".to_owned()));
        }
        self.build(load, shadow);
    }

    /// Begins to let a version run in the shadow of the running one.
    pub(super) fn follow(&mut self, load: Box<Load>) {
        let refusal = if self.following.is_some() {
            Some("another version is running in shadow; wait for it".to_owned())
        } else {
            self.refuse_shadow(&load)
        };
        match refusal {
            Some(why) => {
                let _ = load.answer.try_send(Err(why));
            }
            None => self.build(load, None),
        }
    }

    fn build(&mut self, load: Box<Load>, shadow: Option<ShadowReport>) {
        let begun = Instant::now();
        match load.version.build(&self.parts.engine, true) {
            Ok(build) => {
                let stage = Stage::Begun(Box::new(build));
                let spent = begun.elapsed();
                let building = Building { load, stage, shadow, pause: spent, work: spent };
                self.workshop.building = Some(building);
            }
            Err(error) => {
                // Who asked may have gone, here and below.
                let _ = load.answer.try_send(Err(error.to_string()));
            }
        }
    }

    /// Takes the next step, if it is time. Returns whether it was.
    #[inline]
    pub(super) fn work(&mut self, is_busy: bool) -> bool {
        self.workshop.has_work() && self.take_step(is_busy)
    }

    #[cold]
    fn take_step(&mut self, is_busy: bool) -> bool {
        let begun_at = self.parts.clock.now();
        if is_busy && begun_at < self.workshop.next_at {
            return false;
        }
        match self.workshop.building.take() {
            Some(building) => self.go_on(building, Instant::now()),
            None => self.workshop.retired = None,
        }
        let done_at = self.parts.clock.now();
        let spent_ns = done_at.0.saturating_sub(begun_at.0);
        self.workshop.next_at = done_at.plus(spent_ns.saturating_mul(SHARE));
        true
    }

    fn go_on(&mut self, mut building: Building, begun: Instant) {
        let mut build = match building.stage {
            Stage::Whole(strategy) => {
                building.stage = Stage::Whole(Box::new(Nobody));
                if building.load.shadow > 0 && building.shadow.is_none() {
                    self.begin_shadow(building.load, strategy);
                } else {
                    self.take_over(&building, strategy, begun);
                }
                return;
            }
            Stage::Begun(build) => build,
        };
        building.stage = match build.step() {
            Ok(Some(strategy)) => Stage::Whole(building.load.version.wrap_up(strategy)),
            Ok(None) => Stage::Begun(build),
            Err(error) => {
                let _ = building.load.answer.try_send(Err(error.to_string()));
                return;
            }
        };
        let spent = begun.elapsed();
        building.pause = building.pause.max(spent);
        building.work += spent;
        self.workshop.building = Some(building);
    }

    /// Puts a version in its strategy's place: recorded, started.
    fn take_over(&mut self, building: &Building, strategy: Box<dyn Strategy>, begun: Instant) {
        let Load { version, waiting, answer, .. } = &*building.load;
        let id = version.strategy();
        if !waiting.take_over() {
            self.workshop.retired = Some(strategy);
            return;
        }
        point(Point::ReloadBegin);
        // Recorded first: of a version that is on no record nothing could be executed again.
        for record in version.records() {
            if let Err(failure) = self.parts.recorder.keep(&record) {
                let why = format!("the version before it stays: {failure}");
                let _ = answer.try_send(Err(why));
                return;
            }
        }
        point(Point::ReloadRecorded);
        match version.place(&mut self.parts.engine, strategy) {
            Ok(old) => self.workshop.retired = Some(old),
            Err(error) => {
                let _ = answer.try_send(Err(error.to_string()));
                return;
            }
        }
        point(Point::ReloadPlaced);
        self.handle(&Event::Command(Command::Start(id)));
        point(Point::ReloadStarted);
        let spent = begun.elapsed();
        let report = LoadReport {
            seq: self.seq,
            pause: building.pause.max(spent),
            work: building.work + spent,
            shadow: building.shadow.clone(),
        };
        let is_running = self.parts.engine.state().strategies[id.index()].is_running;
        let _ = answer.try_send(if is_running {
            Ok(report)
        } else {
            Err("the new version failed in its first call and is stopped; load another".to_owned())
        });
    }

    fn begin_shadow(&mut self, load: Box<Load>, strategy: Box<dyn Strategy>) {
        // It may have stopped while its shadow was built.
        if let Some(why) = self.refuse_shadow(&load) {
            let _ = load.answer.try_send(Err(why));
            return;
        }
        let (engine, id) = (&mut self.parts.engine, load.version.strategy());
        let running = engine.exchange_strategy(id, Box::new(Nobody));
        let shadow = Shadow::new(running, strategy);
        engine.exchange_strategy(id, Box::new(shadow.clone()));
        self.following = Some(Following { load, shadow });
    }

    /// Answers whoever waits for a version that will not take over any more.
    pub(super) fn close_workshop(&mut self) {
        if let Some(Building { load, .. }) = std::mem::take(&mut self.workshop).building {
            let _ = load.answer.try_send(Err("the run ended before it could take over".to_owned()));
        }
    }
}
