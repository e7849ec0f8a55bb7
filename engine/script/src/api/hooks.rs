//! The functions that a script may define.

use std::borrow::Cow;

use super::item::{Group, Item, Kind, Param, Type};

const fn hook(name: &'static str, params: &'static [Param], doc: &'static str) -> Item {
    Item {
        name,
        kind: Kind::Hook,
        group: Group::Hooks,
        params: Cow::Borrowed(params),
        returns: Type::Nothing,
        doc: Cow::Borrowed(doc),
    }
}

pub(super) const HOOKS: &[Item] = &[
    hook("on_init", &[], "Called once, before everything else."),
    hook(
        "on_book",
        &[
            Param::new("bid", Type::Number),
            Param::new("bid_qty", Type::Number),
            Param::new("ask", Type::Number),
            Param::new("ask_qty", Type::Number),
        ],
        "Called when the book or its best quote has changed and can be traded on. A side that is \
         empty comes as NaN with quantity 0 (Luau: bid ~= bid; Rhai: bid.is_nan()).",
    ),
    hook(
        "on_trade",
        &[
            Param::new("price", Type::Number),
            Param::new("qty", Type::Number),
            Param::new("side", Type::Number),
            Param::new("time", Type::Number),
        ],
        "Called for each printed trade. The side is the taker's: BUY, SELL, or 0 where the venue \
         does not say; the time is the venue's.",
    ),
    hook(
        "on_bar",
        &[
            Param::new("open", Type::Number),
            Param::new("high", Type::Number),
            Param::new("low", Type::Number),
            Param::new("close", Type::Number),
            Param::new("volume", Type::Number),
            Param::new("time", Type::Number),
        ],
        "Called when a bar of a declared series has closed. The time is when the bar opened; \
         bar_series() tells which series it is. The values of bound indicators follow the time.",
    ),
    hook(
        "on_order",
        &[
            Param::new("id", Type::Number),
            Param::new("status", Type::Text),
            Param::new("reason", Type::Text),
        ],
        "Called when one of the strategy's orders changed without a fill. The status is accepted, \
         replaced, canceled, expired, triggered, unknown (sent, outcome not known), refused (by \
         risk, never sent), rejected (by the venue), cancel_rejected or replace_rejected (the order \
         is as it was). The reason says why, where there is one.",
    ),
    hook(
        "on_fill",
        &[
            Param::new("id", Type::Number),
            Param::new("side", Type::Number),
            Param::new("price", Type::Number),
            Param::new("qty", Type::Number),
            Param::new("fee", Type::Number),
            Param::new("role", Type::Text),
        ],
        "Called when one of the strategy's orders traded; position() includes it already. A \
         negative fee is a rebate; the role is maker or taker.",
    ),
    hook("on_timer", &[Param::new("name", Type::Text)], "Called when a timer fires."),
    hook(
        "on_signal",
        &[Param::new("name", Type::Text), Param::new("text", Type::Text)],
        "Called for a message from outside, such as a webhook.",
    ),
    hook(
        "on_reload",
        &[Param::new("old_state", Type::Memory)],
        "Called instead of on_init when the script replaces a running version of itself. Gets what \
         the old version remembered; without this hook, on_init is called.",
    ),
    hook("on_stop", &[], "Called once, last. What it asks for still counts."),
];
