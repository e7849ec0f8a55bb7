//! Another version of a strategy takes its place between two events.

use crate::bars::BarSeries;
use crate::config::{ConfigError, SeriesConfig};
use crate::engine::Engine;
use crate::engine::build::{check_series, exists, in_range};
use crate::ids::{InstrumentId, SeriesId, StrategyId};
use crate::state::Listener;
use crate::strategy::{Interest, Strategy};

/// What a version of a strategy looks at.
#[derive(Clone, Debug)]
pub struct StrategyPlace {
    /// The instruments that it sees and may trade, in its own order.
    pub instruments: Vec<InstrumentId>,
    /// Which market events it is called for.
    pub interest: Interest,
    /// The bar series that it is called for.
    pub series: Vec<SeriesConfig>,
}

impl Engine {
    /// Returns the ids that bar series have, or would be given: one that is there with its bars, long
    /// enough, serves again.
    ///
    /// # Errors
    ///
    /// If a series is of no instrument, its bars have no length, or there are too many.
    pub fn series_ids(&self, wanted: &[SeriesConfig]) -> Result<Vec<SeriesId>, ConfigError> {
        let state = &self.state;
        let n_most = state.series.len() + wanted.len();
        in_range("number of series", n_most, n_most < usize::from(u16::MAX), "below 65535")?;
        let mut fresh: Vec<BarSeries> = Vec::new();
        let mut ids = Vec::with_capacity(wanted.len());
        for item in wanted {
            check_series(item, state.instruments.len())?;
            let known = state.series.iter().chain(&fresh).position(|series| series.serves(item));
            let idx = known.unwrap_or_else(|| {
                fresh.push(BarSeries::new(item.instrument, item.spec, item.history));
                state.series.len() + fresh.len() - 1
            });
            ids.push(SeriesId(u16::try_from(idx).unwrap_or(u16::MAX)));
        }
        Ok(ids)
    }

    /// Exchanges what is called in a strategy's place and nothing else: it goes on as if it had been
    /// called all along. Returns the old one.
    ///
    /// # Panics
    ///
    /// If there is no such strategy.
    pub fn exchange_strategy(
        &mut self,
        id: StrategyId,
        strategy: Box<dyn Strategy>,
    ) -> Box<dyn Strategy> {
        std::mem::replace(&mut self.strategies[id.index()], strategy)
    }

    /// Puts `strategy` in the place of another and returns that one. What was remembered, timers,
    /// orders and position stay; it is called from the next `Command::Start` on. Bar series that are
    /// not there yet begin.
    ///
    /// # Errors
    ///
    /// If an id points nowhere; then nothing has changed.
    pub fn replace_strategy(
        &mut self,
        id: StrategyId,
        place: &StrategyPlace,
        strategy: Box<dyn Strategy>,
    ) -> Result<Box<dyn Strategy>, ConfigError> {
        exists("a version of a strategy", "strategy", id.0, self.state.strategies.len())?;
        let name = &self.state.strategies[id.index()].name;
        for instrument in &place.instruments {
            exists(name, "instrument", instrument.0, self.state.instruments.len())?;
        }
        let series = self.series_ids(&place.series)?;
        let state = &mut self.state;
        for (id, item) in series.iter().zip(&place.series) {
            if id.index() == state.series.len() {
                state.series.push(BarSeries::new(item.instrument, item.spec, item.history));
                state.markets[item.instrument.index()].series.push(*id);
            }
        }
        for market in &mut state.markets {
            market.forget(id);
        }
        for instrument in &place.instruments {
            let listener = Listener { strategy: id.0, interest: place.interest };
            state.markets[instrument.index()].listen(listener);
        }
        let own = &mut state.strategies[id.index()];
        own.instruments.clone_from(&place.instruments);
        own.series = series;
        own.is_running = false;
        let old = std::mem::replace(&mut self.strategies[id.index()], strategy);
        self.refresh_deadline();
        Ok(old)
    }
}
