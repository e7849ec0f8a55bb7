//! `tercel backtest`: a script over market data, through the real engine and a simulated venue.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use clap::Args as ClapArgs;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tercel_core::{
    AccountConfig, AccountId, Engine, EngineConfig, Instrument, InstrumentId, Nanos, Notional,
    RiskLimits, SeriesConfig, SeriesId, Strategy, StrategyConfig,
};
use tercel_script::{Binding, Language, ParamValues, Script, Source};
use tercel_sim::metrics::{Recorder, RecorderLimits, Recording};
use tercel_sim::{
    Backtest, BacktestOptions, BarOptions, EffectsHash, FeeModel, FeeTier, LatencyModel,
    LatencySample, QueueModel, SimVenue, Summary, VenueOptions,
};

use crate::commands::import::notes;
use crate::commands::{print, print_json};
use crate::config::{self, Config};
use crate::data::{DataOptions, MarketSource, blame};
use crate::exit::{Answer, Blame, Outcome, input};
use crate::progress::Progress;
use crate::report::{self, ReportInput};
use crate::script_log::ScriptLog;
use crate::timing::HookTimes;

/// Run a strategy over market data and report how it did.
///
/// Without --data, the market is made from a seed; without --script, the shipped market maker
/// trades it: `tercel backtest` alone needs nothing else.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  tercel backtest
  tercel backtest --script scripts/lua/ema_cross.luau --data bars.csv.gz --set fast=8 --report out.html
  tercel backtest --script my.luau --data btc.tape --from 2024-08-08T23:55 --json

Exit codes: 0 done, 1 the strategy failed on the way, 2 wrong input, 3 failure of the machine.")]
pub(crate) struct Args {
    /// The strategy; the shipped market maker without it.
    #[arg(long)]
    script: Option<PathBuf>,
    /// Market data of any known format; several files become one stream.
    #[arg(long, num_args = 1..)]
    data: Vec<PathBuf>,
    /// Sets a parameter of the script.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Configuration: account, limits, venue (TOML).
    #[arg(long)]
    config: Option<PathBuf>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    /// Show what the script logs, on standard error.
    #[arg(long)]
    log: bool,
    /// Write a self-contained HTML page.
    #[arg(long, value_name = "HTML")]
    report: Option<PathBuf>,
    /// Write every fill, as CSV or, by the name's ending, as Parquet.
    #[arg(long, value_name = "CSV|PARQUET")]
    trades: Option<PathBuf>,
    /// Write equity over time, as CSV or Parquet.
    #[arg(long, value_name = "CSV|PARQUET")]
    equity: Option<PathBuf>,
    /// Write every round trip, as CSV.
    #[arg(long, value_name = "CSV")]
    trips: Option<PathBuf>,
    /// Seed of the made market and of the script's random numbers.
    #[arg(long)]
    seed: Option<u64>,
    /// Length of the made market in minutes.
    #[arg(long, default_value_t = 240)]
    minutes: u32,
    #[command(flatten)]
    options: DataOptions,
}

/// The strategy that trades when none is named.
const SHIPPED: (&str, &str) =
    ("imbalance_maker.luau", include_str!("../../../scripts/lua/imbalance_maker.luau"));

pub(crate) fn run(args: &Args) -> Outcome {
    let config = Config::read(args.config.as_deref())?;
    let seed = args.seed.unwrap_or(config.run.seed);
    let script = load_script(args.script.as_deref(), &config)?;
    let overrides = args.set.iter().map(|text| assignment(text)).collect::<Outcome<Vec<_>>>()?;
    let mut market = if args.data.is_empty() {
        MarketSource::seeded(seed, args.minutes)?
    } else {
        args.options.open(&args.data).map(|reader| MarketSource::Files(Box::new(reader)))?
    };
    let plan = Plan::new(script, &overrides, &market, &config, seed)?;
    let times = HookTimes::new();
    // A report shows every call's latency; else a sample of them is enough, and cheaper.
    let every = if args.report.is_some() { 1 } else { SAMPLED };
    let engine = plan.engine(&config, |strategy| times.timed(strategy, every))?;
    let venue = SimVenue::new(&plan.instruments, venue_options(&config.venue)?).or_input()?;
    let mut limits = RecorderLimits::default();
    if args.trades.is_some() || args.trips.is_some() {
        // A file of every fill needs every fill; the page and the sums do with the first ones.
        limits.fills = usize::MAX;
    }
    let recorder = Recorder::new(limits, &engine);
    let options = BacktestOptions {
        sample_interval_ns: i64::from(config.run.sample_s.max(1)) * Nanos::SECOND,
    };
    let mut test = Backtest::new(engine, venue, options);
    let mut observer = (recorder, (EffectsHash::new(), ScriptLog::new(args.log)));
    let progress = Progress::begin("backtest", args.json);
    let begun = Instant::now();
    let summary = test
        .run(
            |events| {
                let n = market.read_block(events)?;
                progress.advance(n);
                Ok(n)
            },
            &mut observer,
        )
        .map_err(blame)?;
    let wall_s = begun.elapsed().as_secs_f64();
    progress.end();
    let (recorder, (effects_hash, log)) = observer;
    let recording = recorder.finish(test.engine());
    let n_hidden = log.n_hidden();
    let outcome =
        Run { plan, summary, recording, times, wall_s, effects_hash, test, market, n_hidden };
    outcome.write_files(args)?;
    if args.json {
        print_json(&outcome.to_json(args))?;
    } else {
        print(&outcome.to_text(args))?;
    }
    let failed = !outcome.recording.faults.is_empty();
    Ok(if failed { Answer::Negative } else { Answer::Good })
}

/// What is run, before it runs.
pub(crate) struct Plan {
    pub(crate) script: Script,
    params: ParamValues,
    pub(crate) instruments: Vec<Instrument>,
    traded: Vec<Instrument>,
    assets: Vec<String>,
    seed: u64,
}

impl Plan {
    /// Reads and binds a script to a market.
    pub(crate) fn new(
        script: Script,
        overrides: &[(&str, &str)],
        market: &MarketSource,
        config: &Config,
        seed: u64,
    ) -> Outcome<Self> {
        Self::over(script, overrides, market.instruments()?, market.assets(), config, seed)
    }

    /// Binds a script to a market of these instruments.
    pub(crate) fn over(
        script: Script,
        overrides: &[(&str, &str)],
        instruments: Vec<Instrument>,
        assets: Vec<String>,
        config: &Config,
        seed: u64,
    ) -> Outcome<Self> {
        let params = script.manifest().params(overrides.iter().copied()).or_input()?;
        let plan = Self::bound(script, instruments, assets, config)?;
        Ok(Self { params, seed, ..plan })
    }

    /// Lets a script that names no instruments itself trade these only.
    pub(crate) fn trading(mut self, instruments: &[InstrumentId]) -> Self {
        if self.script.manifest().instruments.is_empty() {
            let known = instruments.iter().filter_map(|id| self.instruments.get(id.index()));
            self.traded = known.cloned().collect();
        }
        self
    }

    /// Binds a script with its default parameters.
    pub(crate) fn bound(
        script: Script,
        instruments: Vec<Instrument>,
        assets: Vec<String>,
        config: &Config,
    ) -> Outcome<Self> {
        let params = script.manifest().params([]).or_input()?;
        let instruments = with_fees(instruments, &config.venue);
        let traded = traded_instruments(&script, &instruments)?;
        Ok(Self { script, params, instruments, traded, assets, seed: config.run.seed })
    }

    /// Builds the engine with the script in it, wrapped as the caller likes.
    pub(crate) fn engine(
        &self,
        config: &Config,
        wrap: impl FnOnce(Box<dyn Strategy>) -> Box<dyn Strategy>,
    ) -> Outcome<Engine> {
        let series = self.script.manifest().series(&self.traded).or_input()?;
        let n_series = u16::try_from(series.len()).map_err(|_| input("too many bar series"))?;
        let ids: Vec<_> = (0..n_series).map(SeriesId).collect();
        let engine_config = self.engine_config(config, series, &ids)?;
        let strategy = self
            .script
            .instantiate(Binding {
                instruments: self.traded.clone(),
                series: ids,
                params: self.params.clone(),
                seed: self.seed,
                reload: false,
            })
            .or_input()?;
        Engine::new(&engine_config, vec![wrap(Box::new(strategy))]).or_input()
    }

    fn engine_config(
        &self,
        config: &Config,
        series: Vec<SeriesConfig>,
        ids: &[SeriesId],
    ) -> Outcome<EngineConfig> {
        let manifest = self.script.manifest();
        let limits = |scope: &str, limits: &config::Limits| -> Outcome<RiskLimits> {
            limits.to_risk(scope, &self.instruments)
        };
        let Some(first) = self.instruments.first() else {
            return Err(input("the data has no instrument"));
        };
        let mut balances = vec![(first.spec.quote, config.account.quote)];
        if !config.account.base.is_zero() {
            balances.push((first.spec.base, config.account.base));
        }
        Ok(EngineConfig {
            run: 1,
            assets: self.assets.clone(),
            instruments: self.instruments.clone(),
            accounts: vec![AccountConfig {
                name: "main".to_owned(),
                balances,
                limits: limits("account", &config.limits.account)?,
                check_balance: config.account.check_balance,
                leverage: config.account.leverage,
            }],
            strategies: vec![StrategyConfig {
                name: manifest.name.clone(),
                account: AccountId(0),
                instruments: self.traded.iter().map(|instrument| instrument.id).collect(),
                interest: manifest.interest(),
                series: ids.to_vec(),
                limits: limits("strategy", &config.limits.strategy)?,
            }],
            series,
            limits: limits("engine", &config.limits.engine)?,
            order_capacity: 65_536,
            intents_per_call: config.script.intents.unwrap_or(256),
        })
    }
}

/// What came of it.
struct Run {
    plan: Plan,
    summary: Summary,
    recording: Recording,
    times: HookTimes,
    wall_s: f64,
    effects_hash: EffectsHash,
    test: Backtest,
    market: MarketSource,
    /// Lines that the script logged and nobody saw.
    n_hidden: u64,
}

/// Reads a script, or takes the shipped one.
pub(crate) fn load_script(path: Option<&Path>, config: &Config) -> Outcome<Script> {
    let limits = |language| config.script.limits(language);
    match path {
        Some(path) => {
            let language = Language::of(path).ok_or_else(|| {
                input(format!("{}: the name must end in .luau, .lua or .rhai", path.display()))
            })?;
            Script::load(path, &limits(language)).or_input()
        }
        None => {
            let (file, text) = SHIPPED;
            let source = Source {
                path: PathBuf::from(file),
                file: file.to_owned(),
                language: Language::Luau,
                text: text.to_owned(),
            };
            Script::check(source, &limits(Language::Luau)).or_machine()
        }
    }
}

pub(crate) fn assignment(text: &str) -> Outcome<(&str, &str)> {
    text.split_once('=')
        .map(|(name, value)| (name.trim(), value.trim()))
        .ok_or_else(|| input(format!("--set {text}: expected NAME=VALUE, such as --set fast=8")))
}

/// Puts the configured fees into the instruments, where risk sees them too.
pub(crate) fn with_fees(
    mut instruments: Vec<Instrument>,
    venue: &config::VenueSection,
) -> Vec<Instrument> {
    for instrument in &mut instruments {
        let mut spec = instrument.spec.clone();
        spec.maker_fee = venue.maker_fee.unwrap_or(spec.maker_fee);
        spec.taker_fee = venue.taker_fee.unwrap_or(spec.taker_fee);
        if let Ok(changed) = Instrument::new(instrument.id, spec) {
            *instrument = changed;
        }
    }
    instruments
}

/// Returns the instruments that the script names, in its order, or all that the data has.
fn traded_instruments(script: &Script, instruments: &[Instrument]) -> Outcome<Vec<Instrument>> {
    let manifest = script.manifest();
    if manifest.instruments.is_empty() {
        return Ok(instruments.to_vec());
    }
    let find = |symbol: &String| {
        let found = instruments.iter().find(|instrument| instrument.spec.symbol == *symbol);
        found.cloned().ok_or_else(|| {
            let known: Vec<_> = instruments.iter().map(|i| i.spec.symbol.as_str()).collect();
            input(format!(
                "{} needs the instrument {symbol}; the data has {}",
                manifest.file,
                known.join(", ")
            ))
        })
    };
    manifest.instruments.iter().map(find).collect()
}

/// One call in so many is timed when no report is asked for.
const SAMPLED: u32 = 64;

pub(crate) fn venue_options(venue: &config::VenueSection) -> Outcome<VenueOptions> {
    let mut options = VenueOptions {
        queue: match venue.queue {
            config::QueueModel::Pessimistic => QueueModel::Pessimistic,
            config::QueueModel::Probabilistic => {
                QueueModel::Probabilistic { power: venue.queue_power.unwrap_or(3) }
            }
            config::QueueModel::Fifo => QueueModel::Fifo,
        },
        taker_slippage_bps: venue.slippage_bps.unwrap_or(0),
        ..VenueOptions::default()
    };
    options.bars = BarOptions {
        slippage_bps: venue.bar_slippage_bps.unwrap_or(options.bars.slippage_bps),
        volume_cap_bps: venue.bar_volume_cap_bps,
    };
    if !venue.fee_tiers.is_empty() {
        let tier = |tier: &config::FeeTier| {
            let from_turnover = Notional::from_decimal(tier.turnover).ok_or_else(|| {
                input(format!("venue.fee_tiers: {} is out of range", tier.turnover))
            })?;
            Ok(FeeTier { from_turnover, maker: tier.maker, taker: tier.taker })
        };
        options.fees =
            FeeModel::Tiered(venue.fee_tiers.iter().map(tier).collect::<Outcome<Vec<_>>>()?);
    }
    if let LatencyModel::Constant { mut request_ns, mut answer_ns } = LatencyModel::DEFAULT {
        request_ns = milliseconds("request_latency_ms", venue.request_latency_ms, request_ns)?;
        answer_ns = milliseconds("answer_latency_ms", venue.answer_latency_ms, answer_ns)?;
        options.latency = LatencyModel::Constant { request_ns, answer_ns };
    }
    if let Some(path) = &venue.latency_file {
        options.latency = LatencyModel::Interpolated(latency_samples(path)?);
    }
    Ok(options)
}

fn milliseconds(key: &str, value: Option<Decimal>, default_ns: i64) -> Outcome<i64> {
    let Some(value) = value else { return Ok(default_ns) };
    let ns = value
        .checked_mul(Decimal::from(Nanos::MILLI))
        .and_then(|ns| i64::try_from(ns.trunc()).ok());
    ns.filter(|ns| *ns >= 0)
        .ok_or_else(|| input(format!("venue.{key}: {value} is not a time from 0 milliseconds on")))
}

/// Reads recorded latencies: `time_ns,request_ns,answer_ns` by line, with a header.
pub(crate) fn latency_samples(path: &Path) -> Outcome<Vec<LatencySample>> {
    let shown = path.display();
    let mut reader =
        csv::Reader::from_path(path).with_context(|| format!("read {shown}")).or_input()?;
    let row = |(n, record): (usize, Result<csv::StringRecord, csv::Error>)| {
        let numbers: Vec<i64> = record?
            .iter()
            .map(|cell| cell.trim().parse())
            .collect::<Result<_, _>>()
            .with_context(|| format!("{shown}:{}: expected three whole numbers", n + 2))?;
        let [at, request_ns, answer_ns] = numbers[..] else {
            anyhow::bail!(
                "{shown}:{}: {} columns, expected time_ns,request_ns,answer_ns",
                n + 2,
                numbers.len()
            );
        };
        Ok(LatencySample { at: Nanos(at), request_ns, answer_ns })
    };
    reader.records().enumerate().map(row).collect::<anyhow::Result<_>>().or_input()
}

impl Run {
    /// Calls `use_it` with all that a report is made from.
    fn with_report<T>(&self, args: &Args, use_it: impl FnOnce(&ReportInput<'_>) -> T) -> T {
        let strategies = [self.plan.script.manifest().name.clone()];
        use_it(&ReportInput {
            title: &strategies[0],
            version: env!("CARGO_PKG_VERSION"),
            currency: self.currency(),
            strategies: &strategies,
            assets: &self.plan.assets,
            instruments: &self.plan.instruments,
            parameters: &self.parameters(),
            data: &self.rows(args),
            warnings: &self.warnings(),
            recording: &self.recording,
            latencies: &self.times.rows(),
        })
    }

    fn write_files(&self, args: &Args) -> Outcome<()> {
        self.with_report(args, |input| {
            if let Some(path) = &args.report {
                report::write_html(input, create(path)?).or_machine()?;
            }
            if let Some(path) = &args.trades {
                if is_parquet(path) {
                    report::write_fills_parquet(input, create(path)?).or_machine()?;
                } else {
                    report::write_fills_csv(input, create(path)?).or_machine()?;
                }
            }
            if let Some(path) = &args.equity {
                if is_parquet(path) {
                    report::write_equity_parquet(input, create(path)?).or_machine()?;
                } else {
                    report::write_equity_csv(input, create(path)?).or_machine()?;
                }
            }
            if let Some(path) = &args.trips {
                report::write_trips_csv(input, create(path)?).or_machine()?;
            }
            Ok(())
        })
    }

    fn to_json(&self, args: &Args) -> Value {
        let metrics = &self.recording.metrics;
        let orders = &metrics.orders;
        let parameters = self.parameters();
        let parameters: serde_json::Map<_, _> =
            parameters.into_iter().map(|(name, value)| (name, json!(value))).collect();
        let latency = self.times.rows().into_iter().map(|row| {
            json!({
                "hook": row.name,
                "timed": row.count,
                "p50_ns": row.p50_ns,
                "p99_ns": row.p99_ns,
                "p999_ns": row.p999_ns,
                "max_ns": row.max_ns,
            })
        });
        let faults = self.recording.faults.iter().map(|fault| fault.message.as_str());
        json!({
            "events": self.summary.n_events,
            "wall_s": self.wall_s,
            "orders": orders.sent,
            "fills": metrics.n_fills,
            "rejects": orders.rejected + orders.risk_rejected,
            "net_profit": metrics.profit().to_string(),
            "fees": metrics.fees.to_string(),
            "metrics": self.with_report(args, report::metrics_json),
            "effects_hash": format!("{:016x}", self.effects_hash.value()),
            "state_hash": format!("{:016x}", self.test.engine().state_hash()),
            "strategy": self.plan.script.manifest().name,
            "params": parameters,
            "hook_latency": latency.collect::<Vec<_>>(),
            "faults": faults.collect::<Vec<_>>(),
            "warnings": self.warnings(),
        })
    }

    fn to_text(&self, args: &Args) -> String {
        let manifest = self.plan.script.manifest();
        let metrics = &self.recording.metrics;
        let mut text = format!("{} ({})\n", manifest.name, manifest.file);
        for (name, value) in self.rows(args) {
            text += &format!("  {name:<12} {value}\n");
        }
        if let MarketSource::Files(reader) = &self.market {
            text += &notes(&reader.report());
        }
        text += &report::summary_text(metrics, self.currency());
        let rejections = metrics.rejections.iter();
        for rejection in rejections {
            let by = rejection.by.as_str();
            text += &format!("  refused      {} × {} ({by})\n", rejection.count, rejection.reason);
        }
        for row in self.times.rows() {
            text += &format!(
                "  {:<12} p50 {} ns, p99 {} ns, p99.9 {} ns, max {} ns ({} calls timed)\n",
                row.name, row.p50_ns, row.p99_ns, row.p999_ns, row.max_ns, row.count
            );
        }
        for warning in self.warnings() {
            text += &format!("warning: {warning}\n");
        }
        for (what, path) in [
            ("report", &args.report),
            ("trades", &args.trades),
            ("equity", &args.equity),
            ("trips", &args.trips),
        ] {
            if let Some(path) = path {
                text += &format!("wrote {what} to {}\n", path.display());
            }
        }
        text
    }

    /// What the run was on and how, in names and values.
    fn rows(&self, args: &Args) -> Vec<(String, String)> {
        let mut rows = self.market.describe(&args.data);
        let row = |name: &str, value: String| (name.to_owned(), value);
        #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
        let rate = self.summary.n_events as f64 / self.wall_s.max(1e-9) / 1e6;
        rows.push(row(
            "events",
            format!(
                "{} in {:.2} s ({rate:.2} million a second)",
                self.summary.n_events, self.wall_s
            ),
        ));
        rows.push(row("seed", self.plan.seed.to_string()));
        rows.push(row("effects hash", format!("{:016x}", self.effects_hash.value())));
        rows.push(row("state hash", format!("{:016x}", self.test.engine().state_hash())));
        rows
    }

    fn parameters(&self) -> Vec<(String, String)> {
        self.plan.params.iter().map(|(name, value)| (name.to_owned(), value.to_string())).collect()
    }

    fn currency(&self) -> &str {
        let quote = self.plan.instruments.first().map(|instrument| instrument.spec.quote);
        quote.and_then(|asset| self.plan.assets.get(asset.index())).map_or("", String::as_str)
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<_> = self
            .recording
            .faults
            .iter()
            .map(|fault| format!("the strategy failed and was stopped: {}", fault.message))
            .collect();
        if self.n_hidden > 0 {
            let n = self.n_hidden;
            warnings.push(format!("the script logged {n} lines; --log shows them"));
        }
        if self.recording.n_stale > 0 {
            warnings.push(format!(
                "the book was stale {} times; the strategy was not called until it was sound again",
                self.recording.n_stale
            ));
        }
        if self.times.rows().iter().all(|row| row.name == "on_init" || row.name == "on_stop")
            && self.summary.n_events > 0
            && self.recording.faults.is_empty()
        {
            warnings.push(
                "the strategy was never called with market data: does the data have what its \
                 hooks wait for (on_bar needs bars or trades, on_book a book or quotes)?"
                    .to_owned(),
            );
        }
        warnings
    }
}

fn is_parquet(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("parquet"))
}

fn create(path: &Path) -> Outcome<BufWriter<File>> {
    let file = File::create(path).with_context(|| format!("write {}", path.display()));
    file.map(BufWriter::new).or_machine()
}
