//! What every run of a folder promises, read from its files alone and computed once more here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tercel_core::{ClientOrderId, Event, OrderRequest, ReportKind, State, Value};
use tercel_runtime::recover;
use tercel_store::journal::{Entry, JournalReader, Record, RecordedEffect};
use tercel_store::runs::RunFolder;

use crate::rig::{Place, journal};
use crate::{Deaths, shots};

/// What all runs together came to.
#[derive(Default)]
pub(crate) struct Audit {
    pub(crate) n_runs: usize,
    /// Orders that were sent, ever.
    pub(crate) sent: BTreeSet<ClientOrderId>,
    /// Trades by order and the venue's number.
    pub(crate) trades: BTreeSet<(ClientOrderId, u64)>,
    /// Sum of all fills, in lots.
    pub(crate) position: i64,
    pub(crate) n_replayed: u64,
    last: Option<Ledger>,
}

/// What is true at one moment.
#[derive(Clone, PartialEq, Debug, Default)]
struct Ledger {
    /// Sides and what is left of orders that are not known to be over.
    working: BTreeMap<ClientOrderId, (i64, i64)>,
    position: i64,
    memory: BTreeMap<String, Value>,
}

impl Ledger {
    fn of(state: &State) -> Self {
        let working = state.orders.all_working();
        let memory = &state.strategies[0].memory;
        Self {
            working: working
                .map(|order| (order.id, (order.spec.side.sign(), order.leaves().0)))
                .collect(),
            position: state.scope.positions[0].qty.0,
            memory: memory.iter().map(|(key, value)| (key.to_string(), value.clone())).collect(),
        }
    }
}

/// Checks every run of a folder, and that each begins with what the one before it left.
pub(crate) fn audit(place: &Place, deaths: &Deaths) -> Audit {
    let mut audit = Audit::default();
    for run in place.runs() {
        audit.run(place, &run, deaths);
    }
    audit
}

impl Audit {
    fn run(&mut self, place: &Place, run: &Path, deaths: &Deaths) {
        let name = &deaths.of(run);
        self.n_runs += 1;
        let verified = RunFolder::at(run).verify().unwrap();
        assert!(verified.is_good(), "{name}: {verified:?}");
        let journal = journal(run);
        let Some(begin) = first_state(&journal) else {
            assert_eq!(verified.n_entries, 0, "{name}: it has acted before it began");
            return;
        };
        timers_fire_once(&begin, name);
        let mut ledger = Ledger::of(&begin);
        if let Some(before) = &self.last {
            assert_eq!(&ledger, before, "{name}: it does not begin with what was left");
        }
        for record in journal.records().unwrap() {
            if let Record::Entry(entry) = record.unwrap().1 {
                self.entry(&mut ledger, entry, name);
            }
        }
        let recovered = recover(&journal).unwrap();
        let end = recovered.recovery.state();
        assert_eq!(Ledger::of(end), ledger, "{name}: recovery reads another end");
        timers_fire_once(end, name);
        self.last = Some(ledger);
        drop(journal);
        self.replay(place, run, name, deaths.has(run));
    }

    /// Repeats an entry by the plainest means.
    fn entry(&mut self, ledger: &mut Ledger, entry: Entry, name: &str) {
        if let Some(Event::Execution(report)) = &entry.event {
            match &report.kind {
                ReportKind::Fill(fill) if self.trades.insert((report.order, fill.trade_id)) => {
                    let order = ledger.working.get_mut(&report.order);
                    let (side, left) = order.unwrap_or_else(|| {
                        panic!("{name}: a fill of order {}, which is forgotten", report.order)
                    });
                    ledger.position += *side * fill.qty.0;
                    self.position += *side * fill.qty.0;
                    *left -= fill.qty.0;
                    if *left == 0 {
                        ledger.working.remove(&report.order);
                    }
                }
                ReportKind::Canceled | ReportKind::Rejected(_) | ReportKind::Expired => {
                    ledger.working.remove(&report.order);
                }
                _ => {}
            }
        }
        for effect in entry.effects {
            match effect {
                RecordedEffect::Send(OrderRequest::New { id, spec, .. }) => {
                    assert!(self.sent.insert(id), "{name}: order {id} was sent twice");
                    ledger.working.insert(id, (spec.side.sign(), spec.qty.0));
                }
                RecordedEffect::Remember { key, value, .. } => {
                    ledger.memory.insert(key.to_string(), value);
                }
                _ => {}
            }
        }
    }

    fn replay(&mut self, place: &Place, run: &Path, name: &str, was_killed: bool) {
        let number = run.file_name().unwrap().to_str().unwrap();
        let replayed = place.json(&["replay", number, "--json"]);
        assert_eq!(replayed["identical"], true, "{name}: {replayed}");
        self.n_replayed += replayed["events"].as_u64().unwrap();
        let stopped = replayed["stopped"].as_str();
        assert_eq!(replayed["complete"], stopped.is_none(), "{name}: {replayed}");
        if let Some(why) = stopped {
            assert!(why.contains("tape"), "{name}: {why}");
            assert!(was_killed, "{name}: nobody killed it, and its tape ends early: {why}");
        }
    }

    /// Timers that have fired by the end.
    pub(crate) fn n_fired(&self) -> usize {
        let memory = &self.last.as_ref().unwrap().memory;
        usize::try_from(memory.get("fired").map_or(0, number)).unwrap()
    }
}

fn number(value: &Value) -> i64 {
    match value {
        Value::Integer(n) => *n,
        #[expect(clippy::cast_possible_truncation, reason = "small whole numbers")]
        Value::Float(bits) => f64::from_bits(*bits) as i64,
        other => panic!("{other:?} is no number"),
    }
}

/// Those that were set and have not fired are waiting, and no others.
fn timers_fire_once(state: &State, name: &str) {
    let own = &state.strategies[0];
    let counted = |key: &str| own.memory.get(key).map_or(0, number);
    let n_waiting = shots().filter(|shot| own.timers.get(shot).is_some()).count();
    let (set, fired) = (counted("set"), counted("fired"));
    assert_eq!(set - fired, i64::try_from(n_waiting).unwrap(), "{name}: {set} set, {fired} fired");
}

fn first_state(journal: &JournalReader) -> Option<State> {
    journal.records().unwrap().find_map(|record| match record.unwrap().1 {
        Record::Snapshot { bytes, .. } => Some(tercel_store::state::decode(&bytes).unwrap()),
        _ => None,
    })
}
