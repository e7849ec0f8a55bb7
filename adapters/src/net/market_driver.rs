//! A venue's market data: its connections, its calls and its clock under one roof.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use tercel_core::{Event, InstrumentId, Nanos};

use super::call_driver::{CallDriver, Returned};
use super::limiter::Budget;
use super::link::{Link, LinkOptions, Loss};
use super::offset::OffsetMeter;
use super::quiet::QuietBooks;
use super::transport::Transport;
use crate::clock::ClockOffset;
use crate::listing::Listing;
use crate::protocol::{CallId, Outbox};
use crate::venue::{Topic, TopicKind, Venue};

/// What a [`MarketDriver`] is to bring, and how.
#[derive(Clone, Debug)]
pub struct MarketSetup<'a> {
    /// The venue's instruments.
    pub listing: &'a Listing,
    /// What is wanted, from all who listen.
    pub topics: &'a [Topic],
    /// What may be used of the venue's budgets.
    pub budget: Budget,
    /// Where the measured offset of the venue's clock goes.
    pub clock: ClockOffset,
    /// How links behave. Their seeds are derived from this one's.
    pub link: LinkOptions,
    /// Nanoseconds after which a book that nothing was heard of is fetched anew; waits double
    /// while it stays quiet. `i64::MAX` for never.
    pub quiet_ns: i64,
}

/// A venue's market data, over any transport. Every topic is carried once, whoever listens.
///
/// Owns no thread and no clock: whoever polls it brings the time. Never blocks.
pub struct MarketDriver<T, C> {
    venue: Arc<dyn Venue>,
    links: Vec<Link<T>>,
    calls: C,
    meter: OffsetMeter,
    quiet: QuietBooks,
    resyncs: ResyncHandle,
    outbox: Outbox,
    n_clock_calls: u64,
    is_online: bool,
    tell: Box<dyn FnMut(MarketNotice) + Send>,
}

/// What people are to know of a market's connections.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MarketNotice {
    /// All of them are up.
    Online,
    /// They were, and one of them is not any more.
    Offline {
        /// Why, where that is known.
        why: Option<Loss>,
    },
    /// One of them fails attempt after attempt. Told once for each reason, until it has held.
    Unreachable {
        /// Why the last attempt failed.
        why: Loss,
    },
}

/// The tag of calls that ask for the venue's time; links' own tags are their numbers.
const CLOCK_TAG: u32 = u32::MAX;

impl<T, C: std::fmt::Debug> std::fmt::Debug for MarketDriver<T, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MarketDriver")
            .field("venue", &self.venue.name())
            .field("links", &self.links)
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

impl<T: Transport, C: CallDriver> MarketDriver<T, C> {
    /// Returns a driver that connects with its first poll. `dial` makes transports.
    #[must_use]
    pub fn new(
        venue: Arc<dyn Venue>,
        setup: &MarketSetup<'_>,
        calls: C,
        dial: impl Fn() -> T + Clone + Send + 'static,
    ) -> Self {
        let links = venue
            .market(setup.listing, setup.topics)
            .into_iter()
            .zip(0..)
            .map(|(connection, number)| {
                let options =
                    LinkOptions { seed: setup.link.seed.wrapping_add(number), ..setup.link };
                Link::new(connection, options, setup.budget.clone(), Box::new(dial.clone()))
            })
            .collect();
        let books = setup.topics.iter().filter(|topic| topic.kind == TopicKind::Book);
        Self {
            venue,
            links,
            calls,
            meter: OffsetMeter::new(setup.clock.clone()),
            quiet: QuietBooks::new(books.map(|topic| topic.instrument), setup.quiet_ns),
            resyncs: ResyncHandle::default(),
            outbox: Outbox::default(),
            n_clock_calls: 0,
            is_online: false,
            tell: Box::new(|_| ()),
        }
    }

    /// Also tells what people are to know, on the thread that polls: `tell` must not block.
    #[must_use]
    pub fn telling(mut self, tell: impl FnMut(MarketNotice) + Send + 'static) -> Self {
        self.tell = Box::new(tell);
        self
    }

    /// Returns the links, for what they count.
    #[must_use]
    pub fn links(&self) -> &[Link<T>] {
        &self.links
    }

    /// Returns what other threads ask for fresh snapshots with.
    #[must_use]
    pub const fn resyncs(&self) -> &ResyncHandle {
        &self.resyncs
    }

    /// Moves on with everything and appends what is news for the engine. Returns how many messages
    /// and answers were handled: zero when there was nothing to do.
    pub fn poll(&mut self, clock: &mut dyn FnMut() -> Nanos, out: &mut Vec<Event>) -> usize {
        let n_before = out.len();
        // Protocols write straight into what the caller gave.
        std::mem::swap(&mut self.outbox.events, out);
        let mut n = 0;
        for (link, tag) in self.links.iter_mut().zip(0..) {
            n += link.poll(clock, &mut self.outbox);
            submit(&mut self.calls, tag, &mut self.outbox, clock);
        }
        let now = clock();
        n += self.take_answers(now);
        self.tell_news();
        self.take_resyncs(now);
        if self.meter.asks(now) {
            self.n_clock_calls += 1;
            let call = self.venue.server_time(CallId(self.n_clock_calls));
            // Made without a clock, so its time limit is set here.
            let expires_at = call.expires_at.min(now.plus(5 * Nanos::SECOND));
            self.calls.submit(CLOCK_TAG, crate::Call { expires_at, ..call }, now);
        }
        self.quiet.heard(&self.outbox.events[n_before..]);
        let (links, outbox, calls) = (&mut self.links, &mut self.outbox, &mut self.calls);
        self.quiet.look(now, |instrument| resync(links, calls, instrument, now, outbox));
        // What an account would be told belongs to nobody here.
        self.outbox.news.clear();
        std::mem::swap(&mut self.outbox.events, out);
        n + (out.len() - n_before)
    }

    /// Fetches a new snapshot of a book.
    pub fn resync(&mut self, instrument: InstrumentId, now: Nanos, out: &mut Vec<Event>) {
        std::mem::swap(&mut self.outbox.events, out);
        resync(&mut self.links, &mut self.calls, instrument, now, &mut self.outbox);
        std::mem::swap(&mut self.outbox.events, out);
    }

    /// Returns when a poll is needed at the latest, if nothing arrives before.
    #[must_use]
    pub fn next_deadline(&self) -> Nanos {
        let links = self.links.iter().map(Link::next_deadline);
        links.min().unwrap_or(Nanos(i64::MAX)).min(self.meter.next_at())
    }

    /// Names who is to be woken when there is something to poll.
    pub fn wake_with(&mut self, waker: &Waker) {
        for link in &mut self.links {
            link.wake_with(waker);
        }
        self.calls.wake_with(waker);
        self.resyncs.0.waker.register(waker);
    }

    /// Says goodbye on every connection.
    pub fn close(&mut self, now: Nanos) {
        for link in &mut self.links {
            link.close(now, &mut self.outbox);
        }
    }

    fn take_answers(&mut self, now: Nanos) -> usize {
        let Self { venue, links, calls, meter, outbox, .. } = self;
        let mut wanted = Vec::new();
        let n = calls.poll(now, &mut |tag, returned| {
            if tag == CLOCK_TAG {
                measure(&**venue, meter, returned);
                return;
            }
            let link = usize::try_from(tag).ok().and_then(|idx| links.get_mut(idx));
            if let Some(link) = link {
                link.answer(&returned.answer(), returned.received_at, outbox);
                wanted.extend(outbox.calls.drain(..).map(|call| (tag, call)));
            }
        });
        for (tag, call) in wanted {
            calls.submit(tag, call, now);
        }
        n
    }

    fn tell_news(&mut self) {
        let is_online = self.links.iter().all(Link::is_open);
        if is_online != self.is_online {
            self.is_online = is_online;
            let lost = self.links.iter().find(|link| !link.is_open());
            (self.tell)(match lost {
                None => MarketNotice::Online,
                Some(link) => MarketNotice::Offline { why: link.last_loss().cloned() },
            });
        }
        for why in self.links.iter_mut().filter_map(Link::take_trouble) {
            (self.tell)(MarketNotice::Unreachable { why });
        }
    }

    fn take_resyncs(&mut self, now: Nanos) {
        for instrument in self.resyncs.take() {
            resync(&mut self.links, &mut self.calls, instrument, now, &mut self.outbox);
        }
    }
}

fn measure(venue: &dyn Venue, meter: &mut OffsetMeter, returned: &Returned) {
    match returned.body().map(|body| venue.parse_server_time(body)) {
        Some(Ok(venue_at)) => meter.measured(returned.sent_at, returned.received_at, venue_at),
        Some(Err(_)) | None => meter.failed(returned.received_at),
    }
}

fn resync<T: Transport>(
    links: &mut [Link<T>],
    calls: &mut impl CallDriver,
    instrument: InstrumentId,
    now: Nanos,
    outbox: &mut Outbox,
) {
    // Connections that do not carry the book do nothing.
    for (link, tag) in links.iter_mut().zip(0..) {
        link.resync(instrument, now, outbox);
        submit(calls, tag, outbox, &mut || now);
    }
}

fn submit(
    calls: &mut impl CallDriver,
    tag: u32,
    outbox: &mut Outbox,
    clock: &mut dyn FnMut() -> Nanos,
) {
    for call in outbox.calls.drain(..) {
        calls.submit(tag, call, clock());
    }
}

/// Asks a [`MarketDriver`] for fresh snapshots from another thread. Cloning shares.
#[derive(Clone, Debug, Default)]
pub struct ResyncHandle(Arc<Resyncs>);

#[derive(Debug, Default)]
struct Resyncs {
    has_any: AtomicBool,
    wanted: Mutex<Vec<InstrumentId>>,
    waker: AtomicWaker,
}

impl ResyncHandle {
    /// Wants a new snapshot of a book. Asking again before it was heard does nothing more.
    pub fn ask(&self, instrument: InstrumentId) {
        let mut wanted = self.0.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        if !wanted.contains(&instrument) {
            wanted.push(instrument);
        }
        drop(wanted);
        self.0.has_any.store(true, Ordering::Release);
        self.0.waker.wake();
    }

    fn take(&self) -> Vec<InstrumentId> {
        if !self.0.has_any.load(Ordering::Relaxed) {
            return Vec::new();
        }
        self.0.has_any.store(false, Ordering::Relaxed);
        std::mem::take(&mut *self.0.wanted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
