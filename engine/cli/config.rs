//! The configuration file of a backtest: strict TOML, every key optional.
//!
//! Unknown keys are refused with line and column; amounts are decimals in quotes, so that no value
//! goes through a float.

use std::path::Path;

use anyhow::Context;
use rust_decimal::Decimal;
use serde::Deserialize;
use tercel_core::{Instrument, Nanos, Notional, Quantity, RiskLimits};

use crate::exit::{Blame, Outcome, input};

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) account: AccountSection,
    pub(crate) limits: LimitsSection,
    pub(crate) venue: VenueSection,
    pub(crate) script: ScriptSection,
    pub(crate) run: RunSection,
}

/// `[account]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AccountSection {
    /// What it holds of the quote currency at the start.
    pub(crate) quote: Decimal,
    /// What it holds of the base currency at the start.
    pub(crate) base: Decimal,
    /// Notional of perpetuals per unit of margin.
    pub(crate) leverage: u32,
    /// Whether orders that it cannot pay for are refused.
    pub(crate) check_balance: bool,
}

impl Default for AccountSection {
    fn default() -> Self {
        Self {
            quote: Decimal::from(100_000),
            base: Decimal::ZERO,
            leverage: 1,
            check_balance: true,
        }
    }
}

/// `[limits.strategy]`, `[limits.account]`, `[limits.engine]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsSection {
    pub(crate) strategy: Limits,
    pub(crate) account: Limits,
    pub(crate) engine: Limits,
}

/// Limits of one scope.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    order_quantity: Option<Decimal>,
    order_notional: Option<Decimal>,
    position: Option<Decimal>,
    gross_exposure: Option<Decimal>,
    price_collar_bps: Option<u32>,
    open_orders: Option<u32>,
    orders_per_second: Option<u32>,
    orders_per_day: Option<u32>,
    cancels_per_100_orders: Option<u32>,
    daily_loss: Option<Decimal>,
    drawdown: Option<Decimal>,
    cooldown_ms: Option<u32>,
    trades_per_day: Option<u32>,
}

/// `[venue]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct VenueSection {
    /// `pessimistic`, `probabilistic` or `fifo`.
    pub(crate) queue: QueueModel,
    /// Power of the probabilistic model.
    pub(crate) queue_power: Option<u32>,
    /// Time of a request's way to the venue, in milliseconds.
    pub(crate) request_latency_ms: Option<Decimal>,
    /// Time of an answer's way back, in milliseconds.
    pub(crate) answer_latency_ms: Option<Decimal>,
    /// Recorded latencies to interpolate, as CSV `time_ns,request_ns,answer_ns`.
    pub(crate) latency_file: Option<std::path::PathBuf>,
    /// Fee of a maker fill as a fraction of notional.
    pub(crate) maker_fee: Option<Decimal>,
    /// Fee of a taker fill as a fraction of notional.
    pub(crate) taker_fee: Option<Decimal>,
    /// Fees by turnover.
    pub(crate) fee_tiers: Vec<FeeTier>,
    /// Added against taker fills on a book, in basis points.
    pub(crate) slippage_bps: Option<u32>,
    /// Added against market and stop fills on bars, in basis points.
    pub(crate) bar_slippage_bps: Option<u32>,
    /// Share of a bar's volume that our fills may be, in basis points; no bound without it.
    pub(crate) bar_volume_cap_bps: Option<u32>,
}

/// One of `[[venue.fee_tiers]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FeeTier {
    /// Turnover from which it holds, in quote.
    pub(crate) turnover: Decimal,
    /// Maker fee.
    pub(crate) maker: Decimal,
    /// Taker fee.
    pub(crate) taker: Decimal,
}

/// How a resting order's place in the queue is estimated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum QueueModel {
    /// Only trades move it forward.
    #[default]
    Pessimistic,
    /// Cancels move it in proportion.
    Probabilistic,
    /// Exact, from an order-by-order feed.
    Fifo,
}

/// `[script]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ScriptSection {
    /// Fuel of one call.
    pub(crate) fuel: Option<u32>,
    /// Memory of one script in megabytes.
    pub(crate) memory_mb: Option<u32>,
    /// Intents of one call.
    pub(crate) intents: Option<usize>,
}

/// `[run]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RunSection {
    /// Seed of the scripts' random numbers and of the seeded market.
    pub(crate) seed: u64,
    /// Time between equity samples in seconds, doubled as often as memory needs.
    pub(crate) sample_s: u32,
}

impl Default for RunSection {
    fn default() -> Self {
        Self { seed: 1, sample_s: 60 }
    }
}

impl Config {
    /// Reads a configuration file, or returns the defaults without one.
    pub(crate) fn read(path: Option<&Path>) -> Outcome<Self> {
        let Some(path) = path else { return Ok(Self::default()) };
        let shown = path.display();
        let text = std::fs::read_to_string(path).with_context(|| format!("read {shown}"));
        let text = text.or_input()?;
        toml::from_str(&text)
            .map_err(|error| anyhow::anyhow!("{shown}: {}", error.to_string().trim_end()))
            .or_input()
    }
}

impl Limits {
    /// Converts to the engine's units. Quantities are in lots, so all instruments must share one.
    pub(crate) fn to_risk(&self, scope: &str, instruments: &[Instrument]) -> Outcome<RiskLimits> {
        let lots = |key: &str, value: Option<Decimal>| -> Outcome<Option<Quantity>> {
            let Some(value) = value else { return Ok(None) };
            let (first, rest) = instruments
                .split_first()
                .ok_or_else(|| input("there is no instrument to limit"))?;
            if rest.iter().any(|other| other.spec.lot != first.spec.lot) {
                return Err(input(format!(
                    "limits.{scope}.{key}: the instruments have different lots, so a quantity \
                     limit would mean different amounts; use the notional limits"
                )));
            }
            let quantity = first.quantity(value);
            quantity.map(Some).with_context(|| format!("limits.{scope}.{key}")).or_input()
        };
        let money = |key: &str, value: Option<Decimal>| -> Outcome<Option<Notional>> {
            let Some(value) = value else { return Ok(None) };
            Notional::from_decimal(value).map(Some).ok_or_else(|| {
                input(format!("limits.{scope}.{key}: {value} has more than 18 decimal places"))
            })
        };
        Ok(RiskLimits {
            order_qty: lots("order_quantity", self.order_quantity)?,
            order_notional: money("order_notional", self.order_notional)?,
            position_qty: lots("position", self.position)?,
            gross_exposure: money("gross_exposure", self.gross_exposure)?,
            price_collar_bps: self.price_collar_bps,
            open_orders: self.open_orders,
            orders_per_second: self.orders_per_second,
            orders_per_day: self.orders_per_day,
            cancels_per_100_orders: self.cancels_per_100_orders,
            daily_loss: money("daily_loss", self.daily_loss)?,
            drawdown: money("drawdown", self.drawdown)?,
            cooldown_ns: self.cooldown_ms.map(|ms| i64::from(ms) * Nanos::MILLI),
            trades_per_day: self.trades_per_day,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn unknown_keys_are_refused_with_their_line() {
        let error = parse("[account]\nquote = \"5\"\nleverge = 3\n").unwrap_err();
        assert!(error.contains("line 3"), "{error}");
        assert!(error.contains("leverge") && error.contains("leverage"), "{error}");
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        let config = parse("").unwrap();
        assert_eq!(config.account.quote, Decimal::from(100_000));
        assert_eq!(config.venue.queue, QueueModel::Pessimistic);
    }
}
