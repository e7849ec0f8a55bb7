//! The work of the `decode` bench without a harness, so that instructions can be counted on a
//! machine too busy for clocks:
//!
//! ```text
//! valgrind --tool=callgrind --toggle-collect='*MarketStream*Protocol*decode*' \
//!     target/release/deps/count-* trade 1000
//! ```
//!
//! The total divided by the number of messages is the cost of one (for `order` it is
//! `*Account*Protocol*encode*`, for `order update` `*Account*Protocol*decode*`). Without arguments
//! everything is run, and the quickest of many short rounds is told, which other work on the machine
//! disturbs least.

mod wire;

use std::hint::black_box;
use std::time::Instant;

use wire::{Account, MESSAGES, Market, ORDER_UPDATE, ROUND};

const DEPTH: &str = "depth";
const ORDER: &str = "order";
const UPDATE: &str = "order update";

#[expect(clippy::print_stdout, reason = "the result of a program")]
fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| !arg.starts_with('-'));
    let wanted = args.next();
    let count: u64 = args.next().and_then(|count| count.parse().ok()).unwrap_or(500_000);
    let names = [DEPTH, ORDER, UPDATE].into_iter().chain(MESSAGES.map(|(name, _)| name));
    for name in names.filter(|name| wanted.as_deref().is_none_or(|wanted| wanted == *name)) {
        println!("{name}: {:.0} ns", run(name, count.div_ceil(ROUND)));
    }
}

/// Runs so many rounds of one kind and returns how many nanoseconds a message took in the
/// quickest.
fn run(name: &str, n_rounds: u64) -> f64 {
    let mut best = f64::INFINITY;
    let mut market = Market::new();
    let mut account = Account::new();
    let message = MESSAGES.iter().find(|(own, _)| *own == name).map(|(_, message)| *message);
    for _ in 0..n_rounds {
        let round = if name == DEPTH { market.depth_round() } else { Vec::new() };
        let begun = Instant::now();
        match message {
            Some(message) => {
                for _ in 0..ROUND {
                    black_box(market.decode(black_box(message)));
                }
            }
            None if name == ORDER => {
                for _ in 0..ROUND {
                    black_box(account.place());
                }
            }
            None if name == UPDATE => {
                for _ in 0..ROUND {
                    black_box(account.decode(black_box(ORDER_UPDATE)));
                }
            }
            None => {
                for message in &round {
                    black_box(market.decode(message));
                }
            }
        }
        best = best.min(begun.elapsed().as_secs_f64() * 1e9 / ROUND as f64);
    }
    best
}
