//! One account at a venue: its gateway, its connections, its calls.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use tercel_core::{AccountId, Event, Nanos, OrderRequest};
use tercel_crash::{Point, point};

use crate::error::{ErrorKind, VenueError};
use crate::gateway::{Gateway, GatewayNotice, GatewayOut};
use crate::net::{Budget, CallDriver, Link, OffsetMeter, RequestError, Returned, Transport};
use crate::protocol::{CallId, Cost, EncodeError, News, Outbox, Priority, Tagged, VenueText};
use crate::venue::{Purpose, Venue};

/// What moves an account's [`Gateway`]: over any transport, on any thread, with the time that the
/// caller brings. No call blocks.
pub struct AccountDriver<T, C> {
    gateway: Gateway,
    links: Vec<Link<T>>,
    /// Whether the private stream behind each link is up.
    is_online: Vec<bool>,
    calls: C,
    out: Outbox,
    told: GatewayOut,
    /// Requests that have still to be put to a link.
    waiting: VecDeque<Tagged>,
    returned: Vec<(u32, Returned)>,
    timer_at: Nanos,
    time: Option<TimeKeeper>,
    /// What comparisons on the timer are to leave something of.
    budget: Option<Budget>,
}

/// What has to be left of the share for bulk before a comparison begins by itself. As comparisons
/// then never use more than that share and one of themselves, they leave to queries, orders and
/// cancels what is kept for those, however short the interval.
const COMPARISON: Cost = Cost { weight: 1, orders: 0, priority: Priority::Bulk };

/// Who asks the venue for its time.
struct TimeKeeper {
    venue: Arc<dyn Venue>,
    meter: OffsetMeter,
    n_asked: u64,
}

/// The tag of calls that no link has asked for.
const OWN: u32 = u32::MAX;

impl<T, C> std::fmt::Debug for AccountDriver<T, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountDriver")
            .field("gateway", &self.gateway)
            .field("is_online", &self.is_online)
            .finish_non_exhaustive()
    }
}

impl<T: Transport, C: CallDriver> AccountDriver<T, C> {
    /// Returns a driver that will connect with its first poll.
    #[must_use]
    pub fn new(gateway: Gateway, links: Vec<Link<T>>, calls: C) -> Self {
        Self {
            is_online: vec![false; links.len()],
            gateway,
            links,
            calls,
            out: Outbox::default(),
            told: GatewayOut::default(),
            waiting: VecDeque::new(),
            returned: Vec::new(),
            timer_at: Nanos(i64::MIN),
            time: None,
            budget: None,
        }
    }

    /// Also begins comparisons on the timer only while this budget has room for bulk: the interval
    /// stretches to what the venue grants.
    #[must_use]
    pub fn sparing(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Also follows the venue's clock, by which the account signs.
    #[must_use]
    pub fn following_time(mut self, venue: Arc<dyn Venue>, meter: OffsetMeter) -> Self {
        self.time = Some(TimeKeeper { venue, meter, n_asked: 0 });
        self
    }

    /// Returns whose driver it is.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        self.gateway.account()
    }

    /// Returns the gateway.
    #[must_use]
    pub const fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Returns the links.
    #[must_use]
    pub fn links(&self) -> &[Link<T>] {
        &self.links
    }

    /// Names who is to be woken when there is something to poll.
    pub fn wake_with(&mut self, waker: &Waker) {
        self.links.iter_mut().for_each(|link| link.wake_with(waker));
        self.calls.wake_with(waker);
    }

    /// Returns when a poll is needed at the latest, if nothing arrives before.
    #[must_use]
    pub fn next_deadline(&self) -> Nanos {
        let links = self.links.iter().map(Link::next_deadline);
        let time = self.time.as_ref().map_or(Nanos(i64::MAX), |time| time.meter.next_at());
        links.min().map_or(self.timer_at, |at| at.min(self.timer_at)).min(time)
    }

    /// Sends a request of the engine; what is known about it at once goes to `events`.
    pub fn send(&mut self, request: &OrderRequest, now: Nanos, events: &mut Vec<Event>) {
        self.gateway.send(request, now, &mut self.told);
        self.flush(now, events);
        // Its time limit may be the next thing to watch.
        self.timer_at = self.timer_at.min(now.plus(TIMER_LAG_NS));
    }

    /// Moves on with everything: reads, answers, keeps times. Appends what the engine is to know to
    /// `events` and returns how many messages and answers were handled.
    pub fn poll(&mut self, clock: &mut dyn FnMut() -> Nanos, events: &mut Vec<Event>) -> usize {
        let mut n = 0;
        for idx in 0..self.links.len() {
            n += self.links[idx].poll(clock, &mut self.out);
            self.tell_trouble(idx);
            if !self.out.is_empty() {
                let now = clock();
                self.absorb(idx, now);
                self.flush(now, events);
            }
        }
        let now = clock();
        let returned = &mut self.returned;
        n += self.calls.poll(now, &mut |tag, answer| returned.push((tag, answer.clone())));
        for (tag, answer) in std::mem::take(&mut self.returned) {
            if tag == OWN {
                self.time_answered(&answer, now);
                continue;
            }
            let Some(idx) = usize::try_from(tag).ok().filter(|idx| *idx < self.links.len()) else {
                continue;
            };
            self.links[idx].answer(&answer.answer(), answer.received_at, &mut self.out);
            self.tell_trouble(idx);
            self.absorb(idx, now);
            self.flush(now, events);
        }
        self.ask_time(now);
        if self.timer_at <= now {
            if let Some(budget) = &self.budget
                && self.gateway.compares_at() <= now
                && let Err(refusal) = budget.look(&COMPARISON, now)
            {
                self.gateway.compare_not_before(refusal.until);
            }
            self.timer_at = self.gateway.on_timer(now, &mut self.told);
            self.flush(now, events);
        }
        n
    }

    /// Compares the venue's books with ours now; returns whether that is begun, for which the account
    /// has to be connected. What comes out is told by notices and events.
    pub fn reconcile(&mut self, now: Nanos, events: &mut Vec<Event>) -> bool {
        let is_begun = self.gateway.reconcile_now(now, &mut self.told);
        self.flush(now, events);
        is_begun
    }

    /// Returns whether something is under way that is worth waiting for at the end.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.gateway.is_busy()
    }

    /// Hands over what people are to know.
    pub fn notices(&mut self, notices: &mut Vec<GatewayNotice>) {
        notices.append(&mut self.told.notices);
    }

    /// Says goodbye on all connections.
    pub fn close(&mut self, now: Nanos, events: &mut Vec<Event>) {
        for idx in 0..self.links.len() {
            self.links[idx].close(now, &mut self.out);
            self.absorb(idx, now);
            self.flush(now, events);
        }
    }

    /// Takes what a link has given: calls go out, news goes to the gateway.
    fn absorb(&mut self, idx: usize, now: Nanos) {
        let tag = u32::try_from(idx).unwrap_or(u32::MAX);
        for call in self.out.calls.drain(..) {
            point(Point::CallSubmit);
            self.calls.submit(tag, call, now);
            point(Point::CallSubmitted);
        }
        for news in std::mem::take(&mut self.out.news) {
            point(Point::NewsTaken);
            match news {
                News::Online | News::Offline => self.stream_changed(idx, news == News::Online, now),
                news => {
                    if let (News::Answered { outcome: Err(error), .. }, Some(time)) =
                        (&news, &mut self.time)
                        && error.kind == ErrorKind::Timestamp
                    {
                        time.meter.doubt(now);
                    }
                    self.gateway.news(&news, now, &mut self.told);
                }
            }
            point(Point::NewsTold);
        }
    }

    fn ask_time(&mut self, now: Nanos) {
        let Some(time) = &mut self.time else { return };
        if time.meter.asks(now) {
            time.n_asked += 1;
            let call = time.venue.server_time(CallId(time.n_asked));
            self.calls.submit(OWN, call, now);
        }
    }

    fn time_answered(&mut self, answer: &Returned, now: Nanos) {
        let Some(time) = &mut self.time else { return };
        let venue_at = answer.body().map(|body| time.venue.parse_server_time(body));
        match venue_at {
            Some(Ok(at)) => time.meter.measured(answer.sent_at, answer.received_at, at),
            Some(Err(_)) | None => time.meter.failed(now),
        }
    }

    /// The account is followed while all of its private streams are up, or, where orders and stream
    /// share a connection, while that is.
    fn stream_changed(&mut self, idx: usize, is_online: bool, now: Nanos) {
        self.is_online[idx] = is_online;
        let has_private = self.links.iter().any(|link| link.purpose() == Purpose::Private);
        let carries = if has_private { Purpose::Private } else { Purpose::Orders };
        let links = self.links.iter().zip(&self.is_online);
        let mut carrying = links.filter(|(link, _)| link.purpose() == carries);
        let is_followed = carrying.all(|(_, is_online)| *is_online);
        match (is_followed, self.gateway.is_online()) {
            (true, false) => self.gateway.news(&News::Online, now, &mut self.told),
            (false, true) => {
                let why = self.links[idx].last_loss().map(ToString::to_string);
                self.gateway.offline(why, now, &mut self.told);
            }
            (true, true) | (false, false) => {}
        }
    }

    fn tell_trouble(&mut self, idx: usize) {
        let link = &mut self.links[idx];
        if let Some(loss) = link.take_trouble() {
            let (purpose, why) = (link.purpose(), loss.to_string());
            self.told.notices.push(GatewayNotice::Unreachable { purpose, why });
        }
    }

    /// Carries what the gateway wants to the links, until nothing is left.
    fn flush(&mut self, now: Nanos, events: &mut Vec<Event>) {
        loop {
            events.append(&mut self.told.events);
            if !self.told.requests.is_empty() {
                self.waiting.extend(self.told.requests.drain(..));
                self.timer_at = self.timer_at.min(now.plus(TIMER_LAG_NS));
            }
            let Some(request) = self.waiting.pop_front() else { break };
            self.route(&request, now);
        }
        self.timer_at = self.timer_at.min(self.gateway.compares_at());
    }

    /// Puts a request to the first link that has words for it.
    fn route(&mut self, request: &Tagged, now: Nanos) {
        let mut refusal = None;
        for purpose in [Purpose::Orders, Purpose::Private] {
            for idx in 0..self.links.len() {
                if self.links[idx].purpose() != purpose {
                    continue;
                }
                match self.links[idx].request(request, now, &mut self.out) {
                    Ok(()) => {
                        self.absorb(idx, now);
                        return;
                    }
                    Err(RequestError::Encode(EncodeError::Unsupported(_))) if refusal.is_some() => {
                    }
                    Err(error) => refusal = Some(error),
                }
                self.absorb(idx, now);
            }
        }
        let error = refused(refusal.as_ref());
        let news = News::Answered { request: request.id, outcome: Err(error) };
        self.gateway.news(&news, now, &mut self.told);
    }
}

/// How soon the gateway's times are looked at again after something that may have set it one.
const TIMER_LAG_NS: i64 = 10 * Nanos::MILLI;

/// Returns the refusal of a request that never left.
fn refused(refusal: Option<&RequestError>) -> VenueError {
    let kind = match refusal {
        Some(RequestError::NoBudget { .. }) => ErrorKind::RateLimited,
        _ => ErrorKind::NotSent,
    };
    VenueError {
        kind,
        code: VenueText::new_const(),
        text: refusal.map_or_else(|| "no connection takes orders".to_owned(), ToString::to_string),
        retry_after_s: None,
    }
}
