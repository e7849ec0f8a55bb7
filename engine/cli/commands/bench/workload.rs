//! What is measured: events in memory, a strategy, and one backtest over them.

use std::path::{Path, PathBuf};
use std::time::Instant;

use rust_decimal::Decimal;
use tercel_core::{
    AccountId, Effect, Engine, Event, ExecutionReport, Instrument, InstrumentId, InstrumentSpec,
    Nanos, OrderRequest, Quantity, Seq, Side,
};
use tercel_script::{Language, Limits, Script, Source};
use tercel_sim::market::{SeededBars, SeededMarketConfig};
use tercel_sim::{Backtest, BacktestOptions, Observer, SimVenue};

use super::follower::Follower;
use crate::config::Config;
use crate::data::{DataOptions, MarketSource, blame};
use crate::exit::{Blame, Outcome};
use crate::paper_venue::venue_options;
use crate::plan::Plan;

/// Events in memory with what they are about.
pub(super) struct Workload {
    pub(super) name: String,
    is_ticks: bool,
    events: Vec<Event>,
    instruments: Vec<Instrument>,
    assets: Vec<String>,
}

/// Who trades.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(super) enum Variant {
    /// A compiled strategy.
    Native,
    /// A Luau script.
    Luau,
    /// A Rhai script.
    Rhai,
}

impl Variant {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Luau => "luau",
            Self::Rhai => "rhai",
        }
    }
}

/// What one run came to.
pub(super) struct Measured {
    pub(super) n_events: u64,
    pub(super) n_orders: u64,
    pub(super) n_buys: u64,
    pub(super) position: String,
    pub(super) net_profit: String,
    pub(super) fees: String,
    pub(super) cpu_s: f64,
    pub(super) wall_s: f64,
}

impl Measured {
    #[expect(clippy::cast_precision_loss, reason = "a rate is shown with three digits")]
    pub(super) fn rate(&self) -> f64 {
        self.n_events as f64 / self.cpu_s.max(1e-9)
    }
}

const N_TICKS: usize = 2_000_000;
const N_BARS: usize = 500_000;
const FOLLOWER_LUAU: &str = include_str!("../../../../bench/peers/tercel_follower.luau");
const FOLLOWER_RHAI: &str = include_str!("../../../../bench/peers/tercel_follower.rhai");
const CROSS_LUAU: &str = include_str!("../../../../scripts/lua/ema_cross.luau");
const CROSS_RHAI: &str = include_str!("../../../../scripts/rhai/ema_cross.rhai");

impl Workload {
    /// Two million events of the market that is made from a seed.
    pub(super) fn generated_ticks() -> Outcome<Self> {
        let mut market = MarketSource::seeded(1, 24 * 60)?;
        let mut events = Vec::with_capacity(N_TICKS + 8_192);
        while events.len() < N_TICKS && market.read_block(&mut events).map_err(blame)? > 0 {}
        events.truncate(N_TICKS);
        let (instruments, assets) = (market.instruments()?, market.assets());
        Ok(Self { name: "ticks".to_owned(), is_ticks: true, events, instruments, assets })
    }

    /// Half a million one-minute bars made from a seed.
    pub(super) fn generated_bars() -> Outcome<Self> {
        let minutes = i64::try_from(N_BARS).unwrap_or(i64::MAX);
        let config = SeededMarketConfig {
            duration_ns: minutes * Nanos::MINUTE,
            ..SeededMarketConfig::default()
        };
        let mut bars = SeededBars::new(config).or_input()?;
        let mut events = Vec::with_capacity(N_BARS);
        while bars.read_block(8_192, &mut events) > 0 {}
        let spec: InstrumentSpec = SeededMarketConfig::btcusdt();
        let instruments = vec![Instrument::new(InstrumentId(0), spec).or_machine()?];
        let assets = vec!["BTC".to_owned(), "USDT".to_owned()];
        Ok(Self { name: "bars".to_owned(), is_ticks: false, events, instruments, assets })
    }

    /// All events of files.
    pub(super) fn of_files(paths: &[PathBuf], options: &DataOptions) -> Outcome<Self> {
        let mut reader = options.open(paths)?;
        let mut events = Vec::new();
        while reader.read_block(&mut events).map_err(blame)? > 0 {}
        let instruments = reader.metadata().instruments().map_err(blame)?;
        let assets = reader.metadata().assets.clone();
        let is_bar = |event: &Event| matches!(event, Event::Market(m) if matches!(m.data, tercel_core::MarketData::Bar { .. }));
        let is_ticks = !events.first().is_some_and(is_bar);
        let name = if is_ticks { "ticks" } else { "bars" };
        Ok(Self { name: name.to_owned(), is_ticks, events, instruments, assets })
    }

    /// The file of a workload that other engines run too.
    pub(super) fn of_peers(path: &Path, is_ticks: bool, options: &DataOptions) -> Outcome<Self> {
        // The generator's grid: all peers are told the same.
        let (tick, lot) = if is_ticks { ("0.1", "0.001") } else { ("0.01", "0.00000001") };
        let step = |text: &str| text.parse::<Decimal>().ok();
        let options = DataOptions { tick: step(tick), lot: step(lot), ..options.clone() };
        let workload = Self::of_files(&[path.to_owned()], &options)?;
        let name = if is_ticks { "ticks" } else { "bars" };
        Ok(Self { name: name.to_owned(), is_ticks, ..workload })
    }

    pub(super) const fn variants(&self) -> &'static [Variant] {
        if self.is_ticks {
            &[Variant::Native, Variant::Luau, Variant::Rhai]
        } else {
            &[Variant::Luau, Variant::Rhai]
        }
    }

    /// Runs one backtest over the events in memory.
    pub(super) fn measure(&self, variant: &Variant) -> Outcome<Measured> {
        // Blocks that fit the cache, as a tape's reader gives them; made before the clock starts,
        // and handed over as they are.
        const BLOCK: usize = 512;
        let mut blocks: Vec<_> = self.events.chunks(BLOCK).map(<[Event]>::to_vec).collect();
        let mut blocks = blocks.iter_mut();
        self.run(*variant, |out| {
            let Some(block) = blocks.next() else { return Ok(0) };
            let n_events = block.len();
            if out.is_empty() {
                std::mem::swap(out, block);
            } else {
                out.append(block);
            }
            Ok(n_events)
        })
    }

    /// Runs one backtest over the files themselves, as they are opened, read and decoded.
    pub(super) fn measure_stream(
        &self,
        variant: &Variant,
        paths: &[PathBuf],
        options: &DataOptions,
    ) -> Outcome<Measured> {
        let mut reader = None;
        self.run(*variant, |out| {
            // Opened at the first call: it belongs to what is measured.
            let reader = match &mut reader {
                Some(reader) => reader,
                none => none.insert(options.open(paths)?),
            };
            reader.read_block(out).map_err(blame)
        })
    }

    fn run(
        &self,
        variant: Variant,
        source: impl FnMut(&mut Vec<Event>) -> Outcome<usize>,
    ) -> Outcome<Measured> {
        let mut config = Config::default();
        config.account.quote = Decimal::from(100_000_000);
        let engine = self.engine(variant, &config)?;
        let venue = SimVenue::new(&self.instruments, venue_options(&config.venue)?).or_input()?;
        let mut test = Backtest::new(engine, venue, BacktestOptions::default());
        let mut counts = Counts::default();
        let (cpu, wall) = (cpu_seconds(), Instant::now());
        let summary = test.run(source, &mut counts)?;
        let wall_s = wall.elapsed().as_secs_f64();
        let cpu_s = cpu_seconds() - cpu;
        let state = test.engine().state();
        let instrument = &self.instruments[0];
        let position = &state.accounts[0].scope.positions[0];
        let profit = state.equity(AccountId(0)).to_decimal() - config.account.quote;
        Ok(Measured {
            n_events: summary.n_events,
            n_orders: counts.n_orders,
            n_buys: counts.n_buys,
            position: instrument.quantity_decimal(position.qty).to_string(),
            net_profit: profit.normalize().to_string(),
            fees: position.fees.to_decimal().normalize().to_string(),
            cpu_s,
            wall_s,
        })
    }

    fn engine(&self, variant: Variant, config: &Config) -> Outcome<Engine> {
        let (language, text) = match (self.is_ticks, variant) {
            (true, Variant::Rhai) => (Language::Rhai, FOLLOWER_RHAI),
            (true, _) => (Language::Luau, FOLLOWER_LUAU),
            (false, Variant::Rhai) => (Language::Rhai, CROSS_RHAI),
            (false, _) => (Language::Luau, CROSS_LUAU),
        };
        let file = format!("workload.{}", if language == Language::Rhai { "rhai" } else { "luau" });
        let source = Source { path: PathBuf::from(&file), file, language, text: text.to_owned() };
        let script = Script::check(source, &Limits::of(language)).or_machine()?;
        let plan = Plan::bound(script, self.instruments.clone(), self.assets.clone(), config)?;
        // 0.001 of the base, as every peer orders.
        let lots = self.instruments[0].quantity(Decimal::new(1, 3)).unwrap_or(Quantity(1));
        plan.engine(config, |scripted| match variant {
            Variant::Native => Box::new(Follower::new(lots)),
            Variant::Luau | Variant::Rhai => scripted,
        })
    }
}

#[derive(Default)]
struct Counts {
    n_orders: u64,
    n_buys: u64,
}

impl Observer for Counts {
    fn on_effects(&mut self, _seq: Seq, _now: Nanos, effects: &[Effect], _engine: &Engine) {
        for effect in effects {
            if let Effect::Send(request) = effect
                && let OrderRequest::New { spec, .. } = &**request
            {
                self.n_orders += 1;
                self.n_buys += u64::from(spec.side == Side::Buy);
            }
        }
    }

    fn on_report(&mut self, _now: Nanos, _report: &ExecutionReport, _engine: &Engine) {}

    fn on_sample(&mut self, _now: Nanos, _engine: &Engine) {}
}

/// Returns the CPU time of this thread in seconds.
#[expect(clippy::cast_precision_loss, reason = "seconds with nanoseconds fit a float")]
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
