//! The functions and constants that the host offers.

use std::borrow::Cow;

use super::item::{Group, Item, Kind, Param, Type};

const INSTRUMENT: Param = Param::optional("instrument", Type::Number);
const SERIES: Param = Param::optional("series", Type::Number);
const ID: Param = Param::new("id", Type::Number);
const QTY: Param = Param::new("qty", Type::Number);
const PRICE: Param = Param::new("price", Type::Number);
const OPTIONS: Param = Param::optional("options", Type::Options);
const NAME: Param = Param::new("name", Type::Text);
const SIDE: Param = Param::new("side", Type::Number);
const BACK: Param = Param::new("back", Type::Number);
const DIRECTION: Param = Param::new("direction", Type::Text);

const fn function(
    group: Group,
    name: &'static str,
    params: &'static [Param],
    returns: Type,
    doc: &'static str,
) -> Item {
    Item {
        name,
        kind: Kind::Function,
        group,
        params: Cow::Borrowed(params),
        returns,
        doc: Cow::Borrowed(doc),
    }
}

const fn constant(group: Group, name: &'static str, doc: &'static str) -> Item {
    Item {
        name,
        kind: Kind::Constant,
        group,
        params: Cow::Borrowed(&[]),
        returns: Type::Number,
        doc: Cow::Borrowed(doc),
    }
}

pub(super) const FUNCTIONS: &[Item] = &[
    function(
        Group::Declaration,
        "strategy",
        &[Param::new("declaration", Type::Declaration)],
        Type::Nothing,
        "Declares the strategy: name, doc, instruments, depth, bars, history, timers, params. \
         Called once, at the top of the script.",
    ),
    function(
        Group::Declaration,
        "param",
        &[NAME],
        Type::ParamValue,
        "Returns the value of a declared parameter. Look it up once, at the top of the script.",
    ),
    constant(Group::Market, "BUY", "The side of a buyer and of bids: 1."),
    constant(Group::Market, "SELL", "The side of a seller and of asks: -1."),
    function(
        Group::Market,
        "instrument",
        &[Param::new("symbol", Type::Text)],
        Type::Number,
        "Returns the handle of one of the strategy's instruments, for the optional last argument of \
         other functions. Without that argument they mean the instrument of the event.",
    ),
    function(
        Group::Market,
        "instruments",
        &[],
        Type::Number,
        "Returns how many instruments the strategy has. Their handles count from 0.",
    ),
    function(
        Group::Market,
        "current",
        &[],
        Type::Number,
        "Returns the handle of the event's instrument.",
    ),
    function(
        Group::Market,
        "symbol",
        &[INSTRUMENT],
        Type::Text,
        "Returns the instrument's symbol.",
    ),
    function(Group::Market, "bid", &[INSTRUMENT], Type::MaybeNumber, "Returns the best bid."),
    function(Group::Market, "ask", &[INSTRUMENT], Type::MaybeNumber, "Returns the best ask."),
    function(
        Group::Market,
        "bid_qty",
        &[INSTRUMENT],
        Type::Number,
        "Returns the quantity at the best bid, 0 for none.",
    ),
    function(
        Group::Market,
        "ask_qty",
        &[INSTRUMENT],
        Type::Number,
        "Returns the quantity at the best ask, 0 for none.",
    ),
    function(
        Group::Market,
        "mid",
        &[INSTRUMENT],
        Type::MaybeNumber,
        "Returns the middle of best bid and best ask.",
    ),
    function(
        Group::Market,
        "spread",
        &[INSTRUMENT],
        Type::MaybeNumber,
        "Returns the best ask less the best bid.",
    ),
    function(
        Group::Market,
        "microprice",
        &[INSTRUMENT],
        Type::MaybeNumber,
        "Returns best bid and best ask weighted by the opposite quantities: it leans towards the \
         thinner side.",
    ),
    function(
        Group::Market,
        "imbalance",
        &[Param::optional("levels", Type::Number), INSTRUMENT],
        Type::Number,
        "Returns (bids - asks) / (bids + asks) of the quantities on the best levels (1 unless \
         given): 1 is all bids, -1 all asks, 0 an empty book.",
    ),
    function(
        Group::Market,
        "level_price",
        &[SIDE, Param::new("n", Type::Number), INSTRUMENT],
        Type::MaybeNumber,
        "Returns the price of the nth best level of a side; 1 is the best.",
    ),
    function(
        Group::Market,
        "level_qty",
        &[SIDE, Param::new("n", Type::Number), INSTRUMENT],
        Type::MaybeNumber,
        "Returns the quantity of the nth best level of a side; 1 is the best.",
    ),
    function(
        Group::Market,
        "depth_qty",
        &[SIDE, Param::new("levels", Type::Number), INSTRUMENT],
        Type::Number,
        "Returns the quantity of a side's best levels together.",
    ),
    function(
        Group::Market,
        "last_price",
        &[INSTRUMENT],
        Type::MaybeNumber,
        "Returns the price of the last trade.",
    ),
    function(
        Group::Market,
        "mark_price",
        &[INSTRUMENT],
        Type::MaybeNumber,
        "Returns the mark price; where there are bars only, the last close.",
    ),
    function(
        Group::Market,
        "is_live",
        &[INSTRUMENT],
        Type::Boolean,
        "Returns whether the market can be traded on: its data is complete and current.",
    ),
    function(
        Group::Market,
        "tick",
        &[INSTRUMENT],
        Type::Number,
        "Returns the smallest step of a price.",
    ),
    function(
        Group::Market,
        "lot",
        &[INSTRUMENT],
        Type::Number,
        "Returns the smallest step of a quantity.",
    ),
    function(
        Group::Market,
        "min_qty",
        &[INSTRUMENT],
        Type::Number,
        "Returns the smallest quantity of an order.",
    ),
    function(
        Group::Market,
        "round_price",
        &[PRICE, DIRECTION, INSTRUMENT],
        Type::Number,
        "Returns the price moved to a tick; the direction is down, up or near.",
    ),
    function(
        Group::Market,
        "round_qty",
        &[QTY, DIRECTION, INSTRUMENT],
        Type::Number,
        "Returns the quantity moved to a lot; the direction is down, up or near.",
    ),
    function(
        Group::Bars,
        "bar_open",
        &[BACK, SERIES],
        Type::MaybeNumber,
        "Returns the first price of the bar so many bars back; 0 is the last closed bar. The series \
         is the event's unless given.",
    ),
    function(
        Group::Bars,
        "bar_high",
        &[BACK, SERIES],
        Type::MaybeNumber,
        "Returns the highest price of a bar.",
    ),
    function(
        Group::Bars,
        "bar_low",
        &[BACK, SERIES],
        Type::MaybeNumber,
        "Returns the lowest price of a bar.",
    ),
    function(
        Group::Bars,
        "bar_close",
        &[BACK, SERIES],
        Type::MaybeNumber,
        "Returns the last price of a bar.",
    ),
    function(
        Group::Bars,
        "bar_volume",
        &[BACK, SERIES],
        Type::MaybeNumber,
        "Returns the quantity traded in a bar.",
    ),
    function(
        Group::Bars,
        "bar_time",
        &[BACK, SERIES],
        Type::MaybeNumber,
        "Returns when a bar opened.",
    ),
    function(
        Group::Bars,
        "bar_count",
        &[SERIES],
        Type::Number,
        "Returns how many closed bars are kept, at most the declared history.",
    ),
    function(
        Group::Bars,
        "bar_series",
        &[],
        Type::Number,
        "Returns the series of the event, counted from 0 in the order of declaration; a length \
         without an instrument is one series for each instrument.",
    ),
    function(
        Group::Bars,
        "bar_length",
        &[SERIES],
        Type::Text,
        "Returns the length of a series' bars, such as 1m.",
    ),
    function(
        Group::Account,
        "position",
        &[INSTRUMENT],
        Type::Number,
        "Returns the strategy's own net quantity, negative when short.",
    ),
    function(
        Group::Account,
        "avg_price",
        &[INSTRUMENT],
        Type::MaybeNumber,
        "Returns the average entry price of the position, nothing when flat.",
    ),
    function(
        Group::Account,
        "pnl",
        &[],
        Type::Number,
        "Returns the strategy's profit since its start in quote, realised and unrealised, after fees.",
    ),
    function(
        Group::Account,
        "balance",
        &[Param::new("asset", Type::Text)],
        Type::Number,
        "Returns what the account holds of an asset.",
    ),
    function(
        Group::Account,
        "free_balance",
        &[Param::new("asset", Type::Text)],
        Type::Number,
        "Returns what the account holds of an asset and no open order ties up.",
    ),
    function(Group::Account, "equity", &[], Type::Number, "Returns the account's equity in quote."),
    function(
        Group::Orders,
        "buy",
        &[QTY, PRICE, OPTIONS],
        Type::Number,
        "Asks for a limit order and returns its number. It works until it is filled or withdrawn, \
         unless the options say otherwise.",
    ),
    function(
        Group::Orders,
        "sell",
        &[QTY, PRICE, OPTIONS],
        Type::Number,
        "Asks for a limit order and returns its number.",
    ),
    function(
        Group::Orders,
        "market_buy",
        &[QTY, OPTIONS],
        Type::Number,
        "Asks for a market order (with the option stop: a stop order) and returns its number.",
    ),
    function(
        Group::Orders,
        "market_sell",
        &[QTY, OPTIONS],
        Type::Number,
        "Asks for a market order (with the option stop: a stop order) and returns its number.",
    ),
    function(
        Group::Orders,
        "replace",
        &[ID, PRICE, QTY],
        Type::Nothing,
        "Asks for another price and total quantity (what is filled included) of an order.",
    ),
    function(Group::Orders, "cancel", &[ID], Type::Nothing, "Withdraws an order."),
    function(
        Group::Orders,
        "cancel_all",
        &[INSTRUMENT],
        Type::Nothing,
        "Withdraws all of the strategy's orders, or those of one instrument if one is given.",
    ),
    function(
        Group::Orders,
        "n_open_orders",
        &[INSTRUMENT],
        Type::Number,
        "Returns how many of the strategy's orders of the instrument work or are on their way; \
         orders of the running call are not counted yet.",
    ),
    function(
        Group::Orders,
        "open_orders",
        &[INSTRUMENT],
        Type::Numbers,
        "Returns the numbers of the strategy's working orders of the instrument, oldest first.",
    ),
    function(
        Group::Orders,
        "order_status",
        &[ID],
        Type::MaybeText,
        "Returns pending, open, unknown, filled, canceled, rejected or expired; nothing for an order \
         that is not known (any more).",
    ),
    function(
        Group::Orders,
        "order_pending",
        &[ID],
        Type::Boolean,
        "Returns whether the venue has yet to answer the last request about the order.",
    ),
    function(
        Group::Orders,
        "order_price",
        &[ID],
        Type::MaybeNumber,
        "Returns the order's limit price.",
    ),
    function(
        Group::Orders,
        "order_qty",
        &[ID],
        Type::MaybeNumber,
        "Returns the order's total quantity.",
    ),
    function(
        Group::Orders,
        "order_filled",
        &[ID],
        Type::MaybeNumber,
        "Returns how much of the order has traded.",
    ),
    function(Group::Orders, "order_side", &[ID], Type::MaybeNumber, "Returns BUY or SELL."),
    function(
        Group::Time,
        "now",
        &[],
        Type::Number,
        "Returns the engine's time in milliseconds since 1970, the same for the whole call.",
    ),
    function(
        Group::Time,
        "set_timer",
        &[NAME, Param::new("ms", Type::Number), Param::optional("repeat", Type::Boolean)],
        Type::Nothing,
        "Sets a timer, replacing the one of the same name: on_timer(name) is called after ms \
         milliseconds, once or again and again.",
    ),
    function(Group::Time, "cancel_timer", &[NAME], Type::Nothing, "Removes a timer."),
    function(
        Group::Time,
        "random",
        &[],
        Type::Number,
        "Returns a random number from 0 up to but not including 1. A run with the same seed draws \
         the same numbers.",
    ),
    function(
        Group::Keeping,
        "remember",
        &[Param::new("key", Type::Text), Param::new("value", Type::Value)],
        Type::Nothing,
        "Keeps a value across calls, reloads and restarts. Nothing as the value forgets the key.",
    ),
    function(
        Group::Keeping,
        "recall",
        &[Param::new("key", Type::Text)],
        Type::Value,
        "Returns a remembered value.",
    ),
    function(
        Group::Keeping,
        "log",
        &[Param::new("text", Type::Text)],
        Type::Nothing,
        "Writes a line to the log.",
    ),
    function(
        Group::Keeping,
        "plot",
        &[Param::new("series", Type::Text), Param::new("value", Type::Number)],
        Type::Nothing,
        "Adds a point to a series of the report.",
    ),
    function(
        Group::Keeping,
        "mark",
        &[Param::new("label", Type::Text), PRICE],
        Type::Nothing,
        "Puts a marker into the report.",
    ),
];
