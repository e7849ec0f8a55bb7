//! What rows of bars have in common, in text and in Parquet.

use rust_decimal::Decimal;
use tercel_core::Nanos;

use crate::decimal::Dec;
use crate::formats::cells::refused;
use crate::raw::RawData;
use crate::report::Report;

/// Checks bars as they come.
#[derive(Default)]
pub(crate) struct BarRows {
    /// When the bar before opened, by symbol.
    last_at: Vec<Option<Nanos>>,
}

impl BarRows {
    /// Makes a bar of open, high, low, close and volume, if it follows the one before.
    pub(crate) fn bar(
        &mut self,
        symbol: u16,
        at: Nanos,
        [open, high, low, close]: [Dec; 4],
        volume: Dec,
    ) -> Result<RawData, String> {
        if [open, close].iter().any(|price| price.is_above(high) || low.is_above(*price)) {
            return Err("open or close lies outside high and low".to_owned());
        }
        let symbol = usize::from(symbol);
        if self.last_at.len() <= symbol {
            self.last_at.resize(symbol + 1, None);
        }
        if self.last_at[symbol].is_some_and(|last| at <= last) {
            return Err("its time does not lie after that of the bar before".to_owned());
        }
        self.last_at[symbol] = Some(at);
        Ok(RawData::Bar { open, high, low, close, volume, length: None })
    }
}

/// Reads a volume. It is a sum that many files carry with the noise of a float, so decimals beyond
/// the eighth are rounded away, and counted.
pub(crate) fn volume(cell: &[u8], report: &mut Report) -> Result<Dec, String> {
    const PLACES: u8 = 8;
    let parsed = Dec::parse(cell).filter(|volume| volume.scale <= PLACES);
    let volume = parsed.or_else(|| {
        let text = std::str::from_utf8(cell).ok()?;
        let exact = text.parse::<Decimal>().or_else(|_| Decimal::from_scientific(text)).ok()?;
        let rounded = exact.round_dp(u32::from(PLACES));
        if rounded != exact {
            report.count("volumes rounded to eight decimals");
        }
        let scale = u8::try_from(rounded.scale()).ok()?;
        Some(Dec { mantissa: i64::try_from(rounded.mantissa()).ok()?, scale })
    });
    match volume {
        Some(volume) if volume.mantissa < 0 => Err(refused("volume", cell, "is negative")),
        Some(volume) => Ok(volume),
        None => Err(refused("volume", cell, "is not a decimal number")),
    }
}
