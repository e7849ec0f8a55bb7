//! A run on paper against its own backtest, as a user compares them.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[expect(dead_code, reason = "other tests need more of it")]
mod rig;

use std::fs;

use rig::{Place, TRADER};
use rust_decimal::Decimal;
use serde_json::Value;

/// Latencies that are never the same for long.
const LATENCIES: &str = "time_ns,request_ns,answer_ns\n\
    1736143200000000000,5000000,9000000\n\
    1736143290000000000,60000000,20000000\n\
    1736143400000000000,8000000,120000000\n\
    1736143700000000000,30000000,15000000\n";

const SLOW: &str = "time_ns,request_ns,answer_ns\n0,150000000,250000000\n";

/// Runs ten minutes of a made market as fast as it goes, and stops by itself.
fn run(script: &str, venue: &str, journal: &str, tape: &str) -> Place {
    let place = Place::new(script, "\"max\"");
    fs::write(place.path("latencies.csv"), LATENCIES).unwrap();
    fs::write(place.path("slow.csv"), SLOW).unwrap();
    let config = format!(
        "[run]\ndata = \"data\"\n[feed]\npace = \"max\"\nminutes = 10\n\
         [journal]\nsnapshot_every_entries = 200\n{journal}\n[tape]\n{tape}\n[venue]\n{venue}\n\
         [metrics]\nlisten = \"off\"\n[log]\nfile = \"log/tercel.log\"\n\
         [[strategy]]\nscript = \"trader.luau\"\n"
    );
    fs::write(place.path("tercel.toml"), config).unwrap();
    again(&place);
    place
}

fn again(place: &Place) {
    let output = place.tercel(&["run", "--config", "tercel.toml"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Compares, and looks whether the exit code says the same.
fn diverge(place: &Place, args: &[&str]) -> Value {
    let args = [&["diverge", "latest", "--json"], args].concat();
    let output = place.tercel(&args);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{args:?}: {error}: {}", String::from_utf8_lossy(&output.stderr))
    });
    let expected = if found["equal"] == true { 0 } else { 1 };
    assert_eq!(output.status.code(), Some(expected), "{args:?}");
    found
}

/// How long the tape of the last run is by now.
fn tape_bytes(place: &Place) -> u64 {
    let tape = place.runs().pop().map(|run| run.join("tape"));
    let files = tape.and_then(|tape| fs::read_dir(tape).ok()).into_iter().flatten();
    files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

fn n(found: &Value, name: &str) -> u64 {
    found["orders"][name].as_u64().unwrap()
}

#[track_caller]
fn assert_equal(found: &Value, least: u64) {
    assert!(n(found, "run") >= least, "it trades: {}", found["orders"]);
    for name in ["simulated", "pairs", "equal"] {
        assert_eq!(n(found, name), n(found, "run"), "{name}: {}", found["orders"]);
    }
    let usdt = &found["profit"]["USDT"];
    assert_eq!(usdt["run"], usdt["simulated"]);
    assert_ne!(usdt["run"], "0");
}

fn difference(found: &Value) -> Decimal {
    let total = &found["profit"]["USDT"]["difference"]["total"];
    total.as_str().unwrap().parse().unwrap()
}

const EQUAL_LATENCIES: &str = "request_latency_ms = \"7\"\nanswer_latency_ms = \"13\"";

#[test]
fn a_run_on_paper_is_its_own_backtest_and_its_latencies_are_found() {
    let maker = include_str!("../scripts/lua/imbalance_maker.luau");
    // The maker places few orders and moves them often.
    for (script, journal, least) in
        [(TRADER, "", 200), (maker, "", 10), (TRADER, "mode = \"durable\"", 200)]
    {
        let place = run(script, EQUAL_LATENCIES, journal, "");
        let found = diverge(&place, &[]);
        assert_equal(&found, least);
        let latency = &found["latency"];
        for (name, ms) in [("request_ns", 7), ("answer_ns", 13), ("round_trip_ns", 20)] {
            for figure in ["min", "p50", "p99", "max"] {
                assert_eq!(latency[name][figure], ms * 1_000_000, "{name} {figure}");
            }
        }
        assert_eq!(latency["clock_offset_ns"], 0);
    }
}

#[test]
fn other_latencies_are_found_and_the_fit_explains_all_of_it() {
    let place = run(TRADER, "latency_file = \"latencies.csv\"", "", "");
    assert_equal(&diverge(&place, &[]), 200);

    let wrong = diverge(&place, &["--latencies", "slow.csv"]);
    assert_eq!(wrong["equal"], false);
    assert_eq!(n(&wrong, "equal"), 0, "no answer came as late: {}", wrong["orders"]);
    assert!(n(&wrong, "pairs") > 200 * 9 / 10, "{}", wrong["orders"]);
    assert!(wrong["filled_later_ns"]["p50"].as_i64() > Some(0), "{wrong:#}");
    assert_ne!(difference(&wrong), Decimal::ZERO);
    let parts = &wrong["profit"]["USDT"]["difference"];
    let parts = ["prices", "quantities", "fees", "unpaired"]
        .map(|name| parts[name].as_str().unwrap().parse::<Decimal>().unwrap());
    assert_eq!(parts.iter().sum::<Decimal>(), difference(&wrong), "the parts are all of it");

    let fitted = diverge(&place, &["--latencies", "fitted", "--write-latencies", "fitted.csv"]);
    assert_equal(&fitted, 200);
    // What was written is what `latency_file` takes.
    assert_equal(&diverge(&place, &["--latencies", "fitted.csv"]), 200);
    let config = fs::read_to_string(place.path("tercel.toml")).unwrap();
    let config = config.replace("latencies.csv", "fitted.csv");
    fs::write(place.path("tercel.toml"), config).unwrap();
    let checked = place.tercel(&["config", "check", "tercel.toml"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn commands_parameters_and_new_versions_happen_again() {
    let place = Place::new(TRADER, "20.0");
    let mut server = place.start();
    let beyond = |seq: u64| move |status: &Value| status["seq"].as_u64() > Some(seq);
    let at = |status: &Value| status["seq"].as_u64().unwrap();
    let mut seq = at(&server.wait_until(beyond(2_000)));
    for command in
        [&["set", "quantity=0.02"][..], &["pause"], &["resume"], &["flatten"], &["resume"]]
    {
        assert!(place.tercel(&[&["ctl"], command].concat()).status.success(), "{command:?}");
        seq = at(&server.wait_until(beyond(seq + 2_000)));
    }
    fs::write(place.script(), TRADER.replace("best - 5", "best - 1")).unwrap();
    server.wait_until(|status| status["strategies"][0]["generation"] == 2);
    let seq = at(&server.status().unwrap());
    server.wait_until(beyond(seq + 4_000));
    assert_eq!(server.stop("-TERM"), Some(0));
    let found = diverge(&place, &[]);
    assert_equal(&found, 50);
    let quantities: Vec<_> =
        found["rows"].as_array().unwrap().iter().map(|row| &row["run"]["quantity"]).collect();
    assert!(quantities.contains(&&Value::from("0.020")), "the parameter was set again");
}

#[test]
fn a_run_that_goes_on_from_another_and_is_killed_is_its_own_backtest_too() {
    let place = Place::new(TRADER, "50.0");
    let traded = |status: &Value| {
        let all = status["positions"].as_array().unwrap();
        all.first().is_some_and(|own| own["n_fills"].as_u64() > Some(20))
    };
    let mut server = place.start();
    server.wait_until(traded);
    // What the tape holds is all that can be compared, and it is written block by block.
    let begun = std::time::Instant::now();
    while tape_bytes(&place) < 100_000 {
        assert!(begun.elapsed().as_secs() < 60, "the tape does not grow");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    server.kill();
    // A killed process takes the last of its tape with it.
    let first = diverge(&place, &["--accept-truncated"]);
    assert_eq!(first["ended"], Value::Null);
    assert_equal(&first, 20);
    let mut server = place.start();
    server.wait_until(|status| status["orders"].as_array().is_some_and(|all| all.len() > 2));
    assert_eq!(server.stop("-TERM"), Some(0));
    assert_equal(&diverge(&place, &[]), 3);
}

#[test]
fn what_cannot_be_compared_is_said() {
    let place = run(TRADER, EQUAL_LATENCIES, "", "enabled = false");
    let says = |args: &[&str], text: &str| {
        let output = place.tercel(&[&["diverge"], args].concat());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert!(error.contains(text), "{args:?}: {error}");
    };
    says(&["latest"], "has no tape");
    says(&["77"], "no run `77`");
    says(&["latest", "--within-ms", "0"], "0 is not in 1..");

    let config = fs::read_to_string(place.path("tercel.toml")).unwrap();
    let config = config.replace("enabled = false", "").replace("minutes = 10", "minutes = 60");
    fs::write(place.path("tercel.toml"), config).unwrap();
    again(&place);
    let tape = place.runs().pop().unwrap().join("tape");
    let segment = fs::read_dir(tape).unwrap().next().unwrap().unwrap().path();
    let length = fs::metadata(&segment).unwrap().len();
    fs::OpenOptions::new().write(true).open(&segment).unwrap().set_len(length / 2).unwrap();
    says(&["latest"], "its tape ends after ");
    says(&["latest", "--latencies", "none.csv", "--accept-truncated"], "none.csv");
    let found = diverge(&place, &["--accept-truncated"]);
    assert!(n(&found, "equal") > 100 && n(&found, "equal") + 10 > n(&found, "run"), "{found:#}");
}

#[test]
fn the_report_and_the_table_of_orders_say_the_same() {
    let place = run(TRADER, EQUAL_LATENCIES, "", "");
    let output =
        place.tercel(&["diverge", "--latencies", "slow.csv", "--worst", "3", "--csv", "o.csv"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let table = text.split("\n\n").nth(1).unwrap();
    assert_eq!(table.lines().count(), 2 + 3, "{table}");
    assert!(table.starts_with("3 of "), "{table}");
    let found = diverge(&place, &["--latencies", "slow.csv"]);
    let mut rows = csv::Reader::from_path(place.path("o.csv")).unwrap();
    let head = rows.headers().unwrap().clone();
    let place_of = |name: &str| head.iter().position(|own| own == name).unwrap();
    let rows: Vec<_> = rows.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), found["rows"].as_array().unwrap().len());
    let total: Decimal =
        rows.iter().map(|row| row[place_of("difference")].parse::<Decimal>().unwrap()).sum();
    assert_eq!(total, difference(&found));
    let all = place.tercel(&["diverge", "--all"]);
    assert_eq!(all.status.code(), Some(0));
    let all = String::from_utf8(all.stdout).unwrap();
    assert!(all.lines().count() > rows.len(), "{all}");
}
