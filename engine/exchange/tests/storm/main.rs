//! The engine trades on the exchange in a box through everything that lies between: order gateway,
//! protocols, links, limiter, a bad network, and the exchange's own faults, all in virtual time.
//!
//! After each storm things go quiet. Then the engine's open orders, fills, position and holdings
//! have to equal the exchange's own books, no order may have been accepted twice, and every book that
//! is not stale has to show the exchange's best prices.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod check;
mod world;

use tercel_adapters::binance::Product;

use self::world::{Seen, World};

/// What has happened over many storms.
fn storms(product: Product, seeds: std::ops::Range<u64>) -> Seen {
    let mut seen = Seen::default();
    for seed in seeds {
        let mut world = World::new(seed, product);
        world.settle(seed, 700);
        check::equal(&mut world, seed);
        world.storm_on();
        world.trade(150);
        world.storm_off();
        world.settle(seed, 20_000);
        check::equal(&mut world, seed);
        seen.add(&world.seen);
    }
    seen
}

#[test]
fn after_every_storm_on_spot_the_books_agree() {
    let seen = storms(Product::Spot, 0..n_seeds());
    println!("{seen:?}");
    assert!(seen.is_convincing(), "too little happened: {seen:?}");
}

#[test]
fn after_every_storm_on_perpetuals_the_books_agree() {
    let seen = storms(Product::UsdMargined, 0..n_seeds());
    println!("{seen:?}");
    assert!(seen.is_convincing(), "too little happened: {seen:?}");
}

/// How many storms a test makes: `TERCEL_STORMS`, or a few.
fn n_seeds() -> u64 {
    std::env::var("TERCEL_STORMS").ok().and_then(|n| n.parse().ok()).unwrap_or(25)
}
