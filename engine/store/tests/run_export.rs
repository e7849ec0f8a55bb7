//! Exported runs: the tables agree with the engine that ran, in all three formats.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Decimal128Type, UInt64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rust_decimal::Decimal;
use serde_json::Value;
use tercel_core::{
    Command, Effect, Effects, Engine, EngineConfig, Event, InstrumentId, Intent, Nanos, OrderSpec,
    Price, Quantity, Seq, Side, StrategyId,
};
use tercel_store::journal::{Journal, JournalOptions, Record, RunStart};
use tercel_store::runs::{ExportFormat, ExportedTable, RunCatalog, RunFolder};
use tercel_store::state;
use tercel_testkit::{
    Faults, Random, Strings, UnreliableVenue, engine_config, level, linear, spot, strategy,
};

/// A run with its journal, against a venue that loses, doubles and reorders its reports.
struct Run {
    engine: Engine,
    puppets: Vec<Strings>,
    venue: UnreliableVenue,
    random: Random,
    journal: Journal,
    seq: u64,
    now: i64,
    n_sent: usize,
    /// Fills that counted: those of reports that were not refused.
    n_fills: usize,
    refused: usize,
}

fn config() -> EngineConfig {
    let mut config = engine_config(vec![linear(0), spot(1)]);
    config.strategies = vec![strategy(0, 2), strategy(0, 2)];
    config.strategies[0].name = "one, \"two\"".to_owned();
    config
}

impl Run {
    fn new(seed: u64, folder: &RunFolder) -> Self {
        let start = RunStart {
            run: folder.number,
            at: Nanos(0),
            config: String::new(),
            version: "0.1.0".to_owned(),
        };
        let options = JournalOptions { ring_bytes: 64 << 20, ..JournalOptions::default() };
        let journal = Journal::create(&folder.journal(), start, options).unwrap();
        let puppets: Vec<_> = (0..2).map(|_| Strings::default()).collect();
        let engine = Engine::new(&config(), puppets.iter().map(Strings::puppet).collect()).unwrap();
        let faults = Faults { lost: 3, duplicated: 20, reordered: 30 };
        let mut run = Self {
            engine,
            puppets,
            venue: UnreliableVenue::new(seed ^ 0x5eed, faults),
            random: Random::new(seed),
            journal,
            seq: 0,
            now: 0,
            n_sent: 0,
            n_fills: 0,
            refused: 0,
        };
        (0..2).for_each(|id| run.handle(&Event::Command(Command::Start(StrategyId(id)))));
        for id in 0..2 {
            run.handle(&level(id, 0, Side::Buy, 99, 1_000));
            run.handle(&level(id, 0, Side::Sell, 101, 1_000));
        }
        run
    }

    fn handle(&mut self, event: &Event) {
        (self.seq, self.now) = (self.seq + 1, self.now + 1_000);
        let (seq, now) = (Seq(self.seq), Nanos(self.now));
        let mut effects = Effects::with_capacity(16);
        self.engine.handle(seq, now, event, &mut effects);
        if !matches!(event, Event::Market(_)) || !effects.is_empty() {
            self.journal.entry(seq, now, event, effects.as_slice()).unwrap();
        }
        let mut is_refused = false;
        for effect in effects.as_slice() {
            match effect {
                Effect::Send(request) => {
                    self.n_sent +=
                        usize::from(matches!(**request, tercel_core::OrderRequest::New { .. }));
                    self.venue.send(request, now);
                }
                Effect::Notice(tercel_core::Notice::ReportRefused { .. }) => is_refused = true,
                _ => {}
            }
        }
        self.refused += usize::from(is_refused);
        if let Event::Execution(report) = event
            && matches!(report.kind, tercel_core::ReportKind::Fill(_))
            && !is_refused
        {
            self.n_fills += 1;
        }
    }

    fn step(&mut self) {
        match self.random.below(8) {
            0..3 => {
                let instrument = InstrumentId(u16::try_from(self.random.index(2)).unwrap());
                let side = if self.random.chance(50) { Side::Buy } else { Side::Sell };
                let price = Price(self.random.between(95, 105));
                let qty = Quantity(self.random.between(0, 12));
                let who = self.random.index(2);
                match self.random.below(4) {
                    0 => self.puppets[who].give(Intent::CancelAll { instrument: None }),
                    _ => self.puppets[who].place(OrderSpec::limit(instrument, side, price, qty)),
                }
                self.handle(&level(instrument.0, self.now, Side::Buy, 50, 1));
            }
            3 | 4 => self.venue.trade(Nanos(self.now)),
            _ => {
                if let Some(report) = self.venue.deliver() {
                    self.handle(&Event::Execution(report));
                }
            }
        }
    }

    fn snapshot(&mut self) {
        let state = self.engine.state();
        let (state_hash, bytes) = (state.hash(), state::encode(state));
        let n_before = self.journal.n_records();
        let (seq, now) = (Seq(self.seq), Nanos(0));
        self.journal.record(&Record::Snapshot { seq, now, state_hash, n_before, bytes }).unwrap();
    }
}

fn run_in(catalog: &RunCatalog, seed: u64) -> (RunFolder, Run) {
    let lock = catalog.lock().unwrap();
    let folder = catalog.next_run(&lock).unwrap();
    let mut run = Run::new(seed, &folder);
    for n in 0..1_500 {
        run.step();
        if n == 700 {
            run.snapshot();
        }
    }
    run.snapshot();
    (folder, run)
}

fn rows(path: &Path) -> Vec<BTreeMap<String, Value>> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn n_rows(tables: &[ExportedTable]) -> Vec<(&str, u64)> {
    tables.iter().map(|table| (table.name, table.n_rows)).collect()
}

#[test]
fn tables_agree_with_the_engine_that_ran() {
    for seed in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let catalog = RunCatalog::open(folder.path());
        let (place, run) = run_in(&catalog, seed);
        let Run { engine, journal, n_sent, n_fills, refused, .. } = run;
        journal.close().unwrap();
        let out = folder.path().join("out");
        let tables = place.export(&out, ExportFormat::Jsonl).unwrap();
        let names: Vec<_> = tables.iter().map(|table| table.name).collect();
        assert_eq!(names, ["orders", "fills", "positions", "equity", "notices"]);
        let [orders, fills, positions, equity, notices] =
            ["orders", "fills", "positions", "equity", "notices"]
                .map(|name| rows(&out.join(format!("{name}.jsonl"))));
        assert_eq!(orders.len(), n_sent, "seed {seed}");
        assert_eq!((fills.len(), positions.len()), (n_fills, n_fills), "seed {seed}");
        assert!(n_fills > 20 && refused > 5, "{n_fills} fills, {refused} refused");
        assert_eq!(equity.len(), 2, "two snapshots of one account");
        assert!(notices.iter().filter(|row| row["kind"] == "report_refused").count() == refused);

        let state = engine.state();
        for row in &orders {
            let id = row["order_id"].as_str().unwrap();
            let counter = id.split_once('-').unwrap().1.parse().unwrap();
            let id = tercel_core::ClientOrderId::new(1, counter);
            let order = state.orders.get(id).unwrap();
            assert_eq!(row["state"], order.state.as_str(), "seed {seed} {id}");
            assert_eq!(row["filled_lots"], order.filled.0);
            assert_eq!(row["quantity_lots"], order.spec.qty.0);
            assert_eq!(row["ended_ns"].is_null(), order.is_working());
            let spec = &state.instruments[order.spec.instrument.index()];
            let quantity: Decimal = row["quantity"].as_str().unwrap().parse().unwrap();
            assert_eq!(quantity, spec.quantity_decimal(order.spec.qty));
            let price: Decimal = row["price"].as_str().unwrap().parse().unwrap();
            assert_eq!(price, spec.price_decimal(order.spec.kind.limit_price().unwrap()));
        }
        // The strategies share a name no more than they share a position.
        for (strategy, name) in state.strategies.iter().zip(["one, \"two\"", "puppet"]) {
            for instrument in 0..2 {
                let position = &strategy.scope.positions[instrument];
                let last = positions.iter().rfind(|row| {
                    row["strategy"] == name
                        && (row["instrument"] == "BTCUSDT")
                        && row["quantity"].as_str().map(|qty| qty.parse::<Decimal>().unwrap())
                            == Some(state.instruments[instrument].quantity_decimal(position.qty))
                        && row["n_fills"].as_str() == Some(position.n_fills.to_string().as_str())
                });
                if position.n_fills > 0 {
                    let last = last.unwrap_or_else(|| panic!("seed {seed}: no such position"));
                    let realised: Decimal = last["realised"].as_str().unwrap().parse().unwrap();
                    assert_eq!(realised, position.realised.to_decimal());
                }
            }
        }
        let told: Decimal = equity[1]["equity"].as_str().unwrap().parse().unwrap();
        assert_eq!(told, state.equity(tercel_core::AccountId(0)).to_decimal());
        assert_eq!(equity[1]["account"], "main");
    }
}

#[test]
fn the_three_formats_say_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = RunCatalog::open(folder.path());
    let (place, run) = run_in(&catalog, 77);
    run.journal.close().unwrap();
    let out = folder.path().join("out");
    let lines = place.export(&out, ExportFormat::Jsonl).unwrap();
    let csv = place.export(&out, ExportFormat::Csv).unwrap();
    let parquet = place.export(&out, ExportFormat::Parquet).unwrap();
    assert_eq!(n_rows(&lines), n_rows(&csv));
    assert_eq!(n_rows(&lines), n_rows(&parquet));
    let columns = fs::read_to_string(out.join("columns.md")).unwrap();
    for table in &csv {
        let lines = rows(&out.join(format!("{}.jsonl", table.name)));
        let mut reader = csv::Reader::from_path(&table.path).unwrap();
        let headers = reader.headers().unwrap().clone();
        let records: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!(records.len(), lines.len());
        for (record, line) in records.iter().zip(&lines) {
            for (name, cell) in headers.iter().zip(record) {
                let told = match &line[name] {
                    Value::Null => String::new(),
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                assert_eq!(cell, told, "{name}");
                assert!(columns.contains(&format!("| `{name}` |")), "{name} is described");
            }
        }
        let file = fs::File::open(out.join(format!("{}.parquet", table.name))).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        let mut at = 0;
        for batch in reader.map(Result::unwrap) {
            for name in ["price", "quantity", "fee", "realised", "equity"] {
                let Some(column) = batch.column_by_name(name) else { continue };
                let column = column.as_primitive::<Decimal128Type>();
                for row in 0..batch.num_rows() {
                    let told = lines[at + row][name].as_str().map(|text| {
                        let value: Decimal = text.parse().unwrap();
                        value.mantissa() * 10_i128.pow(18 - value.scale())
                    });
                    let found = column.is_valid(row).then(|| column.value(row));
                    assert_eq!(found, told, "{name}");
                }
            }
            if let Some(column) = batch.column_by_name("trade_id") {
                let column = column.as_primitive::<UInt64Type>();
                assert_eq!(column.value(0).to_string(), lines[at]["trade_id"]);
            }
            at += batch.num_rows();
        }
        assert_eq!(at, lines.len());
    }
    let names: Vec<_> = fs::read_dir(&out).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(names.iter().all(|path| path.extension().unwrap() != "tmp"), "{names:?}");
}

#[test]
fn a_run_that_goes_on_from_another_begins_with_its_orders_and_positions() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = RunCatalog::open(folder.path());
    let (_, first) = run_in(&catalog, 5);
    let state = first.engine.snapshot();
    first.journal.close().unwrap();
    let place = catalog.next_run(&catalog.lock().unwrap()).unwrap();
    let mut second = Run::new(6, &place);
    second.journal.close().unwrap();
    fs::remove_file(place.journal()).unwrap();
    let start =
        RunStart { run: 2, at: Nanos(1), config: String::new(), version: "0.1.0".to_owned() };
    second.journal = Journal::create(&place.journal(), start, JournalOptions::default()).unwrap();
    second.engine =
        Engine::restore(state, second.puppets.iter().map(Strings::puppet).collect(), 64).unwrap();
    (second.venue, second.seq) = (first.venue, first.seq);
    second.snapshot();
    let n_fills = second.n_fills;
    (0..400).for_each(|_| second.step());
    second.snapshot();
    let n_fills = second.n_fills - n_fills;
    let engine = second.engine;
    second.journal.close().unwrap();
    let out = folder.path().join("out");
    place.export(&out, ExportFormat::Jsonl).unwrap();
    let fills = rows(&out.join("fills.jsonl"));
    assert_eq!(fills.len(), n_fills);
    assert!(fills.iter().any(|row| row["order_id"].as_str().unwrap().starts_with("T1-")));
    assert!(fills.iter().all(|row| !row["side"].is_null()), "orders of before are known");
    let positions = rows(&out.join("positions.jsonl"));
    let last = positions.last().unwrap();
    let found = engine.state().strategies.iter().flat_map(|strategy| &strategy.scope.positions);
    let wanted = |position: &&tercel_core::Position| {
        last["quantity_lots"] == position.qty.0
            && last["n_fills"].as_str() == Some(position.n_fills.to_string().as_str())
    };
    assert!(found.clone().any(|position| wanted(&position)), "{last:?}");
}

#[test]
fn a_journal_that_names_nothing_gives_numbers_ticks_and_lots() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = RunCatalog::open(folder.path());
    let place = catalog.next_run(&catalog.lock().unwrap()).unwrap();
    let mut run = Run::new(8, &place);
    (0..300).for_each(|_| run.step());
    run.journal.close().unwrap();
    let out = folder.path().join("out");
    place.export(&out, ExportFormat::Jsonl).unwrap();
    let fills = rows(&out.join("fills.jsonl"));
    assert!(!fills.is_empty());
    assert!(fills.iter().all(|row| row["price"].is_null() && row["price_ticks"].is_i64()));
    assert!(fills.iter().all(|row| row["instrument"] == "0" || row["instrument"] == "1"));
}

#[test]
fn a_damaged_journal_is_not_exported_and_leaves_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = RunCatalog::open(folder.path());
    let (place, run) = run_in(&catalog, 9);
    run.journal.close().unwrap();
    let out = folder.path().join("out");
    place.export(&out, ExportFormat::Csv).unwrap();
    let before = fs::read(out.join("fills.csv")).unwrap();
    // The second snapshot's bytes are the largest record.
    let mut bytes = fs::read(place.journal()).unwrap();
    let at = bytes.windows(4).rposition(|window| window == b"TCST").unwrap();
    bytes[at + 50] ^= 1;
    fs::write(place.journal(), &bytes).unwrap();
    let error = place.export(&out, ExportFormat::Csv).unwrap_err();
    assert!(error.to_string().contains("damaged at record"), "{error}");
    assert_eq!(fs::read(out.join("fills.csv")).unwrap(), before);
    assert!(!out.join("fills.tmp").exists());
}
