//! A real venue: its market as the source, its account as the port.

use std::sync::Arc;

use tercel_adapters::net::{
    BusySocket, Link, MarketDriver, OffsetMeter, RestClient, ResyncHandle, TokioSocket, Transport,
};
use tercel_adapters::{
    AccountDriver, AccountSetup, Credentials, DifferencePolicy, ForeignPolicy, Gateway,
    GatewayNotice, GatewayOptions, Listing, OrphanPolicy, Topic,
};
use tercel_core::{AccountId, AssetId, InstrumentId, Nanos, State, StrategyId, VenueId};
use tercel_runtime::live::{AccountThread, LivePort, LiveSource, SharedFeed, WithResyncs};
use tercel_runtime::{Control, Ending, Feed, FeedOptions, MarketSource, Overflow, UtcClock};

use super::begin::Setup;
use super::engine::Body;
use super::now;
use crate::exit::{Blame, Outcome, input};
use crate::server_config::ServerFile;
use crate::server_config::exchange::{ExchangeSection, ForeignOrders, OnDifference, OnOrphan};
use crate::server_config::sections::{Mode, Profile};
use crate::venue::{VenueAccess, account_setup, credentials, link_options, seed, topics};

/// A venue that is followed, and the account on it that is traded.
pub(super) struct Exchange {
    access: Arc<VenueAccess>,
    listing: Listing,
    topics: Vec<Topic>,
    account: Option<AccountSetup>,
    foreign: ForeignPolicy,
}

/// Reads the key that orders need; none on paper.
pub(super) fn key(file: &ServerFile) -> Outcome<Option<Credentials>> {
    match file.config.run.mode {
        Mode::Paper => Ok(None),
        Mode::Testnet | Mode::Live => credentials(&file.config.exchange).map(Some),
    }
}

/// Brings together what a venue needs, for an engine that follows these instruments. For real money, shows
/// the limits first.
pub(super) fn prepare(
    file: &ServerFile,
    setup: &Setup,
    followed: &[InstrumentId],
    key: Option<Credentials>,
) -> Outcome<Option<Exchange>> {
    let Some(access) = &setup.access else { return Ok(None) };
    let section = &file.config.exchange;
    let foreign = foreign_policy(section, setup)?;
    let account = key.map(|key| account_setup(section, key, access)).transpose()?;
    if file.config.run.mode == Mode::Live {
        eprint!("{}", limits_text(file));
    }
    let is_followed = |own: &&tercel_core::Instrument| followed.contains(&own.id);
    let instruments: Vec<_> = setup.instruments.iter().filter(is_followed).cloned().collect();
    Ok(Some(Exchange {
        access: Arc::clone(access),
        listing: Listing::new(VenueId(0), &setup.instruments, &setup.assets),
        topics: topics(section, &instruments),
        account,
        foreign,
    }))
}

/// Returns what is done about orders of other origin; refuses an owner that is not there.
fn foreign_policy(section: &ExchangeSection, setup: &Setup) -> Outcome<ForeignPolicy> {
    if section.foreign_orders == ForeignOrders::Leave {
        return Ok(ForeignPolicy::Leave);
    }
    let Some(name) = &section.foreign_owner else {
        return Ok(ForeignPolicy::Adopt { strategy: None });
    };
    let mut strategies = (0..).map(StrategyId).zip(&setup.strategies);
    let Some((id, _)) = strategies.find(|(_, own)| own.name == *name) else {
        let known: Vec<_> = setup.strategies.iter().map(|own| own.name.as_str()).collect();
        return Err(input(format!(
            "exchange.foreign_owner: no strategy is called \"{name}\"; there is {}",
            known.join(", ")
        )));
    };
    Ok(ForeignPolicy::Adopt { strategy: Some(id) })
}

/// Says what trading for real money is bounded by.
fn limits_text(file: &ServerFile) -> String {
    use std::fmt::Write;
    let mut text = format!(
        "trading for real money on {} ({})\n",
        file.config.exchange.name.as_str(),
        file.config.exchange.symbols.join(", ")
    );
    let limits = &file.config.limits;
    for (scope, own) in [
        ("each strategy", &limits.strategy),
        ("the account", &limits.account),
        ("all", &limits.engine),
    ] {
        let written = serde_json::to_value(own).unwrap_or_default();
        let set: Vec<_> = written
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| format!("{key} = {value}"))
            .collect();
        let set = if set.is_empty() { "no limits".to_owned() } else { set.join(", ") };
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {scope}: {set}");
    }
    text
}

/// Runs the engine on a venue's market.
pub(super) fn run(body: Body, exchange: Exchange, control: Control) -> Outcome<Ending> {
    match body.file.config.run.profile {
        Profile::Inline => {
            let market = exchange.market(dial_busy(&exchange));
            let resyncs = market.resyncs().clone();
            let source = LiveSource::new(market, UtcClock::system());
            exchange.run_on_this_thread(body, source, resyncs, control)
        }
        Profile::Pinned => {
            let options = feed_options(&body, &exchange);
            let market = exchange.market(dial_busy(&exchange));
            let resyncs = market.resyncs().clone();
            let build = move || Ok(LiveSource::new(market, UtcClock::system()));
            let (feed, source) = Feed::spawn(options, &control, build).or_machine()?;
            let ending = exchange.run_on_this_thread(body, source, resyncs, control)?;
            if let Some(why) = feed.join() {
                tracing::warn!(%why, "the feed's thread had no core of its own");
            }
            Ok(ending)
        }
        Profile::Shared => exchange.run_shared(body, control),
    }
}

fn feed_options(body: &Body, exchange: &Exchange) -> FeedOptions {
    let run = &body.file.config.run;
    let venues = vec![exchange.listing.venue(); body.instruments.len()];
    FeedOptions {
        capacity: run.ring_capacity,
        overflow: Overflow::Gap(venues),
        idle: run.idle_strategy(),
        core: run.feed_core,
    }
}

fn dial_busy(exchange: &Exchange) -> impl Fn() -> BusySocket + Clone + Send + 'static {
    let tls = exchange.access.tls.clone();
    move || BusySocket::new(tls.clone())
}

impl Exchange {
    /// Returns the market, over transports that `dial` makes.
    fn market<T: Transport>(
        &self,
        dial: impl Fn() -> T + Clone + Send + 'static,
    ) -> MarketDriver<T, RestClient> {
        self.access.market(&self.listing, &self.topics, dial)
    }

    /// Returns the account, over transports that `dial` makes.
    fn account<T: Transport>(
        &self,
        setup: &AccountSetup,
        file: &ServerFile,
        state: &State,
        dial: impl Fn() -> T + Clone + Send + 'static,
    ) -> Outcome<AccountDriver<T, RestClient>> {
        let (venue, budget) = (&self.access.venue, self.access.limiter.account());
        let connections = venue.account(&self.listing, setup).or_input()?;
        let links = connections
            .into_iter()
            .zip(1..)
            .map(|(connection, number)| {
                let options = link_options(seed().wrapping_add(number));
                Link::new(connection, options, budget.clone(), Box::new(dial.clone()))
            })
            .collect();
        let options = self.gateway_options(file);
        let gateway = Gateway::new(AccountId(0), self.listing.clone(), options, state, now());
        let client = self.access.client_of(budget.clone());
        let meter = OffsetMeter::new(self.access.offset.clone());
        Ok(AccountDriver::new(gateway, links, client)
            .following_time(Arc::clone(venue), meter)
            .sparing(budget))
    }

    fn gateway_options(&self, file: &ServerFile) -> GatewayOptions {
        let section = &file.config.exchange;
        let is_derivative =
            self.listing.instruments().iter().any(tercel_core::Instrument::is_perpetual);
        let interval_s = i64::try_from(section.reconcile_every_s).unwrap_or(i64::MAX);
        GatewayOptions {
            replace: self.access.venue.replace_style(),
            reconcile_interval_ns: interval_s.saturating_mul(Nanos::SECOND),
            difference: match section.on_difference {
                OnDifference::Adopt => DifferencePolicy::Adopt,
                OnDifference::Report => DifferencePolicy::Report,
            },
            orphan: match section.on_orphan {
                OnOrphan::Cancel => OrphanPolicy::Cancel,
                OnOrphan::Leave => OrphanPolicy::Leave,
            },
            foreign: self.foreign,
            has_positions: is_derivative,
            ..GatewayOptions::default()
        }
    }

    /// Runs the engine with the account's sockets on its own thread.
    fn run_on_this_thread<S: MarketSource>(
        self,
        body: Body,
        source: S,
        resyncs: ResyncHandle,
        control: Control,
    ) -> Outcome<Ending> {
        let clock = loop_clock(&body);
        let Some(setup) = &self.account else {
            let (body, port) = body.on_paper();
            let port = WithResyncs::new(port, resyncs);
            return body.run_loop(clock, port, source, control);
        };
        let driver = self.account(setup, &body.file, &body.beginning.state, dial_busy(&self))?;
        let tell = teller(&body);
        let port = LivePort::new(driver, UtcClock::system(), resyncs, Box::new(tell));
        body.elsewhere().run_loop(clock, port, source, control)
    }

    /// Runs the engine with all sockets behind tokio on other threads.
    fn run_shared(self, body: Body, control: Control) -> Outcome<Ending> {
        let capacity = body.file.config.run.ring_capacity;
        let venues = vec![self.listing.venue(); body.instruments.len()];
        let tls = self.access.tls.clone();
        let dial = move || TokioSocket::new(tls.clone());
        let market = self.market(dial.clone());
        let resyncs = market.resyncs().clone();
        let (feed, source) =
            SharedFeed::spawn(capacity, venues, &control, market, UtcClock::system())
                .or_machine()?;
        let clock = loop_clock(&body);
        let ending = match &self.account {
            None => {
                let (body, port) = body.on_paper();
                let port = WithResyncs::new(port, resyncs);
                body.run_loop(clock, port, source, control)?
            }
            Some(setup) => {
                let driver = self.account(setup, &body.file, &body.beginning.state, dial)?;
                let tell = Box::new(teller(&body));
                let own = UtcClock::system();
                let (thread, port) =
                    AccountThread::spawn(move || driver, own, &control, resyncs, tell)
                        .or_machine()?;
                let ending = body.elsewhere().run_loop(clock, port, source, control)?;
                thread.join();
                ending
            }
        };
        feed.join();
        Ok(ending)
    }
}

/// Returns the engine's clock. It does not begin before the run that this one goes on from ended: where
/// somebody has set the system's back, what was counted then would lie in the future, and limits a second
/// or a day would hold orders back until that has come.
fn loop_clock(body: &Body) -> UtcClock {
    let Some((run, ended)) = body.beginning.after else { return UtcClock::system() };
    let behind_ns = ended.since(now());
    if behind_ns > Nanos::SECOND {
        let behind_s = behind_ns / Nanos::SECOND;
        tracing::warn!(
            run,
            behind_s,
            "the system's clock shows less than when that run ended; the \
            engine's goes on from there, and comes back by a thousandth of the time that passes"
        );
    }
    UtcClock::system().not_before(ended)
}

/// Returns what tells people of the account.
fn teller(body: &Body) -> impl FnMut(GatewayNotice) + Send + 'static {
    let notices = body.notices.clone();
    let symbols: Vec<_> = body.instruments.iter().map(|own| own.spec.symbol.clone()).collect();
    let assets = body.assets.clone();
    move |notice| {
        let (level, text) = text_of(&notice, &symbols, &assets);
        let compared = match &notice {
            GatewayNotice::Reconciled { n_orders, .. } => Some(*n_orders),
            _ => None,
        };
        let difference = is_difference(&notice);
        notices.tell_of_account(now(), level, text, difference, compared);
    }
}

/// Returns whether a notice says that the venue's books and ours differ. That a question was asked twice
/// or an answer came late says nothing of the books.
const fn is_difference(notice: &GatewayNotice) -> bool {
    match notice {
        GatewayNotice::Reconciled { n_differences, .. } => *n_differences > 0,
        GatewayNotice::Adopted { .. }
        | GatewayNotice::Foreign { .. }
        | GatewayNotice::ForeignFill { .. }
        | GatewayNotice::HoldingDiffers { .. }
        | GatewayNotice::PositionDiffers { .. }
        | GatewayNotice::Orphan { .. }
        | GatewayNotice::Vanished { .. } => true,
        GatewayNotice::Online
        | GatewayNotice::Offline
        | GatewayNotice::FirstHolding { .. }
        | GatewayNotice::FirstPosition { .. }
        | GatewayNotice::OutcomeUnknown { .. }
        | GatewayNotice::Settled { .. }
        | GatewayNotice::QueryFailed { .. }
        | GatewayNotice::Alarm { .. }
        | GatewayNotice::MarginCall { .. }
        | GatewayNotice::FeeNotBooked { .. } => false,
    }
}

fn text_of(
    notice: &GatewayNotice,
    symbols: &[String],
    assets: &[String],
) -> (&'static str, String) {
    let symbol = |id: InstrumentId| symbols.get(id.index()).map_or("?", String::as_str);
    let asset = |id: AssetId| assets.get(id.index()).map_or("?", String::as_str);
    let done = |adopted: bool| if adopted { "taken over" } else { "left as it is" };
    match notice {
        GatewayNotice::Online => ("info", "account: connected".to_owned()),
        GatewayNotice::Offline => {
            ("warn", "account: the connection is lost; no orders are sent until it is back".into())
        }
        GatewayNotice::OutcomeUnknown { order, why } => {
            ("warn", format!("order {order}: outcome unknown ({why}); asking"))
        }
        GatewayNotice::Settled { order, n_questions } => {
            ("info", format!("order {order}: settled after {n_questions} questions"))
        }
        GatewayNotice::Vanished { order } => {
            ("warn", format!("order {order}: the venue does not know it any more; it is over"))
        }
        GatewayNotice::Orphan { order, instrument, canceling } => {
            let done = if *canceling { "it is being cancelled" } else { "left alone" };
            (
                "warn",
                format!("{}: order {order} is ours and not known; {done}", symbol(*instrument)),
            )
        }
        GatewayNotice::Adopted { order, venue_order_id, instrument, strategy } => (
            "warn",
            format!(
                "{}: the venue's order {venue_order_id} is of other origin; it is {order} of \
                 strategy {strategy} from here on",
                symbol(*instrument)
            ),
        ),
        GatewayNotice::Foreign { n_orders } => {
            ("info", format!("{n_orders} open orders of other origin, left alone"))
        }
        GatewayNotice::ForeignFill { instrument, qty } => (
            "warn",
            format!("{}: {} lots traded by an order of other origin", symbol(*instrument), qty.0),
        ),
        GatewayNotice::FirstHolding { asset: id, total } => {
            ("info", format!("{}: the account begins with {}", asset(*id), total.normalize()))
        }
        GatewayNotice::FirstPosition { instrument, qty } => (
            "info",
            format!(
                "{}: the account begins with a position of {} lots",
                symbol(*instrument),
                qty.0
            ),
        ),
        GatewayNotice::HoldingDiffers { asset: id, ours, theirs, adopted } => (
            "warn",
            format!(
                "{}: the venue holds {}, our books say {}; {}",
                asset(*id),
                theirs.normalize(),
                ours.normalize(),
                done(*adopted)
            ),
        ),
        GatewayNotice::PositionDiffers { instrument, ours, theirs, adopted } => (
            "warn",
            format!(
                "{}: the venue's position is {} lots, ours {}; {}",
                symbol(*instrument),
                theirs.0,
                ours.0,
                done(*adopted)
            ),
        ),
        GatewayNotice::Reconciled { n_orders, n_differences } => (
            "info",
            format!("compared with the venue: {n_orders} open orders, {n_differences} differences"),
        ),
        GatewayNotice::QueryFailed { what, error } => {
            ("warn", format!("asking for {what}: {error}; asked again"))
        }
        GatewayNotice::Alarm { error } => {
            ("error", format!("the venue refuses the account: {error}; somebody has to act"))
        }
        GatewayNotice::MarginCall { instrument } => (
            "error",
            format!(
                "{}: the venue warns that the position lacks margin and may be closed by force",
                instrument.map_or("a position that is not followed", symbol)
            ),
        ),
        GatewayNotice::FeeNotBooked { venue_order_id, fee } => (
            "warn",
            format!("order {venue_order_id}: a fee of {fee} in an unlisted asset, not booked"),
        ),
    }
}
