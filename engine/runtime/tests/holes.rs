//! Beyond a hole in its record a run is executed again from the state that ends the hole: the scripts'
//! wishes as recorded until they are loaded anew, everything else computed.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
use std::collections::BTreeSet;

use tercel_core::{Command, Effects, Engine, Event, Nanos, Scope, Seq, Side, StrategyId};
use tercel_runtime::{Reexecuted, Reexecution, Version, placeholder};
use tercel_script::{Language, Limits, Script, Source};
use tercel_store::journal::{Journal, JournalOptions, JournalReader, Record, RunStart};
use tercel_store::market_tape::Taped;
use tercel_store::state;
use tercel_testkit::{Disk, DiskFaults, engine_config, level, linear};

/// Counts its calls where no snapshot sees it, and buys at every third.
fn version(price: i64) -> Version {
    let text = format!(
        "strategy {{ name = \"counter\" }}\nlocal n = 0\nfunction on_book()\n    n += 1\n    \
         remember(\"n\", n)\n    if n % 3 == 0 then buy(1, {price} - n) cancel_all() end\nend\n\
         function on_reload(old) n = old.n end"
    );
    let file = "counter.luau";
    let language = Language::Luau;
    let source = Source { path: file.into(), file: file.to_owned(), language, text };
    let script = Script::check(source, &Limits::of(language)).unwrap();
    Version::new(StrategyId(0), script, [], &[], &[linear(0)], 1).unwrap()
}

/// A run that is recorded by hand.
struct Run {
    journal: Journal,
    disk: Disk,
    engine: Engine,
    effects: Effects,
    tape: Vec<Taped>,
    seq: Seq,
    /// Whether the journal takes nothing.
    is_failed: bool,
    n_lost: u64,
}

impl Run {
    fn begin() -> Self {
        let disk = Disk::new(1, DiskFaults::default());
        let start =
            RunStart { run: 1, at: Nanos(0), config: String::new(), version: "0".to_owned() };
        let journal = Journal::create_on(disk.backend(), start, JournalOptions::default()).unwrap();
        let engine = Engine::new(&engine_config(vec![linear(0)]), vec![placeholder()]).unwrap();
        let mut run = Self {
            journal,
            disk,
            engine,
            effects: Engine::effects(),
            tape: Vec::new(),
            seq: Seq(0),
            is_failed: false,
            n_lost: 0,
        };
        run.load(&version(800), false);
        run.snapshot();
        run.handle(&Event::Command(Command::Start(StrategyId(0))));
        run
    }

    fn load(&mut self, version: &Version, reload: bool) {
        version.take_over(&mut self.engine, reload).unwrap();
        for record in version.records() {
            self.journal.record(&record).unwrap();
        }
    }

    fn handle(&mut self, event: &Event) {
        self.seq.0 += 1;
        self.effects.clear();
        self.engine.handle(self.seq, Nanos(0), event, &mut self.effects);
        if let Event::Market(event) = event {
            self.tape.push(Taped::Event { index: self.tape.len() as u64, event: *event });
        }
        if self.effects.is_empty() && matches!(event, Event::Market(_)) {
            return;
        }
        if self.is_failed {
            self.n_lost += 1;
            return;
        }
        self.journal.entry(self.seq, Nanos(0), event, self.effects.as_slice()).unwrap();
    }

    fn quotes(&mut self, n: i64) {
        for qty in 1..=n {
            let side = if qty % 2 == 0 { Side::Buy } else { Side::Sell };
            let price = if qty % 2 == 0 { 900 } else { 1_000 };
            self.handle(&level(0, 0, side, price, self.seq.0.cast_signed() + qty));
        }
    }

    fn snapshot(&mut self) {
        let (state_hash, bytes) = (self.engine.state_hash(), state::encode(self.engine.state()));
        let (seq, n_before) = (self.seq, self.journal.n_records());
        let snapshot = Record::Snapshot { seq, now: Nanos(0), state_hash, n_before, bytes };
        self.journal.record(&snapshot).unwrap();
    }

    /// What happens now is not recorded.
    fn fail(&mut self) {
        self.is_failed = true;
        self.handle(&Event::Command(Command::Kill(Scope::Engine)));
        self.quotes(10);
    }

    /// The journal is open again; entries come before the state that ends the hole.
    fn mend(&mut self) {
        self.is_failed = false;
        let (seq, n_market, n_lost) = (self.seq, self.tape.len() as u64, self.n_lost);
        let why = "no space left".to_owned();
        let gap = Record::Gap { at: Nanos(7), seq, n_market, n_lost, why };
        self.journal.record(&gap).unwrap();
        self.handle(&Event::Timer);
        self.quotes(3);
        self.snapshot();
        self.handle(&Event::Command(Command::Resume(Scope::Engine)));
    }

    fn reload(&mut self, version: &Version) {
        self.load(version, true);
        self.handle(&Event::Command(Command::Start(StrategyId(0))));
    }

    fn again(self, until: Option<Seq>) -> (Reexecuted, u64) {
        let hash = self.engine.state_hash();
        self.journal.end(self.seq, hash, "stopped").unwrap();
        let journal = JournalReader::open_on(self.disk.backend()).unwrap();
        let done = Reexecution {
            journal: &journal,
            tape: Some(self.tape.into_iter()),
            native: &|_| placeholder(),
            limits: &Limits::of,
            intents_per_call: 64,
            until,
            noted: Some(BTreeSet::new()),
        };
        (done.run().unwrap(), hash)
    }
}

#[test]
fn a_run_goes_on_beyond_its_hole_to_the_same_end() {
    let mut run = Run::begin();
    run.quotes(20);
    let last_good = run.seq;
    run.fail();
    run.mend();
    run.quotes(20);
    let reload_at = Seq(run.seq.0 + 1);
    run.reload(&version(700));
    run.quotes(20);
    let (last, n_lost) = (run.seq, run.n_lost);
    let (done, hash) = run.again(None);
    assert_eq!((&done.difference, &done.stopped), (&None, &None));
    assert_eq!((done.last_seq, done.engine.state_hash()), (last, hash));
    let [hole] = &done.holes[..] else { panic!("{:?}", done.holes) };
    assert_eq!((hole.from, hole.to), (Seq(last_good.0 + 1), Seq(last_good.0 + 15)));
    assert_eq!((hole.n_lost, hole.why.as_str(), hole.at), (n_lost, "no space left", Nanos(7)));
    assert_eq!(hole.executed_from, Some(reload_at));
    assert!(n_lost > 5, "the hole has {n_lost}");
}

#[test]
fn a_script_that_is_never_loaded_anew_is_never_executed_again() {
    let mut run = Run::begin();
    run.quotes(5);
    run.fail();
    run.mend();
    run.quotes(20);
    let (done, hash) = run.again(None);
    assert_eq!((done.difference, done.engine.state_hash()), (None, hash));
    assert_eq!(done.holes[0].executed_from, None);
}

#[test]
fn a_difference_beyond_a_hole_is_found() {
    // A script that was loaded anew and is recorded as another.
    let mut run = Run::begin();
    run.quotes(5);
    run.fail();
    run.mend();
    run.quotes(7);
    version(700).take_over(&mut run.engine, true).unwrap();
    for record in version(710).records() {
        run.journal.record(&record).unwrap();
    }
    run.handle(&Event::Command(Command::Start(StrategyId(0))));
    run.quotes(20);
    let difference = run.again(None).0.difference.unwrap();
    assert!(difference.place.unwrap().to_string().starts_with("counter.luau:6 in on_book"));

    // An engine that was in another state than its record says, before any script is loaded anew.
    let mut run = Run::begin();
    run.quotes(5);
    run.fail();
    run.mend();
    run.quotes(2);
    run.seq.0 += 1;
    run.effects.clear();
    let kill = Event::Command(Command::Kill(Scope::Engine));
    run.engine.handle(run.seq, Nanos(0), &kill, &mut run.effects);
    let told = Event::Command(Command::Reduce(Scope::Engine));
    let seq = run.seq;
    run.journal.entry(seq, Nanos(0), &told, run.effects.as_slice()).unwrap();
    let difference = run.again(None).0.difference.unwrap();
    assert_eq!(difference.seq, seq);
    assert!(difference.got.contains("Reducing") && difference.expected.contains("Halted"));
}

#[test]
fn a_hole_that_no_state_ends_is_the_end() {
    let mut run = Run::begin();
    run.quotes(5);
    run.fail();
    run.is_failed = false;
    let (seq, n_market) = (run.seq, run.tape.len() as u64);
    let why = "no space left".to_owned();
    run.journal.record(&Record::Gap { at: Nanos(7), seq, n_market, n_lost: 3, why }).unwrap();
    run.quotes(5);
    let (done, _) = run.again(None);
    assert!(done.stopped.unwrap().contains("no state that came later"));
    assert_eq!((done.difference, done.holes.len()), (None, 1));
}

#[test]
fn execution_can_end_before_in_and_behind_a_hole() {
    for until in 1..40 {
        let mut run = Run::begin();
        run.quotes(10);
        run.fail();
        run.mend();
        run.quotes(20);
        let last = run.seq;
        let (done, _) = run.again(Some(Seq(until)));
        assert_eq!(done.difference, None, "until {until}");
        // The hole is from event 12 to event 26.
        let expected = if (12..26).contains(&until) { 11 } else { until };
        assert_eq!(done.last_seq, Seq(expected.min(last.0)), "until {until}");
    }
}
