//! Engines with shipped scripts, a venue and a market for them.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::path::Path;

use tercel_core::{
    AccountConfig, AccountId, AssetId, Engine, EngineConfig, Event, Instrument, InstrumentId,
    Nanos, RiskLimits, SeriesId, StrategyConfig,
};
use tercel_script::{Binding, Language, Limits, Script};
use tercel_sim::market::{SeededMarket, SeededMarketConfig};
use tercel_sim::{LatencyModel, SimVenue, VenueOptions};

pub(crate) fn script(name: &str) -> Script {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts");
    let (folder, language) = match name.ends_with(".rhai") {
        true => (folder.join("rhai"), Language::Rhai),
        false => (folder.join("lua"), Language::Luau),
    };
    Script::load(&folder.join(name), &Limits::of(language)).unwrap()
}

pub(crate) fn instrument() -> Instrument {
    Instrument::new(InstrumentId(0), SeededMarketConfig::btcusdt()).unwrap()
}

pub(crate) fn engine(name: &str) -> Engine {
    let (script, instruments) = (script(name), vec![instrument()]);
    let manifest = script.manifest();
    let series = manifest.series(&instruments).unwrap();
    let ids: Vec<_> = (0..u16::try_from(series.len()).unwrap()).map(SeriesId).collect();
    let config = EngineConfig {
        run: 1,
        assets: vec!["BTC".to_owned(), "USDT".to_owned()],
        instruments: instruments.clone(),
        accounts: vec![AccountConfig {
            name: "main".to_owned(),
            balances: vec![(AssetId(1), 100_000.into())],
            limits: RiskLimits::default(),
            check_balance: true,
            leverage: 1,
        }],
        strategies: vec![StrategyConfig {
            name: manifest.name.clone(),
            account: AccountId(0),
            instruments: vec![InstrumentId(0)],
            interest: manifest.interest(),
            series: ids.clone(),
            limits: RiskLimits::default(),
        }],
        series,
        limits: RiskLimits::default(),
        order_capacity: 4_096,
        intents_per_call: 512,
    };
    let params = manifest.params([]).unwrap();
    let binding = Binding { instruments, series: ids, params, seed: 1, reload: false };
    let strategy = script.instantiate(binding).unwrap();
    Engine::new(&config, vec![Box::new(strategy)]).unwrap()
}

pub(crate) fn venue(latency: LatencyModel) -> SimVenue {
    let options = VenueOptions { latency, ..VenueOptions::default() };
    SimVenue::new(&[instrument()], options).unwrap()
}

pub(crate) fn market(seed: u64, minutes: i64) -> Vec<Event> {
    let duration_ns = minutes * Nanos::MINUTE;
    let config = SeededMarketConfig { seed, duration_ns, ..SeededMarketConfig::default() };
    let (mut market, mut events) = (SeededMarket::new(config).unwrap(), Vec::new());
    while market.read_block(4_096, &mut events) > 0 {}
    events
}
