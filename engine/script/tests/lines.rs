//! The line of a script that made an intent, noted when a run is executed again.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;

use support::{Rig, check, instrument};
use tercel_core::{
    Command, Event, Intent, RejectReason, ReportKind, Signal, StrategyId, StrategyPlace,
};
use tercel_script::{
    Binding, Hook, Language, Limits, LineNotes, NotedCall, Script, ScriptLine, Source,
};

/// Puts a version that notes its lines into the strategy's place, and starts it.
fn noted(rig: &mut Rig, script: &Script, reload: bool) -> LineNotes {
    let notes = LineNotes::new();
    let (manifest, instruments) = (script.manifest(), vec![instrument(0, "BTCUSDT")]);
    let wanted = manifest.series(&instruments).unwrap();
    let binding = Binding {
        instruments: instruments.clone(),
        series: rig.engine.series_ids(&wanted).unwrap(),
        params: manifest.params([]).unwrap(),
        seed: 7,
        reload,
    };
    let place = StrategyPlace {
        instruments: instruments.iter().map(|instrument| instrument.id).collect(),
        interest: manifest.interest(),
        series: wanted,
    };
    let strategy = script.instantiate_noted(binding, &notes).unwrap();
    rig.engine.replace_strategy(StrategyId(0), &place, Box::new(strategy)).unwrap();
    rig.handle(&Event::Command(Command::Start(StrategyId(0))));
    notes
}

fn rig_of(script: &Script) -> (Rig, LineNotes) {
    let mut rig = Rig::new(&[(script, &[])], &["BTCUSDT"]);
    let notes = noted(&mut rig, script, false);
    (rig, notes)
}

fn quote(rig: &mut Rig, qty: i64) {
    rig.book(0, &[(1_000, qty)], &[(1_002, 5)]);
}

/// Hook and line of every intent.
fn lines(calls: &[NotedCall]) -> Vec<(Option<Hook>, Option<String>)> {
    let of = |call: &NotedCall| {
        let lines = call.intents.iter().map(|noted| noted.line.as_ref().map(ToString::to_string));
        lines.map(|line| (call.hook, line)).collect::<Vec<_>>()
    };
    calls.iter().flat_map(of).collect()
}

fn at(hook: Hook, line: &str) -> (Option<Hook>, Option<String>) {
    (Some(hook), Some(line.to_owned()))
}

/// Every function that makes an intent, each on a line of its own; the `n`th wish on line 3 + n.
const WISHES: [(Language, &str); 2] = [
    (
        Language::Luau,
        r#"strategy { name = "wishes" }
local id
function on_signal()
    id = buy(0.01, 99.0)
    sell(0.01, 101.0, { post_only = true })
    market_buy(0.01)
    market_sell(0.01)
    buy(0.0100001, 99.0)
    replace(id, 98.0, 0.01)
    cancel(id)
    cancel_all()
    set_timer("once", 5)
    cancel_timer("once")
    remember("key", 1)
    log("line")
    plot("series", 1)
    mark("label", 1)
end
function on_book() end"#,
    ),
    (
        Language::Rhai,
        r#"strategy(#{ name: "wishes" });
//
fn on_signal(name, text) {
    let id = buy(0.01, 99.0);
    sell(0.01, 101.0, #{ post_only: true });
    market_buy(0.01);
    market_sell(0.01);
    buy(0.0100001, 99.0);
    replace(id, 98.0, 0.01);
    cancel(id);
    cancel_all();
    set_timer("once", 5);
    cancel_timer("once");
    remember("key", 1);
    log("line");
    plot("series", 1);
    mark("label", 1);
}
fn on_book(bid, bid_qty, ask, ask_qty) { }"#,
    ),
];

#[test]
fn every_function_that_wishes_tells_its_line() {
    for (language, text) in WISHES {
        let script = check(language, text).unwrap();
        let (mut rig, notes) = rig_of(&script);
        quote(&mut rig, 5);
        assert!(lines(&notes.take()).is_empty(), "{language:?}: nothing was wished");
        let text = String::new();
        let signal = Signal { strategy: StrategyId(0), name: "go".to_owned(), text };
        rig.handle(&Event::Signal(signal.into()));
        let calls = notes.take();
        let file = &script.source().file;
        // A plot is named before its first point.
        let numbers = [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 16, 17];
        let expected: Vec<_> =
            numbers.iter().map(|n| at(Hook::Signal, &format!("{file}:{n}"))).collect();
        assert_eq!(lines(&calls[..1]), expected, "{language:?}");
        assert_eq!(calls[0].strategy, StrategyId(0));
        let begin = ScriptLine { file: file.clone(), line: 3 };
        assert_eq!(calls[0].begins, Some(begin), "{language:?}");
        assert!(matches!(calls[0].intents[4].intent, Intent::Unrepresentable { .. }));
    }
}

/// Helpers, timers, reports; the first line is 1.
const CALLS: [(Language, &str); 2] = [
    (
        Language::Luau,
        r#"strategy { name = "calls", timers = { beat = 1000 } }
local function enter(price)
    return buy(0.01, price)
end
local function deeper(price)
    local id = enter(price)
    return id
end
function on_init()
    set_timer("own", 50)
end
function on_book(bid)
    deeper(bid)
end
function on_timer(name)
    if name == "own" then
        sell(0.01, 101.0)
    end
end
function on_order(id, status)
    if status == "rejected" then pcall(function()
        buy(0.02, 90.0)
    end) end
end"#,
    ),
    (
        Language::Rhai,
        r#"strategy(#{ name: "calls", timers: #{ beat: 1000 } });
fn enter(price) {
    return buy(0.01, price);
}
fn deeper(price) {
    let id = enter(price);
    return id;
}
fn on_init() {
    set_timer("own", 50);
}
fn on_book(bid, bid_qty, ask, ask_qty) {
    deeper(bid);
}
fn on_timer(name) {
    if name == "own" {
        sell(0.01, 101.0);
    }
}
fn on_order(id, status, reason) {
    if status == "rejected" { try {
        buy(0.02, 90.0);
    } catch { } }
}"#,
    ),
];

#[test]
fn the_line_is_the_innermost_of_the_script_in_every_hook() {
    for (language, text) in CALLS {
        let script = check(language, text).unwrap();
        let (mut rig, notes) = rig_of(&script);
        let file = &script.source().file;
        let line = |hook, n: u32| at(hook, &format!("{file}:{n}"));
        // The declared timer beats already, since the first start; else it had no line.
        assert_eq!(lines(&notes.take()), [line(Hook::Init, 10)], "{language:?}");
        quote(&mut rig, 5);
        assert_eq!(lines(&notes.take()), [line(Hook::Book, 3)], "{language:?}");
        let (order, _) = rig.placed()[0];
        rig.report(order, ReportKind::Rejected(RejectReason::Other));
        assert_eq!(lines(&notes.take()), [line(Hook::Order, 22)], "{language:?}");
        rig.now = rig.now.plus(60 * tercel_core::Nanos::MILLI);
        rig.handle(&Event::Timer);
        assert_eq!(lines(&notes.take()), [line(Hook::Timer, 17)], "{language:?}");
    }
}

#[test]
fn timers_of_the_declaration_are_of_no_line() {
    for (language, text) in CALLS {
        let renamed = text.replace("beat", "pulse");
        let (old, script) = (check(language, text).unwrap(), check(language, &renamed).unwrap());
        let mut rig = Rig::new(&[(&old, &[])], &["BTCUSDT"]);
        let notes = noted(&mut rig, &script, false);
        let file = &script.source().file;
        let expected = [(Some(Hook::Init), None), at(Hook::Init, &format!("{file}:10"))];
        assert_eq!(lines(&notes.take()), expected, "{language:?}");
    }
}

#[test]
fn a_module_tells_its_own_file() {
    let text = r#"strategy { name = "modular" }
local quoting = require("quoting")
function on_book(bid)
    quoting.quote(bid)
end
on_trade = quoting.on_trade"#;
    let module = r#"local quoting = {}

function quoting.quote(price)
    return buy(0.01, price)
end

function quoting.on_trade(price)
    sell(0.01, price)
end

return quoting"#;
    let source = Source {
        path: PathBuf::from("modular.luau"),
        file: "modular.luau".to_owned(),
        language: Language::Luau,
        text: text.to_owned(),
    };
    let modules = BTreeMap::from([("quoting".to_owned(), module.to_owned())]);
    let script = Script::recorded(source, modules, &Limits::of(Language::Luau)).unwrap();
    let (mut rig, notes) = rig_of(&script);
    quote(&mut rig, 5);
    let calls = notes.take();
    assert_eq!(lines(&calls), [at(Hook::Book, "quoting.luau:4")]);
    assert_eq!(calls[0].begins.as_ref().unwrap().to_string(), "modular.luau:3");
    rig.trade(0, tercel_core::Side::Buy, 1_001, 1);
    let calls = notes.take();
    assert_eq!(lines(&calls), [at(Hook::Trade, "quoting.luau:8")]);
    assert_eq!(calls[0].begins.as_ref().unwrap().to_string(), "quoting.luau:7");
}

#[test]
fn after_a_reload_the_line_is_that_of_the_new_version() {
    for (language, text) in CALLS {
        let (old, sign) = (
            check(language, text).unwrap(),
            match language {
                Language::Luau => "--",
                Language::Rhai => "//",
            },
        );
        let hook = match language {
            Language::Luau => "function on_reload(old)\n    buy(0.01, 95.0)\nend\n",
            Language::Rhai => "fn on_reload(old) {\n    buy(0.01, 95.0);\n}\n",
        };
        let new = check(language, &format!("{sign} moved down\n{text}\n{hook}")).unwrap();
        let (mut rig, before) = rig_of(&old);
        let notes = noted(&mut rig, &new, true);
        let file = &new.source().file;
        let n_lines = u32::try_from(text.lines().count()).unwrap();
        let expected = [at(Hook::Reload, &format!("{file}:{}", n_lines + 3))];
        assert_eq!(lines(&notes.take()), expected, "{language:?}");
        quote(&mut rig, 5);
        assert_eq!(lines(&notes.take()), [at(Hook::Book, &format!("{file}:4"))], "{language:?}");
        let of_old = lines(&before.take());
        assert_eq!(of_old, [at(Hook::Init, &format!("{file}:10"))], "the old one ran no more");
    }
}

/// Noting must not change what is noted, down to the memory that a call may use.
#[test]
fn a_noted_strategy_decides_what_the_other_decides() {
    for (language, text) in CALLS.into_iter().chain(WISHES) {
        let script = check(language, text).unwrap();
        let mut plain = Rig::new(&[(&script, &[])], &["BTCUSDT"]);
        plain.handle(&Event::Command(Command::Start(StrategyId(0))));
        let (mut rig, _notes) = rig_of(&script);
        for rig in [&mut plain, &mut rig] {
            (0..50).for_each(|n| quote(rig, 5 + n % 3));
        }
        assert_eq!(plain.engine.state_hash(), rig.engine.state_hash(), "{language:?}");
        assert_eq!(plain.drain(), rig.drain(), "{language:?}");
    }
}
