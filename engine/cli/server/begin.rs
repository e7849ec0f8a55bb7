//! What a run begins with: nothing, or what the run before it left.

use std::path::Path;
use std::sync::Arc;

use anyhow::anyhow;
use tercel_core::{
    AccountConfig, AccountId, Engine, EngineConfig, Instrument, Nanos, OrderState, RiskLimits,
    Scope, State, StrategyConfig, StrategyId,
};
use tercel_runtime::{Continued, Recovered, placeholder, recover};
use tercel_store::journal::{Journal, JournalError, JournalOptions, JournalReader};
use tercel_store::runs::{RunCatalog, RunFolder};

use crate::commands::backtest::with_fees;
use crate::exit::{Blame, Failure, Outcome, input};
use crate::server_config::feed::FeedKind;
use crate::server_config::sections::Mode;
use crate::server_config::{BoundStrategy, ServerFile};
use crate::venue::VenueAccess;

/// What comes from the configuration, bound to the feed.
pub(crate) struct Setup {
    pub(crate) instruments: Vec<Instrument>,
    pub(crate) assets: Vec<String>,
    pub(crate) strategies: Vec<BoundStrategy>,
    pub(crate) intents_per_call: usize,
    /// The venue, where market data comes from one.
    pub(crate) access: Option<Arc<VenueAccess>>,
    accounts: Vec<AccountConfig>,
    limits: RiskLimits,
}

/// A state to begin with.
pub(crate) struct Beginning {
    pub(crate) state: State,
    /// The run that it comes from, and the engine's time when that ended.
    pub(crate) after: Option<(u32, Nanos)>,
    /// What is told of it.
    pub(crate) story: Vec<String>,
}

/// Orders that the table holds, working and recently ended together.
const ORDER_CAPACITY: usize = 65_536;

impl Setup {
    /// Reads scripts and feed of a configuration.
    pub(crate) fn read(file: &ServerFile) -> Outcome<Self> {
        let (instruments, assets, access) = match file.config.feed.kind {
            FeedKind::Exchange => {
                let access = VenueAccess::open(&file.config.exchange)?;
                access.measure_clock()?;
                let (instruments, assets) = access.listing(&file.config.exchange.symbols)?;
                (with_fees(instruments, &file.config.venue), assets, Some(Arc::new(access)))
            }
            FeedKind::Seeded | FeedKind::Tape => {
                let feed = file.open_feed()?;
                (feed.instruments, feed.assets, None)
            }
        };
        if instruments.is_empty() {
            return Err(input("the feed has no instrument"));
        }
        let strategies = file.bind(&instruments)?;
        let is_at_venue = file.config.run.mode != Mode::Paper;
        Ok(Self {
            accounts: file.bind_accounts(&instruments, is_at_venue)?,
            limits: file.config.limits.engine.to_risk("engine", &instruments)?,
            instruments,
            assets,
            access,
            strategies,
            intents_per_call: file.config.script.intents.unwrap_or(256),
        })
    }

    /// Returns what an engine with all of it is built from.
    fn config(&self, run: u32) -> EngineConfig {
        let strategies = self.strategies.iter().map(|own| StrategyConfig {
            name: own.name.clone(),
            account: own.account,
            instruments: own.instruments.iter().map(|instrument| instrument.id).collect(),
            interest: own.script.manifest().interest(),
            series: Vec::new(),
            limits: own.limits.clone(),
        });
        EngineConfig {
            run,
            assets: self.assets.clone(),
            instruments: self.instruments.clone(),
            accounts: self.accounts.clone(),
            strategies: strategies.collect(),
            series: Vec::new(),
            limits: self.limits.clone(),
            order_capacity: ORDER_CAPACITY,
            intents_per_call: self.intents_per_call,
        }
    }

    /// Returns the state of an engine that has never traded.
    pub(crate) fn fresh(&self, run: u32) -> Outcome<Beginning> {
        let nobody = self.strategies.iter().map(|_| placeholder()).collect();
        let engine = Engine::new(&self.config(run), nobody).or_input()?;
        let what = if self.accounts.len() == 1 { "account begins" } else { "accounts begin" };
        let story = vec![format!("nothing came before: the {what} as configured")];
        Ok(Beginning { state: engine.snapshot(), after: None, story })
    }

    /// Returns the state that an earlier run left, with the limits of this configuration, whose shape
    /// has been checked.
    pub(crate) fn continued(&self, recovered: Recovered, run: u32) -> Outcome<Beginning> {
        let predecessor = recovered.run;
        let mut story = recovered_story(&recovered);
        let config = self.config(run);
        let strategies = (0..).map(StrategyId).zip(config.strategies);
        let accounts = (0..).map(AccountId).zip(config.accounts);
        let limits = strategies
            .map(|(id, own)| (Scope::Strategy(id), own.limits))
            .chain(accounts.map(|(id, own)| (Scope::Account(id), own.limits)))
            .chain([(Scope::Engine, config.limits)]);
        let Continued { mut state, at } = recovered.continued(run, limits).or_machine()?;
        state.instruments.clone_from(&self.instruments);
        story.extend(describe(&state));
        Ok(Beginning { state, after: Some((predecessor, at)), story })
    }

    /// Refuses a state that is about other instruments, accounts or strategies.
    pub(super) fn check_shape(&self, recovered: &Recovered) -> Outcome<()> {
        check_instruments(recovered, &self.instruments)?;
        let state = recovered.recovery.state();
        let then: Vec<_> = state.accounts.iter().map(|own| own.name.as_str()).collect();
        let now: Vec<_> = self.accounts.iter().map(|own| own.name.as_str()).collect();
        if then != now {
            return Err(differs(recovered.run, "accounts", &then, &now));
        }
        let on = |name: &str, account: AccountId| format!("{name} on {}", then[account.index()]);
        let (ours, theirs) = (&self.strategies, &state.strategies);
        let then: Vec<_> = theirs.iter().map(|own| on(&own.name, own.account)).collect();
        let now: Vec<_> = ours.iter().map(|own| on(&own.name, own.account)).collect();
        if then != now {
            return Err(differs(recovered.run, "strategies", &then, &now));
        }
        Ok(())
    }
}

/// Refuses a state that is about other instruments.
pub(crate) fn check_instruments(recovered: &Recovered, instruments: &[Instrument]) -> Outcome<()> {
    let grid = |own: &Instrument| (own.spec.symbol.clone(), own.spec.tick, own.spec.lot);
    let then: Vec<_> = recovered.recovery.state().instruments.iter().map(grid).collect();
    let now: Vec<_> = instruments.iter().map(grid).collect();
    if then == now { Ok(()) } else { Err(differs(recovered.run, "instruments", &then, &now)) }
}

fn differs<T: std::fmt::Debug>(run: u32, what: &str, then: &T, now: &T) -> Failure {
    input(format!(
        "run {run} had the {what} {then:?}, the configuration has {now:?}: its positions and orders \
         would be lost; restore the configuration, or begin anew with --fresh"
    ))
}

/// Opens the last run that began, seals it and reads what it left; `None` if there was none.
pub(crate) fn predecessor(catalog: &RunCatalog, seal: bool) -> Outcome<Option<Recovered>> {
    for folder in catalog.folders().or_machine()?.into_iter().rev() {
        if !folder.journal().exists() {
            continue;
        }
        let path = folder.journal();
        let reader = match JournalReader::open(&path) {
            Ok(reader) => reader,
            // A run that was cut off while its journal was being made has done nothing.
            Err(JournalError::NoRun { .. }) => continue,
            Err(error) => return Err(unreadable(&folder, &error)),
        };
        let is_sealed = reader.is_sealed();
        match recover(&reader) {
            Ok(recovered) => {
                drop(reader);
                if seal && !is_sealed {
                    seal_cut(&path, &recovered)?;
                }
                return Ok(Some(recovered));
            }
            Err(tercel_runtime::RecoverError::NeverBegan) => {}
            Err(error) => return Err(unreadable(&folder, &error)),
        }
    }
    Ok(None)
}

fn unreadable(folder: &RunFolder, error: &dyn std::fmt::Display) -> Failure {
    input(format!(
        "{}: {error}; look at it with `tercel verify {}`; to trade without what it knows, begin \
         anew with --fresh",
        folder.path.display(),
        folder.number
    ))
}

fn seal_cut(path: &Path, recovered: &Recovered) -> Outcome<()> {
    let journal = Journal::open(path, JournalOptions::default()).or_machine()?;
    recovered.seal(journal).or_machine()
}

/// Says how a run ended.
pub(crate) fn recovered_story(recovered: &Recovered) -> Vec<String> {
    let end = match &recovered.reason {
        Some(reason) => format!("ended: {reason}"),
        None => "was cut off".to_owned(),
    };
    vec![format!(
        "run {} {end}, at event {}; {} entries repeated after its last snapshot",
        recovered.run, recovered.last_seq.0, recovered.n_repeated
    )]
}

/// Says what a state holds, and what is to be settled with the venue.
pub(crate) fn describe(state: &State) -> Vec<String> {
    let mut lines = Vec::new();
    for strategy in &state.strategies {
        for (position, instrument) in strategy.scope.positions.iter().zip(&state.instruments) {
            if !position.qty.is_zero() {
                lines.push(format!(
                    "{} holds {} {}",
                    strategy.name,
                    instrument.quantity_decimal(position.qty),
                    instrument.spec.symbol
                ));
            }
        }
        if !strategy.memory.is_empty() {
            lines.push(format!("{} remembers {} values", strategy.name, strategy.memory.len()));
        }
    }
    for order in state.orders.all_working() {
        let instrument = &state.instruments[order.spec.instrument.index()];
        let what = match order.state {
            OrderState::Unknown => "was sent and never answered",
            _ => "was open",
        };
        lines.push(format!(
            "order {} ({:?} {} {}) {what}: ask the venue",
            order.id,
            order.spec.side,
            instrument.quantity_decimal(order.leaves()),
            instrument.spec.symbol
        ));
    }
    if state.scope.state != tercel_core::TradingState::Active {
        lines.push(format!(
            "the engine is {:?} and stays so until it is resumed",
            state.scope.state
        ));
    }
    lines
}

/// A failure that is nobody's input.
pub(crate) fn machine(message: String) -> Failure {
    Failure::Machine(anyhow!(message))
}
