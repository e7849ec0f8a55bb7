//! A venue within reach: its words, its budgets, its REST connections.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use tercel_adapters::binance::{Binance, Product};
use tercel_adapters::net::{
    Budget, CallDriver, Limiter, OffsetMeter, Rest, RestClient, RestOptions, Returned,
    ReturnedOutcome, Tls,
};
use tercel_adapters::{Call, CallId, ClockOffset, Environment, Venue};
use tercel_runtime::{Clock, UtcClock};

use crate::exit::{Blame, Failure, Outcome};
use crate::server_config::exchange::{EnvironmentName, ExchangeSection, VenueName};

/// A venue and what all connections to it share.
pub(crate) struct VenueAccess {
    pub(crate) venue: Arc<dyn Venue>,
    pub(crate) limiter: Limiter,
    pub(crate) tls: Tls,
    pub(crate) offset: ClockOffset,
    rest: Rest,
}

/// How long a command waits for one answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long it waits for the venue's budget, which is full again after a minute at the latest.
const BUDGET_PATIENCE: Duration = Duration::from_secs(75);

/// How often a call is repeated that asks for nothing but what is so.
const TRIES: u32 = 3;

impl VenueAccess {
    /// Returns the venue of a section. Connects to nothing yet.
    pub(crate) fn open(section: &ExchangeSection) -> Outcome<Self> {
        let environment = environment(section);
        let venue: Arc<dyn Venue> = match section.name {
            VenueName::Binance => Arc::new(Binance::new(Product::Spot, &environment)),
            VenueName::BinanceUsdm => Arc::new(Binance::new(Product::UsdMargined, &environment)),
        };
        let tls = Tls::public();
        let own = Arc::clone(&venue);
        let usage_of = Arc::new(move |header: &str, value: &str| own.usage(header, value));
        let mut clock = UtcClock::system();
        let rest = Rest::start(RestOptions::default(), &tls, usage_of, move || clock.now())
            .or_machine()?;
        let limiter = Limiter::new(&venue.limits());
        Ok(Self { venue, limiter, tls, offset: ClockOffset::default(), rest })
    }

    /// Returns a client of its own for calls.
    pub(crate) fn client(&self) -> RestClient {
        self.client_of(self.limiter.address())
    }

    /// Returns a client of its own for calls of an account.
    pub(crate) fn client_of(&self, budget: Budget) -> RestClient {
        self.rest.client(budget)
    }

    /// Makes a call that asks for something and waits for the answer, which it returns whole.
    pub(crate) fn ask(&self, what: &str, call: impl Fn(CallId) -> Call) -> Outcome<Returned> {
        let mut client = self.client();
        let mut clock = UtcClock::system();
        let mut last = String::new();
        for n in 1..=TRIES {
            client.submit(0, call(CallId(u64::from(n))), clock.now());
            match self.wait(&mut client, &mut clock) {
                Some(answer) if answer.body().is_some() => return Ok(answer),
                Some(answer) => last = refusal(&answer),
                None if self.is_refusing(0) => {
                    "the venue's budget is used up by what this address has asked of it already; \
                     ask less, or try again in a minute"
                        .clone_into(&mut last);
                    break;
                }
                None => "no answer in time".clone_into(&mut last),
            }
        }
        Err(Failure::Machine(anyhow!("{}: {what}: {last}", self.venue.name())))
    }

    /// Waits for an answer: not for long, unless the call itself waits for the venue's budget.
    fn wait(&self, client: &mut RestClient, clock: &mut UtcClock) -> Option<Returned> {
        let (begun, n_refused) = (Instant::now(), self.limiter.counts().n_refused);
        let mut is_told = false;
        let mut found = None;
        loop {
            client.poll(clock.now(), &mut |_, answer| found = Some(answer.clone()));
            let patience = if is_told { BUDGET_PATIENCE } else { PATIENCE };
            if found.is_some() || begun.elapsed() >= patience {
                return found;
            }
            if !is_told && self.is_refusing(n_refused) {
                is_told = true;
                tracing::warn!(
                    "the venue's budget is used up by what this address has asked of it already; \
                     waiting for it"
                );
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Whether calls were kept back for want of budget since there were so many of them.
    fn is_refusing(&self, n_refused: u64) -> bool {
        self.limiter.counts().n_refused > n_refused
    }

    /// Measures how far the venue's clock is from ours.
    pub(crate) fn measure_clock(&self) -> Outcome<()> {
        let mut meter = OffsetMeter::new(self.offset.clone());
        let answer = self.ask("ask for its time", |id| self.venue.server_time(id))?;
        let body = answer.body().unwrap_or_default();
        let at = self.venue.parse_server_time(body).or_machine()?;
        meter.measured(answer.sent_at, answer.received_at, at);
        Ok(())
    }
}

/// Says why an answer is none, without what was asked.
pub(crate) fn refusal(answer: &Returned) -> String {
    match &answer.outcome {
        ReturnedOutcome::Answered { status, body, .. } => {
            let text = String::from_utf8_lossy(body);
            let text: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
            format!("HTTP status {status}: {text}")
        }
        ReturnedOutcome::NotSent { why } => format!("not sent: {why}"),
        ReturnedOutcome::Lost => "no answer".to_owned(),
    }
}

/// Returns the installation that a section names.
fn environment(section: &ExchangeSection) -> Environment {
    let address = |own: &Option<String>| own.clone().unwrap_or_default();
    match section.environment {
        EnvironmentName::Production => Environment::Production,
        EnvironmentName::Testnet => Environment::Testnet,
        EnvironmentName::Demo => Environment::Demo,
        EnvironmentName::Custom => Environment::Custom {
            rest: address(&section.rest),
            streams: address(&section.streams),
            private: address(&section.private),
        },
    }
}
