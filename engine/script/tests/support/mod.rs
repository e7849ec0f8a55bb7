//! An engine around scripts: one linear perpetual (or more), money without end, a book on request.
#![allow(dead_code, reason = "each test program uses its part")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::path::PathBuf;

use tercel_core::{
    AccountConfig, AccountId, Bar, Command, Effect, Effects, Engine, EngineConfig, Event,
    ExecutionReport, Fill, Instrument, InstrumentId, InstrumentSpec, MarketData, MarketEvent,
    Nanos, Notice, OrderRequest, OrderSpec, Price, Quantity, ReportKind, RiskLimits, Role, Seq,
    SeriesId, Side, Strategy, StrategyConfig, StrategyId,
};
use tercel_script::{Binding, Language, Limits, Script, ScriptError, Source, StopSwitch};

/// An engine with scripts in it and a clock that steps a millisecond an event.
pub(crate) struct Rig {
    pub(crate) engine: Engine,
    pub(crate) effects: Effects,
    pub(crate) now: Nanos,
    seq: u64,
}

/// Returns an instrument with a tick of 0.1 and a lot of 0.001.
pub(crate) fn instrument(id: u16, symbol: &str) -> Instrument {
    Instrument::new(InstrumentId(id), InstrumentSpec::linear(symbol, "0.1", "0.001")).unwrap()
}

/// Checks a script given as text.
pub(crate) fn check(language: Language, text: &str) -> Result<Script, ScriptError> {
    let file = match language {
        Language::Luau => "test.luau",
        Language::Rhai => "test.rhai",
    };
    let source = Source {
        path: PathBuf::from(file),
        file: file.to_owned(),
        language,
        text: text.to_owned(),
    };
    Script::check(source, &Limits::of(language))
}

impl Rig {
    /// Returns a started engine with these scripts, each trading all of `symbols`.
    pub(crate) fn new(scripts: &[(&Script, &[(&str, &str)])], symbols: &[&str]) -> Self {
        Self::with_switches(scripts, symbols).0
    }

    /// Returns the switches that end the scripts' calls, too.
    pub(crate) fn with_switches(
        scripts: &[(&Script, &[(&str, &str)])],
        symbols: &[&str],
    ) -> (Self, Vec<StopSwitch>) {
        let mut switches = Vec::new();
        let instruments: Vec<_> =
            (0u16..).zip(symbols).map(|(id, symbol)| instrument(id, symbol)).collect();
        let mut series = Vec::new();
        let mut configs = Vec::new();
        let mut strategies: Vec<Box<dyn Strategy>> = Vec::new();
        for (script, overrides) in scripts {
            let manifest = script.manifest();
            let own = manifest.series(&instruments).unwrap();
            let ids: Vec<_> =
                (series.len()..).take(own.len()).map(|n| SeriesId(n.try_into().unwrap())).collect();
            series.extend(own);
            configs.push(StrategyConfig {
                name: manifest.name.clone(),
                account: AccountId(0),
                instruments: instruments.iter().map(|instrument| instrument.id).collect(),
                interest: manifest.interest(),
                series: ids.clone(),
                limits: RiskLimits::default(),
            });
            let binding = Binding {
                instruments: instruments.clone(),
                series: ids,
                params: manifest.params(overrides.iter().copied()).unwrap(),
                seed: 7,
                reload: false,
            };
            let strategy = script.instantiate(binding).unwrap();
            switches.push(strategy.stop_switch());
            strategies.push(Box::new(strategy));
        }
        let config = EngineConfig {
            run: 1,
            assets: vec!["BTC".to_owned(), "USDT".to_owned()],
            instruments,
            accounts: vec![AccountConfig {
                name: "main".to_owned(),
                balances: vec![(tercel_core::AssetId(1), "1000000".parse().unwrap())],
                limits: RiskLimits::default(),
                check_balance: false,
                leverage: 1,
            }],
            strategies: configs,
            series,
            limits: RiskLimits::default(),
            order_capacity: 1_024,
            intents_per_call: 64,
        };
        let n = strategies.len();
        let mut rig = Self {
            engine: Engine::new(&config, strategies).unwrap(),
            effects: Engine::effects(),
            now: Nanos(1_700_000_000 * Nanos::SECOND),
            seq: 0,
        };
        for id in 0..n {
            rig.handle(&Event::Command(Command::Start(StrategyId(id.try_into().unwrap()))));
        }
        (rig, switches)
    }

    /// Handles an event a millisecond later and adds its effects to `effects`.
    pub(crate) fn handle(&mut self, event: &Event) {
        self.seq += 1;
        self.now = self.now.plus(Nanos::MILLI);
        self.engine.handle(Seq(self.seq), self.now, event, &mut self.effects);
    }

    pub(crate) fn market(&mut self, instrument: u16, data: MarketData) {
        let at = self.now.plus(Nanos::MILLI);
        let instrument = InstrumentId(instrument);
        self.handle(&Event::Market(MarketEvent {
            venue_at: at,
            received_at: at,
            instrument,
            data,
        }));
    }

    /// Replaces the book: levels in ticks and lots, the best first.
    pub(crate) fn book(&mut self, instrument: u16, bids: &[(i64, i64)], asks: &[(i64, i64)]) {
        self.market(instrument, MarketData::Clear { seq: self.seq });
        let sides = [(Side::Buy, bids), (Side::Sell, asks)];
        let levels: Vec<_> = sides
            .into_iter()
            .flat_map(|(side, levels)| levels.iter().map(move |level| (side, *level)))
            .collect();
        for (idx, (side, (price, qty))) in levels.iter().enumerate() {
            self.market(
                instrument,
                MarketData::Level {
                    side: *side,
                    price: Price(*price),
                    qty: Quantity(*qty),
                    last: idx + 1 == levels.len(),
                },
            );
        }
    }

    pub(crate) fn trade(&mut self, instrument: u16, side: Side, price: i64, qty: i64) {
        let data = MarketData::Trade {
            aggressor: Some(side),
            price: Price(price),
            qty: Quantity(qty),
            id: self.seq,
        };
        self.market(instrument, data);
    }

    /// A closed minute bar with one price, in ticks.
    pub(crate) fn bar(&mut self, instrument: u16, close: i64) {
        let price = Price(close);
        let bar = Bar { open: price, high: price, low: price, close: price, volume: Quantity(5) };
        self.market(instrument, MarketData::Bar { interval_ms: 60_000, bar });
    }

    pub(crate) fn report(&mut self, order: tercel_core::ClientOrderId, kind: ReportKind) {
        let instrument = self.engine.state().orders.get(order).unwrap().spec.instrument;
        self.handle(&Event::Execution(ExecutionReport {
            order,
            account: AccountId(0),
            instrument,
            venue_at: self.now,
            received_at: self.now,
            kind,
        }));
    }

    /// Fills an order whole at a price in ticks.
    pub(crate) fn fill(&mut self, order: tercel_core::ClientOrderId, price: i64) {
        let spec = self.engine.state().orders.get(order).unwrap().spec;
        let fill = Fill {
            trade_id: self.seq,
            price: Price(price),
            qty: spec.qty,
            role: Role::Taker,
            fee: "0.25".parse().unwrap(),
            fee_asset: tercel_core::AssetId(1),
        };
        self.report(order, ReportKind::Fill(fill));
    }

    /// Takes the requests that were sent since the last call.
    pub(crate) fn sent(&mut self) -> Vec<OrderRequest> {
        self.drain()
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::Send(request) => Some(*request),
                _ => None,
            })
            .collect()
    }

    /// Takes the orders that were placed since the last call.
    pub(crate) fn placed(&mut self) -> Vec<(tercel_core::ClientOrderId, OrderSpec)> {
        self.sent()
            .into_iter()
            .filter_map(|request| match request {
                OrderRequest::New { id, spec, .. } => Some((id, spec)),
                _ => None,
            })
            .collect()
    }

    /// Takes the lines that were logged since the last call; faults show up as lines too.
    pub(crate) fn log(&mut self) -> Vec<String> {
        self.drain()
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::Notice(Notice::Log { text, .. }) => Some(text),
                Effect::Notice(Notice::Fault { fault, .. }) => Some(fault.to_string()),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn drain(&mut self) -> Vec<Effect> {
        let effects = self.effects.as_slice().to_vec();
        self.effects.clear();
        effects
    }
}
