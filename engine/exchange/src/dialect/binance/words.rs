//! The venue's words for what the exchange knows.

use tercel_core::Side;

use crate::candles::Interval;
use crate::dialect::binance::error::ApiError;
use crate::order::{
    Execution, ExpiryReason, OrderKind, OrderStatus, PositionSide, SelfTrade, TimeInForce,
};

pub(super) const fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}

pub(super) fn read_side(text: &str) -> Result<Side, ApiError> {
    match text {
        "BUY" => Ok(Side::Buy),
        "SELL" => Ok(Side::Sell),
        _ => Err(ApiError::new(-1117, "Invalid side.")),
    }
}

pub(super) const fn tif(tif: TimeInForce) -> &'static str {
    match tif {
        TimeInForce::Gtc => "GTC",
        TimeInForce::Ioc => "IOC",
        TimeInForce::Fok => "FOK",
        TimeInForce::Gtx => "GTX",
        TimeInForce::Gtd => "GTD",
    }
}

pub(super) fn read_tif(text: &str, is_spot: bool) -> Result<TimeInForce, ApiError> {
    match text {
        "GTC" => Ok(TimeInForce::Gtc),
        "IOC" => Ok(TimeInForce::Ioc),
        "FOK" => Ok(TimeInForce::Fok),
        "GTX" if !is_spot => Ok(TimeInForce::Gtx),
        "GTD" if !is_spot => Ok(TimeInForce::Gtd),
        _ => Err(ApiError::new(-1115, "Invalid timeInForce.")),
    }
}

pub(super) const fn status(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::PendingNew => "PENDING_NEW",
        OrderStatus::New => "NEW",
        OrderStatus::PartiallyFilled => "PARTIALLY_FILLED",
        OrderStatus::Filled => "FILLED",
        OrderStatus::Canceled => "CANCELED",
        OrderStatus::Rejected => "REJECTED",
        OrderStatus::Expired => "EXPIRED",
        OrderStatus::ExpiredInMatch => "EXPIRED_IN_MATCH",
    }
}

pub(super) const fn execution(execution: Execution) -> &'static str {
    match execution {
        Execution::New => "NEW",
        Execution::Canceled => "CANCELED",
        Execution::Replaced => "REPLACED",
        Execution::Rejected => "REJECTED",
        Execution::Trade => "TRADE",
        Execution::Expired => "EXPIRED",
        Execution::TradePrevention => "TRADE_PREVENTION",
    }
}

pub(super) const fn spot_kind(kind: OrderKind) -> &'static str {
    match kind {
        OrderKind::Limit => "LIMIT",
        OrderKind::LimitMaker => "LIMIT_MAKER",
        OrderKind::Market => "MARKET",
        OrderKind::StopLoss => "STOP_LOSS",
        OrderKind::StopLossLimit => "STOP_LOSS_LIMIT",
        OrderKind::TakeProfit => "TAKE_PROFIT",
        OrderKind::TakeProfitLimit => "TAKE_PROFIT_LIMIT",
    }
}

pub(super) fn read_spot_kind(text: &str) -> Result<OrderKind, ApiError> {
    match text {
        "LIMIT" => Ok(OrderKind::Limit),
        "LIMIT_MAKER" => Ok(OrderKind::LimitMaker),
        "MARKET" => Ok(OrderKind::Market),
        "STOP_LOSS" => Ok(OrderKind::StopLoss),
        "STOP_LOSS_LIMIT" => Ok(OrderKind::StopLossLimit),
        "TAKE_PROFIT" => Ok(OrderKind::TakeProfit),
        "TAKE_PROFIT_LIMIT" => Ok(OrderKind::TakeProfitLimit),
        _ => Err(ApiError::new(-1116, "Invalid orderType.")),
    }
}

pub(super) const fn self_trade(mode: SelfTrade) -> &'static str {
    match mode {
        SelfTrade::Allow => "NONE",
        SelfTrade::ExpireTaker => "EXPIRE_TAKER",
        SelfTrade::ExpireMaker => "EXPIRE_MAKER",
        SelfTrade::ExpireBoth => "EXPIRE_BOTH",
        SelfTrade::Decrement => "DECREMENT",
    }
}

pub(super) fn read_self_trade(text: Option<&str>) -> Result<SelfTrade, ApiError> {
    match text {
        None | Some("EXPIRE_MAKER") => Ok(SelfTrade::ExpireMaker),
        Some("NONE") => Ok(SelfTrade::Allow),
        Some("EXPIRE_TAKER") => Ok(SelfTrade::ExpireTaker),
        Some("EXPIRE_BOTH") => Ok(SelfTrade::ExpireBoth),
        Some("DECREMENT") => Ok(SelfTrade::Decrement),
        Some(_) => Err(ApiError::new(
            -1130,
            "Data sent for parameter 'selfTradePreventionMode' is not valid.",
        )),
    }
}

pub(super) const fn expiry(reason: ExpiryReason) -> &'static str {
    match reason {
        ExpiryReason::Rejected | ExpiryReason::WouldTake => "REJECTED",
        ExpiryReason::ExchangeCanceled | ExpiryReason::GoodTillDate | ExpiryReason::SelfTrade => {
            "EXCHANGE_CANCELED"
        }
        ExpiryReason::OcoTrigger => "OCO_TRIGGER",
        ExpiryReason::OtoPhaseOneExpired => "OTO_PHASE_ONE_EXPIRED",
        ExpiryReason::UnfilledIoc => "UNFILLED_IOC_QUANTITY_EXPIRED",
        ExpiryReason::UnfilledFok => "UNFILLED_FOK_ORDER_EXPIRED",
        ExpiryReason::InsufficientLiquidity => "INSUFFICIENT_LIQUIDITY",
    }
}

pub(super) const fn position_side(side: PositionSide) -> &'static str {
    match side {
        PositionSide::Both => "BOTH",
        PositionSide::Long => "LONG",
        PositionSide::Short => "SHORT",
    }
}

pub(super) fn read_position_side(text: Option<&str>) -> Result<PositionSide, ApiError> {
    match text {
        None | Some("BOTH") => Ok(PositionSide::Both),
        Some("LONG") => Ok(PositionSide::Long),
        Some("SHORT") => Ok(PositionSide::Short),
        Some(_) => Err(ApiError::new(-4060, "Invalid position side.")),
    }
}

/// Lengths of candles by name.
pub(super) const INTERVALS: [(&str, Interval); 16] = [
    ("1s", Interval::Fixed(1_000)),
    ("1m", Interval::Fixed(60_000)),
    ("3m", Interval::Fixed(180_000)),
    ("5m", Interval::Fixed(300_000)),
    ("15m", Interval::Fixed(900_000)),
    ("30m", Interval::Fixed(1_800_000)),
    ("1h", Interval::Fixed(3_600_000)),
    ("2h", Interval::Fixed(7_200_000)),
    ("4h", Interval::Fixed(14_400_000)),
    ("6h", Interval::Fixed(21_600_000)),
    ("8h", Interval::Fixed(28_800_000)),
    ("12h", Interval::Fixed(43_200_000)),
    ("1d", Interval::Fixed(86_400_000)),
    ("3d", Interval::Fixed(259_200_000)),
    ("1w", Interval::Week),
    ("1M", Interval::Month),
];

pub(super) fn read_interval(text: &str) -> Option<(&'static str, Interval)> {
    INTERVALS.into_iter().find(|(name, _)| *name == text)
}
