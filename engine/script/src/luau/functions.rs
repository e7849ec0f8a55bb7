//! The host's functions as Luau's globals: one line for each of the API table.

use std::rc::Rc;

use mlua::{BorrowedStr, FromLuaMulti, IntoLua, IntoLuaMulti, Lua, Value, Variadic};
use tercel_core::{Side, Value as Kept};

use super::convert::{tree_of, value_of};
use super::{fault, raise};
use crate::api;
use crate::host::{BarField, Host, HostResult, OrderOptions, SharedHost, tree_of_kept};
use crate::manifest::ParamValue;
use crate::number;

/// Defines the `n`th part of the constants and functions of the API table. Returns whether there are
/// more.
pub(super) fn install(lua: &Lua, host: &SharedHost, n: usize) -> mlua::Result<bool> {
    let functions = Functions { lua, host };
    match n {
        0 => {
            lua.globals().raw_set("BUY", api::BUY)?;
            lua.globals().raw_set("SELL", api::SELL)?;
            functions.declaration()?;
            functions.market()?;
        }
        1 => {
            functions.bars()?;
            functions.account()?;
            functions.orders()?;
        }
        _ => {
            functions.time()?;
            functions.keeping()?;
            functions.indicators()?;
        }
    }
    Ok(n < 2)
}

type Instrument = Option<f64>;
type Series = Option<f64>;

struct Functions<'a> {
    lua: &'a Lua,
    host: &'a SharedHost,
}

impl Functions<'_> {
    /// Defines a function that only reads.
    fn read<A, R>(
        &self,
        name: &str,
        f: impl Fn(&Host, A) -> HostResult<R> + 'static,
    ) -> mlua::Result<()>
    where
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        let host = Rc::clone(self.host);
        let function = self.lua.create_function(move |lua, arguments: A| {
            let result = f(&host.borrow(), arguments);
            result.map_err(|error| raise(lua, &host, error))
        })?;
        self.lua.globals().raw_set(name, function)
    }

    /// Defines a function that changes the host.
    fn act<A, R>(
        &self,
        name: &str,
        f: impl Fn(&mut Host, A) -> HostResult<R> + 'static,
    ) -> mlua::Result<()>
    where
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        let host = Rc::clone(self.host);
        let function = self.lua.create_function(move |lua, arguments: A| {
            let result = f(&mut host.borrow_mut(), arguments);
            result.map_err(|error| raise(lua, &host, error))
        })?;
        self.lua.globals().raw_set(name, function)
    }

    /// Defines a function that makes intents. Only where lines are noted does it look for its own.
    fn wish<A, R>(
        &self,
        name: &str,
        f: impl Fn(&mut Host, A) -> HostResult<R> + 'static,
    ) -> mlua::Result<()>
    where
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        if !self.host.borrow().notes_lines() {
            return self.act(name, f);
        }
        let host = Rc::clone(self.host);
        let function = self.lua.create_function(move |lua, arguments: A| {
            let n_before = host.borrow().n_intents();
            let result = f(&mut host.borrow_mut(), arguments);
            if let Some((file, line)) = fault::place(lua) {
                host.borrow_mut().note_line(n_before, &file, line);
            }
            result.map_err(|error| raise(lua, &host, error))
        })?;
        self.lua.globals().raw_set(name, function)
    }

    /// Defines a function whose result is made by the machine.
    fn make<A, R>(
        &self,
        name: &str,
        f: impl Fn(&Lua, &Host, A) -> mlua::Result<HostResult<R>> + 'static,
    ) -> mlua::Result<()>
    where
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        let host = Rc::clone(self.host);
        let function = self.lua.create_function(move |lua, arguments: A| {
            let result = f(lua, &host.borrow(), arguments)?;
            result.map_err(|error| raise(lua, &host, error))
        })?;
        self.lua.globals().raw_set(name, function)
    }

    fn declaration(&self) -> mlua::Result<()> {
        self.act("strategy", |host, table: Value| host.declare(&tree_of(&table)?))?;
        self.make("param", |lua, host, name: BorrowedStr| {
            let value = match host.param(&name) {
                Ok(value) => value,
                Err(error) => return Ok(Err(error)),
            };
            Ok(Ok(match value {
                ParamValue::Integer(value) => Value::Number(number::float(*value)),
                ParamValue::Number(value) => Value::Number(*value),
                ParamValue::Boolean(value) => Value::Boolean(*value),
                ParamValue::Text(value) => value.as_str().into_lua(lua)?,
            }))
        })
    }

    fn market(&self) -> mlua::Result<()> {
        self.read("instrument", |host, symbol: BorrowedStr| host.instrument(&symbol))?;
        self.read("instruments", |host, ()| host.n_instruments())?;
        self.read("current", |host, ()| host.current_instrument())?;
        self.make("symbol", |lua, host, i: Instrument| text(lua, host.symbol(i)))?;
        self.read("bid", |host, i: Instrument| host.best_price(Side::Buy, i))?;
        self.read("ask", |host, i: Instrument| host.best_price(Side::Sell, i))?;
        self.read("bid_qty", |host, i: Instrument| host.best_qty(Side::Buy, i))?;
        self.read("ask_qty", |host, i: Instrument| host.best_qty(Side::Sell, i))?;
        self.read("mid", |host, i: Instrument| host.mid(i))?;
        self.read("spread", |host, i: Instrument| host.spread(i))?;
        self.read("microprice", |host, i: Instrument| host.microprice(i))?;
        self.read("imbalance", |host, (n, i): (Option<f64>, Instrument)| host.imbalance(n, i))?;
        self.read("level_price", |host, (side, n, i): (f64, f64, Instrument)| {
            host.level_price(side, n, i)
        })?;
        self.read("level_qty", |host, (side, n, i): (f64, f64, Instrument)| {
            host.level_qty(side, n, i)
        })?;
        self.read("depth_qty", |host, (side, n, i): (f64, f64, Instrument)| {
            host.depth_qty(side, n, i)
        })?;
        self.read("last_price", |host, i: Instrument| host.last_price(i))?;
        self.read("mark_price", |host, i: Instrument| host.mark_price(i))?;
        self.read("is_live", |host, i: Instrument| host.is_live(i))?;
        self.read("tick", |host, i: Instrument| host.tick(i))?;
        self.read("lot", |host, i: Instrument| host.lot(i))?;
        self.read("min_qty", |host, i: Instrument| host.min_qty(i))?;
        self.read("round_price", |host, (price, way, i): (f64, BorrowedStr, Instrument)| {
            host.round_price(price, &way, i)
        })?;
        self.read("round_qty", |host, (qty, way, i): (f64, BorrowedStr, Instrument)| {
            host.round_qty(qty, &way, i)
        })
    }

    fn bars(&self) -> mlua::Result<()> {
        let fields =
            [BarField::Open, BarField::High, BarField::Low, BarField::Close, BarField::Volume];
        for field in fields {
            self.read(field.function(), move |host, (back, series): (f64, Series)| {
                host.bar_field(field, back, series)
            })?;
        }
        self.read("bar_time", |host, (back, series): (f64, Series)| host.bar_time(back, series))?;
        self.read("bar_count", |host, series: Series| host.bar_count(series))?;
        self.read("bar_series", |host, ()| host.bar_series())?;
        self.make("bar_length", |lua, host, series: Series| text(lua, host.bar_length(series)))
    }

    fn account(&self) -> mlua::Result<()> {
        self.read("position", |host, i: Instrument| host.position(i))?;
        self.read("avg_price", |host, i: Instrument| host.avg_price(i))?;
        self.read("pnl", |host, ()| host.pnl())?;
        self.read("balance", |host, asset: BorrowedStr| host.balance(&asset))?;
        self.read("free_balance", |host, asset: BorrowedStr| host.free_balance(&asset))?;
        self.read("equity", |host, ()| host.equity())
    }

    fn orders(&self) -> mlua::Result<()> {
        for (side, limit, market) in
            [(Side::Buy, "buy", "market_buy"), (Side::Sell, "sell", "market_sell")]
        {
            self.wish(limit, move |host, (qty, price, options): (f64, f64, Value)| {
                host.place(side, qty, Some(price), &order_options(&options)?)
            })?;
            self.wish(market, move |host, (qty, options): (f64, Value)| {
                host.place(side, qty, None, &order_options(&options)?)
            })?;
        }
        self.wish("replace", |host, (id, price, qty): (f64, f64, f64)| {
            host.replace(id, price, qty)
        })?;
        self.wish("cancel", |host, id: f64| host.cancel(id))?;
        self.wish("cancel_all", |host, i: Instrument| host.cancel_all(i))?;
        self.read("n_open_orders", |host, i: Instrument| host.n_open_orders(i))?;
        self.read("open_orders", |host, i: Instrument| host.open_orders(i))?;
        self.read("order_status", |host, id: f64| host.order_status(id))?;
        self.read("order_pending", |host, id: f64| host.order_pending(id))?;
        self.read("order_price", |host, id: f64| host.order_price(id))?;
        self.read("order_qty", |host, id: f64| host.order_qty(id))?;
        self.read("order_filled", |host, id: f64| host.order_filled(id))?;
        self.read("order_side", |host, id: f64| host.order_side(id))
    }

    fn time(&self) -> mlua::Result<()> {
        self.read("now", |host, ()| host.now())?;
        self.wish("set_timer", |host, (name, ms, repeat): (BorrowedStr, f64, Option<bool>)| {
            host.set_timer(&name, ms, repeat.unwrap_or(false))
        })?;
        self.wish("cancel_timer", |host, name: BorrowedStr| host.cancel_timer(&name))?;
        self.act("random", |host, ()| Ok(host.random()))
    }

    fn keeping(&self) -> mlua::Result<()> {
        self.wish("remember", |host, (key, value): (BorrowedStr, Value)| {
            host.remember(&key, &tree_of(&value)?)
        })?;
        self.make("recall", |lua, host, key: BorrowedStr| match host.recall(&key) {
            Ok(Kept::Nil) => Ok(Ok(Value::Nil)),
            Ok(value) => Ok(Ok(value_of(lua, &tree_of_kept(&value))?)),
            Err(error) => Ok(Err(error)),
        })?;
        self.wish("log", |host, text: BorrowedStr| host.log(&text))?;
        self.wish("plot", |host, (series, value): (BorrowedStr, f64)| host.plot(&series, value))?;
        self.wish("mark", |host, (label, price): (BorrowedStr, f64)| host.mark(&label, price))
    }

    fn indicators(&self) -> mlua::Result<()> {
        for spec in tercel_indicators::CATALOG {
            self.act(spec.name, |host, parameters: Variadic<f64>| {
                host.make_indicator(spec.name, &parameters)
            })?;
        }
        self.act("update", |host, (indicator, value): (f64, f64)| host.update(indicator, value))?;
        self.act("update_bar", |host, arguments: (f64, f64, f64, f64, f64, f64, Option<f64>)| {
            let (indicator, open, high, low, close, volume, time) = arguments;
            host.update_bar(indicator, [open, high, low, close, volume], time)
        })?;
        self.act("bind", |host, arguments: (f64, Option<BorrowedStr>, Option<f64>)| {
            let (indicator, label, series) = arguments;
            host.bind(indicator, label.as_deref(), series)
        })?;
        self.act("output", |host, (indicator, name): (f64, BorrowedStr)| {
            host.output(indicator, &name)
        })
    }
}

fn text(lua: &Lua, text: HostResult<&str>) -> mlua::Result<HostResult<mlua::LuaString>> {
    match text {
        Ok(text) => lua.create_string(text).map(Ok),
        Err(error) => Ok(Err(error)),
    }
}

fn order_options(value: &Value) -> HostResult<OrderOptions> {
    match value {
        Value::Nil => Ok(OrderOptions::default()),
        value => OrderOptions::from_tree(&tree_of(value)?),
    }
}
