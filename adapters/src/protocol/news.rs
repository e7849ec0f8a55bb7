//! What a venue tells about an account, in no venue's words.

use arrayvec::ArrayString;
use rust_decimal::Decimal;
use tercel_core::{AssetId, InstrumentId, Nanos, OrderKind, Price, Quantity, Role, Side};

use super::RequestId;
use crate::client_id::OrderKey;
use crate::error::VenueError;

/// A short text of a venue: an order number, a symbol. Longer ones are cut, which no venue's are.
pub type VenueText = ArrayString<40>;

/// Something that a venue tells.
#[derive(Clone, PartialEq, Debug)]
pub enum News {
    /// The private stream is up, logged in and subscribed: what comes from here on is whole.
    Online,
    /// The private stream is gone: what happens from here on is not told.
    Offline,
    /// The venue refuses the account: its key, its signature, its address or its permissions. The private
    /// stream stays away until somebody has acted, or a long while has passed.
    Refused(VenueError),
    /// The venue warns that a position lacks margin and may be closed by force; `None` for one in an
    /// instrument that is not followed, or where the venue does not say which.
    MarginCall(Option<InstrumentId>),
    /// A request was answered.
    Answered {
        /// Which.
        request: RequestId,
        /// With what, or why not.
        outcome: Result<Answer, VenueError>,
    },
    /// How an order stands.
    Order(OrderNews),
    /// An execution.
    Fill(FillNews),
    /// What is held of an asset now.
    Holding(Holding),
    /// What is held in an instrument now.
    Position(PositionNews),
}

/// The content of an answer.
#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    /// Done; the rest comes on the private stream, if it matters.
    Done,
    /// How the order stands after the request, with the executions that the answer brought along.
    Order(OrderNews, Vec<FillNews>),
    /// A withdraw-and-place: how both stand.
    Replaced {
        /// The order that went.
        old: OrderNews,
        /// The order that came.
        new: OrderNews,
    },
    /// All open orders.
    Orders(Vec<OrderNews>),
    /// Executions, oldest first, and whether there are more after them.
    Fills(Vec<FillNews>, bool),
    /// All that is held; assets may be left out of which nothing is.
    Holdings(Vec<Holding>),
    /// All positions that are not flat.
    Positions(Vec<PositionNews>),
}

/// How an order stands at the venue.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct OrderNews {
    /// Our name of it; `None` for orders of other origin.
    pub key: Option<OrderKey>,
    /// The venue's number of it. Where a conditional order is numbered apart from the order that
    /// comes of it, an `a` and its own number until the other is known.
    pub venue_order_id: VenueText,
    /// Its instrument.
    pub instrument: InstrumentId,
    /// Where it stands.
    pub status: OrderStatus,
    /// Buy or sell.
    pub side: Side,
    /// Price conditions.
    pub kind: OrderKind,
    /// Total quantity.
    pub qty: Quantity,
    /// Of it filled.
    pub filled: Quantity,
    /// When the venue says that this was so.
    pub venue_at: Nanos,
}

/// Where an order stands at the venue.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum OrderStatus {
    /// Waits for its trigger, or for another order of its list.
    Waiting,
    /// Works, perhaps filled in part.
    Open,
    /// Filled whole.
    Filled,
    /// Withdrawn, perhaps filled in part.
    Canceled,
    /// Ended by its own terms or by the venue, perhaps filled in part.
    Expired,
    /// Refused.
    Rejected,
}

impl OrderStatus {
    /// Returns whether the order is over.
    #[must_use]
    pub const fn is_over(self) -> bool {
        match self {
            Self::Waiting | Self::Open => false,
            Self::Filled | Self::Canceled | Self::Expired | Self::Rejected => true,
        }
    }
}

/// Returns whether this is the number of a conditional order that is numbered apart from the order
/// that comes of it: an `a`, so that both cannot be mistaken for each other, and digits.
pub(crate) fn is_dormant_number(number: &str) -> bool {
    let digits = number.strip_prefix('a').unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// An execution of an order.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FillNews {
    /// Our name of the order; `None` where the venue does not repeat it here, or for other orders.
    pub key: Option<OrderKey>,
    /// The venue's number of the order.
    pub venue_order_id: VenueText,
    /// Its instrument.
    pub instrument: InstrumentId,
    /// The venue's number of the execution; a hash of it where it is no number.
    pub trade_id: u64,
    /// Side of the order.
    pub side: Side,
    /// Price.
    pub price: Price,
    /// Quantity, positive.
    pub qty: Quantity,
    /// Whether the order rested or took.
    pub role: Role,
    /// Fee paid; negative is a rebate.
    pub fee: Decimal,
    /// What it was paid in; `None` for an asset that is not listed, whose fee is then not booked.
    pub fee_asset: Option<AssetId>,
    /// When the venue says that it happened.
    pub venue_at: Nanos,
}

/// What an account holds of an asset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holding {
    /// The asset.
    pub asset: AssetId,
    /// Free and locked together.
    pub total: Decimal,
    /// When the venue says that this was so.
    pub venue_at: Nanos,
}

/// What an account holds in an instrument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PositionNews {
    /// The instrument.
    pub instrument: InstrumentId,
    /// Signed quantity.
    pub qty: Quantity,
    /// Average entry price, rounded to a tick.
    pub price: Price,
    /// When the venue says that this was so.
    pub venue_at: Nanos,
}
