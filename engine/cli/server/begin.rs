//! What a run begins with: nothing, or what the run before it left.

use std::sync::Arc;

use anyhow::anyhow;
use tercel_adapters::CutOff;
use tercel_core::{
    AccountConfig, AccountId, Engine, EngineConfig, Instrument, InstrumentId, Nanos, OrderState,
    RiskLimits, Scope, State, StrategyConfig, StrategyId,
};
use tercel_runtime::{Continued, DealError, Recovered, Shard, deal, placeholder};

use crate::exit::{Blame, Failure, Outcome, input};
use crate::paper_venue::with_fees;
use crate::server_config::feed::FeedKind;
use crate::server_config::sections::Mode;
use crate::server_config::{BoundStrategy, ServerFile};
use crate::toml_file::Step;
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
    /// Runs that were cut off, whose last orders may be on no record.
    pub(crate) cut_off: Vec<CutOff>,
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
        Self::of(file, instruments, assets, access)
    }

    /// Brings a configuration together with the instruments of its feed.
    pub(crate) fn of(
        file: &ServerFile,
        instruments: Vec<Instrument>,
        assets: Vec<String>,
        access: Option<Arc<VenueAccess>>,
    ) -> Outcome<Self> {
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

    /// Deals the strategies to the engines that the configuration wants; their runs have no numbers yet.
    pub(crate) fn deal(&self, file: &ServerFile) -> Outcome<Vec<Shard>> {
        let run = &file.config.run;
        let wrong = |key: &str, message: &str| {
            file.source.wrong(&[Step::Key("run"), Step::Key(key)], message)
        };
        let symbol = |id: InstrumentId| self.instruments[id.index()].spec.symbol.as_str();
        let dealt = deal(&self.config(), run.engines, run.deal.by());
        let shards = dealt.map_err(|error| match &error {
            DealError::Divided { name, one, other, n } => {
                let message = format!(
                    "strategy {name} trades {} and {}, which fall to different engines of {n}; set \
                     deal = \"accounts\", give it symbols of one engine, or take fewer engines",
                    symbol(*one),
                    symbol(*other)
                );
                wrong("deal", &message)
            }
            DealError::TooSmall { limit: "position_qty", value, n } => {
                let message = format!(
                    "the limit position of {value} lots cannot be split into {n}: raise it to at \
                     least {n} lots, take fewer engines, or set deal = \"instruments\""
                );
                wrong("engines", &message)
            }
            DealError::NoEngine
            | DealError::TooSmall { .. }
            | DealError::BalanceTooSmall { .. }
            | DealError::Runs { .. } => wrong("engines", &error.to_string()),
        })?;
        if let Some(idle) = shards.iter().find(|shard| shard.strategies.is_empty()) {
            let message = format!(
                "engine {} of {} has no strategy, dealt by {}; take fewer engines, or another deal",
                idle.index + 1,
                shards.len(),
                run.deal.as_str()
            );
            return Err(wrong("engines", &message));
        }
        Ok(shards)
    }

    /// Returns what an engine with all of it is built from.
    fn config(&self) -> EngineConfig {
        let strategies = self.strategies.iter().map(|own| StrategyConfig {
            name: own.name.clone(),
            account: own.account,
            instruments: own.instruments.iter().map(|instrument| instrument.id).collect(),
            interest: own.script.manifest().interest(),
            series: Vec::new(),
            limits: own.limits.clone(),
        });
        EngineConfig {
            run: 0,
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
}

impl Beginning {
    /// Returns the state of an engine that has never traded.
    pub(super) fn fresh(shard: &Shard) -> Outcome<Self> {
        let config = &shard.config;
        let nobody = config.strategies.iter().map(|_| placeholder()).collect();
        let engine = Engine::new(config, nobody).or_input()?;
        Ok(Self { state: engine.snapshot(), after: None, cut_off: Vec::new(), story: Vec::new() })
    }

    /// Returns the state that an earlier run left, with the limits of this configuration, whose shape
    /// has been checked.
    pub(super) fn continued(
        recovered: Recovered,
        cut_off: Vec<CutOff>,
        shard: &Shard,
    ) -> Outcome<Self> {
        let predecessor = recovered.run;
        let mut story = recovered_story(&recovered);
        let config = &shard.config;
        let strategies = (0..).map(StrategyId).zip(&config.strategies);
        let accounts = (0..).map(AccountId).zip(&config.accounts);
        let limits = strategies
            .map(|(id, own)| (Scope::Strategy(id), own.limits.clone()))
            .chain(accounts.map(|(id, own)| (Scope::Account(id), own.limits.clone())))
            .chain([(Scope::Engine, config.limits.clone())]);
        let Continued { mut state, at } = recovered.continued(config.run, limits).or_machine()?;
        state.instruments.clone_from(&config.instruments);
        story.extend(describe(&state));
        Ok(Self { state, after: Some((predecessor, at)), cut_off, story })
    }
}

/// Says how a run ended.
pub(crate) fn recovered_story(recovered: &Recovered) -> Vec<String> {
    let end = match &recovered.reason {
        Some(reason) => format!("ended: {reason}"),
        None => "was cut off".to_owned(),
    };
    let mut story = vec![format!(
        "run {} {end}, at event {}; {} entries repeated after its last snapshot",
        recovered.run, recovered.last_seq.0, recovered.n_repeated
    )];
    if let Some(why) = &recovered.hole {
        story.push(format!(
            "its journal has a hole near its end ({why}): compare with the venue before you resume it"
        ));
    }
    story
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
