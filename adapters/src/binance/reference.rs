//! Instruments, limits, candles and trades of the past, fees.

use rust_decimal::Decimal;
use tercel_core::{InstrumentKind, Nanos, Side};

use super::desk::limit_of;
use super::directory::at;
use super::hosts::Product;
use super::market::nanos;
use crate::document::{Document, Fields, Value, decimal, items};
use crate::limits::{Limit, LimitKind, LimitScope, Usage};
use crate::protocol::DecodeError;
use crate::reference::{Aggregate, Candle, Listed, ListedInstrument};

/// Returns the limits that the venue is known to grant, until it tells.
pub(crate) fn usual_limits(product: Product) -> Vec<Limit> {
    let limit = |kind, interval_ms, max| Limit { kind, scope: scope(kind), interval_ms, max };
    match product {
        Product::Spot => vec![
            limit(LimitKind::Weight, 60_000, 6_000),
            limit(LimitKind::Orders, 10_000, 100),
            limit(LimitKind::Orders, 86_400_000, 200_000),
            limit(LimitKind::Requests, 300_000, 300_000),
            limit(LimitKind::Connections, 300_000, 300),
        ],
        Product::UsdMargined => vec![
            limit(LimitKind::Weight, 60_000, 2_400),
            limit(LimitKind::Orders, 10_000, 300),
            limit(LimitKind::Orders, 60_000, 1_200),
            limit(LimitKind::Connections, 300_000, 300),
        ],
    }
}

const fn scope(kind: LimitKind) -> LimitScope {
    match kind {
        LimitKind::Orders => LimitScope::Account,
        LimitKind::Weight | LimitKind::Requests | LimitKind::Connections => LimitScope::Address,
    }
}

/// Returns what a header says about a budget, such as `x-mbx-used-weight-1m: 120`.
pub(crate) fn usage(header: &str, value: &str) -> Option<Usage> {
    let header = header.to_ascii_lowercase();
    let (kind, span) = if let Some(span) = header.strip_prefix("x-mbx-used-weight-") {
        (LimitKind::Weight, span)
    } else {
        (LimitKind::Orders, header.strip_prefix("x-mbx-order-count-")?)
    };
    let digits = span.find(|c: char| !c.is_ascii_digit())?;
    let unit_ms = match &span[digits..] {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let interval_ms = span[..digits].parse::<u64>().ok()?.checked_mul(unit_ms)?;
    Some(Usage { kind, interval_ms, used: value.trim().parse().ok()? })
}

/// Returns the time of an answer.
pub(crate) fn server_time(body: &[u8]) -> Result<Nanos, DecodeError> {
    let time = Document::new().read(body, |value| value.integer("serverTime"))?;
    time.map(nanos).ok_or(DecodeError::Field("serverTime"))
}

/// Returns what is listed.
pub(crate) fn listed(product: Product, body: &[u8]) -> Result<Listed, DecodeError> {
    Document::new().read(body, |value| {
        let symbols = value.items("symbols");
        if value.field("symbols").is_none() {
            return Err(DecodeError::Field("symbols"));
        }
        let mut listed = Listed::default();
        for limit in value.items("rateLimits") {
            let max = limit.integer("limit").and_then(|max| u32::try_from(max).ok());
            match (limit_of(limit), max) {
                (Some((kind, interval_ms)), Some(max)) => {
                    listed.limits.push(Limit { kind, scope: scope(kind), interval_ms, max });
                }
                _ => listed.n_unreadable += 1,
            }
        }
        for symbol in symbols {
            match instrument(product, symbol) {
                Some(instrument) => listed.instruments.push(instrument),
                None => listed.n_unreadable += 1,
            }
        }
        Ok(listed)
    })?
}

fn instrument(product: Product, value: Value<'_, '_>) -> Option<ListedInstrument> {
    let filters = value.items("filters");
    let filter =
        |kind: &str| filters.iter().copied().find(|filter| filter.text("filterType") == Some(kind));
    let positive = |filter: Option<Value<'_, '_>>, name: &str| {
        filter?.decimal(name).filter(|own| own.is_sign_positive() && !own.is_zero())
    };
    let (price, lot, market) =
        (filter("PRICE_FILTER"), filter("LOT_SIZE"), filter("MARKET_LOT_SIZE"));
    // The smaller of both bounds holds for every order.
    let most = [positive(lot, "maxQty"), positive(market, "maxQty")].into_iter().flatten().min();
    let min_notional = match product {
        Product::Spot => positive(filter("NOTIONAL"), "minNotional")
            .or_else(|| positive(filter("MIN_NOTIONAL"), "minNotional")),
        Product::UsdMargined => positive(filter("MIN_NOTIONAL"), "notional"),
    };
    Some(ListedInstrument {
        symbol: value.text("symbol")?.to_owned(),
        kind: match product {
            Product::Spot => InstrumentKind::Spot,
            Product::UsdMargined => InstrumentKind::LinearPerpetual,
        },
        base: value.text("baseAsset")?.to_owned(),
        quote: value.text("quoteAsset")?.to_owned(),
        trading: value.text("status") == Some("TRADING")
            && value.text("contractType").is_none_or(|kind| kind.ends_with("PERPETUAL")),
        // A filter of zero is none; the venue's precision is no step.
        tick: positive(price, "tickSize")?.normalize(),
        lot: positive(lot, "stepSize")?.normalize(),
        multiplier: Decimal::ONE,
        min_quantity: positive(lot, "minQty").unwrap_or_default().normalize(),
        max_quantity: most.unwrap_or_default().normalize(),
        min_notional: min_notional.unwrap_or_default().normalize(),
        price_band_bps: band(filter("PERCENT_PRICE_BY_SIDE"), filter("PERCENT_PRICE")),
    })
}

/// Returns the narrowest distance that the price filters allow, in basis points.
fn band(by_side: Option<Value<'_, '_>>, plain: Option<Value<'_, '_>>) -> u32 {
    let names: &[&str] = match (by_side, plain) {
        (Some(_), _) => {
            &["bidMultiplierUp", "bidMultiplierDown", "askMultiplierUp", "askMultiplierDown"]
        }
        _ => &["multiplierUp", "multiplierDown"],
    };
    let filter = by_side.or(plain);
    let distances = names.iter().filter_map(|name| {
        let multiplier = filter?.decimal(name)?;
        let distance = (multiplier - Decimal::ONE).abs() * Decimal::from(10_000);
        u32::try_from(distance.trunc().mantissa()).ok().filter(|bps| *bps > 0)
    });
    distances.min().unwrap_or(0)
}

/// Returns the candles of a page.
pub(crate) fn candles(body: &[u8]) -> Result<Vec<Candle>, DecodeError> {
    Document::new().read(body, |value| {
        items(value)
            .into_iter()
            .map(|row| candle(&items(row)).ok_or(DecodeError::Field("a candle")))
            .collect()
    })?
}

fn candle(row: &[Value<'_, '_>]) -> Option<Candle> {
    use simd_json::prelude::ValueAsScalar as _;
    let number = |idx: usize| row.get(idx).copied().and_then(decimal);
    Some(Candle {
        open_at: nanos(row.first()?.as_i64()?),
        open: number(1)?,
        high: number(2)?,
        low: number(3)?,
        close: number(4)?,
        volume: number(5)?,
        n_trades: row.get(8)?.as_u64()?,
    })
}

/// Returns the trades of a page.
pub(crate) fn trades(body: &[u8]) -> Result<Vec<Aggregate>, DecodeError> {
    Document::new().read(body, |value| {
        items(value)
            .into_iter()
            .map(|row| aggregate(row).ok_or(DecodeError::Field("a trade")))
            .collect()
    })?
}

fn aggregate(row: Value<'_, '_>) -> Option<Aggregate> {
    Some(Aggregate {
        id: u64::try_from(row.integer("a")?).ok()?,
        at: at(row, "T"),
        price: row.decimal("p")?,
        qty: row.decimal("q")?,
        aggressor: if row.truth("m")? { Side::Sell } else { Side::Buy },
    })
}

/// Fees of an account on an instrument, as fractions of notional.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fees {
    /// Of a fill that rested.
    pub maker: Decimal,
    /// Of a fill that took.
    pub taker: Decimal,
}

/// Returns the fees of an answer to a question for commissions.
///
/// # Errors
///
/// If the body is not an answer to that.
pub fn fees(product: Product, body: &[u8]) -> Result<Fees, DecodeError> {
    let fees = Document::new().read(body, |value| match product {
        Product::Spot => {
            let standard = value.field("standardCommission")?;
            // What is charged besides; a rebate for paying in another asset is not counted on.
            let besides = |name: &str| -> Decimal {
                ["specialCommission", "taxCommission"]
                    .iter()
                    .filter_map(|kind| value.field(kind)?.decimal(name))
                    .sum()
            };
            Some(Fees {
                maker: standard.decimal("maker")? + besides("maker"),
                taker: standard.decimal("taker")? + besides("taker"),
            })
        }
        Product::UsdMargined => Some(Fees {
            maker: value.decimal("makerCommissionRate")?,
            taker: value.decimal("takerCommissionRate")?,
        }),
    })?;
    fees.ok_or(DecodeError::Field("commission"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_tell_what_is_used_up() {
        let used = |kind, interval_ms, used| Some(Usage { kind, interval_ms, used });
        let weight = usage("X-MBX-USED-WEIGHT-1M", "120");
        assert_eq!(weight, used(LimitKind::Weight, 60_000, 120));
        let orders = usage("x-mbx-order-count-10s", "3");
        assert_eq!(orders, used(LimitKind::Orders, 10_000, 3));
        for header in ["x-mbx-used-weight", "content-type", "x-mbx-used-weight-1y"] {
            assert_eq!(usage(header, "1"), None, "{header}");
        }
    }
}
