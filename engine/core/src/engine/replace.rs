//! Another version of a strategy takes its place between two events.

use crate::bars::BarSeries;
use crate::config::{ConfigError, SeriesConfig};
use crate::engine::Engine;
use crate::engine::build::{check_series, exists, in_range};
use crate::ids::{InstrumentId, SeriesId, StrategyId};
use crate::state::Listener;
use crate::strategy::{Interest, Strategy};

/// What a version of a strategy looks at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StrategyPlace {
    /// The instruments that it sees and may trade, in its own order.
    pub instruments: Vec<InstrumentId>,
    /// Which market events it is called for.
    pub interest: Interest,
    /// The bar series that it is called for.
    pub series: Vec<SeriesId>,
}

impl Engine {
    /// Returns the ids of bar series, adding those that are not there yet. A series that is there
    /// with its bars, long enough, serves again.
    ///
    /// # Errors
    ///
    /// If a series is of no instrument, its bars have no length, or there are too many.
    pub fn series_for(&mut self, wanted: &[SeriesConfig]) -> Result<Vec<SeriesId>, ConfigError> {
        let state = &mut self.state;
        let n_most = state.series.len() + wanted.len();
        in_range("number of series", n_most, n_most < usize::from(u16::MAX), "below 65535")?;
        wanted.iter().try_for_each(|item| check_series(item, state.instruments.len()))?;
        let mut ids = Vec::with_capacity(wanted.len());
        for item in wanted {
            let known = state.series.iter().position(|series| series.serves(item));
            let idx = known.unwrap_or_else(|| {
                state.series.push(BarSeries::new(item.instrument, item.spec, item.history));
                state.series.len() - 1
            });
            let id = SeriesId(u16::try_from(idx).unwrap_or(u16::MAX));
            if known.is_none() {
                state.markets[item.instrument.index()].series.push(id);
            }
            ids.push(id);
        }
        self.refresh_deadline();
        Ok(ids)
    }

    /// Puts `strategy` in the place of a running one and returns the old one. Its timers go: a
    /// version sets its own. What it remembers, its orders and its position stay; it is called from
    /// the next `Command::Start` on.
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
        let state = &mut self.state;
        exists("a version of a strategy", "strategy", id.0, state.strategies.len())?;
        let name = &state.strategies[id.index()].name;
        for instrument in &place.instruments {
            exists(name, "instrument", instrument.0, state.instruments.len())?;
        }
        for series in &place.series {
            exists(name, "series", series.0, state.series.len())?;
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
        own.series.clone_from(&place.series);
        own.timers = crate::timers::Timers::default();
        own.is_running = false;
        let old = std::mem::replace(&mut self.strategies[id.index()], strategy);
        self.refresh_deadline();
        Ok(old)
    }
}
