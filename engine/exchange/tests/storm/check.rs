//! The engine's state against the exchange's own books.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::Value;
use tercel_adapters::ClientIds;
use tercel_adapters::binance::Product;
use tercel_core::{ClientOrderId, Side};

use super::world::{World, exchange_of};

fn decimal(value: &Value) -> Decimal {
    value.as_str().unwrap_or("0").parse().unwrap()
}

pub(super) fn equal(world: &mut World, seed: u64) {
    let books = world.site.books();
    let name = exchange_of(world.product);
    let account = &books[name]["accounts"]["demo"];
    assert!(account.is_object(), "seed {seed}: no account in {books}");
    let ids = ClientIds::new("tc").unwrap();
    let state = world.engine.state();
    let mut open = BTreeMap::new();
    let mut filled: BTreeMap<ClientOrderId, Decimal> = BTreeMap::new();
    let mut names = BTreeMap::new();
    // What came of a conditional order has a name that the exchange has made up.
    let mut conditionals = BTreeMap::new();
    for conditional in account["conditionals"].as_array().unwrap() {
        let client_id = conditional["client_id"].as_str().unwrap();
        conditionals.insert(conditional["id"].as_u64().unwrap(), client_id);
        let key = ids.parse(client_id).unwrap();
        if conditional["status"] == "New" {
            open.insert(key.id, decimal(&conditional["quantity"]));
        }
        if conditional["order"].is_null() {
            *names.entry(client_id.to_owned()).or_insert(0) += 1;
        }
    }
    for order in account["orders"].as_array().unwrap() {
        let client_id = match order["conditional"].as_u64() {
            Some(id) => conditionals[&id],
            None => order["client_id"].as_str().unwrap(),
        };
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
    let tell = || format!("{:#?}", world.notices);
    assert_eq!(ours, open, "seed {seed}: open orders {}", tell());
    for order in state.orders.all_working() {
        assert!(!order.pending.is_any(), "seed {seed}: {order:?} still waits");
    }
    for (id, theirs) in filled {
        let order = state.orders.get(id);
        let order = order.unwrap_or_else(|| panic!("seed {seed}: {id} is none of ours"));
        let own = instrument.quantity_decimal(order.filled);
        assert_eq!(own, theirs, "seed {seed}: fills of {id}");
    }
    let orders = state.image().orders;
    let mut ours: Vec<_> = orders
        .working
        .iter()
        .flatten()
        .chain(&orders.ended)
        .flat_map(|own| own.trade_ids.iter().copied())
        .collect();
    ours.sort_unstable();
    let theirs = account["fills"].as_array().unwrap().iter();
    let mut theirs: Vec<_> = theirs.map(|fill| fill["trade_id"].as_u64().unwrap()).collect();
    theirs.sort_unstable();
    assert_eq!(ours, theirs, "seed {seed}: executions");
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
        let wallet = &account["balances"]["USDT"];
        let theirs = decimal(&wallet["free"]) + decimal(&wallet["locked"]);
        let usdt = world.assets.iter().position(|name| name == "USDT").unwrap();
        let own = state.accounts[0].balances[usdt].total.to_decimal();
        let gap = (own - theirs).abs();
        assert!(gap <= Decimal::new(1, 4), "seed {seed}: wallet: {own} and {theirs}");
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
