//! Luau strategies in a real engine.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use support::{Rig, check};
use tercel_core::{
    Event, Interest, MarketData, OrderKind, Price, Quantity, RejectReason, ReportKind, Side,
    Signal, StrategyId, TimeInForce,
};
use tercel_script::{BarLength, Hook, Language, Limits, ParamKind, Script, ScriptError};

fn luau(text: &str) -> Script {
    check(Language::Luau, text).unwrap()
}

fn refused(text: &str) -> String {
    check(Language::Luau, text).unwrap_err().to_string()
}

/// Runs `body` in `on_init` and returns what it logged.
fn logged(body: &str) -> Vec<String> {
    let script = luau(&format!(
        "strategy {{ name = 'test' }}\nfunction on_init()\n{body}\nend\nfunction on_book() end"
    ));
    Rig::new(&[(&script, &[])], &["BTCUSDT"]).log()
}

#[test]
fn a_manifest_tells_everything_before_the_script_runs() {
    let script = luau(
        r#"
        strategy {
            name = "sample",
            doc = "Shows a declaration.",
            instruments = { "BTCUSDT", "ETHUSDT" },
            depth = 5,
            bars = { "1m", { length = "100t", instrument = "ETHUSDT" } },
            history = 50,
            timers = { requote = 250 },
            params = {
                { name = "fast", kind = "integer", default = 5, min = 1, max = 200, doc = "Bars." },
                { name = "mode", kind = "choice", default = "a", choices = { "a", "b" } },
            },
        }
        function on_bar() end
        function on_trade() end
        "#,
    );
    let manifest = script.manifest();
    assert_eq!(manifest.name, "sample");
    assert_eq!(manifest.instruments, ["BTCUSDT", "ETHUSDT"]);
    assert_eq!((manifest.depth, manifest.history), (5, 50));
    assert_eq!(manifest.bars[0].length, BarLength::Time { interval_ms: 60_000 });
    assert_eq!(manifest.bars[1].instrument.as_deref(), Some("ETHUSDT"));
    assert_eq!((manifest.timers[0].name.as_str(), manifest.timers[0].every_ms), ("requote", 250));
    assert_eq!(
        manifest.params[0].kind,
        ParamKind::Integer { default: 5, min: Some(1), max: Some(200) }
    );
    assert_eq!(manifest.hooks.iter().collect::<Vec<_>>(), [Hook::Trade, Hook::Bar]);
    assert_eq!(manifest.interest(), Interest { book: false, level: false, trade: true });
    let instruments = [support::instrument(0, "BTCUSDT"), support::instrument(1, "ETHUSDT")];
    let series = manifest.series(&instruments).unwrap();
    let of: Vec<_> = series.iter().map(|series| series.instrument.0).collect();
    assert_eq!(of, [0, 1, 1], "1m of each instrument, 100t of one");
}

#[test]
fn wrong_declarations_are_refused_with_the_line_and_the_remedy() {
    let of = |table: &str| refused(&format!("\nstrategy {table}\nfunction on_book() end"));
    assert_eq!(
        of("{ nme = 'x' }"),
        "script error: strategy: nme: unknown key \"nme\", did you mean \"name\"? known: name, doc, \
         instruments, depth, bars, history, timers, params (test.luau:2)"
    );
    assert!(of("{ name = 'x', bars = '1w' }").contains("such as \"1m\""));
    assert!(of("{ name = 'x', depth = -1 }").contains("from 0 to 10000, got -1"));
    assert!(
        of("{ name = 'x', params = { { name = 'n', kind = 'integer', default = 9, max = 5 } } }")
            .contains("n: default 9 is not a whole number of at most 5")
    );
    assert!(refused("function on_book() end").contains("strategy is not called"));
    assert!(refused("strategy { name = 'x' }").contains("defines no hook"));
    let error = refused("strategy { name = 'x' }\n\nlocal x = = 1");
    assert!(error.contains("(test.luau:3)"), "{error}");
}

#[test]
fn overrides_reach_the_script() {
    let script = luau(
        r#"
        strategy { name = "p", params = {
            { name = "n", kind = "integer", default = 5, min = 1, max = 9 },
            { name = "on", kind = "boolean", default = false },
            { name = "word", kind = "text", default = "x" },
        } }
        local n, on, word = param("n"), param("on"), param("word")
        function on_init() log(n .. " " .. tostring(on) .. " " .. word) end
        "#,
    );
    assert_eq!(Rig::new(&[(&script, &[])], &["BTCUSDT"]).log(), ["5 false x"]);
    let overrides: &[(&str, &str)] = &[("n", "7"), ("on", "true"), ("word", "hi")];
    assert_eq!(Rig::new(&[(&script, overrides)], &["BTCUSDT"]).log(), ["7 true hi"]);
    let error = script.manifest().params([("n", "10")]).unwrap_err();
    assert!(matches!(error, ScriptError::Param { .. }), "{error}");
}

#[test]
fn hooks_get_their_arguments() {
    let script = luau(
        r#"
        strategy { name = "hooks", bars = "1m" }
        function on_book(...) log("book " .. table.concat({ ... }, " ")) end
        function on_trade(price, qty, side, time)
            log("trade " .. price .. " " .. qty .. " " .. side)
            assert(time > now() - 10 and time < now() + 10)
        end
        function on_bar(o, h, l, c, v) log("bar " .. o .. " " .. h .. " " .. l .. " " .. c .. " " .. v) end
        function on_order(id, status, reason) log("order " .. id .. " " .. status .. " " .. reason) end
        function on_fill(id, side, price, qty, fee, role)
            log(`fill {id} {side} {price} {qty} {fee} {role} {position()}`)
        end
        function on_signal(name, text)
            log("signal " .. name .. " " .. text)
            buy(0.002, 100.1)
        end
        function on_timer(name) log("timer " .. name) end
        function on_stop() log("stop") end
        "#,
    );
    let mut rig = Rig::new(&[(&script, &[])], &["BTCUSDT"]);
    rig.book(0, &[(1_000, 5)], &[(1_001, 7)]);
    rig.trade(0, Side::Sell, 1_000, 3);
    rig.bar(0, 1_003);
    let signal = Signal { strategy: StrategyId(0), name: "go".to_owned(), text: "now".to_owned() };
    rig.handle(&Event::Signal(std::sync::Arc::new(signal)));
    let effects = rig.drain();
    let mut lines = Vec::new();
    let mut order = None;
    for effect in effects {
        match effect {
            tercel_core::Effect::Notice(tercel_core::Notice::Log { text, .. }) => lines.push(text),
            tercel_core::Effect::Send(request) => order = Some(request.id()),
            other => panic!("{other:?}"),
        }
    }
    let order = order.unwrap();
    rig.report(order, ReportKind::Accepted { venue_order_id: 5 });
    rig.fill(order, 1_001);
    lines.extend(rig.log());
    assert_eq!(
        lines,
        [
            "book 100 0.005 100.1 0.007",
            "trade 100 0.003 -1",
            "bar 100.3 100.3 100.3 100.3 0.005",
            "signal go now",
            "order 1 accepted ",
            "fill 1 1 100.1 0.002 0.25 taker 0.002",
        ]
    );
}

#[test]
fn orders_come_out_as_they_were_asked_for() {
    let script = luau(
        r#"
        strategy { name = "orders" }
        function on_book(bid, bid_qty, ask, ask_qty)
            assert(buy(0.5, bid, "post_only") == 1)
            assert(sell(0.5, ask, { ["until"] = now() + 1000, reduce_only = false }) == 2)
            market_buy(0.25, "reduce_only")
            market_sell(1, { stop = 99.5 })
            sell(1, 99.4, { stop = 99.5, ioc = true })
            assert(order_status(1) == "pending" and order_pending(1))
            assert(order_status(77) == nil)
        end
        function on_order(id, status, reason) log(id .. " " .. status .. " " .. reason) end
        "#,
    );
    let mut rig = Rig::new(&[(&script, &[])], &["BTCUSDT"]);
    rig.book(0, &[(1_000, 5)], &[(1_001, 7)]);
    let effects = rig.effects.as_slice().to_vec();
    assert_eq!(rig.log(), ["3 refused would_increase"]);
    rig.effects.clear();
    let mut specs = effects.into_iter().filter_map(|effect| match effect {
        tercel_core::Effect::Send(request) => match *request {
            tercel_core::OrderRequest::New { spec, .. } => Some(spec),
            _ => None,
        },
        _ => None,
    });
    let limit = specs.next().unwrap();
    assert_eq!((limit.kind, limit.qty), (OrderKind::Limit { price: Price(1_000) }, Quantity(500)));
    assert!(limit.post_only && limit.tif == TimeInForce::Gtc && limit.side == Side::Buy);
    let until = specs.next().unwrap();
    assert_eq!(until.tif, TimeInForce::Gtd(rig.now.plus(1_000_000_000)));
    let stop = specs.next().unwrap();
    assert_eq!((stop.kind, stop.side), (OrderKind::Stop { trigger: Price(995) }, Side::Sell));
    let stop_limit = specs.next().unwrap();
    assert_eq!(stop_limit.kind, OrderKind::StopLimit { trigger: Price(995), price: Price(994) });
    assert_eq!(stop_limit.tif, TimeInForce::Ioc);
}

#[test]
fn what_lies_off_the_grid_is_refused_and_heard_of() {
    let script = luau(
        r#"
        strategy { name = "grid" }
        function on_book()
            buy(1, 100.05)
            buy(0.0005, 100)
            buy(0 / 0, 100)
            buy(1, math.huge)
            buy(1, round_price(100.05, "down"))
            buy(1, 100 + 0.1 + 0.2)
        end
        function on_order(id, status, reason) log(id .. " " .. status .. " " .. reason) end
        "#,
    );
    let mut rig = Rig::new(&[(&script, &[])], &["BTCUSDT"]);
    rig.book(0, &[(1_000, 5)], &[(1_010, 7)]);
    let effects = rig.effects.as_slice().to_vec();
    let refused: Vec<_> = (1..=4).map(|id| format!("{id} refused precision")).collect();
    assert_eq!(rig.log(), refused);
    assert_eq!(effects.iter().filter(|e| matches!(e, tercel_core::Effect::Send(_))).count(), 2);
}

#[test]
fn replace_cancel_and_rejects_go_round() {
    let script = luau(
        r#"
        strategy { name = "life" }
        local id
        function on_init() end
        function on_book(bid) if not id then id = buy(1, bid) else replace(id, bid, 2) end end
        function on_trade() cancel(id) end
        function on_order(order, status, reason)
            log(`{order == id} {status} {reason} {order_status(id)} {order_price(id)} {order_qty(id)} {order_pending(id)} {n_open_orders()} {#open_orders()}`)
        end
        "#,
    );
    let mut rig = Rig::new(&[(&script, &[])], &["BTCUSDT"]);
    rig.book(0, &[(1_000, 5)], &[(1_010, 7)]);
    let (id, _) = rig.placed()[0];
    rig.report(id, ReportKind::Accepted { venue_order_id: 1 });
    rig.book(0, &[(1_001, 5)], &[(1_010, 7)]);
    rig.report(id, ReportKind::Replaced { price: Price(1_001), qty: Quantity(2_000) });
    rig.trade(0, Side::Buy, 1_001, 1);
    rig.report(id, ReportKind::CancelRejected(RejectReason::RateLimited));
    rig.trade(0, Side::Buy, 1_001, 1);
    rig.report(id, ReportKind::Canceled);
    assert_eq!(
        rig.log(),
        [
            "true accepted  open 100 1 false 1 1",
            "true replaced  open 100.1 2 false 1 1",
            "true cancel_rejected rate_limited open 100.1 2 false 1 1",
            "true canceled  canceled 100.1 2 false 0 0",
        ]
    );
}

#[test]
fn market_functions_read_the_book() {
    let script = luau(
        r#"
        strategy { name = "book", instruments = { "BTCUSDT", "ETHUSDT" }, depth = 3 }
        local eth = instrument("ETHUSDT")
        function on_book()
            if current() == eth then return end
            log(`{symbol()} {bid()} {ask()} {bid_qty()} {ask_qty()} {mid()} {spread()} {microprice()}`)
            log(`{imbalance()} {imbalance(3)} {level_price(BUY, 2)} {level_qty(SELL, 1)} {level_price(SELL, 9)}`)
            log(`{depth_qty(BUY, 3)} {tick()} {lot()} {min_qty()} {is_live()} {is_live(eth)} {bid(eth)} {symbol(eth)}`)
        end
        "#,
    );
    let mut rig = Rig::new(&[(&script, &[])], &["BTCUSDT", "ETHUSDT"]);
    rig.book(1, &[(50, 5)], &[(52, 7)]);
    rig.book(0, &[(1_000, 3), (999, 5)], &[(1_002, 1)]);
    assert_eq!(
        rig.log(),
        [
            "BTCUSDT 100 100.2 0.003 0.001 100.1 0.2 100.15",
            "0.5 0.7777777777777778 99.9 0.001 nil",
            "0.008 0.1 0.001 0.001 true true 5 ETHUSDT",
        ]
    );
}

#[test]
fn bars_are_kept_newest_first() {
    let script = luau(
        r#"
        strategy { name = "bars", bars = "1m", history = 2 }
        function on_bar(o, h, l, c, v, time)
            log(`{bar_close(0)} {bar_close(1)} {bar_close(2)} {bar_count()} {bar_series()} {bar_length()} {bar_time(0) == time}`)
        end
        "#,
    );
    let mut rig = Rig::new(&[(&script, &[])], &["BTCUSDT"]);
    for close in [10, 11, 12] {
        rig.bar(0, close);
    }
    assert_eq!(
        rig.log(),
        ["1 nil nil 1 0 1m true", "1.1 1 nil 2 0 1m true", "1.2 1.1 nil 2 0 1m true"]
    );
}

#[test]
fn timers_fire_and_declared_ones_run_from_the_start() {
    let script = luau(
        r#"
        strategy { name = "timers", timers = { beat = 10 } }
        function on_init() set_timer("once", 5) set_timer("gone", 5) cancel_timer("gone") end
        function on_timer(name) log(name) end
        "#,
    );
    let mut rig = Rig::new(&[(&script, &[])], &["BTCUSDT"]);
    for _ in 0..25 {
        rig.handle(&Event::Timer);
    }
    assert_eq!(rig.log(), ["once", "beat", "beat"]);
}

#[test]
fn memory_survives_a_reload() {
    let text = r#"
        strategy { name = "memory" }
        function on_init() remember("n", 1.5) remember("s", "x") remember("b", true) remember("gone", 1) remember("gone", nil) end
        function on_reload(old) log(`{old.n} {old.s} {old.b} {old.gone}`) end
        function on_book() log(`{recall("n")} {recall("s")} {recall("none")}`) remember("n", 2) log(`{recall("n")}`) end
    "#;
    let script = luau(text);
    let mut rig = Rig::new(&[(&script, &[])], &["BTCUSDT"]);
    rig.book(0, &[(1, 1)], &[(2, 1)]);
    assert_eq!(rig.log(), ["1.5 x nil", "2"]);
    let state = rig.engine.snapshot();
    let binding = tercel_script::Binding {
        instruments: vec![support::instrument(0, "BTCUSDT")],
        series: Vec::new(),
        params: script.manifest().params([]).unwrap(),
        seed: 7,
        reload: true,
    };
    let strategy = Box::new(script.instantiate(binding).unwrap());
    rig.engine = tercel_core::Engine::restore(state, vec![strategy], 64).unwrap();
    rig.handle(&Event::Command(tercel_core::Command::Start(StrategyId(0))));
    assert_eq!(rig.log(), ["2 x true nil"]);
}

#[test]
fn money_and_position_follow_fills() {
    let script = luau(
        r#"
        strategy { name = "money" }
        function on_init() market_buy(2) end
        function on_fill() log(`{position()} {avg_price()} {pnl()} {balance("USDT")} {free_balance("USDT")} {equity()} {last_price()} {mark_price()}`) end
        function on_order() log(`{avg_price()}`) end
        function on_book() end
        "#,
    );
    let mut rig = Rig::new(&[(&script, &[])], &["BTCUSDT"]);
    // An order needs a price to be judged by, so the first one is refused.
    assert_eq!(rig.log(), ["nil"]);
    let script = luau(
        r#"
        strategy { name = "money" }
        function on_book() market_buy(2) end
        function on_fill() log(`{position()} {avg_price()} {pnl()} {balance("USDT")} {equity()}`) end
        "#,
    );
    let mut rig = Rig::new(&[(&script, &[])], &["BTCUSDT"]);
    rig.book(0, &[(1_000, 5)], &[(1_010, 7)]);
    let (id, _) = rig.placed()[0];
    rig.fill(id, 1_010);
    assert_eq!(rig.log(), ["2 101 -1.25 999999.75 999998.75"]);
}

#[test]
fn randomness_is_the_runs_own() {
    let body = "log(`{random()} {math.random()} {math.random(6)} {math.random(10, 20)}`)";
    let lines = logged(body);
    assert_eq!(lines, logged(body), "equal seeds");
    let numbers: Vec<f64> = lines[0].split(' ').map(|n| n.parse().unwrap()).collect();
    assert!(numbers[0] < 1.0 && numbers[1] < 1.0 && (numbers[0] - numbers[1]).abs() > 0.0);
    assert!((1.0..=6.0).contains(&numbers[2]) && (10.0..=20.0).contains(&numbers[3]));
}

#[test]
fn faults_name_file_and_line_and_drop_the_calls_intents() {
    let script = luau(
        "strategy { name = 'f' }\nfunction on_book(bid)\n  buy(1, bid)\n  local t = nil\n  \
         t.x = 1\nend",
    );
    let mut rig = Rig::new(&[(&script, &[])], &["BTCUSDT"]);
    rig.book(0, &[(1_000, 5)], &[(1_010, 7)]);
    let log = rig.log();
    assert_eq!(log.len(), 1);
    assert!(log[0].starts_with("script error: attempt to index nil"), "{log:?}");
    assert!(log[0].ends_with("(test.luau:5)"), "{log:?}");
    assert!(rig.sent().is_empty());
}

#[test]
fn host_errors_name_the_line_that_called() {
    let script = luau("strategy { name = 'f' }\nfunction on_book()\n  level_price(BUY, 0)\nend");
    let mut rig = Rig::new(&[(&script, &[])], &["BTCUSDT"]);
    rig.book(0, &[(1_000, 5)], &[(1_010, 7)]);
    assert_eq!(
        rig.log(),
        ["script error: n must be a whole number from 1 to 10000, got 0 (test.luau:3)"]
    );
    let error = refused("strategy { name = 'f' }\nlocal p = position()\nfunction on_book() end");
    assert_eq!(
        error,
        "script error: position works inside hooks only: nothing is known yet while the script is \
         loaded (test.luau:2)"
    );
}

#[test]
fn a_script_without_a_signal_hook_is_left_alone() {
    let script = luau("strategy { name = 'quiet' }\nfunction on_book() end");
    let mut rig = Rig::new(&[(&script, &[])], &["BTCUSDT"]);
    let signal = Signal { strategy: StrategyId(0), name: String::new(), text: String::new() };
    rig.handle(&Event::Signal(std::sync::Arc::new(signal)));
    rig.market(0, MarketData::Mark { mark: Price(5), index: Price(0) });
    assert!(rig.drain().is_empty());
}

#[test]
fn modules_are_read_beside_the_script_once() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("util.luau", "local m = { n = 0 } function m.next() m.n += 1 return m.n end return m");
    write("cycle.luau", "return require('cycle')");
    write(
        "main.luau",
        "strategy { name = 'm' } local a, b = require('util'), require('./util')\n\
         function on_init() a.next() log(`{b.next()} {a == b}`) end",
    );
    write("bad.luau", "strategy { name = 'm' }\nrequire('cycle') function on_init() end");
    let limits = Limits::of(Language::Luau);
    let script = Script::load(&folder.path().join("main.luau"), &limits).unwrap();
    assert_eq!(script.modules().keys().collect::<Vec<_>>(), ["util"]);
    write("util.luau", "error('changed after the check')");
    assert_eq!(Rig::new(&[(&script, &[])], &["BTCUSDT"]).log(), ["2 true"]);
    let error = Script::load(&folder.path().join("bad.luau"), &limits).unwrap_err().to_string();
    assert!(error.contains("\"cycle\" requires itself"), "{error}");
}
