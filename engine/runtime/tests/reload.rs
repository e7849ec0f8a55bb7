//! Another version of a script takes over in a running loop, and no event is lost.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use support::{instrument, market, venue};
use tercel_core::{
    Command, Effect, Engine, Event, MarketData, MarketEvent, Nanos, Scope, Seq, StrategyId,
    TradingState, Value,
};
use tercel_runtime::{
    CommandRefused, Directive, EndCause, EngineThread, EventLoop, Handle, Load, LoadReport,
    LoopOptions, MarketSource, PaperPort, Parts, RecordFailure, Recorder, SourceFailure,
    SourceState, Ticket, UtcClock, Version, Waiting, control,
};
use tercel_script::{Language, Limits, Script, Source};
use tercel_sim::LatencyModel;
use tercel_store::journal::Record;

/// Gives as many events as it is allowed to.
struct Sluice {
    events: Vec<Event>,
    n_given: usize,
    n_allowed: Arc<AtomicUsize>,
}

impl MarketSource for Sluice {
    fn poll(&mut self, out: &mut Vec<Event>, max: usize) -> Result<SourceState, SourceFailure> {
        let end = self.events.len().min(self.n_given + max);
        let until = self.n_allowed.load(Ordering::Acquire).min(end);
        if self.n_given == self.events.len() {
            return Ok(SourceState::Ended);
        }
        if until <= self.n_given {
            return Ok(SourceState::Idle);
        }
        out.extend_from_slice(&self.events[self.n_given..until]);
        self.n_given = until;
        Ok(SourceState::Ready)
    }

    fn has_more(&self) -> bool {
        self.n_allowed.load(Ordering::Acquire) > self.n_given
    }
}

fn counter(language: Language, step: i64) -> Script {
    let (file, text) = match language {
        Language::Luau => (
            "counter.luau",
            format!(
                "strategy {{ name = \"counter\" }}\nlocal n = 0\n\
                 function on_reload(old) n = old.n end\n\
                 function on_trade(price, qty, side, time) n += {step} remember(\"n\", n) end\n"
            ),
        ),
        Language::Rhai => (
            "counter.rhai",
            format!(
                "strategy(#{{ name: \"counter\" }});\nfn on_init() {{ this.n = 0; }}\n\
                 fn on_reload(old) {{ this.n = old.n; }}\n\
                 fn on_trade(price, qty, side, time) {{ this.n += {step}; remember(\"n\", this.n); }}\n"
            ),
        ),
    };
    let source = Source { path: file.into(), file: file.to_owned(), language, text };
    Script::check(source, &Limits::of(language)).unwrap()
}

fn version(script: Script) -> Version {
    Version::new(StrategyId(0), script, [], &[], &[instrument()], 1).unwrap()
}

fn load(handle: &Handle, version: Version, shadow: u64) -> Result<LoadReport, String> {
    let (answer, receiver) = sync_channel(1);
    handle
        .direct(Directive::Load(Box::new(Load {
            version,
            shadow,
            waiting: Waiting::default(),
            answer,
        })))
        .unwrap();
    receiver.recv_timeout(Duration::from_secs(10)).expect("an answer in time")
}

/// Runs the counter over a market, lets `meddle` act after half of it, and returns what was counted
/// at the end. It can let some more of the market pass.
fn run(first: Script, meddle: impl FnOnce(&Handle, &dyn Fn(usize))) -> f64 {
    let events = market(3, 2);
    let n = events.len();
    let n_allowed = Arc::new(AtomicUsize::new(n / 2));
    let (handle, control) = control(16);
    let allowed = Arc::clone(&n_allowed);
    let thread = EngineThread::spawn(None, move |_| {
        let mut engine = support::engine("ema_cross.luau");
        version(first).take_over(&mut engine, false).unwrap();
        let parts = Parts {
            engine,
            clock: UtcClock::system(),
            port: PaperPort::new(venue(LatencyModel::NONE)),
            recorder: (),
            observer: (),
            sources: vec![Sluice { events, n_given: 0, n_allowed: allowed }],
        };
        let mut event_loop = EventLoop::new(parts, control, LoopOptions::default());
        let ending = event_loop.run();
        (ending, event_loop.into_parts().engine.snapshot())
    })
    .unwrap();
    while handle.status(Duration::from_secs(10)).unwrap().n_market < n as u64 / 2 {}
    meddle(&handle, &|more| {
        n_allowed.fetch_add(more, Ordering::AcqRel);
    });
    n_allowed.store(usize::MAX, Ordering::Release);
    let (ending, state) = thread.join();
    assert_eq!(ending.cause, EndCause::SourceEnded);
    assert_eq!(ending.summary.n_events, n as u64, "no event is lost");
    number(state.strategies[0].memory.get("n"))
}

fn number(value: Option<&Value>) -> f64 {
    match value {
        Some(Value::Float(bits)) => f64::from_bits(*bits),
        Some(Value::Integer(n)) => f64::from(i32::try_from(*n).unwrap()),
        other => panic!("{other:?}"),
    }
}

/// Trades in the first half of the market and in the second.
fn trades() -> (f64, f64) {
    let events = market(3, 2);
    let count = |events: &[Event]| {
        let is_trade = |event: &&Event| {
            matches!(event, Event::Market(MarketEvent { data: MarketData::Trade { .. }, .. }))
        };
        f64::from(u32::try_from(events.iter().filter(is_trade).count()).unwrap())
    };
    let (first, second) = events.split_at(events.len() / 2);
    (count(first), count(second))
}

#[test]
fn a_version_takes_over_between_two_events_with_what_was_remembered() {
    let (first, second) = trades();
    assert!(first > 50.0 && second > 50.0);
    for language in [Language::Luau, Language::Rhai] {
        let counted = run(counter(language, 1), |handle, _| {
            let report = load(handle, version(counter(language, 100)), 0).unwrap();
            assert!(report.pause < Duration::from_secs(1));
        });
        assert!((counted - (first + 100.0 * second)).abs() < 0.5, "{language}: {counted}");
    }
}

#[test]
fn a_version_that_fails_to_build_leaves_the_running_one_alone() {
    let (first, second) = trades();
    let counted = run(counter(Language::Luau, 1), |handle, _| {
        let text = "strategy { name = \"counter\", params = { { name = \"n\", kind = \"integer\", \
                    default = 1, doc = \"n\" } } }\nif param(\"n\") ~= 1 then error(\"not so\") end\n\
                    function on_trade(price, qty, side, time) end\n";
        let source = Source {
            path: "bad.luau".into(),
            file: "bad.luau".to_owned(),
            language: Language::Luau,
            text: text.to_owned(),
        };
        let mut bad = version(Script::check(source, &Limits::of(Language::Luau)).unwrap());
        bad.set_params(&[("n".to_owned(), Value::Integer(2))]).unwrap();
        let refused = load(handle, bad, 0).unwrap_err();
        assert!(refused.contains("bad.luau") && refused.contains("not so"), "{refused}");
    });
    assert!((counted - (first + second)).abs() < 0.5, "{counted}");
}

#[test]
fn a_shadow_is_compared_and_thrown_away_and_then_promoted() {
    let (first, second) = trades();
    let (answer, receiver) = sync_channel(1);
    let mut report = None;
    let counted = run(counter(Language::Luau, 1), |handle, let_pass| {
        let version = version(counter(Language::Luau, 10));
        let load = Load { version, shadow: 20, waiting: Waiting::default(), answer };
        handle.direct(Directive::Load(Box::new(load))).unwrap();
        // What is asked after a load is answered after it.
        handle.inspect(Duration::from_secs(10), |_, _| ()).unwrap();
        let_pass(market(3, 2).len() / 4);
        report = Some(receiver.recv_timeout(Duration::from_secs(10)).unwrap().unwrap());
    });
    let shadow = report.unwrap().shadow.unwrap();
    // Looked at between two cycles: a few more than asked for.
    assert!((20..84).contains(&shadow.n_events), "{shadow:?}");
    assert_eq!(shadow.n_different, shadow.n_events, "{shadow:?}");
    assert!(shadow.differences[0].contains("Remember"), "{shadow:?}");
    let left = counted - first - second;
    assert!(left > 0.0 && left <= 9.0 * (second - 20.0) && left % 9.0 == 0.0, "{counted}");
}

/// A shadow run on a slow market outlived the day that the server waited for it, and took over when it was
/// done: the engine ran one version, while status, parameters and rollbacks went by the other. And until
/// then no other version could run in shadow.
#[test]
fn a_version_that_nobody_waits_for_any_more_does_not_take_over() {
    let (first, second) = trades();
    let (answer, receiver) = sync_channel(1);
    let counted = run(counter(Language::Luau, 1), |handle, let_pass| {
        let (version_ten, waiting) = (version(counter(Language::Luau, 10)), Waiting::default());
        let load_ten = Load { version: version_ten, shadow: 20, waiting: waiting.clone(), answer };
        handle.direct(Directive::Load(Box::new(load_ten))).unwrap();
        handle.inspect(Duration::from_secs(10), |_, _| ()).unwrap();
        assert!(waiting.give_up() && waiting.give_up(), "nobody was before it");
        let_pass(market(3, 2).len() / 4);
        assert!(receiver.recv_timeout(Duration::from_secs(10)).is_err(), "nobody is told");
        // One that has taken over cannot be given up any more.
        let (answer, receiver) = sync_channel(1);
        let (version_one, waiting) = (version(counter(Language::Luau, 1)), Waiting::default());
        let load_one = Load { version: version_one, shadow: 20, waiting: waiting.clone(), answer };
        handle.direct(Directive::Load(Box::new(load_one))).unwrap();
        handle.inspect(Duration::from_secs(10), |_, _| ()).unwrap();
        let_pass(market(3, 2).len());
        receiver.recv_timeout(Duration::from_secs(10)).unwrap().unwrap();
        assert!(!waiting.give_up());
    });
    assert!((counted - (first + second)).abs() < 0.5, "{counted}");
}

/// A version that gave as many intents in a call as `[script] intents` allows was refused as failed in its
/// shadow run, which allowed 256 whatever was configured.
#[test]
fn a_shadow_may_wish_for_as_much_as_the_running_version() {
    let text = "strategy { name = \"counter\" }\nlocal n = 0\n\
                function on_reload(old) n = old.n end\n\
                function on_trade(price, qty, side, time) n += 1\n\
                for k = 1, 400 do remember(\"n\", n) end end\n";
    let source = Source {
        path: "counter.luau".into(),
        file: "counter.luau".to_owned(),
        language: Language::Luau,
        text: text.to_owned(),
    };
    let script = Script::check(source, &Limits::of(Language::Luau)).unwrap();
    let (answer, receiver) = sync_channel(1);
    let next = version(script.clone());
    run(script, |handle, let_pass| {
        let load = Load { version: next, shadow: 20, waiting: Waiting::default(), answer };
        handle.direct(Directive::Load(Box::new(load))).unwrap();
        handle.inspect(Duration::from_secs(10), |_, _| ()).unwrap();
        let_pass(market(3, 2).len() / 4);
        let report = receiver.recv_timeout(Duration::from_secs(10)).unwrap().unwrap();
        assert_eq!(report.shadow.unwrap().n_different, 0);
    });
}

#[test]
fn events_go_on_while_a_version_is_built_and_commands_wait_for_it() {
    let mut passed = 0;
    run(counter(Language::Rhai, 1), |handle, let_pass| {
        let before = handle.status(Duration::from_secs(10)).unwrap();
        let (answer, receiver) = sync_channel(1);
        let version = version(counter(Language::Rhai, 2));
        let load = Load { version, shadow: 0, waiting: Waiting::default(), answer };
        handle.direct(Directive::Load(Box::new(load))).unwrap();
        let_pass(200);
        let look = |engine: &Engine, own: &tercel_runtime::Status| {
            (engine.state().strategies[0].is_running, own.seq)
        };
        let (is_running, seq) = handle.inspect(Duration::from_secs(10), look).unwrap();
        let report = receiver.try_recv().expect("what is asked after a load waits for it").unwrap();
        assert!(is_running && seq >= report.seq);
        assert!(report.pause <= report.work, "{report:?}");
        passed = report.seq.0 - before.seq.0;
    });
    assert!(passed > 100, "{passed} events passed while the version was built");
}

/// Keeps the commands that the engine was given.
#[derive(Clone, Default)]
struct Commands(Rc<RefCell<Vec<Command>>>);

impl Recorder for Commands {
    fn record(
        &mut self,
        _seq: Seq,
        _now: Nanos,
        event: &Event,
        _effects: &[Effect],
    ) -> Result<Ticket, RecordFailure> {
        if let Event::Command(command) = event {
            self.0.borrow_mut().push(command.clone());
        }
        Ok(Ticket(0))
    }

    fn keep(&mut self, _record: &Record) -> Result<(), RecordFailure> {
        Ok(())
    }

    fn close(&mut self, _seq: Seq, _engine: &Engine, _reason: &str) -> Result<(), RecordFailure> {
        Ok(())
    }
}

/// A loop that is building a version, and what it was told since it began.
fn building(
    room: usize,
    then: impl FnOnce(&Handle, &mut dyn FnMut() -> TradingState),
) -> Vec<Command> {
    let (handle, control) = control(room);
    let commands = Commands::default();
    let mut engine = support::engine("ema_cross.luau");
    version(counter(Language::Luau, 1)).take_over(&mut engine, false).unwrap();
    let parts = Parts {
        engine,
        clock: UtcClock::system(),
        port: PaperPort::new(venue(LatencyModel::NONE)),
        recorder: commands.clone(),
        observer: (),
        sources: Vec::<Sluice>::new(),
    };
    let mut running = EventLoop::new(parts, control, LoopOptions::default());
    running.cycle();
    let (answer, answered) = sync_channel(1);
    let version = version(counter(Language::Luau, 2));
    let load = Load { version, shadow: 0, waiting: Waiting::default(), answer };
    handle.direct(Directive::Load(Box::new(load))).unwrap();
    running.cycle();
    assert!(answered.try_recv().is_err(), "it is not whole after a cycle");
    commands.0.borrow_mut().clear();
    then(&handle, &mut || {
        running.cycle();
        running.parts().engine.state().scope.state
    });
    let begun = Instant::now();
    while answered.try_recv().is_err() {
        running.cycle();
        assert!(begun.elapsed() < Duration::from_secs(10), "no version takes over");
    }
    // And whatever waited for it.
    while running.cycle() {}
    commands.0.borrow().clone()
}

const START: Command = Command::Start(StrategyId(0));
const KILL: Command = Command::Kill(Scope::Engine);
const RESUME: Command = Command::Resume(Scope::Engine);

/// A kill waited until a version was built: under load a step comes only after four times as long as the
/// last one took, and everything asked after the load waits for all of them.
#[test]
fn a_kill_does_not_wait_for_a_version_that_is_built() {
    let all = building(16, |handle, cycle| {
        handle.send(KILL).unwrap();
        assert_eq!(cycle(), TradingState::Halted);
    });
    assert_eq!(all, [KILL, START]);
}

/// Looks filled the queue that kills waited in.
#[test]
fn a_kill_finds_room_where_looks_have_filled_the_queue() {
    let all = building(1, |handle, cycle| {
        handle.direct(Directive::Inspect(Box::new(|_, _| ()))).unwrap();
        let refused = handle.direct(Directive::Inspect(Box::new(|_, _| ())));
        assert_eq!(refused, Err(CommandRefused::Full));
        handle.send(KILL).unwrap();
        assert_eq!(cycle(), TradingState::Halted);
    });
    assert_eq!(all, [KILL, START]);
}

/// A resume that was asked before a kill waits for the version; it must not undo the kill.
#[test]
fn what_was_asked_before_a_kill_does_not_undo_it() {
    let own = Scope::Strategy(StrategyId(0));
    let all = building(16, |handle, cycle| {
        handle.send(Command::Reduce(own)).unwrap();
        handle.send(RESUME).unwrap();
        handle.send(Command::Resume(own)).unwrap();
        handle.send(KILL).unwrap();
        handle.send(KILL).unwrap();
        assert_eq!(cycle(), TradingState::Halted);
    });
    let reduce = Command::Reduce(own);
    assert_eq!(all, [reduce, KILL, KILL, START, RESUME, KILL, Command::Resume(own)]);
}

/// Whoever resumes after a kill means it.
#[test]
fn what_was_asked_after_a_kill_loosens_it() {
    let all = building(16, |handle, cycle| {
        handle.send(KILL).unwrap();
        handle.send(RESUME).unwrap();
        assert_eq!(cycle(), TradingState::Halted);
    });
    assert_eq!(all, [KILL, START, RESUME]);
}
