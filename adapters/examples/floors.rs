//! Prints what a round trip of 1 KB over loopback costs on this machine, and what the limiter does.
#![expect(clippy::print_stdout, reason = "that is what it is for")]

use std::time::Instant;

use tercel_adapters::net::{FloorKind, Limiter, measure_floor};
use tercel_adapters::{Cost, Limit, LimitKind, LimitScope, Priority};
use tercel_core::Nanos;

fn main() -> std::io::Result<()> {
    println!("{:<26} {:>9} {:>9} {:>9} {:>9} (µs)", "", "p50", "p99", "p99.9", "max");
    for kind in FloorKind::ALL {
        let floor = measure_floor(kind, 50_000, 1_024)?;
        let [p50, p99, p999, max] = [floor.p50_ns, floor.p99_ns, floor.p999_ns, floor.max_ns]
            .map(|ns| format!("{}.{}", ns / 1_000, ns % 1_000 / 100));
        println!("{:<26} {p50:>9} {p99:>9} {p999:>9} {max:>9}", kind.as_str());
    }
    println!("take of four budgets: {} ns", limiter_ns());
    Ok(())
}

fn limiter_ns() -> u128 {
    let limit = |kind, scope, interval_ms, max| Limit { kind, scope, interval_ms, max };
    let budget = Limiter::new(&[
        limit(LimitKind::Weight, LimitScope::Address, 60_000, 6_000),
        limit(LimitKind::Requests, LimitScope::Address, 300_000, 61_000),
        limit(LimitKind::Orders, LimitScope::Account, 10_000, 100),
        limit(LimitKind::Orders, LimitScope::Account, 86_400_000, 200_000),
    ])
    .account();
    let cost = Cost { weight: 1, orders: 1, priority: Priority::Order };
    let n = 1_000_000_i64;
    let begun = Instant::now();
    for step in 0..n {
        // Two orders a second: always within the budget.
        let _ = std::hint::black_box(budget.take(&cost, Nanos(step * 500_000_000)));
    }
    begun.elapsed().as_nanos() / u128::try_from(n).unwrap_or(1)
}
