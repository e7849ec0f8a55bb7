//! Reports of a real run: averages that cross, on a seeded market through the simulated venue.

use std::convert::Infallible;

use rust_decimal::Decimal;
use tercel_core::{
    AssetId, Engine, Instrument, InstrumentId, Intent, Intents, Interest, OrderSpec, PlotId, Price,
    Quantity, Side, Strategy, StrategyEvent, StrategyFault, View,
};
use tercel_sim::market::{SeededBars, SeededMarketConfig};
use tercel_sim::metrics::{Recorder, RecorderLimits, Recording};
use tercel_sim::{Backtest, BacktestOptions, SimVenue, VenueOptions};
use tercel_testkit::engine_config;

use super::{
    LatencyRow, ReportInput, metrics_json, write_equity_csv, write_equity_parquet, write_fills_csv,
    write_fills_parquet, write_html, write_trips_csv,
};

const X: InstrumentId = InstrumentId(0);
const HOSTILE: &str = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>&\u{2028}";

/// Holds one lot or minus one, by which of two averages is higher, and draws them.
struct Averages {
    fast: f64,
    slow: f64,
    n_bars: u64,
    marker: &'static str,
}

impl Strategy for Averages {
    fn on_event(
        &mut self,
        event: &StrategyEvent<'_>,
        view: &View<'_>,
        intents: &mut Intents,
    ) -> Result<(), StrategyFault> {
        let StrategyEvent::Bar { bar, .. } = event else { return Ok(()) };
        let price = bar.close.0 as f64 / 10.0;
        if self.n_bars == 0 {
            (self.fast, self.slow) = (price, price);
        }
        self.n_bars += 1;
        self.fast += (price - self.fast) / 180.0;
        self.slow += (price - self.slow) / 720.0;
        let long = self.fast > self.slow;
        let target = if long { 500 } else { -500 };
        let missing = target - view.position(X).qty.0;
        let mut give = |intent| intents.push(intent).expect("few intents");
        if self.n_bars.is_multiple_of(30) {
            let series =
                [("fast", self.fast), ("slow", self.slow), (HOSTILE, self.fast - self.slow)];
            for (n, (name, value)) in (0..).zip(series) {
                give(Intent::NamePlot { plot: PlotId(n), name: name.into() });
                give(Intent::Draw { plot: PlotId(n), value_bits: value.to_bits() });
            }
        }
        if self.n_bars > 720 && missing != 0 {
            give(Intent::Mark { label: self.marker.into(), price_bits: price.to_bits() });
            let side = if missing > 0 { Side::Buy } else { Side::Sell };
            intents.place(OrderSpec::market(X, side, Quantity(missing.abs()))).expect("one order");
        }
        if self.n_bars.is_multiple_of(5_000) {
            let far = OrderSpec::limit(X, Side::Buy, Price(-1), Quantity(1));
            intents.place(far).expect("one more");
        }
        Ok(())
    }
}

struct Sample {
    instruments: Vec<Instrument>,
    recording: Recording,
}

/// Thirty days of one-minute bars.
fn sample(symbol: &str) -> Sample {
    let spec =
        tercel_core::InstrumentSpec { symbol: symbol.to_owned(), ..SeededMarketConfig::btcusdt() };
    let instruments = vec![Instrument::new(X, spec).unwrap()];
    let mut config = engine_config(instruments.clone());
    config.accounts[0].balances = vec![(AssetId(1), Decimal::from(100_000))];
    config.series = vec![tercel_core::SeriesConfig {
        instrument: X,
        spec: tercel_core::BarSpec::Time { interval_ms: 60_000 },
        history: 1,
    }];
    config.strategies[0].series = vec![tercel_core::SeriesId(0)];
    config.strategies[0].interest = Interest::default();
    let averages = Averages { fast: 0.0, slow: 0.0, n_bars: 0, marker: HOSTILE };
    let engine = Engine::new(&config, vec![Box::new(averages)]).unwrap();
    let venue = SimVenue::new(&instruments, VenueOptions::default()).unwrap();
    let mut recorder = Recorder::new(RecorderLimits::default(), &engine);
    let options = BacktestOptions { sample_interval_ns: 600 * tercel_core::Nanos::SECOND };
    let mut backtest = Backtest::new(engine, venue, options);
    let market = SeededMarketConfig {
        duration_ns: 30 * tercel_core::Nanos::DAY,
        ..SeededMarketConfig::default()
    };
    let mut bars = SeededBars::new(market).unwrap();
    let source = |block: &mut Vec<_>| Ok::<_, Infallible>(bars.read_block(1_024, block));
    backtest.run(source, &mut recorder).unwrap();
    Sample { instruments, recording: recorder.finish(backtest.engine()) }
}

/// What a report is about besides its recording.
struct Words {
    names: Vec<String>,
    assets: Vec<String>,
    parameters: Vec<(String, String)>,
    data: Vec<(String, String)>,
    warnings: Vec<String>,
    latencies: Vec<LatencyRow>,
}

impl Words {
    fn all(word: &str) -> Self {
        let pair = vec![(word.to_owned(), word.to_owned())];
        let latency = LatencyRow {
            name: word.to_owned(),
            count: 43_200,
            sum_ns: 11_232_000,
            p50_ns: 240,
            p90_ns: 310,
            p99_ns: 1_250,
            p999_ns: 8_400,
            max_ns: 1_200_345,
        };
        Self {
            names: vec![word.to_owned()],
            assets: vec![word.to_owned(), word.to_owned()],
            parameters: pair.clone(),
            data: pair,
            warnings: vec![word.to_owned()],
            latencies: vec![latency],
        }
    }

    fn input<'a>(&'a self, word: &'a str, sample: &'a Sample) -> ReportInput<'a> {
        ReportInput {
            title: word,
            version: word,
            currency: word,
            strategies: &self.names,
            assets: &self.assets,
            instruments: &sample.instruments,
            parameters: &self.parameters,
            data: &self.data,
            warnings: &self.warnings,
            recording: &sample.recording,
            latencies: &self.latencies,
        }
    }
}

fn html(input: &ReportInput<'_>) -> String {
    let mut page = Vec::new();
    write_html(input, &mut page).unwrap();
    String::from_utf8(page).unwrap()
}

/// Takes everything and keeps none of it, as a buffer over a full disk does until it is flushed.
struct Full;

impl std::io::Write for Full {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Err(std::io::ErrorKind::StorageFull.into())
    }
}

/// The page's last part stayed in a buffer whose failure nobody heard of.
#[test]
fn every_writer_hears_of_a_full_disk() {
    let sample = sample("BTCUSDT");
    let words = Words::all("ema");
    let input = words.input("Averages", &sample);
    assert!(write_html(&input, Full).is_err());
    assert!(write_fills_csv(&input, Full).is_err());
    assert!(write_equity_csv(&input, Full).is_err());
    assert!(write_trips_csv(&input, Full).is_err());
    assert!(write_fills_parquet(&input, Full).is_err());
    assert!(write_equity_parquet(&input, Full).is_err());
}

#[test]
fn no_name_becomes_markup() {
    let sample = sample(HOSTILE);
    let words = Words::all(HOSTILE);
    let page = html(&words.input(HOSTILE, &sample));
    assert!(page.contains("&lt;/script&gt;&lt;script&gt;alert(1)"), "names are shown");
    assert!(page.contains("\\u003c/script>\\u003cscript>alert(1)"), "and drawn");
    for markup in ["<script>alert", "<img", "\u{2028}", "'><"] {
        assert!(!page.contains(markup), "{markup:?} is in the page");
    }
    // The data, the charts' library and the page's own script.
    assert_eq!((page.matches("<script").count(), page.matches("</script>").count()), (3, 3));
}

#[test]
fn the_page_asks_for_nothing_and_shows_everything() {
    let sample = sample("BTCUSDT");
    let words = Words::all("ema_cross");
    let input = words.input("Averages", &sample);
    let page = html(&input);
    for tag in ["<link", "<img", "<iframe", "@import", "url(", "fetch(", "XMLHttpRequest"] {
        assert!(!page.contains(tag), "{tag} would ask for something");
    }
    assert!(page.contains("default-src 'none'"));
    assert!(page.contains("Copyright (c) 2022 Leon Sorokin"), "the library's licence goes along");
    let metrics = &sample.recording.metrics;
    assert!(metrics.n_fills > 10 && metrics.daily.sharpe.is_some());
    for figure in [
        super::format::money(metrics.profit()),
        super::format::float(metrics.daily.sharpe, 2),
        super::format::money(metrics.fees),
        "non positive price".to_owned(),
        "1.20 ms".to_owned(),
        super::format::day(metrics.days[0].day),
    ] {
        assert!(page.contains(&figure), "{figure} is missing");
    }
    assert!(!page.contains("NaN") || page.matches("NaN").count() == library_count("NaN"));
    assert!(page.len() < 500_000, "{} bytes", page.len());
}

/// How often the scripts of the page say a word by themselves.
fn library_count(word: &str) -> usize {
    include_str!("vendor/uPlot.iife.min.js").matches(word).count()
        + include_str!("page.js").matches(word).count()
}

#[test]
fn json_and_csv_are_exact() {
    let sample = sample("BTC,\"USDT\"");
    let words = Words::all("ema");
    let input = words.input("Averages", &sample);
    let metrics = &sample.recording.metrics;
    let json = metrics_json(&input);
    assert_eq!(json["profit"], metrics.profit().to_string());
    assert_eq!(json["sharpe"], metrics.daily.sharpe.unwrap());
    assert_eq!(json["days"].as_array().unwrap().len(), metrics.days.len());
    assert_eq!(json["orders"]["risk_rejected"], metrics.orders.risk_rejected);

    let mut fills = Vec::new();
    write_fills_csv(&input, &mut fills).unwrap();
    let mut reader = csv::Reader::from_reader(fills.as_slice());
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), sample.recording.fills.len());
    assert_eq!(&rows[0][7], "BTC,\"USDT\"");
    let fees: Decimal = rows.iter().map(|row| row[4].parse::<Decimal>().unwrap()).sum();
    assert_eq!(fees, metrics.fees.to_decimal());

    let mut trips = Vec::new();
    write_trips_csv(&input, &mut trips).unwrap();
    let n_trips = csv::Reader::from_reader(trips.as_slice()).records().count();
    assert_eq!(n_trips as u64, metrics.trips.n_trips);

    let mut equity = Vec::new();
    write_equity_csv(&input, &mut equity).unwrap();
    let last = csv::Reader::from_reader(equity.as_slice()).records().last().unwrap().unwrap();
    assert_eq!(last[1], metrics.final_equity.to_string());
}

#[test]
fn parquet_has_the_columns_of_csv_with_the_same_values() {
    let sample = sample("BTCUSDT");
    let words = Words::all("ema");
    let input = words.input("Averages", &sample);
    let mut csv = Vec::new();
    write_fills_csv(&input, &mut csv).unwrap();
    let mut csv = csv::Reader::from_reader(csv.as_slice());
    let names: Vec<_> = csv.headers().unwrap().iter().map(|name| name.replace("_ns", "")).collect();
    let first = csv.records().next().unwrap().unwrap();

    let mut file = tempfile::tempfile().unwrap();
    write_fills_parquet(&input, &mut file).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file);
    let batch = reader.unwrap().build().unwrap().next().unwrap().unwrap();
    assert_eq!(batch.num_columns(), names.len());
    for (name, wanted) in names.iter().zip(&first) {
        let column = batch.column_by_name(name).unwrap_or_else(|| panic!("no {name}"));
        if name == "time" || name == "venue_time" {
            continue;
        }
        let found = arrow::util::display::array_value_to_string(column, 0).unwrap();
        match (found.parse::<Decimal>(), wanted.parse::<Decimal>()) {
            (Ok(found), Ok(wanted)) => assert_eq!(found, wanted, "{name}"),
            _ => assert_eq!(found, wanted, "{name}"),
        }
    }
}

#[test]
fn a_run_without_anything_makes_a_page() {
    let instruments = vec![Instrument::new(X, SeededMarketConfig::btcusdt()).unwrap()];
    let config = engine_config(instruments.clone());
    let idle = Averages { fast: 0.0, slow: 0.0, n_bars: 0, marker: "" };
    let engine = Engine::new(&config, vec![Box::new(idle)]).unwrap();
    let recording = Recorder::new(RecorderLimits::default(), &engine).finish(&engine);
    let sample = Sample { instruments, recording };
    let page = html(&Words::all("idle").input("Nothing", &sample));
    assert!(page.contains(super::format::DASH) && page.contains("Sharpe"));
}
