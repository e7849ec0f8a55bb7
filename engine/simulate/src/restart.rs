//! The end of a process and the beginning of the next one.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use tercel_core::{ClientOrderId, Engine, Nanos, OrderRequest, Seq, State};
use tercel_runtime::{Recorder, RecoverError, Recovered, Reexecution, placeholder, recover};
use tercel_store::journal::{Journal, JournalReader, Record, RecordedEffect};
use tercel_store::market_tape::Taped;
use tercel_testkit::{Disk, DiskFaults, promised};

use crate::fault::Fault;
use crate::invariant::{Checked, Invariant, Violation};
use crate::life::{Birth, Life};
use crate::listing::{INTENTS, MAKER, PUPPET, TAKER, config, limits};
use crate::market::Outlet;
use crate::strategies::{Edition, Whim, limits as script_limits};
use crate::world::World;

/// What a process that is gone has left.
pub(crate) struct Past {
    run: u32,
    disk: Disk,
    tape: Rc<RefCell<Vec<Taped>>>,
    /// Records that were said to be durable.
    acknowledged: u64,
    /// Events whose entries went to the journal.
    journaled: Vec<Seq>,
    /// Whether the journal was opened again: then entries may be missing.
    has_hole: bool,
    id_max: Option<u64>,
    durable: Vec<ClientOrderId>,
    /// Whether its journal was made.
    is_created: bool,
    is_judged: bool,
}

impl World<'_> {
    /// The process is gone.
    pub(crate) fn die(&mut self) -> Checked {
        let Some(life) = self.life.take() else { return Ok(()) };
        let power = self.takes_power;
        self.tell(|| (if power { "the power goes" } else { "the process dies" }).to_owned());
        self.counts.count(if power { Fault::PowerCut } else { Fault::Crash });
        self.net_counts(&life);
        let acknowledged = life.running.parts().recorder.progress().n_durable;
        let has_hole = life.has_hole();
        let Life { running, disk, tape, journaled, id_max, durable, run, .. } = life;
        // What it still does with its files while it goes reaches no disk.
        disk.power_off();
        drop(running);
        if power {
            disk.power_cut(DiskFaults::default());
        } else {
            disk.restart(DiskFaults::default());
        }
        self.past.push(Past {
            run,
            disk,
            tape,
            acknowledged,
            journaled,
            has_hole,
            id_max,
            durable,
            is_created: true,
            is_judged: false,
        });
        self.net.borrow_mut().disconnect();
        self.desk.clear();
        self.commit_at_nothing();
        Ok(())
    }

    fn net_counts(&mut self, life: &Life) {
        let refused = life.disk.refused();
        self.counts.add(Fault::FailingDisk, refused.failed);
        self.counts.add(Fault::FullDisk, refused.full);
    }

    /// Lets time pass without a process, then begins the next one.
    pub(crate) fn restart(&mut self) -> Checked {
        // Longer than a request may take to arrive: only then can the venue say what it has.
        let down = self.random.between(6, 60) * Nanos::SECOND;
        self.times.reach(self.times.at() + down);
        let now = self.times.at();
        self.net.borrow_mut().settle(now, &self.market);
        let (state, at) = match self.predecessor()? {
            Some(left) => left,
            None => (self.fresh()?, Nanos(0)),
        };
        self.begin(state, at)
    }

    fn fresh(&mut self) -> Checked<State> {
        let nobody = (0..crate::listing::N_STRATEGIES).map(|_| placeholder()).collect();
        let engine = Engine::new(&config(&self.plan), nobody).map_err(cannot)?;
        self.judge.told.restart(Seq(0));
        Ok(engine.snapshot())
    }

    /// Reads what the last process that began has left, and checks that.
    fn predecessor(&mut self) -> Checked<Option<(State, Nanos)>> {
        for idx in (0..self.past.len()).rev() {
            // Cut off while its journal was being made: a file gets its name when it is whole.
            if !self.past[idx].is_created {
                continue;
            }
            let reader = JournalReader::open_on(self.past[idx].disk.backend()).map_err(lost)?;
            let recovered = match recover(&reader) {
                Ok(recovered) => recovered,
                // It was never said to have begun.
                Err(RecoverError::NeverBegan) if self.past[idx].acknowledged == 0 => continue,
                Err(error) => return Err(lost(error)),
            };
            let left = self.continued(idx, reader, recovered)?;
            self.past.drain(..idx);
            return Ok(Some(left));
        }
        Ok(None)
    }

    fn continued(
        &mut self,
        idx: usize,
        reader: JournalReader,
        recovered: Recovered,
    ) -> Checked<(State, Nanos)> {
        let run = self.past[idx].run;
        let n_repeated = recovered.n_repeated;
        let last_seq = recovered.last_seq;
        self.tell(|| {
            format!("run {run} left {n_repeated} entries after its snapshot, up to {last_seq}")
        });
        let first_time = !std::mem::replace(&mut self.past[idx].is_judged, true);
        let seq = if first_time { recovered.last_seq } else { Seq(0) };
        self.judge.told.restart(seq);
        let hole = self.check_left(idx, &reader, &recovered)?;
        if first_time {
            self.check_replay(idx, &reader, hole, Some(&recovered))?;
        }
        let hash = recovered.recovery.state().hash();
        self.judge.digest.u64(hash);
        let again = recover(&reader).map_err(lost)?;
        let found = again.recovery.state().hash();
        self.judge.hold(Invariant::Restart, found == hash && again.last_seq == last_seq, || {
            (format!("state {hash:016x} after {last_seq}"), format!("{found:016x}"))
        })?;
        let is_sealed = reader.is_sealed();
        // One at a time has the file open.
        drop(reader);
        if !is_sealed {
            let disk = &self.past[idx].disk;
            let journal = Journal::open_on(disk.backend(), self.plan.journal).map_err(lost)?;
            again.seal(journal).map_err(lost)?;
            let reader = JournalReader::open_on(disk.backend()).map_err(lost)?;
            let sealed = recover(&reader).map_err(lost)?;
            let found = sealed.recovery.state().hash();
            self.judge.hold(Invariant::Restart, found == hash, || {
                (format!("the sealed run as {hash:016x}"), format!("{found:016x}"))
            })?;
        }
        let recovered = self.adopt(recovered)?;
        let continued = recovered
            .continued(self.next_run, limits(&self.plan))
            .map_err(|error| Violation::new(Invariant::Recovery, "limits", error.to_string()))?;
        Ok((continued.state, continued.at))
    }

    /// Enters what the venue has of us and the record has not: the last moments of a process whose
    /// orders do not wait for the disk.
    fn adopt(&mut self, mut recovered: Recovered) -> Checked<Recovered> {
        let net = self.net.borrow();
        let now = recovered.last_now.max(Nanos(0));
        let mut missing = Vec::new();
        for truth in net.venue.orders() {
            let known = recovered.recovery.state().orders.get(truth.id);
            let is_replaced = known.is_some_and(|order| {
                let pending = order.pending.replace.map(|own| (own.price, own.qty));
                let now = (truth.spec.kind.limit_price(), truth.spec.qty);
                order.is_working()
                    && now != (order.spec.kind.limit_price(), order.spec.qty)
                    && pending.map(|(price, qty)| (Some(price), qty)) != Some(now)
            });
            match (known, truth.spec.kind.limit_price()) {
                (None, _) => missing.push(truth.as_new()),
                (Some(_), Some(price)) if is_replaced => {
                    let (id, account, instrument) =
                        (truth.id, truth.account, truth.spec.instrument);
                    let qty = truth.spec.qty;
                    missing.push(OrderRequest::Replace { id, account, instrument, price, qty });
                }
                (Some(_), _) => {}
            }
        }
        drop(net);
        for request in missing {
            self.tell(|| format!("the venue has what the record lacks: {request:?}"));
            recovered.recovery.sent(now, &request).map_err(|error| {
                Violation::new(
                    Invariant::Recovery,
                    "room for what the venue has",
                    error.to_string(),
                )
            })?;
        }
        Ok(recovered)
    }

    /// Checks what a process has left against what was promised while it lived.
    fn check_left(
        &mut self,
        idx: usize,
        reader: &JournalReader,
        recovered: &Recovered,
    ) -> Checked<Option<Seq>> {
        let past = &self.past[idx];
        let acknowledged = past.acknowledged;
        let verified = reader.verify().map_err(lost)?;
        let n_records = verified.n_records;
        self.judge.hold(Invariant::Durable, n_records >= acknowledged, || {
            (format!("{acknowledged} records or more"), n_records.to_string())
        })?;
        let lease = reader.last_lease().map_or(0, |lease| lease.end);
        let id_max = past.id_max;
        self.judge.hold(Invariant::RecordedFirst, id_max.is_none_or(|id| id < lease), || {
            (format!("order numbers below the leased {lease}"), format!("{id_max:?} was sent"))
        })?;
        let (mut sent, mut kept) = (BTreeSet::new(), BTreeSet::new());
        for record in reader.records().map_err(lost)? {
            if let (_, Record::Entry(entry)) = record.map_err(lost)? {
                kept.insert(entry.seq);
                sent.extend(entry.effects.iter().filter_map(|effect| match effect {
                    RecordedEffect::Send(OrderRequest::New { id, .. }) => Some(*id),
                    _ => None,
                }));
            }
        }
        let bare = past.durable.iter().find(|id| !sent.contains(id)).copied();
        self.judge.hold(Invariant::RecordedFirst, bare.is_none(), || {
            let expected = "durable records of orders that wait for them";
            (expected.to_owned(), bare.map_or_else(String::new, |id| format!("none of {id}")))
        })?;
        let last = kept.last().copied().unwrap_or(Seq(0));
        let mut before = past.journaled.iter().take_while(|seq| **seq < last);
        let hole = before.find(|seq| !kept.contains(seq)).copied();
        let may_miss = past.has_hole;
        self.judge.hold(Invariant::NoLoss, hole.is_none() || may_miss, || {
            let expected = "a record without holes of a journal that never failed";
            (expected.to_owned(), format!("event {hole:?} is missing"))
        })?;
        let state = recovered.recovery.state();
        self.judge.checks.count(Invariant::Positions);
        self.judge.told.now().check_positions(state)?;
        self.judge.checks.count(Invariant::Cash);
        self.judge.told.now().check_cash(state)?;
        Ok(hole)
    }

    /// Executes a run again, and compares with what its record alone says.
    pub(crate) fn check_replay(
        &mut self,
        idx: usize,
        reader: &JournalReader,
        hole: Option<Seq>,
        recovered: Option<&Recovered>,
    ) -> Checked {
        let past = &self.past[idx];
        let (seed, run) = (self.seed, past.run);
        let native = move |id| {
            if id == PUPPET { Whim::seeded(seed ^ u64::from(run), None) } else { placeholder() }
        };
        let done = Reexecution {
            journal: reader,
            tape: Some(past.tape.borrow().clone().into_iter()),
            native: &native,
            limits: &script_limits,
            intents_per_call: INTENTS,
            until: None,
            noted: None,
        }
        .run()
        .map_err(|error| Violation::new(Invariant::Replay, "a run", error.to_string()))?;
        self.judge.hold(Invariant::Replay, done.difference.is_none(), || {
            let difference = done.difference.as_ref();
            let tell = |pick: fn(&tercel_runtime::Difference) -> &String| {
                difference.map_or_else(String::new, |own| pick(own).clone())
            };
            let place = difference.map_or(0, |own| own.seq.0);
            let expected = tell(|own| &own.expected);
            let event = tell(|own| &own.event);
            (format!("run {run}, event {place}, {event}: {expected}"), tell(|own| &own.got))
        })?;
        // A hole that no later state ends is the end.
        let stopped = done.stopped.clone().filter(|_| done.holes.is_empty());
        self.judge.hold(Invariant::Replay, stopped.is_none(), || {
            ("an execution to the end".to_owned(), stopped.unwrap_or_default())
        })?;
        let has_hole = hole.is_some();
        self.judge.hold(Invariant::Replay, !has_hole || !done.holes.is_empty(), || {
            ("a hole that is told".to_owned(), format!("event {hole:?} is missing"))
        })?;
        let Some(recovered) = recovered.filter(|_| done.stopped.is_none()) else { return Ok(()) };
        let day = recovered.last_now.max(Nanos(0)).day();
        let expected = promised(done.engine.state(), day);
        let found = promised(recovered.recovery.state(), day);
        self.judge.hold(Invariant::Recovery, expected == found, || {
            let lines = expected.lines().zip(found.lines()).find(|(a, b)| a != b);
            let (expected, found) = lines.unwrap_or(("as many lines", "fewer or more"));
            (expected.to_owned(), found.to_owned())
        })
    }

    /// Begins a process.
    fn begin(&mut self, state: State, at: Nanos) -> Checked {
        let run = self.next_run;
        self.next_run += 1;
        let mut faults = DiskFaults::default();
        // Beginning is as good a time to die as any.
        if self.is_stormy && self.next_run > 2 && self.random.chance(15) {
            faults.cut_at = Some(1 + self.random.below(60));
            self.takes_power = self.random.chance(50);
        }
        let disk = Disk::new(self.seed ^ u64::from(run), faults);
        self.desk.clear();
        self.desk.fuse.renew(disk.clone());
        let seed = self.seed ^ u64::from(run);
        let version = |id| self.scripts.version(id, Edition::First, &[], self.seed);
        let versions = [version(MAKER).map_err(cannot)?, version(TAKER).map_err(cannot)?];
        let birth = Birth {
            run,
            state: state.clone(),
            at,
            disk: disk.clone(),
            versions: &versions,
            plan: &self.plan,
            desk: &self.desk,
            net: &self.net,
            times: &self.times,
            seed,
        };
        let life = match Life::begin(birth) {
            Ok(life) => life,
            Err(error) if disk.is_dead() => {
                let power = self.takes_power;
                self.tell(|| format!("run {run} dies while it begins"));
                self.counts.count(if power { Fault::PowerCut } else { Fault::Crash });
                if power {
                    disk.power_cut(DiskFaults::default());
                } else {
                    disk.restart(DiskFaults::default());
                }
                self.past.push(Past {
                    run,
                    disk,
                    tape: Rc::default(),
                    acknowledged: 0,
                    journaled: Vec::new(),
                    has_hole: false,
                    id_max: None,
                    durable: Vec::new(),
                    is_created: error.is_created,
                    is_judged: false,
                });
                return Ok(());
            }
            Err(error) => {
                let why = error.why;
                return Err(Violation::new(Invariant::Liveness, "a process that begins", why));
            }
        };
        self.tell(|| format!("run {run} begins"));
        self.check_begun(&state, &disk)?;
        self.net.borrow_mut().connect(life.engine().state(), self.times.at());
        self.judge.restart(life.engine(), at);
        self.life = Some(life);
        let mut events = Vec::new();
        let mut out = Outlet { events: &mut events, utc: self.times.utc() };
        self.market.open(&mut self.random, &mut out);
        self.feed(events);
        self.pump()
    }

    /// Checks that a process that would die at once would leave what it began with.
    fn check_begun(&mut self, state: &State, disk: &Disk) -> Checked {
        let copy = Disk::with_content(disk.content(), 0, DiskFaults::default());
        let reader = JournalReader::open_on(copy.backend()).map_err(lost)?;
        let begun = recover(&reader).map_err(lost)?;
        let day = self.times.utc().day();
        let (expected, found) = (promised(state, day), promised(begun.recovery.state(), day));
        self.judge.hold(Invariant::Restart, expected == found, || {
            let lines = expected.lines().zip(found.lines()).find(|(a, b)| a != b);
            let (expected, found) = lines.unwrap_or(("as many lines", "fewer or more"));
            (expected.to_owned(), found.to_owned())
        })
    }

    /// Lets the process end as it is asked to, and checks what it leaves.
    pub(crate) fn stop(&mut self) -> Checked {
        let Some(mut life) = self.life.take() else { return Ok(()) };
        life.handle.stop();
        let ending = life.running.run();
        self.tell(|| format!("run {} ends: {}", life.run, ending.cause));
        let failure = ending.record_failure.map(|failure| failure.0);
        self.judge.hold(Invariant::Liveness, failure.is_none(), || {
            ("an end that is recorded".to_owned(), failure.unwrap_or_default())
        })?;
        self.net_counts(&life);
        let acknowledged = life.running.parts().recorder.progress().n_durable;
        let hash = life.engine().state_hash();
        let has_hole = life.has_hole();
        let Life { running, disk, tape, journaled, id_max, durable, run, .. } = life;
        drop(running);
        self.past.push(Past {
            run,
            disk,
            tape,
            acknowledged,
            journaled,
            has_hole,
            id_max,
            durable,
            is_created: true,
            is_judged: true,
        });
        let idx = self.past.len() - 1;
        let reader = JournalReader::open_on(self.past[idx].disk.backend()).map_err(lost)?;
        self.judge.hold(Invariant::Durable, reader.is_sealed(), || {
            ("a sealed run".to_owned(), "one that is open".to_owned())
        })?;
        let recovered = recover(&reader).map_err(lost)?;
        let found = recovered.recovery.state().hash();
        self.judge.hold(Invariant::Restart, found == hash, || {
            (format!("the last state, {hash:016x}"), format!("{found:016x}"))
        })?;
        self.judge.digest.u64(hash);
        let hole = self.check_left(idx, &reader, &recovered)?;
        self.check_replay(idx, &reader, hole, None)
    }
}

fn lost(error: impl std::fmt::Display) -> Violation {
    Violation::new(Invariant::Durable, "a journal that can be read", error.to_string())
}

fn cannot(error: impl std::fmt::Display) -> Violation {
    Violation::new(Invariant::Liveness, "something to begin with", error.to_string())
}
