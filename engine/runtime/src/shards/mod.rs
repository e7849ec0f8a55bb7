//! Several engines in one process: each with its own thread, journal and control, none sharing
//! anything with another while it runs.
//!
//! What they share by configuration is split before they start ([`deal`]): quantities, notionals, counts
//! and rates together never exceed the whole. A loss limit that trips halts the engine that it trips on;
//! `ShardsHandle::halt_others` halts those that share it.

mod deal;
mod start_line;

use std::sync::Arc;

use std::time::{Duration, Instant};

use tercel_core::{AccountId, Command, Notional, Quantity, Scope, StrategyId, TradingState};

use crate::affinity::PinError;
use crate::control::{CommandRefused, Control, Handle, Status, control};
use crate::thread::EngineThread;
use deal::engine_of;
pub use deal::{DealBy, DealError, Shard, deal};
pub use start_line::{StartLine, StartOff, Starter};

/// Running engines. Holds their threads; [`Shards::handle`] is what others hold.
#[derive(Debug)]
pub struct Shards<T> {
    /// By index; `None` once its ending was taken.
    threads: Vec<Option<EngineThread<T>>>,
    handle: ShardsHandle,
}

/// One handle over all engines of a run, in the ids of the whole.
#[derive(Clone, Debug)]
pub struct ShardsHandle {
    handles: Vec<Handle>,
    by: DealBy,
    /// Engine and own id of each strategy of the whole.
    places: Arc<[(usize, StrategyId)]>,
}

/// Why a command did not reach all that it was for.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ShardsRefused {
    /// Some engines did not take it; all others did.
    #[error("engine {} did not take the command: {why}", counted(.engines))]
    Some {
        /// Which, from 0; told from 1.
        engines: Vec<usize>,
        /// Why the first of them did not.
        why: CommandRefused,
    },
    /// There is no such strategy.
    #[error("there is no strategy {0}")]
    NoStrategy(StrategyId),
    /// Engines share the scope's limits.
    #[error(
        "limits of the {0} are split between engines and cannot be changed while they run: one would \
         have its new share before another has given up its old one; stop the run and start it anew"
    )]
    SharedLimits(Scope),
}

/// What all engines say of themselves, added up in the ids of the whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShardsStatus {
    /// Each engine's own; `None` of one that has not answered in time.
    pub engines: Vec<Option<Arc<Status>>>,
    /// What the most restricted engine may do.
    pub state: TradingState,
    /// Market events and news of links taken.
    pub n_market: u64,
    /// Execution reports taken.
    pub n_reports: u64,
    /// Requests sent.
    pub n_requests: u64,
    /// Requests that wait for their records.
    pub n_held: usize,
    /// Orders that work.
    pub n_open_orders: u64,
    /// Equity of each account in quote.
    pub equity: Vec<Notional>,
    /// Position in each instrument.
    pub positions: Vec<Quantity>,
    /// Whether each strategy runs; not of an engine that has not answered.
    pub is_running: Vec<bool>,
    /// Which engines cannot record, and why.
    pub record_failures: Vec<(usize, String)>,
}

impl<T: Send + 'static> Shards<T> {
    /// Starts a thread for each engine and lets its body build and run it there. `cores` are those that
    /// the threads are to stay on, by index; an engine beyond the list goes where it likes.
    /// `capacity` commands wait for each at most.
    ///
    /// # Errors
    ///
    /// If the system gives no thread. Engines that have started are told to stop.
    pub fn spawn(
        shards: Vec<(Shard, impl FnOnce(Shard, Control, Option<PinError>) -> T + Send + 'static)>,
        by: DealBy,
        cores: &[usize],
        capacity: usize,
    ) -> std::io::Result<Self> {
        let places = places(shards.iter().map(|(shard, _)| shard));
        let (mut threads, mut handles) = (Vec::new(), Vec::new());
        for (shard, body) in shards {
            let (handle, control) = control(capacity);
            let core = cores.get(shard.index).copied();
            let spawned = EngineThread::spawn(core, move |pin| body(shard, control, pin));
            handles.push(handle);
            match spawned {
                Ok(thread) => threads.push(Some(thread)),
                Err(error) => {
                    handles.iter().for_each(Handle::stop);
                    return Err(error);
                }
            }
        }
        Ok(Self { threads, handle: ShardsHandle { handles, by, places } })
    }

    /// Returns a handle over all engines.
    #[must_use]
    pub const fn handle(&self) -> &ShardsHandle {
        &self.handle
    }

    /// Returns how many engines have not ended, or have and were not taken.
    #[must_use]
    pub fn n_left(&self) -> usize {
        self.threads.iter().flatten().count()
    }

    /// Takes what the bodies of engines returned that have ended since the last call, with their
    /// indexes. Does not wait.
    ///
    /// # Panics
    ///
    /// If a thread has panicked.
    pub fn take_ended(&mut self) -> Vec<(usize, T)> {
        let ended = self.threads.iter_mut().enumerate().filter_map(|(index, thread)| {
            let thread = thread.take_if(|thread| thread.is_finished())?;
            Some((index, thread.join()))
        });
        ended.collect()
    }

    /// Waits for all engines to end and returns what the bodies returned that were not taken, by index.
    ///
    /// # Panics
    ///
    /// If a thread has panicked.
    #[must_use]
    pub fn join(self) -> Vec<T> {
        self.threads.into_iter().flatten().map(EngineThread::join).collect()
    }
}

/// Names engines as people count them.
fn counted(engines: &[usize]) -> String {
    let numbers: Vec<_> = engines.iter().map(|index| (index + 1).to_string()).collect();
    numbers.join(", ")
}

/// Returns engine and own id of each strategy of the whole.
fn places<'a>(shards: impl Iterator<Item = &'a Shard>) -> Arc<[(usize, StrategyId)]> {
    let mut places: Vec<_> = shards
        .flat_map(|shard| {
            let own = (0_u16..).map(StrategyId);
            shard.strategies.iter().zip(own).map(|(whole, own)| (*whole, (shard.index, own)))
        })
        .collect();
    places.sort_unstable();
    places.into_iter().map(|(_, place)| place).collect()
}

impl ShardsHandle {
    /// Returns the handle of each engine, in its own ids of strategies.
    #[must_use]
    pub fn engines(&self) -> &[Handle] {
        &self.handles
    }

    /// Returns the engine that a strategy is on, and its id there.
    #[must_use]
    pub fn place(&self, id: StrategyId) -> Option<(usize, StrategyId)> {
        self.places.get(id.index()).copied()
    }

    /// Returns whether an engine has a share in an account.
    #[must_use]
    pub fn has_account(&self, index: usize, account: AccountId) -> bool {
        self.by == DealBy::Instruments || engine_of(account, self.handles.len()) == index
    }

    /// Sends a command to every engine that it is for. Does not wait. Every engine is tried, also
    /// after one has refused.
    ///
    /// # Errors
    ///
    /// If an engine did not take it, it names no strategy, or it sets limits that engines share.
    pub fn send(&self, command: &Command) -> Result<(), ShardsRefused> {
        let each = |scope: Scope, command: &dyn Fn(Scope) -> Command| self.to_scope(scope, command);
        match command {
            Command::Start(id) => self.to_strategy(*id, Command::Start),
            Command::Stop(id) => self.to_strategy(*id, Command::Stop),
            Command::SetParams(id, values) => {
                self.to_strategy(*id, |id| Command::SetParams(id, values.clone()))
            }
            Command::Resume(scope) => each(*scope, &Command::Resume),
            Command::Reduce(scope) => each(*scope, &Command::Reduce),
            Command::Kill(scope) => each(*scope, &Command::Kill),
            Command::Halt(scope) => each(*scope, &Command::Halt),
            Command::Flatten(scope) => each(*scope, &Command::Flatten),
            Command::SetLimits(scope, limits) => {
                if self.is_shared(*scope) {
                    return Err(ShardsRefused::SharedLimits(*scope));
                }
                each(*scope, &|scope| Command::SetLimits(scope, limits.clone()))
            }
        }
    }

    /// Halts a scope on all other engines that have a share of its limits, because the share of the engine
    /// `index` has tripped: together they have lost no more than the whole then. Does not wait; until they
    /// come to it they trade on. Returns how many engines were told.
    ///
    /// # Errors
    ///
    /// If an engine did not take it; all others did.
    pub fn halt_others(&self, index: usize, scope: Scope) -> Result<usize, ShardsRefused> {
        if !self.is_shared(scope) {
            return Ok(0);
        }
        let others: Vec<_> = (0..self.handles.len()).filter(|other| *other != index).collect();
        self.to_engines(&others, &|| Command::Halt(scope))?;
        Ok(others.len())
    }

    /// Asks all engines to stop.
    pub fn stop(&self) {
        self.handles.iter().for_each(Handle::stop);
    }

    /// Asks all engines for their status and adds up what they answer by then.
    #[must_use]
    pub fn status(&self, timeout: Duration) -> ShardsStatus {
        let until = Instant::now() + timeout;
        let ask = |handle: &Handle| handle.status(until.saturating_duration_since(Instant::now()));
        let engines: Vec<_> = self.handles.iter().map(ask).collect();
        let mut sum = ShardsStatus {
            state: TradingState::Active,
            n_market: 0,
            n_reports: 0,
            n_requests: 0,
            n_held: 0,
            n_open_orders: 0,
            equity: Vec::new(),
            positions: Vec::new(),
            is_running: vec![false; self.places.len()],
            record_failures: Vec::new(),
            engines: Vec::new(),
        };
        for (index, status) in engines.iter().enumerate() {
            let Some(status) = status else { continue };
            sum.state = sum.state.max(status.state);
            sum.n_market += status.n_market;
            sum.n_reports += status.n_reports;
            sum.n_requests += status.n_requests;
            sum.n_held += status.n_held;
            sum.n_open_orders += u64::from(status.n_open_orders);
            add(&mut sum.equity, &status.equity, Notional::ZERO, |sum, one| *sum += one);
            add(&mut sum.positions, &status.positions, Quantity(0), |sum, one| *sum += one);
            let failure = status.record_failure.iter().map(|why| (index, why.clone()));
            sum.record_failures.extend(failure);
        }
        for (is_running, (index, own)) in sum.is_running.iter_mut().zip(&*self.places) {
            let status = engines[*index].as_ref();
            *is_running = status.is_some_and(|status| status.is_running[own.index()]);
        }
        ShardsStatus { engines, ..sum }
    }

    /// Returns whether several engines have a share of the scope's limits.
    fn is_shared(&self, scope: Scope) -> bool {
        let is_split = match scope {
            Scope::Engine => true,
            Scope::Account(_) => self.by == DealBy::Instruments,
            Scope::Strategy(_) => false,
        };
        is_split && self.handles.len() > 1
    }

    fn to_scope(
        &self,
        scope: Scope,
        command: &dyn Fn(Scope) -> Command,
    ) -> Result<(), ShardsRefused> {
        match scope {
            Scope::Strategy(id) => self.to_strategy(id, |id| command(Scope::Strategy(id))),
            Scope::Account(account) if self.by == DealBy::Accounts => {
                self.to_engines(&[engine_of(account, self.handles.len())], &|| command(scope))
            }
            Scope::Account(_) | Scope::Engine => {
                let all: Vec<_> = (0..self.handles.len()).collect();
                self.to_engines(&all, &|| command(scope))
            }
        }
    }

    fn to_strategy(
        &self,
        id: StrategyId,
        command: impl Fn(StrategyId) -> Command,
    ) -> Result<(), ShardsRefused> {
        let (index, own) = self.place(id).ok_or(ShardsRefused::NoStrategy(id))?;
        self.to_engines(&[index], &|| command(own))
    }

    fn to_engines(
        &self,
        engines: &[usize],
        command: &dyn Fn() -> Command,
    ) -> Result<(), ShardsRefused> {
        let send = |index: &usize| Some((*index, self.handles[*index].send(command()).err()?));
        let refused: Vec<_> = engines.iter().filter_map(send).collect();
        let Some((_, why)) = refused.first() else { return Ok(()) };
        let (why, engines) = (*why, refused.iter().map(|(index, _)| *index).collect());
        Err(ShardsRefused::Some { engines, why })
    }
}

fn add<N: Copy>(sum: &mut Vec<N>, values: &[N], zero: N, add: impl Fn(&mut N, N)) {
    sum.resize(sum.len().max(values.len()), zero);
    sum.iter_mut().zip(values).for_each(|(sum, value)| add(sum, *value));
}
