//! A script changes while it trades.

use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::rig::{Place, TRADER};

#[test]
fn a_saved_script_takes_over_and_a_broken_one_does_not() {
    let place = Place::new(TRADER, "20.0");
    let mut server = place.start();
    let first = server.wait_until(|status| status["seq"].as_u64() > Some(100));
    std::fs::write(place.script(), format!("{TRADER}\n-- another version\n")).unwrap();
    let second = server.wait_until(|status| status["strategies"][0]["generation"] == 2);
    let hash = |status: &serde_json::Value| status["strategies"][0]["hash"].clone();
    assert_ne!(hash(&first), hash(&second));
    let notice = |status: &serde_json::Value, text: &str| {
        let all = status["notices"].as_array().unwrap();
        all.iter().any(|notice| notice["text"].as_str().unwrap().contains(text))
    };
    for (broken, says) in [
        (format!("{TRADER}\nfunction on_book(\n"), "trader.luau:"),
        (TRADER.replace("n = old.n or 0", "error(\"not today\")"), "not today"),
        (
            TRADER.replace("name = \"trader\",", "name = \"trader\", instruments = { \"XYZ\" },"),
            "XYZ",
        ),
    ] {
        std::fs::write(place.script(), broken).unwrap();
        let status = server.wait_until(|status| notice(status, says));
        assert_eq!(hash(&status), hash(&second), "the version that runs stays");
    }
    let first_hash = hash(&first).as_str().unwrap()[..10].to_owned();
    assert!(place.tercel(&["ctl", "rollback", &first_hash]).status.success());
    let back = server.wait_until(|status| status["strategies"][0]["generation"] == 3);
    assert_eq!(hash(&back), hash(&first));
    assert!(place.tercel(&["ctl", "set", "quantity=0.02"]).status.success());
    let wrong = place.tercel(&["ctl", "set", "quantity=7"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("0.001"), "{wrong:?}");
    server.wait_until(|status| {
        let orders = status["orders"].as_array().unwrap();
        orders.iter().any(|order| order["quantity"] == "0.020")
    });
    assert_eq!(server.stop("-TERM"), Some(0));
    let replayed = place.json(&["replay", "latest", "--json"]);
    assert_eq!((&replayed["identical"], &replayed["stopped"]), (&json!(true), &json!(null)));
}

/// Any script that was saved in the folder used to bring back the version that somebody had gone back
/// from.
#[test]
fn another_file_does_not_undo_a_rollback() {
    let place = Place::new(TRADER, "20.0");
    let mut server = place.start();
    let first = server.wait_until(|status| status["seq"].as_u64() > Some(100));
    std::fs::write(place.script(), format!("{TRADER}\n-- another version\n")).unwrap();
    server.wait_until(|status| status["strategies"][0]["generation"] == 2);
    let hash = first["strategies"][0]["hash"].as_str().unwrap();
    assert!(place.tercel(&["ctl", "rollback", hash]).status.success());
    let path = place.path("other.luau");
    for n in 0..3 {
        std::fs::write(&path, format!("-- {n}")).unwrap();
        std::thread::sleep(Duration::from_millis(700));
    }
    let status = server.status().unwrap();
    let own = &status["strategies"][0];
    assert_eq!((&own["generation"], own["hash"].as_str()), (&json!(3), Some(hash)));
    std::fs::write(place.script(), format!("{TRADER}\n-- a third version\n")).unwrap();
    server.wait_until(|status| status["strategies"][0]["generation"] == 4);
    assert_eq!(server.stop("-TERM"), Some(0));
}

/// Parameters that were set while another version ran in shadow used to be lost when it took over.
#[test]
fn parameters_are_not_set_while_another_version_is_on_its_way() {
    let place = Place::of(
        TRADER,
        "",
        "pace = 20.0",
        "[reload]\nshadow_events = 1000000000\n[[strategy]]\nscript = \"trader.luau\"\n",
    );
    let mut server = place.start();
    server.wait_until(|status| status["seq"].as_u64() > Some(100));
    assert!(place.tercel(&["ctl", "set", "quantity=0.02"]).status.success());
    std::fs::write(place.script(), format!("{TRADER}\n-- another version\n")).unwrap();
    let begun = Instant::now();
    let refused = loop {
        let answer = place.tercel(&["ctl", "set", "quantity=0.03"]);
        if !answer.status.success() {
            break answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "no version is on its way");
    };
    assert_eq!(refused.status.code(), Some(1));
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(text.contains("trader") && text.contains("shadow"), "{text}");
    assert_eq!(server.stop("-TERM"), Some(0));
}

/// Parameters that were set while a file was read and compiled were lost with the version before it. A pipe
/// in the place of the file keeps that moment for as long as it takes.
#[test]
fn parameters_that_are_set_while_a_file_is_read_are_the_next_versions() {
    let place = Place::of(
        TRADER,
        "",
        "pace = 20.0",
        "[reload]\nwatch = false\n[[strategy]]\nscript = \"trader.luau\"\n",
    );
    let mut server = place.start();
    std::fs::remove_file(place.script()).unwrap();
    let made = std::process::Command::new("mkfifo").arg(place.script()).status().unwrap();
    assert!(made.success());
    std::thread::scope(|scope| {
        let reload = scope.spawn(|| place.tercel(&["ctl", "reload"]));
        // It opens once somebody reads: the server has begun to.
        let mut pipe = std::fs::File::options().write(true).open(place.script()).unwrap();
        let set = place.tercel(&["ctl", "set", "quantity=0.02"]);
        assert!(set.status.success(), "{set:?}");
        pipe.write_all(TRADER.as_bytes()).unwrap();
        drop(pipe);
        let reloaded = reload.join().unwrap();
        assert!(reloaded.status.success(), "{reloaded:?}");
    });
    server.wait_until(|status| status["strategies"][0]["generation"] == 2);
    assert!(place.tercel(&["ctl", "kill"]).status.success());
    assert!(place.tercel(&["ctl", "resume"]).status.success());
    server.wait_until(|status| {
        let orders = status["orders"].as_array().unwrap();
        orders.iter().any(|own| own["quantity"].as_str().unwrap().starts_with("0.02"))
    });
    assert_eq!(server.stop("-TERM"), Some(0));
}

#[test]
fn an_order_is_traced_and_another_script_is_tried_on_the_same_market() {
    let place = Place::new(TRADER, "50.0");
    let mut server = place.start();
    let status = server.wait_until(|status| {
        let all = status["positions"].as_array().unwrap();
        all.first().is_some_and(|own| own["n_fills"].as_u64() > Some(12))
    });
    assert_eq!(status["run"], 1);
    assert_eq!(server.stop("-TERM"), Some(0));
    let traced = place.json(&["trace", "latest", "T1-1", "--json"]);
    let links: Vec<_> = traced["links"]
        .as_array()
        .unwrap()
        .iter()
        .map(|link| link["what"].as_str().unwrap().to_owned())
        .collect();
    let has = |text: &str| links.iter().any(|link| link.contains(text));
    assert_eq!(links[0], "a timer", "{links:?}");
    assert!(
        has("strategy trader places it, risk approves") && has("accepted") && has("filled 0.0"),
        "{links:?}"
    );
    assert_eq!(place.tercel(&["trace", "latest", "T1-999999"]).status.code(), Some(2));
    let placed = traced["links"].as_array().unwrap().iter();
    let placed: Vec<_> = placed.filter(|link| !link["script_line"].is_null()).collect();
    let own = &placed[0]["script_line"];
    assert!(placed[0]["what"].as_str().unwrap().contains("risk approves"), "{traced}");
    assert_eq!((&own["file"], &own["hook"]), (&json!("trader.luau"), &json!("on_timer")));
    let line = usize::try_from(own["line"].as_u64().unwrap()).unwrap();
    let text = TRADER.lines().nth(line - 1).unwrap();
    assert!(text.contains("buy(") || text.contains("sell("), "line {line}: {text}");
    assert_eq!(traced["lines_missing"], json!(null));
    let plain = place.json(&["trace", "latest", "T1-1", "--json", "--no-lines"]);
    assert_eq!(plain["links"][1]["script_line"], json!(null));

    let made = place.json(&["replay", "latest", "--set", "quantity=0.02", "--json"]);
    let versions = &made["versions"];
    let orders = |n: usize| versions[n]["orders"].as_u64().unwrap();
    assert!(orders(0) > 10 && orders(1) > 10, "{made}");
    assert_ne!(versions[0]["fees"], versions[1]["fees"], "{made}");
    assert_eq!(versions[0]["events"], versions[1]["events"], "{made}");
}

#[test]
fn a_script_that_fails_is_shown_as_stopped_until_a_better_one_comes() {
    let place =
        Place::new(&TRADER.replace("n += 1", "if n > 3 then error(\"enough\") end n += 1"), "50.0");
    let mut server = place.start();
    let status = server.wait_until(|status| status["strategies"][0]["is_running"] == false);
    let fault = status["strategies"][0]["fault"].as_str().unwrap().to_owned();
    assert!(fault.contains("enough") && fault.contains("trader.luau:"), "{fault}");
    std::fs::write(place.script(), TRADER).unwrap();
    let status = server.wait_until(|status| status["strategies"][0]["is_running"] == true);
    assert_eq!(status["strategies"][0]["fault"], json!(null));
    assert_eq!(server.stop("-TERM"), Some(0));
}

fn says(status: &serde_json::Value, level: &str, text: &str) -> bool {
    let all = status["notices"].as_array().unwrap();
    all.iter().any(|own| own["level"] == level && own["text"].as_str().unwrap().contains(text))
}

/// A start took every parameter from the configuration again, without a word: whoever had made a strategy's
/// orders smaller while it ran found them large again after a crash. A rollback was undone the same way.
#[test]
fn what_was_set_outlives_a_restart() {
    let place = Place::new(TRADER, "20.0");
    let mut server = place.start();
    let first = server.wait_until(|status| status["seq"].as_u64() > Some(100));
    std::fs::write(place.script(), format!("{TRADER}\n-- another version\n")).unwrap();
    server.wait_until(|status| status["strategies"][0]["generation"] == 2);
    let hash = first["strategies"][0]["hash"].as_str().unwrap();
    assert!(place.tercel(&["ctl", "rollback", &hash[..10]]).status.success());
    assert!(place.tercel(&["ctl", "set", "quantity=0.002"]).status.success());
    server.kill();

    let stays = "trader: quantity stays 0.002, as it was set";
    let mut server = place.start();
    let status = server.wait_until(|status| says(status, "info", stays));
    assert!(says(&status, "warn", "rolled back to version"), "{:#}", status["notices"]);
    server.wait_until(|status| {
        let orders = status["orders"].as_array().unwrap();
        orders.iter().any(|order| order["quantity"] == "0.002")
    });
    // Another version has it as well, and the start after the next.
    std::fs::write(place.script(), format!("{TRADER}\n-- a third version\n")).unwrap();
    server.wait_until(|status| status["strategies"][0]["generation"] == 2);
    assert_eq!(server.stop("-TERM"), Some(0));
    let mut server = place.start();
    let status = server.wait_until(|status| says(status, "info", stays));
    assert!(!says(&status, "warn", "rolled back"), "{:#}", status["notices"]);
    server.kill();

    // What is written in the configuration counts once somebody has written it.
    let config = std::fs::read_to_string(place.path("tercel.toml")).unwrap();
    std::fs::write(place.path("tercel.toml"), config + "params = { quantity = 0.03 }\n").unwrap();
    let mut server = place.start();
    let counts = "quantity had been set to 0.002; the configuration's parameters have changed";
    server.wait_until(|status| says(status, "warn", counts));
    server.wait_until(|status| {
        let orders = status["orders"].as_array().unwrap();
        orders.iter().any(|order| order["quantity"] == "0.030")
    });
    server.kill();
    let mut server = place.start();
    let status = server.wait_until(|status| status["seq"].as_u64() > Some(0));
    assert!(!says(&status, "warn", "had been set"), "{:#}", status["notices"]);
}
