//! The configuration file of a backtest: strict TOML, every key optional.
//!
//! Unknown keys are refused with their line; amounts are decimals in quotes, so that no value goes
//! through a float.

use std::path::Path;

use anyhow::Context;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tercel_core::{Instrument, Nanos, Notional, OnHalt, Quantity, RiskLimits};
use tercel_script::Language;

use crate::amounts::{amount, fee, some_amount, some_fee, some_loss};
use crate::exit::{Blame, Outcome, input};
use crate::server_config::values::{some_within, within};
use crate::toml_file::TomlFile;

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
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AccountSection {
    /// What it holds of the quote currency at the start.
    #[serde(deserialize_with = "amount")]
    pub(crate) quote: Decimal,
    /// What it holds of the base currency at the start.
    #[serde(deserialize_with = "amount")]
    pub(crate) base: Decimal,
    /// Notional of perpetuals per unit of margin.
    #[serde(deserialize_with = "within::<_, _, 1, 1000>")]
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
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsSection {
    pub(crate) strategy: Limits,
    pub(crate) account: Limits,
    pub(crate) engine: Limits,
}

/// Limits of one scope.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    #[serde(deserialize_with = "some_amount")]
    order_quantity: Option<Decimal>,
    #[serde(deserialize_with = "some_amount")]
    order_notional: Option<Decimal>,
    #[serde(deserialize_with = "some_amount")]
    position: Option<Decimal>,
    #[serde(deserialize_with = "some_amount")]
    gross_exposure: Option<Decimal>,
    price_collar_bps: Option<u32>,
    open_orders: Option<u32>,
    orders_per_second: Option<u32>,
    orders_per_day: Option<u32>,
    cancels_per_100_orders: Option<u32>,
    #[serde(deserialize_with = "some_loss")]
    daily_loss: Option<Decimal>,
    #[serde(deserialize_with = "some_loss")]
    drawdown: Option<Decimal>,
    cooldown_ms: Option<u32>,
    trades_per_day: Option<u32>,
    on_halt: Option<OnHaltName>,
}

/// What becomes of open orders when a scope is halted by itself.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum OnHaltName {
    Cancel,
    Keep,
}

impl From<OnHaltName> for OnHalt {
    fn from(name: OnHaltName) -> Self {
        match name {
            OnHaltName::Cancel => Self::Cancel,
            OnHaltName::Keep => Self::Keep,
        }
    }
}

/// `[venue]`
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct VenueSection {
    /// `pessimistic`, `probabilistic` or `fifo`.
    pub(crate) queue: QueueModel,
    /// Power of the probabilistic model.
    pub(crate) queue_power: Option<u32>,
    /// Time of a request's way to the venue, in milliseconds.
    #[serde(deserialize_with = "some_amount")]
    pub(crate) request_latency_ms: Option<Decimal>,
    /// Time of an answer's way back, in milliseconds.
    #[serde(deserialize_with = "some_amount")]
    pub(crate) answer_latency_ms: Option<Decimal>,
    /// Recorded latencies to interpolate, as CSV `time_ns,request_ns,answer_ns`.
    pub(crate) latency_file: Option<std::path::PathBuf>,
    /// Fee of a maker fill as a fraction of notional.
    #[serde(deserialize_with = "some_fee")]
    pub(crate) maker_fee: Option<Decimal>,
    /// Fee of a taker fill as a fraction of notional.
    #[serde(deserialize_with = "some_fee")]
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
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FeeTier {
    /// Turnover from which it holds, in quote.
    #[serde(deserialize_with = "amount")]
    pub(crate) turnover: Decimal,
    /// Maker fee.
    #[serde(deserialize_with = "fee")]
    pub(crate) maker: Decimal,
    /// Taker fee.
    #[serde(deserialize_with = "fee")]
    pub(crate) taker: Decimal,
}

/// How a resting order's place in the queue is estimated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
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
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ScriptSection {
    /// Fuel of one call.
    #[serde(deserialize_with = "some_within::<_, _, 1, 4_294_967_295>")]
    pub(crate) fuel: Option<u32>,
    /// Memory of one script in megabytes.
    #[serde(deserialize_with = "some_within::<_, _, 1, 65_536>")]
    pub(crate) memory_mb: Option<u32>,
    /// Intents of one call.
    #[serde(deserialize_with = "some_within::<_, _, 1, 65_536>")]
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
        path.map_or_else(|| Ok(Self::default()), |path| TomlFile::read(path)?.parse())
    }
}

impl ScriptSection {
    /// Returns what one call of a script may use up.
    pub(crate) fn limits(&self, language: Language) -> tercel_script::Limits {
        let mut limits = tercel_script::Limits::of(language);
        if let Some(fuel) = self.fuel {
            limits.fuel = fuel;
        }
        if let Some(megabytes) = self.memory_mb {
            limits.memory = megabytes as usize * (1 << 20);
        }
        limits
    }
}

impl Limits {
    /// Returns these limits, and the other's where there are none.
    pub(crate) fn or(&self, other: &Self) -> Self {
        Self {
            order_quantity: self.order_quantity.or(other.order_quantity),
            order_notional: self.order_notional.or(other.order_notional),
            position: self.position.or(other.position),
            gross_exposure: self.gross_exposure.or(other.gross_exposure),
            price_collar_bps: self.price_collar_bps.or(other.price_collar_bps),
            open_orders: self.open_orders.or(other.open_orders),
            orders_per_second: self.orders_per_second.or(other.orders_per_second),
            orders_per_day: self.orders_per_day.or(other.orders_per_day),
            cancels_per_100_orders: self.cancels_per_100_orders.or(other.cancels_per_100_orders),
            daily_loss: self.daily_loss.or(other.daily_loss),
            drawdown: self.drawdown.or(other.drawdown),
            cooldown_ms: self.cooldown_ms.or(other.cooldown_ms),
            trades_per_day: self.trades_per_day.or(other.trades_per_day),
            on_halt: self.on_halt.or(other.on_halt),
        }
    }

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
            on_halt: self.on_halt.map(Into::into).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Outcome<Config> {
        TomlFile::of_text("x.toml", text).parse()
    }

    #[test]
    fn unknown_keys_are_refused_with_their_line() {
        let error = parse("[account]\nquote = \"5\"\nleverge = 3\n").unwrap_err().to_string();
        assert!(error.starts_with("x.toml:3: unknown key `leverge` in [account]"), "{error}");
        assert!(error.contains("did you mean `leverage`?"), "{error}");
    }

    #[test]
    fn what_becomes_of_orders_in_a_halt_is_cancel_or_keep() {
        let on_halt = |text: &str| {
            let limits = parse(text)?.limits;
            Outcome::Ok(limits.engine.to_risk("engine", &[])?.on_halt)
        };
        assert_eq!(on_halt("").unwrap(), OnHalt::Cancel);
        assert_eq!(on_halt("[limits.engine]\non_halt = \"keep\"\n").unwrap(), OnHalt::Keep);
        let error = on_halt("[limits.engine]\non_halt = \"leave\"\n").unwrap_err().to_string();
        assert!(error.contains("x.toml:2") && error.contains("keep"), "{error}");
    }

    /// Signs and sizes were not looked at: `maker_fee = "-5"` made a backtest report a profit of 1.7
    /// million, a negative `position` refused every order, and a fee meant in percent passed.
    #[test]
    fn amounts_have_the_sign_and_the_size_that_they_can_have() {
        let refusal = |section: &str, key: &str, value: &str| {
            let text = format!("[{section}]\n{key} = {value}\n");
            parse(&text).map(|_| text).unwrap_err().to_string()
        };
        let limits = ["order_quantity", "order_notional", "position", "gross_exposure"];
        let losses = ["daily_loss", "drawdown"];
        for scope in ["limits.strategy", "limits.account", "limits.engine"] {
            for key in limits {
                let error = refusal(scope, key, "\"-2\"");
                let wanted = format!("x.toml:2: {scope}.{key} = \"-2\": must not be below 0");
                assert_eq!(error, wanted);
                assert!(parse(&format!("[{scope}]\n{key} = \"0\"\n")).is_ok());
            }
            for (key, value) in losses.iter().flat_map(|key| [(key, "\"-5\""), (key, "0")]) {
                let error = refusal(scope, key, value);
                assert!(
                    error.starts_with(&format!("x.toml:2: {scope}.{key} = {value}: ")),
                    "{error}"
                );
                assert!(error.contains("must be above 0"), "{error}");
            }
        }
        for (section, key, value, wanted) in [
            ("account", "quote", "\"-5\"", "must not be below 0"),
            ("account", "base", "-1", "must not be below 0"),
            ("account", "leverage", "0", "expected a whole number from 1 to 1000"),
            ("venue", "request_latency_ms", "\"-1\"", "must not be below 0"),
            ("venue", "answer_latency_ms", "\"-1\"", "must not be below 0"),
            ("venue", "maker_fee", "\"-5\"", "from -0.05 to 0.05"),
            ("venue", "taker_fee", "\"0.1\"", "0.1 percent is \"0.001\""),
            ("venue", "taker_fee", "1", "from -0.05 to 0.05"),
        ] {
            let error = refusal(section, key, value);
            let begin = format!("x.toml:2: {section}.{key} = {value}: ");
            assert!(error.starts_with(&begin) && error.contains(wanted), "{error}");
        }
        let tier = |turnover: &str, maker: &str, taker: &str| {
            parse(&format!(
                "[[venue.fee_tiers]]\nturnover = \"{turnover}\"\nmaker = \"{maker}\"\ntaker = \"{taker}\"\n"
            ))
        };
        assert!(tier("0", "-0.0001", "0.0005").is_ok());
        for (turnover, maker, taker, line) in
            [("-1", "0", "0", 2), ("0", "0.2", "0", 3), ("0", "0", "-0.06", 4)]
        {
            let error = tier(turnover, maker, taker).unwrap_err().to_string();
            assert!(error.starts_with(&format!("x.toml:{line}: venue.fee_tiers[1].")), "{error}");
        }
        assert!(parse("[venue]\nmaker_fee = \"-0.05\"\ntaker_fee = \"0.05\"\n").is_ok());
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        let config = parse("").unwrap();
        assert_eq!(config.account.quote, Decimal::from(100_000));
        assert_eq!(config.venue.queue, QueueModel::Pessimistic);
    }
}
