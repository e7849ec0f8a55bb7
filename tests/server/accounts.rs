//! Several accounts on one engine.

use serde_json::Value;

use crate::rig::{Place, TRADER};

const TWO: &str = r#"
[[accounts]]
name = "alpha"
quote = "50000"
[[accounts]]
name = "beta"
quote = "7000"
limits = { open_orders = 2 }
[[strategy]]
script = "trader.luau"
name = "one"
account = "alpha"
[[strategy]]
script = "trader.luau"
name = "two"
account = "beta"
params = { quantity = 0.002 }
"#;

fn two_accounts() -> Place {
    Place::of(TRADER, "", "pace = 50.0", TWO)
}

fn named<'a>(status: &'a Value, list: &str, name: &str) -> &'a Value {
    let all = status[list].as_array().unwrap();
    all.iter().find(|own| own["name"] == name).unwrap()
}

fn fills(status: &Value, account: &str) -> u64 {
    let all = status["positions"].as_array().unwrap().iter();
    all.filter(|own| own["account"] == account).map(|own| own["n_fills"].as_u64().unwrap()).sum()
}

#[test]
fn each_account_has_its_own_money_limits_and_switch() {
    let place = two_accounts();
    let mut server = place.start();
    let status =
        server.wait_until(|status| fills(status, "alpha") > 3 && fills(status, "beta") > 3);
    assert_eq!(named(&status, "strategies", "one")["account"], "alpha");
    let equity = |name: &str| -> f64 {
        named(&status, "accounts", name)["equity"].as_str().unwrap().parse().unwrap()
    };
    assert!((40_000.0..60_000.0).contains(&equity("alpha")), "{status:#}");
    assert!((6_000.0..8_000.0).contains(&equity("beta")), "{status:#}");
    assert!(place.tercel(&["ctl", "kill", "account:beta"]).status.success());
    let orders = |status: &Value, account: &str| {
        let all = status["orders"].as_array().unwrap().iter();
        all.filter(|own| own["account"] == account).count()
    };
    let status = server.wait_until(|status| orders(status, "beta") == 0);
    assert_eq!(named(&status, "accounts", "beta")["state"], "halted");
    assert_eq!(
        (&status["state"], &named(&status, "accounts", "alpha")["state"]),
        (&"active".into(), &"active".into())
    );
    let (before, halted) = (fills(&status, "alpha"), fills(&status, "beta"));
    let status = server.wait_until(|status| fills(status, "alpha") > before + 3);
    assert_eq!(fills(&status, "beta"), halted, "a halted account trades nothing");
    let shown = place.tercel(&["ctl", "positions"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("position two on beta BTCUSDT"), "{shown}");
    let refused = place.tercel(&["ctl", "kill", "account:gamma"]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && text.contains("alpha, beta"), "{text}");
    server.kill();
    // The next run goes on with both, and with the switch.
    let mut server = place.start();
    let status = server.wait_until(|status| fills(status, "alpha") > before + 8);
    assert_eq!(named(&status, "accounts", "beta")["state"], "halted");
    assert_eq!(fills(&status, "beta"), halted);
    assert_eq!(server.stop("-TERM"), Some(0));
    for run in ["1", "2"] {
        assert_eq!(place.json(&["replay", run, "--json"])["identical"], true);
    }
    let tried = place.json(&["replay", "2", "--set", "quantity=0.003", "--json"]);
    assert!(tried["versions"][1]["orders"].as_u64().unwrap() > 3, "{tried}");
}

#[test]
fn a_strategy_does_not_silently_change_its_account() {
    let place = two_accounts();
    place.start().kill();
    for (config, wanted) in [
        (TWO.replace("account = \"beta\"", "account = \"alpha\""), "two on beta"),
        (TWO.replace("\"beta\"", "\"gamma\""), "accounts [\"alpha\", \"beta\"]"),
    ] {
        place.configure("", "pace = 50.0", &config);
        let refused = place.tercel(&["run", "--config", "tercel.toml"]);
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{text}");
        assert!(text.contains(wanted) && text.contains("--fresh"), "{text}");
    }
}
