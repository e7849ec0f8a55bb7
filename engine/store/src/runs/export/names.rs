//! Names and steps of what a journal has numbers for.

use rust_decimal::Decimal;
use tercel_core::{
    AccountId, AssetId, Instrument, InstrumentId, Price, Quantity, State, StrategyId,
};

use super::files::Cell;
use crate::journal::{JournalError, JournalReader};
use crate::market_tape::MarketTapeReader;
use crate::runs::RunFolder;
use crate::state;

/// What things are called, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Names {
    assets: Vec<String>,
    accounts: Vec<String>,
    strategies: Vec<String>,
    instruments: Vec<Instrument>,
}

impl Names {
    /// Finds the names in the last snapshot, else on the tape.
    pub(super) fn of(reader: &JournalReader, run: &RunFolder) -> Result<Self, JournalError> {
        let snapshot = reader.last_snapshot()?;
        if let Some(state) = snapshot.and_then(|snapshot| state::decode(&snapshot.bytes).ok()) {
            let State { assets, instruments, accounts, strategies, .. } = state;
            return Ok(Self {
                assets,
                accounts: accounts.into_iter().map(|account| account.name).collect(),
                strategies: strategies.into_iter().map(|strategy| strategy.name).collect(),
                instruments,
            });
        }
        // A tape that cannot be read costs names, not the export.
        let metadata = MarketTapeReader::open(&run.tape()).map(|tape| tape.metadata().clone());
        let metadata = metadata.unwrap_or_default();
        let instruments = metadata.instruments().unwrap_or_default();
        Ok(Self { assets: metadata.assets, instruments, ..Self::default() })
    }

    pub(super) fn known(&self, id: InstrumentId) -> Option<&Instrument> {
        self.instruments.get(id.index())
    }

    pub(super) fn instrument(&self, id: InstrumentId) -> Cell {
        let symbol = self.known(id).map(|instrument| instrument.spec.symbol.as_str());
        named(symbol, id.0)
    }

    pub(super) fn strategy(&self, id: StrategyId) -> Cell {
        named(self.strategies.get(id.index()).map(String::as_str), id.0)
    }

    pub(super) fn account(&self, id: AccountId) -> Cell {
        named(self.accounts.get(id.index()).map(String::as_str), id.0)
    }

    pub(super) fn asset(&self, id: AssetId) -> Cell {
        named(self.assets.get(id.index()).map(String::as_str), id.0)
    }

    pub(super) fn price(&self, id: InstrumentId, price: Option<Price>) -> Cell {
        Cell::amount(
            price.and_then(|price| Decimal::from(price.0).checked_mul(self.known(id)?.spec.tick)),
        )
    }

    pub(super) fn quantity(&self, id: InstrumentId, qty: Quantity) -> Cell {
        Cell::amount(
            self.known(id).and_then(|known| Decimal::from(qty.0).checked_mul(known.spec.lot)),
        )
    }
}

fn named(name: Option<&str>, number: u16) -> Cell {
    Cell::Text(name.map_or_else(|| number.to_string(), str::to_owned))
}
