//! What the engine can want from a venue, in no venue's words.

use tercel_core::{InstrumentId, Nanos, OrderSpec, Price, Quantity, Side};

use super::VenueText;
use crate::client_id::OrderKey;

/// The number by which the gateway knows the answer to a request. Never recurs in a process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId(pub u64);

/// A request with its number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tagged {
    /// Its number.
    pub id: RequestId,
    /// What is wanted.
    pub request: Request,
}

/// Something that is wanted from a venue. Each is answered by exactly one
/// [`News::Answered`](super::News::Answered), or by the gateway's own time limit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// Places an order.
    Place {
        /// Its name at the venue.
        key: OrderKey,
        /// The order.
        spec: OrderSpec,
    },
    /// Changes price and total quantity of an order that keeps its name and its fills (an amend).
    Amend {
        /// The order.
        key: OrderKey,
        /// The venue's number of it; empty if not known.
        venue_order_id: VenueText,
        /// The order as it stands.
        spec: OrderSpec,
        /// New limit price.
        price: Price,
        /// New total quantity, what is filled included.
        qty: Quantity,
    },
    /// Withdraws an order and places another in its stead, in one step. With `only_unfilled`
    /// nothing is done if any of the order was filled meanwhile, so that it can never trade twice.
    CancelReplace {
        /// The order that goes.
        key: OrderKey,
        /// The name of the one that comes.
        new_key: OrderKey,
        /// What comes.
        spec: OrderSpec,
        /// Whether a fill of the old order forbids it.
        only_unfilled: bool,
    },
    /// Withdraws an order.
    Cancel {
        /// The order.
        key: OrderKey,
        /// The venue's number of it; empty if not known.
        venue_order_id: VenueText,
        /// Its instrument.
        instrument: InstrumentId,
    },
    /// Withdraws all orders of an instrument, other people's on the account included.
    CancelAll {
        /// The instrument.
        instrument: InstrumentId,
    },
    /// Asks how an order stands.
    QueryOrder {
        /// The order.
        key: OrderKey,
        /// The venue's number of it; empty if not known.
        venue_order_id: VenueText,
        /// Its instrument.
        instrument: InstrumentId,
    },
    /// Asks for all open orders.
    OpenOrders {
        /// Of one instrument; `None` for all, which costs more.
        instrument: Option<InstrumentId>,
    },
    /// Asks for recent orders of an instrument, ended ones included.
    OrderHistory {
        /// The instrument.
        instrument: InstrumentId,
        /// Not before this time.
        since: Nanos,
    },
    /// Asks for executions of an instrument.
    Fills {
        /// The instrument.
        instrument: InstrumentId,
        /// From where on.
        since: FillCursor,
    },
    /// Asks what the account holds.
    Balances,
    /// Asks for positions.
    Positions,
    /// Sets the leverage of an instrument.
    SetLeverage {
        /// The instrument.
        instrument: InstrumentId,
        /// The leverage, whole.
        leverage: u32,
    },
    /// Sets cross or isolated margin of an instrument.
    SetMarginMode {
        /// The instrument.
        instrument: InstrumentId,
        /// Isolated rather than cross.
        isolated: bool,
    },
    /// Sets whether long and short are held apart (hedge mode).
    SetHedgeMode {
        /// Apart rather than netted.
        hedge: bool,
    },
    /// Places a one-cancels-the-other pair where the venue has it.
    PlaceOco {
        /// Name of the pair.
        list: OrderKey,
        /// Name of the limit leg.
        limit_key: OrderKey,
        /// Name of the stop leg.
        stop_key: OrderKey,
        /// The instrument.
        instrument: InstrumentId,
        /// Side of both legs.
        side: Side,
        /// Quantity of both legs.
        qty: Quantity,
        /// Price of the limit leg.
        limit_price: Price,
        /// Trigger of the stop leg.
        stop_trigger: Price,
        /// Limit price of the stop leg; `None` for a market order.
        stop_price: Option<Price>,
    },
}

/// From where on executions are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FillCursor {
    /// From this time on.
    Since(Nanos),
    /// After this trade number.
    After(u64),
}
