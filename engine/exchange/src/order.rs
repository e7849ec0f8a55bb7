//! Orders, what is asked for them, and what happens to them.

use tercel_core::{Nanos, Side};

use crate::fixed::Fixed;
use crate::ids::{AccountId, ConditionalId, ListId, MarketId, OrderId};

/// How an order trades.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OrderKind {
    /// At its price or better.
    Limit,
    /// At its price, and only by waiting for somebody.
    LimitMaker,
    /// At any price, now.
    Market,
    /// Becomes a market order when the price moves against the position that it protects.
    StopLoss,
    /// Becomes a limit order then.
    StopLossLimit,
    /// Becomes a market order when the price moves in favour.
    TakeProfit,
    /// Becomes a limit order then.
    TakeProfitLimit,
}

impl OrderKind {
    /// Returns whether the order waits for a price before it is in the market.
    #[must_use]
    pub const fn is_conditional(self) -> bool {
        matches!(
            self,
            Self::StopLoss | Self::StopLossLimit | Self::TakeProfit | Self::TakeProfitLimit
        )
    }

    /// Returns whether the order trades at any price once it is in the market.
    #[must_use]
    pub const fn is_market(self) -> bool {
        matches!(self, Self::Market | Self::StopLoss | Self::TakeProfit)
    }

    /// Returns whether the order waits for the price to rise, for an order of that side.
    #[must_use]
    pub fn triggers_above(self, side: Side) -> bool {
        let is_stop = matches!(self, Self::StopLoss | Self::StopLossLimit);
        is_stop == (side == Side::Buy)
    }
}

/// How long an order stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeInForce {
    /// Until canceled.
    Gtc,
    /// What does not trade at once expires.
    Ioc,
    /// Trades at once in full or expires.
    Fok,
    /// Until canceled, but expires if it would trade at once.
    Gtx,
    /// Until a time.
    Gtd,
}

/// What happens when an account would trade with itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SelfTrade {
    /// It trades.
    Allow,
    /// The newcomer expires.
    ExpireTaker,
    /// The order at rest expires.
    ExpireMaker,
    /// Both expire.
    ExpireBoth,
    /// Both shrink by what they would have traded.
    Decrement,
}

/// Where an order is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OrderStatus {
    /// Waits for another order of its list to fill.
    PendingNew,
    /// Waits, for a price or for somebody to trade with.
    New,
    /// Has traded in part.
    PartiallyFilled,
    /// Has traded in full.
    Filled,
    /// Was taken back.
    Canceled,
    /// Was refused after it had been accepted for placement, as part of a list.
    Rejected,
    /// Ended by its own rules or by the exchange.
    Expired,
    /// Ended by [`SelfTrade`].
    ExpiredInMatch,
}

impl OrderStatus {
    /// Returns whether more can happen to the order.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::PendingNew | Self::New | Self::PartiallyFilled)
    }
}

/// Why an order expired.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExpiryReason {
    /// A rule refused it when its turn came.
    Rejected,
    /// The exchange took it out: a liquidation, a closed position.
    ExchangeCanceled,
    /// The other order of its pair began to work.
    OcoTrigger,
    /// The order that it waited for ended without filling.
    OtoPhaseOneExpired,
    /// What an immediate-or-cancel order could not get.
    UnfilledIoc,
    /// A fill-or-kill order that could not have all.
    UnfilledFok,
    /// A market order met an empty book.
    InsufficientLiquidity,
    /// A post-only order would have traded at once.
    WouldTake,
    /// Its time has come.
    GoodTillDate,
    /// Its account would have traded with itself.
    SelfTrade,
}

/// Which of an account's positions in a symbol an order is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum PositionSide {
    /// The only one.
    #[default]
    Both,
    /// The long one of two.
    Long,
    /// The short one of two.
    Short,
}

/// How far a trailing order's trigger stays behind the best price.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trail {
    /// Distance as a fraction of the price.
    pub share: Fixed,
    /// Best price since the order began to trail; `None` while it waits for its activation price.
    pub extreme: Option<Fixed>,
    /// When it began to trail.
    pub since: Option<Nanos>,
}

/// What an order asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewOrder {
    /// In which symbol.
    pub market: MarketId,
    /// Buy or sell.
    pub side: Side,
    /// How.
    pub kind: OrderKind,
    /// For how long.
    pub tif: TimeInForce,
    /// Limit price; zero for an order at any price.
    pub price: Fixed,
    /// Quantity in the base asset; zero where `quote_qty` says how much.
    pub qty: Fixed,
    /// Quantity in the quote asset, for a market order; zero otherwise.
    pub quote_qty: Fixed,
    /// Price that a conditional order waits for; zero where it has none.
    pub stop_price: Fixed,
    /// Fraction that a trailing order stays behind; zero where it does not trail.
    pub trail: Fixed,
    /// Visible part; zero for all.
    pub iceberg_qty: Fixed,
    /// The client's own name for it; the exchange makes one up for an empty text.
    pub client_id: String,
    /// What happens if it meets an order of the same account.
    pub self_trade: SelfTrade,
    /// Only ever makes a position smaller.
    pub reduce_only: bool,
    /// Which position it is for.
    pub position_side: PositionSide,
    /// When it ends, for [`TimeInForce::Gtd`].
    pub good_till: Option<Nanos>,
    /// The client's own numbers, given back unread.
    pub strategy: (Option<i64>, Option<i64>),
}

impl NewOrder {
    /// Returns a plain limit order that stays until canceled.
    #[must_use]
    pub const fn limit(market: MarketId, side: Side, qty: Fixed, price: Fixed) -> Self {
        Self {
            market,
            side,
            kind: OrderKind::Limit,
            tif: TimeInForce::Gtc,
            price,
            qty,
            quote_qty: Fixed::ZERO,
            stop_price: Fixed::ZERO,
            trail: Fixed::ZERO,
            iceberg_qty: Fixed::ZERO,
            client_id: String::new(),
            self_trade: SelfTrade::ExpireMaker,
            reduce_only: false,
            position_side: PositionSide::Both,
            good_till: None,
            strategy: (None, None),
        }
    }

    /// Returns a plain market order.
    #[must_use]
    pub fn market(market: MarketId, side: Side, qty: Fixed) -> Self {
        Self { kind: OrderKind::Market, ..Self::limit(market, side, qty, Fixed::ZERO) }
    }
}

/// An order of an account and what became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// Its number.
    pub id: OrderId,
    /// Whose it is.
    pub account: AccountId,
    /// What was asked for; quantity, price and name as they are after changes.
    pub ask: NewOrder,
    /// Where it is in its life.
    pub status: OrderStatus,
    /// Traded so far, in the base asset.
    pub filled: Fixed,
    /// Traded so far, in the quote asset.
    pub quote_filled: Fixed,
    /// Not traded because of [`SelfTrade::Decrement`].
    pub prevented: Fixed,
    /// What is still locked for it: quote for a purchase, base for a sale. Spot only.
    pub locked: Fixed,
    /// The list that it belongs to.
    pub list: Option<ListId>,
    /// The conditional order that it came from.
    pub conditional: Option<ConditionalId>,
    /// Whether it is in the book, or was when it ended.
    pub is_working: bool,
    /// Trailing state.
    pub trail: Option<Trail>,
    /// Why it ended, where the exchange ended it.
    pub expiry: Option<ExpiryReason>,
    /// When it was accepted.
    pub created_at: Nanos,
    /// When it came into the book.
    pub working_at: Option<Nanos>,
    /// When it last changed.
    pub updated_at: Nanos,
    /// How often it was made smaller or moved.
    pub n_changes: u32,
}

impl Order {
    /// Returns what has neither traded nor been prevented.
    #[must_use]
    pub fn remaining(&self) -> Fixed {
        self.ask.qty - self.filled - self.prevented
    }

    /// Returns the average price of what has traded, rounded down; zero before.
    #[must_use]
    pub const fn average_price(&self) -> Fixed {
        self.quote_filled.over_floor(self.filled)
    }
}

/// One side of a trade, as its account sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fill {
    /// Number of the trade, the same for both sides; ascends per symbol.
    pub trade_id: u64,
    /// Its symbol.
    pub market: MarketId,
    /// Whose order.
    pub order: OrderId,
    /// The order's list.
    pub list: Option<ListId>,
    /// The order's side.
    pub side: Side,
    /// The order's position.
    pub position_side: PositionSide,
    /// Price.
    pub price: Fixed,
    /// Quantity in the base asset.
    pub qty: Fixed,
    /// Quantity in the quote asset.
    pub quote_qty: Fixed,
    /// What it cost, in `fee_asset`.
    pub fee: Fixed,
    /// Asset of the fee.
    pub fee_asset: String,
    /// Whether the order had been at rest.
    pub is_maker: bool,
    /// What a position earned by it.
    pub realized: Fixed,
    /// When.
    pub at: Nanos,
}

/// What happened to an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Execution {
    /// It was accepted, or came into the book after waiting.
    New,
    /// It was canceled.
    Canceled,
    /// It was made smaller or moved.
    Replaced,
    /// It was refused when its turn came.
    Rejected,
    /// It traded.
    Trade,
    /// It ended by its own rules or the exchange's.
    Expired,
    /// It did not trade with its own account.
    TradePrevention,
}
