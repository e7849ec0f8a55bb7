//! What time the engine is told.

use tercel_core::{Command, Engine, Event, Intent, Nanos, Scope, Seq, Side, StrategyId};
use tercel_testkit::Random;

use crate::world::{Happened, Step, World, buy, engine, level, open_book};

/// Kind and time of each event but starts and stops.
fn told(world: &World) -> Vec<(&'static str, i64)> {
    let log = world.log.borrow();
    let told = log.iter().filter_map(|happened| match happened {
        Happened::Recorded { now, event, .. } => Some(match event {
            Event::Market(_) => ("market", *now),
            Event::Timer => ("timer", *now),
            Event::Command(Command::Start(_) | Command::Stop(_)) => return None,
            Event::Command(_) => ("command", *now),
            _ => ("other", *now),
        }),
        _ => None,
    });
    told.collect()
}

#[test]
fn market_events_happen_when_received_and_the_rest_by_the_clock() {
    let world = World::new();
    world.time.set(1_000);
    world.run([
        Step::Clock(1_000),
        Step::Clock(2_000),
        level(1_500, Side::Buy, 100),
        Step::Command(Command::Resume(Scope::Engine)),
        level(1_700, Side::Buy, 99),
        Step::Clock(3_000),
        level(2_100, Side::Buy, 98),
    ]);
    assert_eq!(
        told(&world),
        [
            ("market", 1_500),
            ("command", 2_000),
            // Received before the command was, but the engine's time never goes back.
            ("market", 2_000),
            ("market", 2_100),
        ]
    );
}

#[test]
fn a_receive_time_ahead_of_the_clock_is_corrected_for_tape_and_engine_alike() {
    let world = World::new();
    world.time.set(1_000);
    world.run([level(i64::MAX, Side::Buy, 100), Step::Clock(1_010), level(1_005, Side::Buy, 99)]);
    assert_eq!(told(&world), [("market", 1_000), ("market", 1_005)]);
    let log = world.log.borrow();
    let recorded = log.iter().find_map(|happened| match happened {
        Happened::Recorded { event: Event::Market(market), .. } => Some(market.received_at),
        _ => None,
    });
    assert_eq!(recorded, Some(Nanos(1_000)));
}

#[test]
fn timers_come_once_when_the_clock_has_reached_them() {
    let world = World::new();
    world.puppet.give(Intent::SetTimer { name: "beat".into(), at: Nanos(10), every_ns: Some(10) });
    let clock = [5, 9, 10, 11, 20, 20, 95, 96, 101].map(Step::Clock);
    world.run(clock);
    assert_eq!(told(&world), [("timer", 10), ("timer", 20), ("timer", 95), ("timer", 101)]);
}

/// An account is compared with its venue before strategies begin. A timer that was due by then, set by an
/// earlier process, fired while nobody listened and was lost.
#[test]
fn a_timer_that_is_due_before_strategies_may_begin_waits_for_them() {
    let world = World::new();
    let mut before = engine(&world.puppet);
    world.puppet.give(Intent::SetTimer { name: "due".into(), at: Nanos(10), every_ns: None });
    let mut effects = Engine::effects();
    for (seq, command) in [(1, Command::Start(StrategyId(0))), (2, Command::Stop(StrategyId(0)))] {
        before.handle(Seq(seq), Nanos(0), &Event::Command(command), &mut effects);
    }
    let nobody = vec![world.puppet.puppet(), world.puppet.puppet()];
    let restored = Engine::restore(before.snapshot(), nobody, 16).unwrap();
    world.is_ready.set(false);
    let is_ready = world.is_ready.clone();
    let ready = Step::Do(Box::new(move || is_ready.set(true)));
    world.run_with(restored, [Step::Clock(20), Step::Clock(30), ready, Step::Clock(40)]);
    let log = world.log.borrow();
    let events: Vec<_> = log
        .iter()
        .filter_map(|happened| match happened {
            Happened::Recorded { now, event: Event::Timer, .. } => Some(("timer", *now)),
            Happened::Recorded { now, event: Event::Command(Command::Start(_)), .. } => {
                Some(("start", *now))
            }
            _ => None,
        })
        .collect();
    assert_eq!(events, [("start", 30), ("start", 30), ("timer", 30)]);
}

#[test]
fn a_timer_for_the_past_does_not_hold_the_loop() {
    let world = World::new();
    world.time.set(50);
    let past = |at| Intent::SetTimer { name: "past".into(), at: Nanos(at), every_ns: None };
    world.puppet.give(past(7));
    let (puppet, again) = (world.puppet.clone(), past(8));
    let [bid, ask] = open_book();
    let set = Step::Do(Box::new(move || puppet.give(again)));
    world.run([bid, set, ask, Step::Clock(50), Step::Clock(51), Step::Clock(51)]);
    let mut told = told(&world);
    told.retain(|(kind, _)| *kind == "timer");
    assert_eq!(told, [("timer", 50), ("timer", 51)]);
}

#[test]
fn no_jump_of_the_clock_breaks_anything() {
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let world = World::new();
        let mut story: Vec<_> = open_book().into();
        world.puppet.give(Intent::SetTimer { name: "t".into(), at: Nanos(1), every_ns: Some(7) });
        let mut at = 1_000_000;
        for _ in 0..200 {
            story.push(match random.below(10) {
                // A day back or forth, sometimes to the ends of time.
                0 => Step::Clock(at + random.between(-86_400_000_000_000, 86_400_000_000_000)),
                1 if seed % 10 == 0 => Step::Clock([i64::MIN, i64::MAX][random.index(2)]),
                2 | 3 => Step::Command(Command::Resume(Scope::Engine)),
                4 => {
                    let puppet = world.puppet.clone();
                    Step::Do(Box::new(move || puppet.place(buy(90))))
                }
                5..=7 => {
                    at += random.between(0, 1_000);
                    Step::Clock(at)
                }
                _ => level(at + random.between(-2_000, 2_000), Side::Buy, random.between(95, 105)),
            });
        }
        let n_given = story.iter().filter(|step| matches!(step, Step::Event(_))).count();
        let n_commands = story.iter().filter(|step| matches!(step, Step::Command(_))).count();
        let n_orders = story.iter().filter(|step| matches!(step, Step::Do(_))).count();
        let (ending, _) = world.run(story);
        let nows = world.nows();
        assert!(nows.is_sorted(), "seed {seed}: {nows:?}");
        assert_eq!(ending.summary.n_events, n_given as u64, "seed {seed}");
        let told = told(&world);
        assert_eq!(told.iter().filter(|(kind, _)| *kind == "command").count(), n_commands);
        assert!(told.iter().any(|(kind, _)| *kind == "timer"), "seed {seed}");
        // The stop calls the puppets as well, so no order is left unasked for.
        assert_eq!(world.sent().len(), n_orders, "seed {seed}");
    }
}
