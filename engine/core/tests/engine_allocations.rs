//! After warm-up the engine allocates nothing: neither for market data nor for an order's life.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod counting;

use tercel_core::{
    AccountId, Command, Effect, Effects, Engine, Event, ExecutionReport, InstrumentId, Nanos,
    OrderSpec, Price, Quantity, ReportKind, Seq, Side, State, Strategy, StrategyEvent,
    StrategyFault, StrategyId, View,
};
use tercel_testkit::{Random, engine_config, level, linear};

/// Places an order at every hundredth book.
struct Sometimes(u64);

impl Strategy for Sometimes {
    fn on_event(
        &mut self,
        event: &StrategyEvent<'_>,
        _view: &View<'_>,
        intents: &mut tercel_core::Intents,
    ) -> Result<(), StrategyFault> {
        if let StrategyEvent::Book { .. } = event {
            self.0 += 1;
            if self.0.is_multiple_of(100) {
                let id = InstrumentId(0);
                intents.place(OrderSpec::limit(id, Side::Buy, Price(500), Quantity(1))).unwrap();
            }
        }
        Ok(())
    }
}

/// Handles `n` changes near the touch, and cancels every order that is sent.
fn run(
    engine: &mut Engine,
    effects: &mut Effects,
    seq: &mut u64,
    random: &mut Random,
    n: u64,
) -> u64 {
    let mut n_orders = 0;
    for _ in 0..n {
        let (side, price) = if random.chance(50) {
            (Side::Buy, 999 - random.between(0, 20))
        } else {
            (Side::Sell, 1_001 + random.between(0, 20))
        };
        *seq += 1;
        let now = Nanos(i64::try_from(*seq).unwrap());
        let event = level(0, now.0, side, price, random.between(1, 50));
        effects.clear();
        engine.handle(Seq(*seq), now, &event, effects);
        if let [Effect::Send(request)] = effects.as_slice() {
            n_orders += 1;
            let report = ExecutionReport {
                order: request.id(),
                account: AccountId(0),
                instrument: InstrumentId(0),
                venue_at: now,
                received_at: now,
                kind: ReportKind::Canceled,
            };
            *seq += 1;
            effects.clear();
            engine.handle(Seq(*seq), now, &Event::Execution(report), effects);
        }
    }
    n_orders
}

#[test]
fn handling_allocates_nothing_after_warm_up() {
    let config = engine_config(vec![linear(0)]);
    let mut engine = Engine::new(&config, vec![Box::new(Sometimes(0))]).unwrap();
    let (mut effects, mut seq, mut random) = (Engine::effects(), 1, Random::new(3));
    let start = Event::Command(Command::Start(StrategyId(0)));
    engine.handle(Seq(1), Nanos(1), &start, &mut effects);
    run(&mut engine, &mut effects, &mut seq, &mut random, 150_000);
    let (n_allocations, n_orders) =
        counting::allocations(|| run(&mut engine, &mut effects, &mut seq, &mut random, 300_000));
    assert!(n_orders > 2_500, "{n_orders}");
    assert_eq!(n_allocations, 0);
}

#[test]
fn a_restored_engine_has_the_room_that_the_first_one_had() {
    let config = engine_config(vec![linear(0)]);
    let mut engine = Engine::new(&config, vec![Box::new(Sometimes(0))]).unwrap();
    let (mut effects, mut seq, mut random) = (Engine::effects(), 1, Random::new(4));
    let start = Event::Command(Command::Start(StrategyId(0)));
    engine.handle(Seq(1), Nanos(1), &start, &mut effects);
    run(&mut engine, &mut effects, &mut seq, &mut random, 5_000);
    // Both ways that a state survives lose what its vectors had set aside.
    for state in [engine.snapshot(), State::from_image(engine.state().image()).unwrap()] {
        let (mut seq, mut random) = (seq, random.clone());
        let mut engine = Engine::restore(state, vec![Box::new(Sometimes(0))], 64).unwrap();
        let (n_allocations, n_orders) = counting::allocations(|| {
            run(&mut engine, &mut effects, &mut seq, &mut random, 300_000)
        });
        assert!(n_orders > config.order_capacity as u64, "{n_orders}");
        assert_eq!(n_allocations, 0);
    }
}
