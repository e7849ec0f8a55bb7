//! The host's functions as Rhai's: one line for each of the API table.
//!
//! Arguments are taken as they come and converted here, so that whole numbers do where floats are
//! meant; arguments that may be left out are further functions of the same name.

use std::rc::Rc;

use rhai::{Array, Dynamic, Engine, EvalAltResult, ImmutableString, NativeCallContext};
use tercel_core::{FaultKind, Side, Value as Kept};

use super::convert::{float, maybe, optional, tree_of, value_of};
use crate::api;
use crate::error::HostError;
use crate::host::{BarField, Host, HostResult, OrderOptions, SharedHost, tree_of_kept};
use crate::manifest::ParamValue;
use crate::number;

type Answer = Result<Dynamic, Box<EvalAltResult>>;

/// Defines the `n`th part of the constants and functions of the API table. Returns whether there are
/// more.
pub(super) fn install(engine: &mut Engine, host: &SharedHost, n: usize) -> bool {
    if n == 0 {
        #[expect(deprecated, reason = "the only way to constants that functions see too")]
        engine.on_var(|name, _, _| {
            Ok(match name {
                "BUY" => Some(api::BUY.into()),
                "SELL" => Some(api::SELL.into()),
                _ => None,
            })
        });
    }
    let mut functions = Functions { engine, host };
    match n {
        0 => {
            functions.declaration();
            functions.market();
        }
        1 => {
            functions.bars();
            functions.account();
            functions.orders();
        }
        _ => {
            functions.time();
            functions.keeping();
            functions.indicators();
            functions.refused();
            texts(engine);
        }
    }
    n < 2
}

/// Lets numbers and booleans be appended to text, as everybody expects who writes to the log. The
/// package that brings it brings too much besides.
fn texts(engine: &mut Engine) {
    fn append<T: std::fmt::Display>(text: &str, value: &T) -> ImmutableString {
        format!("{text}{value}").into()
    }
    engine.register_fn("+", |text: &str, value: f64| append(text, &value));
    engine.register_fn("+", |text: &str, value: i64| append(text, &value));
    engine.register_fn("+", |text: &str, value: bool| append(text, &value));
}

struct Functions<'a> {
    engine: &'a mut Engine,
    host: &'a SharedHost,
}

/// Defines a function with these arguments, each a [`Dynamic`]; the host is lent to its body.
macro_rules! define {
    ($self:ident, $name:expr, |$host:ident $(, $argument:ident)*| $body:expr) => {{
        let host = Rc::clone($self.host);
        $self.engine.register_fn(
            $name,
            move |context: NativeCallContext<'_> $(, $argument: Dynamic)*| -> Answer {
                let body = |$host: &mut Host| -> HostResult<Dynamic> { $body };
                let result = body(&mut host.borrow_mut());
                result.map_err(|error| raise(&context, &host, error))
            },
        );
    }};
}

/// Defines a function that makes intents. Only where lines are noted does it tell its own.
macro_rules! wish {
    ($self:ident, $name:expr, |$host:ident $(, $argument:ident)*| $body:expr) => {
        if $self.host.borrow().notes_lines() {
            let host = Rc::clone($self.host);
            $self.engine.register_fn(
                $name,
                move |context: NativeCallContext<'_> $(, $argument: Dynamic)*| -> Answer {
                    let body = |$host: &mut Host| -> HostResult<Dynamic> { $body };
                    let n_before = host.borrow().n_intents();
                    let result = body(&mut host.borrow_mut());
                    note(&context, &host, n_before);
                    result.map_err(|error| raise(&context, &host, error))
                },
            );
        } else {
            define!($self, $name, |$host $(, $argument)*| $body);
        }
    };
}

impl Functions<'_> {
    fn declaration(&mut self) {
        define!(self, "strategy", |host, table| {
            host.declare(&tree_of(&table)?)?;
            Ok(Dynamic::UNIT)
        });
        define!(self, "param", |host, name| {
            Ok(match host.param(&text(&name, "name")?)? {
                ParamValue::Integer(value) => number::float(*value).into(),
                ParamValue::Number(value) => (*value).into(),
                ParamValue::Boolean(value) => (*value).into(),
                ParamValue::Text(value) => value.as_str().into(),
            })
        });
    }

    /// Defines a function of an instrument, with and without it.
    fn of_instrument(
        &mut self,
        name: &'static str,
        f: impl Fn(&mut Host, Option<f64>) -> HostResult<Dynamic> + Copy + 'static,
    ) {
        define!(self, name, |host| f(host, None));
        define!(self, name, |host, i| f(host, optional(&i, "instrument")?));
    }

    fn market(&mut self) {
        define!(self, "instrument", |host, symbol| {
            host.instrument(&text(&symbol, "symbol")?).map(Dynamic::from)
        });
        define!(self, "instruments", |host| host.n_instruments().map(Dynamic::from));
        define!(self, "current", |host| host.current_instrument().map(Dynamic::from));
        self.of_instrument("symbol", |host, i| Ok(host.symbol(i)?.into()));
        self.of_instrument("bid", |host, i| host.best_price(Side::Buy, i).map(maybe));
        self.of_instrument("ask", |host, i| host.best_price(Side::Sell, i).map(maybe));
        self.of_instrument("bid_qty", |host, i| host.best_qty(Side::Buy, i).map(Dynamic::from));
        self.of_instrument("ask_qty", |host, i| host.best_qty(Side::Sell, i).map(Dynamic::from));
        self.of_instrument("mid", |host, i| host.mid(i).map(maybe));
        self.of_instrument("spread", |host, i| host.spread(i).map(maybe));
        self.of_instrument("microprice", |host, i| host.microprice(i).map(maybe));
        self.of_instrument("last_price", |host, i| host.last_price(i).map(maybe));
        self.of_instrument("mark_price", |host, i| host.mark_price(i).map(maybe));
        self.of_instrument("is_live", |host, i| host.is_live(i).map(Dynamic::from));
        self.of_instrument("tick", |host, i| host.tick(i).map(Dynamic::from));
        self.of_instrument("lot", |host, i| host.lot(i).map(Dynamic::from));
        self.of_instrument("min_qty", |host, i| host.min_qty(i).map(Dynamic::from));
        define!(self, "imbalance", |host| host.imbalance(None, None).map(Dynamic::from));
        define!(self, "imbalance", |host, n| {
            host.imbalance(optional(&n, "levels")?, None).map(Dynamic::from)
        });
        define!(self, "imbalance", |host, n, i| {
            let (n, i) = (optional(&n, "levels")?, optional(&i, "instrument")?);
            host.imbalance(n, i).map(Dynamic::from)
        });
        self.of_level("level_price", |host, side, n, i| host.level_price(side, n, i).map(maybe));
        self.of_level("level_qty", |host, side, n, i| host.level_qty(side, n, i).map(maybe));
        self.of_level("depth_qty", |host, side, n, i| {
            host.depth_qty(side, n, i).map(Dynamic::from)
        });
        self.rounding("round_price", |host, value, way, i| host.round_price(value, way, i));
        self.rounding("round_qty", |host, value, way, i| host.round_qty(value, way, i));
    }

    fn of_level(
        &mut self,
        name: &'static str,
        f: impl Fn(&mut Host, f64, f64, Option<f64>) -> HostResult<Dynamic> + Copy + 'static,
    ) {
        define!(self, name, |host, side, n| f(host, float(&side, "side")?, float(&n, "n")?, None));
        define!(self, name, |host, side, n, i| {
            f(host, float(&side, "side")?, float(&n, "n")?, optional(&i, "instrument")?)
        });
    }

    fn rounding(
        &mut self,
        name: &'static str,
        f: impl Fn(&mut Host, f64, &str, Option<f64>) -> HostResult<f64> + Copy + 'static,
    ) {
        define!(self, name, |host, value, way| {
            let way = text(&way, "direction")?;
            f(host, float(&value, "value")?, &way, None).map(Dynamic::from)
        });
        define!(self, name, |host, value, way, i| {
            let (way, i) = (text(&way, "direction")?, optional(&i, "instrument")?);
            f(host, float(&value, "value")?, &way, i).map(Dynamic::from)
        });
    }

    fn bars(&mut self) {
        let fields =
            [BarField::Open, BarField::High, BarField::Low, BarField::Close, BarField::Volume];
        for field in fields {
            define!(self, field.function(), |host, back| {
                host.bar_field(field, float(&back, "back")?, None).map(maybe)
            });
            define!(self, field.function(), |host, back, series| {
                let series = optional(&series, "series")?;
                host.bar_field(field, float(&back, "back")?, series).map(maybe)
            });
        }
        define!(self, "bar_time", |host, back| {
            host.bar_time(float(&back, "back")?, None).map(maybe)
        });
        define!(self, "bar_time", |host, back, series| {
            host.bar_time(float(&back, "back")?, optional(&series, "series")?).map(maybe)
        });
        self.of_instrument("bar_count", |host, series| host.bar_count(series).map(Dynamic::from));
        define!(self, "bar_series", |host| host.bar_series().map(Dynamic::from));
        self.of_instrument("bar_length", |host, series| Ok(host.bar_length(series)?.into()));
    }

    fn account(&mut self) {
        self.of_instrument("position", |host, i| host.position(i).map(Dynamic::from));
        self.of_instrument("avg_price", |host, i| host.avg_price(i).map(maybe));
        define!(self, "pnl", |host| host.pnl().map(Dynamic::from));
        define!(self, "balance", |host, asset| {
            host.balance(&text(&asset, "asset")?).map(Dynamic::from)
        });
        define!(self, "free_balance", |host, asset| {
            host.free_balance(&text(&asset, "asset")?).map(Dynamic::from)
        });
        define!(self, "equity", |host| host.equity().map(Dynamic::from));
    }

    fn orders(&mut self) {
        for (side, limit, market) in
            [(Side::Buy, "buy", "market_buy"), (Side::Sell, "sell", "market_sell")]
        {
            wish!(self, limit, |host, qty, price| {
                let (qty, price) = (float(&qty, "qty")?, float(&price, "price")?);
                host.place(side, qty, Some(price), &OrderOptions::default()).map(Dynamic::from)
            });
            wish!(self, limit, |host, qty, price, options| {
                let (qty, price) = (float(&qty, "qty")?, float(&price, "price")?);
                host.place(side, qty, Some(price), &order_options(&options)?).map(Dynamic::from)
            });
            wish!(self, market, |host, qty| {
                let options = OrderOptions::default();
                host.place(side, float(&qty, "qty")?, None, &options).map(Dynamic::from)
            });
            wish!(self, market, |host, qty, options| {
                let options = order_options(&options)?;
                host.place(side, float(&qty, "qty")?, None, &options).map(Dynamic::from)
            });
        }
        wish!(self, "replace", |host, id, price, qty| {
            host.replace(float(&id, "id")?, float(&price, "price")?, float(&qty, "qty")?)?;
            Ok(Dynamic::UNIT)
        });
        wish!(self, "cancel", |host, id| {
            host.cancel(float(&id, "id")?)?;
            Ok(Dynamic::UNIT)
        });
        wish!(self, "cancel_all", |host| {
            host.cancel_all(None)?;
            Ok(Dynamic::UNIT)
        });
        wish!(self, "cancel_all", |host, i| {
            host.cancel_all(optional(&i, "instrument")?)?;
            Ok(Dynamic::UNIT)
        });
        self.of_instrument("n_open_orders", |host, i| host.n_open_orders(i).map(Dynamic::from));
        self.of_instrument("open_orders", |host, i| {
            let ids = host.open_orders(i)?;
            Ok(ids.into_iter().map(Dynamic::from).collect::<Array>().into())
        });
        define!(self, "order_status", |host, id| {
            let status = host.order_status(float(&id, "id")?)?;
            Ok(status.map_or(Dynamic::UNIT, Dynamic::from))
        });
        define!(self, "order_pending", |host, id| {
            host.order_pending(float(&id, "id")?).map(Dynamic::from)
        });
        define!(self, "order_price", |host, id| host.order_price(float(&id, "id")?).map(maybe));
        define!(self, "order_qty", |host, id| host.order_qty(float(&id, "id")?).map(maybe));
        define!(self, "order_filled", |host, id| host.order_filled(float(&id, "id")?).map(maybe));
        define!(self, "order_side", |host, id| host.order_side(float(&id, "id")?).map(maybe));
    }

    fn time(&mut self) {
        define!(self, "now", |host| host.now().map(Dynamic::from));
        wish!(self, "set_timer", |host, name, ms| {
            host.set_timer(&text(&name, "name")?, float(&ms, "ms")?, false)?;
            Ok(Dynamic::UNIT)
        });
        wish!(self, "set_timer", |host, name, ms, repeat| {
            let again = repeat.as_bool();
            let again = again.map_err(|kind| HostError::wrong(format!("repeat is a {kind}")))?;
            host.set_timer(&text(&name, "name")?, float(&ms, "ms")?, again)?;
            Ok(Dynamic::UNIT)
        });
        wish!(self, "cancel_timer", |host, name| {
            host.cancel_timer(&text(&name, "name")?)?;
            Ok(Dynamic::UNIT)
        });
        define!(self, "random", |host| Ok(host.random().into()));
    }

    fn keeping(&mut self) {
        wish!(self, "remember", |host, key, value| {
            host.remember(&text(&key, "key")?, &tree_of(&value)?)?;
            Ok(Dynamic::UNIT)
        });
        define!(self, "recall", |host, key| {
            Ok(match host.recall(&text(&key, "key")?)? {
                Kept::Nil => Dynamic::UNIT,
                value => value_of(&tree_of_kept(&value)),
            })
        });
        self.log();
        wish!(self, "plot", |host, series, value| {
            host.plot(&text(&series, "series")?, float(&value, "value")?)?;
            Ok(Dynamic::UNIT)
        });
        wish!(self, "mark", |host, label, price| {
            host.mark(&text(&label, "label")?, float(&price, "price")?)?;
            Ok(Dynamic::UNIT)
        });
    }

    /// Defines `log`. Typed, because the logarithm has the same name.
    fn log(&mut self) {
        let host = Rc::clone(self.host);
        if self.host.borrow().notes_lines() {
            let log = move |context: NativeCallContext<'_>, text: ImmutableString| -> Answer {
                let n_before = host.borrow().n_intents();
                let result = host.borrow_mut().log(&text);
                note(&context, &host, n_before);
                result.map(|()| Dynamic::UNIT).map_err(|error| raise(&context, &host, error))
            };
            self.engine.register_fn("log", log);
        } else {
            let log = move |context: NativeCallContext<'_>, text: ImmutableString| -> Answer {
                let result = host.borrow_mut().log(&text);
                result.map(|()| Dynamic::UNIT).map_err(|error| raise(&context, &host, error))
            };
            self.engine.register_fn("log", log);
        }
    }

    fn indicators(&mut self) {
        for spec in tercel_indicators::CATALOG {
            let name = spec.name;
            define!(self, name, |host| host.make_indicator(name, &[]).map(Dynamic::from));
            define!(self, name, |host, a| {
                host.make_indicator(name, &[float(&a, name)?]).map(Dynamic::from)
            });
            define!(self, name, |host, a, b| {
                let given = [float(&a, name)?, float(&b, name)?];
                host.make_indicator(name, &given).map(Dynamic::from)
            });
            define!(self, name, |host, a, b, c| {
                let given = [float(&a, name)?, float(&b, name)?, float(&c, name)?];
                host.make_indicator(name, &given).map(Dynamic::from)
            });
        }
        define!(self, "update", |host, indicator, value| {
            host.update(float(&indicator, "indicator")?, float(&value, "value")?).map(maybe)
        });
        define!(self, "update_bar", |host, indicator, open, high, low, close, volume| {
            let bar = bar(&[open, high, low, close, volume])?;
            host.update_bar(float(&indicator, "indicator")?, bar, None).map(maybe)
        });
        define!(self, "update_bar", |host, indicator, open, high, low, close, volume, time| {
            let bar = bar(&[open, high, low, close, volume])?;
            let time = optional(&time, "time")?;
            host.update_bar(float(&indicator, "indicator")?, bar, time).map(maybe)
        });
        define!(self, "bind", |host, indicator| {
            host.bind(float(&indicator, "indicator")?, None, None).map(Dynamic::from)
        });
        define!(self, "bind", |host, indicator, label| {
            let label = text(&label, "label")?;
            host.bind(float(&indicator, "indicator")?, Some(&label), None).map(Dynamic::from)
        });
        define!(self, "bind", |host, indicator, label, series| {
            let label = text(&label, "label")?;
            let series = optional(&series, "series")?;
            host.bind(float(&indicator, "indicator")?, Some(&label), series).map(Dynamic::from)
        });
        define!(self, "output", |host, indicator, name| {
            host.output(float(&indicator, "indicator")?, &text(&name, "name")?).map(maybe)
        });
    }

    /// Takes the place of a function of the core library that scripts do not get. Typed, because
    /// the library's own is, and an exact match goes first.
    fn refused(&mut self) {
        let refuse = || -> Answer { Err("sleep is not allowed".into()) };
        self.engine.register_fn("sleep", move |_: rhai::INT| refuse());
        self.engine.register_fn("sleep", move |_: rhai::FLOAT| refuse());
    }
}

fn bar(numbers: &[Dynamic; 5]) -> HostResult<[f64; 5]> {
    let mut bar = [0.0; 5];
    for (place, number) in bar.iter_mut().zip(numbers) {
        *place = float(number, "a bar's number")?;
    }
    Ok(bar)
}

fn text(value: &Dynamic, what: &str) -> HostResult<ImmutableString> {
    value
        .clone()
        .into_immutable_string()
        .map_err(|kind| HostError::wrong(format!("{what} must be text, got {kind}")))
}

fn order_options(value: &Dynamic) -> HostResult<OrderOptions> {
    if let Ok(words) = value.as_immutable_string_ref() {
        return OrderOptions::from_words(&words);
    }
    OrderOptions::from_tree(&tree_of(value)?)
}

/// Notes the line of a call that made intents, where lines are noted.
fn note(context: &NativeCallContext<'_>, host: &SharedHost, n_before: usize) {
    let line = context.call_position().line().and_then(|line| u32::try_from(line).ok());
    let file = host.borrow().file().to_owned();
    if let Some(line) = line {
        host.borrow_mut().note_line(n_before, &file, line);
    }
}

/// Turns an error of the host into one of the script, and notes where a bound was broken.
#[cold]
fn raise(
    context: &NativeCallContext<'_>,
    host: &SharedHost,
    error: HostError,
) -> Box<EvalAltResult> {
    let place = context.call_position();
    if error.kind != FaultKind::Error
        && let Some(line) = place.line().and_then(|line| u32::try_from(line).ok())
    {
        let file = host.borrow().file().to_owned();
        host.borrow_mut().place_break(file, line);
    }
    EvalAltResult::ErrorRuntime(error.message.into(), place).into()
}
