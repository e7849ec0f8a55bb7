//! What loss limits count, and from where.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use rust_decimal::Decimal;
use tercel_core::{
    AccountId, AssetId, ClientOrderId, Command, Effect, Engine, Event, ExecutionReport, Fill,
    InstrumentId, MarketData, MarketEvent, Nanos, Notice, Notional, OrderSpec, Price, Quantity,
    Recovery, ReportKind, RiskLimits, Role, Scope, ScopeState, Seq, Side, State, StrategyId,
    TradingState,
};
use tercel_testkit::{Strings, engine_config, level, linear};

const SCOPES: [Scope; 3] =
    [Scope::Strategy(StrategyId(0)), Scope::Account(AccountId(0)), Scope::Engine];

/// One strategy on two markets at 99 to 101.
struct Desk {
    engine: Engine,
    began: State,
    puppet: Strings,
    journal: Vec<(Seq, Nanos, Event, Vec<Effect>)>,
    seq: u64,
    now: Nanos,
    n_orders: u64,
}

impl Desk {
    fn new() -> Self {
        let puppet = Strings::default();
        let config = engine_config(vec![linear(0), linear(1)]);
        let mut desk = Self::over(Engine::new(&config, vec![puppet.puppet()]).unwrap(), puppet);
        desk.price(0, 99, 101);
        desk.price(1, 99, 101);
        desk
    }

    fn over(engine: Engine, puppet: Strings) -> Self {
        let (began, journal, now) = (engine.snapshot(), Vec::new(), Nanos(0));
        let n_orders = engine.state().next_order_id.counter() - 1;
        let mut desk = Self { engine, began, puppet, journal, seq: 0, now, n_orders };
        desk.command(Command::Start(StrategyId(0)));
        desk
    }

    /// Takes an event and returns what the engine wants done.
    fn handle(&mut self, event: Event) -> Vec<Effect> {
        self.seq += 1;
        let mut effects = Engine::effects();
        self.engine.handle(Seq(self.seq), self.now, &event, &mut effects);
        let effects = effects.as_slice().to_vec();
        self.journal.push((Seq(self.seq), self.now, event, effects.clone()));
        effects
    }

    fn command(&mut self, command: Command) -> Vec<Effect> {
        self.handle(Event::Command(command))
    }

    fn market(&mut self, id: u16, data: MarketData) {
        let (venue_at, received_at, instrument) = (self.now, self.now, InstrumentId(id));
        self.handle(Event::Market(MarketEvent { venue_at, received_at, instrument, data }));
    }

    /// A snapshot of the book.
    fn price(&mut self, id: u16, bid: i64, ask: i64) {
        self.market(id, MarketData::Clear { seq: 0 });
        for (side, price, last) in [(Side::Buy, bid, false), (Side::Sell, ask, true)] {
            let (price, qty) = (Price(price), Quantity(1_000));
            self.market(id, MarketData::Level { side, price, qty, last });
        }
    }

    /// Trades at 100, for nothing.
    fn trade(&mut self, id: u16, side: Side, qty: i64) {
        self.puppet.place(OrderSpec::market(InstrumentId(id), side, Quantity(qty)));
        self.n_orders += 1;
        let n = i64::try_from(self.n_orders).unwrap();
        self.handle(level(id, 0, Side::Buy, 1, n));
        self.handle(Event::Execution(ExecutionReport {
            order: ClientOrderId::new(1, self.n_orders),
            account: AccountId(0),
            instrument: InstrumentId(id),
            venue_at: Nanos(0),
            received_at: Nanos(0),
            kind: ReportKind::Fill(Fill {
                trade_id: self.n_orders,
                price: Price(100),
                qty: Quantity(qty),
                role: Role::Taker,
                fee: Decimal::ZERO,
                fee_asset: AssetId(1),
            }),
        }));
    }

    fn limit(&mut self, scope: Scope, daily_loss: Option<i128>, drawdown: Option<i128>) {
        let (daily_loss, drawdown) = (daily_loss.map(money), drawdown.map(money));
        let limits = RiskLimits { daily_loss, drawdown, ..RiskLimits::default() };
        self.command(Command::SetLimits(scope, Box::new(limits)));
    }

    fn scope(&self, scope: Scope) -> &ScopeState {
        of(self.engine.state(), scope)
    }

    fn is_halted(&self, scope: Scope) -> bool {
        self.scope(scope).state == TradingState::Halted
    }

    /// What a restart makes of the record, which has no market data.
    fn recovered(&self) -> State {
        let mut recovery = Recovery::new(self.began.clone());
        for (seq, now, event, effects) in &self.journal {
            if !matches!(event, Event::Market(_)) {
                recovery.event(*seq, *now, event).unwrap();
            }
            for effect in effects {
                match effect {
                    Effect::Send(request) => recovery.sent(*now, request).unwrap(),
                    Effect::Notice(notice) => recovery.told(notice).unwrap(),
                    _ => {}
                }
            }
        }
        recovery.finish(self.now)
    }
}

fn of(state: &State, scope: Scope) -> &ScopeState {
    match scope {
        Scope::Strategy(id) => &state.strategies[id.index()].scope,
        Scope::Account(id) => &state.accounts[id.index()].scope,
        Scope::Engine => &state.scope,
    }
}

fn money(units: i128) -> Notional {
    Notional(units * Notional::ONE)
}

/// Every resume used to give the whole budget of the day back: to pause and go on, which a nervous
/// operator may do once an hour, made the limit void.
#[test]
fn a_resume_gives_nothing_back_that_was_not_used_up() {
    for scope in SCOPES {
        for (daily_loss, drawdown) in [(Some(200), None), (None, Some(200)), (Some(200), Some(900))]
        {
            let mut desk = Desk::new();
            desk.limit(scope, daily_loss, drawdown);
            desk.trade(0, Side::Buy, 5);
            desk.price(0, 69, 71);
            desk.command(Command::Reduce(scope));
            let effects = desk.command(Command::Resume(scope));
            assert!(matches!(effects[..], [Effect::Notice(Notice::State { .. })]), "{effects:?}");
            assert!(!desk.is_halted(scope));
            desk.price(0, 59, 61);
            assert!(desk.is_halted(scope), "150 and 50 of 200");

            // What tripped counts anew from here, or it would trip at once.
            let effects = desk.command(Command::Resume(scope));
            let [Effect::Notice(Notice::LossMarks { pnl_open, pnl_max, .. }), _] = effects[..]
            else {
                panic!("{effects:?}")
            };
            let mark = |limit: Option<i128>| money(if limit == Some(200) { -200 } else { 0 });
            assert_eq!((pnl_open, pnl_max), (mark(daily_loss), mark(drawdown)));
            desk.price(0, 29, 31);
            assert!(!desk.is_halted(scope), "150 more");
            // Which the record knows, although it has no prices.
            assert_eq!(of(&desk.recovered(), scope).today.pnl_open, pnl_open);
            assert_eq!(of(&desk.recovered(), scope).pnl_max, pnl_max);
            desk.price(0, 19, 21);
            assert!(desk.is_halted(scope), "200 more");
        }
    }
}
