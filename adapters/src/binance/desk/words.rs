//! Requests in the venue's words.

use tercel_core::{InstrumentId, Nanos, OrderKind, OrderSpec, Side};

use super::super::hosts::Product;
use super::super::operation::{Operation, spot, usdm};
use super::super::order::{Conditions, Leg, NewOrder, OrderList, side};
use super::{Content, Desk, Instead, Kind, Way};
use crate::client_id::OrderKey;
use crate::protocol::{Answer, EncodeError, FillCursor, News, Outbox, Request, RequestId, Tagged};

impl Desk {
    /// Puts a request into words.
    pub(crate) fn encode(
        &mut self,
        tagged: &Tagged,
        way: Way,
        now: Nanos,
        out: &mut Outbox,
    ) -> Result<(), EncodeError> {
        let id = tagged.id;
        self.params.clear();
        match &tagged.request {
            Request::Place { key, spec } => {
                let name = self.directory.name(*key);
                let instrument =
                    self.directory.instrument(spec.instrument).ok_or(EncodeError::NotReady)?;
                let order = NewOrder::of_spec(spec, instrument, &name);
                let operation = order.place(self.product, &mut self.params)?;
                let is_algo = operation == usdm::PLACE_ALGO;
                let content = if is_algo { Content::Algo } else { Content::Order };
                self.say(&operation, id, content, None, way, now, out);
            }
            Request::Amend { key, venue_order_id, spec, price, qty } => {
                let operation = self.amend(*key, venue_order_id, spec, *price, *qty)?;
                let content = match self.product {
                    Product::Spot => Content::Amended,
                    Product::UsdMargined => Content::Order,
                };
                self.say(&operation, id, content, None, way, now, out);
            }
            Request::CancelReplace { key, new_key, spec, only_unfilled } => {
                if self.product != Product::Spot {
                    return Err(EncodeError::Unsupported("withdraw-and-place in one step"));
                }
                let name = self.directory.name(*new_key);
                let old = self.directory.name(*key);
                let instrument =
                    self.directory.instrument(spec.instrument).ok_or(EncodeError::NotReady)?;
                NewOrder::of_spec(spec, instrument, &name).push_spot(&mut self.params)?;
                self.params.text("cancelReplaceMode", "STOP_ON_FAILURE");
                self.params.text("cancelOrigClientOrderId", &old);
                if *only_unfilled {
                    self.params.text("cancelRestrictions", "ONLY_NEW");
                }
                let content = Content::Replaced { new_key: *new_key, spec: *spec };
                self.say(&spot::REPLACE, id, content, None, way, now, out);
            }
            Request::Cancel { key, venue_order_id, instrument } => {
                self.one(true, *key, venue_order_id, *instrument, id, way, now, out)?;
            }
            Request::QueryOrder { key, venue_order_id, instrument } => {
                self.one(false, *key, venue_order_id, *instrument, id, way, now, out)?;
            }
            Request::CancelAll { instrument } => {
                let operations: &[Operation] = match self.product {
                    Product::Spot => &[spot::CANCEL_ALL],
                    Product::UsdMargined => &[usdm::CANCEL_ALL, usdm::CANCEL_ALL_ALGO],
                };
                for operation in operations {
                    self.params.clear();
                    self.push_symbol(*instrument)?;
                    self.say(operation, id, Content::Nothing, None, way, now, out);
                }
            }
            Request::OpenOrders { instrument } => {
                let plain = match (self.product, instrument) {
                    (Product::Spot, Some(_)) => spot::OPEN_ORDERS,
                    (Product::Spot, None) => spot::ALL_OPEN_ORDERS,
                    (Product::UsdMargined, Some(_)) => usdm::OPEN_ORDERS,
                    (Product::UsdMargined, None) => usdm::ALL_OPEN_ORDERS,
                };
                if let Some(instrument) = instrument {
                    self.push_symbol(*instrument)?;
                }
                self.say(&plain, id, Content::Orders, None, way, now, out);
                if self.product == Product::UsdMargined {
                    self.params.clear();
                    if let Some(instrument) = instrument {
                        self.push_symbol(*instrument)?;
                    }
                    self.say(&usdm::OPEN_ALGOS, id, Content::Algos, None, way, now, out);
                }
            }
            Request::OrderHistory { instrument, since } => {
                let kinds: &[Kind] = match self.product {
                    Product::Spot => &[Kind::Plain],
                    Product::UsdMargined => &[Kind::Plain, Kind::Algo],
                };
                for kind in kinds {
                    self.params.clear();
                    self.push_symbol(*instrument)?;
                    self.params.number("startTime", since.0.div_euclid(Nanos::MILLI));
                    self.say_history(*instrument, *kind, 0, id, way, now, out);
                }
            }
            Request::Fills { instrument, since } => {
                self.push_symbol(*instrument)?;
                match *since {
                    FillCursor::Since(at) => {
                        self.params.number("startTime", at.0.div_euclid(Nanos::MILLI));
                    }
                    FillCursor::After(trade) => {
                        let next = i64::try_from(trade).unwrap_or(i64::MAX).saturating_add(1);
                        self.params.number("fromId", next);
                    }
                }
                self.params.number("limit", 1_000);
                let operation = match self.product {
                    Product::Spot => spot::FILLS,
                    Product::UsdMargined => usdm::FILLS,
                };
                self.say(&operation, id, Content::Fills, None, way, now, out);
            }
            Request::Balances => {
                let operation = match self.product {
                    Product::Spot => {
                        self.params.boolean("omitZeroBalances", true);
                        spot::ACCOUNT
                    }
                    Product::UsdMargined => usdm::BALANCES,
                };
                self.say(&operation, id, Content::Holdings, None, way, now, out);
            }
            Request::Positions => match self.product {
                Product::Spot => {
                    let outcome = Ok(Answer::Positions(Vec::new()));
                    out.news.push(News::Answered { request: id, outcome });
                }
                Product::UsdMargined => {
                    self.say(&usdm::POSITIONS, id, Content::Positions, None, way, now, out);
                }
            },
            Request::SetLeverage { instrument, leverage } => {
                self.futures_only("leverage")?;
                self.push_symbol(*instrument)?;
                self.params.number("leverage", i64::from(*leverage));
                self.say(&usdm::LEVERAGE, id, Content::Nothing, None, way, now, out);
            }
            Request::SetMarginMode { instrument, isolated } => {
                self.futures_only("margin modes")?;
                self.push_symbol(*instrument)?;
                self.params.text("marginType", if *isolated { "ISOLATED" } else { "CROSSED" });
                self.say(&usdm::MARGIN, id, Content::Nothing, None, way, now, out);
            }
            Request::SetHedgeMode { hedge } => {
                self.futures_only("position modes")?;
                self.params.boolean("dualSidePosition", *hedge);
                self.say(&usdm::SET_MODE, id, Content::Nothing, None, way, now, out);
            }
            Request::PlaceOco {
                list,
                limit_key,
                stop_key,
                instrument,
                side,
                qty,
                limit_price,
                stop_trigger,
                stop_price,
            } => {
                if self.product != Product::Spot {
                    return Err(EncodeError::Unsupported("cancelling pairs"));
                }
                let known = self.directory.instrument(*instrument).ok_or(EncodeError::NotReady)?;
                let trigger = known.price_decimal(*stop_trigger);
                let names = [*list, *limit_key, *stop_key].map(|key| self.directory.name(key));
                let tif = tercel_core::TimeInForce::Gtc;
                let limit = Leg {
                    kind: Conditions::PostOnly(known.price_decimal(*limit_price)),
                    tif,
                    client_id: &names[1],
                };
                let stop = Leg {
                    kind: match stop_price {
                        Some(price) => {
                            let price = known.price_decimal(*price);
                            Conditions::StopLimit { trigger, price }
                        }
                        None => Conditions::Stop(trigger),
                    },
                    tif,
                    client_id: &names[2],
                };
                // A seller takes profit above the market and stops below it.
                let (above, below) = match side {
                    Side::Sell => (limit, stop),
                    Side::Buy => (stop, limit),
                };
                let qty = known.quantity_decimal(*qty);
                let pair = OrderList::Oco { side: *side, qty, above, below };
                let operation = pair.place(&known.spec.symbol, &names[0], &mut self.params)?;
                self.say(&operation, id, Content::Nothing, None, way, now, out);
            }
        }
        Ok(())
    }

    const fn futures_only(&self, what: &'static str) -> Result<(), EncodeError> {
        match self.product {
            Product::Spot => Err(EncodeError::Unsupported(what)),
            Product::UsdMargined => Ok(()),
        }
    }

    /// Asks for the next page of an instrument's orders: those from a number on.
    #[expect(clippy::too_many_arguments, reason = "all of it is one exchange")]
    pub(super) fn ask_history(
        &mut self,
        instrument: InstrumentId,
        kind: Kind,
        from: i64,
        id: RequestId,
        way: Way,
        now: Nanos,
        out: &mut Outbox,
    ) {
        self.params.clear();
        // Its first page was asked for by the same symbol.
        if self.push_symbol(instrument).is_ok() {
            let name = match kind {
                Kind::Plain => "orderId",
                Kind::Algo => "algoId",
            };
            self.params.number(name, from);
            self.say_history(instrument, kind, from, id, way, now, out);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "all of it is one exchange")]
    fn say_history(
        &mut self,
        instrument: InstrumentId,
        kind: Kind,
        from: i64,
        id: RequestId,
        way: Way,
        now: Nanos,
        out: &mut Outbox,
    ) {
        self.params.number("limit", 1_000);
        let operation = match (self.product, kind) {
            (Product::Spot, _) => spot::ORDERS,
            (Product::UsdMargined, Kind::Plain) => usdm::ORDERS,
            (Product::UsdMargined, Kind::Algo) => usdm::ALGOS,
        };
        let content = Content::History { instrument, kind, from };
        self.say(&operation, id, content, None, way, now, out);
    }

    pub(super) fn push_symbol(&mut self, instrument: InstrumentId) -> Result<(), EncodeError> {
        let symbol = self.directory.symbol(instrument).ok_or(EncodeError::NotReady)?;
        self.params.text("symbol", symbol);
        Ok(())
    }

    fn amend(
        &mut self,
        key: OrderKey,
        venue_order_id: &str,
        spec: &OrderSpec,
        price: tercel_core::Price,
        qty: tercel_core::Quantity,
    ) -> Result<Operation, EncodeError> {
        let known = self.directory.instrument(spec.instrument).ok_or(EncodeError::NotReady)?;
        let (price, qty, before) =
            (known.price_decimal(price), known.quantity_decimal(qty), spec.kind.limit_price());
        self.params.text("symbol", &known.spec.symbol);
        let name = self.directory.name(key);
        if venue_order_id.is_empty() {
            self.params.text("origClientOrderId", &name);
        } else {
            self.params.id("orderId", venue_order_id);
        }
        match self.product {
            // Spot only lessens quantities; price and queue stay.
            Product::Spot => {
                if before != known.price(price).ok() {
                    return Err(EncodeError::Unsupported("amendment of a price"));
                }
                self.params.decimal("newQty", qty).text("newClientOrderId", &name);
                Ok(spot::AMEND)
            }
            Product::UsdMargined => {
                if !matches!(spec.kind, OrderKind::Limit { .. }) {
                    return Err(EncodeError::Unsupported("amendment of conditional orders"));
                }
                self.params.text("side", side(spec.side));
                self.params.decimal("quantity", qty).decimal("price", price);
                Ok(usdm::AMEND)
            }
        }
    }

    /// Withdraws or asks for one order. The number of a conditional one begins with an `a`.
    #[expect(clippy::too_many_arguments, reason = "the fields of two requests")]
    fn one(
        &mut self,
        is_cancel: bool,
        key: OrderKey,
        venue_order_id: &str,
        instrument: InstrumentId,
        id: RequestId,
        way: Way,
        now: Nanos,
        out: &mut Outbox,
    ) -> Result<(), EncodeError> {
        let algo = venue_order_id.strip_prefix('a');
        let instead = (self.product == Product::UsdMargined).then_some(Instead {
            is_cancel,
            to_algo: algo.is_none(),
            key,
            instrument,
        });
        match algo {
            Some(algo) if self.product == Product::UsdMargined => {
                self.params.id("algoId", algo);
                let operation = if is_cancel { usdm::CANCEL_ALGO } else { usdm::ALGO };
                let content = if is_cancel { Content::AlgoGone } else { Content::Algo };
                self.say(&operation, id, content, instead, way, now, out);
            }
            _ => {
                self.push_symbol(instrument)?;
                if venue_order_id.is_empty() {
                    let name = self.directory.name(key);
                    self.params.text("origClientOrderId", &name);
                } else {
                    self.params.id("orderId", venue_order_id);
                }
                let operation = match (self.product, is_cancel) {
                    (Product::Spot, true) => spot::CANCEL,
                    (Product::Spot, false) => spot::ORDER,
                    (Product::UsdMargined, true) => usdm::CANCEL,
                    (Product::UsdMargined, false) => usdm::ORDER,
                };
                self.say(&operation, id, Content::Order, instead, way, now, out);
            }
        }
        Ok(())
    }
}
