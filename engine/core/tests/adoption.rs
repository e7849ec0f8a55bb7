//! Orders of other origin that become ours: counted, filled, cancelled, and repeated from the record.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use rust_decimal::Decimal;
use tercel_core::{
    AccountId, AccountItem, AccountUpdate, Adoption, AssetId, ClientOrderId, Command, Effect,
    Engine, Event, ExecutionReport, Fill, InstrumentId, Nanos, Notice, Notional, OrderRequest,
    OrderSpec, OrderState, Price, Quantity, Recovery, ReportKind, ReportRefusal, Role, Scope, Seq,
    Side, State, StrategyId,
};
use tercel_testkit::{Strings, engine_config, level, spot};

struct World {
    engine: Engine,
    began: State,
    journal: Vec<(Seq, Nanos, Event, Vec<Effect>)>,
    now: i64,
}

const ID: ClientOrderId = ClientOrderId(7);

impl World {
    fn new() -> Self {
        let strings = Strings::default();
        let config = engine_config(vec![spot(0)]);
        let engine = Engine::new(&config, vec![strings.puppet()]).unwrap();
        let began = engine.snapshot();
        let mut world = Self { engine, began, journal: Vec::new(), now: 0 };
        world.handle(Event::Command(Command::Start(StrategyId(0))));
        world.handle(level(0, 0, Side::Buy, 99, 1_000));
        world.handle(level(0, 0, Side::Sell, 101, 1_000));
        world
    }

    /// Takes an event and returns what the engine wants done.
    fn handle(&mut self, event: Event) -> Vec<Effect> {
        self.now += 1_000;
        let (seq, now) = (Seq(self.journal.len() as u64 + 1), Nanos(self.now));
        let mut effects = Engine::effects();
        self.engine.handle(seq, now, &event, &mut effects);
        let effects = effects.as_slice().to_vec();
        self.journal.push((seq, now, event, effects.clone()));
        effects
    }

    fn adopt(&mut self, adoption: Adoption) -> Vec<Effect> {
        let item = AccountItem::Order(adoption);
        self.handle(Event::Account(AccountUpdate { account: AccountId(0), item, last: true }))
    }

    fn report(&mut self, kind: ReportKind) -> Vec<Effect> {
        self.handle(Event::Execution(ExecutionReport {
            order: ID,
            account: AccountId(0),
            instrument: InstrumentId(0),
            venue_at: Nanos(self.now),
            received_at: Nanos(self.now),
            kind,
        }))
    }

    fn open_buys(&self) -> [i64; 3] {
        let state = self.engine.state();
        [&state.strategies[0].scope, &state.accounts[0].scope, &state.scope]
            .map(|scope| scope.exposures[0].open_buys.0)
    }

    fn locked(&self) -> Notional {
        let state = self.engine.state();
        state.accounts[0].balances[state.instruments[0].spec.quote.index()].locked
    }
}

/// A buy of nine, of which two were filled before it was ours.
fn adoption() -> Adoption {
    Adoption {
        order: ID,
        strategy: StrategyId(0),
        venue_order_id: 4_711,
        spec: OrderSpec::limit(InstrumentId(0), Side::Buy, Price(90), Quantity(9)),
        filled: Quantity(2),
        triggered: true,
        as_of: Nanos(5),
    }
}

fn fill(trade_id: u64, qty: i64) -> ReportKind {
    ReportKind::Fill(Fill {
        trade_id,
        price: Price(90),
        qty: Quantity(qty),
        role: Role::Maker,
        fee: Decimal::ZERO,
        fee_asset: AssetId(1),
    })
}

fn cancels(effects: &[Effect]) -> Vec<ClientOrderId> {
    let sent = effects.iter().filter_map(|effect| match effect {
        Effect::Send(request) => Some(**request),
        _ => None,
    });
    sent.filter(|request| matches!(request, OrderRequest::Cancel { .. }))
        .map(|request| request.id())
        .collect()
}

#[test]
fn it_counts_and_is_booked_and_goes_with_the_rest() {
    let mut world = World::new();
    world.adopt(adoption());
    let order = *world.engine.state().orders.get(ID).unwrap();
    assert_eq!((order.state, order.leaves()), (OrderState::Open, Quantity(7)));
    assert_eq!((order.venue_order_id, order.average_price()), (4_711, Some(Price(90))));
    assert_eq!(world.open_buys(), [7; 3]);
    assert!(world.locked() > Notional::ZERO);
    assert_eq!(world.engine.state().scope.open_orders, 1);
    assert_eq!(world.engine.state().scope.positions[0].qty, Quantity(0), "what was, is held");
    world.report(fill(1, 3));
    world.report(fill(1, 3));
    assert_eq!(world.engine.state().strategies[0].scope.positions[0].qty, Quantity(3));
    assert_eq!(world.open_buys(), [4; 3]);
    let effects = world.handle(Event::Command(Command::Kill(Scope::Engine)));
    assert_eq!(cancels(&effects), [ID]);
    world.report(ReportKind::Canceled);
    assert_eq!((world.open_buys(), world.locked()), ([0; 3], Notional::ZERO));
}

#[test]
fn after_a_kill_it_is_withdrawn_at_once() {
    let mut world = World::new();
    world.handle(Event::Command(Command::Kill(Scope::Account(AccountId(0)))));
    assert_eq!(cancels(&world.adopt(adoption())), [ID]);
}

#[test]
fn terms_that_its_owner_changes_are_followed() {
    let mut world = World::new();
    world.adopt(adoption());
    let larger = OrderSpec { qty: Quantity(20), ..adoption().spec };
    world.adopt(Adoption { spec: larger, ..adoption() });
    assert_eq!(world.open_buys(), [18; 3]);
    world.report(fill(1, 18));
    assert_eq!(world.engine.state().orders.get(ID).unwrap().state, OrderState::Filled);
    assert_eq!(world.open_buys(), [0; 3]);
    let refused = |effects: &[Effect]| {
        effects.iter().any(|effect| {
            matches!(effect, Effect::Notice(Notice::ReportRefused { cause, .. })
                if *cause == ReportRefusal::Stale)
        })
    };
    assert!(refused(&world.adopt(adoption())), "it is over");
}

#[test]
fn an_owner_that_is_not_there_is_refused() {
    let mut world = World::new();
    let effects = world.adopt(Adoption { strategy: StrategyId(9), ..adoption() });
    assert!(matches!(effects[..], [Effect::Notice(Notice::ReportRefused { .. })]), "{effects:?}");
    assert!(world.engine.state().orders.get(ID).is_none());
}

/// What a journal has of it gives the same state, number at the venue included, at every step.
#[test]
fn the_record_gives_the_same_state() {
    let mut world = World::new();
    world.adopt(adoption());
    world.report(fill(1, 1));
    let larger = OrderSpec { qty: Quantity(12), ..adoption().spec };
    world.adopt(Adoption { spec: larger, ..adoption() });
    world.report(fill(2, 4));
    world.handle(Event::Command(Command::Kill(Scope::Engine)));
    let mut recovery = Recovery::new(world.began.clone());
    for (seq, now, event, effects) in &world.journal {
        if matches!(event, Event::Market(_)) {
            continue;
        }
        recovery.event(*seq, *now, event).unwrap();
        for effect in effects {
            match effect {
                Effect::Send(request) => recovery.sent(*now, request).unwrap(),
                Effect::Notice(notice) => recovery.told(notice).unwrap(),
                other => panic!("{other:?}"),
            }
        }
    }
    let (ours, theirs) = (world.engine.state(), recovery.state());
    assert_eq!(ours.image().orders, theirs.image().orders);
    // Apart from what it is worth: that is for the market to say, which no record has.
    let open = |state: &State| {
        let own = state.scope.exposures.iter();
        own.map(|exposure| (exposure.open_buys, exposure.open_sells)).collect::<Vec<_>>()
    };
    assert_eq!(open(ours), open(theirs));
    assert_eq!(ours.accounts[0].balances, theirs.accounts[0].balances);
    let bad = Adoption { strategy: StrategyId(9), ..adoption() };
    let item = AccountItem::Order(bad);
    let event = Event::Account(AccountUpdate { account: AccountId(0), item, last: true });
    assert!(recovery.event(Seq(1_000), Nanos(0), &event).is_err());
}

#[test]
fn ids_of_adopted_orders_are_apart_from_those_of_runs() {
    let id = |account, n| ClientOrderId::adopted(AccountId(account), n);
    assert_eq!(id(3, 9).unwrap().adopted_number(), Some(9));
    assert_ne!(id(3, 9), id(4, 9));
    assert_eq!(id(256, 9), None);
    assert_eq!(ClientOrderId::new(1, 9).adopted_number(), None);
}
