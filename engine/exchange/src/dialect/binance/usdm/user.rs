//! What a USD-M account is told about itself.

use serde_json::{Value, json};

use crate::dialect::binance::usdm::json::{self as order_json, Decimals};
use crate::dialect::binance::words;
use crate::exchange::{Conditional, Exchange, millis};
use crate::fixed::Fixed;
use crate::ids::{AccountId, MarketId};
use crate::order::{ExpiryReason, Order, TimeInForce};
use crate::update::{PositionCause, Report, Update};

/// Returns what an update tells to whom.
pub(in crate::dialect::binance) fn events(
    exchange: &Exchange,
    update: &Update,
    now_ms: i64,
) -> Vec<(AccountId, Value)> {
    match update {
        Update::Order(report) => {
            let account = report.order.account;
            let mut events = vec![(account, order_update(exchange, report, now_ms))];
            events.extend(trade_lite(exchange, report, now_ms).map(|event| (account, event)));
            events
        }
        Update::Conditional { conditional, at } => {
            let event = algo_update(exchange, conditional, millis(*at), now_ms);
            vec![(conditional.account, event)]
        }
        Update::Position { account, market, cause, at } => {
            vec![(
                *account,
                account_update(exchange, *account, *market, *cause, millis(*at), now_ms),
            )]
        }
        Update::Leverage { account, market, leverage, at } => vec![(
            *account,
            json!({
                "e": "ACCOUNT_CONFIG_UPDATE",
                "E": now_ms,
                "T": millis(*at),
                "ac": {"s": exchange.market(*market).listing.symbol, "l": leverage},
            }),
        )],
        Update::List { .. }
        | Update::Balances { .. }
        | Update::Deposit { .. }
        | Update::Trade { .. }
        | Update::Aggregate { .. }
        | Update::Level { .. }
        | Update::Mark { .. }
        | Update::Liquidation { .. } => Vec::new(),
    }
}

fn order_update(exchange: &Exchange, report: &Report, now_ms: i64) -> Value {
    let (order, ask) = (&report.order, &report.order.ask);
    let market = exchange.market(ask.market);
    let style = Decimals::of(market);
    let fill = report.fill.as_ref();
    let conditional = order.conditional.and_then(|id| exchange.conditional(id));
    let zero = Fixed::ZERO;
    // A change is told as an amendment; the other names are as on spot.
    let execution = match report.execution {
        crate::order::Execution::Replaced => "AMENDMENT",
        crate::order::Execution::Expired if order.ask.client_id.starts_with("autoclose-") => {
            "CALCULATED"
        }
        other => words::execution(other),
    };
    let mut body = json!({
        "s": market.listing.symbol,
        "c": ask.client_id,
        "S": words::side(ask.side),
        "o": order_json::kind(ask),
        "f": words::tif(ask.tif),
        "q": ask.qty.text(style.qty),
        "p": ask.price.text(style.price),
        "ap": order.average_price().text(5.max(style.price)),
        "sp": zero.text(style.price),
        "x": execution,
        "X": words::status(order.status),
        "i": order.id.0,
        "l": fill.map_or(zero, |fill| fill.qty).text(style.qty),
        "z": order.filled.text(style.qty),
        "L": fill.map_or(zero, |fill| fill.price).text(style.price),
    });
    if let Some(fill) = fill {
        body["N"] = fill.fee_asset.clone().into();
        body["n"] = fill.fee.to_string().into();
    }
    let closes = conditional.is_some_and(|conditional| conditional.asked.close_position);
    let working = conditional.map_or("CONTRACT_PRICE", |c| order_json::trigger_by(c.asked.by));
    let good_till = ask.good_till.filter(|_| ask.tif == TimeInForce::Gtd);
    for (name, value) in [
        ("T", Value::from(millis(report.at))),
        ("t", fill.map_or(0, |fill| fill.trade_id).into()),
        ("b", "0".into()),
        ("a", "0".into()),
        ("m", fill.is_some_and(|fill| fill.is_maker).into()),
        ("R", ask.reduce_only.into()),
        ("wt", working.into()),
        ("ot", order_json::original_kind(exchange, order).into()),
        ("ps", words::position_side(ask.position_side).into()),
        ("cp", closes.into()),
        ("rp", fill.map_or(zero, |fill| fill.realized).to_string().into()),
        ("pP", false.into()),
        ("si", 0.into()),
        ("ss", 0.into()),
        ("V", words::self_trade(ask.self_trade).into()),
        ("pm", "NONE".into()),
        ("gtd", good_till.map_or(0, millis).into()),
        ("er", expiry_code(order.expiry).into()),
    ] {
        body[name] = value;
    }
    json!({"e": "ORDER_TRADE_UPDATE", "E": now_ms, "T": millis(report.at), "o": body})
}

/// Returns the venue's number for why an order expired; zero where it did not.
const fn expiry_code(reason: Option<ExpiryReason>) -> &'static str {
    match reason {
        None => "0",
        Some(ExpiryReason::SelfTrade) => "1",
        Some(ExpiryReason::UnfilledIoc) => "2",
        Some(ExpiryReason::UnfilledFok) => "5",
        Some(ExpiryReason::InsufficientLiquidity) => "4",
        Some(ExpiryReason::ExchangeCanceled) => "6",
        Some(ExpiryReason::WouldTake) => "7",
        Some(ExpiryReason::GoodTillDate) => "8",
        Some(
            ExpiryReason::Rejected | ExpiryReason::OcoTrigger | ExpiryReason::OtoPhaseOneExpired,
        ) => "9",
    }
}

/// Returns a trade in few words, which comes besides the order's update.
fn trade_lite(exchange: &Exchange, report: &Report, now_ms: i64) -> Option<Value> {
    let fill = report.fill.as_ref()?;
    let ask = &report.order.ask;
    let market = exchange.market(ask.market);
    let style = Decimals::of(market);
    Some(json!({
        "e": "TRADE_LITE",
        "E": now_ms,
        "T": millis(report.at),
        "s": market.listing.symbol,
        "q": ask.qty.text(style.qty),
        "p": ask.price.text(style.price),
        "m": fill.is_maker,
        "c": ask.client_id,
        "S": words::side(ask.side),
        "L": fill.price.text(style.price),
        "l": fill.qty.text(style.qty),
        "t": fill.trade_id,
        "i": report.order.id.0,
    }))
}

fn account_update(
    exchange: &Exchange,
    account: AccountId,
    market: Option<MarketId>,
    cause: PositionCause,
    at_ms: i64,
    now_ms: i64,
) -> Value {
    let held = exchange.account(account);
    let balances: Vec<Value> = held
        .balances
        .keys()
        .map(|asset| {
            let sum = exchange.margin(account, asset);
            json!({
                "a": asset,
                "wb": sum.wallet.to_string(),
                "cw": sum.cross_wallet.to_string(),
                "bc": "0",
            })
        })
        .collect();
    let positions: Vec<Value> = exchange
        .positions(account)
        .into_iter()
        .filter(|view| Some(view.market) == market)
        .map(|view| {
            let market = exchange.market(view.market);
            json!({
                "s": market.listing.symbol,
                "pa": view.position.qty.text(market.listing.step.decimals()),
                "ep": view.position.entry.short(),
                "bep": view.position.entry.short(),
                "cr": view.position.realized.to_string(),
                "up": view.unrealized.to_string(),
                "mt": if view.is_isolated { "isolated" } else { "cross" },
                "iw": view.position.isolated_margin.to_string(),
                "ps": words::position_side(view.side),
                "ma": market.listing.quote,
            })
        })
        .collect();
    let reason = match cause {
        PositionCause::Order => "ORDER",
        PositionCause::Funding => "FUNDING_FEE",
        PositionCause::Deposit => "DEPOSIT",
        PositionCause::MarginType => "MARGIN_TYPE_CHANGE",
    };
    json!({
        "e": "ACCOUNT_UPDATE",
        "E": now_ms,
        "T": at_ms,
        "a": {"m": reason, "B": balances, "P": positions},
    })
}

fn algo_update(exchange: &Exchange, conditional: &Conditional, at_ms: i64, now_ms: i64) -> Value {
    let asked = &conditional.asked;
    let ask = &asked.ask;
    let market = exchange.market(ask.market);
    let style = Decimals::of(market);
    let order = conditional.order.and_then(|id| exchange.order(id));
    let rejected = conditional.rejected.map_or_else(String::new, |reject| reject.to_string());
    json!({
        "e": "ALGO_UPDATE",
        "T": at_ms,
        "E": now_ms,
        "o": {
            "caid": ask.client_id,
            "aid": conditional.id.0,
            "at": "CONDITIONAL",
            "o": order_json::conditional_kind(conditional),
            "s": market.listing.symbol,
            "S": words::side(ask.side),
            "ps": words::position_side(ask.position_side),
            "f": words::tif(ask.tif),
            "q": ask.qty.text(style.qty),
            "X": order_json::conditional_status(conditional.status),
            "ai": conditional.order.map_or_else(String::new, |id| id.0.to_string()),
            "ap": order.map_or(Fixed::ZERO, Order::average_price).text(5),
            "aq": order.map_or(Fixed::ZERO, |order| order.filled).text(5),
            "act": order.map_or("0", |order| order_json::kind(&order.ask)),
            "tp": ask.stop_price.text(style.price),
            "p": ask.price.text(style.price),
            "V": words::self_trade(ask.self_trade),
            "wt": order_json::trigger_by(asked.by),
            "pm": "NONE",
            "cp": asked.close_position,
            "pP": asked.price_protect,
            "R": ask.reduce_only,
            "tt": conditional.triggered_at.map_or(0, millis),
            "gtd": ask.good_till.map_or(0, millis),
            "rm": rejected,
        },
    })
}

/// Returns a liquidation as everybody sees it.
pub(in crate::dialect::binance) fn liquidation(
    exchange: &Exchange,
    order: &Order,
    now_ms: i64,
) -> Value {
    let market = exchange.market(order.ask.market);
    let style = Decimals::of(market);
    json!({
        "e": "forceOrder",
        "E": now_ms,
        "o": {
            "s": market.listing.symbol,
            "S": words::side(order.ask.side),
            "o": "LIMIT",
            "f": "IOC",
            "q": order.ask.qty.text(style.qty),
            "p": order.average_price().text(style.price),
            "ap": order.average_price().text(style.price),
            "X": words::status(order.status),
            "l": order.filled.text(style.qty),
            "z": order.filled.text(style.qty),
            "T": millis(order.updated_at),
        },
    })
}
