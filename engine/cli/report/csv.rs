//! Fills, round trips and equity as CSV.
//!
//! Times are nanoseconds since 1970 in UTC; prices, quantities and money are exact decimals.

use std::io::Write;

use tercel_core::Notional;

use super::{ReportInput, middle};

/// Writes all recorded fills, oldest first.
///
/// # Errors
///
/// If writing fails.
pub(crate) fn write_fills_csv(input: &ReportInput<'_>, out: impl Write) -> Result<(), csv::Error> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record([
        "time_ns",
        "side",
        "price",
        "quantity",
        "fee",
        "role",
        "order_id",
        "instrument",
        "strategy",
        "venue_time_ns",
        "notional",
        "fee_asset",
        "realised",
        "position",
        "slippage",
        "mid_at_send",
        "mid_at_fill",
        "trade_id",
    ])?;
    for fill in &input.recording.fills {
        let instrument = &input.instruments[fill.instrument.index()];
        let middle = |mid_x2| {
            let middle = middle(instrument, mid_x2);
            middle.map_or_else(String::new, |price| price.normalize().to_string())
        };
        writer.write_record([
            fill.at.to_string(),
            fill.side.to_string(),
            instrument.price_decimal(fill.price).to_string(),
            instrument.quantity_decimal(fill.qty).to_string(),
            fill.fee.to_string(),
            fill.role.as_str().to_owned(),
            fill.order.to_string(),
            instrument.spec.symbol.clone(),
            input.strategy(fill.strategy).to_owned(),
            fill.venue_at.to_string(),
            fill.notional.to_string(),
            input.asset(fill.fee_asset).to_owned(),
            fill.realised.to_string(),
            instrument.quantity_decimal(fill.position).to_string(),
            fill.slippage.to_string(),
            middle(fill.mid_x2_at_send),
            middle(fill.mid_x2_at_fill),
            fill.trade_id.to_string(),
        ])?;
    }
    Ok(writer.flush()?)
}

/// Writes all recorded round trips in order of their end.
///
/// # Errors
///
/// If writing fails.
pub(crate) fn write_trips_csv(input: &ReportInput<'_>, out: impl Write) -> Result<(), csv::Error> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record([
        "opened_at_ns",
        "closed_at_ns",
        "strategy",
        "instrument",
        "side",
        "qty_max",
        "n_fills",
        "fees",
        "funding",
        "profit",
    ])?;
    for trip in &input.recording.trips {
        let instrument = &input.instruments[trip.instrument.index()];
        writer.write_record([
            trip.opened_at.to_string(),
            trip.closed_at.to_string(),
            input.strategy(trip.strategy).to_owned(),
            instrument.spec.symbol.clone(),
            trip.side.to_string(),
            instrument.quantity_decimal(trip.qty_max).to_string(),
            trip.n_fills.to_string(),
            trip.fees.to_string(),
            trip.funding.to_string(),
            trip.profit.to_string(),
        ])?;
    }
    Ok(writer.flush()?)
}

/// Writes the equity samples, oldest first: equity at the time, lowest and highest since the row
/// before.
///
/// # Errors
///
/// If writing fails.
pub(crate) fn write_equity_csv(input: &ReportInput<'_>, out: impl Write) -> Result<(), csv::Error> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(["at_ns", "equity", "low", "high"])?;
    for sample in input.recording.equity.as_slice() {
        let money = [sample.equity, sample.low, sample.high].map(|m: Notional| m.to_string());
        writer.write_record(std::iter::once(sample.at.to_string()).chain(money))?;
    }
    Ok(writer.flush()?)
}
