//! Requests of one account: into the venue's words, and its answers back.
//!
//! A request may take several exchanges: futures keep conditional orders apart, so "all open
//! orders" are two questions, and an order that is not known among the plain ones is looked for
//! among the conditional ones. Each request is answered once, when its last exchange is.

mod outcomes;
mod words;

use std::collections::BTreeMap;

use tercel_core::{InstrumentId, Nanos, OrderSpec};

use super::directory::Directory;
use super::errors;
use super::hosts::Product;
use super::operation::Operation;
use super::params::Params;
use super::signed::{Proof, Signed};
use crate::client_id::OrderKey;
use crate::document::{Document, Fields, Value};
use crate::error::{ErrorKind, VenueError};
use crate::limits::{LimitKind, Usage};
use crate::protocol::{
    CallAnswer, CallId, CallOutcome, Cost, News, OrderNews, Outbox, RequestId, VenueText,
};

/// A frame that is not answered by then is taken for lost.
const ANSWER_WITHIN_NS: i64 = 10 * Nanos::SECOND;

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
    /// The order that came of a conditional one with this name (futures).
    Resulting { key: Option<OrderKey> },
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
    /// A page of an instrument's orders, ended ones included, from this number on.
    History { instrument: InstrumentId, kind: Kind, from: i64 },
    /// Executions.
    Fills,
    /// Holdings.
    Holdings,
    /// Positions.
    Positions,
    /// Nothing that matters.
    Nothing,
}

/// Which of a product's two services keeps an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Plain,
    /// Conditional orders of futures.
    Algo,
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
                    self.understood(&exchange, result, way, now, out);
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
                    self.understood(&exchange, value, way, now, out);
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
            CallOutcome::NotSent { why } => {
                let error = VenueError {
                    kind: ErrorKind::NotSent,
                    code: VenueText::new(),
                    text: format!("not sent: {why}"),
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

    /// Forgets a request of which nothing was sent.
    pub(crate) fn forget(&mut self, request: RequestId) {
        self.exchanges.retain(|_, exchange| exchange.request != request);
        self.open.remove(&request);
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
