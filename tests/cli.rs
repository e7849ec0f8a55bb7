//! The command as a user meets it: output, exit codes, stable keys.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn tercel(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tercel")).args(arguments).output().unwrap()
}

fn json(output: &Output) -> Value {
    let error = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|cause| panic!("{cause}: {error}"))
}

fn script(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name).display().to_string()
}

#[test]
fn a_backtest_needs_nothing_and_gives_the_stable_keys() {
    let output = tercel(&["backtest", "--minutes", "20", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let value = json(&output);
    for key in [
        "events",
        "wall_s",
        "orders",
        "fills",
        "rejects",
        "net_profit",
        "fees",
        "metrics",
        "effects_hash",
        "state_hash",
    ] {
        assert!(!value[key].is_null(), "{key}");
    }
    assert!(value["events"].as_u64().unwrap() > 10_000);
    assert!(value["orders"].as_u64().unwrap() > 10);
    assert_eq!(value["faults"].as_array().unwrap().len(), 0);
}

#[test]
fn twins_and_repeated_runs_have_equal_hashes() {
    let hashes = |name: &str| {
        let path = script(name);
        let output = tercel(&["backtest", "--script", &path, "--minutes", "10", "--json"]);
        let value = json(&output);
        (value["effects_hash"].clone(), value["state_hash"].clone(), value["orders"].clone())
    };
    for name in ["imbalance_maker", "ema_cross"] {
        let lua = hashes(&format!("lua/{name}.luau"));
        assert_eq!(lua, hashes(&format!("lua/{name}.luau")), "{name} repeats itself");
        assert_eq!(lua, hashes(&format!("rhai/{name}.rhai")), "{name} in both languages");
    }
}

#[test]
fn reports_and_tables_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (html, csv, parquet) = (at("out.html"), at("trades.csv"), at("trades.parquet"));
    for trades in [&csv, &parquet] {
        let output = tercel(&[
            "backtest",
            "--minutes",
            "3",
            "--report",
            &html,
            "--trades",
            trades,
            "--equity",
            &at("equity.csv"),
        ]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let page = std::fs::read_to_string(&html).unwrap();
    assert!(page.contains("imbalance_maker") && page.len() > 50_000);
    let trades = std::fs::read_to_string(&csv).unwrap();
    assert!(trades.starts_with("time_ns,side,price,quantity,fee,role,order_id"));
    assert_eq!(&std::fs::read(&parquet).unwrap()[..4], b"PAR1");
}

#[test]
fn a_full_disk_is_told_by_every_file_that_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let parquet = folder.path().join("full.parquet");
    std::os::unix::fs::symlink("/dev/full", &parquet).unwrap();
    let parquet = parquet.to_str().unwrap();
    for (option, path) in [
        ("--report", "/dev/full"),
        ("--trades", "/dev/full"),
        ("--trades", parquet),
        ("--equity", "/dev/full"),
        ("--equity", parquet),
        ("--trips", "/dev/full"),
    ] {
        let output = tercel(&["backtest", "--minutes", "3", option, path]);
        assert_eq!(output.status.code(), Some(3), "{option} {path}");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains("No space left on device"), "{option} {path}: {error}");
    }
}

#[test]
fn wrong_input_is_told_with_its_remedy_and_code_two() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("x.toml");
    std::fs::write(&config, "[account]\nleverge = 3\n").unwrap();
    let garbage = folder.path().join("garbage.csv");
    std::fs::write(&garbage, "hello\nworld\n").unwrap();
    for (arguments, wanted) in [
        (vec!["backtest", "--set", "fast"], "NAME=VALUE"),
        (vec!["backtest", "--set", "quantty=1"], "quantity"),
        (vec!["backtest", "--config", config.to_str().unwrap()], "x.toml:2: unknown key `leverge`"),
        (vec!["backtest", "--data", "no/such/file.csv"], "no/such/file.csv"),
        (vec!["inspect", garbage.to_str().unwrap()], "not a format known"),
        (vec!["check", "strategy.py"], ".luau"),
        (vec!["new", "Bad-Name"], "lower-case"),
        (vec!["top"], "needs a terminal"),
    ] {
        let output = tercel(&arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(wanted), "{arguments:?}: {error}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

/// A script that does not compile, a folder instead of a file and a file instead of a folder were called
/// failures of the machine, and the cause of most errors stood there twice.
#[test]
fn a_wrong_file_is_the_inputs_fault_and_its_cause_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (here, nowhere) = (folder.path().display().to_string(), at("nope"));
    let text = "strategy { name = \"sample\" }\nfunction on_book() end\n";
    std::fs::write(at("sample.luau"), text).unwrap();
    std::fs::write(at("broken.luau"), "strategy { name = \"x\" }\n\nfunction on_bar(\n").unwrap();
    std::fs::write(at("torn.tape"), b"TERCELTA").unwrap();
    for (name, text) in [("fuel", "fuel = 0"), ("memory", "memory_mb = 0")] {
        std::fs::write(at(&format!("{name}.toml")), format!("[script]\n{text}\n")).unwrap();
    }
    std::fs::create_dir_all(folder.path().join("runs/00000001")).unwrap();
    std::fs::write(at("runs/00000001/journal.redb"), "no database").unwrap();
    let (sample, broken, missing) = (at("sample.luau"), at("broken.luau"), at("nope.luau"));
    let (fuel, memory, torn) = (at("fuel.toml"), at("memory.toml"), at("torn.tape"));
    for (arguments, code, wanted) in [
        (vec!["backtest", "--script", &missing], 2, "nope.luau: No such file"),
        (vec!["check", &missing], 2, "nope.luau: No such file"),
        (vec!["backtest", "--script", &broken], 2, "broken.luau:"),
        (vec!["check", &broken], 1, "broken.luau:"),
        (vec!["backtest", "--config", &fuel], 2, "fuel.toml:2: script.fuel = 0"),
        (vec!["backtest", "--config", &memory], 2, "memory.toml:2: script.memory_mb = 0"),
        (vec!["backtest", "--config", &nowhere], 2, "No such file"),
        (vec!["backtest", "--script", &sample, "--data", &nowhere], 2, "No such file"),
        (vec!["backtest", "--script", &sample, "--data", &here], 2, "directory"),
        (vec!["backtest", "--script", &sample, "--data", &torn], 2, "torn.tape"),
        (vec!["inspect", &here], 2, "directory"),
        (vec!["import", &nowhere, "--output", &sample], 2, "No such file"),
        (vec!["runs", "--data", &sample], 2, "sample.luau"),
        (vec!["verify", "1", "--data", &sample], 2, "sample.luau"),
        (vec!["prune", "--keep", "1", "--data", &sample], 2, "sample.luau"),
        (vec!["replay", "1", "--data", &here], 2, "tercel verify 1"),
        (vec!["export", "1", "--data", &here, "--to", "csv", "--out", &nowhere], 2, "journal.redb"),
    ] {
        let output = tercel(&arguments);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(wanted), "{arguments:?}: {said}");
        let parts: Vec<_> = said.trim().split(": ").collect();
        let is_twice = (1..parts.len()).any(|n| parts[n..].starts_with(&parts[n - 1..n]));
        assert!(!is_twice, "{arguments:?}: {said}");
    }
}

/// The addresses of the template's example were none of those that `tercel exchange` has, and which of the
/// keys it prints becomes which of the configuration was said nowhere.
#[test]
fn an_exchange_prints_a_section_that_a_server_takes() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let arguments = ["exchange", "--venue", "binance", "--symbols", "BTCUSDT", "--market", "still"];
    let mut child = Command::new(env!("CARGO_BIN_EXE_tercel"))
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(at("section.toml")).unwrap())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let section = std::fs::read_to_string(at("section.toml")).unwrap();
    let text = "strategy { name = \"sample\" }\nfunction on_book() end\n";
    std::fs::write(at("sample.luau"), text).unwrap();
    for name in ["binance", "binance_usdm"] {
        let section = section.replace("name = \"binance\"", &format!("name = \"{name}\""));
        let config = format!(
            "[run]\nmode = \"testnet\"\n[feed]\nkind = \"exchange\"\n{section}[[strategy]]\nscript = \
             \"sample.luau\"\n"
        );
        std::fs::write(at("tercel.toml"), &config).unwrap();
        let checked = tercel(&["config", "check", &at("tercel.toml"), "--json"]);
        let value = json(&checked);
        assert_eq!(value["ok"], Value::from(true), "{value} {config}");
        assert_eq!(value["strategies"][0]["symbols"][0], "BTCUSDT");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let ready: Value = serde_json::from_str(&ready).unwrap();
    let rest = ready["venues"]["binance_spot"]["rest"].as_str().unwrap();
    let (_, address) = rest.split_once("://").unwrap();
    assert_eq!(tercel(&["config", "init", "--out", &at("all.toml")]).status.code(), Some(0));
    let template = std::fs::read_to_string(at("all.toml")).unwrap();
    let n_addresses = section.lines().filter(|line| line.contains(address)).count();
    assert_eq!(n_addresses, 3, "{section}");
    for line in section.lines().filter(|line| line.contains(address)) {
        let example = format!("#{}\n", line.replace(address, "127.0.0.1:9000"));
        assert!(template.contains(&example), "{example}");
    }
}

#[test]
fn a_new_script_of_either_language_is_sound_and_runs() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().display().to_string();
    for (lang, ending) in [("lua", "luau"), ("rhai", "rhai")] {
        let output = tercel(&["new", "mine", "--lang", lang, "--folder", &root]);
        assert_eq!(output.status.code(), Some(0));
        let path = folder.path().join(format!("mine.{ending}")).display().to_string();
        let checked = json(&tercel(&["check", &path, "--json"]));
        assert_eq!((&checked["ok"], &checked["name"]), (&Value::from(true), &Value::from("mine")));
        let output = tercel(&["backtest", "--script", &path, "--minutes", "30", "--json"]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn a_written_configuration_is_sound_once_its_script_exists() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().display().to_string();
    let path = folder.path().join("tercel.toml").display().to_string();
    assert_eq!(tercel(&["config", "init", "--out", &path]).status.code(), Some(0));
    assert_eq!(tercel(&["config", "init", "--out", &path]).status.code(), Some(2));
    let without = tercel(&["config", "check", &path, "--json"]);
    assert_eq!(without.status.code(), Some(1));
    assert!(json(&without)["error"].as_str().unwrap().contains("my_strategy.luau cannot be read"));
    tercel(&["new", "my_strategy", "--folder", &root]);
    let checked = tercel(&["config", "check", &path, "--json"]);
    let value = json(&checked);
    assert_eq!((checked.status.code(), &value["ok"]), (Some(0), &Value::from(true)), "{value}");
    assert_eq!(value["strategies"][0]["symbols"][0], "BTCUSDT");
    assert_eq!(value["config"]["journal"]["mode"], "async");
}

/// `config check` called sound what `run` refuses.
#[test]
fn a_configuration_that_no_server_starts_with_is_not_sound() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let script = "strategy { name = \"sample\" }\nfunction on_book() end\n";
    std::fs::write(path("sample.luau"), script).unwrap();
    let latencies = "time_ns,request_ns,answer_ns\n20,1,1\n10,1,1\n";
    std::fs::write(path("latencies.csv"), latencies).unwrap();
    for (sections, wanted) in [
        ("[script]\nintents = 0", "tercel.toml:2: script.intents = 0"),
        ("[venue]\nlatency_file = \"latencies.csv\"", "latency"),
    ] {
        let config = format!("{sections}\n[[strategy]]\nscript = \"sample.luau\"\n");
        std::fs::write(path("tercel.toml"), config).unwrap();
        let file = path("tercel.toml").display().to_string();
        for (args, code) in [(["config", "check", &file], 1), (["run", "--config", &file], 2)] {
            let output = tercel(&args);
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(code), "{args:?}: {error}");
            assert!(error.contains(wanted), "{args:?}: {error}");
        }
    }
}

#[test]
fn a_key_that_others_can_read_is_refused_before_anything_is_asked_or_made() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("sample.luau"), "strategy { name = \"sample\" }\n").unwrap();
    std::fs::write(at("my.key"), "key = abcdef\nsecret = ghijkl\n").unwrap();
    std::fs::set_permissions(at("my.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let config = r#"
        [run]
        mode = "testnet"
        [feed]
        kind = "exchange"
        [exchange]
        environment = "testnet"
        symbols = ["BTCUSDT"]
        credentials = "file"
        credentials_file = "my.key"
        [[strategy]]
        script = "sample.luau"
    "#;
    std::fs::write(at("tercel.toml"), config).unwrap();
    let config = at("tercel.toml").display().to_string();
    let output = tercel(&["run", "--config", &config]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("my.key") && error.contains("chmod 600"), "{error}");
    assert!(!error.contains("abcdef") && !error.contains("ghijkl"), "{error}");
    assert!(!at("tercel-data").exists(), "a folder was made");
}

/// `tercel demo --folder .` replaced the configuration and the script of whoever was there, and removed
/// the key.
#[test]
fn a_demo_leaves_a_folder_alone_that_is_not_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["tercel.toml", "imbalance_maker.luau", "demo.key"] {
        std::fs::write(path(name), "# mine\n").unwrap();
        let output = tercel(&["demo", "--folder", folder.path().to_str().unwrap()]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(name) && error.contains("--folder"), "{error}");
        assert_eq!(std::fs::read_to_string(path(name)).unwrap(), "# mine\n");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is added");
        std::fs::remove_file(path(name)).unwrap();
    }
}

#[test]
fn the_doctor_looks_at_everything_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    let output = tercel(&["doctor", "--data", &data, "--json"]);
    let value = json(&output);
    let is_fit = value["ok"].as_bool().unwrap();
    assert_eq!(output.status.code(), Some(i32::from(!is_fit)));
    let topics = value["findings"].as_array().unwrap().iter().map(|f| f["topic"].as_str().unwrap());
    let topics: Vec<_> = topics.collect();
    for topic in ["cores", "clock", "huge pages", "open files", "time", "machine", "disk sync"] {
        assert!(topics.contains(&topic), "{topic}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_script_with_an_error_is_a_negative_answer_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.luau");
    std::fs::write(&path, "strategy { name = \"x\" }\n\nfunction on_bar(\n").unwrap();
    let output = tercel(&["check", path.to_str().unwrap(), "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let value = json(&output);
    assert_eq!(value["ok"], Value::from(false));
    assert!(value["line"].as_u64().unwrap() >= 3, "{value}");
}

#[test]
fn import_and_inspect_agree_on_what_is_in_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let bars = folder.path().join("bars.csv");
    let mut text = "time,open,high,low,close,volume\n".to_owned();
    for n in 0..100 {
        let (at, price) = (1_700_000_000_000_i64 + n * 60_000, 100 + n % 7);
        text += &format!("{at},{price}.5,{}.5,{}.5,{price}.25,1.5\n", price + 1, price - 1);
    }
    text += "nonsense\n";
    std::fs::write(&bars, text).unwrap();
    let tape = folder.path().join("bars.tape").display().to_string();
    let bars = bars.display().to_string();
    let output = tercel(&["import", &bars, "--output", &tape, "--json"]);
    assert_eq!(json(&output)["bad_lines"], Value::from(1));
    let (text, tape) = (
        json(&tercel(&["inspect", &bars, "--json"])),
        json(&tercel(&["inspect", &tape, "--book-at", "end", "--json"])),
    );
    assert_eq!((&text["events"], &text["bars"]), (&tape["events"], &Value::from(100)));
    assert_eq!(tape["book"]["bid_levels"], Value::from(0));
}
