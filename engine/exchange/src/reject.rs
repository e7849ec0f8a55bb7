//! Why the exchange refuses.

/// A rule that an order broke. Dialects turn it into their venue's code and words.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Reject {
    /// Price or stop price below the least, above the most or between two ticks.
    #[error("price is out of range or not a multiple of the tick")]
    PriceFilter,
    /// Price too far from the market.
    #[error("price is too far from the market")]
    PercentPrice,
    /// Quantity below the least, above the most or between two steps.
    #[error("quantity is out of range or not a multiple of the step")]
    LotSize,
    /// The same, for orders at any price.
    #[error("quantity of a market order is out of range or not a multiple of the step")]
    MarketLotSize,
    /// Too little or too much money.
    #[error("value of the order is out of range")]
    Notional,
    /// Visible part too small.
    #[error("iceberg has too many parts")]
    IcebergParts,
    /// Visible part larger than the order.
    #[error("visible quantity exceeds the order's")]
    IcebergTooLarge,
    /// Trailing distance out of range.
    #[error("trailing distance is out of range")]
    TrailingDelta,
    /// Too many open orders.
    #[error("too many open orders")]
    MaxOrders,
    /// Too many open conditional orders.
    #[error("too many open conditional orders")]
    MaxConditionalOrders,
    /// Too many open lists.
    #[error("too many open order lists")]
    MaxLists,
    /// Changed too often.
    #[error("too many changes of one order")]
    MaxChanges,
    /// Not enough money.
    #[error("insufficient balance")]
    InsufficientBalance,
    /// Not enough margin.
    #[error("insufficient margin")]
    InsufficientMargin,
    /// Name already used by an open order.
    #[error("duplicate order")]
    DuplicateClientId,
    /// A post-only order would trade.
    #[error("order would immediately match")]
    WouldMatch,
    /// A conditional order's price has been reached already.
    #[error("order would trigger immediately")]
    WouldTrigger,
    /// Nothing on the other side to measure a market order in money by.
    #[error("no liquidity")]
    NoLiquidity,
    /// No such order, or it has ended.
    #[error("unknown order")]
    UnknownOrder,
    /// The order's status is not the one that the cancel asked for.
    #[error("order is not in the asked status")]
    CancelRestrictions,
    /// The prices of a list's orders are on the wrong sides of each other or of the market.
    #[error("prices of the list do not fit")]
    ListPrices,
    /// A reduce-only order that would reduce nothing.
    #[error("nothing to reduce")]
    ReduceOnly,
    /// Order's position side and the account's mode do not fit.
    #[error("position side does not match the account's mode")]
    PositionSide,
    /// A change that would make the order larger.
    #[error("quantity can only be reduced")]
    AmendIncrease,
    /// A change that changes nothing.
    #[error("nothing would change")]
    NoChange,
    /// Symbol is closed.
    #[error("market is closed")]
    MarketClosed,
    /// A setting that cannot change now.
    #[error("there are open orders or positions")]
    HasOpenOrders,
    /// Leverage out of range for the position.
    #[error("leverage is out of range")]
    Leverage,
    /// Not allowed for this kind of order.
    #[error("not possible for this kind of order")]
    WrongKind,
}
