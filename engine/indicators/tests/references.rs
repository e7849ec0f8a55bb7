//! Values against those of TA-Lib and TradingView, bar by bar, warm-up included.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a skipped test says so, and a failed unwrap is a failed test"
)]

use std::io::Read;
use std::path::PathBuf;

use tercel_indicators::{Bar, Indicator, Vwap};

/// Returns the path of a reference file, or `None` with a plain line where there is no shared data.
fn reference(name: &str) -> Option<PathBuf> {
    let Some(root) = std::env::var_os("TERCEL_SHARED") else {
        println!("skipped: TERCEL_SHARED is not set");
        return None;
    };
    let path = PathBuf::from(root).join("data/indicator_refs").join(name);
    assert!(path.exists(), "shared data is missing: {}", path.display());
    Some(path)
}

/// Reads a CSV into columns; blanks and `NaN` are `None`.
struct Columns {
    names: Vec<String>,
    rows: Vec<Vec<Option<f64>>>,
}

impl Columns {
    fn read(name: &str) -> Option<Self> {
        let bytes = std::fs::read(reference(name)?).unwrap();
        let mut text = Vec::new();
        if name.ends_with(".gz") {
            flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut text).unwrap();
        } else {
            text = bytes;
        }
        let mut reader = csv::Reader::from_reader(&text[..]);
        let names = reader.headers().unwrap().iter().map(str::to_owned).collect();
        let number = |cell: &str| cell.parse().ok().filter(|value: &f64| value.is_finite());
        let rows = reader.records().map(|row| row.unwrap().iter().map(number).collect()).collect();
        Some(Self { names, rows })
    }

    fn column(&self, name: &str) -> usize {
        self.names.iter().position(|other| other == name).unwrap_or_else(|| panic!("{name}"))
    }

    fn get(&self, row: usize, name: &str) -> Option<f64> {
        self.rows[row][self.column(name)]
    }

    fn bar(&self, row: usize) -> Bar {
        let [open, high, low, close] =
            ["open", "high", "low", "close"].map(|name| self.get(row, name).unwrap());
        let volume = ["volume", "Volume"]
            .iter()
            .find_map(|name| self.names.iter().position(|other| other == name))
            .map_or(0.0, |at| self.rows[row][at].unwrap());
        #[expect(clippy::cast_possible_truncation, reason = "seconds of this century")]
        let at_ns = self.rows[row][0].unwrap() as i64 * 1_000_000_000;
        Bar { at_ns, open, high, low, close, volume }
    }
}

fn close_to(ours: Option<f64>, theirs: Option<f64>, tolerance: f64) -> bool {
    match (ours, theirs) {
        (None, None) => true,
        (Some(ours), Some(theirs)) => (ours - theirs).abs() <= tolerance * theirs.abs().max(1.0),
        _ => false,
    }
}

const TALIB: &str = "talib_0.8.2_btcusd_1m_2019_first5000.csv.gz";

/// Reads the bars that TA-Lib's values were computed from: the file itself has the close only.
fn bars() -> Option<Vec<Bar>> {
    let root = std::env::var_os("TERCEL_SHARED")?;
    let path = PathBuf::from(root).join("data/bars/bitfinex_BTCUSD_1m_2019.csv.gz");
    assert!(path.exists(), "shared data is missing: {}", path.display());
    let file = flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap());
    let mut reader = csv::Reader::from_reader(file);
    let names = reader.headers().unwrap().clone();
    let at = |name: &str| names.iter().position(|other| other == name).unwrap();
    let [open, high, low, close, volume] = ["open", "high", "low", "close", "volume"].map(at);
    let rows = reader.records().take(5_000).map(|row| {
        let row = row.unwrap();
        let number = |at: usize| row[at].parse::<f64>().unwrap();
        Bar {
            at_ns: row[0].parse::<i64>().unwrap() * 1_000_000,
            open: number(open),
            high: number(high),
            low: number(low),
            close: number(close),
            volume: number(volume),
        }
    });
    Some(rows.collect())
}

#[test]
fn values_and_warm_up_equal_talib() {
    let Some(references) = Columns::read(TALIB) else { return };
    let bars = bars().unwrap();
    assert_eq!(references.rows.len(), 5_000);
    let cases: &[(&str, &[f64], &[&str])] = &[
        ("sma", &[20.0], &["sma20"]),
        ("ema", &[20.0], &["ema20"]),
        ("wma", &[20.0], &["wma20"]),
        ("rsi", &[14.0], &["rsi14"]),
        ("macd", &[12.0, 26.0, 9.0], &["macd", "macd_sig", "macd_hist"]),
        ("bollinger", &[20.0, 2.0], &["bb_u", "bb_m", "bb_l"]),
        ("atr", &[14.0], &["atr14"]),
        ("adx", &[14.0], &["adx14"]),
        ("cci", &[20.0], &["cci20"]),
        ("mfi", &[14.0], &["mfi14"]),
        ("obv", &[], &["obv"]),
        ("stochastic", &[14.0, 3.0, 3.0], &["stoch_k", "stoch_d"]),
        ("roc", &[10.0], &["roc10"]),
        ("stddev", &[20.0], &["stddev20"]),
    ];
    let mut n_compared = 0;
    for (name, parameters, columns) in cases {
        let mut indicator = Indicator::build(name, parameters).unwrap();
        for (row, bar) in bars.iter().enumerate() {
            indicator.update_bar(bar);
            for (n, column) in columns.iter().enumerate() {
                let (ours, theirs) = (indicator.output(n), references.get(row, column));
                // An index that swings by hundreds is zero where its terms cancel to the last bits.
                let tolerance = if *name == "cci" { 1e-7 } else { 1e-9 };
                let equal = close_to(ours, theirs, tolerance);
                assert!(equal, "{column} row {row}: {ours:?} {theirs:?}");
                n_compared += usize::from(theirs.is_some());
            }
        }
    }
    println!("{n_compared} values of {} indicators equal TA-Lib's", cases.len());
    assert!(n_compared > 90_000);
}

#[test]
fn supertrend_equals_tradingview() {
    let Some(references) = Columns::read("pynecore_tv__supertrend.csv") else { return };
    let (up, down) = ("ta.supertrend(3, 10).up", "ta.supertrend(3, 10).down");
    let mut indicator = Indicator::build("supertrend", &[10.0, 3.0]).unwrap();
    let mut n_compared = 0;
    for row in 0..references.rows.len() {
        indicator.update_bar(&references.bar(row));
        // The file's first rows have zeros and blanks before the average exists.
        let (Some(line), Some(is_up)) = (indicator.output(0), indicator.output(1)) else {
            continue;
        };
        let theirs = if is_up > 0.0 { references.get(row, up) } else { references.get(row, down) };
        assert!(close_to(Some(line), theirs, 1e-9), "row {row}: {line} {theirs:?}");
        n_compared += 1;
    }
    println!("{n_compared} values equal TradingView's");
    assert!(n_compared > 100);
}

#[test]
fn keltner_equals_tradingview() {
    let Some(references) = Columns::read("pynecore_tv__kc.csv") else { return };
    let columns =
        ["ta.kc(close, 20, 2).upper", "ta.kc(close, 20, 2).base", "ta.kc(close, 20, 2).lower"];
    let mut indicator = Indicator::build("keltner", &[20.0, 2.0]).unwrap();
    for row in 0..references.rows.len() {
        indicator.update_bar(&references.bar(row));
        // There the middle line is shown a bar before the others.
        if references.get(row, columns[0]).is_none() {
            assert!(!indicator.is_ready(), "row {row}");
            continue;
        }
        for (n, column) in columns.iter().enumerate() {
            let (ours, theirs) = (indicator.output(n), references.get(row, column));
            assert!(close_to(ours, theirs, 1e-9), "{column} row {row}: {ours:?} {theirs:?}");
        }
    }
    assert!(references.rows.len() > 100);
}

#[test]
fn vwap_equals_tradingview() {
    let Some(references) = Columns::read("pynecore_tv__vwap.csv") else { return };
    let mut vwap = Vwap::new();
    for row in 0..references.rows.len() {
        let bar = references.bar(row);
        // The file's is of the close, and its market's day begins at 21:00 UTC.
        vwap.add(bar.at_ns + 3 * 3_600_000_000_000, bar.close, bar.volume);
        let theirs = references.get(row, "ta.vwap(close)");
        assert!(close_to(vwap.value(), theirs, 1e-9), "row {row}: {:?} {theirs:?}", vwap.value());
    }
    assert!(references.rows.len() > 100);
}
