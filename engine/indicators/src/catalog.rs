//! The table of all indicators: what scripts, the command line and the reference are made from.

use crate::{
    Adx, Atr, Bar, Bollinger, Cci, Donchian, Ema, Highest, IndicatorError, Keltner, Lowest,
    MAX_PERIOD, Macd, Mfi, Obv, Roc, Rsi, Sma, StdDev, Stochastic, SuperTrend, VolumeRatio, Vwap,
    Wma,
};

/// Most outputs that an indicator has.
pub const MAX_OUTPUTS: usize = 3;

/// What an indicator is fed with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// One number, usually the close.
    Price,
    /// A whole bar.
    Bar,
}

/// Whose values an indicator equals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// TA-Lib.
    TaLib,
    /// TradingView.
    TradingView,
    /// Nobody's: defined here.
    Own,
}

impl Source {
    /// Returns the platform's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TaLib => "TA-Lib",
            Self::TradingView => "TradingView",
            Self::Own => "own",
        }
    }
}

/// A parameter of an indicator.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ParameterSpec {
    /// Its name.
    pub name: &'static str,
    /// Whether it is a whole number.
    pub is_whole: bool,
    /// What it is unless given.
    pub default: f64,
    /// Least value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
}

/// An indicator as the table has it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct IndicatorSpec {
    /// Its name, as scripts call it.
    pub name: &'static str,
    /// What it is fed with.
    pub input: Input,
    /// Its parameters in order.
    pub parameters: &'static [ParameterSpec],
    /// Names of its outputs in order.
    pub outputs: &'static [&'static str],
    /// Whose values it equals.
    pub source: Source,
    /// What it is, in a line.
    pub doc: &'static str,
}

const fn whole(name: &'static str, default: f64) -> ParameterSpec {
    #[expect(clippy::cast_precision_loss, reason = "the longest period is far below 2^52")]
    let max = MAX_PERIOD as f64;
    ParameterSpec { name, is_whole: true, default, min: 1.0, max }
}

const fn number(name: &'static str, default: f64) -> ParameterSpec {
    ParameterSpec { name, is_whole: false, default, min: 0.0, max: 1_000.0 }
}

const fn spec(
    name: &'static str,
    input: Input,
    parameters: &'static [ParameterSpec],
    outputs: &'static [&'static str],
    source: Source,
    doc: &'static str,
) -> IndicatorSpec {
    IndicatorSpec { name, input, parameters, outputs, source, doc }
}

const VALUE: &[&str] = &["value"];
const BANDS: &[&str] = &["upper", "middle", "lower"];
const P14: &[ParameterSpec] = &[whole("period", 14.0)];
const P20: &[ParameterSpec] = &[whole("period", 20.0)];

/// All indicators, by name.
pub const CATALOG: &[IndicatorSpec] = &[
    spec(
        "adx",
        Input::Bar,
        &[ParameterSpec { min: 2.0, ..whole("period", 14.0) }],
        &["adx", "plus_di", "minus_di"],
        Source::TaLib,
        "Average directional index with its two directional indicators.",
    ),
    spec(
        "atr",
        Input::Bar,
        P14,
        VALUE,
        Source::TaLib,
        "Average true range, Wilder's smoothing, begun with the mean of n ranges.",
    ),
    spec(
        "bollinger",
        Input::Price,
        &[whole("period", 20.0), number("width", 2.0)],
        BANDS,
        Source::TaLib,
        "Bollinger bands: simple average, population standard deviation.",
    ),
    spec("cci", Input::Bar, P20, VALUE, Source::TaLib, "Commodity channel index. O(period)."),
    spec(
        "donchian",
        Input::Bar,
        P20,
        BANDS,
        Source::TradingView,
        "Donchian channel, the newest bar included.",
    ),
    spec(
        "ema",
        Input::Price,
        P20,
        VALUE,
        Source::TaLib,
        "Exponential moving average, begun with the mean of the first n values.",
    ),
    spec("highest", Input::Price, P20, VALUE, Source::TaLib, "Highest of the last n values."),
    spec(
        "keltner",
        Input::Bar,
        &[whole("period", 20.0), number("width", 2.0)],
        BANDS,
        Source::TradingView,
        "Keltner channel: exponential averages of close and true range.",
    ),
    spec("lowest", Input::Price, P20, VALUE, Source::TaLib, "Lowest of the last n values."),
    spec(
        "macd",
        Input::Price,
        &[whole("fast", 12.0), whole("slow", 26.0), whole("signal", 9.0)],
        &["macd", "signal", "histogram"],
        Source::TaLib,
        "Moving average convergence divergence; all lines begin together.",
    ),
    spec("mfi", Input::Bar, P14, VALUE, Source::TaLib, "Money flow index, 0 to 100."),
    spec(
        "obv",
        Input::Bar,
        &[],
        VALUE,
        Source::TaLib,
        "On-balance volume, begun with the first bar's volume.",
    ),
    spec(
        "roc",
        Input::Price,
        &[whole("period", 10.0)],
        VALUE,
        Source::TaLib,
        "Rate of change in percent against the value n before.",
    ),
    spec(
        "rsi",
        Input::Price,
        P14,
        VALUE,
        Source::TaLib,
        "Relative strength index, Wilder's smoothing, 0 to 100.",
    ),
    spec("sma", Input::Price, P20, VALUE, Source::TaLib, "Simple moving average."),
    spec("stddev", Input::Price, P20, VALUE, Source::TaLib, "Population standard deviation."),
    spec(
        "stochastic",
        Input::Bar,
        &[whole("k", 14.0), whole("slow", 3.0), whole("d", 3.0)],
        &["k", "d"],
        Source::TaLib,
        "Slow stochastic oscillator with plain averages, 0 to 100.",
    ),
    spec(
        "supertrend",
        Input::Bar,
        &[whole("period", 10.0), number("factor", 3.0)],
        &["line", "is_up"],
        Source::TradingView,
        "SuperTrend: the line, and 1 in an up trend, 0 in a down trend.",
    ),
    spec(
        "volume_ratio",
        Input::Bar,
        P20,
        VALUE,
        Source::Own,
        "Volume of the bar against the mean of the last n bars.",
    ),
    spec(
        "vwap",
        Input::Bar,
        &[],
        VALUE,
        Source::TradingView,
        "Volume-weighted typical price of the UTC day so far.",
    ),
    spec("wma", Input::Price, P20, VALUE, Source::TaLib, "Linearly weighted moving average."),
];

/// Returns the table's row of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static IndicatorSpec> {
    CATALOG.iter().find(|spec| spec.name == name)
}

/// Any indicator of the table, with its last outputs.
#[derive(Clone, Debug)]
pub struct Indicator {
    kind: Kind,
    outputs: [f64; MAX_OUTPUTS],
    is_ready: bool,
}

#[derive(Clone, Debug)]
enum Kind {
    Adx(Adx),
    Atr(Atr),
    Bollinger(Bollinger),
    Cci(Cci),
    Donchian(Donchian),
    Ema(Ema),
    Highest(Highest),
    Keltner(Keltner),
    Lowest(Lowest),
    Macd(Box<Macd>),
    Mfi(Box<Mfi>),
    Obv(Obv),
    Roc(Roc),
    Rsi(Rsi),
    Sma(Sma),
    StdDev(StdDev),
    Stochastic(Box<Stochastic>),
    SuperTrend(SuperTrend),
    VolumeRatio(VolumeRatio),
    Vwap(Vwap),
    Wma(Wma),
}

impl Indicator {
    /// Builds the indicator of this name; parameters left out take their defaults.
    ///
    /// # Errors
    ///
    /// If there is no such indicator, or a parameter is too many or out of its range.
    pub fn build(name: &str, parameters: &[f64]) -> Result<Self, IndicatorError> {
        let spec = find(name).ok_or_else(|| IndicatorError::Unknown { name: name.to_owned() })?;
        if parameters.len() > spec.parameters.len() {
            let (max, given) = (spec.parameters.len(), parameters.len());
            return Err(IndicatorError::TooMany { name: spec.name, max, given });
        }
        let mut given = [0.0; MAX_OUTPUTS];
        for (n, parameter) in spec.parameters.iter().enumerate() {
            given[n] = parameter.check(parameters.get(n).copied().unwrap_or(parameter.default))?;
        }
        let kind = Kind::build(spec.name, given)?;
        Ok(Self { kind, outputs: [0.0; MAX_OUTPUTS], is_ready: false })
    }

    /// Adds a number. An indicator of bars takes it as a bar of that price without volume.
    pub fn update_price(&mut self, price: f64) -> Option<f64> {
        let outputs = match &mut self.kind {
            Kind::Bollinger(inner) => inner.update(price).map(|b| [b.upper, b.middle, b.lower]),
            Kind::Ema(inner) => one(inner.update(price)),
            Kind::Highest(inner) => one(inner.update(price)),
            Kind::Lowest(inner) => one(inner.update(price)),
            Kind::Macd(inner) => inner.update(price).map(|m| [m.macd, m.signal, m.histogram]),
            Kind::Roc(inner) => one(inner.update(price)),
            Kind::Rsi(inner) => one(inner.update(price)),
            Kind::Sma(inner) => one(inner.update(price)),
            Kind::StdDev(inner) => one(inner.update(price)),
            Kind::Wma(inner) => one(inner.update(price)),
            _ => {
                let bar =
                    Bar { open: price, high: price, low: price, close: price, ..Bar::default() };
                return self.update_bar(&bar);
            }
        };
        self.record(outputs)
    }

    /// Adds a bar. An indicator of numbers takes its close.
    pub fn update_bar(&mut self, bar: &Bar) -> Option<f64> {
        let outputs = match &mut self.kind {
            Kind::Adx(inner) => inner.update(bar).map(|a| [a.adx, a.plus_di, a.minus_di]),
            Kind::Atr(inner) => one(inner.update(bar)),
            Kind::Cci(inner) => one(inner.update(bar)),
            Kind::Donchian(inner) => inner.update(bar).map(|b| [b.upper, b.middle, b.lower]),
            Kind::Keltner(inner) => inner.update(bar).map(|b| [b.upper, b.middle, b.lower]),
            Kind::Mfi(inner) => one(inner.update(bar)),
            Kind::Obv(inner) => one(inner.update(bar)),
            Kind::Stochastic(inner) => inner.update(bar).map(|s| [s.k, s.d, 0.0]),
            Kind::SuperTrend(inner) => {
                inner.update(bar).map(|s| [s.line, f64::from(u8::from(s.is_up)), 0.0])
            }
            Kind::VolumeRatio(inner) => one(inner.update(bar)),
            Kind::Vwap(inner) => one(inner.update(bar)),
            _ => return self.update_price(bar.close),
        };
        self.record(outputs)
    }

    /// Returns output `n` as of the last update; `None` during warm-up or beyond the outputs.
    #[must_use]
    pub fn output(&self, n: usize) -> Option<f64> {
        self.outputs.get(n).copied().filter(|_| self.is_ready)
    }

    /// Returns whether the warm-up is over.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Forgets everything but the parameters.
    pub const fn reset(&mut self) {
        self.is_ready = false;
        match &mut self.kind {
            Kind::Adx(inner) => inner.reset(),
            Kind::Atr(inner) => inner.reset(),
            Kind::Bollinger(inner) => inner.reset(),
            Kind::Cci(inner) => inner.reset(),
            Kind::Donchian(inner) => inner.reset(),
            Kind::Ema(inner) => inner.reset(),
            Kind::Highest(inner) => inner.reset(),
            Kind::Keltner(inner) => inner.reset(),
            Kind::Lowest(inner) => inner.reset(),
            Kind::Macd(inner) => inner.reset(),
            Kind::Mfi(inner) => inner.reset(),
            Kind::Obv(inner) => inner.reset(),
            Kind::Roc(inner) => inner.reset(),
            Kind::Rsi(inner) => inner.reset(),
            Kind::Sma(inner) => inner.reset(),
            Kind::StdDev(inner) => inner.reset(),
            Kind::Stochastic(inner) => inner.reset(),
            Kind::SuperTrend(inner) => inner.reset(),
            Kind::VolumeRatio(inner) => inner.reset(),
            Kind::Vwap(inner) => inner.reset(),
            Kind::Wma(inner) => inner.reset(),
        }
    }

    fn record(&mut self, outputs: Option<[f64; MAX_OUTPUTS]>) -> Option<f64> {
        if let Some(outputs) = outputs {
            self.outputs = outputs;
        }
        self.is_ready = outputs.is_some();
        outputs.map(|outputs| outputs[0])
    }
}

impl Kind {
    fn build(name: &str, given: [f64; MAX_OUTPUTS]) -> Result<Self, IndicatorError> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be whole and within 1 and the longest period"
        )]
        let whole = |n: usize| given[n] as usize;
        Ok(match name {
            "adx" => Self::Adx(Adx::new(whole(0))?),
            "atr" => Self::Atr(Atr::new(whole(0))?),
            "bollinger" => Self::Bollinger(Bollinger::new(whole(0), given[1])?),
            "cci" => Self::Cci(Cci::new(whole(0))?),
            "donchian" => Self::Donchian(Donchian::new(whole(0))?),
            "ema" => Self::Ema(Ema::new(whole(0))?),
            "highest" => Self::Highest(Highest::new(whole(0))?),
            "keltner" => Self::Keltner(Keltner::new(whole(0), given[1])?),
            "lowest" => Self::Lowest(Lowest::new(whole(0))?),
            "macd" => Self::Macd(Box::new(Macd::new(whole(0), whole(1), whole(2))?)),
            "mfi" => Self::Mfi(Box::new(Mfi::new(whole(0))?)),
            "obv" => Self::Obv(Obv::new()),
            "roc" => Self::Roc(Roc::new(whole(0))?),
            "rsi" => Self::Rsi(Rsi::new(whole(0))?),
            "sma" => Self::Sma(Sma::new(whole(0))?),
            "stddev" => Self::StdDev(StdDev::new(whole(0))?),
            "stochastic" => {
                Self::Stochastic(Box::new(Stochastic::new(whole(0), whole(1), whole(2))?))
            }
            "supertrend" => Self::SuperTrend(SuperTrend::new(whole(0), given[1])?),
            "volume_ratio" => Self::VolumeRatio(VolumeRatio::new(whole(0))?),
            "vwap" => Self::Vwap(Vwap::new()),
            "wma" => Self::Wma(Wma::new(whole(0))?),
            _ => return Err(IndicatorError::Unknown { name: name.to_owned() }),
        })
    }
}

impl ParameterSpec {
    fn check(&self, value: f64) -> Result<f64, IndicatorError> {
        if (self.min..=self.max).contains(&value) && !(self.is_whole && value.fract() != 0.0) {
            return Ok(value);
        }
        let what = self.name;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "bounds of whole parameters are small whole numbers"
        )]
        let error = if self.is_whole {
            let (min, max) = (self.min as usize, self.max as usize);
            IndicatorError::Period { what, min, max, value }
        } else {
            IndicatorError::Number { what, min: self.min, max: self.max, value }
        };
        Err(error)
    }
}

fn one(value: Option<f64>) -> Option<[f64; MAX_OUTPUTS]> {
    value.map(|value| [value, 0.0, 0.0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_builds_with_its_defaults_and_warms_up() {
        for spec in CATALOG {
            let mut indicator = Indicator::build(spec.name, &[]).unwrap();
            let bar = |n: u32| Bar {
                at_ns: i64::from(n),
                open: 10.0,
                high: 11.0 + f64::from(n % 7),
                low: 9.0,
                close: 10.0 + f64::from(n % 5),
                volume: 5.0,
            };
            let outputs = |indicator: &mut Indicator| -> Vec<_> {
                (0..100).map(|n| (indicator.update_bar(&bar(n)), indicator.output(1))).collect()
            };
            let first = outputs(&mut indicator);
            assert!(indicator.is_ready(), "{} warms up within 100 bars", spec.name);
            indicator.reset();
            assert!(!indicator.is_ready());
            assert_eq!(outputs(&mut indicator), first, "{} begins anew", spec.name);
        }
    }

    #[test]
    fn names_are_sorted_and_parameters_are_checked() {
        assert!(CATALOG.is_sorted_by_key(|spec| spec.name));
        let refused =
            |name, parameters: &[f64]| Indicator::build(name, parameters).unwrap_err().to_string();
        assert_eq!(refused("ema", &[0.0]), "period must be a whole number from 1 to 10000, got 0");
        assert_eq!(
            refused("ema", &[2.5]),
            "period must be a whole number from 1 to 10000, got 2.5"
        );
        assert!(refused("ema", &[f64::NAN]).contains("NaN"));
        assert_eq!(
            refused("macd", &[26.0, 12.0]),
            "fast must be a whole number from 1 to 11, got 26"
        );
        assert_eq!(refused("obv", &[1.0]), "obv takes at most 0 parameters, got 1");
        assert_eq!(refused("emma", &[]), "there is no indicator `emma`");
    }
}
