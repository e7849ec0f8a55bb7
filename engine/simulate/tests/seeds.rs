//! Worlds by the hundred: nothing is broken, everything goes wrong at least once, and equal seeds give
//! equal worlds.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tercel_simulate::{Simulation, Summary};

/// Worlds of a test run.
const N_RUNS: u64 = 300;

#[test]
fn no_promise_is_broken_in_three_hundred_worlds_and_everything_goes_wrong_in_them() {
    let summary = Mutex::new(Summary::default());
    let next = AtomicU64::new(1);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let simulation = Simulation::new().expect("the scripts of the simulation pass");
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > N_RUNS {
                        return;
                    }
                    let outcome = simulation.run(seed);
                    summary.lock().expect("no panic").add(&outcome);
                }
            });
        }
    });
    let summary = summary.into_inner().expect("no panic");
    println!("{} events, {:?}\n{:?}", summary.n_events, summary.faults, summary.checks);
    assert!(summary.failures.is_empty(), "{:#?}", summary.failures);
    assert_eq!(summary.n_runs, N_RUNS);
    let never: Vec<_> = summary.faults.missing().collect();
    assert!(never.is_empty(), "never happened: {never:?}");
    let unchecked: Vec<_> = summary.checks.missing().collect();
    assert!(unchecked.is_empty(), "never checked: {unchecked:?}");
}

#[test]
fn equal_seeds_give_equal_worlds_and_others_other_ones() {
    let (first, second) = (
        Simulation::new().expect("the scripts of the simulation pass"),
        Simulation::new().expect("the scripts of the simulation pass"),
    );
    let mut digests = Vec::new();
    for seed in 1_000..1_003 {
        let (one, other) = (first.run(seed), second.run(seed));
        assert_eq!(one, other);
        let mut n_lines = 0;
        assert_eq!(first.trace(seed, |_| n_lines += 1), one, "to be watched changes nothing");
        assert!(n_lines > 100, "{n_lines} lines");
        digests.push(one.digest);
    }
    digests.dedup();
    assert_eq!(digests.len(), 3);
}
