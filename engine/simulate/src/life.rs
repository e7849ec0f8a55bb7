//! One process: the real loop with all that it is made of.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Receiver as Answer;
use std::time::Duration;

use tercel_core::{Engine, Event, Nanos, Seq, State, VenueId};
use tercel_runtime::{
    EventLoop, Handle, IdleStrategy, JournalRecorder, LoadReport, LoopOptions, MarketSender, Parts,
    RingCounters, UtcClock, Version, begin_run, control, placeholder, ring,
};
use tercel_store::journal::{Journal, RunStart};
use tercel_store::market_tape::Taped;
use tercel_testkit::Disk;

use crate::desk::{Desk, Door, Tape, Wire, Witness};
use crate::listing::{INTENTS, N_INSTRUMENTS};
use crate::net::Net;
use crate::plan::Plan;
use crate::strategies::Whim;
use crate::times::Times;

/// The loop of a simulated process.
pub(crate) type Loop = EventLoop<UtcClock<Times>, Door, Witness, (), Wire>;

/// What a version's load was answered.
pub(crate) type Loaded = Result<LoadReport, String>;

/// A running process.
pub(crate) struct Life {
    pub(crate) run: u32,
    pub(crate) running: Loop,
    pub(crate) handle: Handle,
    pub(crate) market: MarketSender,
    pub(crate) ring: Arc<RingCounters>,
    pub(crate) disk: Disk,
    pub(crate) tape: Rc<RefCell<Vec<Taped>>>,
    /// Versions that were to be loaded, and whether they are good.
    pub(crate) loads: Vec<(Answer<Loaded>, bool)>,
    /// Market events and news of links that were sent.
    pub(crate) n_market: u64,
    /// Events whose entries go to the journal.
    pub(crate) journaled: Vec<Seq>,
    /// Greatest order number that has left.
    pub(crate) id_max: Option<u64>,
    /// Orders that were to be durable before they left.
    pub(crate) durable: Vec<tercel_core::ClientOrderId>,
}

/// What a process is born into.
pub(crate) struct Birth<'a> {
    pub(crate) run: u32,
    pub(crate) state: State,
    pub(crate) at: Nanos,
    pub(crate) disk: Disk,
    pub(crate) versions: &'a [Version],
    pub(crate) plan: &'a Plan,
    pub(crate) desk: &'a Rc<Desk>,
    pub(crate) net: &'a Rc<RefCell<Net>>,
    pub(crate) times: &'a Times,
    /// Decides what the native strategy does.
    pub(crate) seed: u64,
}

/// Why a process did not begin.
#[derive(Debug)]
pub(crate) struct Stillborn {
    pub(crate) why: String,
    /// Whether its journal was made.
    pub(crate) is_created: bool,
}

impl Life {
    /// Begins a process as a server does: journal, leases, versions, a first state, all durable.
    ///
    /// # Errors
    ///
    /// Why it could not.
    pub(crate) fn begin(birth: Birth<'_>) -> Result<Self, Stillborn> {
        let Birth { run, state, at, disk, versions, plan, desk, net, times, seed } = birth;
        let start = RunStart {
            run,
            at: times.utc(),
            config: String::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let options = plan.journal;
        let journal = Journal::create_on(disk.backend(), start, options)
            .map_err(|error| Stillborn { why: error.to_string(), is_created: false })?;
        let place = disk.clone();
        let reopen = move || Journal::open_on(place.backend(), options);
        let tape = Tape::default();
        let mut recorder = JournalRecorder::stepped(
            journal,
            reopen,
            tape.clone(),
            plan.recorder.clone(),
            times.clone(),
        )
        .map_err(told)?;
        let strategies =
            vec![placeholder(), Whim::seeded(seed, Some(Rc::clone(desk))), placeholder()];
        let mut engine = Engine::restore(state, strategies, INTENTS).map_err(told)?;
        begin_run(&mut engine, at, versions, &mut recorder).map_err(told)?;
        let (handle, control) = control(64);
        let (sender, receiver) = ring::<Event>(plan.market_ring);
        let counters = Arc::clone(sender.counters());
        let parts = Parts {
            engine,
            clock: UtcClock::new(times.clone()).not_before(at),
            port: Door { desk: Rc::clone(desk), net: Rc::clone(net), times: times.clone() },
            recorder: Witness { desk: Rc::clone(desk), inner: recorder },
            observer: (),
            sources: vec![Wire(receiver)],
        };
        // One event a cycle, so that the judge sees the engine after each.
        let options = LoopOptions {
            events_per_cycle: 1,
            idle: IdleStrategy::BusySpin,
            sample_interval_ns: 0,
            drain: Duration::ZERO,
        };
        Ok(Self {
            run,
            running: EventLoop::new(parts, control, options).starting_after(Seq(0), at),
            handle,
            market: MarketSender::new(sender, vec![VenueId(0); N_INSTRUMENTS]),
            ring: counters,
            disk,
            tape: tape.0,
            loads: Vec::new(),
            n_market: 0,
            journaled: Vec::new(),
            id_max: None,
            durable: Vec::new(),
        })
    }

    /// Returns whether entries may be missing from the journal: it has failed or been opened again.
    pub(crate) fn has_hole(&self) -> bool {
        let counts = self.running.parts().recorder.inner.counts();
        counts.n_reopened > 0 || counts.n_missing > 0
    }

    /// Returns how many orders work, as the engine believes.
    pub(crate) fn n_working(&self) -> u32 {
        self.engine().state().orders.n_working()
    }

    pub(crate) const fn engine(&self) -> &Engine {
        &self.running.parts().engine
    }
}

fn told(error: impl std::fmt::Display) -> Stillborn {
    Stillborn { why: error.to_string(), is_created: true }
}
