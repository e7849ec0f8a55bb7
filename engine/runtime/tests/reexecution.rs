//! A paper run, executed again from its market data and the record of everything else.

mod support;

use std::collections::VecDeque;

use support::{engine, market, venue};
use tercel_core::{
    Command, Effect, Effects, Engine, Event, LinkEvent, LinkState, MarketEvent, Nanos, Quantity,
    RiskLimits, Scope, Seq, VenueId,
};
use tercel_runtime::{
    Ending, EventLoop, Handle, IdleStrategy, LoopOptions, ManualClock, MarketSource, PaperPort,
    Parts, RecordFailure, Recorder, SourceFailure, SourceState, Ticket, control,
};
use tercel_sim::LatencyModel;
use tercel_store::journal::Record;
use tercel_testkit::Random;

/// What a journal keeps of an event.
struct Entry {
    seq: Seq,
    now: Nanos,
    /// `None` for market data.
    event: Option<Event>,
    effects: Vec<Effect>,
}

/// Tape and journal in memory: no number and no time is kept with the market data.
#[derive(Default)]
struct Memory {
    tape: Vec<MarketEvent>,
    journal: Vec<Entry>,
}

impl Recorder for Memory {
    fn record(
        &mut self,
        seq: Seq,
        now: Nanos,
        event: &Event,
        effects: &[Effect],
    ) -> Result<Ticket, RecordFailure> {
        let event = match event {
            Event::Market(market) => {
                self.tape.push(*market);
                None
            }
            other => Some(other.clone()),
        };
        if event.is_some() || !effects.is_empty() {
            self.journal.push(Entry { seq, now, event, effects: effects.to_vec() });
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

/// A market that arrives when it pleases, and an operator who is nervous.
struct Street {
    events: VecDeque<Event>,
    random: Random,
    clock: ManualClock,
    handle: Handle,
}

impl MarketSource for Street {
    fn poll(&mut self, out: &mut Vec<Event>, max: usize) -> Result<SourceState, SourceFailure> {
        for _ in 0..1 + self.random.index(max.min(8)) {
            let Some(event) = self.events.pop_front() else { break };
            if let Event::Market(market) = &event {
                self.clock.set(market.received_at.plus(self.random.between(-500_000, 2_000_000)));
            }
            out.push(event);
        }
        if out.is_empty() {
            return Ok(SourceState::Ended);
        }
        if self.random.below(60) == 0 {
            let command = self.command();
            self.handle.send(command).expect("few commands wait");
        }
        if self.random.below(400) == 0 {
            let state = LinkState::Gap;
            out.push(Event::Link(LinkEvent { venue: VenueId(0), instrument: None, state }));
        }
        Ok(SourceState::Ready)
    }
}

impl Street {
    fn command(&mut self) -> Command {
        match self.random.below(9) {
            0 => Command::Kill(Scope::Engine),
            1 => Command::Flatten(Scope::Engine),
            2 => Command::Reduce(Scope::Engine),
            3 => {
                let limits = RiskLimits {
                    position_qty: Some(Quantity(self.random.between(1, 2_000))),
                    orders_per_second: Some(5),
                    ..RiskLimits::default()
                };
                Command::SetLimits(Scope::Engine, Box::new(limits))
            }
            4 => Command::SetLimits(Scope::Engine, Box::default()),
            _ => Command::Resume(Scope::Engine),
        }
    }
}

/// Runs on paper where time passes by itself.
fn run(script: &str, seed: u64) -> (Ending, Engine, Memory) {
    let (handle, control) = control(64);
    let clock = ManualClock::new(Nanos(0));
    let parts = Parts {
        engine: engine(script),
        clock: clock.clone(),
        port: PaperPort::new(venue(LatencyModel::DEFAULT)),
        recorder: Memory::default(),
        observer: (),
        sources: vec![Street {
            events: market(seed, 1).into(),
            random: Random::new(seed),
            clock,
            handle,
        }],
    };
    let options = LoopOptions {
        idle: IdleStrategy::SpinThenYield { spins: 1 },
        drain: std::time::Duration::ZERO,
        ..LoopOptions::default()
    };
    let mut paper = EventLoop::new(parts, control, options);
    let ending = paper.run();
    let parts = paper.into_parts();
    (ending, parts.engine, parts.recorder)
}

/// Executes a run again and compares every effect on the way.
fn again(script: &str, memory: Memory, seed: u64) -> Engine {
    let mut engine = engine(script);
    let (mut tape, mut journal) = (memory.tape.into_iter(), memory.journal.into_iter().peekable());
    let (mut now, mut effects) = (Nanos(i64::MIN), Effects::default());
    for seq in (1..).map(Seq) {
        let entry = journal.next_if(|entry| entry.seq == seq);
        let (expected, known) = match entry {
            Some(Entry { event: Some(event), now, effects, .. }) => (effects, Some((now, event))),
            Some(Entry { effects, .. }) => (effects, None),
            None => (Vec::new(), None),
        };
        let event = match known {
            Some((at, event)) => {
                assert!(at >= now, "time never goes back");
                now = at;
                event
            }
            // Every number that the journal does not know is the next market event's.
            None => {
                let Some(market) = tape.next() else { break };
                now = now.max(market.received_at);
                Event::Market(market)
            }
        };
        engine.handle(seq, now, &event, &mut effects);
        assert_eq!(effects.as_slice(), expected, "seed {seed}, event {seq}: {event:?}");
        effects.clear();
    }
    assert!(journal.next().is_none(), "seed {seed}: all of it was executed");
    engine
}

fn check(script: &str, seeds: std::ops::Range<u64>) {
    let (mut n_requests, mut n_reports, mut n_kills) = (0, 0, 0);
    for seed in seeds {
        let (ending, first, memory) = run(script, seed);
        n_requests += ending.summary.n_requests;
        n_reports += ending.summary.n_reports;
        n_kills += memory
            .journal
            .iter()
            .filter(|entry| matches!(&entry.event, Some(Event::Command(Command::Kill(_)))))
            .count();
        let second = again(script, memory, seed);
        assert_eq!(first.state_hash(), second.state_hash(), "seed {seed}");
    }
    assert!(n_requests > 1_000 && n_reports > 1_000, "{n_requests} sent, {n_reports} reports");
    assert!(n_kills > 10, "{n_kills} kills");
}

#[test]
fn a_paper_run_in_luau_is_executed_again_to_the_last_bit() {
    check("imbalance_maker.luau", 0..24);
}

#[test]
fn a_paper_run_in_rhai_is_executed_again_to_the_last_bit() {
    check("imbalance_maker.rhai", 100..112);
}
