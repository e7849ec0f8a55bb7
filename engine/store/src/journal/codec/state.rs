//! Bytes of a whole engine's state.

use tercel_core::{
    AccountImage, Balance, Bar, BarSpec, BookImage, BookState, ClosedBar, Closing, Day, Exposure,
    InstrumentKind, InstrumentSpec, Interest, Level, MarketImage, Order, OrderImage, OrderState,
    OrdersImage, Pending, Position, Quote, Replacement, ScopeImage, SeriesImage, StateImage,
    StrategyImage, Trade,
};

use super::wire::{Input, Malformed, Wire, wire_enum, wire_struct};

wire_struct!(StateImage {
    assets,
    instruments,
    markets,
    series,
    orders,
    accounts,
    strategies,
    scope,
    next_order_id,
    closing,
});

wire_struct!(Closing { at, pause_ns });

wire_struct!(InstrumentSpec {
    symbol,
    venue,
    kind,
    base,
    quote,
    tick,
    lot,
    multiplier,
    min_quantity,
    max_quantity,
    min_notional,
    price_band_bps,
    maker_fee,
    taker_fee,
});

wire_enum!(InstrumentKind { 0 => Spot, 1 => LinearPerpetual, 2 => InversePerpetual });

wire_struct!(MarketImage {
    book,
    quote,
    last_trade,
    mark,
    price_before,
    has_book,
    has_bars,
    listeners,
});

wire_struct!(BookImage { seq, state, bids, asks });

wire_enum!(BookState { 0 => Empty, 1 => Open, 2 => Live, 3 => Stale(cause) });

wire_struct!(Level { price, qty });

wire_struct!(Quote { bid, ask, seq });

wire_struct!(Trade { aggressor, price, qty, id, at });

wire_struct!(Interest { book, level, trade });

wire_struct!(SeriesImage { instrument, spec, capacity, n_closed, history, open });

wire_enum!(BarSpec {
    0 => Time { interval_ms },
    1 => Tick { trades },
    2 => Volume { lots },
});

wire_struct!(ClosedBar { open_at, close_at, bar });

wire_struct!(Bar { open, high, low, close, volume });

wire_struct!(OrdersImage { capacity, working, ended });

wire_struct!(OrderImage { order, trade_ids });

wire_struct!(Order {
    id,
    account,
    strategy,
    spec,
    state,
    pending,
    acknowledged,
    triggered,
    qty_max,
    filled,
    filled_tick_lots,
    venue_order_id,
    created_at,
    reference_px,
});

wire_enum!(OrderState {
    0 => PendingNew,
    1 => Open,
    2 => Unknown,
    3 => Filled,
    4 => Canceled,
    5 => Rejected,
    6 => Expired,
});

wire_struct!(Pending { cancel, replace });

wire_struct!(Replacement { price, qty });

wire_struct!(AccountImage { name, balances, check_balance, leverage, scope });

wire_struct!(Balance { total, locked });

wire_struct!(StrategyImage {
    name,
    account,
    instruments,
    series,
    timers,
    memory,
    is_running,
    scope,
});

wire_struct!(ScopeImage {
    state,
    keeps_orders,
    flattens,
    limits,
    positions,
    exposures,
    gross,
    open_orders,
    today,
    last_fill_at,
    pnl_max,
    net_realised,
    recent,
});

wire_struct!(Position { qty, cost, realised, fees, funding, turnover, n_fills });

wire_struct!(Exposure { open_buys, open_sells, worst });

wire_struct!(Day { number, orders, cancels, fills, pnl_open });
