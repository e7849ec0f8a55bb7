//! Bound indicators: the host feeds them, the hook gets their values, in both languages alike.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use support::Rig;
use tercel_core::{Effect, Notice};
use tercel_script::Language;

/// The bound indicators and ones that the script feeds itself, value by value.
const LUAU: &str = r#"
    strategy { name = "bound", bars = { "1m", "2m" } }
    bind(ema(3), "ema")
    bind(atr(2))
    bind(ema(2), "slow", 1)
    local own, range, slow = ema(3), atr(2), ema(2)
    local slow_value = nil
    function on_bar(o, h, l, c, v, time, ema_value, atr_value, other)
        if bar_series() == 1 then
            slow_value = update(slow, c)
        else
            assert(ema_value == update(own, c))
            assert(atr_value == update_bar(range, o, h, l, c, v))
        end
        assert(other == slow_value)
        log(`{ema_value} {other}`)
    end
"#;

const RHAI: &str = r#"
    strategy(#{ name: "bound", bars: ["1m", "2m"] });
    bind(ema(3), "ema");
    bind(atr(2));
    bind(ema(2), "slow", 1);
    let state = #{ own: ema(3), range: atr(2), slow: ema(2), slow_value: () };
    fn on_bar(o, h, l, c, v, time, ema_value, atr_value, other) {
        if bar_series() == 1 {
            this.slow_value = update(this.slow, c);
        } else {
            if ema_value != update(this.own, c) { throw "ema"; }
            if atr_value != update_bar(this.range, o, h, l, c, v) { throw "atr"; }
        }
        if other != this.slow_value { throw "other"; }
        log("" + if ema_value == () { "nil" } else { `${ema_value}` });
    }
"#;

fn draws(language: Language, text: &str) -> Vec<String> {
    let script = support::check(language, text).unwrap();
    let mut rig = Rig::new(&[(&script, &[])], &["BTCUSDT"]);
    let mut random = tercel_testkit::Random::new(1);
    for minute in 1..=40 {
        rig.now = tercel_core::Nanos(minute * 60_000_000_000);
        rig.bar(0, random.between(900, 1_100));
    }
    let effects = rig.drain();
    let fault =
        effects.iter().find(|effect| matches!(effect, Effect::Notice(Notice::Fault { .. })));
    assert!(fault.is_none(), "{fault:?}");
    let drawn = effects.iter().filter(|effect| {
        matches!(effect, Effect::Notice(Notice::Draw { .. } | Notice::NamePlot { .. }))
    });
    drawn.map(|effect| format!("{effect:?}")).collect()
}

#[test]
fn values_are_those_of_feeding_by_hand_and_are_plotted() {
    let luau = draws(Language::Luau, LUAU);
    assert_eq!(luau, draws(Language::Rhai, RHAI));
    // Two names, 38 values of the one, 19 of the other after its warm-up.
    assert_eq!(luau.len(), 2 + 38 + 19);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let error = |text: &str| {
        let text = format!("strategy {{ name = 'x', bars = '1m' }} {text}");
        support::check(Language::Luau, &text).unwrap_err().to_string()
    };
    assert!(error("bind(7) function on_bar() end").contains("7 is not an indicator"));
    assert!(error("bind(bind(ema(2)))").contains("bound already"));
    assert!(error("for _ = 1, 9 do bind(ema(2)) end").contains("more than 8"));
    assert!(error("update(bind(ema(2)), 1)").contains("it is fed with bars"));
    let arity = "strategy(#{ name: \"x\", bars: \"1m\" }); bind(ema(2));
        fn on_bar(open, high, low, close, volume, time) {}";
    let error = support::check(Language::Rhai, arity).unwrap_err().to_string();
    assert!(error.contains("takes 7 arguments"), "{error}");
}
