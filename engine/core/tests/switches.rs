//! What operators switch, and what days count.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use rust_decimal::Decimal;
use tercel_core::{
    AccountId, AssetId, ClientOrderId, Command, Effect, Engine, Event, ExecutionReport, Fill,
    InstrumentId, Intent, Nanos, Notional, OnHalt, OrderSpec, Price, Quantity, RejectReason,
    ReportKind, RiskLimits, Role, Scope, ScopeState, Seq, Side, StrategyId, TradingState,
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

    fn limit(&mut self, scope: Scope, limits: RiskLimits) {
        self.handle(0, &Event::Command(Command::SetLimits(scope, Box::new(limits))));
    }

    fn scope(&self, scope: Scope) -> &ScopeState {
        let state = self.engine.state();
        match scope {
            Scope::Strategy(id) => &state.strategies[id.index()].scope,
            Scope::Account(id) => &state.accounts[id.index()].scope,
            Scope::Engine => &state.scope,
        }
    }

    fn place(&mut self, now: i64, side: Side) -> usize {
        self.place_at(now, side, 100)
    }

    fn place_at(&mut self, now: i64, side: Side, price: i64) -> usize {
        let spec = OrderSpec::limit(InstrumentId(0), side, Price(price), Quantity(1));
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

/// A limit that trips, a venue that fills too much and a record that fails halt a scope; its limits
/// say whether its orders stay. A kill leaves none.
#[test]
fn a_halt_leaves_orders_where_the_limits_say_so() {
    for scope in [Scope::Strategy(StrategyId(0)), Scope::Account(AccountId(0)), Scope::Engine] {
        for on_halt in [OnHalt::Cancel, OnHalt::Keep] {
            let mut desk = Desk::new();
            desk.limit(scope, RiskLimits { on_halt, ..RiskLimits::default() });
            assert_eq!(desk.place(1, Side::Buy), 1);
            let cancels = usize::from(on_halt == OnHalt::Cancel);
            assert_eq!(desk.handle(2, &Event::Command(Command::Halt(scope))), cancels, "{scope}");
            assert_eq!(desk.place(3, Side::Buy), 0, "nothing new");
            // It was on its way when the scope was halted.
            let refused = ReportKind::CancelRejected(RejectReason::UnknownOrder);
            desk.handle(4, &report(refused));
            let accepted = report(ReportKind::Accepted { venue_order_id: 1 });
            assert_eq!(desk.handle(5, &accepted), cancels);
            assert_eq!(desk.handle(6, &Event::Command(Command::Halt(scope))), 0, "is halted");
            if on_halt == OnHalt::Keep {
                assert_eq!(desk.handle(7, &Event::Command(Command::Kill(scope))), 1);
                desk.handle(8, &report(refused));
                assert_eq!(desk.handle(9, &Event::Command(Command::Halt(scope))), 0, "killed");
                assert!(desk.scope(scope).withdraws_orders());
            }
        }
    }
}

#[test]
fn what_a_scope_keeps_its_strategy_may_cancel_and_no_other_halt_withdraws() {
    let mut desk = Desk::new();
    let account = Scope::Account(AccountId(0));
    let keep = RiskLimits { on_halt: OnHalt::Keep, ..RiskLimits::default() };
    desk.limit(account, RiskLimits { daily_loss: Some(Notional(1)), ..keep });
    assert_eq!(desk.place(1, Side::Buy), 1);
    desk.handle(2, &report(ReportKind::Accepted { venue_order_id: 1 }));
    assert_eq!(desk.place_at(3, Side::Sell, 101), 1);
    // The second order fills at a price that is worse than the mid: a loss.
    let sold = Fill {
        trade_id: 1,
        price: Price(10),
        qty: Quantity(1),
        role: Role::Taker,
        fee: Decimal::ZERO,
        fee_asset: AssetId(1),
    };
    assert_eq!(desk.handle(4, &report_of(2, ReportKind::Fill(sold))), 0);
    assert_eq!(desk.scope(account).state, TradingState::Halted);
    assert!(desk.scope(account).keeps_orders);
    let restored = {
        let nobody = vec![desk.puppet.puppet()];
        Engine::restore(desk.engine.snapshot(), nobody, 16).unwrap()
    };
    assert!(restored.state().accounts[0].scope.keeps_orders);
    assert_eq!(restored.state_hash(), desk.engine.state_hash());
    // Another scope's halt looks at all that are halted.
    desk.limit(Scope::Engine, RiskLimits { drawdown: Some(Notional(1)), ..keep });
    desk.handle(5, &level(0, 5, Side::Sell, 200, 5));
    assert_eq!(desk.engine.state().orders.n_working(), 1);
    desk.puppet.give(Intent::Cancel { id: ClientOrderId::new(1, 1) });
    assert_eq!(desk.handle(6, &level(0, 6, Side::Buy, 51, 7)), 1, "its own cancel");
    desk.handle(7, &Event::Command(Command::Resume(account)));
    assert!(!desk.scope(account).keeps_orders);
}

fn report(kind: ReportKind) -> Event {
    report_of(1, kind)
}

fn report_of(n: u64, kind: ReportKind) -> Event {
    Event::Execution(ExecutionReport {
        order: ClientOrderId::new(1, n),
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
