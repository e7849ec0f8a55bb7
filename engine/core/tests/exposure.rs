//! What gross exposure and margin are valued at.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use rust_decimal::Decimal;
use tercel_core::{
    AssetId, ClientOrderId, Command, Effect, Engine, EngineConfig, Event, ExecutionReport, Fill,
    InstrumentId, Intent, Nanos, Notional, OrderKind, OrderSpec, Price, Quantity, Recovery,
    ReportKind, Role, Seq, Side, StrategyId,
};
use tercel_testkit::{Strings, check_sums, engine_config, level, linear};

const HELD: InstrumentId = InstrumentId(0);
const OTHER: InstrumentId = InstrumentId(1);

/// Two markets at 99 to 101.
struct Desk {
    engine: Engine,
    puppet: Strings,
    seq: u64,
    n_orders: u64,
}

impl Desk {
    fn new(config: &EngineConfig) -> Self {
        let puppet = Strings::default();
        let engine = Engine::new(config, vec![puppet.puppet()]).unwrap();
        let mut desk = Self { engine, puppet, seq: 0, n_orders: 0 };
        desk.handle(&Event::Command(Command::Start(StrategyId(0))));
        for id in 0..2 {
            desk.handle(&level(id, 0, Side::Buy, 99, 1_000));
            desk.handle(&level(id, 0, Side::Sell, 101, 1_000));
        }
        desk
    }

    /// Returns how many requests come out.
    fn handle(&mut self, event: &Event) -> usize {
        self.seq += 1;
        let mut effects = Engine::effects();
        self.engine.handle(Seq(self.seq), Nanos(0), event, &mut effects);
        check_sums(self.engine.state()).unwrap();
        effects.as_slice().iter().filter(|effect| matches!(effect, Effect::Send(_))).count()
    }

    /// Lets the strategy act: a change far from the touch calls it.
    fn act(&mut self) -> bool {
        let qty = i64::try_from(self.seq).unwrap();
        self.handle(&level(0, 0, Side::Buy, 1, qty)) == 1
    }

    /// Places an order; returns whether it is sent.
    fn place(&mut self, spec: OrderSpec) -> bool {
        self.puppet.place(spec);
        self.n_orders += 1;
        self.act()
    }

    fn report(&mut self, kind: ReportKind) {
        self.handle(&Event::Execution(ExecutionReport {
            order: ClientOrderId::new(1, self.n_orders),
            account: tercel_core::AccountId(0),
            instrument: HELD,
            venue_at: Nanos(0),
            received_at: Nanos(0),
            kind,
        }));
    }

    /// Buys five at 100.
    fn buy(&mut self) {
        assert!(self.place(OrderSpec::market(HELD, Side::Buy, Quantity(5))));
        self.report(ReportKind::Fill(Fill {
            trade_id: 1,
            price: Price(100),
            qty: Quantity(5),
            role: Role::Taker,
            fee: Decimal::ZERO,
            fee_asset: AssetId(1),
        }));
    }

    fn gross(&self) -> i128 {
        self.engine.state().scope.gross.0 / Notional::ONE
    }
}

fn money(units: i128) -> Notional {
    Notional(units * Notional::ONE)
}

fn limited() -> EngineConfig {
    let mut config = engine_config(vec![linear(0), linear(1)]);
    config.limits.gross_exposure = Some(money(1_000));
    config
}

fn far_stop() -> OrderSpec {
    let kind = OrderKind::Stop { trigger: Price(10) };
    OrderSpec { kind, ..OrderSpec::market(HELD, Side::Sell, Quantity(1)) }
}

fn other() -> OrderSpec {
    OrderSpec::limit(OTHER, Side::Buy, Price(100), Quantity(6))
}

/// The whole position used to be valued at the price of the last order: a stop far below the market
/// freed nine tenths of the limit, and twice of what it allowed could be held.
#[test]
fn a_distant_order_does_not_free_the_limit() {
    let far_bid = OrderSpec::limit(HELD, Side::Buy, Price(10), Quantity(1));
    for (distant, gross) in [(far_stop(), 500), (far_bid, 600)] {
        let mut desk = Desk::new(&limited());
        desk.buy();
        assert_eq!(desk.gross(), 500);
        assert!(!desk.place(other()), "1,100 of 1,000");
        assert!(desk.place(distant));
        assert_eq!(desk.gross(), gross);
        assert!(!desk.place(other()));
        assert!(desk.place(OrderSpec { qty: Quantity(4), ..other() }));
        assert_eq!(desk.gross(), gross + 400);
    }
}

/// An order dearer than the market counts at its own price while it is open.
#[test]
fn what_is_valued_at_a_high_price_is_so_while_the_order_is_open() {
    let mut desk = Desk::new(&limited());
    desk.buy();
    assert!(desk.place(OrderSpec::limit(HELD, Side::Sell, Price(150), Quantity(11))));
    assert_eq!(desk.gross(), 900, "six short at 150");
    desk.puppet.give(Intent::Cancel { id: ClientOrderId::new(1, desk.n_orders) });
    assert!(desk.act());
    desk.report(ReportKind::Canceled);
    assert_eq!(desk.gross(), 500);
}

/// Margin is asked for the same sum.
#[test]
fn a_distant_order_does_not_free_margin() {
    let mut config = engine_config(vec![linear(0), linear(1)]);
    config.accounts[0].check_balance = true;
    config.accounts[0].balances = vec![(AssetId(1), Decimal::from(1_000))];
    let mut desk = Desk::new(&config);
    desk.buy();
    assert!(desk.place(far_stop()));
    assert!(!desk.place(other()));
    assert!(desk.place(OrderSpec { qty: Quantity(4), ..other() }));
}

/// A record has no market data: what was open before keeps its value.
#[test]
fn a_distant_order_in_a_record_does_not_free_the_limit() {
    let mut desk = Desk::new(&limited());
    desk.buy();
    let mut recovery = Recovery::new(Recovery::new(desk.engine.snapshot()).finish(Nanos(0)));
    assert_eq!(recovery.state().markets[0].reference(), None);
    let id = ClientOrderId::new(1, 2);
    let (account, strategy) = (tercel_core::AccountId(0), StrategyId(0));
    let request = tercel_core::OrderRequest::New { id, account, strategy, spec: far_stop() };
    recovery.sent(Nanos(0), &request).unwrap();
    assert_eq!(recovery.state().scope.gross, money(500));
}
