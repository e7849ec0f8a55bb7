//! The venue's errors.

use serde_json::{Value, json};

use crate::reject::Reject;

/// An error as the venue tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ApiError {
    pub(super) status: u16,
    pub(super) code: i32,
    pub(super) msg: String,
    /// Details, for the few errors that have them.
    pub(super) data: Option<Value>,
    /// Seconds to stay away.
    pub(super) retry_after: Option<i64>,
}

impl ApiError {
    pub(super) fn new(code: i32, msg: impl Into<String>) -> Self {
        Self { status: 400, code, msg: msg.into(), data: None, retry_after: None }
    }

    pub(super) const fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(super) fn missing(name: &str) -> Self {
        Self::new(
            -1102,
            format!("Mandatory parameter '{name}' was not sent, was empty/null, or malformed."),
        )
    }

    pub(super) fn not_required(name: &str) -> Self {
        Self::new(-1106, format!("Parameter '{name}' sent when not required."))
    }

    pub(super) fn symbol() -> Self {
        Self::new(-1121, "Invalid symbol.")
    }

    pub(super) fn no_such_order() -> Self {
        Self::new(-2013, "Order does not exist.")
    }

    /// Returns the error as a JSON object.
    pub(super) fn body(&self) -> Value {
        let mut body = json!({"code": self.code, "msg": self.msg});
        if let Some(data) = &self.data {
            body["data"] = data.clone();
        }
        body
    }
}

/// What the refused request was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Doing {
    Placing,
    Canceling,
    Amending,
}

fn filter(name: &str) -> ApiError {
    ApiError::new(-1013, format!("Filter failure: {name}"))
}

/// Returns the spot market's error for a refusal.
pub(super) fn spot(reject: Reject, doing: Doing) -> ApiError {
    let code = match doing {
        Doing::Placing => -2010,
        Doing::Canceling => -2011,
        Doing::Amending => -2038,
    };
    let engine = |msg: &str| ApiError::new(code, msg);
    match reject {
        Reject::PriceFilter => filter("PRICE_FILTER"),
        Reject::PercentPrice => filter("PERCENT_PRICE_BY_SIDE"),
        Reject::LotSize => filter("LOT_SIZE"),
        Reject::MarketLotSize => filter("MARKET_LOT_SIZE"),
        Reject::Notional => filter("NOTIONAL"),
        Reject::IcebergParts => filter("ICEBERG_PARTS"),
        Reject::IcebergTooLarge => engine("IcebergQty exceeds QTY."),
        Reject::TrailingDelta => filter("TRAILING_DELTA"),
        Reject::MaxOrders => filter("MAX_NUM_ORDERS"),
        Reject::MaxConditionalOrders => filter("MAX_NUM_ALGO_ORDERS"),
        Reject::MaxLists => filter("MAX_NUM_ORDER_LISTS"),
        Reject::MaxChanges => ApiError::new(-2038, "Filter failure: MAX_NUM_ORDER_AMENDS"),
        Reject::InsufficientBalance | Reject::InsufficientMargin => {
            engine("Account has insufficient balance for requested action.")
        }
        Reject::DuplicateClientId => engine("Duplicate order sent."),
        Reject::WouldMatch => engine("Order would immediately match and take."),
        Reject::WouldTrigger => engine("Stop price would trigger immediately."),
        Reject::NoLiquidity => engine("Order book liquidity is less than symbol minimum quantity."),
        Reject::UnknownOrder => engine("Unknown order sent."),
        Reject::CancelRestrictions => engine("Order was not canceled due to cancel restrictions."),
        Reject::ListPrices => {
            engine("The relationship of the prices for the orders is not correct.")
        }
        Reject::AmendIncrease => engine("Order amend (quantity increase) is not supported."),
        Reject::NoChange => engine("The requested action would change no state; rejecting."),
        Reject::MarketClosed => engine("Market is closed."),
        Reject::WrongKind => engine("Unsupported order combination"),
        Reject::ReduceOnly | Reject::PositionSide | Reject::HasOpenOrders | Reject::Leverage => {
            engine("This action is disabled on this account.")
        }
    }
}

/// Returns the USD-M futures' error for a refusal.
pub(super) fn usdm(reject: Reject, doing: Doing) -> ApiError {
    let (code, msg) = match reject {
        Reject::PriceFilter => (-4014, "Price not increased by tick size."),
        Reject::PercentPrice => (-4016, "Limit price can't be higher than the cap."),
        Reject::LotSize => (-1111, "Precision is over the maximum defined for this asset."),
        Reject::MarketLotSize => (-4005, "Quantity greater than max quantity."),
        Reject::Notional => {
            (-4164, "Order's notional must be no smaller than 5 (unless you choose reduce only).")
        }
        Reject::IcebergParts | Reject::IcebergTooLarge | Reject::WrongKind => {
            (-1116, "Invalid orderType.")
        }
        Reject::TrailingDelta => (-2007, "Invalid callBack rate"),
        Reject::MaxOrders | Reject::MaxLists => (-2025, "Reach max open order limit."),
        Reject::MaxConditionalOrders => (-4045, "Reach max stop order limit."),
        Reject::MaxChanges => (-5026, "Exceed maximum modify order limit."),
        Reject::InsufficientBalance | Reject::InsufficientMargin => {
            (-2019, "Margin is insufficient.")
        }
        Reject::DuplicateClientId => (-4116, "ClientOrderId is duplicated."),
        Reject::WouldMatch => (
            -5022,
            "Due to the order could not be executed as maker, the Post Only order will be \
             rejected. The order will not be recorded in the order history",
        ),
        Reject::WouldTrigger => (-2021, "Order would immediately trigger."),
        Reject::NoLiquidity => {
            (-4131, "The counterparty's best price does not meet the PERCENT_PRICE filter limit.")
        }
        Reject::UnknownOrder => match doing {
            Doing::Amending => (-2013, "Order does not exist."),
            Doing::Placing | Doing::Canceling => (-2011, "Unknown order sent."),
        },
        Reject::CancelRestrictions => (-2011, "Unknown order sent."),
        Reject::ListPrices => (-1130, "Data sent for parameter 'price' is not valid."),
        Reject::ReduceOnly => (-2022, "ReduceOnly Order is rejected."),
        Reject::PositionSide => (-4061, "Order's position side does not match user's setting."),
        Reject::AmendIncrease | Reject::NoChange => (-5027, "No need to modify the order."),
        Reject::MarketClosed => {
            (-4108, "This contract is being delivered or delivered or closed or pre-trading.")
        }
        Reject::HasOpenOrders => {
            (-4047, "Margin type cannot be changed if there exists open orders.")
        }
        Reject::Leverage => (-4028, "Leverage 0 is not valid"),
    };
    ApiError::new(code, msg)
}
