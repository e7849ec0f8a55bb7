//! Questions about an account, without a connection of its own and without changing anything.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use tercel_adapters::net::{CallDriver, RestClient};
use tercel_adapters::{
    AccountSetup, Answer, ErrorKind, FillCursor, FillNews, Listing, News, Outbox, Protocol,
    Request, RequestId, Tagged, VenueError,
};
use tercel_core::{InstrumentId, Nanos};
use tercel_runtime::{Clock, UtcClock};

use super::VenueAccess;
use crate::exit::{Blame, Failure, Outcome, input};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked for an answer.
const POLL: Duration = Duration::from_millis(2);
/// Failures of one question after which it is given up.
const TRIES: u32 = 3;

/// Asks a venue about an account over REST.
pub(crate) struct Asker {
    access: Arc<VenueAccess>,
    protocol: Box<dyn Protocol>,
    client: RestClient,
    clock: UtcClock,
    out: Outbox,
    n_asked: u64,
}

impl Asker {
    /// Returns one for an account. Connects to nothing yet.
    pub(crate) fn new(
        access: Arc<VenueAccess>,
        listing: &Listing,
        setup: &AccountSetup,
    ) -> Outcome<Self> {
        let mut connections = access.venue.account(listing, setup).or_input()?;
        if connections.is_empty() {
            return Err(Failure::Machine(anyhow!("the venue has no words for an account")));
        }
        // Requests are the same on all of them, and go by calls while no connection is open.
        let protocol = connections.swap_remove(0).protocol;
        let client = access.client_of(access.limiter.account());
        let (clock, out) = (UtcClock::system(), Outbox::default());
        Ok(Self { access, protocol, client, clock, out, n_asked: 0 })
    }

    /// Returns all executions of an instrument from a time on.
    pub(crate) fn fills(
        &mut self,
        instrument: InstrumentId,
        since: Nanos,
    ) -> Outcome<Vec<FillNews>> {
        let mut all = Vec::new();
        let mut since = FillCursor::Since(since);
        loop {
            match self.ask("executions", &Request::Fills { instrument, since })? {
                Answer::Fills(fills, has_more) => {
                    let last = fills.last().map(|fill| fill.trade_id);
                    all.extend(fills);
                    match last.filter(|_| has_more) {
                        Some(last) => since = FillCursor::After(last),
                        None => return Ok(all),
                    }
                }
                other => return Err(unexpected("executions", &other)),
            }
        }
    }

    /// Asks something, and again if that failed for a while only.
    pub(crate) fn ask(&mut self, what: &str, request: &Request) -> Outcome<Answer> {
        let mut n_tries = 1;
        loop {
            match self.try_asking(what, request)? {
                Ok(answer) => return Ok(answer),
                Err(error) if error.kind == ErrorKind::Auth => {
                    return Err(input(format!(
                        "{} refuses the account's key: {error}",
                        self.access.venue.name()
                    )));
                }
                Err(error) if n_tries == TRIES => {
                    return Err(Failure::Machine(anyhow!(
                        "{}: ask for {what}: {error}",
                        self.access.venue.name()
                    )));
                }
                Err(_) => {}
            }
            std::thread::sleep(Duration::from_millis(500) * n_tries);
            n_tries += 1;
        }
    }

    fn try_asking(&mut self, what: &str, request: &Request) -> Outcome<Result<Answer, VenueError>> {
        self.n_asked += 1;
        let tagged = Tagged { id: RequestId(self.n_asked), request: request.clone() };
        let now = self.clock.now();
        self.protocol.encode(&tagged, now, &mut self.out).or_machine()?;
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let now = self.clock.now();
            for call in self.out.calls.drain(..) {
                self.client.submit(0, call, now);
            }
            let (protocol, out) = (&mut self.protocol, &mut self.out);
            self.client.poll(now, &mut |_, returned| {
                protocol.answer(&returned.answer(), returned.received_at, out);
            });
            for news in self.out.news.drain(..) {
                if let News::Answered { request, outcome } = news
                    && request == tagged.id
                {
                    return Ok(outcome);
                }
            }
            std::thread::sleep(POLL);
        }
        let name = self.access.venue.name();
        Err(Failure::Machine(anyhow!("{name}: ask for {what}: no answer in time")))
    }
}

/// A failure for an answer of another kind than was asked for.
pub(crate) fn unexpected(what: &str, answer: &Answer) -> Failure {
    Failure::Machine(anyhow!("asked for {what}, the venue's answer is {answer:?}"))
}
