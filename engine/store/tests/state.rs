//! States that random runs reach, to bytes and back: the same state, and one that goes on the same.
//!
//! Each run is named by its seed: `seed 17` in a failure is enough to see it again.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use tercel_core::{
    Bar, BarSpec, Command, Digest, Effect, Effects, Engine, EngineConfig, Event, InstrumentId,
    Intent, Intents, Interest, LinkEvent, LinkState, MarketData, MarketEvent, Nanos, Notional,
    OrderKind, OrderSpec, Price, Quantity, RiskLimits, Scope, Seq, SeriesConfig, SeriesId, Side,
    State, Strategy, StrategyEvent, StrategyFault, StrategyId, TimeInForce, Value, VenueId, View,
};
use tercel_store::state::{StateError, decode, encode};
use tercel_testkit::{
    Faults, Random, UnreliableVenue, account, engine_config, linear, spot, strategy,
};

const N_STRATEGIES: u16 = 3;

/// A strategy that keeps nothing to itself: all it does follows from what it is shown, all of which
/// it looks at. Two engines whose states differ anywhere part ways at its next call.
struct Gambler;

impl Strategy for Gambler {
    fn on_event(
        &mut self,
        event: &StrategyEvent<'_>,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyFault> {
        let mut random = Random::new(shown(event, view));
        let instrument = InstrumentId(u16::try_from(random.index(2)).unwrap());
        let own: Vec<_> = view.open_orders(instrument).map(|order| order.id).collect();
        let full = "below the limit of a call";
        let price = Price(random.between(90, 110));
        let qty = Quantity(random.between(1, 12));
        match (random.below(24), own.as_slice()) {
            (0..4, _) => {
                intents.place(order(&mut random, instrument, price, qty)).expect(full);
            }
            (4, [.., id]) => intents.push(Intent::Replace { id: *id, price, qty }).expect(full),
            (5, [id, ..]) => intents.push(Intent::Cancel { id: *id }).expect(full),
            (6, [_, _, _, ..]) => {
                intents.push(Intent::CancelAll { instrument: Some(instrument) }).expect(full);
            }
            (7, _) => {
                let name = format!("t{}", random.below(3)).into();
                let at = view.now().plus(random.between(0, 5 * Nanos::SECOND));
                let every_ns = random.chance(50).then_some(Nanos::SECOND);
                intents.push(Intent::SetTimer { name, at, every_ns }).expect(full);
            }
            (8, _) => {
                let key = format!("k{}", random.below(5)).into();
                let value = match random.below(5) {
                    0 => Value::Nil,
                    1 => Value::Bool(random.chance(50)),
                    2 => Value::Integer(random.between(-9, 9)),
                    3 => Value::Float(random.bits()),
                    _ => Value::Text("漢".repeat(random.index(4))),
                };
                intents.push(Intent::Remember { key, value }).expect(full);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Returns a digest of all that a strategy is shown.
fn shown(event: &StrategyEvent<'_>, view: &View<'_>) -> u64 {
    let mut digest = Digest::new();
    if let StrategyEvent::Level { price, qty, .. } = event {
        // Nothing else has changed, and there are many of them.
        digest.i64(price.0);
        digest.i64(qty.0 ^ view.now().0);
        return digest.value();
    }
    digest.bytes(format!("{event:?} {:?} {:?}", view.now(), view.trading_state()).as_bytes());
    for id in view.instruments() {
        let (position, orders) = (view.position(*id), view.open_orders(*id));
        let orders: Vec<_> = orders.collect();
        let trade = view.last_trade(*id);
        let market = (view.best(*id, Side::Buy), view.is_live(*id), view.reference(*id), trade);
        digest.bytes(format!("{position:?} {orders:?} {market:?}").as_bytes());
    }
    for id in view.all_series() {
        let series = view.series(*id);
        let bars: Vec<_> = (0..series.len()).map(|back| series.get(back)).collect();
        digest.bytes(format!("{bars:?} {:?}", series.deadline()).as_bytes());
    }
    let memory: Vec<_> = view.memory().collect();
    digest.bytes(format!("{memory:?} {:?} {:?}", view.equity(), view.pnl()).as_bytes());
    digest.value()
}

fn order(random: &mut Random, instrument: InstrumentId, price: Price, qty: Quantity) -> OrderSpec {
    let kind = match random.below(8) {
        0 => OrderKind::Market,
        1 => OrderKind::Stop { trigger: price },
        2 => OrderKind::StopLimit { trigger: price, price },
        _ => OrderKind::Limit { price },
    };
    let tif = match random.below(4) {
        0 => TimeInForce::Ioc,
        1 => TimeInForce::Gtd(Nanos(random.between(0, 99) * Nanos::SECOND)),
        _ => TimeInForce::Gtc,
    };
    OrderSpec {
        instrument,
        side: if random.chance(50) { Side::Buy } else { Side::Sell },
        kind,
        qty,
        tif,
        post_only: random.chance(20),
        reduce_only: random.chance(10),
    }
}

/// An engine, and after some of its steps others that went on from its bytes then.
struct Run {
    engines: Vec<Engine>,
    venue: UnreliableVenue,
    random: Random,
    seq: u64,
    now: i64,
}

impl Run {
    fn new(seed: u64) -> Self {
        let engine = Engine::new(&config(seed), gamblers()).unwrap();
        let faults = Faults { lost: 3, duplicated: 20, reordered: 30 };
        let mut run = Self {
            engines: vec![engine],
            venue: UnreliableVenue::new(seed ^ 0x5eed, faults),
            random: Random::new(seed),
            seq: 0,
            now: 0,
        };
        (0..N_STRATEGIES).for_each(|id| run.command(Command::Start(StrategyId(id))));
        for id in [0, 1] {
            run.snapshot(id);
        }
        run
    }

    fn state(&self) -> &State {
        self.engines[0].state()
    }

    /// Lets another engine go on from the first one's bytes.
    fn fork(&mut self) {
        let bytes = encode(self.state());
        let restored = decode(&bytes).unwrap();
        assert_eq!(restored.hash(), self.state().hash(), "another state");
        assert_eq!(restored.image(), self.state().image(), "another image");
        assert_eq!(encode(&restored), bytes, "other bytes");
        self.engines.push(Engine::restore(restored, gamblers(), 64).unwrap());
    }

    fn handle(&mut self, event: &Event) {
        self.seq += 1;
        let (seq, now) = (Seq(self.seq), Nanos(self.now));
        let mut effects = Effects::with_capacity(64);
        let mut others = Effects::with_capacity(64);
        let (first, rest) = self.engines.split_first_mut().unwrap();
        first.handle(seq, now, event, &mut effects);
        for engine in rest {
            others.clear();
            engine.handle(seq, now, event, &mut others);
            assert_eq!(others.as_slice(), effects.as_slice(), "other effects of {event:?}");
            assert_eq!(engine.next_deadline(), first.next_deadline());
        }
        for effect in effects.as_slice() {
            if let Effect::Send(request) = effect {
                self.venue.send(request, now);
            }
        }
    }

    fn market(&mut self, id: u16, data: MarketData) {
        let at = Nanos(self.now);
        let instrument = InstrumentId(id);
        self.handle(&Event::Market(MarketEvent {
            venue_at: at,
            received_at: at,
            instrument,
            data,
        }));
    }

    fn command(&mut self, command: Command) {
        self.handle(&Event::Command(command));
    }

    fn snapshot(&mut self, id: u16) {
        let seq = self.seq;
        self.market(id, MarketData::Clear { seq });
        for n in 0..self.random.between(1, 40) {
            // Far levels as well: books keep them apart.
            let distance = n * n * n / 2;
            for (side, price) in [(Side::Buy, 99 - distance), (Side::Sell, 101 + distance)] {
                let qty = Quantity(self.random.between(1, 1_000));
                self.market(id, MarketData::Level { side, price: Price(price), qty, last: false });
            }
        }
        let bid =
            MarketData::Level { side: Side::Buy, price: Price(99), qty: Quantity(5), last: true };
        self.market(id, bid);
    }

    fn step(&mut self) {
        let id = u16::try_from(self.random.index(2)).unwrap();
        match self.random.below(32) {
            0..6 => self.change_level(id),
            6..11 => {
                let price = Price(self.random.between(97, 103));
                let qty = Quantity(self.random.between(1, 20));
                let id_of_trade = self.seq;
                let aggressor = self.random.chance(50).then_some(Side::Sell);
                self.market(id, MarketData::Trade { aggressor, price, qty, id: id_of_trade });
            }
            11..16 => self.venue.trade(Nanos(self.now)),
            16..24 => {
                if let Some(report) = self.venue.deliver() {
                    self.handle(&Event::Execution(report));
                }
            }
            24 => self.now_and_then(id),
            25 => {
                self.now += self.random.between(0, 3 * Nanos::SECOND);
                self.handle(&Event::Timer);
            }
            26 => self.snapshot(id),
            _ => self.now += self.random.between(0, Nanos::SECOND / 2),
        }
    }

    fn change_level(&mut self, id: u16) {
        let seq = self.seq;
        // Now and then differences got lost.
        let prev = if self.random.chance(5) { seq + 9 } else { 0 };
        self.market(id, MarketData::Batch { prev, seq });
        let side = if self.random.chance(50) { Side::Buy } else { Side::Sell };
        let crosses = self.random.chance(3);
        let price = Price(match side {
            Side::Buy => self.random.between(1, 99),
            Side::Sell => self.random.between(if crosses { 90 } else { 101 }, 9_000),
        });
        let qty = Quantity(self.random.between(0, 50));
        let last = self.random.chance(90);
        self.market(id, MarketData::Level { side, price, qty, last });
    }

    fn now_and_then(&mut self, id: u16) {
        let price = |random: &mut Random| Price(random.between(97, 103));
        match self.random.below(9) {
            0 => {
                let instrument = Some(InstrumentId(id));
                let state = LinkState::Gap;
                self.handle(&Event::Link(LinkEvent { venue: VenueId(0), instrument, state }));
            }
            1 => {
                let (bid_px, ask_px) = (price(&mut self.random), Price(104));
                let (bid_qty, ask_qty) = (Quantity(3), Quantity(4));
                let seq = self.seq + self.random.below(3);
                self.market(id, MarketData::Quote { bid_px, bid_qty, ask_px, ask_qty, seq });
            }
            2 => {
                let mark = price(&mut self.random);
                self.market(id, MarketData::Mark { mark, index: mark });
            }
            3 => self.market(id, MarketData::Funding { rate_e12: 100_000_000 }),
            4 => {
                let [open, high, low, close] = [100, 104, 96, 101].map(Price);
                let bar = Bar { open, high, low, close, volume: Quantity(9) };
                self.market(2, MarketData::Bar { interval_ms: 1_000, bar });
            }
            5 => self.command(Command::Kill(Scope::Strategy(StrategyId(id)))),
            6 => self.command(Command::Stop(StrategyId(id))),
            _ => {
                self.command(Command::Resume(Scope::Strategy(StrategyId(id))));
                self.command(Command::Start(StrategyId(id)));
            }
        }
    }
}

fn gamblers() -> Vec<Box<dyn Strategy>> {
    (0..N_STRATEGIES).map(|_| Box::new(Gambler) as Box<dyn Strategy>).collect()
}

fn config(seed: u64) -> EngineConfig {
    let first = if seed.is_multiple_of(2) { linear(0) } else { spot(0) };
    let mut config = engine_config(vec![first, linear(1), linear(2)]);
    let specs = [
        BarSpec::Time { interval_ms: 1_000 },
        BarSpec::Tick { trades: 3 },
        BarSpec::Volume { lots: 40 },
    ];
    config.series = (0..)
        .zip(specs)
        .flat_map(|(n, spec)| {
            let of = move |id| SeriesConfig { instrument: InstrumentId(id), spec, history: 2 + n };
            [of(0), of(2)]
        })
        .collect();
    config.accounts.push(account());
    config.strategies = vec![strategy(0, 2), strategy(0, 2), strategy(1, 2)];
    config.strategies[0].series = (0..6).map(SeriesId).collect();
    config.strategies[1].interest = Interest { book: true, level: true, trade: false };
    config.accounts[1].check_balance = true;
    config.accounts[1].limits.drawdown = Some(Notional(900 * Notional::ONE));
    config.limits = RiskLimits { orders_per_second: Some(20), ..RiskLimits::default() };
    // Few, so that ended orders make room for others.
    config.order_capacity = 40;
    config
}

#[test]
fn a_state_comes_back_from_its_bytes_and_goes_on_as_it_would_have() {
    let (mut n_orders, mut n_ended, mut n_timers, mut n_fills) = (0, 0, 0, 0);
    for seed in 0..20 {
        let outcome = std::panic::catch_unwind(|| {
            let mut run = Run::new(seed);
            run.fork();
            for n in 0..400 {
                run.step();
                if n % 180 == 179 {
                    run.fork();
                }
            }
            run.fork();
            run
        });
        let run = outcome.unwrap_or_else(|cause| {
            eprintln!("seed {seed} fails");
            std::panic::resume_unwind(cause)
        });
        for engine in &run.engines {
            assert_eq!(engine.state_hash(), run.engines[0].state_hash(), "seed {seed}");
            assert_eq!(engine.state().image(), run.state().image(), "seed {seed}");
        }
        let image = run.state().image();
        n_orders += image.orders.working.iter().map(Vec::len).sum::<usize>();
        n_ended += image.orders.ended.len();
        n_fills += image.orders.ended.iter().map(|order| order.trade_ids.len()).sum::<usize>();
        n_timers += image.strategies.iter().map(|strategy| strategy.timers.len()).sum::<usize>();
    }
    let counts = [n_orders, n_ended, n_fills, n_timers];
    assert!(counts.iter().all(|n| *n > 50), "there was something to bring back: {counts:?}");
}

/// Bytes of a state that has something of everything.
fn bytes() -> Vec<u8> {
    let mut run = Run::new(4);
    (0..600).for_each(|_| run.step());
    encode(run.state())
}

/// Puts the checksum right that stands before the body.
fn reseal(bytes: &mut [u8]) {
    let checksum = crc32fast::hash(&bytes[9..]);
    bytes[5..9].copy_from_slice(&checksum.to_le_bytes());
}

#[test]
fn truncated_bytes_are_refused_whatever_their_checksum() {
    let bytes = bytes();
    for len in 0..bytes.len() {
        let mut cut = bytes[..len].to_vec();
        assert!(decode(&cut).is_err(), "{len} of {} bytes", bytes.len());
        if len > 9 {
            reseal(&mut cut);
            assert!(matches!(decode(&cut), Err(StateError::Malformed(_))), "{len} bytes");
        }
    }
}

#[test]
fn a_flipped_bit_is_found_and_one_under_a_right_checksum_does_no_harm() {
    let good = bytes();
    let mut random = Random::new(7);
    let (mut n_decoded, mut n_contradictions) = (0, 0);
    for _ in 0..10_000 {
        let mut bytes = good.clone();
        let at = random.index(bytes.len());
        bytes[at] ^= 1 << random.below(8);
        assert!(decode(&bytes).is_err(), "byte {at}");
        // Up to two more bytes, and a checksum that fits.
        for _ in 0..random.index(3) {
            let at = 9 + random.index(bytes.len() - 9);
            bytes[at] = random.bits().to_le_bytes()[0];
        }
        reseal(&mut bytes);
        match decode(&bytes) {
            Ok(state) => {
                n_decoded += 1;
                let _ = state.hash();
                assert_eq!(encode(&state), bytes, "what decodes is what was encoded");
            }
            Err(StateError::Image(_)) => n_contradictions += 1,
            Err(_) => {}
        }
    }
    assert!(n_decoded > 1_000 && n_contradictions > 100, "{n_decoded}, {n_contradictions}");
}

#[test]
fn foreign_and_future_bytes_are_named() {
    let mut bytes = bytes();
    assert_eq!(decode(b"PAR1").unwrap_err(), StateError::Foreign);
    assert_eq!(decode(b"").unwrap_err(), StateError::Foreign);
    bytes[4] = 200;
    let told = decode(&bytes).unwrap_err().to_string();
    assert_eq!(told, "the state has version 200, this program reads version 4");
}
