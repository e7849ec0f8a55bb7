//! The engines' threads: everything that must stay on one is built there.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tercel_core::{AccountId, Engine, Instrument, InstrumentId, Nanos, StrategyId};
use tercel_runtime::{
    BeginError, Clock, Control, Durable, Ending, EventLoop, Feed, FeedOptions, JournalRecorder,
    LoopOptions, MarketSource, Overflow, PaperPort, Parts, PinError, Port, RecorderOptions,
    ReplayClock, Shard, Shards, StartLine, Starter, Version, begin_run, placeholder,
};
use tercel_sim::SimVenue;
use tercel_store::Metadata;
use tercel_store::journal::{Journal, RunStart};
use tercel_store::market_tape::{MarketTape, MarketTapeOptions};
use tercel_store::runs::RunFolder;

use super::begin::{Beginning, Setup, machine};
use super::feed::{ServerFeed, SourcesOver};
use super::kept::Kept;
use super::live::{self, Exchange};
use super::notices::Notices;
use super::scripts::Slot;
use super::shared_losses::SharedLosses;
use super::{EngineOf, Server, now, timing};
use crate::exit::{Blame, Failure, Outcome};
use crate::logging;
use crate::server_config::ServerFile;
use crate::server_config::feed::FeedKind;
use crate::server_config::sections::{JournalModeName, Profile};
use crate::server_config::values::Pace;

/// Commands that wait for the engine at most.
const COMMANDS: usize = 1_024;

type Recorder = JournalRecorder<Option<MarketTape>>;

/// What one engine is started with.
pub(super) struct Start {
    pub(super) shard: Shard,
    pub(super) beginning: Beginning,
    pub(super) folder: RunFolder,
    /// The instruments whose market it follows.
    pub(super) followed: Vec<InstrumentId>,
    /// The venue, where market data comes from one.
    pub(super) exchange: Option<Exchange>,
}

/// Creates the runs' files and starts the engines' threads.
pub(super) fn start(
    file: &ServerFile,
    setup: &Setup,
    starts: Vec<Start>,
    kept: Kept,
    log: logging::Lost,
) -> Outcome<(Arc<Server>, Shards<Outcome<Ending>>, Starter)> {
    let config = &file.config;
    let n_engines = starts.len();
    let first = starts.first().ok_or_else(|| machine("there is no engine".to_owned()))?;
    let kept_in = first.folder.path.clone();
    let accounts = first.beginning.state.accounts.iter().map(|own| own.name.clone()).collect();
    let notices = Notices::default();
    let together = Arc::new(OnceLock::new());
    let is_over = SourcesOver::new(n_engines);
    let (mut engines, mut slots, mut threads) = (Vec::new(), Vec::new(), Vec::new());
    let mut places = StartLine::places(n_engines + 1).into_iter();
    let attendant = places.next().ok_or_else(|| machine("nobody is at the start".to_owned()))?;
    for (start, starter) in starts.into_iter().zip(places) {
        let index = start.shard.index;
        let versions = versions(setup, &start.shard);
        slots.extend(slots_of(file, setup, &start.shard, &versions, &kept));
        engines.push(EngineOf {
            run: start.folder.number,
            traded: start.shard.traded(),
            at_venue: start.exchange.iter().flat_map(Exchange::accounts_there).collect(),
            links: start.exchange.as_ref().map(Exchange::links).unwrap_or_default(),
        });
        let own_file = file.of_engine(index);
        let body = Body {
            recorder: recorder(&own_file, setup, &start.folder)?,
            venue: SimVenue::new(
                &setup.instruments,
                crate::paper_venue::venue_options(&config.venue)?,
            )
            .or_input()?,
            instruments: setup.instruments.clone(),
            assets: setup.assets.clone(),
            exchange: start.exchange,
            followed: start.followed,
            is_over: is_over.clone(),
            beginning: start.beginning,
            versions,
            intents_per_call: setup.intents_per_call,
            notices: notices.of_engine((n_engines > 1).then_some(index)),
            losses: SharedLosses::new(index, &together),
            starter,
            file: own_file,
        };
        let run = move |_: Shard, control, unpinned: Option<PinError>| {
            if let Some(why) = unpinned {
                tracing::warn!(%why, "the engine's thread has no core of its own");
            }
            body.run(control)
        };
        threads.push((start.shard, run));
    }
    slots.sort_by_key(|(id, _): &(StrategyId, Slot)| *id);
    let cores: Vec<_> = match config.run.profile {
        Profile::Pinned | Profile::Inline => {
            (0..n_engines).filter_map(|index| config.run.of_engine(index).engine_core).collect()
        }
        Profile::Shared => Vec::new(),
    };
    let shards = Shards::spawn(threads, config.run.deal.by(), &cores, COMMANDS).or_machine()?;
    // No engine trades before this: they wait for each other and for who attends to them.
    let _first = together.set(shards.handle().clone());
    let server = Arc::new(Server {
        engines,
        started: std::time::Instant::now(),
        data: config.run.data.clone(),
        shards: shards.handle().clone(),
        notices,
        instruments: setup.instruments.clone(),
        accounts,
        intents_per_call: setup.intents_per_call,
        script: config.script.clone(),
        shadow_events: config.reload.shadow_events,
        slots: Mutex::new(slots.into_iter().map(|(_, slot)| slot).collect()),
        kept: Mutex::new(kept),
        kept_in,
        feed_name: config.feed.kind.as_str().to_owned(),
        mode: config.run.mode.as_str(),
        has_tape: config.tape.enabled,
        log,
        is_over: false.into(),
    });
    Ok((server, shards, attendant))
}

/// Creates a run's journal and tape.
fn recorder(file: &ServerFile, setup: &Setup, folder: &RunFolder) -> Outcome<Recorder> {
    let options = file.config.journal.options();
    let begin = RunStart {
        run: folder.number,
        at: now(),
        config: file.source.record(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let path = folder.journal();
    let journal = Journal::create(&path, begin, options).or_machine()?;
    let reopen = move || Journal::open(&path, options);
    let tape = tape(file, setup, folder)?;
    JournalRecorder::new(journal, reopen, tape, recorder_options(file))
        .map_err(|failure| machine(failure.to_string()))
}

fn tape(file: &ServerFile, setup: &Setup, folder: &RunFolder) -> Outcome<Option<MarketTape>> {
    let section = &file.config.tape;
    if !section.enabled {
        return Ok(None);
    }
    let metadata = Metadata {
        assets: setup.assets.clone(),
        instruments: setup.instruments.iter().map(|own| own.spec.clone()).collect(),
    };
    let options = MarketTapeOptions {
        segment_bytes: section.segment_mb << 20,
        bytes_max: (section.keep_gb > 0).then_some(section.keep_gb << 30),
        age_max: (section.keep_days > 0)
            .then(|| Duration::from_secs(section.keep_days * 24 * 3_600)),
        patience: patience(file),
        ..MarketTapeOptions::default()
    };
    MarketTape::create(&folder.tape(), &metadata, options).map(Some).or_machine()
}

/// Returns how long the engine may wait for the disk to have room.
fn patience(file: &ServerFile) -> Duration {
    match file.config.feed.kind {
        FeedKind::Exchange => Duration::ZERO,
        FeedKind::Seeded | FeedKind::Tape => Duration::from_secs(file.config.journal.stall_s),
    }
}

fn recorder_options(file: &ServerFile) -> RecorderOptions {
    let section = &file.config.journal;
    RecorderOptions {
        durable: match section.mode {
            JournalModeName::Async => Durable::None,
            JournalModeName::Durable => Durable::All,
        },
        snapshot_entries: section.snapshot_every_entries,
        snapshot_interval: Duration::from_secs(section.snapshot_every_s),
        stall: Duration::from_secs(section.stall_s),
        patience: patience(file),
        ..RecorderOptions::default()
    }
}

/// Returns the first versions of an engine's strategies, by their ids there.
fn versions(setup: &Setup, shard: &Shard) -> Vec<Version> {
    let ids = (0..).map(StrategyId);
    ids.zip(&shard.strategies)
        .map(|(id, whole)| {
            let own = &setup.strategies[whole.index()];
            let instruments = own.instruments.iter().map(|instrument| instrument.id).collect();
            Version::of(id, own.script.clone(), own.params.clone(), instruments, own.seed)
                .wrapped(timing::timed)
        })
        .collect()
}

fn slots_of(
    file: &ServerFile,
    setup: &Setup,
    shard: &Shard,
    versions: &[Version],
    kept: &Kept,
) -> Vec<(StrategyId, Slot)> {
    let of_one = |(id, version): (&StrategyId, &Version)| {
        let (section, own) = (&file.config.strategies[id.index()], &setup.strategies[id.index()]);
        let slot = Slot {
            name: own.name.clone(),
            engine: shard.index,
            path: section.script.clone(),
            symbols: section.symbols.clone(),
            seed: own.seed,
            overrides: own
                .params
                .iter()
                .filter(|(name, _)| section.params.contains_key(*name) || kept.has(&own.name, name))
                .map(|(name, value)| (name.to_owned(), value.to_value()))
                .collect(),
            version: version.clone(),
            generation: 1,
            history: Vec::new(),
            is_refused: false,
            is_loading: false,
        };
        (*id, slot)
    };
    shard.strategies.iter().zip(versions).map(of_one).collect()
}

/// What the engine's thread is given.
pub(super) struct Body {
    pub(super) file: ServerFile,
    pub(super) instruments: Vec<Instrument>,
    pub(super) assets: Vec<String>,
    /// The venue, where market data comes from one, and the keys of the accounts whose orders go there.
    pub(super) exchange: Option<Exchange>,
    venue: SimVenue,
    /// The instruments whose market is followed.
    followed: Vec<InstrumentId>,
    is_over: SourcesOver,
    pub(super) beginning: Beginning,
    versions: Vec<Version>,
    intents_per_call: usize,
    recorder: Recorder,
    pub(super) notices: Notices,
    losses: SharedLosses,
    starter: Starter,
}

impl Body {
    fn run(mut self, control: Control) -> Outcome<Ending> {
        match self.exchange.take() {
            Some(exchange) => live::run(self, exchange, control),
            None => self.run_recorded(control),
        }
    }

    /// Runs on market data that is made or recorded, against a simulated venue.
    fn run_recorded(self, control: Control) -> Outcome<Ending> {
        let run = &self.file.config.run;
        let after = self.beginning.after.map(|(_, at)| at);
        let idle = run.idle_strategy();
        let clock = match self.file.config.feed.pace {
            Pace::PerMille(speed) => ReplayClock::paced(speed),
            Pace::Max => ReplayClock::unpaced(),
        };
        let (followed, is_over) = (self.followed.clone(), self.is_over.clone());
        if run.profile == Profile::Inline {
            let source = ServerFeed::open(&self.file, after, followed, is_over)
                .map_err(|e| machine(e.to_string()))?;
            let (body, port) = self.on_paper();
            return body.run_loop(clock, port, source, control);
        }
        let options = FeedOptions {
            capacity: run.ring_capacity,
            overflow: Overflow::Wait,
            idle,
            core: run.feed_core,
        };
        let file = self.file.clone();
        let open = move || ServerFeed::open(&file, after, followed, is_over);
        let (feed, source) = Feed::spawn(options, &control, open).or_machine()?;
        let (body, port) = self.on_paper();
        let ending = body.run_loop(clock, port, source, control)?;
        if let Some(why) = feed.join() {
            tracing::warn!(%why, "the feed's thread had no core of its own");
        }
        Ok(ending)
    }

    /// Takes the simulated venue as its port.
    pub(super) fn on_paper(self) -> (Loop, PaperPort) {
        let lost = lost_orders(&self.beginning);
        let Self {
            file,
            mut venue,
            beginning,
            versions,
            intents_per_call,
            recorder,
            notices,
            losses,
            starter,
            ..
        } = self;
        // The venue of this process holds what the account does, or it would refuse to reduce it.
        for (account, id) in beginning.state.accounts.iter().zip((0..).map(AccountId)) {
            for (position, instrument) in
                account.scope.positions.iter().zip((0..).map(InstrumentId))
            {
                venue.set_position(id, instrument, position.qty);
            }
        }
        let port = PaperPort::new(venue).forgetting(lost);
        let own = Loop {
            file,
            beginning,
            versions,
            intents_per_call,
            recorder,
            notices,
            losses,
            starter,
        };
        (own, port)
    }

    /// Has another port.
    pub(super) fn elsewhere(self) -> Loop {
        let Self {
            file,
            beginning,
            versions,
            intents_per_call,
            recorder,
            notices,
            losses,
            starter,
            ..
        } = self;
        Loop { file, beginning, versions, intents_per_call, recorder, notices, losses, starter }
    }
}

/// What a loop is made of beside its clock, its port and its source.
pub(super) struct Loop {
    file: ServerFile,
    beginning: Beginning,
    versions: Vec<Version>,
    intents_per_call: usize,
    recorder: Recorder,
    notices: Notices,
    losses: SharedLosses,
    starter: Starter,
}

impl Loop {
    pub(super) fn run_loop<C: Clock, P: Port, S: MarketSource>(
        self,
        clock: C,
        port: P,
        source: S,
        control: Control,
    ) -> Outcome<Ending> {
        let Self {
            file,
            beginning,
            versions,
            intents_per_call,
            mut recorder,
            notices,
            losses,
            starter,
        } = self;
        let at = began_at(&beginning);
        let nobody = beginning.state.strategies.iter().map(|_| placeholder()).collect();
        let mut engine = Engine::restore(beginning.state, nobody, intents_per_call).or_machine()?;
        begin_run(&mut engine, at, &versions, &mut recorder).map_err(|error| match error {
            BeginError::Version(error) => Failure::Input(error.into()),
            BeginError::Record(failure) => machine(failure.to_string()),
        })?;
        // What each of them begins with is durable before any of them does anything: a start that is cut
        // off is done by all or by none.
        starter.wait().or_machine()?;
        let config = &file.config;
        let options = LoopOptions {
            events_per_cycle: config.run.events_per_cycle,
            idle: config.run.idle_strategy(),
            ..LoopOptions::default()
        };
        let observer = losses.over(notices);
        let parts = Parts { engine, clock, port, recorder, observer, sources: vec![source] };
        let mut event_loop = EventLoop::new(parts, control, options);
        Ok(event_loop.run())
    }
}

/// Returns the engine's time at the beginning.
fn began_at(beginning: &Beginning) -> Nanos {
    beginning.after.map_or(Nanos(0), |(_, at)| at)
}

/// Returns what a simulated venue has to say of the orders of an earlier process: they ended with it.
fn lost_orders(beginning: &Beginning) -> Vec<tercel_core::ExecutionReport> {
    let at = began_at(beginning);
    let mut orders: Vec<_> = beginning.state.orders.all_working().collect();
    orders.sort_unstable_by_key(|order| order.id);
    orders
        .into_iter()
        .map(|order| tercel_core::ExecutionReport {
            order: order.id,
            account: order.account,
            instrument: order.spec.instrument,
            venue_at: at,
            received_at: at,
            kind: tercel_core::ReportKind::Canceled,
        })
        .collect()
}
