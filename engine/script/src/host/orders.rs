//! Functions that place, change, withdraw and look up orders.

use tercel_core::{
    ClientOrderId, Intent, Order, OrderKind, OrderSpec, Price, Quantity, Side, TimeInForce, View,
};

use super::market::side_number;
use super::{BoundMarket, Host, HostResult, OrderOptions, VIEW};
use crate::error::HostError;
use crate::number;

/// Bits of the counter in an order's number.
const COUNTER_BITS: u32 = 40;
/// Runs back that a number still tells apart: the rest of a float's 53 bits.
const MAX_RUNS_BACK: u64 = (1 << 13) - 1;

impl Host {
    /// `buy` and `sell` with a price, `market_buy` and `market_sell` without: returns the number of
    /// the order.
    pub(crate) fn place(
        &mut self,
        side: Side,
        qty: f64,
        price: Option<f64>,
        options: &OrderOptions,
    ) -> HostResult<f64> {
        self.market("an order", options.instrument, |_, _| ())?;
        let market = self.bound(options.instrument)?;
        let instrument = market.id;
        let placed = match spec(market, side, qty, price, options) {
            Some(spec) => self.intents.place(spec),
            None => self.intents.place_unrepresentable(instrument),
        };
        match placed {
            Ok(id) => Ok(self.order_number(id)),
            Err(error) => Err(self.too_many(error)),
        }
    }

    /// `replace(id, price, qty)`: asks for another price and total quantity.
    pub(crate) fn replace(&mut self, order: f64, price: f64, qty: f64) -> HostResult<()> {
        let id = self.order_id("replace", order)?;
        let known = VIEW.with(|view| view.order(id).map(|order| order.spec.instrument));
        let market = known
            .and_then(|instrument| self.markets.iter().find(|market| market.id == instrument))
            .map_or_else(|| self.bound(None), Ok)?;
        let intent = match (market.price.count(price), market.qty.count(qty)) {
            (Some(price), Some(qty)) => {
                Intent::Replace { id, price: Price(price), qty: Quantity(qty) }
            }
            _ => Intent::Unrepresentable { id, instrument: market.id },
        };
        self.push(intent)
    }

    /// `cancel(id)`: withdraws an order.
    pub(crate) fn cancel(&mut self, order: f64) -> HostResult<()> {
        let id = self.order_id("cancel", order)?;
        self.push(Intent::Cancel { id })
    }

    /// `cancel_all(instrument?)`: withdraws the strategy's orders, of one instrument or all.
    pub(crate) fn cancel_all(&mut self, instrument: Option<f64>) -> HostResult<()> {
        self.market("cancel_all", instrument, |_, _| ())?;
        let instrument = match instrument {
            Some(_) => Some(self.bound(instrument)?.id),
            None => None,
        };
        self.push(Intent::CancelAll { instrument })
    }

    /// `n_open_orders(instrument?)`: returns how many of the strategy's orders work.
    pub(crate) fn n_open_orders(&self, instrument: Option<f64>) -> HostResult<f64> {
        self.market("n_open_orders", instrument, |view, market| {
            let n = view.open_orders(market.id).count();
            number::float(i64::try_from(n).unwrap_or(i64::MAX))
        })
    }

    /// `open_orders(instrument?)`: returns the numbers of the strategy's working orders, oldest
    /// first.
    pub(crate) fn open_orders(&self, instrument: Option<f64>) -> HostResult<Vec<f64>> {
        self.market("open_orders", instrument, |view, market| {
            let mut ids: Vec<_> = view.open_orders(market.id).map(|order| order.id).collect();
            ids.sort_unstable();
            ids.into_iter().map(|id| self.order_number(id)).collect()
        })
    }

    /// `order_status(id)`: returns where an order stands; nothing once it is forgotten.
    pub(crate) fn order_status(&self, order: f64) -> HostResult<Option<&'static str>> {
        let id = self.order_id("order_status", order)?;
        let known = VIEW.with(|view: &View<'_>| view.order(id).map(|order| order.state.as_str()));
        Ok(known.or_else(|| self.is_of_this_call(id).then_some("pending")))
    }

    /// `order_pending(id)`: returns whether the venue has not answered the last request yet.
    pub(crate) fn order_pending(&self, order: f64) -> HostResult<bool> {
        let id = self.order_id("order_pending", order)?;
        let known = VIEW.with(|view: &View<'_>| {
            view.order(id)
                .map(|order| order.is_working() && (!order.acknowledged || order.pending.is_any()))
        });
        Ok(known.unwrap_or_else(|| self.is_of_this_call(id)))
    }

    /// `order_price(id)`: returns an order's limit price.
    pub(crate) fn order_price(&self, order: f64) -> HostResult<Option<f64>> {
        self.order("order_price", order, |market, order| {
            order.spec.kind.limit_price().map(|price| market.price.value(price.0))
        })
        .map(Option::flatten)
    }

    /// `order_qty(id)`: returns an order's total quantity.
    pub(crate) fn order_qty(&self, order: f64) -> HostResult<Option<f64>> {
        self.order("order_qty", order, |market, order| market.qty.value(order.spec.qty.0))
    }

    /// `order_filled(id)`: returns how much of an order has traded.
    pub(crate) fn order_filled(&self, order: f64) -> HostResult<Option<f64>> {
        self.order("order_filled", order, |market, order| market.qty.value(order.filled.0))
    }

    /// `order_side(id)`: returns 1 for a buy and -1 for a sell.
    pub(crate) fn order_side(&self, order: f64) -> HostResult<Option<f64>> {
        self.order("order_side", order, |_, order| side_number(order.spec.side))
    }

    /// Returns the number by which scripts know an order.
    pub(crate) fn order_number(&self, id: ClientOrderId) -> f64 {
        let runs_back = self.first_order_id.run().saturating_sub(id.run()).min(MAX_RUNS_BACK);
        let number = (runs_back << COUNTER_BITS) | id.counter();
        number::float(i64::try_from(number).unwrap_or(i64::MAX))
    }

    fn order_id(&self, function: &str, order: f64) -> HostResult<ClientOrderId> {
        self.view(function, |_| ())?;
        let id = number::whole(order).and_then(|number| u64::try_from(number).ok()).and_then(|n| {
            let run = self.first_order_id.run().checked_sub(n >> COUNTER_BITS)?;
            Some(ClientOrderId::new(u32::try_from(run).ok()?, n & ((1 << COUNTER_BITS) - 1)))
        });
        id.ok_or_else(|| HostError::wrong(format!("{function}: {order} is not an order's number")))
    }

    fn order<R>(
        &self,
        function: &str,
        order: f64,
        read: impl FnOnce(&BoundMarket, &Order) -> R,
    ) -> HostResult<Option<R>> {
        let id = self.order_id(function, order)?;
        Ok(VIEW.with(|view: &View<'_>| {
            let order = view.order(id)?;
            let market = self.markets.iter().find(|market| market.id == order.spec.instrument)?;
            Some(read(market, order))
        }))
    }

    const fn is_of_this_call(&self, id: ClientOrderId) -> bool {
        let next = self.intents.next_order_id();
        id.0 >= self.first_order_id.0 && id.0 < next.0
    }

    pub(super) fn push(&mut self, intent: Intent) -> HostResult<()> {
        match self.intents.push(intent) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.too_many(error)),
        }
    }

    #[cold]
    fn too_many(&mut self, error: tercel_core::TooManyIntents) -> HostError {
        self.break_bound(tercel_core::FaultKind::Intents, error.to_string())
    }
}

/// Returns the order in ticks and lots, `None` if it cannot be expressed in them.
fn spec(
    market: &BoundMarket,
    side: Side,
    qty: f64,
    price: Option<f64>,
    options: &OrderOptions,
) -> Option<OrderSpec> {
    let ticks = |price: f64| market.price.count(price).map(Price);
    let price = match price {
        Some(price) => Some(ticks(price)?),
        None => None,
    };
    let trigger = match options.stop {
        Some(stop) => Some(ticks(stop)?),
        None => None,
    };
    let (kind, tif) = match (price, trigger) {
        (None, None) => (OrderKind::Market, TimeInForce::Ioc),
        (Some(price), None) => (OrderKind::Limit { price }, TimeInForce::Gtc),
        (None, Some(trigger)) => (OrderKind::Stop { trigger }, TimeInForce::Gtc),
        (Some(price), Some(trigger)) => (OrderKind::StopLimit { trigger, price }, TimeInForce::Gtc),
    };
    Some(OrderSpec {
        instrument: market.id,
        side,
        kind,
        qty: Quantity(market.qty.count(qty)?),
        tif: options.tif.unwrap_or(tif),
        post_only: options.post_only,
        reduce_only: options.reduce_only,
    })
}
