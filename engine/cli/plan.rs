//! A script bound to a market: what a backtest, a what-if or a benchmark runs.

use tercel_core::{
    AccountConfig, AccountId, Engine, EngineConfig, Instrument, InstrumentId, RiskLimits,
    SeriesConfig, SeriesId, Strategy, StrategyConfig,
};
use tercel_script::{Binding, ParamValues, Script};

use crate::config::{self, Config};
use crate::data::MarketSource;
use crate::exit::{Blame, Outcome, input};
use crate::paper_venue::with_fees;

/// What is run, before it runs.
pub(crate) struct Plan {
    pub(crate) script: Script,
    pub(crate) params: ParamValues,
    pub(crate) instruments: Vec<Instrument>,
    traded: Vec<Instrument>,
    pub(crate) assets: Vec<String>,
    pub(crate) seed: u64,
}

impl Plan {
    /// Reads and binds a script to a market.
    pub(crate) fn new(
        script: Script,
        overrides: &[(&str, &str)],
        market: &MarketSource,
        config: &Config,
        seed: u64,
    ) -> Outcome<Self> {
        Self::over(script, overrides, market.instruments()?, market.assets(), config, seed)
    }

    /// Binds a script to a market of these instruments.
    pub(crate) fn over(
        script: Script,
        overrides: &[(&str, &str)],
        instruments: Vec<Instrument>,
        assets: Vec<String>,
        config: &Config,
        seed: u64,
    ) -> Outcome<Self> {
        let params = script.manifest().params(overrides.iter().copied()).or_input()?;
        let plan = Self::bound(script, instruments, assets, config)?;
        Ok(Self { params, seed, ..plan })
    }

    /// Lets a script that names no instruments itself trade these only.
    pub(crate) fn trading(mut self, instruments: &[InstrumentId]) -> Self {
        if self.script.manifest().instruments.is_empty() {
            let known = instruments.iter().filter_map(|id| self.instruments.get(id.index()));
            self.traded = known.cloned().collect();
        }
        self
    }

    /// Binds a script with its default parameters.
    pub(crate) fn bound(
        script: Script,
        instruments: Vec<Instrument>,
        assets: Vec<String>,
        config: &Config,
    ) -> Outcome<Self> {
        let params = script.manifest().params([]).or_input()?;
        let instruments = with_fees(instruments, &config.venue);
        let traded = traded_instruments(&script, &instruments)?;
        Ok(Self { script, params, instruments, traded, assets, seed: config.run.seed })
    }

    /// Builds the engine with the script in it, wrapped as the caller likes.
    pub(crate) fn engine(
        &self,
        config: &Config,
        wrap: impl FnOnce(Box<dyn Strategy>) -> Box<dyn Strategy>,
    ) -> Outcome<Engine> {
        let series = self.script.manifest().series(&self.traded).or_input()?;
        let n_series = u16::try_from(series.len()).map_err(|_| input("too many bar series"))?;
        let ids: Vec<_> = (0..n_series).map(SeriesId).collect();
        let engine_config = self.engine_config(config, series, &ids)?;
        let strategy = self
            .script
            .instantiate(Binding {
                instruments: self.traded.clone(),
                series: ids,
                params: self.params.clone(),
                seed: self.seed,
                reload: false,
            })
            .or_input()?;
        Engine::new(&engine_config, vec![wrap(Box::new(strategy))]).or_input()
    }

    fn engine_config(
        &self,
        config: &Config,
        series: Vec<SeriesConfig>,
        ids: &[SeriesId],
    ) -> Outcome<EngineConfig> {
        let manifest = self.script.manifest();
        let limits = |scope: &str, limits: &config::Limits| -> Outcome<RiskLimits> {
            limits.to_risk(scope, &self.instruments)
        };
        let Some(first) = self.instruments.first() else {
            return Err(input("the data has no instrument"));
        };
        let mut balances = vec![(first.spec.quote, config.account.quote)];
        if !config.account.base.is_zero() {
            balances.push((first.spec.base, config.account.base));
        }
        Ok(EngineConfig {
            run: 1,
            assets: self.assets.clone(),
            instruments: self.instruments.clone(),
            accounts: vec![AccountConfig {
                name: "main".to_owned(),
                balances,
                limits: limits("account", &config.limits.account)?,
                check_balance: config.account.check_balance,
                leverage: config.account.leverage,
            }],
            strategies: vec![StrategyConfig {
                name: manifest.name.clone(),
                account: AccountId(0),
                instruments: self.traded.iter().map(|instrument| instrument.id).collect(),
                interest: manifest.interest(),
                series: ids.to_vec(),
                limits: limits("strategy", &config.limits.strategy)?,
            }],
            series,
            limits: limits("engine", &config.limits.engine)?,
            order_capacity: 65_536,
            intents_per_call: config.script.intents.unwrap_or(256),
        })
    }
}

/// Returns the instruments that the script names, in its order, or all that the data has.
fn traded_instruments(script: &Script, instruments: &[Instrument]) -> Outcome<Vec<Instrument>> {
    let manifest = script.manifest();
    if manifest.instruments.is_empty() {
        return Ok(instruments.to_vec());
    }
    let find = |symbol: &String| {
        let found = instruments.iter().find(|instrument| instrument.spec.symbol == *symbol);
        found.cloned().ok_or_else(|| {
            let known: Vec<_> = instruments.iter().map(|i| i.spec.symbol.as_str()).collect();
            input(format!(
                "{} needs the instrument {symbol}; the data has {}",
                manifest.file,
                known.join(", ")
            ))
        })
    };
    manifest.instruments.iter().map(find).collect()
}
