//! The engine's side of the measurement: the parts of a live server, put together as in one.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rust_decimal::Decimal;
use tercel_adapters::binance::{Binance, Product};
use tercel_adapters::net::{
    BusySocket, Limiter, Link, LinkOptions, MarketDriver, MarketSetup, Tls, TokioSocket, Transport,
};
use tercel_adapters::{
    AccountDriver, AccountSetup, Accounts, ClientIds, ClockOffset, Credentials, Environment,
    Gateway, GatewayOptions, Listing, OrderEntry, Topic, TopicKind, Venue,
};
use tercel_core::{
    AccountId, Engine, Instrument, InstrumentId, InstrumentKind, InstrumentSpec, State, VenueId,
};
use tercel_runtime::live::{AccountThread, LivePort, LiveSource, SharedFeed};
use tercel_runtime::{
    Clock, Control, EngineThread, EventLoop, Feed, FeedOptions, Handle, IdleStrategy,
    JournalRecorder, LoopOptions, MarketSource, Overflow, Parts, Port, Recorder, UtcClock, control,
};
use tercel_script::{Language, Limits, Script, Source};

use super::probe::{Carries, Probe, Watched, WatchedPort, WatchedStrategy};
use super::{Plan, ProfileName};
use crate::config::Config;
use crate::exit::{Blame, Outcome};
use crate::plan;

/// Orders when a message asks for it by its quantity, which the order repeats.
const SCRIPT: &str = r#"
strategy { name = "answer", doc = "Rests a bid when a quantity of nine or more is seen." }

function on_trade(price: number, qty: number, side: number, time: number)
    if qty >= 9 then buy(qty, 59990, "post_only") end
end

function on_book(bid: number, bid_qty: number, ask: number, ask_qty: number)
    if bid_qty >= 9 then buy(bid_qty, 59990, "post_only") end
end
"#;

/// Events that the ring between a feed and the engine holds: an engine that falls behind is late,
/// and counted as late.
const RING: usize = 1 << 16;

/// A running engine.
#[derive(Debug)]
pub(super) struct Trader {
    handle: Handle,
    thread: EngineThread<Outcome<Option<String>>>,
}

impl Trader {
    /// Starts an engine that trades at these addresses of streams and of the WebSocket API.
    pub(super) fn start(
        plan: Plan,
        addresses: (SocketAddr, SocketAddr),
        recorder: Option<JournalRecorder>,
        probe: Option<Arc<Probe>>,
    ) -> Outcome<Self> {
        let (handle, control) = control(16);
        // A thread that sleeps is woken wherever there is room.
        let core = (plan.profile != ProfileName::Shared).then_some(plan.engine_core);
        let thread = EngineThread::spawn(core, move |_| {
            let desk = Desk::new(plan, addresses, probe)?;
            match recorder {
                Some(recorder) => desk.run(recorder, control),
                None => desk.run((), control),
            }
        })
        .or_machine()?;
        Ok(Self { handle, thread })
    }

    /// Ends it. Returns why not all of it was recorded, if so.
    pub(super) fn stop(self) -> Outcome<Option<String>> {
        self.handle.stop();
        self.thread.join()
    }
}

/// What a venue and an account take.
struct Desk {
    plan: Plan,
    venue: Arc<dyn Venue>,
    listing: Listing,
    limiter: Limiter,
    engine: Engine,
    probe: Option<Arc<Probe>>,
}

impl Desk {
    fn new(
        plan: Plan,
        (streams, api): (SocketAddr, SocketAddr),
        probe: Option<Arc<Probe>>,
    ) -> Outcome<Self> {
        let environment = Environment::Custom {
            rest: format!("http://{api}"),
            streams: format!("ws://{streams}"),
            private: format!("ws://{api}"),
        };
        let mut spec = InstrumentSpec::linear("BTCUSDT", "0.01", "0.00001");
        spec.kind = InstrumentKind::Spot;
        let instruments = vec![Instrument::new(InstrumentId(0), spec).or_machine()?];
        let assets = vec!["BTC".to_owned(), "USDT".to_owned()];
        let listing = Listing::new(VenueId(0), &instruments, &assets);
        let mut config = Config::default();
        config.account.quote = Decimal::from(100_000_000);
        let source = Source {
            path: PathBuf::from("answer.luau"),
            file: "answer.luau".to_owned(),
            language: Language::Luau,
            text: SCRIPT.to_owned(),
        };
        let script = Script::check(source, &Limits::of(Language::Luau)).or_machine()?;
        let watching = probe.clone();
        let engine = plan::Plan::bound(script, instruments, assets, &config)?.engine(
            &config,
            |strategy| match watching {
                Some(probe) => Box::new(WatchedStrategy::new(strategy, probe)),
                None => strategy,
            },
        )?;
        let venue = Arc::new(Binance::new(Product::Spot, &environment));
        // Nothing is rationed: what the venue grants is not what is measured.
        Ok(Self { plan, venue, listing, limiter: Limiter::new(&[]), engine, probe })
    }

    fn run<R: Recorder>(self, recorder: R, control: Control) -> Outcome<Option<String>> {
        let clock = UtcClock::system;
        let busy = |carries: Carries, probe: Option<Arc<Probe>>| {
            let tls = Tls::public();
            move || Watched::new(BusySocket::new(tls.clone()), carries, probe.clone())
        };
        let orders = busy(Carries::Orders, self.probe.clone());
        let market = busy(Carries::Market, self.probe.clone());
        match self.plan.profile {
            ProfileName::Inline => {
                let market = self.market(market);
                let resyncs = market.resyncs().clone();
                let account = self.account(self.engine.state(), orders)?;
                let port = LivePort::new(account, clock(), resyncs, Box::new(|_, _| ()));
                self.drive(recorder, port, LiveSource::new(market, clock()), control)
            }
            ProfileName::Pinned => {
                let market = self.market(market);
                let resyncs = market.resyncs().clone();
                let options = FeedOptions {
                    capacity: RING,
                    overflow: Overflow::Gap(vec![VenueId(0)]),
                    idle: IdleStrategy::BusySpin,
                    core: Some(self.plan.feed_core),
                };
                let build = move || Ok(LiveSource::new(market, UtcClock::system()));
                let (feed, source) = Feed::spawn(options, &control, build).or_machine()?;
                let account = self.account(self.engine.state(), orders)?;
                let port = LivePort::new(account, clock(), resyncs, Box::new(|_, _| ()));
                let failure = self.drive(recorder, port, source, control)?;
                let _ = feed.join();
                Ok(failure)
            }
            ProfileName::Shared => {
                let tls = Tls::public();
                let dial = move || TokioSocket::new(tls.clone());
                let market = self.market(dial.clone());
                let resyncs = market.resyncs().clone();
                let (feed, source) =
                    SharedFeed::spawn(RING, vec![VenueId(0)], &control, market, clock())
                        .or_machine()?;
                let account = self.account(self.engine.state(), dial)?;
                let (thread, port) = AccountThread::spawn(
                    move || account,
                    clock(),
                    &control,
                    resyncs,
                    Box::new(|_, _| ()),
                )
                .or_machine()?;
                let failure = self.drive(recorder, port, source, control)?;
                thread.join();
                feed.join();
                Ok(failure)
            }
        }
    }

    fn market<T: Transport>(
        &self,
        dial: impl Fn() -> T + Clone + Send + 'static,
    ) -> MarketDriver<T, super::calls::Answers> {
        let topic = |kind| Topic { instrument: InstrumentId(0), kind };
        let setup = MarketSetup {
            listing: &self.listing,
            topics: &[topic(TopicKind::Book), topic(TopicKind::Trades)],
            budget: self.limiter.address(),
            clock: ClockOffset::default(),
            link: LinkOptions::default(),
            quiet_ns: i64::MAX,
        };
        MarketDriver::new(Arc::clone(&self.venue), &setup, super::calls::Answers::default(), dial)
    }

    fn account<T: Transport>(
        &self,
        state: &State,
        dial: impl Fn() -> T + Clone + Send + 'static,
    ) -> Outcome<Accounts<T, super::calls::Answers>> {
        let setup = AccountSetup {
            credentials: Credentials::new("k".repeat(64), "s".repeat(64)),
            ids: ClientIds::new("tc").or_machine()?,
            clock: ClockOffset::default(),
            entry: OrderEntry::Fastest,
        };
        let budget = self.limiter.account();
        let mut links = Vec::new();
        for mut connection in self.venue.account(&self.listing, &setup).or_machine()? {
            // Nor is the number of messages a second.
            connection.manners.messages_per_s = 0;
            let options = LinkOptions::default();
            links.push(Link::new(connection, options, budget.clone(), Box::new(dial.clone())));
        }
        let options = GatewayOptions {
            replace: self.venue.replace_style(),
            reconcile_interval_ns: 0,
            ..GatewayOptions::default()
        };
        let now = UtcClock::system().now();
        let gateway = Gateway::new(AccountId(0), self.listing.clone(), options, state, now);
        let driver = AccountDriver::new(gateway, links, super::calls::Answers::default());
        Ok(Accounts::new([driver]))
    }

    fn drive<R: Recorder, P: Port, S: MarketSource>(
        self,
        recorder: R,
        port: P,
        source: S,
        control: Control,
    ) -> Outcome<Option<String>> {
        let idle = match self.plan.profile {
            ProfileName::Inline | ProfileName::Pinned => IdleStrategy::BusySpin,
            ProfileName::Shared => IdleStrategy::default(),
        };
        let parts = Parts {
            engine: self.engine,
            clock: UtcClock::system(),
            port: WatchedPort::new(port, self.probe),
            recorder,
            observer: (),
            sources: vec![source],
        };
        let drain = Duration::from_millis(200);
        let options = LoopOptions { idle, drain, ..LoopOptions::default() };
        let ending = EventLoop::new(parts, control, options).run();
        Ok(ending.record_failure.map(|failure| failure.to_string()))
    }
}
