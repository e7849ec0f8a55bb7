//! Killed at any moment, a server goes on with what it had.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use tercel_core::{OrderRequest, ReportKind, State};
use tercel_runtime::recover;
use tercel_store::journal::{Record, RecordedEffect};
use tercel_testkit::Random;

use crate::rig::{Place, TRADER, journal};

/// Kills of one test. Each costs a start, which recovers.
const N_KILLS: usize = 12;

/// What a run promises to the next one.
#[derive(PartialEq, Debug)]
struct Promise {
    positions: Vec<i64>,
    totals: Vec<String>,
    memory: String,
}

fn promise(state: &State) -> Promise {
    Promise {
        positions: state.scope.positions.iter().map(|position| position.qty.0).collect(),
        totals: state.accounts[0].balances.iter().map(|own| own.total.to_string()).collect(),
        memory: format!("{:?}", state.strategies[0].memory),
    }
}

/// The state at a run's beginning, and at its end as recovery reads it.
fn ends(run: &Path) -> (State, State) {
    let journal = journal(run);
    let first = journal.records().unwrap().find_map(|record| match record.unwrap().1 {
        Record::Snapshot { bytes, .. } => Some(tercel_store::state::decode(&bytes).unwrap()),
        _ => None,
    });
    let recovered = recover(&journal).unwrap();
    (first.unwrap(), recovered.recovery.state().clone())
}

/// Sum of the fills that a journal records, by its own orders' sides; and the orders that it sent.
fn fills(run: &Path, sent: &mut BTreeSet<u64>) -> i64 {
    let (begin, _) = ends(run);
    let mut sides: std::collections::BTreeMap<_, _> =
        begin.orders.all_working().map(|order| (order.id, order.spec.side.sign())).collect();
    let (mut sum, mut trades) = (0, BTreeSet::new());
    for record in journal(run).records().unwrap() {
        let Record::Entry(entry) = record.unwrap().1 else { continue };
        if let Some(tercel_core::Event::Execution(report)) = &entry.event
            && let ReportKind::Fill(fill) = &report.kind
            && trades.insert((report.order, fill.trade_id))
        {
            sum += sides[&report.order] * fill.qty.0;
        }
        for effect in &entry.effects {
            if let RecordedEffect::Send(OrderRequest::New { id, spec, .. }) = effect {
                assert!(sent.insert(id.0), "order {id} was sent twice");
                sides.insert(*id, spec.side.sign());
            }
        }
    }
    sum
}

#[test]
fn a_killed_server_goes_on_with_what_it_had() {
    let place = Place::new(TRADER, "200.0");
    let mut random = Random::new(20_261_121);
    for _ in 0..N_KILLS {
        let server = place.start();
        let ms = u64::try_from(random.between(0, 250)).unwrap();
        std::thread::sleep(Duration::from_millis(ms));
        server.kill();
    }
    assert_eq!(place.start().stop("-TERM"), Some(0));
    let runs = place.runs();
    assert_eq!(runs.len(), N_KILLS + 1);
    let (mut sent, mut before): (BTreeSet<u64>, Option<State>) = (BTreeSet::new(), None);
    for run in &runs {
        journal(run).verify().unwrap();
        let (begin, end) = ends(run);
        if let Some(before) = before {
            assert_eq!(promise(&begin), promise(&before), "{}", run.display());
        }
        let position = begin.scope.positions[0].qty.0 + fills(run, &mut sent);
        assert_eq!(end.scope.positions[0].qty.0, position, "position is the sum of fills");
        before = Some(end);
    }
    assert!(sent.len() > 50, "it trades: {} orders", sent.len());
    let memory = promise(&before.unwrap()).memory;
    assert!(memory.contains('n'), "it remembers: {memory}");
    let mut n_events = 0;
    for run in &runs {
        let name = run.display().to_string();
        let replayed = place.json(&["replay", &name, "--json"]);
        assert_eq!(replayed["identical"], true, "{name}: {replayed}");
        n_events += replayed["events"].as_u64().unwrap();
    }
    assert!(n_events > 1_000, "{n_events}");
}
