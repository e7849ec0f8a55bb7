//! Orders in the venue's words.

use rust_decimal::Decimal;
use tercel_core::{Nanos, OrderKind, OrderSpec, Side, TimeInForce};

use super::hosts::Product;
use super::operation::{Operation, spot, usdm};
use super::params::Params;
use crate::protocol::EncodeError;

/// An order as the venue takes it, with what the engine has no words for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewOrder<'a> {
    /// The venue's symbol.
    pub symbol: &'a str,
    /// Buy or sell.
    pub side: Side,
    /// Price conditions.
    pub kind: Conditions,
    /// How much, in base; `None` for a spot market order that is told its cost.
    pub qty: Option<Decimal>,
    /// Cost in quote of a spot market order.
    pub quote_qty: Option<Decimal>,
    /// How long it lives; not looked at where the venue takes none.
    pub tif: TimeInForce,
    /// Our name of it; empty to leave it to the venue.
    pub client_id: &'a str,
    /// Whether it may only shrink the position (futures; spot has no word for it).
    pub reduce_only: bool,
    /// Whether it closes the whole position once triggered (conditional futures orders).
    pub close_position: bool,
    /// Which position, where long and short are held apart: `LONG` or `SHORT`.
    pub position_side: Option<&'static str>,
    /// Part that is shown (spot).
    pub iceberg_qty: Option<Decimal>,
    /// What happens when it meets an order of the same owner, in the venue's words.
    pub self_trade_prevention: Option<&'static str>,
    /// What triggers it: `MARK_PRICE` or `CONTRACT_PRICE` (conditional futures orders).
    pub working_type: Option<&'static str>,
}

/// Price conditions of an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Conditions {
    /// At once, at what the book offers.
    Market,
    /// At this price or better.
    Limit(Decimal),
    /// At this price, and only resting.
    PostOnly(Decimal),
    /// A market order once the market has turned against it as far as this.
    Stop(Decimal),
    /// A limit order then.
    StopLimit {
        /// What wakes it.
        trigger: Decimal,
        /// Its price.
        price: Decimal,
    },
    /// A market order once the market has gone its way as far as this.
    TakeProfit(Decimal),
    /// A limit order then.
    TakeProfitLimit {
        /// What wakes it.
        trigger: Decimal,
        /// Its price.
        price: Decimal,
    },
    /// A market order once the market has turned by so much from its best.
    Trailing {
        /// Percent on futures, basis points on spot.
        callback: Decimal,
        /// From where on it trails; `None` for at once.
        activation: Option<Decimal>,
    },
}

impl<'a> NewOrder<'a> {
    /// Returns an order without anything out of the ordinary.
    #[must_use]
    pub const fn new(symbol: &'a str, side: Side, kind: Conditions, client_id: &'a str) -> Self {
        Self {
            symbol,
            side,
            kind,
            qty: None,
            quote_qty: None,
            tif: TimeInForce::Gtc,
            client_id,
            reduce_only: false,
            close_position: false,
            position_side: None,
            iceberg_qty: None,
            self_trade_prevention: None,
            working_type: None,
        }
    }

    /// Returns the engine's order in decimals.
    pub(crate) fn of_spec(
        spec: &OrderSpec,
        instrument: &'a tercel_core::Instrument,
        client_id: &'a str,
    ) -> Self {
        let decimal = |price| instrument.price_decimal(price);
        let kind = match spec.kind {
            OrderKind::Market => Conditions::Market,
            OrderKind::Limit { price } if spec.post_only => Conditions::PostOnly(decimal(price)),
            OrderKind::Limit { price } => Conditions::Limit(decimal(price)),
            OrderKind::Stop { trigger } => Conditions::Stop(decimal(trigger)),
            OrderKind::StopLimit { trigger, price } => {
                Conditions::StopLimit { trigger: decimal(trigger), price: decimal(price) }
            }
        };
        Self {
            qty: Some(instrument.quantity_decimal(spec.qty)),
            tif: spec.tif,
            reduce_only: spec.reduce_only,
            ..Self::new(&instrument.spec.symbol, spec.side, kind, client_id)
        }
    }

    /// Returns whether the venue takes it as a conditional order, apart from the others (futures).
    #[must_use]
    pub const fn is_conditional(&self) -> bool {
        match self.kind {
            Conditions::Market | Conditions::Limit(_) | Conditions::PostOnly(_) => false,
            Conditions::Stop(_)
            | Conditions::StopLimit { .. }
            | Conditions::TakeProfit(_)
            | Conditions::TakeProfitLimit { .. }
            | Conditions::Trailing { .. } => true,
        }
    }

    /// Adds the order's parameters and returns what places it.
    ///
    /// # Errors
    ///
    /// If the product has no such order.
    pub fn place(&self, product: Product, params: &mut Params) -> Result<Operation, EncodeError> {
        match product {
            Product::Spot => {
                self.push_spot(params)?;
                Ok(spot::PLACE)
            }
            Product::UsdMargined if self.is_conditional() => {
                self.push_algo(params)?;
                Ok(usdm::PLACE_ALGO)
            }
            Product::UsdMargined => {
                self.push_futures(params)?;
                Ok(usdm::PLACE)
            }
        }
    }

    pub(crate) fn push_spot(&self, params: &mut Params) -> Result<(), EncodeError> {
        params.text("symbol", self.symbol).text("side", side(self.side));
        if !self.client_id.is_empty() {
            params.text("newClientOrderId", self.client_id);
        }
        params.text("type", self.spot_type());
        match (self.qty, self.quote_qty) {
            (Some(qty), _) => params.decimal("quantity", qty),
            (None, Some(cost)) => params.decimal("quoteOrderQty", cost),
            (None, None) => return Err(EncodeError::Unsupported("orders without a quantity")),
        };
        match self.kind {
            Conditions::Market => {}
            Conditions::PostOnly(price) => {
                params.decimal("price", price);
            }
            Conditions::Limit(price) => {
                params.decimal("price", price).text("timeInForce", self.spot_tif()?);
            }
            Conditions::Stop(trigger) | Conditions::TakeProfit(trigger) => {
                params.decimal("stopPrice", trigger);
            }
            Conditions::StopLimit { trigger, price }
            | Conditions::TakeProfitLimit { trigger, price } => {
                params.decimal("price", price).decimal("stopPrice", trigger);
                params.text("timeInForce", self.spot_tif()?);
            }
            Conditions::Trailing { callback, activation } => {
                params.decimal("trailingDelta", callback);
                if let Some(activation) = activation {
                    params.decimal("stopPrice", activation);
                }
            }
        }
        if let Some(shown) = self.iceberg_qty {
            params.decimal("icebergQty", shown);
        }
        if let Some(mode) = self.self_trade_prevention {
            params.text("selfTradePreventionMode", mode);
        }
        if self.is_conditional() || matches!(self.kind, Conditions::PostOnly(_)) {
            // Left to itself the venue answers these without a status.
            params.text("newOrderRespType", "FULL");
        }
        Ok(())
    }

    const fn spot_type(&self) -> &'static str {
        match self.kind {
            Conditions::Market => "MARKET",
            Conditions::Limit(_) => "LIMIT",
            Conditions::PostOnly(_) => "LIMIT_MAKER",
            Conditions::Stop(_) | Conditions::Trailing { .. } => "STOP_LOSS",
            Conditions::StopLimit { .. } => "STOP_LOSS_LIMIT",
            Conditions::TakeProfit(_) => "TAKE_PROFIT",
            Conditions::TakeProfitLimit { .. } => "TAKE_PROFIT_LIMIT",
        }
    }

    const fn spot_tif(&self) -> Result<&'static str, EncodeError> {
        match self.tif {
            TimeInForce::Gtc => Ok("GTC"),
            TimeInForce::Ioc => Ok("IOC"),
            TimeInForce::Fok => Ok("FOK"),
            TimeInForce::Gtd(_) => Err(EncodeError::Unsupported("spot orders with an end")),
        }
    }

    /// Adds the parameters of a plain futures order.
    pub(crate) fn push_futures(&self, params: &mut Params) -> Result<(), EncodeError> {
        params.text("symbol", self.symbol).text("side", side(self.side));
        if !self.client_id.is_empty() {
            params.text("newClientOrderId", self.client_id);
        }
        params.text("newOrderRespType", "RESULT");
        let qty = self.qty.ok_or(EncodeError::Unsupported("futures orders by cost"))?;
        match self.kind {
            Conditions::Limit(price) | Conditions::PostOnly(price) => {
                params.text("type", "LIMIT").decimal("quantity", qty).decimal("price", price);
                self.push_futures_tif(params);
            }
            _ => {
                params.text("type", "MARKET").decimal("quantity", qty);
            }
        }
        self.push_futures_rest(params);
        Ok(())
    }

    fn push_futures_tif(&self, params: &mut Params) {
        match self.tif {
            _ if matches!(self.kind, Conditions::PostOnly(_)) => params.text("timeInForce", "GTX"),
            TimeInForce::Gtc => params.text("timeInForce", "GTC"),
            TimeInForce::Ioc => params.text("timeInForce", "IOC"),
            TimeInForce::Fok => params.text("timeInForce", "FOK"),
            TimeInForce::Gtd(at) => {
                params.text("timeInForce", "GTD").number("goodTillDate", at.0 / Nanos::MILLI)
            }
        };
    }

    fn push_futures_rest(&self, params: &mut Params) {
        if self.reduce_only && !self.close_position {
            params.text("reduceOnly", "true");
        }
        if let Some(side) = self.position_side {
            params.text("positionSide", side);
        }
        if let Some(mode) = self.self_trade_prevention {
            params.text("selfTradePreventionMode", mode);
        }
    }

    fn push_algo(&self, params: &mut Params) -> Result<(), EncodeError> {
        params.text("algoType", "CONDITIONAL").text("symbol", self.symbol);
        params.text("side", side(self.side));
        if !self.client_id.is_empty() {
            params.text("clientAlgoId", self.client_id);
        }
        params.text("newOrderRespType", "RESULT").text("type", self.algo_type());
        match self.qty {
            _ if self.close_position => params.text("closePosition", "true"),
            Some(qty) => params.decimal("quantity", qty),
            None => return Err(EncodeError::Unsupported("futures orders by cost")),
        };
        match self.kind {
            Conditions::Stop(trigger) | Conditions::TakeProfit(trigger) => {
                params.decimal("triggerPrice", trigger);
            }
            Conditions::StopLimit { trigger, price }
            | Conditions::TakeProfitLimit { trigger, price } => {
                params.decimal("price", price).decimal("triggerPrice", trigger);
                if self.tif != TimeInForce::Gtc {
                    self.push_futures_tif(params);
                }
            }
            Conditions::Trailing { callback, activation } => {
                params.decimal("callbackRate", callback);
                if let Some(activation) = activation {
                    params.decimal("activatePrice", activation);
                }
            }
            Conditions::Market | Conditions::Limit(_) | Conditions::PostOnly(_) => {}
        }
        if let Some(working) = self.working_type {
            params.text("workingType", working);
        }
        self.push_futures_rest(params);
        Ok(())
    }

    const fn algo_type(&self) -> &'static str {
        match self.kind {
            Conditions::Market | Conditions::Limit(_) | Conditions::PostOnly(_) => "",
            Conditions::Stop(_) => "STOP_MARKET",
            Conditions::StopLimit { .. } => "STOP",
            Conditions::TakeProfit(_) => "TAKE_PROFIT_MARKET",
            Conditions::TakeProfitLimit { .. } => "TAKE_PROFIT",
            Conditions::Trailing { .. } => "TRAILING_STOP_MARKET",
        }
    }

    /// Appends the order as an element of a batch (futures): JSON with texts for values.
    ///
    /// # Errors
    ///
    /// If it cannot be in a batch.
    pub fn push_batch_element(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if self.is_conditional() {
            return Err(EncodeError::Unsupported("conditional orders in batches"));
        }
        let mut params = Params::new();
        self.push_futures(&mut params)?;
        out.push(b'{');
        params.push_json(out);
        out.push(b'}');
        Ok(())
    }
}

/// One leg of a list of orders (spot).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leg<'a> {
    /// Price conditions.
    pub kind: Conditions,
    /// How long it lives; for kinds that take it.
    pub tif: TimeInForce,
    /// Our name of it; empty to leave it to the venue.
    pub client_id: &'a str,
}

/// The names of a leg's parameters.
struct LegNames {
    kind: &'static str,
    client_id: &'static str,
    price: &'static str,
    trigger: &'static str,
    tif: &'static str,
}

macro_rules! leg_names {
    ($name:ident, $prefix:literal) => {
        const $name: LegNames = LegNames {
            kind: concat!($prefix, "Type"),
            client_id: concat!($prefix, "ClientOrderId"),
            price: concat!($prefix, "Price"),
            trigger: concat!($prefix, "StopPrice"),
            tif: concat!($prefix, "TimeInForce"),
        };
    };
}

leg_names!(ABOVE, "above");
leg_names!(BELOW, "below");
leg_names!(WORKING, "working");
leg_names!(PENDING, "pending");
leg_names!(PENDING_ABOVE, "pendingAbove");
leg_names!(PENDING_BELOW, "pendingBelow");

impl Leg<'_> {
    fn push(&self, names: &LegNames, params: &mut Params) -> Result<(), EncodeError> {
        let order =
            NewOrder { tif: self.tif, ..NewOrder::new("", Side::Buy, self.kind, self.client_id) };
        params.text(names.kind, order.spot_type());
        if !self.client_id.is_empty() {
            params.text(names.client_id, self.client_id);
        }
        match self.kind {
            Conditions::Market => {}
            Conditions::PostOnly(price) => {
                params.decimal(names.price, price);
            }
            Conditions::Limit(price) => {
                params.decimal(names.price, price).text(names.tif, order.spot_tif()?);
            }
            Conditions::Stop(trigger) | Conditions::TakeProfit(trigger) => {
                params.decimal(names.trigger, trigger);
            }
            Conditions::StopLimit { trigger, price }
            | Conditions::TakeProfitLimit { trigger, price } => {
                params.decimal(names.price, price).decimal(names.trigger, trigger);
                params.text(names.tif, order.spot_tif()?);
            }
            Conditions::Trailing { .. } => {
                return Err(EncodeError::Unsupported("trailing orders in lists"));
            }
        }
        Ok(())
    }
}

/// A list of orders (spot).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OrderList<'a> {
    /// Two orders of which one cancels the other. `above` is the one with the higher price.
    Oco {
        /// Side of both.
        side: Side,
        /// Quantity of both.
        qty: Decimal,
        /// The one above the market.
        above: Leg<'a>,
        /// The one below.
        below: Leg<'a>,
    },
    /// An order, and another that is placed once it is filled.
    Oto {
        /// Side of the first.
        side: Side,
        /// Its quantity.
        qty: Decimal,
        /// The first: a limit.
        working: Leg<'a>,
        /// Side of the second.
        pending_side: Side,
        /// Its quantity.
        pending_qty: Decimal,
        /// The second.
        pending: Leg<'a>,
    },
    /// An order, and a cancelling pair that is placed once it is filled.
    Otoco {
        /// Side of the first.
        side: Side,
        /// Its quantity.
        qty: Decimal,
        /// The first: a limit.
        working: Leg<'a>,
        /// Side of the pair.
        pending_side: Side,
        /// Its quantity.
        pending_qty: Decimal,
        /// The one of the pair above the market.
        above: Leg<'a>,
        /// The one below; `None` for only one.
        below: Option<Leg<'a>>,
    },
}

impl OrderList<'_> {
    /// Adds the list's parameters and returns what places it. `list_id` may be empty.
    ///
    /// # Errors
    ///
    /// If a leg cannot be in such a list.
    pub fn place(
        &self,
        symbol: &str,
        list_id: &str,
        params: &mut Params,
    ) -> Result<Operation, EncodeError> {
        params.text("symbol", symbol);
        if !list_id.is_empty() {
            params.text("listClientOrderId", list_id);
        }
        params.text("newOrderRespType", "RESULT");
        let first = |params: &mut Params, own: Side, qty: Decimal| {
            params.text("workingSide", side(own)).decimal("workingQuantity", qty);
        };
        match self {
            Self::Oco { side: own, qty, above, below } => {
                params.text("side", side(*own)).decimal("quantity", *qty);
                above.push(&ABOVE, params)?;
                below.push(&BELOW, params)?;
                Ok(spot::OCO)
            }
            Self::Oto { side: own, qty, working, pending_side, pending_qty, pending } => {
                first(params, *own, *qty);
                working.push(&WORKING, params)?;
                params.text("pendingSide", side(*pending_side));
                params.decimal("pendingQuantity", *pending_qty);
                pending.push(&PENDING, params)?;
                Ok(spot::OTO)
            }
            Self::Otoco { side: own, qty, working, pending_side, pending_qty, above, below } => {
                first(params, *own, *qty);
                working.push(&WORKING, params)?;
                params.text("pendingSide", side(*pending_side));
                params.decimal("pendingQuantity", *pending_qty);
                above.push(&PENDING_ABOVE, params)?;
                if let Some(below) = below {
                    below.push(&PENDING_BELOW, params)?;
                }
                Ok(spot::OTOCO)
            }
        }
    }
}

/// Returns the venue's word for a side.
pub(crate) const fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}
