//! The commands about runs as a user meets them: lists, checks, tables, pruning.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use rust_decimal::Decimal;
use serde_json::Value;
use tercel_core::{
    AssetId, Effect, Effects, Engine, Event, ExecutionReport, Fill, InstrumentId, MarketData,
    MarketEvent, Nanos, OrderRequest, OrderSpec, Price, Quantity, ReportKind, Role, Seq, Side,
    StrategyId,
};
use tercel_store::journal::{Journal, JournalOptions, Record, RunStart};
use tercel_store::market_tape::{MarketTape, MarketTapeOptions};
use tercel_store::runs::{RunCatalog, RunFolder};
use tercel_store::{Metadata, state};
use tercel_testkit::{Strings, engine_config, level, linear};

fn tercel(data: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tercel"))
        .args(arguments)
        .env("TERCEL_DATA", data)
        .output()
        .unwrap()
}

fn json(output: &Output) -> Value {
    let error = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|cause| panic!("{cause}: {error}"))
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs an engine whose strategy buys and is filled so many times, with journal and tape.
fn run(catalog: &RunCatalog, at: Nanos, n_fills: u64, ends: bool) -> RunFolder {
    let lock = catalog.lock().unwrap();
    let folder = catalog.next_run(&lock).unwrap();
    let version = "0.1.0".to_owned();
    let start = RunStart { run: folder.number, at, config: String::new(), version };
    let mut journal = Journal::create(&folder.journal(), start, JournalOptions::default()).unwrap();
    let options = MarketTapeOptions::default();
    let mut tape = MarketTape::create(&folder.tape(), &Metadata::default(), options).unwrap();
    let mut config = engine_config(vec![linear(0)]);
    config.run = folder.number;
    let puppet = Strings::default();
    let mut engine = Engine::new(&config, vec![puppet.puppet()]).unwrap();
    let mut seq = 0_u64;
    let mut handle = |engine: &mut Engine, event: &Event| {
        seq += 1;
        let now = at.plus(seq.cast_signed() * Nanos::MILLI);
        let mut effects = Effects::with_capacity(16);
        engine.handle(Seq(seq), now, event, &mut effects);
        match event {
            Event::Market(market) => {
                tape.record(market);
            }
            _ => drop(journal.entry(Seq(seq), now, event, effects.as_slice()).unwrap()),
        }
        effects
    };
    let command = tercel_core::Command::Start(StrategyId(0));
    handle(&mut engine, &Event::Command(command));
    handle(&mut engine, &level(0, 0, Side::Buy, 99, 1_000));
    handle(&mut engine, &level(0, 0, Side::Sell, 101, 1_000));
    for n in 1..=n_fills {
        // A timer of the strategy is none of the market's: its entry carries the order.
        puppet.place(OrderSpec::limit(InstrumentId(0), Side::Buy, Price(100), Quantity(2)));
        let signal = tercel_core::Signal {
            strategy: StrategyId(0),
            name: "go".to_owned(),
            text: n.to_string(),
        };
        let effects = handle(&mut engine, &Event::Signal(signal.into()));
        let sent = effects.as_slice().iter().find_map(|effect| match effect {
            Effect::Send(request) => Some(**request),
            _ => None,
        });
        let Some(OrderRequest::New { id, account, .. }) = sent else { panic!("nothing was sent") };
        let fill = Fill {
            trade_id: n,
            price: Price(100),
            qty: Quantity(2),
            role: Role::Maker,
            fee: Decimal::new(25, 3),
            fee_asset: AssetId(1),
        };
        let report = ExecutionReport {
            order: id,
            account,
            instrument: InstrumentId(0),
            venue_at: at,
            received_at: at,
            kind: ReportKind::Fill(fill),
        };
        handle(&mut engine, &Event::Execution(report));
        let data = MarketData::Mark { mark: Price(100), index: Price(100) };
        let market =
            MarketEvent { venue_at: at, received_at: at, instrument: InstrumentId(0), data };
        handle(&mut engine, &Event::Market(market));
    }
    let (seq, now, state_hash) = (Seq(seq), Nanos(0), engine.state_hash());
    let (n_before, bytes) = (journal.n_records(), state::encode(engine.state()));
    journal.record(&Record::Snapshot { seq, now, state_hash, n_before, bytes }).unwrap();
    if ends {
        journal.end(seq, state_hash, "asked to").unwrap();
    } else {
        journal.close().unwrap();
    }
    tape.close().unwrap();
    folder
}

/// The second of 2026-01-01 and so many days.
fn day(n: i64) -> Nanos {
    Nanos(1_767_225_600 * Nanos::SECOND + n * Nanos::DAY)
}

#[test]
fn runs_are_listed_with_the_stable_keys() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let output = tercel(&data, &["runs"]);
    assert_eq!(code(&output), 0);
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("no runs in"));
    let catalog = RunCatalog::open(&data);
    run(&catalog, day(0), 5, true);
    run(&catalog, day(1), 3, false);
    let runs = json(&tercel(&data, &["runs", "--json"]))["runs"].clone();
    assert_eq!((runs[0]["run"].clone(), runs[1]["run"].clone()), (1.into(), 2.into()));
    assert_eq!((&runs[0]["state"], &runs[1]["state"]), (&"ended".into(), &"cut".into()));
    assert_eq!(runs[0]["end_reason"], "asked to");
    assert_eq!(runs[0]["started_at_ns"], day(0).0);
    assert!(runs[0]["ended_at_ns"].as_i64().unwrap() > day(0).0);
    assert!(runs[1]["ended_at_ns"].is_null() && runs[1]["last_at_ns"].is_i64());
    assert_eq!((&runs[0]["entries"], &runs[0]["snapshots"]), (&11.into(), &1.into()));
    assert!(runs[0]["journal_bytes"].as_u64().unwrap() > 0);
    assert!(runs[0]["tape_bytes"].as_u64().unwrap() > 0);
    let text = tercel(&data, &["runs"]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("2026-01-01T00:00:00") && text.contains("cut off"), "{text}");
    // The option goes before the environment.
    let elsewhere = folder.path().join("elsewhere");
    let output = tercel(&data, &["runs", "--json", "--data", elsewhere.to_str().unwrap()]);
    assert_eq!(json(&output)["runs"].as_array().unwrap().len(), 0);
}

#[test]
fn a_whole_run_verifies_and_a_damaged_one_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = RunCatalog::open(folder.path());
    let place = run(&catalog, day(0), 50, true);
    let output = tercel(folder.path(), &["verify", "latest", "--json"]);
    assert_eq!(code(&output), 0);
    let found = json(&output);
    assert_eq!((&found["ok"], &found["entries"]), (&true.into(), &101.into()));
    assert!(found["first_bad"].is_null());
    assert_eq!((&found["tape"]["events"], &found["tape"]["lost"]), (&52.into(), &0.into()));

    let whole = fs::read(place.journal()).unwrap();
    let at = whole.windows(4).rposition(|window| window == b"TCST").unwrap();
    let mut bytes = whole.clone();
    bytes[at + 30] ^= 4;
    fs::write(place.journal(), &bytes).unwrap();
    let output = tercel(folder.path(), &["verify", "1", "--json"]);
    assert_eq!(code(&output), 1);
    let found = json(&output);
    assert_eq!((&found["ok"], &found["first_bad"]["record"]), (&false.into(), &102.into()));
    let byte = found["first_bad"]["byte"].as_u64().unwrap();
    assert!((at as u64 - 60..at as u64).contains(&byte), "{byte} before {at}");
    let output = tercel(folder.path(), &["verify", place.path.to_str().unwrap()]);
    assert_eq!(code(&output), 1);
    assert!(String::from_utf8_lossy(&output.stdout).contains("DAMAGED at record 102"));

    // Damage to the database's own pages ends in an answer as well, not in an abort.
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        let mut bytes = whole.clone();
        bytes[at..(at + 64).min(whole.len())].fill(0xa5);
        fs::write(place.journal(), &bytes).unwrap();
        let output = tercel(folder.path(), &["verify", "1"]);
        assert!(code(&output) <= 1, "byte {at}: {}", error(&output));
    }
    fs::write(place.journal(), &whole).unwrap();
    assert_eq!(code(&tercel(folder.path(), &["verify", "1"])), 0);
}

/// The tape of a run that had ended in order was deleted: `tape good: 0 events, 0 left out`, and the exit
/// code of a good run.
#[test]
fn a_run_whose_tape_is_gone_does_not_verify() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = RunCatalog::open(folder.path());
    let place = run(&catalog, day(0), 50, true);
    fs::remove_file(place.tape().join("00000001.tape")).unwrap();
    let output = tercel(folder.path(), &["verify", "1", "--json"]);
    assert_eq!(code(&output), 1);
    let tape = &json(&output)["tape"];
    assert_eq!((&tape["events"], &tape["lost"]), (&0.into(), &52.into()));
    assert_eq!(tape["error"], "no segment is there, and the run took 52 market events");
    // Whether a run without a tape's folder was to have one says its configuration; this one has none.
    fs::remove_dir(place.tape()).unwrap();
    let output = tercel(folder.path(), &["verify", "1"]);
    assert_eq!(code(&output), 0);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("tape    none: 52 events were not kept"), "{text}");
}

#[test]
fn a_run_is_exported_in_each_format() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = RunCatalog::open(folder.path());
    run(&catalog, day(0), 20, true);
    for format in ["parquet", "csv", "jsonl"] {
        let out = folder.path().join(format);
        let out_text = out.to_str().unwrap();
        let arguments = ["export", "latest", "--to", format, "--out", out_text, "--json"];
        let output = tercel(folder.path(), &arguments);
        assert_eq!(code(&output), 0, "{}", error(&output));
        let tables = json(&output)["tables"].clone();
        let rows: Vec<_> = tables
            .as_array()
            .unwrap()
            .iter()
            .map(|table| (table["table"].as_str().unwrap(), table["rows"].as_u64().unwrap()))
            .collect();
        let wanted =
            [("orders", 20), ("fills", 20), ("positions", 20), ("equity", 1), ("notices", 0)];
        assert_eq!(rows, wanted);
        assert!(out.join("columns.md").is_file());
    }
    let fills = fs::read_to_string(folder.path().join("csv/fills.csv")).unwrap();
    let mut lines = fills.lines();
    assert!(lines.next().unwrap().starts_with("time_ns,venue_ns,seq,order_id,strategy"));
    let first: Vec<_> = lines.next().unwrap().split(',').collect();
    assert_eq!(
        first[3..13],
        ["T1-1", "puppet", "main", "BTCUSDT", "buy", "100", "2", "maker", "0.025", "USDT"]
    );
    let positions = fs::read_to_string(folder.path().join("csv/positions.csv")).unwrap();
    assert!(positions.lines().last().unwrap().contains(",BTCUSDT,40,100,0,40,20"));
    assert_eq!(&fs::read(folder.path().join("parquet/fills.parquet")).unwrap()[..4], b"PAR1");
}

#[test]
fn pruning_deletes_what_the_rules_name_and_says_so_before() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = RunCatalog::open(folder.path());
    (0..4).for_each(|n| drop(run(&catalog, day(n), 2, n != 1)));
    let numbers = |output: &Output| -> Vec<u64> {
        let value = json(output);
        let pruned = value["pruned"].as_array().unwrap().iter();
        pruned.map(|run| run["run"].as_u64().unwrap()).collect()
    };
    let dry = tercel(folder.path(), &["prune", "--keep", "1", "--dry-run", "--json"]);
    assert_eq!((code(&dry), numbers(&dry)), (0, vec![1, 3]));
    assert_eq!(catalog.folders().unwrap().len(), 4);
    let real = tercel(folder.path(), &["prune", "--keep", "1", "--json"]);
    assert_eq!((code(&real), numbers(&real)), (0, vec![1, 3]));
    assert_eq!(catalog.folders().unwrap().len(), 2);
    let forced = tercel(folder.path(), &["prune", "--max-gb", "0", "--force", "--json"]);
    assert_eq!((code(&forced), numbers(&forced)), (0, vec![2]));
    let old = tercel(folder.path(), &["prune", "--older-than", "0", "--json"]);
    assert_eq!((code(&old), numbers(&old)), (0, vec![]));
    assert_eq!(catalog.next_run(&catalog.lock().unwrap()).unwrap().number, 5);
}

#[test]
fn what_is_wrong_is_told_with_its_remedy_and_code_two() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = RunCatalog::open(folder.path());
    let place = run(&catalog, day(0), 1, false);
    let out = folder.path().join("out");
    let out = out.to_str().unwrap();
    let lock = catalog.lock().unwrap();
    let journal = Journal::open(&place.journal(), JournalOptions::default()).unwrap();
    for (arguments, wanted) in [
        (vec!["verify", "7"], "no run `7`"),
        (vec!["export", "nowhere", "--to", "csv", "--out", out], "no run `nowhere`"),
        (vec!["prune"], "--keep, --older-than or --max-gb"),
        (vec!["prune", "--max-gb=-1"], "--max-gb -1 is no size"),
        (vec!["prune", "--keep", "3"], "another process writes here"),
        (vec!["export", "1", "--to", "xml", "--out", out], "jsonl"),
        (vec!["verify", "1"], "already open"),
    ] {
        let output = tercel(folder.path(), &arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", error(&output));
        assert!(error(&output).contains(wanted), "{arguments:?}: {}", error(&output));
    }
    let runs = json(&tercel(folder.path(), &["runs", "--json"]))["runs"].clone();
    assert_eq!(runs[0]["state"], "in_use");
    journal.close().unwrap();
    drop(lock);
    assert_eq!(code(&tercel(folder.path(), &["verify", "1"])), 0);
}
