//! What loss limits count, and from where.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use rust_decimal::Decimal;
use tercel_core::{
    AccountId, AssetId, ClientOrderId, Command, Effect, Engine, Event, ExecutionReport, Fill,
    InstrumentId, LinkEvent, LinkState, MarketData, MarketEvent, Nanos, Notice, Notional,
    OrderSpec, Price, Quantity, Recovery, ReportKind, RiskLimits, Role, Scope, ScopeState, Seq,
    Side, State, StrategyId, TradingState, VenueId,
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
            assert_eq!(of(&desk.recovered(), scope).today.pnl_open, Some(pnl_open));
            assert_eq!(of(&desk.recovered(), scope).pnl_max, pnl_max);
            desk.price(0, 19, 21);
            assert!(desk.is_halted(scope), "200 more");
        }
    }
}

impl Desk {
    /// The process ends and another begins, with what the record says.
    fn restart(&mut self, now: Nanos) {
        self.now = now;
        let puppet = Strings::default();
        // Books, too, are in a snapshot.
        let state = Recovery::new(self.engine.snapshot()).finish(now);
        let engine = Engine::restore(state, vec![puppet.puppet()], 16).unwrap();
        let seq = self.seq;
        *self = Self::over(engine, puppet);
        (self.now, self.seq) = (now, self.seq + seq);
    }

    /// Five long in the first market, 80 up or down each; as many short in the second: nothing lost.
    fn hedged(scope: Scope, at: i64) -> Self {
        let mut desk = Self::new();
        desk.limit(scope, Some(200), Some(200));
        desk.trade(0, Side::Buy, 5);
        desk.trade(1, Side::Sell, 5);
        let step = if at > 100 { 10 } else { -10 };
        let mut price = 100;
        while price != at {
            price += step;
            // What loses first, so that nothing is ever won.
            for id in if step > 0 { [1, 0] } else { [0, 1] } {
                desk.price(id, price - 1, price + 1);
            }
        }
        assert!(!desk.is_halted(scope));
        desk
    }
}

/// After a restart the first book to come was all that profit was made of: what was held in other
/// markets counted as worth nothing. A hedge tripped the limit, and orders were cancelled, or a loss
/// was hidden and its end tripped the drawdown.
#[test]
fn losses_are_watched_once_all_that_is_held_has_a_price() {
    for scope in SCOPES {
        for (at, first) in [(20, 0), (20, 1), (180, 0), (180, 1)] {
            let mut desk = Desk::hedged(scope, at);
            desk.restart(Nanos(1));
            for id in [first, 1 - first] {
                desk.price(id, at - 1, at + 1);
                assert!(!desk.is_halted(scope), "{scope}: {at}, {id}");
            }
            assert_eq!((desk.scope(scope).pnl_max, desk.pnl_open(scope)), (money(0), Some(0)));
            // And then they are: the long is worth 40 a lot less.
            desk.price(0, at - 41, at - 39);
            assert!(desk.is_halted(scope));
        }
    }
}

/// A day that began in that window was counted from half of a profit to its end.
#[test]
fn a_day_that_begins_without_prices_is_counted_from_the_first() {
    let scope = Scope::Engine;
    let mut desk = Desk::hedged(scope, 20);
    desk.restart(Nanos(Nanos::DAY));
    assert_eq!((desk.scope(scope).today.number, desk.pnl_open(scope)), (1, None));
    desk.price(1, 29, 31);
    assert_eq!(desk.pnl_open(scope), None);
    desk.price(0, 9, 11);
    assert_eq!(desk.pnl_open(scope), Some(-100));
    desk.price(0, 8, 10);
    assert_eq!(desk.pnl_open(scope), Some(-100));
}

/// Marks and trades of before a restart were taken for current.
#[test]
fn a_price_of_before_a_restart_is_not_current() {
    let mut desk = Desk::new();
    let scope = Scope::Engine;
    desk.limit(scope, Some(200), None);
    desk.market(0, MarketData::Mark { mark: Price(100), index: Price(0) });
    desk.trade(0, Side::Buy, 5);
    desk.restart(Nanos(Nanos::DAY));
    let market = &desk.engine.state().markets[0];
    assert_eq!((market.mark, market.value(), market.price_before), (None, None, Some(Price(100))));
    assert_eq!(desk.pnl_open(scope), None);
    desk.market(0, MarketData::Mark { mark: Price(20), index: Price(0) });
    assert_eq!(desk.pnl_open(scope), Some(-400), "it fell before the day began");
    assert!(!desk.is_halted(scope));
}

/// While one book is read anew, another's news used to be judged without it.
#[test]
fn half_a_snapshot_is_no_price() {
    for scope in SCOPES {
        let mut desk = Desk::hedged(scope, 20);
        desk.market(1, MarketData::Clear { seq: 0 });
        desk.price(0, 19, 21);
        assert!(!desk.is_halted(scope));
        let (side, price, qty) = (Side::Buy, Price(1), Quantity(1));
        desk.market(1, MarketData::Level { side, price, qty, last: false });
        desk.price(0, 19, 21);
        assert!(!desk.is_halted(scope));
        assert_eq!(desk.scope(scope).pnl_max, money(0));
    }
}

/// What was known last goes on counting while a line is down: the other positions must not go
/// unwatched for so long.
#[test]
fn a_stale_book_counts_at_its_last_prices() {
    for scope in SCOPES {
        let mut desk = Desk::hedged(scope, 120);
        let (venue, instrument) = (VenueId(0), Some(InstrumentId(1)));
        desk.handle(Event::Link(LinkEvent { venue, instrument, state: LinkState::Down }));
        desk.price(0, 79, 81);
        assert!(desk.is_halted(scope), "100 of each");
    }
}

impl Desk {
    fn pnl_open(&self, scope: Scope) -> Option<i128> {
        self.scope(scope).today.pnl_open.map(|pnl| pnl.0 / Notional::ONE)
    }
}
