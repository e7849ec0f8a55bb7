//! What the venue can do.

use crate::capabilities::{Capabilities, Support};

use Support::{Absent, Emulated, Native};

/// Spot.
pub(crate) static SPOT: Capabilities = Capabilities {
    name: "binance",
    rows: &[
        ("book", Native),
        ("trades", Native),
        ("best quotes", Native),
        ("bars", Native),
        ("mark and funding", Absent),
        ("candles and trades of the past", Native),
        ("market orders", Native),
        ("limit orders", Native),
        ("post-only", Native),
        ("immediate or cancel", Native),
        ("fill or kill", Native),
        ("good till date", Absent),
        ("reduce-only", Absent),
        ("stop orders", Native),
        ("take-profit orders", Native),
        ("trailing orders", Native),
        ("amend price", Emulated),
        ("amend quantity", Native),
        ("replace in one step", Native),
        ("cancel all", Native),
        ("batches", Absent),
        ("one cancels the other", Native),
        ("one triggers the other", Native),
        ("leverage and margin mode", Absent),
        ("hedge mode", Absent),
        ("dead-man switch", Absent),
        ("orders over WebSocket", Native),
        ("lookup by client id", Native),
        ("test network", Native),
        ("demo accounts", Native),
    ],
};

/// USD-M futures.
pub(crate) static USD_MARGINED: Capabilities = Capabilities {
    name: "binance-usdm",
    rows: &[
        ("book", Native),
        ("trades", Native),
        ("best quotes", Native),
        ("bars", Native),
        ("mark and funding", Native),
        ("candles and trades of the past", Native),
        ("market orders", Native),
        ("limit orders", Native),
        ("post-only", Native),
        ("immediate or cancel", Native),
        ("fill or kill", Native),
        ("good till date", Native),
        ("reduce-only", Native),
        ("stop orders", Native),
        ("take-profit orders", Native),
        ("trailing orders", Native),
        ("amend price", Native),
        ("amend quantity", Native),
        ("replace in one step", Absent),
        ("cancel all", Native),
        ("batches", Native),
        ("one cancels the other", Emulated),
        ("one triggers the other", Emulated),
        ("leverage and margin mode", Native),
        ("hedge mode", Native),
        ("dead-man switch", Native),
        ("orders over WebSocket", Native),
        ("lookup by client id", Native),
        ("test network", Native),
        ("demo accounts", Native),
    ],
};
