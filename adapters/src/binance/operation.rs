//! What can be asked of the venue: one line each.

use crate::protocol::{Cost, Method, Priority};

/// What a request has to prove.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Security {
    /// Nothing.
    Public,
    /// That it has a key.
    Key,
    /// That it has the key's secret: a time and a signature.
    Signed,
}

/// Something that can be asked of the venue.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Operation {
    /// HTTP method.
    pub method: Method,
    /// Path under the REST base.
    pub path: &'static str,
    /// Name in the WebSocket API, where it is there.
    pub ws: Option<&'static str>,
    /// What it has to prove.
    pub security: Security,
    /// What it costs at most.
    pub cost: Cost,
}

const fn operation(
    method: Method,
    path: &'static str,
    ws: Option<&'static str>,
    security: Security,
    (weight, orders): (u32, u32),
    priority: Priority,
) -> Operation {
    Operation { method, path, ws, security, cost: Cost { weight, orders, priority } }
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident: $method:ident $path:literal $ws:expr, $security:ident,
        $weight:literal, $orders:literal, $priority:ident;)+) => {
        $(
            $(#[$doc])*
            pub const $name: Operation = operation(
                Method::$method, $path, $ws, Security::$security, ($weight, $orders),
                Priority::$priority,
            );
        )+

        /// All of them.
        pub const ALL: &[Operation] = &[$($name),+];
    };
}

/// Spot.
pub mod spot {
    use super::{Method, Operation, Priority, Security, operation};

    operations! {
        /// The venue's time.
        TIME: Get "/api/v3/time" Some("time"), Public, 1, 0, Query;
        /// Instruments, filters, limits.
        RULES: Get "/api/v3/exchangeInfo" Some("exchangeInfo"), Public, 20, 0, Query;
        /// A book of up to 1,000 levels a side.
        DEPTH: Get "/api/v3/depth" Some("depth"), Public, 50, 0, Query;
        /// Candles.
        CANDLES: Get "/api/v3/klines" Some("klines"), Public, 2, 0, Bulk;
        /// Trades put together by taker and price.
        AGGREGATES: Get "/api/v3/aggTrades" Some("trades.aggregate"), Public, 4, 0, Bulk;
        /// Recent trades.
        TRADES: Get "/api/v3/trades" Some("trades.recent"), Public, 25, 0, Bulk;
        /// Best bid and ask.
        BEST: Get "/api/v3/ticker/bookTicker" Some("ticker.book"), Public, 4, 0, Query;
        /// The day's change.
        DAY: Get "/api/v3/ticker/24hr" Some("ticker.24hr"), Public, 80, 0, Query;
        /// Holdings.
        ACCOUNT: Get "/api/v3/account" Some("account.status"), Signed, 20, 0, Query;
        /// Fees of an instrument.
        COMMISSION: Get "/api/v3/account/commission" Some("account.commission"), Signed, 20, 0, Query;
        /// How many orders count against the limits.
        ORDER_COUNT: Get "/api/v3/rateLimit/order" Some("account.rateLimits.orders"), Signed, 40, 0, Query;
        /// Filters of an account.
        FILTERS: Get "/api/v3/myFilters" Some("myFilters"), Signed, 40, 0, Query;
        /// Places an order.
        PLACE: Post "/api/v3/order" Some("order.place"), Signed, 1, 1, Order;
        /// Tries an order out.
        TEST: Post "/api/v3/order/test" Some("order.test"), Signed, 1, 0, Query;
        /// Withdraws an order.
        CANCEL: Delete "/api/v3/order" Some("order.cancel"), Signed, 1, 0, Cancel;
        /// Withdraws an order and places another.
        REPLACE: Post "/api/v3/order/cancelReplace" Some("order.cancelReplace"), Signed, 1, 1, Order;
        /// Lessens an order's quantity.
        AMEND: Put "/api/v3/order/amend/keepPriority" Some("order.amend.keepPriority"), Signed, 4, 0, Order;
        /// Withdraws all orders of an instrument.
        CANCEL_ALL: Delete "/api/v3/openOrders" Some("openOrders.cancelAll"), Signed, 1, 0, Cancel;
        /// How an order stands.
        ORDER: Get "/api/v3/order" Some("order.status"), Signed, 4, 0, Query;
        /// Open orders of an instrument.
        OPEN_ORDERS: Get "/api/v3/openOrders" Some("openOrders.status"), Signed, 6, 0, Query;
        /// Open orders of all instruments.
        ALL_OPEN_ORDERS: Get "/api/v3/openOrders" Some("openOrders.status"), Signed, 80, 0, Query;
        /// Orders, ended ones included.
        ORDERS: Get "/api/v3/allOrders" Some("allOrders"), Signed, 20, 0, Query;
        /// Executions.
        FILLS: Get "/api/v3/myTrades" Some("myTrades"), Signed, 20, 0, Query;
        /// Places one order that cancels another.
        OCO: Post "/api/v3/orderList/oco" Some("orderList.place.oco"), Signed, 1, 2, Order;
        /// Places one order that another waits for.
        OTO: Post "/api/v3/orderList/oto" Some("orderList.place.oto"), Signed, 1, 2, Order;
        /// Places one order that a cancelling pair waits for.
        OTOCO: Post "/api/v3/orderList/otoco" Some("orderList.place.otoco"), Signed, 1, 3, Order;
        /// Withdraws a list.
        CANCEL_LIST: Delete "/api/v3/orderList" Some("orderList.cancel"), Signed, 1, 0, Cancel;
        /// How a list stands.
        LIST: Get "/api/v3/orderList" Some("orderList.status"), Signed, 4, 0, Query;
        /// Open lists.
        OPEN_LISTS: Get "/api/v3/openOrderList" Some("openOrderLists.status"), Signed, 6, 0, Query;
        /// Lists, ended ones included.
        LISTS: Get "/api/v3/allOrderList" Some("allOrderLists"), Signed, 20, 0, Query;
    }
}

/// USD-M futures.
pub mod usdm {
    use super::{Method, Operation, Priority, Security, operation};

    operations! {
        /// The venue's time.
        TIME: Get "/fapi/v1/time" None, Public, 1, 0, Query;
        /// Instruments, filters, limits.
        RULES: Get "/fapi/v1/exchangeInfo" None, Public, 1, 0, Query;
        /// A book of up to 1,000 levels a side.
        DEPTH: Get "/fapi/v1/depth" Some("depth"), Public, 20, 0, Query;
        /// Candles, up to 1,500.
        CANDLES: Get "/fapi/v1/klines" None, Public, 10, 0, Bulk;
        /// Trades put together by taker and price.
        AGGREGATES: Get "/fapi/v1/aggTrades" None, Public, 20, 0, Bulk;
        /// Recent trades.
        TRADES: Get "/fapi/v1/trades" None, Public, 5, 0, Bulk;
        /// Best bid and ask.
        BEST: Get "/fapi/v1/ticker/bookTicker" Some("ticker.book"), Public, 2, 0, Query;
        /// The day's change.
        DAY: Get "/fapi/v1/ticker/24hr" None, Public, 1, 0, Query;
        /// Mark price and the next funding.
        MARK: Get "/fapi/v1/premiumIndex" None, Public, 1, 0, Query;
        /// Past funding.
        FUNDING: Get "/fapi/v1/fundingRate" None, Public, 1, 0, Bulk;
        /// The account with its assets and positions.
        ACCOUNT: Get "/fapi/v3/account" Some("v2/account.status"), Signed, 5, 0, Query;
        /// Holdings.
        BALANCES: Get "/fapi/v3/balance" Some("v2/account.balance"), Signed, 5, 0, Query;
        /// Positions.
        POSITIONS: Get "/fapi/v3/positionRisk" Some("v2/account.position"), Signed, 5, 0, Query;
        /// Fees of an instrument.
        COMMISSION: Get "/fapi/v1/commissionRate" None, Signed, 20, 0, Query;
        /// Leverage by size of position.
        BRACKETS: Get "/fapi/v1/leverageBracket" None, Signed, 1, 0, Query;
        /// Places an order.
        PLACE: Post "/fapi/v1/order" Some("order.place"), Signed, 1, 1, Order;
        /// Tries an order out.
        TEST: Post "/fapi/v1/order/test" None, Signed, 1, 0, Query;
        /// Places up to five orders.
        PLACE_BATCH: Post "/fapi/v1/batchOrders" None, Signed, 5, 5, Order;
        /// Withdraws an order.
        CANCEL: Delete "/fapi/v1/order" Some("order.cancel"), Signed, 1, 0, Cancel;
        /// Withdraws up to ten orders.
        CANCEL_BATCH: Delete "/fapi/v1/batchOrders" None, Signed, 1, 0, Cancel;
        /// Changes an order's price and quantity.
        AMEND: Put "/fapi/v1/order" Some("order.modify"), Signed, 1, 1, Order;
        /// Withdraws all orders of an instrument.
        CANCEL_ALL: Delete "/fapi/v1/allOpenOrders" None, Signed, 1, 0, Cancel;
        /// How an order stands.
        ORDER: Get "/fapi/v1/order" Some("order.status"), Signed, 1, 0, Query;
        /// Open orders of an instrument.
        OPEN_ORDERS: Get "/fapi/v1/openOrders" None, Signed, 1, 0, Query;
        /// Open orders of all instruments.
        ALL_OPEN_ORDERS: Get "/fapi/v1/openOrders" None, Signed, 40, 0, Query;
        /// Orders, ended ones included.
        ORDERS: Get "/fapi/v1/allOrders" None, Signed, 5, 0, Query;
        /// Executions.
        FILLS: Get "/fapi/v1/userTrades" None, Signed, 5, 0, Query;
        /// Places a conditional order.
        PLACE_ALGO: Post "/fapi/v1/algoOrder" Some("algoOrder.place"), Signed, 1, 1, Order;
        /// Withdraws a conditional order.
        CANCEL_ALGO: Delete "/fapi/v1/algoOrder" Some("algoOrder.cancel"), Signed, 1, 0, Cancel;
        /// Withdraws all conditional orders of an instrument.
        CANCEL_ALL_ALGO: Delete "/fapi/v1/algoOpenOrders" None, Signed, 1, 0, Cancel;
        /// How a conditional order stands.
        ALGO: Get "/fapi/v1/algoOrder" None, Signed, 1, 0, Query;
        /// Conditional orders that wait.
        OPEN_ALGOS: Get "/fapi/v1/openAlgoOrders" None, Signed, 40, 0, Query;
        /// Conditional orders, ended ones included.
        ALGOS: Get "/fapi/v1/allAlgoOrders" None, Signed, 5, 0, Query;
        /// Sets the leverage of an instrument.
        LEVERAGE: Post "/fapi/v1/leverage" None, Signed, 1, 0, Query;
        /// Sets cross or isolated margin of an instrument.
        MARGIN: Post "/fapi/v1/marginType" None, Signed, 1, 0, Query;
        /// Sets whether long and short are held apart.
        SET_MODE: Post "/fapi/v1/positionSide/dual" None, Signed, 1, 0, Query;
        /// Whether long and short are held apart.
        MODE: Get "/fapi/v1/positionSide/dual" None, Signed, 30, 0, Query;
        /// Withdraws all orders of an instrument unless it is called again in time.
        COUNTDOWN: Post "/fapi/v1/countdownCancelAll" None, Signed, 10, 0, Query;
        /// Opens the private stream.
        OPEN_STREAM: Post "/fapi/v1/listenKey" Some("userDataStream.start"), Key, 1, 0, Query;
        /// Keeps the private stream open for another hour.
        KEEP_STREAM: Put "/fapi/v1/listenKey" Some("userDataStream.ping"), Key, 1, 0, Query;
        /// Closes the private stream.
        CLOSE_STREAM: Delete "/fapi/v1/listenKey" Some("userDataStream.stop"), Key, 1, 0, Query;
    }
}
