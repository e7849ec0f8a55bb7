//! What data is about: its instruments and assets.

use tercel_core::{AssetId, Instrument, InstrumentId, InstrumentSpec};

use crate::error::StoreError;

/// Instruments and assets of a data set. Events index the instruments.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Metadata {
    /// Names of the assets, by [`AssetId`].
    pub assets: Vec<String>,
    /// The instruments, by [`InstrumentId`].
    pub instruments: Vec<InstrumentSpec>,
}

impl Metadata {
    /// Returns the instruments ready for the engine.
    ///
    /// # Errors
    ///
    /// If a grid is finer than the engine can count.
    pub fn instruments(&self) -> Result<Vec<Instrument>, StoreError> {
        let specs = self.instruments.iter().enumerate();
        let built = specs.map(|(idx, spec)| {
            let id = InstrumentId(u16::try_from(idx).unwrap_or(u16::MAX));
            Instrument::new(id, spec.clone()).map_err(StoreError::from)
        });
        built.collect()
    }

    /// Returns the id of an asset, adding it if it is new.
    pub fn asset(&mut self, name: &str) -> AssetId {
        let known = self.assets.iter().position(|asset| asset == name);
        let at = known.unwrap_or_else(|| {
            self.assets.push(name.to_owned());
            self.assets.len() - 1
        });
        AssetId(u16::try_from(at).unwrap_or(u16::MAX))
    }

    /// Returns the id of the instrument of this symbol.
    #[must_use]
    pub fn find(&self, symbol: &str) -> Option<InstrumentId> {
        let at = self.instruments.iter().position(|spec| spec.symbol == symbol)?;
        u16::try_from(at).ok().map(InstrumentId)
    }
}

/// Splits a symbol into base and quote by the quotes that venues use; `USD` where none fits.
pub(crate) fn split_symbol(symbol: &str) -> (&str, &str) {
    const QUOTES: &[&str] = &[
        "USDT", "USDC", "FDUSD", "BUSD", "USD", "EUR", "GBP", "TRY", "BRL", "JPY", "TMN", "IRT",
        "RLS", "BTC", "ETH", "BNB",
    ];
    let name = symbol.split(['_', '-', '/', '.']).next().unwrap_or(symbol);
    let rest = symbol[name.len()..].trim_start_matches(['_', '-', '/', '.']);
    if QUOTES.contains(&rest) {
        return (name, &symbol[symbol.len() - rest.len()..]);
    }
    for quote in QUOTES {
        if let Some(base) = name.strip_suffix(quote)
            && !base.is_empty()
        {
            return (base, &name[base.len()..]);
        }
    }
    (name, "USD")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_split_by_their_quote() {
        for (symbol, parts) in [
            ("BTCUSDT", ("BTC", "USDT")),
            ("BTCUSD_PERP", ("BTC", "USD")),
            ("ETH-EUR", ("ETH", "EUR")),
            ("XBTUSD", ("XBT", "USD")),
            ("AMZN", ("AMZN", "USD")),
            ("ETHBTC", ("ETH", "BTC")),
        ] {
            assert_eq!(split_symbol(symbol), parts);
        }
    }
}
