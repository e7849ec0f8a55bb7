//! Events of an account.

use tercel_core::Role;

use super::directory::{
    Directory, algo_id, algo_status, amount, at, is_conditional, order_kind, order_status, side,
};
use crate::document::{Fields, Value};
use crate::protocol::{FillNews, Holding, News, OrderNews, OrderStatus, PositionNews};

/// What an event asks of the connection that it came on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    /// Nothing: it was news, or known and of no interest.
    Done,
    /// To subscribe anew: the stream was ended.
    Ended,
    /// To get a new listen key.
    KeyExpired,
    /// Nothing: it is not known.
    Unknown,
}

/// Appends what an event says.
pub(crate) fn tell(directory: &Directory, event: Value<'_, '_>, news: &mut Vec<News>) -> Told {
    match event.text("e").unwrap_or_default() {
        "executionReport" => execution_report(directory, event, news),
        "ORDER_TRADE_UPDATE" => order_trade_update(directory, event, news),
        "ALGO_UPDATE" => algo_update(directory, event, news),
        "outboundAccountPosition" => {
            let venue_at = at(event, "u");
            news.extend(event.items("B").into_iter().filter_map(|item| {
                let total = item.decimal("f")?.checked_add(item.decimal("l")?)?;
                let asset = directory.asset(item.text("a")?)?;
                Some(News::Holding(Holding { asset, total, venue_at }))
            }));
        }
        "ACCOUNT_UPDATE" => account_update(directory, event, news),
        "MARGIN_CALL" => {
            let symbols: Vec<_> =
                event.items("p").into_iter().map(|item| item.text("s")).collect();
            let known = |symbol: Option<&str>| Some(directory.known(symbol?)?.id);
            news.extend(symbols.iter().map(|symbol| News::MarginCall(known(*symbol))));
            if symbols.is_empty() {
                news.push(News::MarginCall(None));
            }
        }
        // The execution comes again with the order's own event, and only there with its fee. As each
        // counts once, by its number, the one without would leave the fee out of the books.
        "TRADE_LITE"
        // A difference, after which the venue sends the whole.
        | "balanceUpdate"
        | "externalLockUpdate"
        // Which orders belong together. Each of them has a report of its own, which says how it stands.
        | "listStatus"
        | "ACCOUNT_CONFIG_UPDATE"
        | "STRATEGY_UPDATE"
        | "GRID_UPDATE"
        | "CONDITIONAL_ORDER_TRIGGER_REJECT" => {}
        "eventStreamTerminated" => return Told::Ended,
        "listenKeyExpired" => return Told::KeyExpired,
        _ => return Told::Unknown,
    }
    Told::Done
}

/// Spot: one event is an order's new state, an execution, or both.
fn execution_report(directory: &Directory, event: Value<'_, '_>, news: &mut Vec<News>) {
    let Some(known) = event.text("s").and_then(|symbol| directory.known(symbol)) else { return };
    // On a cancel the request's own id stands in `c` and the order's in `C`.
    let original = event.text("C").filter(|name| !name.is_empty());
    let name = original.or_else(|| event.text("c")).unwrap_or_default();
    let (Some(side), Some(kind)) = (event.text("S").and_then(side), event.text("o")) else {
        return;
    };
    let is_dormant = is_conditional(kind) && !event.truth("w").unwrap_or(false);
    let status = event.text("X").and_then(|status| order_status(status, is_dormant));
    let Some(mut status) = status else { return };
    if event.text("x") == Some("REJECTED") {
        status = OrderStatus::Rejected;
    }
    let order = OrderNews {
        key: directory.key(name),
        venue_order_id: event.short("i"),
        instrument: known.id,
        status,
        side,
        kind: order_kind(kind, known.price_of(event, "p"), known.price_of(event, "P")),
        qty: known.qty_of(event, "q"),
        filled: known.qty_of(event, "z"),
        venue_at: at(event, "T"),
    };
    if event.text("x") == Some("TRADE")
        && let Some(trade_id) = event.integer("t").and_then(|id| u64::try_from(id).ok())
        && let Some(price) = known.price_of(event, "L")
    {
        news.push(News::Fill(FillNews {
            key: order.key,
            venue_order_id: order.venue_order_id,
            instrument: known.id,
            trade_id,
            side,
            price,
            qty: known.qty_of(event, "l"),
            role: role(event),
            fee: amount(event, "n"),
            fee_asset: event.text("N").and_then(|name| directory.asset(name)),
            venue_at: order.venue_at,
        }));
    }
    news.push(News::Order(order));
}

/// Futures: the same in other words.
fn order_trade_update(directory: &Directory, event: Value<'_, '_>, news: &mut Vec<News>) {
    let Some(order) = event.field("o") else { return };
    let Some(known) = order.text("s").and_then(|symbol| directory.known(symbol)) else { return };
    let (Some(side), Some(kind)) = (order.text("S").and_then(side), order.text("o")) else {
        return;
    };
    // What waits for a trigger is told by other events, so nothing here is dormant.
    let status = order.text("X").and_then(|status| order_status(status, false));
    let Some(status) = status else { return };
    let told = OrderNews {
        key: order.text("c").and_then(|name| directory.key(name)),
        venue_order_id: order.short("i"),
        instrument: known.id,
        status,
        side,
        kind: order_kind(kind, known.price_of(order, "p"), known.price_of(order, "sp")),
        qty: known.qty_of(order, "q"),
        filled: known.qty_of(order, "z"),
        venue_at: at(order, "T"),
    };
    if order.text("x") == Some("TRADE")
        && let Some(trade_id) = order.integer("t").and_then(|id| u64::try_from(id).ok())
        && let Some(price) = known.price_of(order, "L")
    {
        news.push(News::Fill(FillNews {
            key: told.key,
            venue_order_id: told.venue_order_id,
            instrument: known.id,
            trade_id,
            side,
            price,
            qty: known.qty_of(order, "l"),
            role: role(order),
            fee: amount(order, "n"),
            fee_asset: order.text("N").and_then(|name| directory.asset(name)),
            venue_at: told.venue_at,
        }));
    }
    news.push(News::Order(told));
}

fn role(value: Value<'_, '_>) -> Role {
    if value.truth("m").unwrap_or(false) { Role::Maker } else { Role::Taker }
}

/// Futures: a conditional order.
fn algo_update(directory: &Directory, event: Value<'_, '_>, news: &mut Vec<News>) {
    let Some(order) = event.field("o") else { return };
    let Some(known) = order.text("s").and_then(|symbol| directory.known(symbol)) else { return };
    let (Some(side), Some(kind)) = (order.text("S").and_then(side), order.text("o")) else {
        return;
    };
    let (qty, filled) = (known.qty_of(order, "q"), known.qty_of(order, "aq"));
    let resulting = order.short("ai");
    let status = order.text("X").and_then(|status| algo_status(status, &resulting, qty, filled));
    let Some((status, filled)) = status else { return };
    news.push(News::Order(OrderNews {
        key: order.text("caid").and_then(|name| directory.key(name)),
        venue_order_id: algo_id(&order.short("aid"), &resulting),
        instrument: known.id,
        status,
        side,
        kind: order_kind(kind, known.price_of(order, "p"), known.price_of(order, "tp")),
        qty,
        filled,
        venue_at: at(event, "T"),
    }));
}

/// Futures: wallets and positions, as they are now.
fn account_update(directory: &Directory, event: Value<'_, '_>, news: &mut Vec<News>) {
    let venue_at = at(event, "T");
    let Some(account) = event.field("a") else { return };
    news.extend(account.items("B").into_iter().filter_map(|item| {
        let asset = directory.asset(item.text("a")?)?;
        Some(News::Holding(Holding { asset, total: item.decimal("wb")?, venue_at }))
    }));
    let positions = account.items("P").into_iter().filter_map(|item| {
        let known = directory.known(item.text("s")?)?;
        // One of the two sides of a hedged account does not tell the other.
        if item.text("ps").is_some_and(|side| side != "BOTH") {
            return None;
        }
        Some(PositionNews {
            instrument: known.id,
            qty: known.signed(item, "pa")?,
            price: known.price_of(item, "ep").unwrap_or_default(),
            venue_at,
        })
    });
    // Flat ones are told, too: something was closed.
    news.extend(positions.map(News::Position));
}
