//! How a server starts and ends.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::rig::{Place, TRADER, journal};

#[test]
fn a_server_that_is_asked_to_stop_seals_its_run() {
    let place = Place::new(TRADER, "100.0");
    for signal in ["-TERM", "-INT"] {
        let mut server = place.start();
        server.wait_until(|status| status["seq"].as_u64() > Some(2_000));
        assert_eq!(server.stop(signal), Some(0));
    }
    let runs = place.runs();
    assert!(runs.iter().all(|run| journal(run).is_sealed()));
    let replayed = place.json(&["replay", "latest", "--json"]);
    assert_eq!((&replayed["identical"], &replayed["stopped"]), (&json!(true), &json!(null)));
}

/// Buys in its first run, and in later ones closes what it holds, reducing only.
const CLOSER: &str = r#"
strategy { name = "closer", timers = { beat = 500 } }
function on_timer(name)
    if not recall("bought") then
        market_buy(0.05)
        remember("bought", true)
    elseif remembered_before and position() > 0 then
        market_sell(position(), "reduce_only")
    end
end
remembered_before = false
function on_init() remembered_before = recall("bought") == true end
"#;

/// Whether anything is held.
fn holds(status: &Value) -> bool {
    let positions = status["positions"].as_array().into_iter().flatten();
    let mut quantities = positions.filter_map(|own| own["quantity"].as_str());
    quantities.any(|text| text.contains(|c| ('1'..='9').contains(&c)))
}

/// The simulated venue of a new process held nothing, whatever the account did: it refused to reduce
/// a position that was carried over, so a strategy could not close it.
#[test]
fn a_position_that_is_carried_over_can_be_reduced() {
    let place = Place::new(CLOSER, "20.0");
    let mut server = place.start();
    server.wait_until(holds);
    assert_eq!(server.stop("-TERM"), Some(0));
    let mut server = place.start();
    server.wait_until(|status| !holds(status));
    assert_eq!(server.stop("-TERM"), Some(0));
}

#[test]
fn two_servers_do_not_share_a_folder() {
    let place = Place::new(TRADER, "10.0");
    let server = place.start();
    let second = place.tercel(&["run", "--config", "tercel.toml"]);
    assert_eq!(second.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&second.stderr).contains("data"), "{second:?}");
    assert_eq!(server.stop("-TERM"), Some(0));
}

/// A port that was taken used to be noticed once the engine traded: the run was cut off in its middle, and
/// again at every restart.
#[test]
fn what_a_start_can_be_refused_for_is_known_before_anything_is_traded() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = Place::new(TRADER, "50.0");
    let config = std::fs::read_to_string(place.path("tercel.toml")).unwrap();
    let address = taken.local_addr().unwrap();
    let other = config.replace("listen = \"off\"", &format!("listen = \"{address}\""));
    std::fs::write(place.path("tercel.toml"), other).unwrap();
    let refused = place.tercel(&["run", "--config", "tercel.toml"]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(3), "{text}");
    assert!(text.contains(&address.to_string()) && text.contains("metrics.listen"), "{text}");
    let left = place.tercel(&["recover", "--dry-run"]);
    let text = String::from_utf8_lossy(&left.stdout).into_owned();
    assert!(text.contains("run 1 was cut off, at event 0;"), "{text}");
    std::fs::write(place.path("tercel.toml"), config).unwrap();
    assert_eq!(place.start().stop("-TERM"), Some(0));
}

/// Whatever lay where the control socket was to be used to be deleted.
#[test]
fn a_file_in_the_place_of_the_control_socket_stays() {
    let place = Place::of(
        TRADER,
        "",
        "pace = 50.0",
        "[control]\nsocket = \"notes.txt\"\n[[strategy]]\nscript = \"trader.luau\"\n",
    );
    std::fs::write(place.path("notes.txt"), "mine").unwrap();
    let refused = place.tercel(&["run", "--config", "tercel.toml"]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{text}");
    assert!(text.contains("notes.txt") && text.contains("[control] socket"), "{text}");
    assert_eq!(std::fs::read_to_string(place.path("notes.txt")).unwrap(), "mine");
}

#[test]
fn another_configuration_does_not_silently_lose_what_was_held() {
    let place = Place::new(TRADER, "50.0");
    place.start().kill();
    let config = std::fs::read_to_string(place.path("tercel.toml")).unwrap();
    let other = config.replace("[[strategy]]", "[[strategy]]\nname = \"other\"");
    std::fs::write(place.path("tercel.toml"), other).unwrap();
    let n_entries = || std::fs::read_dir(place.data().join("runs")).unwrap().count();
    let before = n_entries();
    let refused = place.tercel(&["run", "--config", "tercel.toml"]);
    assert_eq!(n_entries(), before, "a refusal begins no run");
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{text}");
    assert!(
        text.contains("trader") && text.contains("other") && text.contains("--fresh"),
        "{text}"
    );
}

/// A server that was stopped, or hung, was waited for without end, by `ctl kill` as well.
#[test]
fn a_server_that_does_not_answer_is_told_from_one_that_refuses() {
    let place = Place::new(TRADER, "20.0");
    let mut server = place.start();
    server.signal("-STOP");
    std::thread::scope(|scope| {
        for (command, is_asked) in [("status", false), ("kill", true)] {
            let place = &place;
            scope.spawn(move || {
                let output = place.tercel(&["ctl", command]);
                let text = String::from_utf8_lossy(&output.stderr).into_owned();
                assert_eq!(output.status.code(), Some(3), "{text}");
                assert!(text.contains("no answer within"), "{text}");
                assert_eq!(text.contains("asked, but not confirmed"), is_asked, "{text}");
            });
        }
    });
    server.signal("-CONT");
    server.wait_until(|status| status["state"] == "halted");
    assert_eq!(server.stop("-TERM"), Some(0));
}

/// `ctl stop` said "done" while the server still sealed its run: a start right after it was refused.
#[test]
fn a_server_that_was_told_to_stop_has_ended() {
    let place = Place::new(TRADER, "100.0");
    for _ in 0..3 {
        let server = place.start();
        let output = place.tercel(&["ctl", "stop"]);
        assert!(output.status.success(), "{output:?}");
        assert!(tercel_store::runs::RunCatalog::open(&place.data()).lock().is_ok(), "still locked");
        assert_eq!(server.stop("-0"), Some(0));
    }
}

#[test]
fn commands_reach_the_engine_and_its_answers_the_user() {
    let place = Place::new(TRADER, "20.0");
    let mut server = place.start();
    assert!(place.tercel(&["ctl", "kill"]).status.success());
    server.wait_until(|status| status["state"] == "halted" && status["n_open_orders"] == 0);
    assert!(place.tercel(&["ctl", "resume", "engine"]).status.success());
    assert!(place.tercel(&["ctl", "pause", "strategy:trader"]).status.success());
    server.wait_until(|status| status["strategies"][0]["state"] == "reducing");
    assert!(place.tercel(&["ctl", "resume", "strategy:trader"]).status.success());
    server.wait_until(holds);
    assert!(place.tercel(&["ctl", "flatten"]).status.success());
    server.wait_until(|status| !holds(status));
    let refused = place.tercel(&["ctl", "kill", "strategy:nobody"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("trader"), "it says who there is");
    for what in ["positions", "orders"] {
        let own = place.json(&["ctl", what, "--json"]);
        assert!(own[what].is_array() && own.as_object().unwrap().len() == 1, "{own}");
    }
    let paused = place.json(&["ctl", "pause", "--json"]);
    assert_eq!(paused, json!({ "done": null }));
    let set = place.json(&["ctl", "set", "quantity=0.02", "--json"]);
    assert_eq!(set, json!({ "done": "trader: quantity = 0.02" }));
    assert!(place.tercel(&["ctl", "stop"]).status.success());
    assert_eq!(server.stop("-0"), Some(0));
    // Nothing is changed by it, with or without --dry-run.
    let plain = place.json(&["recover", "--json"]);
    assert_eq!(plain, place.json(&["recover", "--dry-run", "--json"]));
    assert_eq!(plain["run"], 1);
    let gone = place.tercel(&["ctl", "status"]);
    assert_eq!(gone.status.code(), Some(2));
}
