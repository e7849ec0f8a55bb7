//! Orders of other origin that become ours: through storms, restarts and their owners' doings.

use tercel_core::{Command, Order, Scope, TradingState};

use super::*;

const ADOPT: ForeignPolicy = ForeignPolicy::Adopt { strategy: None };

impl World {
    /// Somebody else trades on the account.
    pub(super) fn meddle(&mut self) {
        if self.random.chance(4) {
            let side = if self.random.chance(50) { Side::Buy } else { Side::Sell };
            let price = Price(self.random.between(95, 105));
            let qty = Quantity(self.random.between(1, 9));
            let spec = OrderSpec::limit(InstrumentId(0), side, price, qty);
            self.venue.place_foreign(spec, self.now);
        }
        if self.random.chance(2) {
            self.venue.meddle(self.now);
        }
    }

    /// Returns our latest order of a number at the venue, if it was adopted.
    fn adopted(&self, number: u64) -> Option<Order> {
        let orders = self.engine.state().image().orders;
        let all = orders.working.iter().flatten().chain(&orders.ended).map(|own| own.order);
        all.filter(|own| own.id.adopted_number().is_some() && own.venue_order_id == number)
            .max_by_key(|own| own.id)
    }

    /// What others have placed is ours as it stands there, and each execution was booked once.
    pub(super) fn check_foreign(&self, seed: u64) {
        let adopts = self.gateway.options.foreign != ForeignPolicy::Leave;
        for theirs in self.venue.all().filter(|own| own.is_foreign()) {
            let is_open = self.venue.open().iter().any(|own| own.number == theirs.number);
            let Some(own) = self.adopted(theirs.number) else {
                assert!(!is_open || !adopts, "seed {seed}: not adopted: {theirs:?}");
                continue;
            };
            assert_eq!(own.is_working(), is_open, "seed {seed}: {own:?} {theirs:?}");
            // Enlarged when it was filled as far as we knew, and filled again before it was seen:
            // to us, the rest is somebody else's trade.
            let is_outgrown = own.filled == own.spec.qty && theirs.filled > own.filled;
            if !is_outgrown {
                assert_eq!(own.filled, theirs.filled, "seed {seed}: {own:?} {theirs:?}");
            }
            if is_open {
                assert_eq!(own.leaves(), theirs.leaves(), "seed {seed}: {own:?} {theirs:?}");
            }
        }
        let state = self.engine.state();
        let orders = state.image().orders;
        let booked: BTreeMap<u64, u32> = orders
            .working
            .iter()
            .flatten()
            .chain(&orders.ended)
            .flat_map(|own| own.trade_ids.iter().copied())
            .fold(BTreeMap::new(), |mut n, id| {
                *n.entry(id).or_insert(0) += 1;
                n
            });
        assert!(booked.values().all(|n| *n == 1), "seed {seed}: booked twice: {booked:?}");
        let signed = |fill: &crate::protocol::FillNews| fill.qty.0 * fill.side.sign();
        let sum: i64 = self
            .venue
            .fills()
            .iter()
            .filter(|fill| booked.contains_key(&fill.trade_id))
            .map(signed)
            .sum();
        // What others have closed is gone.
        let own = sum - self.taken;
        assert_eq!(state.strategies[0].scope.positions[0].qty.0, own, "seed {seed}");
        let halted = state.strategies[0].scope.state != TradingState::Active;
        assert!(!halted, "seed {seed}: more was filled than was known of");
    }

    fn rest(&mut self, n_steps: usize) {
        (0..n_steps).for_each(|_| self.step());
    }

    fn n_adopted(&self) -> usize {
        let is = |notice: &&GatewayNotice| matches!(notice, GatewayNotice::Adopted { .. });
        self.notices.iter().filter(is).count()
    }
}

fn limit(price: i64, qty: i64) -> OrderSpec {
    OrderSpec::limit(InstrumentId(0), Side::Buy, Price(price), Quantity(qty))
}

fn world(is_spot: bool) -> World {
    let options = GatewayOptions { foreign: ADOPT, ..GatewayOptions::default() };
    let mut world = World::with(11, is_spot, options);
    world.rest(20);
    world
}

#[test]
fn after_every_storm_among_strangers_the_books_agree() {
    let (mut n_adopted, mut n_restarts) = (0, 0);
    for seed in 0..1_000 {
        let (_, world) = storm(seed, 120, ADOPT);
        n_adopted += world.n_adopted();
        n_restarts += world.n_restarts;
    }
    assert!(n_adopted > 500 && n_restarts > 50, "{n_adopted} adopted, {n_restarts} restarts");
    println!("{n_adopted} adopted, {n_restarts} restarts");
}

/// An order of other origin is in the engine's table and its exposures, is filled, survives a restart,
/// and goes with the rest when everything is killed.
#[test]
fn an_adopted_order_is_like_one_of_ours() {
    for is_spot in [true, false] {
        let mut world = world(is_spot);
        let number = world.venue.place_foreign(limit(90, 9), world.now);
        // Before it is ours, and so in what the account holds.
        world.venue.fill_foreign(number, Quantity(2), world.now);
        world.rest(300);
        let own = world.adopted(number).unwrap();
        assert_eq!((own.spec.qty, own.filled), (Quantity(9), Quantity(2)), "{own:?}");
        let state = world.engine.state();
        assert_eq!(state.scope.exposures[0].open_buys, Quantity(7));
        assert_eq!(state.strategies[0].scope.positions[0].qty, Quantity(0));
        world.venue.fill_foreign(number, Quantity(3), world.now);
        world.rest(20);
        world.restart();
        world.handle(&Event::Command(Command::Start(StrategyId(0))));
        world.rest(500);
        assert_eq!(world.n_adopted(), 1, "it is known again");
        world.venue.fill_foreign(number, Quantity(1), world.now);
        world.rest(20);
        assert_eq!(world.adopted(number).unwrap().filled, Quantity(6));
        world.check(0);
        assert_eq!(world.engine.state().strategies[0].scope.positions[0].qty, Quantity(4));
        world.handle(&Event::Command(Command::Kill(Scope::Engine)));
        world.flush();
        world.rest(20);
        assert!(world.venue.open().is_empty());
        assert!(!world.adopted(number).unwrap().is_working());
    }
}

#[test]
fn an_order_that_comes_after_a_kill_is_withdrawn_at_once() {
    let mut world = world(false);
    world.handle(&Event::Command(Command::Kill(Scope::Engine)));
    world.venue.place_foreign(limit(90, 9), world.now);
    world.rest(300);
    assert!(world.venue.open().is_empty());
}

/// Whoever placed it may still change and withdraw it.
#[test]
fn what_its_owner_makes_of_it_is_followed() {
    let mut world = world(false);
    let number = world.venue.place_foreign(limit(90, 9), world.now);
    world.rest(300);
    for _ in 0..20 {
        world.venue.meddle(world.now);
        world.rest(5);
        world.check(0);
    }
    assert!(!world.adopted(number).unwrap().is_working(), "it was withdrawn by and by");
}

#[test]
fn left_alone_it_is_none_of_ours() {
    let mut world = World::new(11, ReplaceStyle::Amend, true);
    world.rest(20);
    let number = world.venue.place_foreign(limit(90, 9), world.now);
    world.rest(600);
    assert!(world.adopted(number).is_none());
    let told = |notice: &GatewayNotice| matches!(notice, GatewayNotice::Foreign { n_orders: 1 });
    assert!(world.notices.iter().any(told), "{:?}", world.notices);
    world.handle(&Event::Command(Command::Kill(Scope::Engine)));
    world.flush();
    world.rest(100);
    assert_eq!(world.venue.open().len(), 1);
}

/// What trails its trigger has no price, and one without a number could not be found again.
#[test]
fn what_could_not_be_followed_is_left_alone() {
    let mut world = world(true);
    let mut odd = limit(90, 9);
    odd.kind = OrderKind::Market;
    let number = world.venue.place_foreign(odd, world.now);
    world.rest(600);
    assert!(world.adopted(number).is_none());
}
