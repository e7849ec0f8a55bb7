//! Worlds, one a seed, and what came of them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tercel_core::{Command, InstrumentId, Nanos, OrderState, Scope, Seq, StrategyId};
use tercel_script::ScriptError;

use crate::counts::Counts;
use crate::fault::Fault;
use crate::invariant::{Checked, Invariant, Violation};
use crate::listing::{MAKER, PUPPET, TAKER};
use crate::strategies::Scripts;
use crate::world::World;

/// Changes of the market in the first phase of a world.
const TICKS: u64 = 80;

/// Time that everything has to settle in.
const SETTLE_NS: i64 = 24 * Nanos::SECOND;
/// A lease of fewer order numbers than a flatten and what the strategies wish beside it may need.
const FLATTEN_LEASE: u32 = 32;
/// How often a flatten is asked for at the end.
const FLATTENS: usize = 5;

/// Time in which everything must trade again.
const TRADE_NS: i64 = 24 * Nanos::SECOND;

/// What simulates: the scripts of the worlds, checked once.
#[derive(Debug)]
pub struct Simulation {
    scripts: Scripts,
}

/// Why nothing can be simulated.
#[derive(Debug, thiserror::Error)]
#[error("a script of the simulation: {0}")]
pub struct SimulationError(ScriptError);

impl From<ScriptError> for SimulationError {
    fn from(cause: ScriptError) -> Self {
        Self(cause)
    }
}

/// What came of one seed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Stands for all that happened: equal seeds give equal digests.
    pub digest: u64,
    /// Events that went into engines.
    pub n_events: u64,
    /// Processes that began.
    pub n_processes: u32,
    /// Fills at the venue.
    pub n_fills: u64,
    /// Time that passed in the world, in nanoseconds.
    pub span_ns: i64,
    /// What went wrong, where its effect was seen.
    pub faults: Counts<Fault>,
    /// Checks of each invariant.
    pub checks: Counts<Invariant>,
    /// What was broken, if anything.
    pub failure: Option<Failure>,
}

/// A promise that was broken, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The seed that breaks it.
    pub seed: u64,
    /// The process in that world, from 1.
    pub run: u32,
    /// Its last event.
    pub seq: Seq,
    /// What was broken.
    pub violation: Violation,
}

/// What several seeds came to.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Seeds.
    pub n_runs: u64,
    /// Events that went into engines.
    pub n_events: u64,
    /// Processes that began.
    pub n_processes: u64,
    /// Fills at the venue.
    pub n_fills: u64,
    /// Time that passed in the worlds, in nanoseconds.
    pub span_ns: i64,
    /// What went wrong.
    pub faults: Counts<Fault>,
    /// Checks of each invariant.
    pub checks: Counts<Invariant>,
    /// What was broken.
    pub failures: Vec<Failure>,
}

impl Summary {
    /// Adds a seed.
    pub fn add(&mut self, outcome: &Outcome) {
        self.n_runs += 1;
        self.n_events += outcome.n_events;
        self.n_processes += u64::from(outcome.n_processes);
        self.n_fills += outcome.n_fills;
        self.span_ns += outcome.span_ns;
        self.faults.merge(&outcome.faults);
        self.checks.merge(&outcome.checks);
        self.failures.extend(outcome.failure.clone());
    }
}

impl Simulation {
    /// Checks the scripts of the worlds.
    ///
    /// # Errors
    ///
    /// If one does not pass, which only a fault of the program can bring about.
    pub fn new() -> Result<Self, SimulationError> {
        Ok(Self { scripts: Scripts::new()? })
    }

    /// Lives through the world of a seed. A panic in it is one of its failures.
    #[must_use]
    pub fn run(&self, seed: u64) -> Outcome {
        self.live(seed, None)
    }

    /// Lives through the world of a seed and tells its story, line by line.
    #[must_use]
    pub fn trace(&self, seed: u64, mut tell: impl FnMut(String)) -> Outcome {
        self.live(seed, Some(&mut tell))
    }

    fn live<'a>(&'a self, seed: u64, story: Option<&'a mut dyn FnMut(String)>) -> Outcome {
        let mut world = World::new(seed, &self.scripts, story);
        let lived = catch_unwind(AssertUnwindSafe(|| world.live()));
        let lived = lived.unwrap_or_else(|panic| {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            let found = text.unwrap_or_else(|| "one without words".to_owned());
            Err(Violation::new(Invariant::NoPanic, "no panic", found))
        });
        world.judge.checks.count(Invariant::NoPanic);
        let failure = lived.err().map(|violation| Failure {
            seed,
            run: world.next_run - 1,
            seq: world.judge.seq,
            violation,
        });
        let net = world.net.borrow();
        let mut faults = world.counts.clone();
        faults.merge(&net.counts);
        let mut digest = world.judge.digest;
        digest.u64(world.judge.n_events);
        faults.iter().for_each(|(_, n)| digest.u64(n));
        Outcome {
            seed,
            digest: digest.value(),
            n_events: world.judge.n_events,
            n_processes: world.next_run - 1,
            n_fills: net.venue.ledger().n_fills() as u64,
            span_ns: world.times.at(),
            faults,
            checks: world.judge.checks.clone(),
            failure,
        }
    }
}

impl World<'_> {
    /// Lives: first things go wrong, then everything must settle.
    fn live(&mut self) -> Checked {
        while self.n_ticks < TICKS {
            self.step()?;
        }
        self.calm()?;
        self.pass(SETTLE_NS)?;
        self.attend()?;
        self.check_trading()?;
        self.flatten()?;
        // A cancel may be refused; the second kill withdraws what the first has left.
        for n in 0..2 {
            let is_done = self.life.as_ref().is_some_and(|own| own.n_working() == 0);
            if n == 0 || !is_done {
                self.command(Command::Kill(Scope::Engine))?;
                self.pass(SETTLE_NS)?;
            }
        }
        self.check_settled()?;
        self.stop()
    }

    /// Checks that everybody trades again.
    fn check_trading(&mut self) -> Checked {
        let before = self.judge.accepted;
        self.pass(TRADE_NS)?;
        let state = match &self.life {
            Some(life) => life.engine().state(),
            None => return Ok(()),
        };
        let states =
            [state.scope.state, state.accounts[0].scope.state, state.accounts[1].scope.state];
        // A limit may trip again: then the engine has said why.
        let is_halted = states.iter().any(|own| *own != tercel_core::TradingState::Active);
        let more: u64 = self.judge.accepted.iter().zip(before).map(|(now, then)| now - then).sum();
        self.judge.hold(Invariant::Liveness, is_halted || more > 0, || {
            ("orders that the venue takes, from somebody".to_owned(), "none".to_owned())
        })?;
        for id in [MAKER, PUPPET, TAKER] {
            let runs = self.judge.running[id.index()];
            self.judge.hold(Invariant::Liveness, runs, || {
                (format!("strategy {id} runs"), "it does not".to_owned())
            })?;
        }
        Ok(())
    }

    /// Has everything closed. What records the orders may fail while that begins, which halts the engine;
    /// then it is for a person to ask again.
    fn flatten(&mut self) -> Checked {
        for _ in 0..FLATTENS {
            self.command(Command::Flatten(Scope::Engine))?;
            self.pass(SETTLE_NS)?;
            if self.life.as_ref().is_some_and(|own| own.engine().state().scope.flattens) {
                return self.check_flat();
            }
        }
        // One event may close more than there are numbers leased: then it never comes about.
        let is_lease_small = self.plan.recorder.lease < FLATTEN_LEASE;
        self.judge.hold(Invariant::Flat, is_lease_small, || {
            ("a flatten that goes on".to_owned(), format!("{FLATTENS} that ended in a halt"))
        })
    }

    /// Checks that nobody holds what an order could close, and that none is about to.
    fn check_flat(&mut self) -> Checked {
        let Some(life) = &self.life else { return Ok(()) };
        let state = life.engine().state();
        let held = (0..).map(StrategyId).take(state.strategies.len()).find_map(|id| {
            let instruments = (0..).map(InstrumentId).take(state.instruments.len());
            let mut held = instruments.filter(|instrument| {
                let closing = state.orders.working(*instrument);
                let mut closing = closing.filter(|own| own.strategy == id && own.closes());
                state.closing_order(id, *instrument).is_some() || closing.next().is_some()
            });
            held.next().map(|instrument| {
                let qty = state.strategies[id.index()].scope.positions[instrument.index()].qty;
                let told = state.closing;
                format!("strategy {id} holds {qty} of instrument {instrument}; {told:?}")
            })
        });
        self.judge.hold(Invariant::Flat, held.is_none(), || {
            ("nothing that could be closed".to_owned(), held.unwrap_or_default())
        })
    }

    /// Checks that nothing is left open, and that engine and venue agree.
    fn check_settled(&mut self) -> Checked {
        let Some(life) = &self.life else { return Ok(()) };
        let state = life.engine().state();
        let open = state.orders.all_working().next();
        let open = open.map(|order| {
            let what = if order.state == OrderState::Unknown { "of unknown fate" } else { "open" };
            format!("order {} is {what}: {:?} {:?}", order.id, order.state, order.pending)
        });
        let net = self.net.borrow();
        let there = net.venue.working().next().map(|truth| truth.id);
        let (told, truth) = (self.judge.told.now(), net.venue.ledger());
        let agrees = told.agrees_with(truth);
        let counts = (told.n_fills(), truth.n_fills());
        drop(net);
        self.judge.hold(Invariant::Liveness, open.is_none(), || {
            ("no order after a kill".to_owned(), open.unwrap_or_default())
        })?;
        self.judge.hold(Invariant::Liveness, there.is_none(), || {
            let found = there.map_or_else(String::new, |id| format!("{id} works there"));
            ("no order at the venue".to_owned(), found)
        })?;
        self.judge.hold(Invariant::Positions, agrees, || {
            (format!("the venue's ledger of {} fills", counts.1), format!("one of {}", counts.0))
        })?;
        Ok(())
    }
}
