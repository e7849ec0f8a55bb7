//! What a user may say about data where the data does not say it.

use rust_decimal::Decimal;
use tercel_core::{InstrumentKind, Nanos};

use crate::detect::Format;
use crate::time::TimeUnit;

/// How to open data. The default asks the data for everything.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Format, instead of what the first bytes tell.
    pub format: Option<Format>,
    /// Symbol of data that does not name one. Of data that names several, only this one is read;
    /// data that names one is called this.
    pub symbol: Option<String>,
    /// Price step.
    pub tick: Option<Decimal>,
    /// Quantity step.
    pub lot: Option<Decimal>,
    /// Kind of the instruments.
    pub kind: Option<InstrumentKind>,
    /// Maker fee of the instruments.
    pub maker_fee: Option<Decimal>,
    /// Taker fee of the instruments.
    pub taker_fee: Option<Decimal>,
    /// Unit of the timestamps.
    pub time_unit: Option<TimeUnit>,
    /// First moment wanted. Books need what came before, so earlier book events are read too, as if
    /// they had all happened at this moment; earlier trades, quotes and bars are left out.
    pub from: Option<Nanos>,
    /// First moment not wanted any more.
    pub to: Option<Nanos>,
    /// Whether a file that ends too early is used up to there.
    pub accept_truncated: bool,
}
