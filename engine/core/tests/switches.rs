//! What operators switch, and what days count.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use tercel_core::{
    AccountId, ClientOrderId, Command, Effect, Engine, Event, ExecutionReport, InstrumentId,
    Intent, Nanos, OrderSpec, Price, Quantity, RejectReason, ReportKind, Scope, Seq, Side,
    StrategyId, TradingState,
};
use tercel_testkit::{Strings, engine_config, level, linear};

struct Desk {
    engine: Engine,
    puppet: Strings,
    seq: u64,
}

impl Desk {
    fn new() -> Self {
        let puppet = Strings::default();
        let engine = Engine::new(&engine_config(vec![linear(0)]), vec![puppet.puppet()]).unwrap();
        let mut desk = Self { engine, puppet, seq: 0 };
        desk.handle(0, &Event::Command(Command::Start(StrategyId(0))));
        desk.handle(0, &level(0, 0, Side::Buy, 99, 1_000));
        desk.handle(0, &level(0, 0, Side::Sell, 101, 1_000));
        desk
    }

    /// Returns how many requests come out.
    fn handle(&mut self, now: i64, event: &Event) -> usize {
        self.seq += 1;
        let mut effects = Engine::effects();
        self.engine.handle(Seq(self.seq), Nanos(now), event, &mut effects);
        effects.as_slice().iter().filter(|effect| matches!(effect, Effect::Send(_))).count()
    }

    fn place(&mut self, now: i64, side: Side) -> usize {
        let spec = OrderSpec::limit(InstrumentId(0), side, Price(100), Quantity(1));
        self.puppet.place(spec);
        self.handle(now, &level(0, now, Side::Buy, 50, 1 + i64::try_from(self.seq).unwrap()))
    }
}

/// A pause after a kill used to let orders pass that shrink a position: an operator who paused a
/// strategy that a limit had halted set it going again, in part.
#[test]
fn a_pause_does_not_loosen_a_kill() {
    let mut desk = Desk::new();
    assert_eq!(desk.place(1, Side::Buy), 1);
    for scope in [Scope::Strategy(StrategyId(0)), Scope::Engine] {
        desk.handle(2, &Event::Command(Command::Kill(scope)));
        desk.handle(3, &Event::Command(Command::Reduce(scope)));
        let state = desk.engine.state();
        let found = match scope {
            Scope::Strategy(id) => state.strategies[id.index()].scope.state,
            _ => state.scope.state,
        };
        assert_eq!(found, TradingState::Halted, "{scope}");
        assert_eq!(desk.place(4, Side::Buy), 0);
        desk.handle(5, &Event::Command(Command::Resume(scope)));
    }
    assert_eq!(desk.engine.state().scope.state, TradingState::Active);
    assert_eq!(desk.place(6, Side::Buy), 1);
}

/// A kill's cancel that overtook its order was refused, the order then began to work, and nobody
/// withdrew it.
#[test]
fn an_order_that_begins_to_work_after_a_kill_is_withdrawn() {
    for scope in [Scope::Strategy(StrategyId(0)), Scope::Account(AccountId(0)), Scope::Engine] {
        let mut desk = Desk::new();
        assert_eq!(desk.place(1, Side::Buy), 1);
        assert_eq!(desk.handle(2, &Event::Command(Command::Kill(scope))), 1, "a cancel");
        let refused = ReportKind::CancelRejected(RejectReason::UnknownOrder);
        assert_eq!(desk.handle(3, &report(refused)), 0);
        assert_eq!(desk.handle(4, &report(ReportKind::Accepted { venue_order_id: 1 })), 1);
        let order = desk.engine.state().orders.get(ClientOrderId::new(1, 1)).unwrap();
        assert!(order.pending.cancel);
        assert_eq!(desk.handle(5, &report(ReportKind::Canceled)), 0);
    }
}

fn report(kind: ReportKind) -> Event {
    Event::Execution(ExecutionReport {
        order: ClientOrderId::new(1, 1),
        account: AccountId(0),
        instrument: InstrumentId(0),
        venue_at: Nanos(0),
        received_at: Nanos(0),
        kind,
    })
}

/// Cancels of a day's beginning, before its first order, used to count on the day before and were
/// forgotten with it: a limit of cancels per order looked at too few.
#[test]
fn cancels_count_on_the_day_on_which_they_are_sent() {
    let mut desk = Desk::new();
    assert_eq!(desk.place(Nanos::DAY - 1, Side::Buy), 1);
    desk.puppet.give(Intent::Cancel { id: ClientOrderId::new(1, 1) });
    assert_eq!(desk.handle(Nanos::DAY + 1, &level(0, 1, Side::Buy, 51, 7)), 1);
    desk.place(Nanos::DAY + 2, Side::Buy);
    let today = desk.engine.state().scope.today;
    assert_eq!((today.number, today.orders, today.cancels), (1, 1, 1));
}
