//! What a simulated venue is made of, as `[venue]` says it.

use std::path::Path;

use anyhow::Context;
use rust_decimal::Decimal;
use tercel_core::{Instrument, Nanos, Notional};
use tercel_sim::{
    BarOptions, FeeModel, FeeTier, LatencyModel, LatencySample, QueueModel, VenueOptions,
};

use crate::config;
use crate::exit::{Blame, Outcome, input};

/// Puts the configured fees into the instruments, where risk sees them too.
pub(crate) fn with_fees(
    mut instruments: Vec<Instrument>,
    venue: &config::VenueSection,
) -> Vec<Instrument> {
    for instrument in &mut instruments {
        let mut spec = instrument.spec.clone();
        spec.maker_fee = venue.maker_fee.unwrap_or(spec.maker_fee);
        spec.taker_fee = venue.taker_fee.unwrap_or(spec.taker_fee);
        if let Ok(changed) = Instrument::new(instrument.id, spec) {
            *instrument = changed;
        }
    }
    instruments
}

/// Returns the options of a simulated venue. Reads the file of latencies, if there is one.
pub(crate) fn venue_options(venue: &config::VenueSection) -> Outcome<VenueOptions> {
    let mut options = VenueOptions {
        queue: match venue.queue {
            config::QueueModel::Pessimistic => QueueModel::Pessimistic,
            config::QueueModel::Probabilistic => {
                QueueModel::Probabilistic { power: venue.queue_power.unwrap_or(3) }
            }
            config::QueueModel::Fifo => QueueModel::Fifo,
        },
        taker_slippage_bps: venue.slippage_bps.unwrap_or(0),
        ..VenueOptions::default()
    };
    options.bars = BarOptions {
        slippage_bps: venue.bar_slippage_bps.unwrap_or(options.bars.slippage_bps),
        volume_cap_bps: venue.bar_volume_cap_bps,
    };
    if !venue.fee_tiers.is_empty() {
        let tier = |tier: &config::FeeTier| {
            let from_turnover = Notional::from_decimal(tier.turnover).ok_or_else(|| {
                input(format!("venue.fee_tiers: {} is out of range", tier.turnover))
            })?;
            Ok(FeeTier { from_turnover, maker: tier.maker, taker: tier.taker })
        };
        options.fees =
            FeeModel::Tiered(venue.fee_tiers.iter().map(tier).collect::<Outcome<Vec<_>>>()?);
    }
    if let LatencyModel::Constant { mut request_ns, mut answer_ns } = LatencyModel::DEFAULT {
        request_ns = milliseconds("request_latency_ms", venue.request_latency_ms, request_ns)?;
        answer_ns = milliseconds("answer_latency_ms", venue.answer_latency_ms, answer_ns)?;
        options.latency = LatencyModel::Constant { request_ns, answer_ns };
    }
    if let Some(path) = &venue.latency_file {
        options.latency = LatencyModel::Interpolated(latency_samples(path)?);
    }
    Ok(options)
}

fn milliseconds(key: &str, value: Option<Decimal>, default_ns: i64) -> Outcome<i64> {
    let Some(value) = value else { return Ok(default_ns) };
    let ns = value
        .checked_mul(Decimal::from(Nanos::MILLI))
        .and_then(|ns| i64::try_from(ns.trunc()).ok());
    ns.filter(|ns| *ns >= 0)
        .ok_or_else(|| input(format!("venue.{key}: {value} is not a time from 0 milliseconds on")))
}

/// Reads recorded latencies: `time_ns,request_ns,answer_ns` by line, with a header.
pub(crate) fn latency_samples(path: &Path) -> Outcome<Vec<LatencySample>> {
    let shown = path.display();
    let mut reader =
        csv::Reader::from_path(path).with_context(|| format!("read {shown}")).or_input()?;
    let row = |(n, record): (usize, Result<csv::StringRecord, csv::Error>)| {
        let numbers: Vec<i64> = record?
            .iter()
            .map(|cell| cell.trim().parse())
            .collect::<Result<_, _>>()
            .with_context(|| format!("{shown}:{}: expected three whole numbers", n + 2))?;
        let [at, request_ns, answer_ns] = numbers[..] else {
            anyhow::bail!(
                "{shown}:{}: {} columns, expected time_ns,request_ns,answer_ns",
                n + 2,
                numbers.len()
            );
        };
        Ok(LatencySample { at: Nanos(at), request_ns, answer_ns })
    };
    reader.records().enumerate().map(row).collect::<anyhow::Result<_>>().or_input()
}
