//! A replay through the event loop against the backtest: same data, same script, same everything.

mod support;

use std::cell::Cell;
use std::convert::Infallible;

use support::{engine, market, venue};
use tercel_core::{Effect, Engine, Event, MarketData, Nanos, OrderRequest, Seq};
use tercel_runtime::{
    Control, EndCause, EventLoop, Feed, FeedOptions, IdleStrategy, LoopOptions, MarketSource,
    Overflow, PaperPort, Parts, RecordFailure, Recorder, ReplayClock, Ticket, control,
};
use tercel_sim::market::{SeededBars, SeededMarketConfig};
use tercel_sim::{Backtest, BacktestOptions, EffectsHash, LatencyModel, Summary};
use tercel_store::journal::Record;

/// What a run came to, all of it.
#[derive(PartialEq, Debug)]
struct Trace {
    summary: Summary,
    state_hash: u64,
    effects_hash: u64,
    n_effects: u64,
}

fn backtest(name: &str, events: &[Event], latency: LatencyModel) -> Trace {
    let mut test = Backtest::new(engine(name), venue(latency), BacktestOptions::default());
    let mut hash = EffectsHash::new();
    let mut events = events.chunks(1_000);
    let summary = test
        .run(
            |out| {
                let block = events.next().unwrap_or_default();
                out.extend_from_slice(block);
                Ok::<_, Infallible>(block.len())
            },
            &mut hash,
        )
        .unwrap();
    trace(summary, test.engine(), &hash)
}

fn trace(summary: Summary, engine: &Engine, hash: &EffectsHash) -> Trace {
    Trace {
        summary,
        state_hash: engine.state_hash(),
        effects_hash: hash.value(),
        n_effects: hash.n_effects(),
    }
}

fn replay<S: MarketSource>(
    name: &str,
    source: S,
    control: Control,
    latency: LatencyModel,
    options: LoopOptions,
    clock: ReplayClock,
) -> Trace {
    recorded_replay(name, source, control, latency, options, clock, ())
}

fn recorded_replay<S: MarketSource>(
    name: &str,
    source: S,
    control: Control,
    latency: LatencyModel,
    options: LoopOptions,
    clock: ReplayClock,
    recorder: impl Recorder,
) -> Trace {
    let parts = Parts {
        engine: engine(name),
        clock,
        port: PaperPort::new(venue(latency)),
        recorder,
        observer: EffectsHash::new(),
        sources: vec![source],
    };
    let mut live = EventLoop::new(parts, control, options);
    let ending = live.run();
    assert_eq!((&ending.cause, &ending.record_failure), (&EndCause::SourceEnded, &None));
    let parts = live.into_parts();
    trace(ending.summary, &parts.engine, &parts.observer)
}

const SMALL_BATCHES: LoopOptions = LoopOptions {
    events_per_cycle: 7,
    idle: IdleStrategy::SpinThenYield { spins: 10 },
    sample_interval_ns: 0,
    drain: std::time::Duration::ZERO,
};

#[test]
fn an_inline_replay_is_the_backtest_to_the_last_bit() {
    let slow = LatencyModel::Constant { request_ns: 3_000_000, answer_ns: 5_000_000 };
    for seed in 1..4 {
        let events = market(seed, 4);
        for latency in [LatencyModel::NONE, slow.clone(), LatencyModel::DEFAULT] {
            let expected = backtest("imbalance_maker.luau", &events, latency.clone());
            assert!(expected.summary.n_requests > 20, "the script trades: {expected:?}");
            for options in [LoopOptions::default(), SMALL_BATCHES] {
                let replayed = replay(
                    "imbalance_maker.luau",
                    events.clone().into_iter(),
                    control(4).1,
                    latency.clone(),
                    options,
                    ReplayClock::unpaced(),
                );
                assert_eq!(replayed, expected, "seed {seed}");
            }
        }
    }
}

#[test]
fn a_replay_through_a_ring_is_the_backtest_too() {
    let events = market(9, 3);
    let expected = backtest("imbalance_maker.luau", &events, LatencyModel::DEFAULT);
    for (idle, capacity) in [(IdleStrategy::default(), 64), (SMALL_BATCHES.idle, 4_096)] {
        let (handle, control) = control(4);
        let options = FeedOptions { capacity, overflow: Overflow::Wait, idle, core: None };
        let fed = events.clone();
        let (feed, source) = Feed::spawn(options, &control, move || Ok(fed.into_iter())).unwrap();
        let options = LoopOptions { idle, ..LoopOptions::default() };
        let clock = ReplayClock::unpaced();
        let latency = LatencyModel::DEFAULT;
        let replayed = replay("imbalance_maker.luau", source, control, latency, options, clock);
        assert_eq!(replayed, expected);
        assert!(feed.join().is_none());
        let status = handle.status(std::time::Duration::from_secs(1)).unwrap();
        assert_eq!(status.n_market, events.len() as u64);
        assert_eq!(status.rings.len(), 1);
        assert_eq!(status.rings[0].n_dropped, 0);
    }
}

#[test]
fn a_pace_changes_nothing_but_how_long_it_takes() {
    let mut events = market(5, 1);
    events.truncate(3_000);
    let expected = backtest("imbalance_maker.luau", &events, LatencyModel::DEFAULT);
    let Some(Event::Market(first)) = events.first() else { panic!("market data") };
    let Some(Event::Market(last)) = events.last() else { panic!("market data") };
    let span_ns = last.received_at.since(first.venue_at);
    let begun = std::time::Instant::now();
    let replayed = replay(
        "imbalance_maker.luau",
        events.clone().into_iter(),
        control(4).1,
        LatencyModel::DEFAULT,
        LoopOptions::default(),
        ReplayClock::paced(200_000),
    );
    assert_eq!(replayed, expected);
    let real_ns = i64::try_from(begun.elapsed().as_nanos()).unwrap();
    assert!(real_ns >= span_ns / 200, "{real_ns} ns for {span_ns} ns at 200 times real time");
}

/// A disk that is always behind: a request may leave only when it has been asked about five times.
struct SlowDisk {
    asked: Cell<u32>,
}

impl Recorder for SlowDisk {
    fn record(
        &mut self,
        _seq: Seq,
        _now: Nanos,
        _event: &Event,
        _effects: &[Effect],
    ) -> Result<Ticket, RecordFailure> {
        Ok(Ticket(0))
    }

    fn keep(&mut self, _record: &Record) -> Result<(), RecordFailure> {
        Ok(())
    }

    fn may_leave(&self, _request: &OrderRequest, _ticket: Ticket) -> bool {
        self.asked.set(self.asked.get() + 1);
        self.asked.get().is_multiple_of(5)
    }

    fn close(&mut self, _seq: Seq, _engine: &Engine, _reason: &str) -> Result<(), RecordFailure> {
        Ok(())
    }
}

/// Orders that waited for the disk used to leave at the time that the replay's data had come to
/// meanwhile: with durable orders and no pace, seconds to a minute late by the data's clock, another
/// time in every run. While something waits, the replay's time stands.
#[test]
fn waiting_for_the_disk_takes_no_time_in_a_replay() {
    let events = market(2, 3);
    let expected = backtest("imbalance_maker.luau", &events, LatencyModel::DEFAULT);
    for options in [LoopOptions::default(), SMALL_BATCHES] {
        let options = LoopOptions { drain: std::time::Duration::from_secs(5), ..options };
        let replayed = recorded_replay(
            "imbalance_maker.luau",
            events.clone().into_iter(),
            control(4).1,
            LatencyModel::DEFAULT,
            options,
            ReplayClock::unpaced(),
            SlowDisk { asked: Cell::new(0) },
        );
        assert_eq!(replayed, expected);
    }
}

#[test]
fn bars_replay_like_the_backtest() {
    let config = SeededMarketConfig { duration_ns: 600 * Nanos::MINUTE, ..Default::default() };
    let mut events = Vec::new();
    SeededBars::new(config).unwrap().read_block(usize::MAX, &mut events);
    assert!(events.iter().all(|event| matches!(
        event,
        Event::Market(market) if matches!(market.data, MarketData::Bar { .. })
    )));
    let expected = backtest("ema_cross.luau", &events, LatencyModel::DEFAULT);
    assert!(expected.summary.n_requests > 4, "the script trades: {expected:?}");
    let source = events.into_iter();
    let options = SMALL_BATCHES;
    let clock = ReplayClock::unpaced();
    let replayed =
        replay("ema_cross.luau", source, control(4).1, LatencyModel::DEFAULT, options, clock);
    assert_eq!(replayed, expected);
}
