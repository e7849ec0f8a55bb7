//! A simulated venue: recorded markets, our orders in them, and a connection with latency.
//!
//! The venue is given each market event at the venue's time and each request when it arrives; its
//! reports carry the time at which they reach us. It holds the recorded books and never changes
//! them: our orders take from them and queue in them, but the recorded market does not react.
//!
//! What it does with orders:
//!
//! - Takers walk the book as it is when they arrive. What they took is gone until the market data
//!   next updates that level, or a snapshot replaces the book. A best quote with a newer sequence
//!   number than the book's hides better levels and says what its own price holds. Where neither
//!   books nor quotes are told, the last trade's price and quantity are all that can be taken.
//! - Resting orders queue by [`crate::QueueModel`]. A trade at their price fills them once what is ahead
//!   has traded; a trade through their price, or an opposite level at or through it, fills them at
//!   their own price as makers. One trade fills no more than its quantity, one level no more than
//!   it holds, all our orders together. Where an order stands beyond what the market data shows,
//!   it is taken to be behind all that will ever be shown at its price. Our orders do not trade
//!   with each other.
//! - Stops wake when the last trade reaches their trigger; where trades are not told, when the
//!   touch that they would take from does. One that would wake on arrival is refused.
//! - Replacing keeps the place in the queue only if the quantity shrinks at the same price.
//! - Reduce-only orders never trade more than the account's position in the instrument, and are
//!   cancelled when there is nothing to reduce.
//! - Balances are not checked here: that is the engine's risk module's task.
//!
//! Instruments fed by bars alone trade as told in `bars.rs`: no latency, next bar's open.

mod bars;
mod desk;
mod liquidity;
mod listing;
mod order_queues;
mod queue;
mod requests;
mod resting;
mod working;

use std::collections::VecDeque;

use tercel_core::{
    AccountId, Approved, ClientOrderId, Event, Instrument, InstrumentId, LinkState, MarketData,
    MarketEvent, Nanos, OrderRequest, Quantity, Side,
};

use crate::latency::{LatencyModel, Line};
use crate::options::{VenueError, VenueOptions};
use crate::port::VenuePort;
use crate::venue::desk::{Desk, Ticket};
use crate::venue::listing::{Feed, Listing};

/// A simulated venue for any number of instruments and accounts.
///
/// A driver tells it time: [`Self::on_market`] and [`Self::advance`] in ascending order of `now`,
/// and asks [`Self::wake_at`] when it next has something to do.
#[derive(Clone, Debug)]
pub struct SimVenue {
    listings: Vec<Listing>,
    desk: Desk,
    /// Requests under way, in order of arrival.
    requests: VecDeque<(Nanos, Approved<OrderRequest>)>,
    latency: LatencyModel,
    line: Line,
    /// When the next request arrives or order expires; `i64::MAX` for never.
    next_action_at: Nanos,
    next_report_at: Nanos,
}

const NEVER: Nanos = Nanos(i64::MAX);

impl SimVenue {
    /// Builds a venue that lists these instruments, each at the index of its id.
    ///
    /// # Errors
    ///
    /// If an option makes no sense or an instrument is not at the index of its id.
    pub fn new(instruments: &[Instrument], options: VenueOptions) -> Result<Self, VenueError> {
        options.check()?;
        for (index, instrument) in instruments.iter().enumerate() {
            if instrument.id.index() != index {
                let symbol = instrument.spec.symbol.clone();
                return Err(VenueError::Misplaced { symbol, id: instrument.id.0, index });
            }
        }
        let listings = instruments.iter().map(|i| Listing::new(i.clone(), &options)).collect();
        Ok(Self {
            listings,
            desk: Desk::new(instruments.len(), options.fees, options.latency.clone()),
            requests: VecDeque::with_capacity(64),
            latency: options.latency,
            line: Line::new(),
            next_action_at: NEVER,
            next_report_at: NEVER,
        })
    }

    /// Returns when a market event happened at the venue: its venue time, or when it reached us if
    /// the venue's clock is ahead; a bar happened when it opened.
    #[inline]
    #[must_use]
    pub fn time_of(event: &MarketEvent) -> Nanos {
        let at = match event.data {
            MarketData::Bar { interval_ms, .. } => event.venue_at.plus(-span_ns(interval_ms)),
            _ => event.venue_at,
        };
        at.min(event.received_at)
    }

    /// Takes a market event at the venue's time `now`. Returns whether it was of concern to orders,
    /// so that [`Self::wake_at`] may have changed.
    ///
    /// O(1) while no order of ours works in the instrument; does not allocate after warm-up.
    ///
    /// # Panics
    ///
    /// If the venue does not list the instrument.
    #[inline]
    pub fn on_market(&mut self, now: Nanos, event: &MarketEvent) -> bool {
        let listing = &mut self.listings[event.instrument.index()];
        match event.data {
            MarketData::Level { side, price, qty, .. } => {
                listing.market.book.set(side, price, qty);
                if listing.is_quiet() {
                    return false;
                }
            }
            MarketData::Trade { price, qty, .. } if listing.is_quiet() => {
                listing.market.set_print(price, qty);
                return false;
            }
            _ => {}
        }
        self.on_market_at_work(now, event);
        true
    }

    /// The same while orders work, or for what is rare.
    #[cold]
    fn on_market_at_work(&mut self, now: Nanos, event: &MarketEvent) {
        self.desk.clock = self.desk.clock.max(now);
        let listing = &mut self.listings[event.instrument.index()];
        match &event.data {
            MarketData::Bar { interval_ms, bar } => {
                let span_ns = span_ns(*interval_ms);
                let open_at = event.venue_at.plus(-span_ns);
                listing.on_bar(open_at, span_ns, bar, &mut self.desk);
            }
            data => listing.on_data(data, now, &mut self.desk),
        }
        self.refresh();
    }

    /// Takes an event that is not market data, for what it says about the data: after a gap, books
    /// and quotes cannot be traded on until they are told anew.
    pub fn on_event(&mut self, event: &Event) {
        let Event::Link(link) = event else { return };
        if link.state == LinkState::Up {
            return;
        }
        for listing in &mut self.listings {
            let is_same = |id| id == listing.instrument.id;
            if listing.instrument.spec.venue == link.venue && link.instrument.is_none_or(is_same) {
                listing.market.invalidate();
            }
        }
    }

    /// Lets every request that has arrived by `now` act and every order that has expired by then
    /// end, in order of time; at one time, orders expire first.
    pub fn advance(&mut self, now: Nanos) {
        while self.next_action_at <= now {
            let at = self.next_action_at;
            self.desk.clock = self.desk.clock.max(at);
            if self.listings.iter().any(|listing| listing.next_expiry() <= at) {
                for listing in &mut self.listings {
                    if listing.next_expiry() <= at {
                        listing.expire(at, &mut self.desk);
                    }
                }
            } else if let Some((_, request)) = self.requests.pop_front() {
                self.handle(&request, at);
            }
            self.refresh();
        }
    }

    /// Returns when the venue next has something to do ([`Self::advance`]) or to say
    /// ([`VenuePort::poll`]); `i64::MAX` for never.
    #[inline]
    #[must_use]
    pub fn wake_at(&self) -> Nanos {
        self.next_action_at.min(self.next_report_at)
    }

    /// Returns when a request next arrives or an order expires; `i64::MAX` for never.
    #[must_use]
    pub const fn next_action_at(&self) -> Nanos {
        self.next_action_at
    }

    /// Returns when the next report reaches us; `i64::MAX` for never.
    #[must_use]
    pub const fn next_report_at(&self) -> Nanos {
        self.next_report_at
    }

    /// Returns whether requests or reports are under way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.requests.is_empty() || self.next_report_at != NEVER
    }

    /// Returns an account's position in an instrument as the venue counts it: all fills, told or
    /// still under way.
    #[must_use]
    pub fn position(&self, account: AccountId, instrument: InstrumentId) -> Quantity {
        self.desk.position(account, instrument)
    }

    /// Sets the position that an account starts from, so that reduce-only orders know it.
    pub fn set_position(&mut self, account: AccountId, instrument: InstrumentId, qty: Quantity) {
        self.desk.set_position(account, instrument, qty);
    }

    /// Returns what an account's working orders of a side could still trade, reduce-only apart.
    #[must_use]
    pub fn open_qty(&self, account: AccountId, instrument: InstrumentId, side: Side) -> Quantity {
        self.listings[instrument.index()].open_qty(account, side)
    }

    /// Returns what is ahead of a resting order in its queue; `None` if it does not rest.
    /// `i64::MAX` where the market data does not show that price.
    #[must_use]
    pub fn queue_ahead(&self, instrument: InstrumentId, order: ClientOrderId) -> Option<Quantity> {
        let orders = &self.listings[instrument.index()].orders;
        let order = orders.iter().find(|working| working.ticket.id == order)?;
        order.resting_price().map(|_| order.queue.ahead)
    }

    fn handle(&mut self, request: &OrderRequest, at: Nanos) {
        let listing = &mut self.listings[instrument_of(request).index()];
        let is_instant = listing.feed == Feed::Bars;
        let ticket = |id, account, instrument| Ticket { id, account, instrument, is_instant };
        match *request {
            OrderRequest::New { id, account, spec, .. } => {
                listing.place(ticket(id, account, spec.instrument), spec, at, &mut self.desk);
            }
            OrderRequest::Replace { id, account, instrument, price, qty } => {
                let ticket = ticket(id, account, instrument);
                listing.replace(&ticket, price, qty, at, &mut self.desk);
            }
            OrderRequest::Cancel { id, account, instrument } => {
                listing.cancel(&ticket(id, account, instrument), at, &mut self.desk);
            }
        }
    }

    fn refresh(&mut self) {
        let expiries = self.listings.iter().map(Listing::next_expiry);
        let arrival = self.requests.front().map(|(at, _)| *at);
        self.next_action_at = expiries.chain(arrival).min().unwrap_or(NEVER);
        self.next_report_at = self.desk.next_report_at().unwrap_or(NEVER);
    }
}

impl VenuePort for SimVenue {
    /// The request arrives after the latency of the moment; one for an instrument on bars at once.
    fn send(&mut self, request: Approved<OrderRequest>, now: Nanos) {
        self.desk.clock = self.desk.clock.max(now);
        let listing = &self.listings[instrument_of(&request).index()];
        if listing.feed == Feed::Bars {
            self.handle(&request, now);
        } else {
            let at = self.line.arrival(now, self.latency.request_ns(now));
            self.requests.push_back((at, request));
        }
        self.refresh();
    }

    fn poll(&mut self, now: Nanos) -> Option<Event> {
        self.advance(now);
        let report = self.desk.take_report(now)?;
        self.next_report_at = self.desk.next_report_at().unwrap_or(NEVER);
        Some(Event::Execution(report))
    }
}

fn instrument_of(request: &OrderRequest) -> InstrumentId {
    match *request {
        OrderRequest::New { spec, .. } => spec.instrument,
        OrderRequest::Replace { instrument, .. } | OrderRequest::Cancel { instrument, .. } => {
            instrument
        }
    }
}

fn span_ns(interval_ms: u32) -> i64 {
    i64::from(interval_ms) * Nanos::MILLI
}
