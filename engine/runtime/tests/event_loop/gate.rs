//! What leaves, and when.

use tercel_core::{
    AccountId, Command, Event, Intent, OnHalt, OrderRequest, ReportKind, RiskLimits, Scope, Side,
    StrategyId, TradingState,
};
use tercel_testkit::{Random, Seen};

use crate::world::{Happened, Step, World, accepted, buy, level, open_book, order};

/// Lets the puppet that is called next place an order, and calls it.
fn place(world: &World, price: i64) -> [Step; 2] {
    let puppet = world.puppet.clone();
    let todo = Step::Do(Box::new(move || puppet.place(buy(price))));
    // A new quantity at the best price is news for the strategies.
    [todo, level(1, Side::Buy, 100)]
}

fn give(world: &World, intent: Intent) -> [Step; 2] {
    let puppet = world.puppet.clone();
    [Step::Do(Box::new(move || puppet.give(intent))), level(1, Side::Buy, 100)]
}

/// What recording the failing way leads to, and out of it again.
#[test]
fn without_a_record_nothing_but_cancels_leaves_until_it_works_and_somebody_resumes() {
    let world = World::new();
    let mut story: Vec<Step> = open_book().into();
    story.extend(place(&world, 90));
    story.push(accepted(0, 1));
    story.push(Step::Disk(Err("disk full")));
    story.extend(place(&world, 91));
    // None of this may open the gate.
    story.push(Step::Command(Command::Resume(Scope::Engine)));
    story.extend(place(&world, 92));
    story.push(Step::Command(Command::Flatten(Scope::Engine)));
    story.push(Step::Disk(Ok(())));
    story.extend(place(&world, 93));
    story.push(Step::Command(Command::Resume(Scope::Engine)));
    story.extend(place(&world, 94));
    let (ending, engine) = world.run(story);
    assert_eq!(ending.record_failure, None, "it worked at the end");
    assert_eq!(world.names(), ["new 1", "cancel 1", "new 5"]);
    assert_eq!(engine.state().scope.state, TradingState::Active);
    let order = |n| engine.state().orders.get(order(n)).map(|order| order.is_working());
    assert_eq!(order(5), Some(true));
    let mut seen = world.puppet.seen();
    seen.retain(|seen| matches!(seen, Seen::Order(..)));
    assert!(format!("{seen:?}").contains("Refused(Halted"), "{seen:?}");
}

#[test]
fn an_order_that_was_not_recorded_is_refused_to_its_strategy() {
    let world = World::new();
    let mut story: Vec<Step> = open_book().into();
    story.extend(place(&world, 90));
    story.push(accepted(0, 1));
    // The record of this very call fails: a new order, another one, and the cancel of all.
    let puppet = world.puppet.clone();
    let todo = Step::Do(Box::new(move || {
        puppet.place(buy(91));
        puppet.place(buy(92));
        puppet.give(Intent::CancelAll { instrument: None });
    }));
    let fails = Step::Disk(Err("disk full"));
    story.push(Step::All(vec![todo, fails, level(1, Side::Buy, 100)]));
    let (ending, engine) = world.run(story);
    assert_eq!(ending.record_failure.unwrap().0, "disk full");
    assert_eq!(world.names(), ["new 1", "cancel 1"]);
    assert_eq!(engine.state().scope.state, TradingState::Halted);
    for n in [2, 3] {
        let refused = world.log.borrow().iter().any(|happened| {
            matches!(happened, Happened::NotRecorded { event: Event::Execution(report), .. }
                if report.order == order(n) && matches!(report.kind, ReportKind::Rejected(_)))
        });
        assert!(refused, "{n}");
        assert!(!engine.state().orders.get(order(n)).is_some_and(|order| order.is_working()));
    }
}

/// Limits may say that what is open stays when nothing can be recorded; a kill withdraws it also then.
#[test]
fn orders_stay_while_nothing_can_be_recorded_where_the_limits_say_so() {
    for is_killed in [false, true] {
        let world = World::new();
        let keep = RiskLimits { on_halt: OnHalt::Keep, ..RiskLimits::default() };
        let mut story: Vec<Step> = open_book().into();
        story.push(Step::Command(Command::SetLimits(Scope::Engine, Box::new(keep))));
        story.extend(place(&world, 90));
        story.push(accepted(0, 1));
        story.push(Step::Disk(Err("disk full")));
        story.extend(place(&world, 91));
        if is_killed {
            story.push(Step::Command(Command::Kill(Scope::Engine)));
        }
        let (_, engine) = world.run(story);
        let expected: &[&str] = if is_killed { &["new 1", "cancel 1"] } else { &["new 1"] };
        assert_eq!(world.names(), expected);
        assert_eq!(engine.state().scope.state, TradingState::Halted);
        assert_eq!(engine.state().orders.n_working(), 1, "also while its cancel is under way");
    }
}

#[test]
fn durable_requests_wait_for_their_records_in_order_and_nothing_else_does() {
    let mut world = World::new();
    world.durable = vec![AccountId(0)];
    let mut story: Vec<Step> = open_book().into();
    // The first puppet called, that of account 0, takes all that there is to do.
    story.extend(place(&world, 90));
    story.extend(place(&world, 91));
    story.extend(give(&world, Intent::Cancel { id: order(1) }));
    story.push(Step::Sync);
    story.extend(place(&world, 92));
    story.push(Step::Sync);
    story.push(accepted(0, 2));
    // The order is at the venue: its cancel waits for nothing.
    story.extend(give(&world, Intent::Cancel { id: order(2) }));
    let log = std::rc::Rc::clone(&world.log);
    let n_sent = move || {
        log.borrow().iter().filter(|happened| matches!(happened, Happened::Sent(_))).count()
    };
    story.insert(8, Step::Do(Box::new(move || assert_eq!(n_sent(), 0, "nothing is durable"))));
    world.run(story);
    assert_eq!(world.names(), ["new 1", "new 2", "cancel 1", "new 3", "cancel 2"]);
}

/// An order that waited for its record when its account was killed used to be sent after the kill, with
/// its cancel behind it: for as long as the cancel was on its way it could trade.
#[test]
fn a_kill_takes_back_what_waits_for_its_record() {
    for scope in [Scope::Engine, Scope::Account(AccountId(0)), Scope::Strategy(StrategyId(0))] {
        let mut world = World::new();
        world.durable = vec![AccountId(0)];
        let mut story: Vec<Step> = open_book().into();
        story.extend(place(&world, 90));
        story.push(Step::Command(Command::Kill(scope)));
        story.push(Step::Sync);
        story.push(Step::Sync);
        let (_, engine) = world.run(story);
        assert_eq!(world.names(), [""; 0], "{scope}");
        assert_eq!(engine.state().orders.n_working(), 0, "{scope}");
    }
}

#[test]
fn a_failure_while_requests_wait_refuses_them() {
    let mut world = World::new();
    world.durable = vec![AccountId(0)];
    let mut story: Vec<Step> = open_book().into();
    story.extend(place(&world, 90));
    story.push(Step::Sync);
    story.push(accepted(0, 1));
    story.extend(place(&world, 91));
    story.push(Step::Disk(Err("stalled")));
    story.push(Step::Disk(Ok(())));
    story.push(Step::Sync);
    let (_, engine) = world.run(story);
    assert_eq!(world.names(), ["new 1", "cancel 1"]);
    assert_eq!(engine.state().scope.state, TradingState::Halted);
    assert!(!engine.state().orders.get(order(2)).is_some_and(|order| order.is_working()));
}

/// Whatever fails whenever: what has left was recorded before, and no order left while recording
/// failed or before a resume.
#[test]
fn nothing_leaves_unrecorded_in_any_story() {
    let (mut n_sent, mut n_refused) = (0, 0);
    for seed in 0..500 {
        let mut random = Random::new(seed);
        let mut world = World::new();
        if seed % 2 == 0 {
            world.durable = vec![AccountId(u16::from(seed % 4 == 0))];
        }
        let mut story: Vec<Step> = open_book().into();
        for _ in 0..100 {
            match random.below(12) {
                0 => story.push(Step::Disk(Err("fails"))),
                1 => story.push(Step::Disk(Ok(()))),
                2 => story.push(Step::Command(Command::Resume(Scope::Engine))),
                3 => story.push(Step::Command(Command::Flatten(Scope::Account(AccountId(0))))),
                4 => story.push(Step::Sync),
                5 => story.extend(give(&world, Intent::CancelAll { instrument: None })),
                6 => story.push(accepted(0, random.below(30) + 1)),
                _ => story.extend(place(&world, random.between(80, 99))),
            }
        }
        world.run(story);
        let mut owed = 0_usize;
        let mut is_open = true;
        for happened in world.log.borrow().iter() {
            match happened {
                Happened::Recorded { n_sends, event, .. } => {
                    owed += n_sends;
                    is_open |= matches!(event, Event::Command(Command::Resume(Scope::Engine)));
                }
                Happened::NotRecorded { .. } => is_open = false,
                Happened::Sent(OrderRequest::Cancel { .. }) => owed = owed.saturating_sub(1),
                Happened::Sent(request) => {
                    assert!(is_open, "seed {seed}: {request:?} left while recording failed");
                    assert!(owed > 0, "seed {seed}: {request:?} was not recorded");
                    owed -= 1;
                    n_sent += 1;
                }
            }
            if let Happened::NotRecorded { event: Event::Execution(report), .. } = happened
                && matches!(report.kind, ReportKind::Rejected(_))
            {
                n_refused += 1;
            }
        }
    }
    assert!(n_sent > 1_000 && n_refused > 50, "{n_sent} sent, {n_refused} refused");
}
