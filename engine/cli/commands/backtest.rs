//! `tercel backtest`: a script over market data, through the real engine and a simulated venue.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use clap::Args as ClapArgs;
use serde_json::{Value, json};
use tercel_core::Nanos;
use tercel_sim::metrics::{Recorder, RecorderLimits, Recording};
use tercel_sim::{Backtest, BacktestOptions, EffectsHash, SimVenue, Summary};

use crate::commands::import::notes;
use crate::commands::{print, print_json};
use crate::config::Config;
use crate::data::{DataOptions, MarketSource, blame};
use crate::exit::{Answer, Blame, Outcome};
use crate::paper_venue::venue_options;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::report::{self, ReportInput};
use crate::script_file::{self, assignment};
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

/// One call in so many is timed when no report is asked for.
const SAMPLED: u32 = 64;

pub(crate) fn run(args: &Args) -> Outcome {
    let config = Config::read(args.config.as_deref())?;
    let seed = args.seed.unwrap_or(config.run.seed);
    let limits = |language| config.script.limits(language);
    let script = match &args.script {
        Some(path) => script_file::load(path, limits)?,
        None => script_file::shipped(limits)?,
    };
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
