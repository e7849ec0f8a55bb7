//! What other threads see of a loop and do to it.

use std::time::Duration;

use tercel_core::{Command, Event, Scope, Side, StrategyId, TradingState};
use tercel_runtime::{
    CommandRefused, EndCause, EngineThread, EventLoop, Feed, FeedOptions, IdleStrategy,
    LoopOptions, MarketSource, Overflow, PaperPort, Parts, SourceFailure, SourceState, UtcClock,
    control,
};
use tercel_sim::{SimVenue, VenueOptions};
use tercel_testkit::{Strings, level, linear};

use crate::world::{Step, World, engine, open_book};

const WAIT: Duration = Duration::from_secs(20);

/// Gives its events, then fails or goes on for ever.
struct Source {
    events: std::vec::IntoIter<Event>,
    failure: Option<&'static str>,
}

impl MarketSource for Source {
    fn poll(&mut self, out: &mut Vec<Event>, max: usize) -> Result<SourceState, SourceFailure> {
        let before = out.len();
        out.extend(self.events.by_ref().take(max));
        match self.failure {
            _ if out.len() > before => Ok(SourceState::Ready),
            Some(why) => Err(SourceFailure(why.to_owned())),
            None => Ok(SourceState::Idle),
        }
    }
}

fn book() -> Source {
    let events = vec![level(0, 1, Side::Buy, 100, 5), level(0, 1, Side::Sell, 110, 5)];
    Source { events: events.into_iter(), failure: None }
}

fn venue() -> PaperPort {
    PaperPort::new(SimVenue::new(&[linear(0)], VenueOptions::default()).expect("valid"))
}

#[test]
fn a_loop_on_its_own_thread_is_commanded_asked_and_stopped_from_another() {
    let idles = [IdleStrategy::default(), IdleStrategy::SpinThenYield { spins: 100 }];
    for (idle, core) in idles.into_iter().zip([None, Some(0)]) {
        let (handle, control) = control(8);
        let options = FeedOptions {
            capacity: 64,
            overflow: Overflow::Gap(vec![linear(0).spec.venue]),
            idle,
            core: None,
        };
        let (feed, source) = Feed::spawn(options, &control, || Ok(book())).unwrap();
        let thread = EngineThread::spawn(core, move |pin| {
            assert!(pin.is_none(), "{pin:?}");
            let parts = Parts {
                engine: engine(&Strings::default()),
                clock: UtcClock::system(),
                port: venue(),
                recorder: (),
                observer: (),
                sources: vec![source],
            };
            let options = LoopOptions { idle, ..LoopOptions::default() };
            EventLoop::new(parts, control, options).run()
        })
        .unwrap();
        handle.send(Command::Kill(Scope::Engine)).unwrap();
        let mut status = handle.status(WAIT).unwrap();
        while status.n_market < 2 || status.state != TradingState::Halted {
            status = handle.status(WAIT).unwrap();
        }
        assert_eq!(status.is_running, [true, true]);
        handle.send(Command::Resume(Scope::Engine)).unwrap();
        while handle.status(WAIT).unwrap().state != TradingState::Active {}
        handle.stop();
        let ending = thread.join();
        assert_eq!(ending.cause, EndCause::Stopped);
        assert_eq!(ending.summary.n_events, 2);
        assert!(feed.join().is_none());
        assert_eq!(handle.send(Command::Kill(Scope::Engine)), Err(CommandRefused::Ended));
        assert_eq!(handle.status(WAIT).unwrap().is_running, [false, false], "the last one");
    }
}

#[test]
fn a_failing_source_ends_the_loop_after_all_that_it_gave() {
    let (_handle, control) = control(8);
    let options = FeedOptions {
        capacity: 1,
        overflow: Overflow::Wait,
        idle: IdleStrategy::default(),
        core: None,
    };
    let build = || Ok(Source { failure: Some("line 3: no price"), ..book() });
    let (feed, source) = Feed::spawn(options, &control, build).unwrap();
    let parts = Parts {
        engine: engine(&Strings::default()),
        clock: UtcClock::system(),
        port: venue(),
        recorder: (),
        observer: (),
        sources: vec![source],
    };
    let ending = EventLoop::new(parts, control, LoopOptions::default()).run();
    let failure = SourceFailure("line 3: no price".to_owned());
    assert_eq!(ending.cause, EndCause::SourceFailed(failure));
    assert_eq!(ending.summary.n_events, 2);
    assert!(feed.join().is_none());
}

#[test]
fn too_many_commands_are_refused_and_none_is_lost() {
    let world = World::new();
    let handle = world.handle.clone();
    let flood = Step::Do(Box::new(move || {
        let resume = Command::Resume(Scope::Strategy(StrategyId(0)));
        for _ in 0..16 {
            handle.send(resume.clone()).unwrap();
        }
        assert_eq!(handle.send(resume), Err(CommandRefused::Full));
    }));
    // It has a queue of its own.
    let again = Step::Command(Command::Kill(Scope::Engine));
    let (_, engine) = world.run(open_book().into_iter().chain([flood, again]));
    assert_eq!(engine.state().scope.state, TradingState::Halted);
    // Two starts, two events, seventeen commands, two stops.
    assert_eq!(world.nows().len(), 23);
}

#[test]
fn a_status_says_why_no_order_leaves() {
    let world = World::new();
    let mut story: Vec<Step> = open_book().into();
    story.push(Step::Disk(Err("the disk is full: free some space")));
    let (ending, _) = world.run(story);
    let status = world.handle.status(WAIT).unwrap();
    let expected = "the disk is full: free some space";
    assert_eq!(status.record_failure.as_deref(), Some(expected));
    assert_eq!(ending.record_failure.unwrap().to_string(), expected);
    assert_eq!(status.state, TradingState::Halted);
}
