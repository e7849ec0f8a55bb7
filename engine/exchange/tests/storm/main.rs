//! The engine trades on the exchange in a box through everything that lies between: order gateway,
//! protocols, links, limiter, a bad network, and the exchange's own faults, all in virtual time.
//!
//! During a storm, a book that claims to be live has to show what the exchange's book was at its own
//! update number, and not long ago. After each storm things go quiet. Then the engine's open orders,
//! executions, position and holdings have to equal the exchange's own books, no order may have been
//! accepted twice, nothing may have been put right by taking the venue's word over ours, and the
//! book has to show the exchange's best prices. Over a run, each kind of fault has to have struck.
//!
//! `TERCEL_STORMS` says how many storms of each product a run makes; a failure names its seed, and
//! `TERCEL_STORM=<seed>` repeats that one alone.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod check;
mod seen;
mod truth;
mod world;

use std::thread::{available_parallelism, scope};

use tercel_adapters::binance::Product;
use tercel_adapters::{Cost, Priority};
use tercel_core::Nanos;

use self::seen::Seen;
use self::world::World;

/// Storms of a product that a run makes unless told otherwise.
const N_STORMS: u64 = 500;

/// How long everything has to have been known before it is believed: longer than a market's stream
/// that nothing comes on is, and than books go without being compared.
const CALM_NS: i64 = 15 * Nanos::SECOND;

/// Makes the storms of a product, on its share of the machine's cores, and returns what happened.
fn storms(product: Product) -> Seen {
    if let Some(seed) = variable("TERCEL_STORM") {
        return storm(product, seed);
    }
    let n_storms = variable("TERCEL_STORMS").unwrap_or(N_STORMS);
    // Both products' tests run at the same time.
    let n_threads = available_parallelism().map_or(1, |n| n.get().div_ceil(2));
    let seeds = |first: usize| (0..n_storms).skip(first).step_by(n_threads);
    let mut seen = Seen::default();
    scope(|scope| {
        let work =
            |first| move || seeds(first).map(|seed| storm(product, seed)).collect::<Vec<_>>();
        let threads: Vec<_> = (0..n_threads).map(|first| scope.spawn(work(first))).collect();
        for thread in threads {
            thread.join().unwrap().iter().for_each(|own| seen.add(own));
        }
    });
    seen.check();
    seen
}

/// Makes one storm, and returns what happened in it.
fn storm(product: Product, seed: u64) -> Seen {
    let mut world = World::new(seed, product);
    world.settle(0);
    check::equal(&mut world, seed);
    world.storm_on();
    world.trade(150);
    world.storm_off();
    world.settle(CALM_NS);
    check::equal(&mut world, seed);
    world.seen()
}

#[test]
fn after_every_storm_on_spot_the_books_agree() {
    println!("{:#?}", storms(Product::Spot));
}

#[test]
fn after_every_storm_on_perpetuals_the_books_agree() {
    println!("{:#?}", storms(Product::UsdMargined));
}

/// Compared every second, the books of a futures account used up the venue's budget: the next order was
/// refused. Comparisons that are due wait for what they leave to everything else.
#[test]
fn comparisons_leave_the_budget_to_orders() {
    for product in [Product::Spot, Product::UsdMargined] {
        let mut world = World::comparing_every(Nanos::SECOND / 5, 1, product);
        // What is kept for orders and cancels, and half of what is kept for queries.
        let limits = [(Product::Spot, 6_000), (Product::UsdMargined, 2_400)];
        let limit = limits.iter().find(|(own, _)| *own == product).map_or(0, |(_, limit)| *limit);
        let cost = Cost { weight: limit / 8, orders: 0, priority: Priority::Query };
        let until = world.now.plus(180 * Nanos::SECOND);
        while world.now < until {
            world.step();
            let left = world.budget.look(&cost, world.now);
            assert!(left.is_ok(), "{product:?}: {left:?} after {}", world.seen().n_compared);
        }
        // Half of the budget is for them: some ten a minute at the least.
        let n_compared = world.seen().n_compared;
        assert!((30..600).contains(&n_compared), "{product:?}: {n_compared} comparisons");
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}
