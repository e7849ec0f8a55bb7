//! Bytes of effects, from the engine's own type and from the recorded one alike.

use tercel_core::{
    Effect, FaultKind, Notice, OrderKind, OrderRequest, OrderSpec, ReportRefusal, RiskReject, Side,
    StaleCause, StateCause, StrategyFault, TimeInForce, Timer, TradingState, Value,
};

use super::wire::{Input, Malformed, Wire, put_bytes, wire_enum, wire_struct};
use crate::journal::record::RecordedEffect;

const SEND: u8 = 0;
const RESYNC: u8 = 1;
const REMEMBER: u8 = 2;
const NOTICE: u8 = 3;
const SET_TIMER: u8 = 4;
const CANCEL_TIMER: u8 = 5;

/// Appends an effect as the engine wished it.
pub(super) fn put_effect(effect: &Effect, out: &mut Vec<u8>) {
    match effect {
        Effect::Send(request) => put_tagged(SEND, &**request, out),
        Effect::Resync(instrument) => put_tagged(RESYNC, instrument, out),
        Effect::Remember { strategy, key, value } => {
            put_tagged(REMEMBER, strategy, out);
            put_bytes(key.as_bytes(), out);
            value.put(out);
        }
        Effect::Notice(notice) => put_tagged(NOTICE, notice, out),
        Effect::SetTimer { strategy, timer } => {
            put_tagged(SET_TIMER, strategy, out);
            timer.put(out);
        }
        Effect::CancelTimer { strategy, name } => {
            put_tagged(CANCEL_TIMER, strategy, out);
            name.put(out);
        }
    }
}

fn put_tagged(tag: u8, value: &impl Wire, out: &mut Vec<u8>) {
    out.push(tag);
    value.put(out);
}

// Names, order and tags as in `put_effect`.
wire_enum!(RecordedEffect {
    0 => Send(request),
    1 => Resync(instrument),
    2 => Remember { strategy, key, value },
    3 => Notice(notice),
    4 => SetTimer { strategy, timer },
    5 => CancelTimer { strategy, name },
});

wire_struct!(Timer { name, at, every_ns });

wire_enum!(OrderRequest {
    0 => New { id, account, strategy, spec },
    1 => Replace { id, account, instrument, price, qty },
    2 => Cancel { id, account, instrument },
});

wire_struct!(OrderSpec { instrument, side, kind, qty, tif, post_only, reduce_only });

wire_enum!(OrderKind {
    0 => Market,
    1 => Limit { price },
    2 => Stop { trigger },
    3 => StopLimit { trigger, price },
});

wire_enum!(TimeInForce { 0 => Gtc, 1 => Ioc, 2 => Fok, 3 => Gtd(until) });

wire_enum!(Side { 0 => Buy, 1 => Sell });

wire_enum!(Value { 0 => Nil, 1 => Bool(yes), 2 => Integer(number), 3 => Float(bits), 4 => Text(text) });

wire_enum!(Notice {
    0 => Log { strategy, text },
    1 => NamePlot { strategy, plot, name },
    2 => Draw { strategy, plot, value_bits },
    3 => Mark { strategy, label, price_bits },
    4 => RiskReject { strategy, order, reason },
    5 => Fault { strategy, fault },
    6 => BookStale { instrument, cause },
    7 => State { scope, state, cause },
    8 => ReportRefused { order, cause },
    9 => Funding { instrument, rate_e12, mark },
    10 => PositionDiffers { account, instrument, was, is, entry, at },
    11 => PositionTaken { strategy, account, instrument, qty, at },
    12 => LossMarks { scope, pnl_open, pnl_max },
});

wire_struct!(StrategyFault { kind, message, file, line });

wire_enum!(FaultKind {
    0 => Error,
    1 => Fuel,
    2 => Memory,
    3 => Depth,
    4 => Intents,
    5 => Quota,
});

wire_enum!(StaleCause { 0 => Gap { have, needed }, 1 => Crossed, 2 => Link });

wire_enum!(TradingState { 0 => Active, 1 => Reducing, 2 => Halted });

wire_enum!(StateCause { 0 => Command, 1 => DailyLoss, 2 => Drawdown, 3 => Overfill { excess } });

wire_enum!(ReportRefusal {
    0 => UnknownOrder,
    1 => DuplicateFill,
    2 => AfterEnd,
    3 => Stale,
    4 => Overfill,
    5 => Malformed,
});

wire_enum!(RiskReject {
    0 => NonPositiveQuantity { qty },
    1 => MinQuantity { qty, min },
    2 => MaxQuantity { qty, max },
    3 => MinNotional { notional, min },
    4 => NonPositivePrice { price },
    5 => Precision,
    6 => Overflow,
    7 => UnknownInstrument,
    8 => UnknownOrder,
    9 => NotReplaceable,
    10 => TableFull { capacity },
    11 => Halted { scope },
    12 => Reducing { scope },
    13 => WouldIncrease { position, order },
    14 => StaleBook,
    15 => NoReference,
    16 => PriceBand { price, reference, limit_bps },
    17 => PriceCollar { scope, price, reference, limit_bps },
    18 => OrderQuantity { scope, qty, limit },
    19 => OrderNotional { scope, notional, limit },
    20 => Position { scope, worst, limit },
    21 => GrossExposure { scope, exposure, limit },
    22 => OpenOrders { scope, limit },
    23 => OrdersPerSecond { scope, limit },
    24 => OrdersPerDay { scope, limit },
    25 => CancelRatio { scope, per_100, limit },
    26 => Cooldown { scope, left_ns },
    27 => TradesPerDay { scope, limit },
    28 => SelfCross { price, resting },
    29 => InsufficientBalance { needed, free },
});
