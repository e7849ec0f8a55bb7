//! Requests of one account: into the venue's words, and its answers back.
//!
//! A request may take several exchanges: futures keep conditional orders apart, so "all open
//! orders" are two questions, and an order that is not known among the plain ones is looked for
//! among the conditional ones. Each request is answered once, when its last exchange is.

use std::collections::BTreeMap;

use tercel_core::{InstrumentId, Nanos, OrderKind, OrderSpec, Side};

use super::directory::Directory;
use super::errors;
use super::hosts::Product;
use super::operation::{Operation, spot, usdm};
use super::order::{Conditions, Leg, NewOrder, OrderList, side};
use super::params::Params;
use super::signed::{Proof, Signed};
use super::user;
use crate::client_id::OrderKey;
use crate::document::{Document, Fields, Value, items};
use crate::error::{ErrorKind, VenueError};
use crate::limits::{LimitKind, Usage};
use crate::protocol::{
    Answer, CallAnswer, CallId, CallOutcome, Cost, EncodeError, FillCursor, News, OrderNews,
    OrderStatus, Outbox, Request, RequestId, Tagged, VenueText,
};

/// A frame that is not answered by then is taken for lost.
const ANSWER_WITHIN_NS: i64 = 10 * Nanos::SECOND;
/// Executions that are asked for at once.
const FILLS_A_PAGE: usize = 1_000;

/// Puts requests into words and understands the answers.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) product: Product,
    pub(crate) directory: Directory,
    pub(crate) signed: Signed,
    params: Params,
    /// Away while it is being read.
    document: Option<Document>,
    next_exchange: u64,
    exchanges: BTreeMap<u64, Exchange>,
    open: BTreeMap<RequestId, Open>,
}

/// Something that was said to the venue and is to be answered.
#[derive(Clone, Copy, Debug)]
struct Exchange {
    request: RequestId,
    content: Content,
    /// What to ask if the venue does not know the order.
    instead: Option<Instead>,
    /// `None` for a call, which its driver answers in any case.
    late_at: Option<Nanos>,
}

/// What an answer holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Content {
    /// An order.
    Order,
    /// A conditional order (futures).
    Algo,
    /// Word that a conditional order was withdrawn (futures), which does not show it.
    AlgoGone,
    /// An order that was amended (spot).
    Amended,
    /// Both orders of a withdraw-and-place (spot).
    Replaced { new_key: OrderKey, spec: OrderSpec },
    /// A list of orders.
    Orders,
    /// A list of conditional orders (futures).
    Algos,
    /// Executions.
    Fills,
    /// Holdings.
    Holdings,
    /// Positions.
    Positions,
    /// Nothing that matters.
    Nothing,
}

/// The same asked of the other kind of orders (futures).
#[derive(Clone, Copy, Debug)]
struct Instead {
    is_cancel: bool,
    /// Whether the other kind is the conditional one.
    to_algo: bool,
    key: OrderKey,
    instrument: InstrumentId,
}

/// A request of which not all exchanges are answered.
#[derive(Debug, Default)]
struct Open {
    n_left: usize,
    orders: Option<Vec<OrderNews>>,
    failed: Option<VenueError>,
}

/// Which way words go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// As frames with this proof, where the venue has a frame for it.
    Frames(Proof),
    /// As calls.
    Calls,
}

impl Desk {
    pub(crate) fn new(product: Product, directory: Directory, signed: Signed) -> Self {
        Self {
            product,
            directory,
            signed,
            params: Params::new(),
            document: None,
            next_exchange: 1,
            exchanges: BTreeMap::new(),
            open: BTreeMap::new(),
        }
    }

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
                let asked: &[(Operation, Content)] = match self.product {
                    Product::Spot => &[(spot::ORDERS, Content::Orders)],
                    Product::UsdMargined => {
                        &[(usdm::ORDERS, Content::Orders), (usdm::ALGOS, Content::Algos)]
                    }
                };
                for (operation, content) in asked {
                    self.params.clear();
                    self.push_symbol(*instrument)?;
                    self.params.number("startTime", since.0.div_euclid(Nanos::MILLI));
                    self.params.number("limit", 1_000);
                    self.say(operation, id, *content, None, way, now, out);
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

    fn push_symbol(&mut self, instrument: InstrumentId) -> Result<(), EncodeError> {
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

    /// Says what stands in the parameters.
    #[expect(clippy::too_many_arguments, reason = "all of it is one exchange")]
    fn say(
        &mut self,
        operation: &Operation,
        request: RequestId,
        content: Content,
        instead: Option<Instead>,
        way: Way,
        now: Nanos,
        out: &mut Outbox,
    ) {
        let exchange = self.next_exchange;
        self.next_exchange += 1;
        let frame = match way {
            Way::Frames(proof) => operation.ws.map(|method| (method, proof)),
            Way::Calls => None,
        };
        let late_at = frame.map(|_| now.plus(ANSWER_WITHIN_NS));
        self.exchanges.insert(exchange, Exchange { request, content, instead, late_at });
        self.open.entry(request).or_default().n_left += 1;
        match frame {
            Some((method, proof)) => {
                let (signed, params) = (&mut self.signed, &mut self.params);
                let id = number(exchange);
                out.frame(operation.cost, |text| {
                    signed.push_frame(&id, method, params, proof, now, text);
                });
            }
            None => {
                let id = CallId(exchange);
                out.calls.push(self.signed.call(operation, &mut self.params, id, now));
            }
        }
    }

    /// Says something that is no request's, such as a login. Its answer is the caller's to know,
    /// by `id`, a text without quotes.
    pub(crate) fn say_apart(
        &mut self,
        id: &str,
        method: &str,
        cost: Cost,
        proof: Proof,
        now: Nanos,
        out: &mut Outbox,
    ) {
        self.params.clear();
        let (signed, params) = (&mut self.signed, &mut self.params);
        out.frame(cost, |text| {
            signed.push_frame(&format!("\"{id}\""), method, params, proof, now, text);
        });
    }

    /// Returns a call that is no request's, with a number of its own.
    pub(crate) fn call_apart(
        &mut self,
        operation: &Operation,
        now: Nanos,
        out: &mut Outbox,
    ) -> CallId {
        let id = CallId(self.next_exchange);
        self.next_exchange += 1;
        self.params.clear();
        out.calls.push(self.signed.call(operation, &mut self.params, id, now));
        id
    }

    /// Reads a document with the account's buffers.
    pub(crate) fn read<T>(
        &mut self,
        bytes: &[u8],
        look: impl FnOnce(Value<'_, '_>) -> T,
    ) -> Result<T, crate::protocol::DecodeError> {
        self.document.get_or_insert_with(Document::new).read(bytes, look)
    }

    /// Takes a message of the WebSocket API: an answer to a request, or something that `other`
    /// understands.
    pub(crate) fn take_frame<T>(
        &mut self,
        bytes: &[u8],
        way: Way,
        now: Nanos,
        out: &mut Outbox,
        other: impl FnOnce(&Directory, Value<'_, '_>, &mut Vec<News>) -> T,
    ) -> Result<Option<T>, crate::protocol::DecodeError> {
        let mut document = self.document.take().unwrap_or_else(Document::new);
        let taken = document.read(bytes, |value| {
            let id = value
                .field("id")
                .and_then(|id| u64::try_from(simd_json::prelude::ValueAsScalar::as_i64(&id)?).ok());
            push_usage(value, &mut out.usage);
            let Some(exchange) = id.and_then(|id| self.exchanges.remove(&id)) else {
                return Some(other(&self.directory, value, &mut out.news));
            };
            let status = value.integer("status").and_then(|status| u16::try_from(status).ok());
            let status = status.unwrap_or(0);
            match (value.field("result"), value.field("error")) {
                (Some(result), None) => {
                    self.understood(&exchange, result, out);
                }
                (_, Some(error)) => {
                    let refusal = errors::of_frame(self.product, status, error);
                    let data = error.field("data");
                    self.refused(&exchange, refusal, data, way, now, out);
                }
                (None, None) => {
                    self.close(exchange.request, Err(unknown("an answer without a result")), out);
                }
            }
            None
        });
        self.document = Some(document);
        taken
    }

    /// Takes the answer to a call; returns it if it is no request's.
    pub(crate) fn take_call<'a>(
        &mut self,
        answer: &CallAnswer<'a>,
        way: Way,
        now: Nanos,
        out: &mut Outbox,
    ) -> Option<CallOutcome<'a>> {
        let Some(exchange) = self.exchanges.remove(&answer.id.0) else {
            return Some(answer.outcome);
        };
        match answer.outcome {
            CallOutcome::Answered { status: 200, body, .. } => {
                let mut document = self.document.take().unwrap_or_else(Document::new);
                let read = document.read(body, |value| {
                    // A withdrawn conditional order is confirmed by a code.
                    self.understood(&exchange, value, out);
                });
                self.document = Some(document);
                if read.is_err() {
                    self.close(exchange.request, Err(unknown("an answer that is no JSON")), out);
                }
            }
            CallOutcome::Answered { status, body, retry_after_s } => {
                let mut document = self.document.take().unwrap_or_else(Document::new);
                let refusal =
                    errors::of_answer(self.product, status, body, retry_after_s, &mut document);
                let refused = document.read(body, |value| {
                    let data = value.field("data");
                    self.refused(&exchange, refusal.clone(), data, way, now, out);
                });
                if refused.is_err() {
                    self.refused(&exchange, refusal, None, way, now, out);
                }
                self.document = Some(document);
            }
            CallOutcome::NotSent => {
                let error = VenueError {
                    kind: ErrorKind::NotSent,
                    code: VenueText::new(),
                    text: "not sent: no budget, no connection, or too late".to_owned(),
                    retry_after_s: None,
                };
                self.close(exchange.request, Err(error), out);
            }
            CallOutcome::Lost => {
                self.close(exchange.request, Err(unknown("no answer")), out);
            }
        }
        None
    }

    /// Closes exchanges whose answers are late. Returns when to look again.
    pub(crate) fn on_timer(&mut self, now: Nanos, out: &mut Outbox) -> Nanos {
        let late: Vec<u64> = self
            .exchanges
            .iter()
            .filter(|(_, exchange)| exchange.late_at.is_some_and(|at| at <= now))
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            if let Some(exchange) = self.exchanges.remove(&id) {
                self.close(exchange.request, Err(unknown("no answer in time")), out);
            }
        }
        let next = self.exchanges.values().filter_map(|exchange| exchange.late_at).min();
        next.unwrap_or(Nanos(i64::MAX))
    }

    /// Closes all that was said in frames: their answers will not come any more.
    pub(crate) fn disconnected(&mut self, out: &mut Outbox) {
        let frames: Vec<u64> = self
            .exchanges
            .iter()
            .filter(|(_, exchange)| exchange.late_at.is_some())
            .map(|(id, _)| *id)
            .collect();
        for id in frames {
            if let Some(exchange) = self.exchanges.remove(&id) {
                self.close(exchange.request, Err(unknown("the connection was lost")), out);
            }
        }
    }

    fn understood(&mut self, exchange: &Exchange, value: Value<'_, '_>, out: &mut Outbox) {
        let directory = &self.directory;
        let answer = match exchange.content {
            Content::Order => directory.order(value).map(|order| {
                let fills = directory.fills_of_order(value, &order);
                Answer::Order(order, fills)
            }),
            Content::Algo => directory.algo(value).map(|order| Answer::Order(order, Vec::new())),
            Content::Amended => value.field("amendedOrder").and_then(|order| {
                let mut order = directory.order(order)?;
                order.venue_at = super::directory::at(value, "transactTime");
                Some(Answer::Order(order, Vec::new()))
            }),
            Content::Replaced { .. } => {
                let both = value.field("data").unwrap_or(value);
                let old = both.field("cancelResponse").and_then(|old| directory.order(old));
                let new = both.field("newOrderResponse").and_then(|new| directory.order(new));
                old.zip(new).map(|(old, new)| Answer::Replaced { old, new })
            }
            Content::Orders => {
                let list = items(value).into_iter();
                Some(Answer::Orders(list.filter_map(|item| directory.order(item)).collect()))
            }
            Content::Algos => {
                let list = items(value).into_iter();
                Some(Answer::Orders(list.filter_map(|item| directory.algo(item)).collect()))
            }
            Content::Fills => {
                let list = items(value);
                let is_full = list.len() >= FILLS_A_PAGE;
                let mut fills: Vec<_> =
                    list.into_iter().filter_map(|item| directory.fill(item)).collect();
                fills.sort_by_key(|fill| fill.trade_id);
                Some(Answer::Fills(fills, is_full))
            }
            Content::Holdings => Some(Answer::Holdings(match self.product {
                Product::Spot => {
                    let at = super::directory::at(value, "updateTime");
                    let list = value.items("balances").into_iter();
                    list.filter_map(|item| directory.spot_holding(item, at)).collect()
                }
                Product::UsdMargined => {
                    let list = items(value).into_iter();
                    list.filter_map(|item| directory.futures_holding(item)).collect()
                }
            })),
            Content::Positions => Some(Answer::Positions(user::positions(directory, items(value)))),
            Content::AlgoGone | Content::Nothing => None,
        };
        self.close(exchange.request, Ok(answer.unwrap_or(Answer::Done)), out);
    }

    fn refused(
        &mut self,
        exchange: &Exchange,
        error: VenueError,
        data: Option<Value<'_, '_>>,
        way: Way,
        now: Nanos,
        out: &mut Outbox,
    ) {
        if let Content::Replaced { new_key, spec } = exchange.content {
            let outcome = self.half_replaced(new_key, &spec, error, data);
            self.close(exchange.request, outcome, out);
            return;
        }
        if error.kind == ErrorKind::UnknownOrder
            && let Some(instead) = exchange.instead
        {
            self.ask_instead(exchange.request, instead, way, now, out);
            self.close_part(exchange.request);
            return;
        }
        let is_as_wanted = error.kind == ErrorKind::NoChange
            // Nothing to withdraw is what withdrawing everything wants.
            || (exchange.content == Content::Nothing
                && error.kind == ErrorKind::UnknownOrder);
        let outcome = if is_as_wanted { Ok(Answer::Done) } else { Err(error) };
        self.close(exchange.request, outcome, out);
    }

    /// The order is not known among its own kind: it may be of the other.
    fn ask_instead(
        &mut self,
        request: RequestId,
        instead: Instead,
        way: Way,
        now: Nanos,
        out: &mut Outbox,
    ) {
        let name = self.directory.name(instead.key);
        self.params.clear();
        let (operation, content) = match (instead.to_algo, instead.is_cancel) {
            (true, true) => (usdm::CANCEL_ALGO, Content::AlgoGone),
            (true, false) => (usdm::ALGO, Content::Algo),
            (false, true) => (usdm::CANCEL, Content::Order),
            (false, false) => (usdm::ORDER, Content::Order),
        };
        if instead.to_algo {
            self.params.text("clientAlgoId", &name);
        } else {
            if self.push_symbol(instead.instrument).is_err() {
                return;
            }
            self.params.text("origClientOrderId", &name);
        }
        self.say(&operation, request, content, None, way, now, out);
    }

    /// What a refused withdraw-and-place has done: nothing, or half of it.
    fn half_replaced(
        &self,
        new_key: OrderKey,
        spec: &OrderSpec,
        error: VenueError,
        data: Option<Value<'_, '_>>,
    ) -> Result<Answer, VenueError> {
        let Some(data) = data else { return Err(error) };
        let told = |name: &str| {
            let part = data.field(name)?;
            let code = part.integer("code")?;
            let text = part.text("msg").unwrap_or_default();
            Some(errors::refusal(self.product, 400, code, text, None))
        };
        if data.text("cancelResult") != Some("SUCCESS") {
            // The order that was to go is as it was, and none has come.
            return Err(told("cancelResponse").unwrap_or(error));
        }
        let Some(old) = data.field("cancelResponse").and_then(|old| self.directory.order(old))
        else {
            return Err(VenueError { kind: ErrorKind::OutcomeUnknown, ..error });
        };
        let new = OrderNews {
            key: Some(new_key),
            venue_order_id: VenueText::new(),
            instrument: spec.instrument,
            status: OrderStatus::Rejected,
            side: spec.side,
            kind: spec.kind,
            qty: spec.qty,
            filled: tercel_core::Quantity::ZERO,
            venue_at: old.venue_at,
        };
        Ok(Answer::Replaced { old, new })
    }

    /// Notes that one exchange of a request is over without a word of its own.
    fn close_part(&mut self, request: RequestId) {
        if let Some(open) = self.open.get_mut(&request) {
            open.n_left -= 1;
        }
    }

    /// Notes an exchange's outcome, and answers the request if it was the last one.
    fn close(&mut self, request: RequestId, outcome: Result<Answer, VenueError>, out: &mut Outbox) {
        let Some(open) = self.open.get_mut(&request) else { return };
        open.n_left = open.n_left.saturating_sub(1);
        let outcome = match outcome {
            Ok(Answer::Orders(mut orders)) => {
                // Lists of several exchanges are put together.
                match &mut open.orders {
                    Some(own) => own.append(&mut orders),
                    None => open.orders = Some(orders),
                }
                Ok(Answer::Done)
            }
            Err(error) => {
                open.failed.get_or_insert(error);
                Ok(Answer::Done)
            }
            other => other,
        };
        if open.n_left > 0 {
            return;
        }
        let outcome = match self.open.remove(&request) {
            Some(Open { failed: Some(error), .. }) => Err(error),
            Some(Open { orders: Some(orders), .. }) => Ok(Answer::Orders(orders)),
            _ => outcome,
        };
        out.news.push(News::Answered { request, outcome });
    }
}

fn unknown(why: &str) -> VenueError {
    VenueError {
        kind: ErrorKind::OutcomeUnknown,
        code: VenueText::new(),
        text: why.to_owned(),
        retry_after_s: None,
    }
}

/// Returns a number as text.
fn number(value: u64) -> VenueText {
    use std::fmt::Write as _;
    let mut text = VenueText::new();
    // Twenty digits fit.
    let _ = write!(text, "{value}");
    text
}

/// Appends what an answer says about budgets.
fn push_usage(value: Value<'_, '_>, usage: &mut Vec<Usage>) {
    usage.extend(value.items("rateLimits").into_iter().filter_map(|limit| {
        let (kind, interval_ms) = limit_of(limit)?;
        let used = u32::try_from(limit.integer("count")?).ok()?;
        Some(Usage { kind, interval_ms, used })
    }));
}

/// Returns what a limit of the venue counts, and in which span.
pub(crate) fn limit_of(limit: Value<'_, '_>) -> Option<(LimitKind, u64)> {
    let kind = match limit.text("rateLimitType")? {
        "REQUEST_WEIGHT" => LimitKind::Weight,
        "ORDERS" => LimitKind::Orders,
        "RAW_REQUESTS" => LimitKind::Requests,
        "CONNECTIONS" => LimitKind::Connections,
        _ => return None,
    };
    let unit_ms = match limit.text("interval")? {
        "SECOND" => 1_000,
        "MINUTE" => 60_000,
        "HOUR" => 3_600_000,
        "DAY" => 86_400_000,
        _ => return None,
    };
    Some((kind, u64::try_from(limit.integer("intervalNum")?).ok()?.checked_mul(unit_ms)?))
}
