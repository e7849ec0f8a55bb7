//! Engine, adapters, network and exchange in one thread and one time.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use tercel_adapters::binance::{Binance, Product};
use tercel_adapters::net::{
    Budget, CallFaults, Faults, Limiter, Link, LinkOptions, MarketDriver, MarketSetup,
    MemoryCallNet, MemoryCalls, MemoryNet, MemoryPeer, MemoryTransport, OffsetMeter,
};
use tercel_adapters::{
    AccountDriver, AccountSetup, Call, CallId, ClientIds, ClockOffset, Credentials, Environment,
    Gateway, GatewayNotice, GatewayOptions, Listing, OrderEntry, Topic, TopicKind, Venue,
};
use tercel_core::{
    AccountId, BookState, Command, Effect, Engine, EngineConfig, Event, Instrument, InstrumentId,
    Intent, Nanos, OrderKind, OrderSpec, Price, Quantity, Seq, Side, StrategyId, TimeInForce,
    VenueId,
};
use tercel_exchange::dialect::{ConnId, Frame, Payload};
use tercel_exchange::http::Request;
use tercel_exchange::{Answer, Setup, Site};
use tercel_testkit::{Random, Strings, engine_config};

use super::seen::Seen;
use super::truth::Truth;

pub(super) struct World {
    pub(super) now: Nanos,
    pub(super) site: Site,
    pub(super) engine: Engine,
    pub(super) instrument: Instrument,
    pub(super) assets: Vec<String>,
    pub(super) product: Product,
    pub(super) account: AccountDriver<MemoryTransport, MemoryCalls>,
    /// What the account may use of the venue's budgets.
    pub(super) budget: Budget,
    /// What people were told.
    pub(super) notices: Vec<GatewayNotice>,
    seed: u64,
    truth: Truth,
    seen: Seen,
    market: MarketDriver<MemoryTransport, MemoryCalls>,
    net: MemoryNet,
    calls: MemoryCallNet,
    peers: BTreeMap<ConnId, MemoryPeer>,
    frames: Vec<Frame>,
    strings: Strings,
    random: Random,
    seq: u64,
    is_started: bool,
}

const BASE: &str = "http://box";

/// The exchange tells changes of books on multiples of this.
const BEAT_NS: i64 = 50 * Nanos::MILLI;

/// How long it takes at most until everything is known.
const PATIENCE_NS: i64 = 1_200 * Nanos::SECOND;

impl World {
    pub(super) fn new(seed: u64, product: Product) -> Self {
        Self::comparing_every(5 * Nanos::SECOND, seed, product)
    }

    /// Returns a world whose books are compared so often.
    pub(super) fn comparing_every(interval_ns: i64, seed: u64, product: Product) -> Self {
        let now = Nanos(1_780_000_000 * Nanos::SECOND);
        let symbols = vec!["BTCUSDT".to_owned()];
        // Half as much happens in the market as usual, so that there is time for twice as many storms.
        let setup = Setup { symbols, speed_e3: 500, ..Setup::new(now, seed) };
        let mut site = setup.binance().unwrap();
        let venue = venue_of(product);
        let (instrument, assets) = listing_of(&*venue, &mut site, now);
        let listing = Listing::new(VenueId(0), std::slice::from_ref(&instrument), &assets);
        let strings = Strings::default();
        let mut config =
            EngineConfig { assets: assets.clone(), ..engine_config(vec![instrument.clone()]) };
        config.accounts[0].balances.clear();
        let engine = Engine::new(&config, vec![strings.puppet()]).unwrap();
        let net = MemoryNet::new(seed ^ 1, Faults::NONE);
        let calls = MemoryCallNet::new(seed ^ 2, CallFaults::NONE);
        let limiter = Limiter::new(&venue.limits());
        let clock = ClockOffset::default();
        let own = net.clone();
        let dial = move || own.transport();
        let kinds = [TopicKind::Book, TopicKind::Trades];
        let topics = kinds.map(|kind| Topic { instrument: instrument.id, kind });
        let link = LinkOptions { seed, ..LinkOptions::default() };
        let market_setup = MarketSetup {
            listing: &listing,
            topics: &topics,
            budget: limiter.address(),
            clock: clock.clone(),
            link: LinkOptions { data_silence_ns: 5 * Nanos::SECOND, ..link },
            quiet_ns: 6 * Nanos::SECOND,
        };
        let market = MarketDriver::new(
            Arc::clone(&venue),
            &market_setup,
            calls.driver(limiter.address()),
            dial.clone(),
        );
        let entry = if seed % 3 == 2 { OrderEntry::Rest } else { OrderEntry::Fastest };
        let account_setup = AccountSetup {
            credentials: Credentials::new("demo", "demo"),
            ids: ClientIds::new("tc").unwrap(),
            clock: clock.clone(),
            entry,
        };
        let budget = limiter.account();
        let connections = venue.account(&listing, &account_setup).unwrap();
        let links = connections
            .into_iter()
            .map(|connection| Link::new(connection, link, budget.clone(), Box::new(dial.clone())))
            .collect();
        let options = GatewayOptions {
            replace: venue.replace_style(),
            has_positions: product == Product::UsdMargined,
            reconcile_interval_ns: interval_ns,
            ..GatewayOptions::default()
        };
        let gateway = Gateway::new(AccountId(0), listing, options, &engine.snapshot(), now);
        let account = AccountDriver::new(gateway, links, calls.driver(budget.clone()))
            .following_time(venue, OffsetMeter::new(clock))
            .sparing(budget.clone());
        let mut world = Self {
            now,
            site,
            engine,
            instrument,
            assets,
            product,
            account,
            budget,
            notices: Vec::new(),
            seed,
            truth: Truth::new(exchange_of(product)),
            seen: Seen { n_storms: 1, ..Seen::default() },
            market,
            net,
            calls,
            peers: BTreeMap::new(),
            frames: Vec::new(),
            strings,
            random: Random::new(seed ^ 3),
            seq: 0,
            is_started: false,
        };
        // Nobody looks at the other product's market: it need not move.
        for other in ["spot", "usdm"].into_iter().filter(|name| *name != exchange_of(product)) {
            world.control("/control/market", &json!({"exchange": other, "running": false}));
        }
        world
    }

    /// Returns what has happened.
    pub(super) fn seen(&mut self) -> Seen {
        Seen {
            net: self.net.counts(),
            calls: self.calls.counts(),
            venue: self.site.faults_mut().counts(),
            n_looks: self.truth.n_looks,
            behind_ns_max: self.truth.behind_ns_max,
            ..self.seen.clone()
        }
    }

    /// Everything goes wrong from here on.
    pub(super) fn storm_on(&mut self) {
        // A connection loses, doubles and swaps nothing; it breaks, hangs, and is late.
        self.net.set_faults(Faults {
            drop_ppm: 0,
            duplicate_ppm: 0,
            reorder_ppm: 0,
            ..Faults::STORM
        });
        self.calls.set_faults(CallFaults::STORM);
        let faults = json!({
            "streams": {
                "drop_ppm": 20_000, "duplicate_ppm": 20_000, "reorder_ppm": 20_000,
                "delay_ms": 5, "jitter_ms": 200,
            },
            "requests": [
                {"match": "", "fate": "silence", "executes": true, "ppm": 15_000},
                {"match": "", "fate": "silence", "executes": false, "ppm": 15_000},
                {"match": "", "fate": "status", "status": 503, "executes": true, "ppm": 15_000},
                {"match": "", "fate": "status", "status": 500, "executes": false, "ppm": 15_000},
                {"match": "", "fate": "break", "executes": true, "ppm": 10_000},
                {"match": "", "fate": "break", "executes": false, "ppm": 10_000},
            ],
            "answer_delay_ms": 30,
            "clock_skew_ms": self.random.between(-700, 700),
        });
        self.site.faults_mut().set(&faults).unwrap();
    }

    /// Nothing goes wrong any more.
    pub(super) fn storm_off(&mut self) {
        self.net.set_faults(Faults::NONE);
        self.calls.set_faults(CallFaults::NONE);
        self.site.faults_mut().clear();
    }

    /// Trades at random for so many steps; now and then something drastic happens.
    pub(super) fn trade(&mut self, n_steps: usize) {
        for _ in 0..n_steps {
            self.step();
            let market = &self.engine.state().markets[0];
            self.truth.check(market, &self.instrument, self.now, self.seed);
            if self.random.chance(50) {
                self.wish();
            }
            match self.random.below(400) {
                0 => self.net.cut(self.now),
                1 => self.control("/control/disconnect", &json!({"only": "user"})),
                2 => self.control("/control/gap", &json!({"n": 1})),
                3 => self.control("/control/disconnect", &json!({"only": "market"})),
                _ => {}
            }
        }
    }

    /// Lets time pass until everything has been known for so long, and the venue's books were
    /// compared twice meanwhile: the account's stream may be dead without anybody's knowing.
    pub(super) fn settle(&mut self, calm_ns: i64) {
        let (seed, begun_at, mut quiet_since) = (self.seed, self.now, None);
        loop {
            self.step();
            let market = &self.engine.state().markets[0];
            self.truth.check(market, &self.instrument, self.now, self.seed);
            let is_quiet = self.account.gateway().is_online()
                && !self.account.is_busy()
                && market.book.state() == BookState::Live
                && self.is_started;
            let n_compared = self.seen.n_compared;
            let (since, n_before) = *quiet_since.get_or_insert((self.now, n_compared));
            if !is_quiet {
                quiet_since = None;
            } else if self.now.since(since) > calm_ns && n_compared >= n_before + 2 {
                break;
            }
            assert!(
                self.now.since(begun_at) < PATIENCE_NS,
                "seed {seed}: not settled, online: {}, book: {:?}, {:?}",
                self.account.gateway().is_online(),
                market.book.state(),
                self.account.gateway(),
            );
        }
        // The market stands still while books are compared, for less than is taken for silence.
        self.control("/control/market", &json!({"running": false}));
        for _ in 0..25 {
            self.step();
        }
    }

    pub(super) fn control(&mut self, path: &str, body: &serde_json::Value) {
        let request = Request::new("POST", path).with_body(&body.to_string());
        let Answer::Reply { response, .. } = self.site.handle_http(self.now, &request) else {
            panic!("a control call is always answered");
        };
        assert_eq!(response.status, 200, "{path}: {}", response.body);
        self.truth.note(&mut self.site, self.now);
    }

    pub(super) fn resume_market(&mut self) {
        let exchange = exchange_of(self.product);
        self.control("/control/market", &json!({"exchange": exchange, "running": true}));
    }

    /// Lets up to a tenth of a second pass.
    pub(super) fn step(&mut self) {
        let until = self.now.plus(self.random.between(5, 100) * Nanos::MILLI);
        // Changes of books are sent on these beats, so that each is seen as it was sent.
        while self.now < until {
            let beat = Nanos((self.now.0 / BEAT_NS + 1) * BEAT_NS);
            self.now = beat.min(until);
            self.site.advance(self.now);
            self.truth.note(&mut self.site, self.now);
        }
        self.serve();
        let now = self.now;
        let mut events = Vec::new();
        self.market.poll(&mut || now, &mut events);
        for event in events.drain(..) {
            self.handle(&event);
        }
        self.account.poll(&mut || now, &mut events);
        self.report(&mut events);
        let n_before = self.notices.len();
        self.account.notices(&mut self.notices);
        for notice in &self.notices[n_before..] {
            match notice {
                GatewayNotice::OutcomeUnknown { .. } => self.seen.n_unknown += 1,
                GatewayNotice::Settled { .. } => self.seen.n_settled += 1,
                GatewayNotice::Offline { .. } => self.seen.n_offline += 1,
                GatewayNotice::Reconciled { .. } => {
                    self.seen.n_compared += u64::from(self.is_started);
                    self.is_started = true;
                }
                // What a wallet has gained depends on the order of executions, and one that was lost
                // on the stream is found after later ones.
                GatewayNotice::HoldingDiffers { .. } if self.product == Product::UsdMargined => {}
                // What the account begins with is told apart; from then on it is our own sum.
                GatewayNotice::HoldingDiffers { .. }
                | GatewayNotice::PositionDiffers { .. }
                | GatewayNotice::ForeignFill { .. }
                | GatewayNotice::Foreign { .. }
                | GatewayNotice::Orphan { .. }
                | GatewayNotice::Vanished { .. } => {
                    panic!("seed {}: {:#?}", self.seed, self.notices);
                }
                _ => {}
            }
        }
        if self.is_started && self.seq > 0 && !self.engine.state().strategies[0].is_running {
            self.handle(&Event::Command(Command::Start(StrategyId(0))));
        }
        self.serve();
    }

    /// Carries frames and calls between network and exchange.
    fn serve(&mut self) {
        let now = self.now;
        while let Some(peer) = self.net.accept(now) {
            let address = peer.address();
            let path = &address[address.find("://").map_or(0, |at| at + 3)..];
            let target = path.find('/').map_or("/", |at| &path[at..]);
            match self.site.on_ws_open(now, &Request::new("GET", target)) {
                Ok(conn) => {
                    self.peers.insert(conn, peer);
                }
                Err(_) => peer.close(None, now),
            }
        }
        let mut gone = Vec::new();
        for (conn, peer) in &self.peers {
            while let Some(text) = peer.receive(now) {
                self.site.on_ws_text(now, *conn, std::str::from_utf8(&text).unwrap());
                self.truth.note(&mut self.site, now);
            }
            if !peer.is_open() {
                gone.push(*conn);
            }
        }
        for conn in gone {
            self.peers.remove(&conn);
            self.site.on_ws_close(conn);
        }
        let (site, truth) = (&mut self.site, &mut self.truth);
        self.calls.serve(now, |call| {
            let answered = answer(site, call, now);
            truth.note(site, now);
            answered
        });
        self.site.drain(now, &mut self.frames);
        for frame in self.frames.drain(..) {
            let Some(peer) = self.peers.get(&frame.conn) else { continue };
            match frame.payload {
                Payload::Text(text) => peer.send(text.as_bytes(), now),
                Payload::Ping(_) => {
                    peer.ping(now);
                    self.site.on_ws_pong(now, frame.conn);
                }
                Payload::Close(code) => peer.close(Some(code), now),
            }
        }
    }

    fn handle(&mut self, event: &Event) {
        let mut effects = Engine::effects();
        self.seq += 1;
        self.engine.handle(Seq(self.seq), self.now, event, &mut effects);
        let mut events = Vec::new();
        for effect in effects.as_slice() {
            match effect {
                Effect::Send(request) => {
                    if matches!(**request, tercel_core::OrderRequest::New { .. }) {
                        self.seen.n_orders += 1;
                    }
                    self.account.send(request, self.now, &mut events);
                }
                Effect::Resync(instrument) => {
                    self.seen.n_stale += 1;
                    self.market.resyncs().ask(*instrument);
                }
                _ => {}
            }
        }
        self.report(&mut events);
    }

    fn report(&mut self, events: &mut Vec<Event>) {
        for event in std::mem::take(events) {
            if let Event::Execution(report) = &event {
                match report.kind {
                    tercel_core::ReportKind::Fill(_) => self.seen.n_fills += 1,
                    tercel_core::ReportKind::Replaced { .. } => self.seen.n_replaced += 1,
                    tercel_core::ReportKind::Canceled => self.seen.n_canceled += 1,
                    tercel_core::ReportKind::Triggered => self.seen.n_triggered += 1,
                    _ => {}
                }
            }
            self.handle(&event);
        }
    }

    /// Returns a price that a stop of this side may wait for.
    fn beyond(&mut self, side: Side, price: Price) -> Price {
        Price(price.0 + side.sign() * self.random.between(20, 300))
    }

    fn wish(&mut self) {
        let state = self.engine.state();
        let Some(bid) = state.markets[0].book.best(Side::Buy) else { return };
        let working: Vec<_> = state.orders.all_working().map(|own| own.id).collect();
        let price = Price(bid.price.0 + self.random.between(-300, 300));
        // About 0.01 to 0.2 of the base asset: above the smallest notional.
        let step = self.instrument.quantity(rust_decimal::Decimal::new(1, 2)).unwrap();
        let qty = Quantity(step.0 * self.random.between(1, 20));
        match self.random.below(10) {
            0..=4 if working.len() < 8 => {
                let side = if self.random.chance(50) { Side::Buy } else { Side::Sell };
                let mut spec = OrderSpec::limit(InstrumentId(0), side, price, qty);
                match self.random.below(8) {
                    0 => spec.tif = TimeInForce::Ioc,
                    1 => {
                        spec = OrderSpec { kind: OrderKind::Market, tif: TimeInForce::Ioc, ..spec }
                    }
                    2 => spec.post_only = true,
                    // A little on their side of the market, so that some of them fire.
                    3 => spec.kind = OrderKind::Stop { trigger: self.beyond(side, bid.price) },
                    4 => {
                        let trigger = self.beyond(side, bid.price);
                        spec.kind = OrderKind::StopLimit { trigger, price: trigger };
                    }
                    _ => {}
                }
                self.strings.place(spec);
            }
            5..=6 if !working.is_empty() => {
                let id = working[self.random.index(working.len())];
                self.strings.give(Intent::Replace { id, price, qty });
            }
            7..=8 if !working.is_empty() => {
                let id = working[self.random.index(working.len())];
                self.strings.give(Intent::Cancel { id });
            }
            _ => {}
        }
        self.handle(&Event::Signal(Arc::new(tercel_core::Signal {
            strategy: StrategyId(0),
            name: "wish".to_owned(),
            text: String::new(),
        })));
    }
}

/// Returns what the exchange calls a product.
pub(super) const fn exchange_of(product: Product) -> &'static str {
    match product {
        Product::Spot => "spot",
        Product::UsdMargined => "usdm",
    }
}

fn venue_of(product: Product) -> Arc<dyn Venue> {
    let environment = Environment::Custom {
        rest: BASE.to_owned(),
        streams: BASE.replace("http", "ws"),
        private: BASE.replace("http", "ws"),
    };
    Arc::new(Binance::new(product, &environment))
}

/// Asks the exchange for its instruments, as a client does.
fn listing_of(venue: &dyn Venue, site: &mut Site, now: Nanos) -> (Instrument, Vec<String>) {
    let (status, body) = answer(site, &venue.instruments(CallId(1)), now);
    assert_eq!(status, 200);
    let listed = venue.parse_instruments(&body).unwrap();
    let own = listed.instruments.iter().find(|own| own.symbol == "BTCUSDT").unwrap();
    let assets = ["BTC", "USDT", "BNB"].map(str::to_owned).to_vec();
    let spec = own.spec(VenueId(0), tercel_core::AssetId(0), tercel_core::AssetId(1));
    (Instrument::new(InstrumentId(0), spec).unwrap(), assets)
}

/// Lets the exchange answer a call.
fn answer(site: &mut Site, call: &Call, now: Nanos) -> (u16, Vec<u8>) {
    let rest = &call.url[call.url.find("://").map_or(0, |at| at + 3)..];
    let target = rest.find('/').map_or("/", |at| &rest[at..]);
    let mut request = Request::new(call.method.as_str(), target)
        .with_body(std::str::from_utf8(&call.body).unwrap());
    for (name, value) in &call.headers {
        request = request.with_header(name, value);
    }
    match site.handle_http(now, &request).response() {
        Some(response) => (response.status, response.body.into_bytes()),
        // Nobody would ever answer; the nearest that a call in memory can be told.
        None => (504, Vec::new()),
    }
}
