//! What a gateway has to tell people.

use rust_decimal::Decimal;
use tercel_core::{AssetId, ClientOrderId, InstrumentId, Price, Quantity, Side, StrategyId};

use crate::error::VenueError;
use crate::protocol::{OrderStatus, VenueText};
use crate::venue::Purpose;

/// Something that people should know of.
#[derive(Clone, PartialEq, Debug)]
pub enum GatewayNotice {
    /// The account's stream is up.
    Online,
    /// The account's stream is gone: orders are not sent until it is back.
    Offline {
        /// Why, where that is known.
        why: Option<String>,
    },
    /// One of the account's connections fails attempt after attempt. Told once for each reason, until
    /// the connection has held.
    Unreachable {
        /// What the connection is for.
        purpose: Purpose,
        /// Why the last attempt failed.
        why: String,
    },
    /// The outcome of a request is not known; it is being asked for.
    OutcomeUnknown {
        /// The order.
        order: ClientOrderId,
        /// Why, in the venue's words or ours.
        why: String,
    },
    /// An order whose outcome was not known is settled.
    Settled {
        /// The order.
        order: ClientOrderId,
        /// How many questions it took.
        n_questions: u32,
    },
    /// The venue does not know an order that it had acknowledged; it counts as cancelled.
    Vanished {
        /// The order.
        order: ClientOrderId,
    },
    /// An order with our prefix that we do not know.
    Orphan {
        /// What it would be.
        order: ClientOrderId,
        /// Its instrument.
        instrument: InstrumentId,
        /// Whether it is being withdrawn.
        canceling: bool,
    },
    /// An order that a run which was cut off had sent, and has no record of.
    Lost {
        /// The order.
        order: ClientOrderId,
        /// Its instrument.
        instrument: InstrumentId,
        /// Buy or sell.
        side: Side,
        /// Total quantity.
        qty: Quantity,
        /// Of it filled.
        filled: Quantity,
        /// Its limit, if it has one.
        price: Option<Price>,
        /// Where it stands.
        status: OrderStatus,
        /// Whether the engine is halted for it.
        halts: bool,
    },
    /// An order that is not ours bears the name of one of ours: what is said of it is not listened to.
    NameTaken {
        /// Our order.
        order: ClientOrderId,
        /// The venue's number of the other one.
        venue_order_id: VenueText,
        /// Its instrument.
        instrument: InstrumentId,
    },
    /// An open order of other origin is ours from here on.
    Adopted {
        /// Our id of it.
        order: ClientOrderId,
        /// The venue's number of it.
        venue_order_id: VenueText,
        /// Its instrument.
        instrument: InstrumentId,
        /// Whose it is.
        strategy: StrategyId,
    },
    /// Open orders of other origin, left alone.
    Foreign {
        /// How many.
        n_orders: usize,
    },
    /// An execution of an order that is not ours.
    ForeignFill {
        /// The instrument.
        instrument: InstrumentId,
        /// Signed quantity.
        qty: Quantity,
    },
    /// What the account holds as it begins here: nothing was known of it before.
    FirstHolding {
        /// The asset.
        asset: AssetId,
        /// How much.
        total: Decimal,
    },
    /// What position the account has as it begins here.
    FirstPosition {
        /// The instrument.
        instrument: InstrumentId,
        /// Signed quantity.
        qty: Quantity,
    },
    /// The venue says another holding than our books.
    HoldingDiffers {
        /// The asset.
        asset: AssetId,
        /// What our books say.
        ours: Decimal,
        /// What the venue says.
        theirs: Decimal,
        /// Whether the engine was told the venue's.
        adopted: bool,
    },
    /// The venue says another position than our books.
    PositionDiffers {
        /// The instrument.
        instrument: InstrumentId,
        /// What our books say.
        ours: Quantity,
        /// What the venue says.
        theirs: Quantity,
        /// Whether the engine was told the venue's.
        adopted: bool,
    },
    /// Our books and the venue's were compared.
    Reconciled {
        /// Open orders of ours at the venue.
        n_orders: usize,
        /// Differences found.
        n_differences: usize,
    },
    /// A question was refused; it will be asked again.
    QueryFailed {
        /// What was asked.
        what: &'static str,
        /// The venue's answer.
        error: VenueError,
    },
    /// A person has to act: key, permission, address.
    Alarm {
        /// The venue's answer.
        error: VenueError,
    },
    /// The venue warns that a position lacks margin and may be closed by force.
    MarginCall {
        /// Which, if it is in an instrument that is followed.
        instrument: Option<InstrumentId>,
    },
    /// A fee was paid in an asset that is not listed; it is not booked.
    FeeNotBooked {
        /// The order's number at the venue.
        venue_order_id: VenueText,
        /// How much.
        fee: Decimal,
    },
}
