//! Another version of a script takes over between two events; parameters change without one.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use support::{Rig, check, instrument};
use tercel_core::{Command, Effect, Event, Nanos, StrategyId, StrategyPlace, Value};
use tercel_script::{Binding, Language, Script};

const OLD: [&str; 2] = [
    r#"
    strategy { name = "counter", params = { { name = "step", kind = "integer", default = 1, min = 1, max = 9, doc = "How far." } } }
    local n = 0
    function on_init() set_timer("beat", 600000) end
    function on_book()
        n += param("step")
        remember("n", n)
    end
    "#,
    r#"
    strategy(#{ name: "counter", params: [#{ name: "step", kind: "integer", "default": 1, min: 1, max: 9, doc: "How far." }] });
    fn on_init() { this.n = 0; set_timer("beat", 600000); }
    fn on_book(bid, bid_qty, ask, ask_qty) {
        this.n += param("step");
        remember("n", this.n);
    }
    "#,
];

const NEW: [&str; 2] = [
    r#"
    strategy { name = "counter", bars = { "1m" }, params = { { name = "step", kind = "integer", default = 100, min = 1, max = 900, doc = "How far." } } }
    local n = 0
    function on_init() log("never: it is not the first version") end
    function on_reload(old) n = old.n end
    function on_book() n += param("step") remember("n", n) end
    function on_bar(bar) log("bar") end
    "#,
    r#"
    strategy(#{ name: "counter", bars: ["1m"], params: [#{ name: "step", kind: "integer", "default": 100, min: 1, max: 900, doc: "How far." }] });
    fn on_init() { log("never: it is not the first version"); }
    fn on_reload(old) { this.n = old.n; }
    fn on_book(bid, bid_qty, ask, ask_qty) { this.n += param("step"); remember("n", this.n); }
    fn on_bar(open, high, low, close, volume, time) { log("bar"); }
    "#,
];

/// What it counts; Luau's numbers are floats.
fn remembered(rig: &Rig) -> Option<f64> {
    Some(match rig.engine.state().strategies[0].memory.get("n")? {
        Value::Float(bits) => f64::from_bits(*bits),
        Value::Integer(n) => f64::from(i32::try_from(*n).unwrap()),
        other => panic!("{other:?}"),
    })
}

/// Puts a version in the place of the running one.
fn take_over(rig: &mut Rig, script: &Script) {
    let manifest = script.manifest();
    let instruments = vec![instrument(0, "BTCUSDT")];
    let wanted = manifest.series(&instruments).unwrap();
    let series = rig.engine.series_ids(&wanted).unwrap();
    let place = StrategyPlace {
        instruments: instruments.iter().map(|instrument| instrument.id).collect(),
        interest: manifest.interest(),
        series: wanted,
    };
    let params = manifest.params([]).unwrap();
    let binding = Binding { instruments, series, params, seed: 7, reload: true };
    let strategy = script.instantiate(binding).unwrap();
    rig.engine.replace_strategy(StrategyId(0), &place, Box::new(strategy)).unwrap();
    rig.handle(&Event::Command(Command::Start(StrategyId(0))));
}

#[test]
fn a_new_version_goes_on_with_what_the_old_one_remembered() {
    for (language, old, new) in [(Language::Luau, OLD[0], NEW[0]), (Language::Rhai, OLD[1], NEW[1])]
    {
        let (old, new) = (check(language, old).unwrap(), check(language, new).unwrap());
        let mut rig = Rig::new(&[(&old, &[])], &["BTCUSDT"]);
        rig.book(0, &[(1_000, 5)], &[(1_002, 5)]);
        rig.book(0, &[(1_000, 6)], &[(1_002, 5)]);
        assert_eq!(remembered(&rig), Some(2.0), "{language:?}");
        take_over(&mut rig, &new);
        assert!(rig.engine.state().strategies[0].timers.get("beat").is_some(), "timers stay");
        rig.book(0, &[(1_000, 7)], &[(1_002, 5)]);
        assert_eq!(remembered(&rig), Some(102.0), "{language:?}");
        rig.trade(0, tercel_core::Side::Buy, 1_001, 1);
        rig.now = rig.now.plus(2 * Nanos::MINUTE);
        rig.handle(&Event::Timer);
        assert_eq!(rig.log(), ["bar"], "{language:?}: bars that the old one had not");
        assert!(rig.engine.state().strategies[0].is_running);
    }
}

#[test]
fn parameters_change_between_two_events_and_nothing_else_does() {
    for (language, text) in [(Language::Luau, OLD[0]), (Language::Rhai, OLD[1])] {
        let script = check(language, text).unwrap();
        let mut rig = Rig::new(&[(&script, &[])], &["BTCUSDT"]);
        rig.book(0, &[(1_000, 5)], &[(1_002, 5)]);
        let values = [("step".into(), Value::Integer(7))].into_iter().collect();
        rig.handle(&Event::Command(Command::SetParams(StrategyId(0), values)));
        rig.book(0, &[(1_000, 6)], &[(1_002, 5)]);
        assert_eq!(remembered(&rig), Some(8.0), "{language:?}");
    }
}

#[test]
fn timers_are_told_so_that_they_outlive_the_process() {
    let script = check(Language::Luau, OLD[0]).unwrap();
    let mut rig = Rig::new(&[(&script, &[])], &["BTCUSDT"]);
    let effects = rig.drain();
    let timer = effects.iter().find_map(|effect| match effect {
        Effect::SetTimer { timer, .. } => Some(timer),
        _ => None,
    });
    let timer = timer.unwrap();
    assert_eq!(&*timer.name, "beat");
    assert_eq!(rig.engine.state().strategies[0].timers.next_at(), Some(timer.at));
}
