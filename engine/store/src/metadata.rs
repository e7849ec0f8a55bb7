//! What data is about: its instruments and assets.

use rust_decimal::Decimal;
use tercel_core::{AssetId, Instrument, InstrumentId, InstrumentKind, InstrumentSpec, VenueId};

use crate::error::StoreError;
use crate::options::OpenOptions;
use crate::raw::RawSymbol;

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

    /// Adds an instrument with what the format, the data and the user say of it.
    pub(crate) fn add(
        &mut self,
        symbol: &RawSymbol,
        tick: Decimal,
        lot: Decimal,
        options: &OpenOptions,
    ) -> InstrumentId {
        let (base, quote) = split_symbol(&symbol.name);
        let (base, quote) = (self.asset(base), self.asset(quote));
        let kind = options.kind.unwrap_or(symbol.kind);
        self.instruments.push(InstrumentSpec {
            symbol: symbol.name.clone(),
            venue: VenueId(0),
            kind,
            base,
            quote,
            tick,
            lot,
            multiplier: match kind {
                InstrumentKind::InversePerpetual => Decimal::from(symbol.multiplier),
                InstrumentKind::Spot | InstrumentKind::LinearPerpetual => Decimal::ONE,
            },
            min_quantity: Decimal::ZERO,
            max_quantity: Decimal::ZERO,
            min_notional: Decimal::ZERO,
            price_band_bps: 0,
            maker_fee: options.maker_fee.unwrap_or_default(),
            taker_fee: options.taker_fee.unwrap_or_default(),
        });
        InstrumentId(u16::try_from(self.instruments.len() - 1).unwrap_or(u16::MAX))
    }
}

/// Splits a symbol into base and quote by the quotes that venues use; `USD` where none fits.
fn split_symbol(symbol: &str) -> (&str, &str) {
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
