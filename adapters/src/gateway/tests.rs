//! The gateway against a venue that keeps honest books and is reached badly.
//!
//! Requests get lost, arrive late or have their answers lost; news of the stream is lost, doubled and
//! delayed; the connection breaks. The engine is the real one. When the faults stop, the engine's
//! orders, fills, position and holdings have to equal the venue's, no form of an order may have been
//! placed twice, and none may have traded more than was ever approved for it.

mod adoption;
mod comparing;
mod forms;
mod lost;
mod namesakes;
mod neighbours;
mod script;
mod stops;
mod venue;

use std::collections::BTreeMap;

use tercel_core::{
    AssetId, Command, Effect, Engine, Event, Intent, MarketData, MarketEvent, Nanos, Notice,
    OrderKind, OrderRequest, OrderSpec, Price, Quantity, Seq, Side, StrategyId, TimeInForce,
};
use tercel_testkit::{Random, Strings, engine_config, level, linear, spot};

use self::venue::{Trouble, Venue};
use super::*;
use crate::protocol::Answer;

struct World {
    random: Random,
    engine: Engine,
    strings: Strings,
    gateway: Gateway,
    venue: Venue,
    now: Nanos,
    seq: u64,
    out: GatewayOut,
    requests: Vec<OrderRequest>,
    n_reports: u64,
    n_restarts: u64,
    timer_at: Nanos,
    notices: Vec<GatewayNotice>,
    /// What the engine has taken from the strategy because the account did not hold it any more.
    taken: i64,
}

impl World {
    fn new(seed: u64, replace: ReplaceStyle, is_spot: bool) -> Self {
        Self::with(seed, is_spot, GatewayOptions { replace, ..GatewayOptions::default() })
    }

    fn with(seed: u64, is_spot: bool, options: GatewayOptions) -> Self {
        let instrument = if is_spot { spot(0) } else { linear(0) };
        let instruments = vec![instrument];
        let config = engine_config(instruments.clone());
        let strings = Strings::default();
        let engine = Engine::new(&config, vec![strings.puppet()]).unwrap();
        let now = Nanos(1_000 * Nanos::SECOND);
        let listing = Listing::new(instruments[0].spec.venue, &instruments, &config.assets);
        let options = GatewayOptions { has_positions: !is_spot, ..options };
        let gateway = Gateway::new(AccountId(0), listing, options, &engine.snapshot(), now);
        let venue = Venue::new(seed, instruments[0].clone());
        let mut world = Self {
            random: Random::new(seed ^ 0xbeef),
            engine,
            strings,
            gateway,
            venue,
            now,
            seq: 0,
            out: GatewayOut::default(),
            requests: Vec::new(),
            n_reports: 0,
            n_restarts: 0,
            timer_at: now,
            notices: Vec::new(),
            taken: 0,
        };
        world.handle(&Event::Command(Command::Start(StrategyId(0))));
        world.handle(&Event::Market(MarketEvent {
            venue_at: now,
            received_at: now,
            instrument: InstrumentId(0),
            data: MarketData::Clear { seq: 0 },
        }));
        for (side, price) in [(Side::Buy, 99), (Side::Sell, 101)] {
            let event = level(0, world.now.0, side, price, 50);
            world.handle(&event);
        }
        world.venue.connect(world.now);
        world
    }

    /// Lets a third of a second or less pass.
    fn step(&mut self) {
        self.now = self.now.plus(self.random.between(1, 300) * Nanos::MILLI);
        self.venue.advance(self.now);
        while let Some(news) = self.venue.deliver(self.now) {
            self.gateway.news(&news, self.now, &mut self.out);
            self.flush();
        }
        if self.now >= self.timer_at.min(self.gateway.compares_at()) {
            self.timer_at = self.gateway.on_timer(self.now, &mut self.out);
            self.flush();
        }
    }

    fn handle(&mut self, event: &Event) {
        let mut effects = Engine::effects();
        self.seq += 1;
        self.engine.handle(Seq(self.seq), self.now, event, &mut effects);
        for effect in effects.as_slice() {
            match effect {
                Effect::Send(request) => self.requests.push(**request),
                Effect::Notice(Notice::PositionTaken { qty, .. }) => self.taken += qty.0,
                _ => {}
            }
        }
    }

    /// Carries everything that is under way between engine, gateway and venue.
    fn flush(&mut self) {
        loop {
            self.notices.append(&mut self.out.notices);
            for request in std::mem::take(&mut self.out.requests) {
                self.venue.request(&request, self.now);
                // Its answer may be due before anything else.
                self.timer_at = self.timer_at.min(self.now);
            }
            let events = std::mem::take(&mut self.out.events);
            for event in &events {
                self.n_reports += 1;
                self.handle(event);
            }
            let requests = std::mem::take(&mut self.requests);
            if requests.is_empty() && events.is_empty() {
                return;
            }
            for request in requests {
                self.gateway.send(&request, self.now, &mut self.out);
            }
            // What was asked may be due at once.
            self.timer_at = self.timer_at.min(self.now);
        }
    }

    fn wish(&mut self) {
        let working: Vec<_> = self.engine.state().orders.all_working().map(|own| own.id).collect();
        let price = Price(self.random.between(95, 105));
        let qty = Quantity(self.random.between(1, 9));
        match self.random.below(10) {
            0..=3 if working.len() < 12 => {
                let side = if self.random.chance(50) { Side::Buy } else { Side::Sell };
                let mut spec = OrderSpec::limit(InstrumentId(0), side, price, qty);
                match self.random.below(8) {
                    0 => spec.tif = TimeInForce::Ioc,
                    1 => spec.kind = OrderKind::Market,
                    2 => spec.post_only = true,
                    3 => spec.kind = OrderKind::Stop { trigger: price },
                    4 => spec.kind = OrderKind::StopLimit { trigger: price, price },
                    _ => {}
                }
                self.strings.place(spec);
            }
            4..=6 if !working.is_empty() => {
                let id = working[self.random.index(working.len())];
                self.strings.give(Intent::Replace { id, price, qty });
            }
            7..=8 if !working.is_empty() => {
                let id = working[self.random.index(working.len())];
                self.strings.give(Intent::Cancel { id });
            }
            _ => {}
        }
        let event = level(0, self.now.0, Side::Buy, 99, self.random.between(40, 60));
        self.handle(&event);
        self.flush();
    }

    /// The process dies and comes back with what the journal holds.
    fn restart(&mut self) {
        self.venue.breaks(self.now);
        let state = self.engine.snapshot();
        let config = engine_config(state.instruments.clone());
        let listing =
            Listing::new(state.instruments[0].spec.venue, &state.instruments, &config.assets);
        let options = self.gateway.options.clone();
        self.gateway = Gateway::new(AccountId(0), listing, options, &state, self.now);
        self.engine = Engine::restore(state, vec![self.strings.puppet()], 64).unwrap();
        self.timer_at = self.now;
        self.n_restarts += 1;
    }

    fn check(&self, seed: u64) {
        self.check_foreign(seed);
        let state = self.engine.state();
        let open: Vec<_> = self.venue.open().into_iter().filter(|own| !own.is_foreign()).collect();
        let working: BTreeMap<_, _> = state
            .orders
            .all_working()
            .filter(|own| own.id.adopted_number().is_none())
            .map(|own| (own.id, (own.spec.qty, own.filled)))
            .collect();
        let pending: Vec<_> = state
            .orders
            .all_working()
            .filter(|own| own.pending.is_any() || own.state == tercel_core::OrderState::Unknown)
            .collect();
        let tracked = pending.iter().map(|own| self.gateway.orders.get(&own.id));
        let tracked: Vec<_> = tracked.collect();
        assert!(pending.is_empty(), "seed {seed}: still not known: {pending:#?} {tracked:#?}");
        let theirs: BTreeMap<_, _> = open.iter().map(|own| (own.key.id, own.leaves())).collect();
        let ours: BTreeMap<_, _> =
            working.iter().map(|(id, (qty, filled))| (*id, Quantity(qty.0 - filled.0))).collect();
        assert_eq!(ours, theirs, "seed {seed}: open orders");
        for (id, filled) in self.venue.filled_by_order() {
            if let Some(order) = state.orders.get(id) {
                assert_eq!(order.filled, filled, "seed {seed}: fills of {id}");
                assert!(
                    filled <= order.qty_max,
                    "seed {seed}: {id} traded {filled:?} of {order:?}"
                );
            }
        }
        // On spot, what others trade changes what is held and no position of ours.
        if state.instruments[0].is_perpetual() || !self.venue.all().any(|own| own.is_foreign()) {
            let position = state.accounts[0].scope.positions[0].qty;
            assert_eq!(position, self.venue.position(), "seed {seed}: position");
        }
        for (asset, total) in self.venue.holdings() {
            let ours = state.accounts[0].balances[asset.index()].total.to_decimal();
            let gap = (ours - total).abs();
            assert!(
                gap <= rust_decimal::Decimal::new(1, 6),
                "seed {seed}: holding {asset}: {ours} and {total}"
            );
        }
        for (key, n) in self.venue.placements() {
            assert_eq!(n, 1, "seed {seed}: {key:?} was placed {n} times");
        }
        assert_eq!(self.gateway.n_orders().1, 0, "seed {seed}: doubts are left");
        let is_foreign =
            |notice: &&GatewayNotice| matches!(notice, GatewayNotice::ForeignFill { .. });
        let foreign: Vec<_> = self.notices.iter().filter(is_foreign).collect();
        let is_alone = !self.venue.all().any(|own| own.is_foreign());
        assert!(
            foreign.is_empty() || !is_alone,
            "seed {seed}: nobody else trades here: {foreign:?}"
        );
    }
}

/// Runs one seed; returns how often each trouble came.
fn storm(seed: u64, n_steps: usize, foreign: ForeignPolicy) -> (Trouble, World) {
    let style = [ReplaceStyle::Amend, ReplaceStyle::CancelReplace, ReplaceStyle::CancelThenPlace];
    let is_spot = seed.is_multiple_of(2);
    let replace = style[usize::try_from(seed % 3).unwrap()];
    let options = GatewayOptions { replace, foreign, ..GatewayOptions::default() };
    let mut world = World::with(seed, is_spot, options);
    // The first comparison, in quiet.
    for _ in 0..20 {
        world.step();
    }
    world.venue.trouble_on(true);
    for _ in 0..n_steps {
        world.step();
        if world.random.chance(60) {
            world.wish();
        }
        if world.random.chance(1) {
            world.restart();
        }
        if foreign != ForeignPolicy::Leave {
            world.meddle();
        }
    }
    world.venue.trouble_on(false);
    // Longest chain of waits: a lost answer, the window and its grace, pauses between questions, and
    // a comparison on the timer.
    for _ in 0..3_000 {
        world.step();
    }
    world.check(seed);
    (world.venue.fired, world)
}

#[test]
fn after_every_storm_the_books_agree() {
    let mut fired = Trouble::default();
    let (mut n_reports, mut n_unknown, mut n_settled, mut n_restarts) = (0, 0, 0, 0);
    for seed in 0..2_000 {
        let (own, world) = storm(seed, 120, ForeignPolicy::Leave);
        fired.add(&own);
        n_reports += world.n_reports;
        n_restarts += world.n_restarts;
        let count = |is: fn(&GatewayNotice) -> bool| world.notices.iter().filter(|n| is(n)).count();
        n_unknown += count(|n| matches!(n, GatewayNotice::OutcomeUnknown { .. }));
        n_settled += count(|n| matches!(n, GatewayNotice::Settled { .. }));
    }
    assert!(fired.all_fired(), "a trouble never came: {fired:?}");
    assert!(n_unknown > 100 && n_settled > 100, "{n_unknown} unknown, {n_settled} settled");
    assert!(n_restarts > 100, "{n_restarts} restarts");
    println!(
        "{fired:?}, {n_restarts} restarts, {n_reports} reports, {n_unknown} unknown, {n_settled} settled"
    );
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let run = |seed| {
        let (_, world) = storm(seed, 60, ForeignPolicy::Leave);
        (world.engine.state().hash(), world.n_reports, world.seq)
    };
    assert_eq!(run(7), run(7));
}

#[test]
fn a_difference_is_shown_and_adopted() {
    let mut world = World::new(1, ReplaceStyle::Amend, true);
    world.venue.deposit(AssetId(1), rust_decimal::Decimal::from(5));
    for _ in 0..20 {
        world.step();
    }
    let told = world.notices.iter().any(|notice| {
        matches!(notice, GatewayNotice::HoldingDiffers { asset: AssetId(1), adopted: true, .. })
    });
    assert!(told, "{:?}", world.notices);
    world.check(1);
}

/// What is not held is not in a spot account's list, and only what was listed was compared: an asset
/// that was withdrawn whole was never missed, and the engine went on selling it.
#[test]
fn an_asset_that_is_gone_is_missed() {
    let mut world = World::new(2, ReplaceStyle::Amend, true);
    let held = world.venue.holdings()[0].1;
    world.venue.deposit(AssetId(0), -held);
    for _ in 0..20 {
        world.step();
    }
    let told = world.notices.iter().any(|notice| {
        matches!(notice, GatewayNotice::HoldingDiffers { asset: AssetId(0), theirs, .. }
            if theirs.is_zero())
    });
    assert!(told, "{:?}", world.notices);
    world.check(2);
}

#[test]
fn an_order_of_an_earlier_process_that_nobody_recorded_is_withdrawn() {
    let mut world = World::new(3, ReplaceStyle::Amend, false);
    let key = OrderKey::first(ClientOrderId::new(9, 9));
    let spec = OrderSpec::limit(InstrumentId(0), Side::Buy, Price(90), Quantity(3));
    world.venue.request(
        &Tagged { id: RequestId(999_999), request: Request::Place { key, spec } },
        world.now,
    );
    for _ in 0..800 {
        world.step();
    }
    let told = world.notices.iter().any(|notice| {
        matches!(notice, GatewayNotice::Orphan { order, canceling: true, .. } if *order == key.id)
    });
    assert!(told, "{:?}", world.notices);
    assert!(world.venue.open().is_empty());
}

#[test]
fn no_such_order_is_believed_only_when_it_cannot_be_on_its_way() {
    let mut world = World::new(5, ReplaceStyle::Amend, false);
    for _ in 0..20 {
        world.step();
    }
    world.venue.lose_requests_for(100);
    world.strings.place(OrderSpec::limit(InstrumentId(0), Side::Buy, Price(90), Quantity(3)));
    let event = level(0, world.now.0, Side::Buy, 99, 41);
    world.handle(&event);
    world.flush();
    let sent_at = world.now;
    let options = GatewayOptions::default();
    let until = sent_at.plus(options.receive_window_ns + options.grace_ns);
    while world.now < until {
        assert_eq!(world.engine.state().orders.n_working(), 1, "given up too early");
        world.step();
        world.venue.lose_requests_for(0);
    }
    for _ in 0..200 {
        world.step();
    }
    assert_eq!(world.engine.state().orders.n_working(), 0);
}

#[test]
fn orders_without_a_stream_are_refused_at_once() {
    let mut world = World::new(5, ReplaceStyle::Amend, false);
    for _ in 0..20 {
        world.step();
    }
    world.gateway.news(&News::Offline, world.now, &mut world.out);
    world.flush();
    world.strings.place(OrderSpec::limit(InstrumentId(0), Side::Buy, Price(90), Quantity(3)));
    let event = level(0, world.now.0, Side::Buy, 99, 41);
    world.handle(&event);
    world.flush();
    assert_eq!(world.engine.state().orders.n_working(), 0);
    assert!(world.venue.placements().is_empty());
}

#[test]
fn an_answer_of_another_kind_is_survived() {
    let mut world = World::new(5, ReplaceStyle::Amend, false);
    for n in 1..40 {
        let news = News::Answered { request: RequestId(n), outcome: Ok(Answer::Done) };
        world.gateway.news(&news, world.now, &mut world.out);
        world.flush();
        world.step();
    }
}
