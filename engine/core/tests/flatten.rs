//! A flatten goes on until nothing is held: whatever was in its way, and whoever else it concerns.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use rust_decimal::Decimal;
use tercel_core::{
    AccountId, AccountItem, AccountUpdate, Adoption, AssetId, ClientOrderId, Command, Effect,
    Engine, EngineConfig, Event, ExecutionReport, Fill, InstrumentId, Intent, Nanos, Notice,
    Notional, Order, OrderRequest, OrderSpec, Price, Quantity, RejectReason, ReportKind,
    RiskLimits, Role, Scope, Seq, Side, StrategyId, TradingState,
};
use tercel_testkit::{Strings, engine_config, level, linear, spot, strategy};

const MARKET: InstrumentId = InstrumentId(0);
const FLATTEN: Event = Event::Command(Command::Flatten(Scope::Engine));

/// An engine over one instrument, and a venue that does what the test says.
struct Desk {
    engine: Engine,
    puppets: Vec<Strings>,
    seq: u64,
    now: Nanos,
    trades: u64,
    refusals: usize,
}

impl Desk {
    fn new(config: &EngineConfig) -> Self {
        let puppets: Vec<_> = config.strategies.iter().map(|_| Strings::default()).collect();
        let nobody = puppets.iter().map(Strings::puppet).collect();
        let engine = Engine::new(config, nobody).unwrap();
        let mut desk = Self { engine, puppets, seq: 0, now: Nanos(0), trades: 0, refusals: 0 };
        for n in 0..config.strategies.len() {
            let id = StrategyId(u16::try_from(n).unwrap());
            desk.handle(&Event::Command(Command::Start(id)));
        }
        desk.tick();
        desk.quote(Side::Sell, 101);
        desk
    }

    /// A perpetual, and this many strategies on one account.
    fn perpetual(n: usize) -> Self {
        let mut config = engine_config(vec![linear(0)]);
        config.strategies = vec![strategy(0, 1); n];
        Self::new(&config)
    }

    fn handle(&mut self, event: &Event) -> Vec<OrderRequest> {
        self.seq += 1;
        let mut effects = Engine::effects();
        self.engine.handle(Seq(self.seq), self.now, event, &mut effects);
        let effects = effects.as_slice();
        let is_refusal = |own: &&Effect| matches!(own, Effect::Notice(Notice::RiskReject { .. }));
        self.refusals += effects.iter().filter(is_refusal).count();
        let sent = effects.iter().filter_map(|own| match own {
            Effect::Send(request) => Some(**request),
            _ => None,
        });
        sent.collect()
    }

    /// The best bid stays at 99 and changes its size.
    fn tick(&mut self) -> Vec<OrderRequest> {
        let size = 1_000 + i64::try_from(self.seq).unwrap();
        self.handle(&level(0, self.now.0, Side::Buy, 99, size))
    }

    fn quote(&mut self, side: Side, price: i64) -> Vec<OrderRequest> {
        self.handle(&level(0, self.now.0, side, price, 1_000))
    }

    fn report(&mut self, id: ClientOrderId, kind: ReportKind) -> Vec<OrderRequest> {
        let account = self.order(id).account;
        self.handle(&Event::Execution(ExecutionReport {
            order: id,
            account,
            instrument: MARKET,
            venue_at: self.now,
            received_at: self.now,
            kind,
        }))
    }

    fn fill_with(&mut self, id: ClientOrderId, qty: i64, fee: (i64, u16)) -> Vec<OrderRequest> {
        self.trades += 1;
        let fill = Fill {
            trade_id: self.trades,
            price: Price(100),
            qty: Quantity(qty),
            role: Role::Taker,
            fee: Decimal::new(fee.0, 3),
            fee_asset: AssetId(fee.1),
        };
        self.report(id, ReportKind::Fill(fill))
    }

    fn fill(&mut self, id: ClientOrderId, qty: i64) -> Vec<OrderRequest> {
        self.fill_with(id, qty, (0, 1))
    }

    fn order(&self, id: ClientOrderId) -> Order {
        *self.engine.state().orders.get(id).unwrap()
    }

    /// Has a strategy place an order, which the venue takes.
    fn place(&mut self, n: usize, spec: OrderSpec) -> ClientOrderId {
        self.puppets[n].place(spec);
        let sent = self.tick();
        let [OrderRequest::New { id, .. }] = sent[..] else { panic!("{sent:?}") };
        self.report(id, ReportKind::Accepted { venue_order_id: id.0 });
        id
    }

    /// Has a strategy buy.
    fn hold(&mut self, n: usize, qty: i64) {
        let id = self.place(n, OrderSpec::limit(MARKET, Side::Buy, Price(100), Quantity(qty)));
        self.fill(id, qty);
        assert_eq!(self.held(n), qty);
    }

    fn held(&self, n: usize) -> i64 {
        self.engine.state().strategies[n].scope.positions[0].qty.0
    }

    fn limit(&mut self, scope: Scope, limits: RiskLimits) {
        self.handle(&Event::Command(Command::SetLimits(scope, Box::new(limits))));
    }

    /// Lets time pass until the engine wants to be called, which it does within this; calls it.
    fn wait(&mut self, within_ns: i64) -> Vec<OrderRequest> {
        let at = self.engine.next_deadline().expect("it waits for something");
        assert!(at > self.now && at.since(self.now) <= within_ns, "{at:?} at {:?}", self.now);
        self.now = at;
        self.handle(&Event::Timer)
    }

    /// Fills everything that closes, and what follows, until nothing comes any more.
    fn settle(&mut self, sent: Vec<OrderRequest>) {
        let mut sent = sent;
        for _ in 0..100 {
            let Some(OrderRequest::New { id, spec, .. }) = sent.pop() else {
                if sent.is_empty() {
                    return;
                }
                continue;
            };
            assert!(spec.reduce_only, "{spec:?}");
            let accepted = ReportKind::Accepted { venue_order_id: id.0 };
            assert_eq!(self.report(id, accepted), [], "it works on");
            let more = self.fill(id, spec.qty.0);
            sent.extend(more);
        }
        panic!("it goes on for ever");
    }

    fn assert_flat(&self) {
        let held: Vec<_> = (0..self.puppets.len()).map(|n| self.held(n)).collect();
        assert!(held.iter().all(|qty| *qty == 0), "{held:?}");
        assert_eq!(self.engine.next_deadline(), None, "nothing is left to try");
    }
}

fn closing(sent: &[OrderRequest]) -> Vec<(ClientOrderId, i64)> {
    let own = sent.iter().filter_map(|request| match request {
        OrderRequest::New { id, spec, .. } if spec.reduce_only => Some((*id, spec.qty.0)),
        _ => None,
    });
    own.collect()
}

fn limits() -> RiskLimits {
    RiskLimits::default()
}

/// An order that filled before its cancel came used to leave a position behind.
#[test]
fn what_fills_before_its_cancel_comes_is_closed() {
    for scope in [Scope::Strategy(StrategyId(0)), Scope::Account(AccountId(0)), Scope::Engine] {
        let mut desk = Desk::perpetual(1);
        let id = desk.place(0, OrderSpec::limit(MARKET, Side::Buy, Price(98), Quantity(1)));
        let flatten = Event::Command(Command::Flatten(scope));
        assert_eq!(desk.handle(&flatten).len(), 1, "a cancel, and nothing is held");
        let sent = desk.fill(id, 1);
        assert_eq!(closing(&sent).len(), 1, "what it filled is closed");
        assert_eq!(desk.handle(&flatten), [], "it is under way already");
        desk.settle(sent);
        desk.assert_flat();
        desk.handle(&Event::Command(Command::Resume(scope)));
        assert!(!desk.engine.state().flattens_any());
    }
}

/// A closing order that the venue refused was given up.
#[test]
fn what_the_venue_refuses_is_tried_again_less_and_less_often() {
    let mut desk = Desk::perpetual(1);
    desk.hold(0, 5);
    let mut sent = desk.handle(&FLATTEN);
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let [(id, 5)] = closing(&sent)[..] else { panic!("{sent:?}") };
        let refused = ReportKind::Rejected(RejectReason::NoLiquidity);
        assert_eq!(desk.report(id, refused), [], "not at once");
        let before = desk.now;
        sent = desk.wait(30 * Nanos::SECOND);
        pauses.push(desk.now.since(before) / Nanos::MILLI);
    }
    assert_eq!(pauses, [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    // What fills a part of it shows that the way is free.
    let [(id, 5)] = closing(&sent)[..] else { panic!("{sent:?}") };
    assert_eq!(desk.fill(id, 2), []);
    let sent = desk.report(id, ReportKind::Expired);
    assert_eq!(closing(&sent).len(), 1, "the rest, at once");
    desk.settle(sent);
    desk.assert_flat();
}

#[test]
fn a_book_without_a_market_is_waited_for() {
    let mut desk = Desk::perpetual(1);
    desk.hold(0, 5);
    desk.handle(&Event::Market(tercel_core::MarketEvent {
        venue_at: desk.now,
        received_at: desk.now,
        instrument: MARKET,
        data: tercel_core::MarketData::Clear { seq: 0 },
    }));
    assert_eq!(desk.handle(&FLATTEN), []);
    for _ in 0..20 {
        assert_eq!(desk.wait(Nanos::SECOND), []);
    }
    assert!(desk.refusals <= 4, "it is told a few times: {}", desk.refusals);
    desk.tick();
    desk.quote(Side::Sell, 101);
    let sent = desk.wait(Nanos::SECOND);
    desk.settle(sent);
    desk.assert_flat();
}

#[test]
fn it_goes_on_when_what_stood_in_its_way_is_gone() {
    let mut desk = Desk::perpetual(1);
    desk.hold(0, 1);
    // A bid of ours at the touch: to sell at the market would be to trade with it.
    let bid = desk.place(0, OrderSpec::limit(MARKET, Side::Buy, Price(100), Quantity(1)));
    assert_eq!(desk.handle(&FLATTEN).len(), 1, "its cancel");
    let sent = desk.report(bid, ReportKind::Canceled);
    assert_eq!(closing(&sent).len(), 1, "now the position");
    desk.settle(sent);
    assert_eq!(desk.held(0), 0);
}

/// The order in the way was another strategy's: when it was gone, only that one went on.
#[test]
fn what_was_in_the_way_of_another_strategy_is_gone_for_it_too() {
    let mut desk = Desk::perpetual(2);
    desk.hold(0, 5);
    let bid = desk.place(1, OrderSpec::limit(MARKET, Side::Buy, Price(100), Quantity(1)));
    assert_eq!(closing(&desk.handle(&FLATTEN)), []);
    let sent = desk.report(bid, ReportKind::Canceled);
    desk.settle(sent);
    desk.wait(Nanos::SECOND);
    desk.assert_flat();
}

/// A strategy that a limit or a kill had halted kept what it held.
#[test]
fn what_is_halted_below_is_closed_as_well() {
    for scope in [Scope::Strategy(StrategyId(0)), Scope::Account(AccountId(0))] {
        let mut desk = Desk::perpetual(2);
        desk.hold(0, 5);
        desk.hold(1, 2);
        desk.handle(&Event::Command(Command::Kill(scope)));
        let sent = desk.handle(&FLATTEN);
        assert_eq!(closing(&sent).len(), 2);
        desk.settle(sent);
        desk.assert_flat();
        let state = desk.engine.state();
        assert_eq!(
            state.strategies[0].scope.state == TradingState::Halted,
            scope != Scope::Account(AccountId(0)),
            "it stays halted"
        );
    }
}

/// What lies above is another matter: while the engine is halted nothing leaves, and the rest waits.
#[test]
fn what_is_halted_above_waits_for_its_resume() {
    let mut desk = Desk::perpetual(1);
    desk.hold(0, 5);
    desk.handle(&Event::Command(Command::Kill(Scope::Engine)));
    let own = Scope::Strategy(StrategyId(0));
    assert_eq!(desk.handle(&Event::Command(Command::Flatten(own))), []);
    assert_eq!(desk.wait(Nanos::SECOND), []);
    desk.handle(&Event::Command(Command::Resume(Scope::Engine)));
    let sent = desk.handle(&Event::Timer);
    desk.settle(sent);
    desk.assert_flat();
}

/// A loss limit that tripped while a flatten was closing halted the scope and withdrew the closing orders.
#[test]
fn no_loss_limit_ends_a_flatten() {
    for scope in [Scope::Strategy(StrategyId(0)), Scope::Account(AccountId(0)), Scope::Engine] {
        let mut desk = Desk::perpetual(1);
        desk.hold(0, 5);
        let sent = desk.handle(&FLATTEN);
        desk.limit(scope, RiskLimits { daily_loss: Some(Notional(1)), ..limits() });
        desk.handle(&level(0, 0, Side::Buy, 99, 0));
        desk.handle(&level(0, 0, Side::Buy, 50, 5));
        assert!(desk.engine.state().flattens_any());
        let [(id, 5)] = closing(&sent)[..] else { panic!("{sent:?}") };
        let sent = desk.fill(id, 2);
        assert_eq!(sent, [], "the rest of it is under way");
        desk.fill(id, 3);
        desk.assert_flat();
    }
}

/// Limits of an order's size refused to close what was larger, for ever.
#[test]
fn what_is_larger_than_an_order_may_be_is_closed_in_parts() {
    let lot = linear(0).notional(Price(99), Quantity(1)).unwrap();
    for limits in [
        RiskLimits { order_qty: Some(Quantity(4)), ..limits() },
        RiskLimits { order_notional: Some(Notional(lot.0 * 4)), ..limits() },
    ] {
        let mut desk = Desk::perpetual(1);
        desk.hold(0, 10);
        desk.limit(Scope::Engine, limits);
        let sent = desk.handle(&FLATTEN);
        assert_eq!(closing(&sent).len(), 1);
        assert_eq!(closing(&sent)[0].1, 4);
        desk.settle(sent);
        desk.assert_flat();
    }
}

/// What a day may see is used up, and the flatten's own cancels are too many: neither comes back by waiting.
#[test]
fn counts_of_the_day_do_not_stand_in_its_way() {
    for limits in [
        RiskLimits { orders_per_day: Some(1), ..limits() },
        RiskLimits { trades_per_day: Some(1), ..limits() },
        RiskLimits { cancels_per_100_orders: Some(0), ..limits() },
    ] {
        let mut desk = Desk::perpetual(1);
        desk.hold(0, 5);
        for _ in 0..100 {
            let id = desk.place(0, OrderSpec::limit(MARKET, Side::Buy, Price(90), Quantity(1)));
            desk.puppets[0].give(Intent::Cancel { id });
            desk.tick();
            desk.report(id, ReportKind::Canceled);
        }
        desk.limit(Scope::Account(AccountId(0)), limits);
        let sent = desk.handle(&FLATTEN);
        assert_eq!(closing(&sent).len(), 1);
        desk.settle(sent);
        desk.assert_flat();
    }
}

/// The rate a second does come back.
#[test]
fn the_pace_is_waited_for() {
    let mut desk = Desk::perpetual(2);
    desk.hold(0, 5);
    desk.hold(1, 5);
    desk.now = Nanos(10 * Nanos::SECOND);
    desk.limit(Scope::Engine, RiskLimits { orders_per_second: Some(1), ..limits() });
    let sent = desk.handle(&FLATTEN);
    assert_eq!(closing(&sent).len(), 1);
    desk.settle(sent);
    let mut sent = Vec::new();
    for _ in 0..4 {
        sent = desk.wait(Nanos::SECOND);
        if !sent.is_empty() {
            break;
        }
    }
    desk.settle(sent);
    desk.assert_flat();
}

/// A fee in what was bought made the account hold less than the strategy: every closing order was refused.
#[test]
fn what_a_fee_has_taken_is_not_asked_for() {
    for check_balance in [true, false] {
        let mut config = engine_config(vec![spot(0)]);
        config.accounts[0].check_balance = check_balance;
        config.accounts[0].balances = vec![(AssetId(1), Decimal::from(1_000_000))];
        let mut desk = Desk::new(&config);
        let id = desk.place(0, OrderSpec::limit(MARKET, Side::Buy, Price(100), Quantity(100)));
        let lot = spot(0).base_amount(Quantity(1)).unwrap().to_decimal();
        // Half a lot.
        let fee = lot / Decimal::from(2);
        desk.trades += 1;
        desk.report(
            id,
            ReportKind::Fill(Fill {
                trade_id: 1,
                price: Price(100),
                qty: Quantity(100),
                role: Role::Taker,
                fee,
                fee_asset: AssetId(0),
            }),
        );
        let sent = desk.handle(&FLATTEN);
        let [(id, 99)] = closing(&sent)[..] else { panic!("{sent:?}") };
        assert_eq!(desk.fill(id, 99), [], "half a lot cannot be sold");
        assert_eq!((desk.held(0), desk.engine.next_deadline()), (1, None), "dust");
    }
}

/// An order that a flatten's cancel overtook, or that turns out to be ours after it, worked on.
#[test]
fn what_begins_to_work_after_it_is_withdrawn() {
    let mut desk = Desk::perpetual(1);
    desk.puppets[0].place(OrderSpec::limit(MARKET, Side::Buy, Price(98), Quantity(1)));
    let sent = desk.tick();
    let [OrderRequest::New { id, .. }] = sent[..] else { panic!("{sent:?}") };
    assert_eq!(desk.handle(&FLATTEN).len(), 1);
    desk.report(id, ReportKind::CancelRejected(RejectReason::UnknownOrder));
    let sent = desk.report(id, ReportKind::Accepted { venue_order_id: 1 });
    assert!(matches!(sent[..], [OrderRequest::Cancel { .. }]), "{sent:?}");
    let adopted = ClientOrderId::adopted(AccountId(0), 7).unwrap();
    let adoption = Adoption {
        order: adopted,
        strategy: StrategyId(0),
        venue_order_id: 70,
        spec: OrderSpec::limit(MARKET, Side::Buy, Price(97), Quantity(3)),
        filled: Quantity(0),
        triggered: true,
        as_of: desk.now,
    };
    let update =
        AccountUpdate { account: AccountId(0), item: AccountItem::Order(adoption), last: true };
    let sent = desk.handle(&Event::Account(update));
    assert!(matches!(sent[..], [OrderRequest::Cancel { .. }]), "{sent:?}");
}

/// Paused, a strategy on spot sold more than it held: two orders that each would have closed it, and a
/// replace that nobody looked at.
#[test]
fn what_may_only_reduce_does_not_turn_around() {
    let mut config = engine_config(vec![spot(0)]);
    config.accounts[0].check_balance = false;
    let mut desk = Desk::new(&config);
    desk.hold(0, 10);
    desk.handle(&Event::Command(Command::Reduce(Scope::Engine)));
    let sell = |qty| OrderSpec {
        reduce_only: true,
        ..OrderSpec::limit(MARKET, Side::Sell, Price(105), Quantity(qty))
    };
    let id = desk.place(0, sell(10));
    desk.puppets[0].place(sell(10));
    assert_eq!(desk.tick(), [], "everything that is held is on sale");
    for qty in [11, 100] {
        desk.puppets[0].give(Intent::Replace { id, price: Price(104), qty: Quantity(qty) });
        assert_eq!(desk.tick(), []);
    }
    desk.puppets[0].give(Intent::Replace { id, price: Price(104), qty: Quantity(10) });
    assert_eq!(desk.tick().len(), 1);
}

/// The venue guards the account's position; with two strategies on it, that is not the strategy's.
#[test]
fn two_strategies_on_a_perpetual_do_not_sell_each_others_position() {
    let mut desk = Desk::perpetual(2);
    desk.hold(0, 10);
    let sell = OrderSpec {
        reduce_only: true,
        ..OrderSpec::limit(MARKET, Side::Sell, Price(105), Quantity(10))
    };
    desk.handle(&Event::Command(Command::Reduce(Scope::Engine)));
    desk.place(0, sell);
    desk.place(0, sell);
    desk.handle(&Event::Command(Command::Resume(Scope::Engine)));
    desk.hold(1, 10);
    desk.handle(&Event::Command(Command::Reduce(Scope::Engine)));
    desk.puppets[0].place(sell);
    assert_eq!(desk.tick(), []);
}
