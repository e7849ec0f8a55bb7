//! The shipped strategies in both languages: the same effects to the byte.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use std::path::Path;

use support::Rig;
use tercel_core::{
    Effect, Event, ExecutionReport, Fill, InstrumentId, MarketData, MarketEvent, OrderRequest,
    Price, Quantity, ReportKind, Role, Side,
};
use tercel_script::{Language, Limits, Script, api};
use tercel_testkit::Random;

fn load(name: &str) -> Script {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts").join(name);
    let language = Language::of(&root).unwrap();
    Script::load(&root, &Limits::of(language)).unwrap()
}

/// Runs a script over a random walk of the book with trades; every order is accepted, and about
/// half of them fill. Returns all effects as text.
fn effects(name: &str, seed: u64) -> Vec<String> {
    let script = load(name);
    let mut rig = Rig::new(&[(&script, &[])], &["BTCUSDT"]);
    let mut random = Random::new(seed);
    let (mut middle, mut n_trades, mut seen) = (600_000_i64, 0, 0);
    for n in 0..4_000 {
        middle += random.between(-3, 3);
        let market = |rig: &mut Rig, data| {
            let (venue_at, received_at) = (rig.now, rig.now);
            let instrument = InstrumentId(0);
            rig.handle(&Event::Market(MarketEvent { venue_at, received_at, instrument, data }));
        };
        let level = |side, price, qty, last| MarketData::Level {
            side,
            price: Price(price),
            qty: Quantity(qty),
            last,
        };
        market(&mut rig, MarketData::Clear { seq: n });
        // Now and then a side is empty.
        let (empty_bids, empty_asks) = (random.chance(2), random.chance(2));
        for depth in 1..=6 {
            let qty = if empty_bids { 0 } else { random.between(1, 900) };
            market(&mut rig, level(Side::Buy, middle - depth, qty, false));
            let qty = if empty_asks { 0 } else { random.between(1, 900) };
            market(&mut rig, level(Side::Sell, middle + depth, qty, depth == 6));
        }
        // Minutes pass quickly, so that bars close.
        rig.now = rig.now.plus(20_000_000_000);
        let (price, qty) = (Price(middle), Quantity(random.between(1, 50)));
        market(&mut rig, MarketData::Trade { aggressor: Some(Side::Buy), price, qty, id: n });
        while seen < rig.effects.as_slice().len() {
            let effect = rig.effects.as_slice()[seen].clone();
            seen += 1;
            let Effect::Send(request) = effect else { continue };
            let report = |kind| ExecutionReport {
                order: request.id(),
                account: tercel_core::AccountId(0),
                instrument: InstrumentId(0),
                venue_at: rig.now,
                received_at: rig.now,
                kind,
            };
            let mut reports = Vec::new();
            match *request {
                OrderRequest::New { spec, .. } => {
                    reports.push(report(ReportKind::Accepted { venue_order_id: 1 }));
                    if spec.kind.limit_price().is_none() || random.chance(50) {
                        n_trades += 1;
                        reports.push(report(ReportKind::Fill(Fill {
                            trade_id: n_trades,
                            price: spec.kind.limit_price().unwrap_or(price),
                            qty: spec.qty,
                            role: Role::Maker,
                            fee: "0.01".parse().unwrap(),
                            fee_asset: tercel_core::AssetId(1),
                        })));
                    }
                }
                OrderRequest::Replace { price, qty, .. } => {
                    reports.push(report(ReportKind::Replaced { price, qty }));
                }
                OrderRequest::Cancel { .. } => reports.push(report(ReportKind::Canceled)),
            }
            for report in reports {
                rig.handle(&Event::Execution(report));
            }
        }
    }
    rig.effects.as_slice().iter().map(|effect| format!("{effect:?}")).collect()
}

#[test]
fn twins_give_the_same_effects() {
    for name in ["ema_cross", "imbalance_maker"] {
        for seed in 1..=3 {
            let luau = effects(&format!("lua/{name}.luau"), seed);
            let rhai = effects(&format!("rhai/{name}.rhai"), seed);
            let sends = luau.iter().filter(|effect| effect.starts_with("Send")).count();
            assert!(sends > 20, "{name} trades: {sends} requests");
            for (n, (left, right)) in luau.iter().zip(&rhai).enumerate() {
                assert_eq!(left, right, "{name}, seed {seed}, effect {n}");
            }
            assert_eq!(luau.len(), rhai.len(), "{name}, seed {seed}");
            assert!(!luau.iter().any(|effect| effect.contains("Fault")), "{name} fails");
        }
    }
}

/// Every function of the table is there in Rhai: calling it without arguments may be wrong, but
/// never because Rhai does not know the name with any number of arguments.
#[test]
fn rhai_has_every_function_of_the_table() {
    let mut n_checked = 0;
    for item in api::table() {
        if !matches!(item.kind, api::Kind::Function | api::Kind::Indicator) {
            continue;
        }
        let n_min = item.params.iter().filter(|param| !param.optional).count();
        for n in n_min..=item.params.len() {
            // `strategy` is called already; `log` takes text only, beside the logarithm.
            if matches!(item.name, "strategy" | "log") {
                continue;
            }
            let arguments = vec!["()"; n].join(", ");
            let text = format!(
                "strategy(#{{ name: \"x\" }}); fn on_stop() {{}} let x = {}({arguments});",
                item.name
            );
            n_checked += 1;
            if let Err(error) = support::check(Language::Rhai, &text) {
                let message = error.to_string();
                assert!(!message.contains("Function not found"), "{}/{n}: {message}", item.name);
            }
        }
    }
    println!("{n_checked} forms of functions exist in Rhai");
    assert!(n_checked > 80);
}
