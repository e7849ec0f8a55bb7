//! Trust in the simulation: each of these bugs, planted in the engine on purpose, is found, and by the
//! promise that it breaks.

use tercel_core::sabotage::{Bug, plant};
use tercel_simulate::{Invariant, Simulation};

/// Lets worlds go by with a bug in the engine; returns after how many which promise was broken.
fn hunt(simulation: &Simulation, bug: Bug, n_seeds: u64) -> Option<(u64, Invariant)> {
    plant(Some(bug));
    let found = (1..=n_seeds).find_map(|n| {
        let failure = simulation.run(n).failure?;
        Some((n, failure.violation.invariant))
    });
    plant(None);
    found
}

fn check(bugs: &[(Bug, u64, &[Invariant])]) {
    let simulation = Simulation::new().expect("the scripts of the simulation pass");
    let mut wrong = Vec::new();
    for (bug, n_seeds, expected) in bugs {
        let found = hunt(&simulation, *bug, *n_seeds);
        if !found.is_some_and(|(_, invariant)| expected.contains(&invariant)) {
            wrong.push(format!("{bug:?}: {found:?}, expected one of {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn bugs_of_the_engine_are_found() {
    check(&[
        (Bug::FillCountsTwice, 5, &[Invariant::Positions, Invariant::KillSwitch]),
        (Bug::FillHasWrongSign, 5, &[Invariant::Positions]),
        (Bug::NothingReserved, 5, &[Invariant::Sums, Invariant::NoPanic]),
        (Bug::UnknownIsDead, 20, &[Invariant::Liveness, Invariant::Limits, Invariant::Sums]),
        (Bug::StaleBookTrades, 20, &[Invariant::StaleBook]),
        (Bug::KillLetsOrdersPass, 10, &[Invariant::KillSwitch]),
        (Bug::KillForgetsCancels, 10, &[Invariant::KillSwitch]),
        (Bug::FaultIsForgiven, 20, &[Invariant::BadScript]),
    ]);
}

#[test]
fn bugs_of_restarts_are_found() {
    check(&[
        (Bug::TimerFiresAgain, 10, &[Invariant::Recovery]),
        (Bug::MemoryIsLost, 10, &[Invariant::Recovery]),
        (Bug::SnapshotLacksSwitches, 20, &[Invariant::Durable, Invariant::Replay]),
        (Bug::IdsRecur, 10, &[Invariant::OnceOnly, Invariant::Durable, Invariant::NoPanic]),
    ]);
}

/// The venue looked for copies among the orders that still worked: one of an order that fills or ends on
/// arrival, as market orders do, went unseen.
#[test]
fn a_copy_of_an_order_is_found_whatever_has_become_of_the_order() {
    let simulation = Simulation::new().expect("the scripts of the simulation pass");
    plant(Some(Bug::RequestIsSentTwice));
    let found: Vec<_> = (1..=40)
        .filter_map(|n| simulation.run(n).failure)
        .filter(|failure| failure.violation.invariant == Invariant::OnceOnly)
        .map(|failure| failure.violation.found)
        .collect();
    plant(None);
    for what in ["(Market, ", "(Limit ", "while it worked", "after its end"] {
        assert!(found.iter().any(|text| text.contains(what)), "{what}: {found:#?}");
    }
}

#[test]
fn bugs_of_records_are_found() {
    check(&[
        (Bug::RequestIsSentTwice, 5, &[Invariant::RecordedFirst, Invariant::OnceOnly]),
        (Bug::LeaseIsNotAwaited, 80, &[Invariant::RecordedFirst]),
        (Bug::DurableIsNotAwaited, 40, &[Invariant::RecordedFirst]),
        (Bug::FailureIsIgnored, 20, &[Invariant::RecordedFirst, Invariant::KillSwitch]),
        (Bug::SyncIsSkipped, 10, &[Invariant::Durable]),
        (Bug::CommitIsSkipped, 10, &[Invariant::Durable]),
    ]);
}
