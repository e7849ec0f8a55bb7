//! The strategies that come along do what they say.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use std::path::Path;

use support::Rig;
use tercel_core::{
    ClientOrderId, InstrumentId, OrderKind, OrderRequest, Price, Quantity, ReportKind, Side,
    StrategyId,
};
use tercel_indicators::{Ema, Rsi};
use tercel_script::{Language, Limits, Script};

fn load(name: &str) -> Script {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/lua");
    Script::load(&folder.join(name), &Limits::of(Language::Luau)).unwrap()
}

/// A walk with trends long enough to cross averages, in ticks of 0.1.
fn closes() -> Vec<i64> {
    let mut random = 12_345u64;
    let mut price = 10_000i64;
    (0..3_000i64)
        .map(|n| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let step = i64::try_from((random >> 33) % 41).unwrap() - 20;
            price += step + if (n / 60) % 2 == 0 { 3 } else { -3 };
            price
        })
        .collect()
}

#[test]
fn ema_cross_trades_where_its_rules_say() {
    let script = load("ema_cross.luau");
    let mut rig = Rig::new(&[(&script, &[])], &["BTCUSDT"]);
    let (mut fast, mut slow) = (Ema::new(5).unwrap(), Ema::new(13).unwrap());
    let mut rsi = Rsi::new(14).unwrap();
    let (mut last, mut is_long) = (None, false);
    let (mut expected, mut traded) = (Vec::new(), Vec::new());
    for (n, close) in closes().into_iter().enumerate() {
        let price = support::instrument(0, "X").price_decimal(Price(close)).to_string();
        let price: f64 = price.parse().unwrap();
        let now = fast.update(price).zip(slow.update(price));
        let strength = rsi.update(price);
        if let (Some((last_fast, last_slow)), Some((fast, slow)), Some(rsi)) = (last, now, strength)
        {
            if last_fast <= last_slow && fast > slow && !is_long && rsi < 70.0 {
                expected.push((n, Side::Buy));
                is_long = true;
            } else if last_fast >= last_slow && fast < slow && is_long && rsi > 30.0 {
                expected.push((n, Side::Sell));
                is_long = false;
            }
        }
        last = now;
        rig.bar(0, close);
        for (id, spec) in rig.placed() {
            assert_eq!((spec.kind, spec.qty), (OrderKind::Market, Quantity(100)));
            traded.push((n, spec.side));
            rig.fill(id, close);
        }
    }
    assert!(expected.len() > 20, "{} trades", expected.len());
    assert_eq!(traded, expected);
}

#[test]
fn ema_cross_waits_for_its_order() {
    let script = load("ema_cross.luau");
    let mut rig = Rig::new(&[(&script, &[])], &["BTCUSDT"]);
    let mut n_orders = 0;
    for close in closes() {
        rig.bar(0, close);
        n_orders += rig.placed().len();
    }
    assert_eq!(n_orders, 1, "the first order is never answered");
}

/// The strategy's working orders: side, price in ticks, lots.
fn working(rig: &Rig) -> Vec<(ClientOrderId, Side, i64)> {
    let orders = rig.engine.state().orders.working(InstrumentId(0));
    let mut quotes: Vec<_> = orders
        .map(|order| {
            assert!(order.spec.post_only);
            (order.id, order.spec.side, order.spec.kind.limit_price().unwrap().0)
        })
        .collect();
    quotes.sort();
    quotes
}

/// Answers every request as a venue that accepts it.
fn accept(rig: &mut Rig) -> usize {
    let requests = rig.sent();
    for request in &requests {
        let kind = match *request {
            OrderRequest::New { .. } => ReportKind::Accepted { venue_order_id: 1 },
            OrderRequest::Replace { price, qty, .. } => ReportKind::Replaced { price, qty },
            OrderRequest::Cancel { .. } => ReportKind::Canceled,
        };
        rig.report(request.id(), kind);
    }
    requests.len()
}

#[test]
fn imbalance_maker_quotes_both_sides_and_follows_the_fair_value() {
    let script = load("imbalance_maker.luau");
    let mut rig = Rig::new(&[(&script, &[("half_spread", "2")])], &["BTCUSDT"]);
    rig.book(0, &[(1_000, 5)], &[(1_002, 5)]);
    let quotes: Vec<_> = working(&rig).iter().map(|(_, side, price)| (*side, *price)).collect();
    assert_eq!(quotes, [(Side::Buy, 999), (Side::Sell, 1_003)], "fair value 1001, two ticks off");
    rig.book(0, &[(1_005, 5)], &[(1_007, 5)]);
    assert_eq!(rig.sent().len(), 2, "nothing is asked for while the venue has not answered");
    for (id, ..) in working(&rig) {
        rig.report(id, ReportKind::Accepted { venue_order_id: 1 });
    }
    rig.book(0, &[(1_005, 5)], &[(1_007, 5)]);
    assert_eq!(accept(&mut rig), 1, "a bid that would meet the own ask is refused");
    rig.book(0, &[(1_005, 5)], &[(1_007, 5)]);
    assert_eq!(accept(&mut rig), 1, "and asked for again once the ask has moved");
    let quotes: Vec<_> = working(&rig).iter().map(|(.., price)| *price).collect();
    assert_eq!(quotes, [1_004, 1_008]);
    rig.book(0, &[(1_005, 5)], &[(1_007, 5)]);
    assert_eq!(accept(&mut rig), 0, "the target has not moved");
    rig.book(0, &[(1_005, 500)], &[(1_007, 1)]);
    accept(&mut rig);
    let quotes: Vec<_> = working(&rig).iter().map(|(.., price)| *price).collect();
    assert_eq!(quotes, [1_005, 1_010], "a heavy bid side moves the fair value up");
    assert!(rig.engine.state().strategies[0].is_running);
}

#[test]
fn imbalance_maker_stops_buying_at_its_largest_position_and_leans_away_from_it() {
    let script = load("imbalance_maker.luau");
    let overrides: &[(&str, &str)] =
        &[("half_spread", "2"), ("max_position", "0.1"), ("lean", "0")];
    let mut rig = Rig::new(&[(&script, overrides)], &["BTCUSDT"]);
    rig.book(0, &[(1_000, 5)], &[(1_002, 5)]);
    accept(&mut rig);
    let (bid, ..) = working(&rig)[0];
    rig.fill(bid, 999);
    rig.book(0, &[(1_000, 5)], &[(1_002, 5)]);
    accept(&mut rig);
    let quotes: Vec<_> = working(&rig).iter().map(|(_, side, price)| (*side, *price)).collect();
    assert_eq!(quotes, [(Side::Sell, 1_001)], "no bid, and the ask two ticks lower");
    rig.book(0, &[(1_000, 5)], &[]);
    accept(&mut rig);
    assert!(working(&rig).is_empty(), "no fair value, no quotes");
    assert!(rig.engine.state().strategies[usize::from(StrategyId(0).0)].is_running);
}
