//! Several engines in one server.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use tercel_core::{Command, Event, OrderRequest, Scope, State};
use tercel_runtime::recover;
use tercel_store::journal::{Record, RecordedEffect};
use tercel_store::runs::{RunCatalog, RunFolder};
use tercel_testkit::Random;

use crate::exchange::Exchange;
use crate::rig::{Place, Server, TRADER, journal};

/// Two instruments, and a strategy for each.
const STRATEGIES: &str = r#"
[[strategy]]
script = "trader.luau"
name = "one"
symbols = ["BTCUSDT"]
[[strategy]]
script = "trader.luau"
name = "two"
symbols = ["ETHUSDT"]
"#;

const BY_INSTRUMENTS: &str = "engines = 2\ndeal = \"instruments\"";

fn feed(pace: &str) -> String {
    format!("symbols = [\"BTCUSDT\", \"ETHUSDT\"]\npace = {pace}")
}

fn two_engines(script: &str, pace: &str, rest: &str) -> Place {
    Place::of(script, BY_INSTRUMENTS, &feed(pace), &format!("{rest}{STRATEGIES}"))
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

fn fills(status: &Value, strategy: &str) -> u64 {
    let all = status["positions"].as_array().unwrap().iter();
    all.filter(|own| own["strategy"] == strategy).map(|own| number(&own["n_fills"])).sum()
}

fn both_trade(status: &Value) -> bool {
    fills(status, "one") > 3 && fills(status, "two") > 3
}

/// Sums a field over the engines of a status.
fn sum(status: &Value, of: impl Fn(&Value) -> u64) -> u64 {
    status["engines"].as_array().unwrap().iter().map(of).sum()
}

fn text(output: &std::process::Output) -> String {
    let said = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said));
    said.concat()
}

#[test]
fn two_engines_are_one_server() {
    let place = two_engines(TRADER, "50.0", "");
    let mut server = place.start();
    let status = server.wait_until(both_trade);
    let first_hash = status["strategies"][1]["hash"].as_str().unwrap().to_owned();
    let runs: Vec<_> =
        status["engines"].as_array().unwrap().iter().map(|own| &own["run"]).collect();
    assert_eq!(runs, [1, 2]);
    assert_eq!(number(&status["seq"]), sum(&status, |own| number(&own["seq"])));
    assert_eq!(
        number(&status["journal"]["n_records"]),
        sum(&status, |own| number(&own["journal"]["n_records"]))
    );
    let of = |name: &str, key: &str| {
        let all = status["positions"].as_array().unwrap().iter();
        all.filter(|own| own["strategy"] == name).map(|own| own[key].clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        (of("one", "symbol"), of("two", "symbol")),
        (vec!["BTCUSDT".into()], vec!["ETHUSDT".into()])
    );
    // Each follows its own instrument, and the whole has both.
    let live = |status: &Value| {
        let all = status["instruments"].as_array().unwrap();
        all.len() == 2 && all.iter().all(|own| own["is_live"] == true)
    };
    server.wait_until(live);
    let shown = text(&place.tercel(&["ctl", "status"]));
    assert!(
        shown.contains("engine 1 (run 1): Active") && shown.contains("engine 2 (run 2): Active"),
        "{shown}"
    );

    // Switches reach both, or the one that they are for.
    assert!(place.tercel(&["ctl", "kill"]).status.success());
    let is_halted = |own: &Value| own["state"] == "halted" && own["n_open_orders"] == 0;
    server.wait_until(|status| status["engines"].as_array().unwrap().iter().all(is_halted));
    assert!(place.tercel(&["ctl", "resume"]).status.success());
    assert!(place.tercel(&["ctl", "kill", "strategy:two"]).status.success());
    let status = server.wait_until(|status| status["strategies"][1]["state"] == "halted");
    assert_eq!(status["strategies"][0]["state"], "active");
    let (before, halted) = (fills(&status, "one"), fills(&status, "two"));
    let status = server.wait_until(|status| fills(status, "one") > before + 3);
    assert_eq!(fills(&status, "two"), halted);
    assert!(place.tercel(&["ctl", "resume", "strategy:two"]).status.success());
    let set = ["ctl", "set", "--strategy", "two", "quantity=0.02"];
    assert!(place.tercel(&set).status.success());
    server.wait_until(|status| {
        let orders = status["orders"].as_array().unwrap();
        orders.iter().any(|own| own["strategy"] == "two" && own["quantity"] == "0.020")
    });
    std::fs::write(place.script(), format!("{TRADER}\n-- another version\n")).unwrap();
    let reloaded = |own: &Value| own["generation"] == 2;
    let status =
        server.wait_until(|status| status["strategies"].as_array().unwrap().iter().all(reloaded));
    assert!(status["strategies"][1]["name"] == "two");
    assert!(place.tercel(&["ctl", "flatten"]).status.success());
    let is_flat = |own: &Value| own["quantity"] == "0";
    server.wait_until(|status| status["positions"].as_array().unwrap().iter().all(is_flat));
    assert_eq!(server.stop("-TERM"), Some(0));

    for run in ["1", "2"] {
        let replayed = place.json(&["replay", run, "--json"]);
        assert_eq!(replayed["identical"], true, "{replayed}");
        assert!(number(&replayed["events"]) > 100, "{replayed}");
        assert!(place.tercel(&["verify", run]).status.success());
        assert!(place.tercel(&["trace", run, &format!("T{run}-1")]).status.success());
    }
    let listed = place.json(&["runs", "--json"]);
    let listed: Vec<_> = listed["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|own| (number(&own["run"]), number(&own["first_run"]), number(&own["engine"])))
        .collect();
    assert_eq!(listed, [(1, 1, 1), (2, 1, 2)]);
    let shown = text(&place.tercel(&["runs"]));
    assert!(shown.contains(" 1/2 ") && shown.contains(" 2/2 "), "{shown}");
    let told = place.json(&["recover", "--dry-run", "--json"]);
    assert_eq!((&told["engines"][0]["run"], &told["engines"][1]["run"]), (&1.into(), &2.into()));
    // An earlier version comes back from the runs of its own engine.
    let mut server = place.start();
    let status = server.wait_until(both_trade);
    assert_eq!(number(&status["run"]), 3);
    let back = ["ctl", "rollback", "--strategy", "two", &first_hash[..12]];
    let output = place.tercel(&back);
    assert!(output.status.success(), "{}", text(&output));
    let status = server.wait_until(|status| status["strategies"][1]["hash"] == first_hash.as_str());
    assert_ne!(status["strategies"][0]["hash"], first_hash.as_str());
    assert_eq!(server.stop("-TERM"), Some(0));
}

/// Wants more orders open than it may have.
const GREEDY: &str = r#"
strategy { name = "greedy", timers = { beat = 200 } }
local n = 0
function on_timer(name)
    n += 1
    local best = bid()
    if not best then return end
    if n % 12 == 0 then cancel_all() end
    buy(0.001, best - 50 - n % 7)
end
"#;

#[test]
fn together_they_keep_to_the_limits_of_the_whole() {
    let limits = "[limits.account]\nopen_orders = 5\n[limits.engine]\nopen_orders = 7\n";
    let place = two_engines(GREEDY, "20.0", limits);
    let mut server = place.start();
    let (mut seen, mut n_full) = (BTreeSet::new(), 0);
    for _ in 0..60 {
        let status = server.wait_until(|_| true);
        let open: Vec<_> = status["engines"]
            .as_array()
            .unwrap()
            .iter()
            .map(|own| number(&own["n_open_orders"]))
            .collect();
        assert!(open[0] <= 3 && open[1] <= 2, "{open:?}");
        n_full += u32::from(number(&status["n_open_orders"]) == 5);
        let shares = status["limits"].as_array().unwrap().iter();
        seen.extend(shares.map(|own| {
            let text = |key: &str| own[key].as_str().unwrap().to_owned();
            (text("scope"), own["engine"].as_u64(), text("max"))
        }));
    }
    assert!(n_full > 5, "the limit is reached, {n_full} times");
    let share = |scope: &str, engine, max: &str| (scope.to_owned(), Some(engine), max.to_owned());
    let wanted = [
        share("account:main", 1, "3"),
        share("account:main", 2, "2"),
        share("engine", 1, "4"),
        share("engine", 2, "3"),
    ];
    assert_eq!(seen, BTreeSet::from(wanted));
    assert_eq!(server.stop("-TERM"), Some(0));
}

#[test]
fn what_cannot_be_dealt_is_refused_with_a_remedy() {
    let place = two_engines(TRADER, "50.0", "");
    let refused = |place: &Place, wanted: &[&str]| {
        let output = place.tercel(&["run", "--config", "tercel.toml"]);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(wanted.iter().all(|wanted| said.contains(wanted)), "{wanted:?}: {said}");
    };
    let checked = |place: &Place| text(&place.tercel(&["config", "check", "tercel.toml"]));
    let told = checked(&place);
    assert!(told.contains("engine 1   one\n") && told.contains("engine 2   two\n"), "{told}");
    let both = STRATEGIES.replace("symbols = [\"BTCUSDT\"]\n", "");
    place.configure(BY_INSTRUMENTS, &feed("50.0"), &both);
    let wanted = [
        "tercel.toml:",
        "run.deal: strategy one trades BTCUSDT and ETHUSDT",
        "deal = \"accounts\"",
    ];
    refused(&place, &wanted);
    assert!(checked(&place).contains(wanted[1]));
    place.configure("engines = 2", &feed("50.0"), STRATEGIES);
    refused(&place, &["run.engines: engine 2 of 2 has no strategy, dealt by accounts"]);
    place.configure("engines = 3\ndeal = \"instruments\"", &feed("50.0"), STRATEGIES);
    refused(&place, &["run.engines: engine 3 of 3 has no strategy, dealt by instruments"]);
    let small = format!("[limits.engine]\nopen_orders = 1\n{STRATEGIES}");
    place.configure(BY_INSTRUMENTS, &feed("50.0"), &small);
    refused(&place, &["run.engines: the limit open_orders of 1 cannot be split into 2"]);
    assert!(place.tercel(&["runs"]).status.success());
    assert!(!place.data().join("runs").exists(), "a refusal begins no run");

    // What two engines left is not for one, nor for two that were dealt otherwise.
    place.configure(BY_INSTRUMENTS, &feed("50.0"), STRATEGIES);
    let mut server = place.start();
    // Killed before anything that it did is on the disk it has done nothing.
    server.wait_until(|status| {
        let engines = status["engines"].as_array().unwrap();
        engines.iter().all(|own| own["journal"]["n_durable"].as_u64() > Some(50))
    });
    server.kill();
    place.configure("", &feed("50.0"), STRATEGIES);
    refused(&place, &["runs 1 to 2 had 2 engines dealt by instruments", "1 engine:", "--fresh"]);
    let accounts = "[[accounts]]\nname = \"a\"\n[[accounts]]\nname = \"b\"\n";
    let dealt = STRATEGIES
        .replace("name = \"one\"\n", "name = \"one\"\naccount = \"a\"\n")
        .replace("name = \"two\"\n", "name = \"two\"\naccount = \"b\"\n");
    place.configure("engines = 2", &feed("50.0"), &format!("{accounts}{dealt}"));
    refused(&place, &["had 2 engines dealt by instruments", "has 2 engines dealt by accounts"]);
    place.configure(BY_INSTRUMENTS, &feed("50.0"), &STRATEGIES.replace("\"two\"", "\"three\""));
    refused(&place, &["run 2 had the strategies [\"two on main\"]", "--fresh"]);
    // One of them is lost: it is not taken for a start that never came about.
    place.configure(BY_INSTRUMENTS, &feed("50.0"), STRATEGIES);
    let second = place.runs().pop().unwrap();
    std::fs::rename(&second, place.path("elsewhere")).unwrap();
    refused(
        &place,
        &["run 1 is one of 2 runs that belong together, from 1 on, and has traded", "--fresh"],
    );
}

/// Each on an engine of its own: an account, whatever its strategies trade.
#[test]
fn accounts_are_dealt_whole() {
    let accounts = "[[accounts]]\nname = \"a\"\nquote = \"1000\"\n[[accounts]]\nname = \"b\"\nquote = \
                    \"2000\"\n";
    let strategies = STRATEGIES
        .replace("symbols = [\"BTCUSDT\"]\n", "account = \"a\"\nparams = { quantity = 0.001 }\n")
        .replace("symbols = [\"ETHUSDT\"]\n", "account = \"b\"\nparams = { quantity = 0.001 }\n");
    let rest = format!("{accounts}{strategies}");
    let place = Place::of(TRADER, "engines = 2", &feed("50.0"), &rest);
    let mut server = place.start();
    let status = server.wait_until(both_trade);
    let equity =
        |n: usize| -> f64 { status["accounts"][n]["equity"].as_str().unwrap().parse().unwrap() };
    assert!((900.0..1_100.0).contains(&equity(0)), "{status:#}");
    assert!((1_900.0..2_100.0).contains(&equity(1)), "{status:#}");
    assert!(place.tercel(&["ctl", "kill", "account:b"]).status.success());
    let status = server.wait_until(|status| status["accounts"][1]["state"] == "halted");
    assert_eq!(status["accounts"][0]["state"], "active");
    assert_eq!(server.stop("-TERM"), Some(0));
}

/// Each engine has its own connection to the venue's market, and follows its own instruments.
#[test]
fn each_engine_follows_a_venue_by_itself() {
    let exchange = Exchange::start("BTCUSDT,ETHUSDT");
    let address = &exchange.address;
    let section = format!(
        "[exchange]\nenvironment = \"custom\"\nrest = \"http://{address}\"\nstreams = \
         \"ws://{address}\"\nprivate = \"ws://{address}\"\nsymbols = [\"BTCUSDT\", \"ETHUSDT\"]\n"
    );
    let rest = format!("{section}{STRATEGIES}");
    let place = Place::of(TRADER, BY_INSTRUMENTS, "kind = \"exchange\"", &rest);
    let mut server = place.start();
    let status = server.wait_until(both_trade);
    let live: Vec<_> =
        status["links"].as_array().unwrap().iter().map(|own| &own["is_up"]).collect();
    assert_eq!(live, [true, true]);
    assert_eq!(server.stop("-TERM"), Some(0));
    for run in ["1", "2"] {
        assert_eq!(place.json(&["replay", run, "--json"])["identical"], true);
        let dir = format!("out{run}");
        assert!(place.tercel(&["export", run, "--to", "csv", "--out", &dir]).status.success());
        let orders = std::fs::read_to_string(place.path(&dir).join("orders.csv")).unwrap();
        let (own, other) = if run == "1" { ("BTCUSDT", "ETHUSDT") } else { ("ETHUSDT", "BTCUSDT") };
        assert!(orders.contains(own) && !orders.contains(other), "{orders}");
    }
}

#[test]
fn a_market_that_ends_ends_for_all() {
    let place = two_engines(TRADER, "\"max\"", "");
    place.configure(BY_INSTRUMENTS, &format!("{}\nminutes = 2", feed("\"max\"")), STRATEGIES);
    let (exit, said) = place.spawn(&[]).wait("its market is over");
    assert_eq!(exit.code(), Some(0), "{said}");
    for run in ["run 1", "run 2"] {
        assert!(said.contains(&format!("{run} no more market data")), "{said}");
    }
}

/// Each engine reads the same files for what it follows. They go away while they are read in rounds: one
/// engine finds that out first, and the server ends with that.
#[test]
fn a_tape_is_followed_by_all_and_a_failure_ends_all() {
    let minutes = format!("{}\nminutes = 2", feed("\"max\""));
    let maker = Place::of(TRADER, "", &minutes, STRATEGIES);
    assert!(maker.tercel(&["run", "--config", "tercel.toml"]).status.success());
    let tape = "kind = \"tape\"\npaths = [\"market.tape\"]\nloop = true\npace = 200.0";
    let place = Place::of(TRADER, BY_INSTRUMENTS, tape, STRATEGIES);
    let taped = maker.data().join("runs/00000001/tape/00000001.tape");
    std::fs::copy(taped, place.path("market.tape")).unwrap();
    let mut server = place.start();
    server.wait_until(both_trade);
    std::fs::remove_file(place.path("market.tape")).unwrap();
    let (exit, said) = server.wait("its market is gone");
    assert_eq!(exit.code(), Some(3), "{said}");
    let of_engine = |n: u32| format!("error: engine {n} (run {n}): the feed failed: ");
    assert!([1, 2].iter().any(|n| said.contains(&of_engine(*n))), "{said}");
    assert!(said.contains("run 1 ") && said.contains("run 2 "), "both have ended: {said}");
    for run in ["1", "2"] {
        let replayed = place.json(&["replay", run, "--json"]);
        assert_eq!(replayed["identical"], true, "{replayed}");
    }
}

/// The script of one strategy fails when it is built with its parameters. The other engine does nothing,
/// the server says whose fault it was, and the next start goes on with what came before.
#[test]
fn one_engine_that_cannot_begin_calls_the_start_off() {
    let picky =
        format!("{TRADER}\nif param(\"quantity\") == 0.5 then error(\"not so many\") end\n");
    let place = two_engines(&picky, "50.0", "");
    let mut server = place.start();
    live(&mut server);
    assert_eq!(server.stop("-TERM"), Some(0));
    let wrong = format!("{STRATEGIES}params = {{ quantity = 0.5 }}\n");
    place.configure(BY_INSTRUMENTS, &feed("50.0"), &wrong);
    let output = place.tercel(&["run", "--config", "tercel.toml"]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("error: engine 2 (run 4): ") && said.contains("not so many"), "{said}");
    let other = "error: engine 1 (run 3): it did not start, because another engine could not";
    assert!(said.contains(other), "{said}");
    place.configure(BY_INSTRUMENTS, &feed("50.0"), STRATEGIES);
    let mut server = place.start();
    live(&mut server);
    assert_eq!(server.stop("-TERM"), Some(0));
    assert_eq!(audit(&place), (2, 1));
}

/// What a strategy holds and remembers.
fn left(state: &State) -> BTreeMap<String, (i64, String)> {
    let own = state.strategies.iter().map(|own| {
        let position: i64 = own.scope.positions.iter().map(|position| position.qty.0).sum();
        (own.name.clone(), (position, format!("{:?}", own.memory)))
    });
    own.collect()
}

/// Checks all starts of a folder: the runs of each replay identically, and each start begins, in every
/// engine, with what the last one that came about left. Returns how many came about, and how many were cut
/// off before.
fn audit(place: &Place) -> (usize, usize) {
    let mut starts: BTreeMap<u32, Vec<RunFolder>> = BTreeMap::new();
    for folder in RunCatalog::open(&place.data()).folders().unwrap() {
        starts.entry(folder.group().unwrap().first).or_default().push(folder);
    }
    let (mut n_whole, mut n_cut) = (0, 0);
    let mut last: BTreeMap<String, (i64, String)> = BTreeMap::new();
    let mut sent = BTreeSet::new();
    for (first, folders) in starts {
        let begun: Vec<_> = folders.iter().filter_map(begin_of).collect();
        if begun.len() < 2 {
            n_cut += 1;
            let acted = begun.iter().any(|(_, end)| end.last_seq.0 > 0);
            assert!(!acted, "start {first} was cut off and has acted");
            continue;
        }
        n_whole += 1;
        let mut now = BTreeMap::new();
        for (state, end) in &begun {
            for (name, begin) in left(state) {
                let before = last.get(&name).cloned();
                assert!(before.is_none_or(|before| before == begin), "start {first}: {name}");
            }
            now.extend(left(end.recovery.state()));
        }
        assert_eq!(now.len(), 2);
        last = now;
        for folder in &folders {
            assert!(folder.verify().unwrap().is_good(), "{folder:?}");
            let replayed = place.json(&["replay", &folder.number.to_string(), "--json"]);
            assert_eq!(replayed["identical"], true, "{folder:?}: {replayed}");
            for record in journal(&folder.path).records().unwrap() {
                let Record::Entry(entry) = record.unwrap().1 else { continue };
                for effect in entry.effects {
                    if let RecordedEffect::Send(OrderRequest::New { id, .. }) = effect {
                        assert!(sent.insert(id), "order {id} was sent twice");
                    }
                }
            }
        }
    }
    assert!(sent.len() > 10, "they trade: {}", sent.len());
    (n_whole, n_cut)
}

/// What a run began with and what it left, if it has begun.
fn begin_of(folder: &RunFolder) -> Option<(State, tercel_runtime::Recovered)> {
    if !folder.journal().exists() {
        return None;
    }
    let journal = journal(&folder.path);
    let state = journal.records().unwrap().find_map(|record| match record.unwrap().1 {
        Record::Snapshot { bytes, .. } => Some(tercel_store::state::decode(&bytes).unwrap()),
        _ => None,
    })?;
    Some((state, recover(&journal).unwrap()))
}

/// Waits until both engines have traded in this life.
fn live(server: &mut Server<'_>) {
    server.wait_until(|status| {
        let all = status["engines"].as_array().unwrap();
        all.iter().all(|own| number(&own["seq"]) > 200)
    });
}

/// Killed at random moments: every other life while it starts, the others while it trades.
#[test]
fn a_server_that_is_killed_goes_on_in_every_engine() {
    let place = two_engines(TRADER, "100.0", "");
    let mut random = Random::new(7);
    let kills = std::env::var("TERCEL_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(16);
    for n in 0..kills {
        let mut server = place.spawn(&[]);
        if n % 2 == 0 {
            server.wait_up();
        }
        let ms = u64::try_from(random.between(0, 400)).unwrap();
        std::thread::sleep(Duration::from_millis(ms));
        server.kill();
    }
    let mut server = place.start();
    live(&mut server);
    assert_eq!(server.stop("-TERM"), Some(0));
    let (n_whole, _) = audit(&place);
    assert!(n_whole >= kills / 4, "{n_whole} starts came about");
}

/// At each of these a process dies while it starts: some of its runs have begun, others have not, and none
/// has done anything; the next start goes on with what came before.
#[test]
fn a_start_that_is_cut_off_is_none() {
    if !tercel_crash::ENABLED {
        return;
    }
    let place = two_engines(TRADER, "100.0", "");
    let mut server = place.start();
    live(&mut server);
    server.kill();
    let wishes = [
        "predecessor.seal:1",
        "predecessor.sealed:1",
        "run.numbered:1",
        "run.folder:1",
        "run.folder:2",
        "journal.made:2",
        "journal.named:1",
        "journal.named:2",
        "begin.scripts:1",
        "begin.scripts:2",
        "begin.state:2",
        "begin.end:1",
        "begin.end:2",
        "strategies.start:1",
        "strategies.started:2",
    ];
    for (n, wish) in wishes.into_iter().enumerate() {
        let dying = place.spawn(&[(tercel_crash::VARIABLE, wish)]);
        let (exit, said) = dying.wait(wish);
        assert_eq!(exit.code(), None, "{wish} was not reached: {said}");
        // Now and then a life between two deaths.
        if n % 3 == 2 {
            let mut server = place.start();
            live(&mut server);
            server.kill();
        }
    }
    let mut server = place.start();
    live(&mut server);
    assert_eq!(server.stop("-TERM"), Some(0));
    let (n_whole, n_cut) = audit(&place);
    assert!(n_whole >= 7 && n_cut >= 6, "{n_whole} whole, {n_cut} cut off");
}

/// Of a loss limit that two engines share, one lost its half and kept what it held, while the other traded
/// on: together they could lose more than the limit and go on opening positions.
#[test]
fn a_shared_loss_limit_that_trips_on_one_engine_halts_all() {
    // The first fill's fee is more than the first engine's share; the second does not trade by itself.
    let rest = "[limits.engine]\ndaily_loss = \"0.002\"\n[[strategy]]\nscript = \"trader.luau\"\n\
                name = \"one\"\nsymbols = [\"BTCUSDT\"]\n[[strategy]]\nscript = \"idle.luau\"\n\
                name = \"two\"\nsymbols = [\"ETHUSDT\"]\n";
    let place = Place::of(TRADER, BY_INSTRUMENTS, &feed("50.0"), rest);
    let idle = "strategy { name = \"idle\" }\nfunction on_trade(price, qty, side, time) end\n";
    std::fs::write(place.path("idle.luau"), idle).unwrap();
    let mut server = place.start();
    server.wait_until(|status| {
        status["engines"].as_array().unwrap().iter().all(|own| own["state"] == "halted")
    });
    assert_eq!(server.stop("-TERM"), Some(0));
    // The command that halted the other is on its record, and its run is executed again with it.
    let halts = |run: usize| {
        let records = journal(&place.runs()[run]).records().unwrap();
        let is_halt = |record: Record| match record {
            Record::Entry(entry) => {
                entry.event == Some(Event::Command(Command::Halt(Scope::Engine)))
            }
            _ => false,
        };
        records.filter(|own| is_halt(own.as_ref().unwrap().1.clone())).count()
    };
    assert_eq!((halts(0), halts(1)), (0, 1));
    for run in ["1", "2"] {
        assert_eq!(place.json(&["replay", run, "--json"])["identical"], true);
    }
}
