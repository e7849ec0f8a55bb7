//! Calls over REST: reqwest behind tokio on a thread of its own.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Poll, Waker};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use tercel_core::Nanos;
use tokio::sync::mpsc as queue;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::JoinSet;

use super::call_driver::{CallDriver, Returned, ReturnedOutcome};
use super::limiter::{Budget, Rebuke};
use super::tls::Tls;
use crate::limits::Usage;
use crate::protocol::{Call, Method, Priority};

/// How a REST driver works.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RestOptions {
    /// How long a call may take, its connection included.
    pub timeout: Duration,
    /// How long connecting may take; less than `timeout`, so that what never got there is known
    /// not to have been sent.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// Queries under way at once at most; orders and cancels go beyond it.
    pub in_flight_max: usize,
    /// Calls that may wait; more are not sent.
    pub queue_max: usize,
    /// Longest body that is accepted.
    pub body_bytes_max: usize,
    /// What the program calls itself.
    pub user_agent: String,
}

impl Default for RestOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(50),
            in_flight_max: 16,
            queue_max: 1_024,
            body_bytes_max: 64 << 20,
            user_agent: concat!("tercel/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Why a REST driver could not be started.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// The system gives no thread or no runtime.
    #[error("start a thread for REST calls: {0}")]
    Thread(std::io::Error),
    /// The options or the TLS configuration are of no use.
    #[error("set up REST calls: {0}")]
    Client(reqwest::Error),
}

/// Understands a header that tells of a budget.
pub type UsageOf = Arc<dyn Fn(&str, &str) -> Option<Usage> + Send + Sync>;

/// A venue's REST connections, kept alive between calls and shared by all [`RestClient`]s.
///
/// Follows no redirects, never repeats a call, and never shows an address, which may hold a
/// signature. Its thread ends when it and all clients are gone and the calls under way are over.
pub struct Rest {
    jobs: queue::Sender<Job>,
}

impl std::fmt::Debug for Rest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rest").finish_non_exhaustive()
    }
}

struct Job {
    tag: u32,
    call: Call,
    budget: Budget,
    back: Back,
}

/// Where answers go.
#[derive(Clone)]
struct Back {
    answers: Sender<(u32, Returned)>,
    waker: Arc<AtomicWaker>,
}

impl Back {
    fn send(&self, tag: u32, returned: Returned) {
        // Nobody asks any more if the client is gone.
        let _ = self.answers.send((tag, returned));
        self.waker.wake();
    }
}

impl Rest {
    /// Starts the thread. `clock` tells the time that answers are stamped with; `usage_of`
    /// understands the venue's headers.
    ///
    /// # Errors
    ///
    /// If the system gives no thread, or the options are of no use.
    pub fn start(
        options: RestOptions,
        tls: &Tls,
        usage_of: UsageOf,
        clock: impl FnMut() -> Nanos + Send + 'static,
    ) -> Result<Self, RestError> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured((**tls.config()).clone())
            .user_agent(&options.user_agent)
            .timeout(options.timeout)
            .connect_timeout(options.connect_timeout)
            .pool_idle_timeout(options.idle_timeout)
            .tcp_nodelay(true)
            .http1_only()
            .no_proxy()
            .referer(false)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .build()
            .map_err(|error| RestError::Client(error.without_url()))?;
        let (jobs, receiver) = queue::channel(options.queue_max.max(1));
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(RestError::Thread)?;
        let thread = std::thread::Builder::new().name("tercel-rest".to_owned()).spawn(move || {
            let worker = Worker {
                client,
                options,
                usage_of,
                clock: Box::new(clock),
                waiting: BTreeMap::new(),
                n_jobs: 0,
                under_way: JoinSet::new(),
            };
            runtime.block_on(worker.run(receiver));
        });
        thread.map_err(RestError::Thread)?;
        Ok(Self { jobs })
    }

    /// Returns a client of its own queue of answers, with what it may use of the venue's budgets.
    #[must_use]
    pub fn client(&self, budget: Budget) -> RestClient {
        let (sender, answers) = channel();
        let back = Back { answers: sender, waker: Arc::default() };
        RestClient { jobs: self.jobs.clone(), budget, back, answers, refused: VecDeque::new() }
    }
}

/// A client of a [`Rest`].
pub struct RestClient {
    jobs: queue::Sender<Job>,
    budget: Budget,
    back: Back,
    answers: Receiver<(u32, Returned)>,
    refused: VecDeque<(u32, Returned)>,
}

impl std::fmt::Debug for RestClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RestClient").field("budget", &self.budget).finish_non_exhaustive()
    }
}

const fn is_urgent(call: &Call) -> bool {
    matches!(call.cost.priority, Priority::Cancel | Priority::Order)
}

impl CallDriver for RestClient {
    fn submit(&mut self, tag: u32, call: Call, now: Nanos) {
        let id = call.id;
        let why = if is_urgent(&call) && self.budget.take_call(&call, now).is_err() {
            "the venue's budget is used up"
        } else {
            let (budget, back) = (self.budget.clone(), self.back.clone());
            match self.jobs.try_send(Job { tag, call, budget, back }) {
                Ok(()) => return,
                Err(TrySendError::Full(_)) => "too many calls wait already",
                Err(TrySendError::Closed(_)) => "calls are not carried any more",
            }
        };
        self.refused.push_back((tag, Returned::not_sent(id, why, now)));
        self.back.waker.wake();
    }

    fn poll(&mut self, _now: Nanos, answered: &mut dyn FnMut(u32, &Returned)) -> usize {
        let mut n = 0;
        while let Some((tag, returned)) =
            self.refused.pop_front().or_else(|| self.answers.try_recv().ok())
        {
            answered(tag, &returned);
            n += 1;
        }
        n
    }

    fn wake_with(&mut self, waker: &Waker) {
        self.back.waker.register(waker);
    }
}

struct Worker {
    client: reqwest::Client,
    options: RestOptions,
    usage_of: UsageOf,
    clock: Box<dyn FnMut() -> Nanos + Send>,
    /// The most urgent first, then the oldest.
    waiting: BTreeMap<(Priority, u64), Job>,
    n_jobs: u64,
    under_way: JoinSet<(Job, Nanos, ReturnedOutcome, Vec<Usage>)>,
}

impl Worker {
    async fn run(mut self, mut jobs: queue::Receiver<Job>) {
        let mut is_open = true;
        while is_open || !self.waiting.is_empty() || !self.under_way.is_empty() {
            let mut sleep = pin!(tokio::time::sleep(self.send_what_may_go()));
            poll_fn(|context| {
                let mut is_ready = sleep.as_mut().poll(context).is_ready();
                while is_open
                    && self.waiting.len() < self.options.queue_max
                    && let Poll::Ready(job) = jobs.poll_recv(context)
                {
                    is_ready = true;
                    match job {
                        Some(job) => {
                            self.n_jobs += 1;
                            self.waiting.insert((job.call.cost.priority, self.n_jobs), job);
                        }
                        None => is_open = false,
                    }
                }
                while let Poll::Ready(Some(joined)) = self.under_way.poll_join_next(context) {
                    is_ready = true;
                    if let Ok((job, sent_at, outcome, usage)) = joined {
                        self.came_back(job, sent_at, outcome, usage);
                    }
                }
                if is_ready { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
    }

    /// Sends what the budget allows and gives back what has expired. Returns when to look again.
    fn send_what_may_go(&mut self) -> Duration {
        let now = (self.clock)();
        let mut again_at = now.plus(60 * Nanos::SECOND);
        let mut key = (Priority::Cancel, 0);
        while let Some((&next, job)) = self.waiting.range(key..).next() {
            key = (next.0, next.1 + 1);
            let call = &job.call;
            let has_room = is_urgent(call) || self.under_way.len() < self.options.in_flight_max;
            // Urgent ones were paid for when they came.
            let is_paid = is_urgent(call).then_some(Ok(()));
            let may_go = if call.expires_at <= now {
                Err(Nanos(i64::MAX))
            } else if has_room {
                let paid = is_paid.unwrap_or_else(|| job.budget.take_call(call, now));
                paid.map_err(|refusal| refusal.until)
            } else {
                Err(call.expires_at)
            };
            match may_go {
                Ok(()) => {
                    if let Some(job) = self.waiting.remove(&next) {
                        self.send(job, now);
                    }
                }
                Err(Nanos(i64::MAX)) => {
                    if let Some(job) = self.waiting.remove(&next) {
                        let why = "it waited too long for the venue's budget, or for its turn";
                        job.back.send(job.tag, Returned::not_sent(job.call.id, why, now));
                    }
                }
                Err(until) => again_at = again_at.min(until).min(call.expires_at),
            }
        }
        let wait_ns = again_at.0.saturating_sub(now.0).max(1_000_000);
        Duration::from_nanos(u64::try_from(wait_ns).unwrap_or(0))
    }

    fn send(&mut self, mut job: Job, now: Nanos) {
        let method = match job.call.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Patch => reqwest::Method::PATCH,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut request = self.client.request(method, &job.call.url);
        for (name, value) in &job.call.headers {
            request = request.header(*name, value);
        }
        let body = std::mem::take(&mut job.call.body);
        if !body.is_empty() {
            request = request.body(body);
        }
        let (usage_of, body_bytes_max) = (Arc::clone(&self.usage_of), self.options.body_bytes_max);
        self.under_way.spawn(async move {
            let (outcome, usage) = match request.send().await {
                Ok(response) => receive(response, &usage_of, body_bytes_max).await,
                // Nothing is sent before there is a connection, or if it cannot be put together.
                Err(error) if error.is_connect() || error.is_builder() => {
                    let why = format!("{}: {}", host(&job.call.url), root(&error));
                    (ReturnedOutcome::NotSent { why }, Vec::new())
                }
                Err(_) => (ReturnedOutcome::Lost, Vec::new()),
            };
            (job, now, outcome, usage)
        });
    }

    fn came_back(&mut self, job: Job, sent_at: Nanos, outcome: ReturnedOutcome, usage: Vec<Usage>) {
        let received_at = (self.clock)();
        for usage in &usage {
            job.budget.used(usage, received_at);
        }
        if let ReturnedOutcome::Answered { status, retry_after_s, .. } = &outcome {
            match status {
                429 => job.budget.rebuked(Rebuke::TooMany, *retry_after_s, received_at),
                418 => job.budget.rebuked(Rebuke::Banned, *retry_after_s, received_at),
                200..=299 => job.budget.forgiven(received_at),
                _ => {}
            }
        }
        let returned = Returned { id: job.call.id, outcome, usage, sent_at, received_at };
        job.back.send(job.tag, returned);
    }
}

/// Returns what of an address may be told: its host and port. The rest may hold a signature.
fn host(url: &str) -> String {
    let url = reqwest::Url::parse(url).ok();
    let host = url.as_ref().and_then(|url| Some((url.host_str()?, url.port_or_known_default())));
    match host {
        Some((host, Some(port))) => format!("{host}:{port}"),
        Some((host, None)) => host.to_owned(),
        None => "no address of a host".to_owned(),
    }
}

/// Returns what an error came of in the end: the system's word or TLS's, which names no address.
fn root(error: &reqwest::Error) -> String {
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause.and_then(std::error::Error::source) {
        cause = Some(next);
    }
    cause.map_or_else(|| "not connected".to_owned(), ToString::to_string)
}

async fn receive(
    mut response: reqwest::Response,
    usage_of: &UsageOf,
    body_bytes_max: usize,
) -> (ReturnedOutcome, Vec<Usage>) {
    let status = response.status().as_u16();
    let usage = usage(response.headers(), usage_of);
    let retry_after_s = retry_after(response.headers());
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= body_bytes_max => {
                body.extend_from_slice(&chunk);
            }
            Ok(None) => {
                return (ReturnedOutcome::Answered { status, body, retry_after_s }, usage);
            }
            // The venue has acted, but on what and how is not known.
            Ok(Some(_)) | Err(_) => return (ReturnedOutcome::Lost, usage),
        }
    }
}

fn usage(headers: &HeaderMap, usage_of: &UsageOf) -> Vec<Usage> {
    headers
        .iter()
        .filter_map(|(name, value)| usage_of(name.as_str(), value.to_str().ok()?))
        .collect()
}

/// Seconds; the form with a date is not used by venues.
fn retry_after(headers: &HeaderMap) -> Option<u32> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}
