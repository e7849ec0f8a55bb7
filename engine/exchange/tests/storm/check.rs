//! The engine's state against the exchange's own books.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::Value;
use tercel_adapters::ClientIds;
use tercel_adapters::binance::Product;
use tercel_core::{ClientOrderId, Side};

use super::world::World;

fn decimal(value: &Value) -> Decimal {
    value.as_str().unwrap_or("0").parse().unwrap()
}

pub(super) fn equal(world: &mut World, seed: u64) {
    let books = world.site.books();
    let name = if world.product == Product::Spot { "spot" } else { "usdm" };
    let account = &books[name]["accounts"]["demo"];
    assert!(account.is_object(), "seed {seed}: no account in {books}");
    let ids = ClientIds::new("tc").unwrap();
    let state = world.engine.state();
    let mut open = BTreeMap::new();
    let mut filled: BTreeMap<ClientOrderId, Decimal> = BTreeMap::new();
    let mut names = BTreeMap::new();
    for order in account["orders"].as_array().unwrap() {
        let client_id = order["client_id"].as_str().unwrap();
        let Some(key) = ids.parse(client_id) else { continue };
        *names.entry(client_id.to_owned()).or_insert(0) += 1;
        let done = decimal(&order["filled"]);
        *filled.entry(key.id).or_default() += done;
        if order["open"].as_bool().unwrap() {
            open.insert(key.id, decimal(&order["quantity"]) - done);
        }
    }
    for (client_id, n) in names {
        assert_eq!(n, 1, "seed {seed}: {client_id} was accepted {n} times");
    }
    let instrument = &world.instrument;
    let ours: BTreeMap<_, _> = state
        .orders
        .all_working()
        .map(|own| (own.id, instrument.quantity_decimal(own.leaves())))
        .collect();
    let tell = || format!("{:?}", world.notices);
    assert_eq!(ours, open, "seed {seed}: open orders {}", tell());
    for order in state.orders.all_working() {
        assert!(!order.pending.is_any(), "seed {seed}: {order:?} still waits");
    }
    for (id, theirs) in filled {
        if let Some(order) = state.orders.get(id) {
            let own = instrument.quantity_decimal(order.filled);
            assert_eq!(own, theirs, "seed {seed}: fills of {id}");
        }
    }
    if world.product == Product::Spot {
        for (asset, name) in world.assets.iter().enumerate() {
            let held = &account["balances"][name];
            let theirs = decimal(&held["free"]) + decimal(&held["locked"]);
            let own = state.accounts[0].balances[asset].total.to_decimal();
            let gap = (own - theirs).abs();
            assert!(gap <= Decimal::new(1, 6), "seed {seed}: {name}: {own} and {theirs}");
        }
    } else {
        let theirs: Decimal = account["positions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|position| decimal(&position["quantity"]))
            .sum();
        let position = state.accounts[0].scope.positions[0].qty;
        let own = instrument.quantity_decimal(position);
        assert_eq!(own, theirs, "seed {seed}: position");
    }
    let book = &state.markets[0].book;
    assert!(state.markets[0].is_live(), "seed {seed}: the book is stale after the quiet");
    for (side, key) in [(Side::Buy, "bids"), (Side::Sell, "asks")] {
        let own = book.best(side).map(|level| instrument.price_decimal(level.price));
        let theirs = &books[name]["books"]["BTCUSDT"][key][0][0];
        let theirs = theirs.as_str().map(|text| text.parse::<Decimal>().unwrap());
        assert_eq!(own, theirs, "seed {seed}: best of {key}");
    }
    world.resume_market();
}
