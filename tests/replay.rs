//! A run that is executed again, or otherwise: what is compared, with what, and what is said of it.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[expect(dead_code, reason = "other tests need more of it")]
mod rig;

use std::path::Path;
use std::process::{Command, Output};

use rig::Place;
use serde_json::{Value, json};

/// Draws how much it trades, between two parameters.
const GAMBLER: &str = r#"
strategy {
    name = "gambler",
    timers = { beat = 500 },
    params = {
        { name = "least", kind = "number", default = 0.001, min = 0.001, max = 1, doc = "Of an order." },
        { name = "most", kind = "number", default = 0.05, min = 0.001, max = 1, doc = "Of an order." },
    },
}
local n = 0
function on_timer(name)
    n += 1
    local quantity = param("least") + random() * (param("most") - param("least"))
    quantity = math.floor(quantity * 1000) / 1000
    if n % 2 == 0 then market_buy(quantity) else market_sell(quantity) end
end
"#;

/// Runs ten minutes of a made market as fast as it goes.
fn run(sections: &str, strategies: &str) -> Place {
    let place = Place::new(GAMBLER, "\"max\"");
    let config = format!(
        "[run]\ndata = \"data\"\n[feed]\npace = \"max\"\nminutes = 10\n[metrics]\nlisten = \"off\"\n\
         [log]\nfile = \"log/tercel.log\"\n{sections}\n{strategies}\n"
    );
    std::fs::write(place.path("tercel.toml"), config).unwrap();
    std::fs::write(place.path("slow.csv"), "time_ns,request_ns,answer_ns\n0,150000000,250000000\n")
        .unwrap();
    let output = place.tercel(&["run", "--config", "tercel.toml"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    place
}

const ONE: &str = "[[strategy]]\nscript = \"trader.luau\"";

/// Replays the run, as JSON and as text; returns the exit code, which is the same, and both.
fn replay(place: &Place, args: &[&str]) -> (i32, Value, String) {
    let args = [&["replay", "latest"], args].concat();
    let output = place.tercel(&args);
    let found = place.tercel(&[&args[..], &["--json"]].concat());
    assert_eq!(output.status.code(), found.status.code());
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code().unwrap(), serde_json::from_slice(&found.stdout).unwrap(), text)
}

/// A run without a tape was called identical, with exit code 0, after nothing had been executed.
#[test]
fn only_what_was_compared_to_the_end_is_called_identical() {
    let place = run("", ONE);
    let (code, found, text) = replay(&place, &[]);
    assert_eq!((code, &found["identical"], &found["complete"]), (0, &json!(true), &json!(true)));
    assert!(text.ends_with("\nidentical\n"), "{text}");
    let last = found["last_seq"].as_u64().unwrap();
    let (code, found, _) = replay(&place, &["--until", &(last / 2).to_string()]);
    assert_eq!((code, &found["last_seq"]), (0, &json!(last / 2)));

    let tape = place.runs().pop().unwrap().join("tape");
    let segment = std::fs::read_dir(&tape).unwrap().next().unwrap().unwrap().path();
    let length = std::fs::metadata(&segment).unwrap().len();
    let file = std::fs::OpenOptions::new().write(true).open(&segment).unwrap();
    file.set_len(length / 2).unwrap();
    let (code, found, text) = replay(&place, &[]);
    assert_eq!((code, &found["identical"], &found["complete"]), (1, &json!(true), &json!(false)));
    assert!(text.contains("\nidentical as far as it goes; --until "), "{text}");
    let so_far = found["last_seq"].as_u64().unwrap();
    assert!(0 < so_far && so_far < last, "{found}");
    let (code, found, _) = replay(&place, &["--until", &so_far.to_string()]);
    assert_eq!((code, &found["complete"]), (0, &json!(true)));

    std::fs::remove_dir_all(&tape).unwrap();
    let (code, found, text) = replay(&place, &[]);
    assert_eq!((code, &found["complete"]), (1, &json!(false)), "{found}");
    assert!(text.contains("the run has no tape"), "{text}");
}

/// The version with `--set` had the script's defaults in place of the recorded parameters, and both had
/// the run's seed and `[limits.strategy]` whatever the strategy's section said.
#[test]
fn what_if_changes_nothing_but_what_was_asked() {
    let strategies = "[[strategy]]\nname = \"first\"\nscript = \"trader.luau\"\nseed = 77\n\
         params = { most = 0.2 }\nlimits = { orders_per_day = 50 }\n\
         [[strategy]]\nname = \"second\"\nscript = \"trader.luau\"\n";
    let place = run("[venue]\nrequest_latency_ms = \"7\"\nanswer_latency_ms = \"13\"", strategies);
    let (code, found, text) = replay(&place, &["--set", "least=0.001"]);
    assert_eq!(code, 0);
    assert_eq!((&found["strategy"], &found["strategies"]), (&json!("first"), &json!(2)));
    assert!(text.contains("only first trades here, 1 do not"), "{text}");
    let [mut same, other] = [0, 1].map(|n| found["versions"][n].clone());
    assert_eq!(same["orders"], 50, "{same}");
    same["script"] = json!("trader.luau");
    assert_eq!(same, other, "it was set to what it is");
    let (_, found, _) = replay(&place, &["--set", "most=0.1"]);
    assert_ne!(found["versions"][0]["fees"], found["versions"][1]["fees"], "{found}");

    // What the recorded version makes of the market is what the run has made of it.
    let diverged = place.json(&["diverge", "latest", "--json"]);
    let rows = diverged["rows"].as_array().unwrap().iter();
    let fees: rust_decimal::Decimal = rows
        .filter(|row| row["strategy"] == "first")
        .map(|row| row["run"]["fees"].as_str().unwrap().parse::<rust_decimal::Decimal>().unwrap())
        .sum();
    assert_eq!(fees, same["fees"].as_str().unwrap().parse().unwrap(), "{same}");
}

/// Runs a command in another folder than the configuration's.
fn elsewhere(place: &Place, folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tercel"))
        .args(args)
        .current_dir(folder)
        .env("TERCEL_DATA", place.data())
        .output()
        .unwrap()
}

/// The latencies of a run were looked for in the folder that one stood in, even where they were not
/// wanted.
#[test]
fn the_latencies_of_a_run_are_found_from_any_folder() {
    let place = run("[venue]\nlatency_file = \"slow.csv\"", ONE);
    let other = tempfile::tempdir().unwrap();
    let whole = [&["replay", "latest", "--set", "least=0.001"][..], &["diverge", "latest"]];
    for args in whole {
        let output = elsewhere(&place, other.path(), args);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {error}");
    }
    std::fs::remove_file(place.path("slow.csv")).unwrap();
    for args in whole {
        let output = elsewhere(&place, other.path(), args);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        let path = place.path("slow.csv");
        assert!(error.contains(path.to_str().unwrap()), "{args:?}: {error}");
    }
    let fitted = elsewhere(&place, other.path(), &["diverge", "latest", "--latencies", "fitted"]);
    assert_eq!(fitted.status.code(), Some(0), "{}", String::from_utf8_lossy(&fitted.stderr));
}
