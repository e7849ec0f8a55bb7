//! Orders that an earlier process sent and did not live to record.
//!
//! Where orders do not wait for the disk, the last ones before a process is cut off may be on no record. Of
//! such an order no question is open, and its executions are in what the account holds by the time that
//! anybody looks: the strategy that sent it would begin without it, and trade once more. So the histories of
//! what it traded are a part of the first comparison; an order that is found there, or that is heard of in any
//! other way, is told, and halts the engine where that is wanted.

use std::collections::BTreeSet;
use std::ops::Range;

use tercel_core::{ClientOrderId, Command, Event, InstrumentId, Nanos, Scope, State};

use super::{Gateway, GatewayNotice, GatewayOut, LostPolicy, Purpose};
use crate::error::VenueError;
use crate::protocol::{Answer, OrderNews, Request, RequestId};

/// A run that was cut off, and the orders of it that are on no record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CutOff {
    /// The run's number.
    pub run: u32,
    /// The numbers that such orders have.
    pub numbers: Range<u64>,
    /// When the last of its records was made.
    pub at: Nanos,
}

/// What is known of them.
#[derive(Debug, Default)]
pub(super) struct Lost {
    cuts: Vec<CutOff>,
    /// Instruments whose history is still to be read.
    unread: BTreeSet<InstrumentId>,
    told: BTreeSet<ClientOrderId>,
}

impl Lost {
    /// Returns whether all histories were read.
    pub(super) fn is_read(&self) -> bool {
        self.unread.is_empty()
    }

    fn has(&self, id: ClientOrderId) -> bool {
        let is_of =
            |cut: &CutOff| id.run() == u64::from(cut.run) && cut.numbers.contains(&id.counter());
        self.cuts.iter().any(is_of)
    }
}

impl Gateway {
    /// Has the gateway look for orders of these runs, which its state comes from, before it is through with
    /// its first comparison.
    #[must_use]
    pub fn after(mut self, cuts: Vec<CutOff>, state: &State) -> Self {
        if !cuts.is_empty() {
            let own = state.strategies.iter().filter(|own| own.account == self.account);
            let traded = own.flat_map(|own| own.instruments.iter().copied());
            let listed = traded.filter(|id| self.listing.instrument(*id).is_some());
            self.lost.unread = listed.collect();
        }
        self.lost.cuts = cuts;
        self
    }

    /// Asks for the histories that were not read yet; returns the requests.
    pub(super) fn ask_lost(&mut self, now: Nanos, out: &mut GatewayOut) -> BTreeSet<RequestId> {
        let at = self.lost.cuts.iter().map(|cut| cut.at).min().unwrap_or_default();
        let since = Nanos(at.plus(-self.options.fill_overlap_ns).0.max(0));
        let mut asked = BTreeSet::new();
        for instrument in self.lost.unread.clone() {
            let request = Request::OrderHistory { instrument, since };
            asked.insert(self.request(Purpose::Lost(instrument), request, now, out));
        }
        asked
    }

    pub(super) fn lost_answered(
        &mut self,
        (request, instrument): (RequestId, InstrumentId),
        outcome: &Result<Answer, VenueError>,
        now: Nanos,
        out: &mut GatewayOut,
    ) {
        match outcome {
            Ok(Answer::Orders(list)) => {
                for news in list {
                    self.lost_heard(news, out);
                }
                self.lost.unread.remove(&instrument);
                self.next_stage(now, out);
            }
            Ok(_) => {}
            Err(error) => {
                let error = error.clone();
                out.notices.push(GatewayNotice::QueryFailed { what: "order history", error });
                self.reconciliation.failed(request, now, &self.options);
            }
        }
    }

    /// Tells of an order, should it be one of them. Withdrawn it is as any order that is not known.
    pub(super) fn lost_heard(&mut self, news: &OrderNews, out: &mut GatewayOut) {
        let Some(order) = news.key.map(|key| key.id).filter(|id| self.lost.has(*id)) else {
            return;
        };
        if self.orders.contains_key(&order) || !self.lost.told.insert(order) {
            return;
        }
        let halts = self.options.lost == LostPolicy::Halt;
        if halts {
            out.events.push(Event::Command(Command::Halt(Scope::Engine)));
        }
        out.notices.push(GatewayNotice::Lost {
            order,
            instrument: news.instrument,
            side: news.side,
            qty: news.qty,
            filled: news.filled,
            price: news.kind.limit_price(),
            status: news.status,
            halts,
        });
    }
}
