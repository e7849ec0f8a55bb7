//! A real venue: its market as the source, its accounts as the port.

use std::sync::Arc;

use tercel_adapters::net::{
    BusySocket, Link, MarketDriver, MarketNotice, OffsetMeter, RestClient, ResyncHandle,
    TokioSocket, Transport,
};
use tercel_adapters::{
    AccountDriver, AccountSetup, Accounts, Credentials, DifferencePolicy, ForeignPolicy, Gateway,
    GatewayOptions, Listing, LostPolicy, OrphanPolicy, Topic,
};
use tercel_core::{AccountId, InstrumentId, Nanos, StrategyId, VenueId};
use tercel_runtime::live::{AccountThread, LivePort, LiveSource, SharedFeed, WithResyncs};
use tercel_runtime::{Control, Ending, Feed, FeedOptions, MarketSource, Overflow, Shard, UtcClock};

use super::account_words::teller;
use super::begin::{Beginning, Setup};
use super::engine::Body;
use super::links::{Links, Standing};
use super::notices::Notices;
use super::now;
use crate::exit::{Blame, Outcome, input};
use crate::server_config::ServerFile;
use crate::server_config::exchange::{
    ExchangeSection, ForeignOrders, OnDifference, OnLostOrder, OnOrphan,
};
use crate::server_config::sections::{Mode, Profile};
use crate::venue::{VenueAccess, account_setup, credentials, link_options, seed, topics};

/// A venue that is followed, and the accounts on it that are traded.
pub(super) struct Exchange {
    access: Arc<VenueAccess>,
    listing: Listing,
    topics: Vec<Topic>,
    /// None on paper.
    accounts: Vec<(AccountId, AccountSetup)>,
    foreign: ForeignPolicy,
    links: Links,
}

/// The keys that orders need, by their accounts.
pub(crate) type Keys = Vec<(AccountId, Credentials)>;

/// Reads the keys that orders need; none on paper. Refuses one key for two accounts.
pub(crate) fn keys(file: &ServerFile) -> Outcome<Keys> {
    let mut keys = Keys::new();
    if file.config.run.mode == Mode::Paper {
        return Ok(keys);
    }
    let accounts = file.config.all_accounts();
    for (id, account) in (0..).map(AccountId).zip(&accounts) {
        let key = credentials(&account.key_place(&file.config.exchange))?;
        if let Some((other, _)) = keys.iter().find(|(_, other)| other.is_same_key(&key)) {
            return Err(input(format!(
                "the accounts \"{}\" and \"{}\" have the same key: both would trade one account at the \
                 venue; give each its own",
                accounts[other.index()].name,
                account.name
            )));
        }
        keys.push((id, key));
    }
    Ok(keys)
}

/// Brings together what a venue needs, for an engine that follows these instruments and trades the accounts
/// of its strategies with orders of the data folder that has drawn this number.
pub(super) fn prepare(
    file: &ServerFile,
    setup: &Setup,
    shard: &Shard,
    followed: &[InstrumentId],
    keys: &Keys,
    installation: u32,
) -> Outcome<Option<Exchange>> {
    let Some(access) = &setup.access else { return Ok(None) };
    let section = &file.config.exchange;
    let foreign = foreign_policy(section, setup, shard)?;
    let is_traded = |id: AccountId| shard.config.strategies.iter().any(|own| own.account == id);
    let traded = keys.iter().filter(|(id, _)| is_traded(*id));
    let names = file.config.all_accounts();
    let named = |id: AccountId| (id, names[id.index()].name.clone());
    let links = Links::of_venue(traded.clone().map(|(id, _)| named(*id)));
    let accounts = traded
        .map(|(id, key)| Ok((*id, account_setup(section, key.clone(), access, installation)?)))
        .collect::<Outcome<_>>()?;
    let is_followed = |own: &&tercel_core::Instrument| followed.contains(&own.id);
    let instruments: Vec<_> = setup.instruments.iter().filter(is_followed).cloned().collect();
    Ok(Some(Exchange {
        access: Arc::clone(access),
        listing: Listing::new(VenueId(0), &setup.instruments, &setup.assets),
        topics: topics(section, &instruments),
        accounts,
        foreign,
        links,
    }))
}

/// Returns what is done about orders of other origin; refuses an owner that is not there.
fn foreign_policy(
    section: &ExchangeSection,
    setup: &Setup,
    shard: &Shard,
) -> Outcome<ForeignPolicy> {
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
    // The engine numbers its own strategies; on another one its accounts have others.
    let place = shard.strategies.iter().position(|whole| *whole == id);
    let strategy = place.and_then(|place| u16::try_from(place).ok()).map(StrategyId);
    Ok(ForeignPolicy::Adopt { strategy })
}

/// Says what trading for real money is bounded by.
pub(super) fn limits_text(file: &ServerFile) -> String {
    use std::fmt::Write;
    let mut text = format!(
        "trading for real money on {} ({})\n",
        file.config.exchange.name.as_str(),
        file.config.exchange.symbols.join(", ")
    );
    let limits = &file.config.limits;
    let accounts = file.config.all_accounts();
    let accounts = accounts.iter().map(|own| match file.config.accounts.is_empty() {
        true => ("the account".to_owned(), &own.limits),
        false => (format!("account {}", own.name), &own.limits),
    });
    let strategy = ("each strategy".to_owned(), &limits.strategy);
    let all = ("all".to_owned(), &limits.engine);
    for (scope, own) in std::iter::once(strategy).chain(accounts).chain([all]) {
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
            let market = exchange.market(&body.notices, dial_busy(&exchange));
            let resyncs = market.resyncs().clone();
            let source = LiveSource::new(market, UtcClock::system());
            exchange.run_on_this_thread(body, source, resyncs, control)
        }
        Profile::Pinned => {
            let options = feed_options(&body, &exchange);
            let market = exchange.market(&body.notices, dial_busy(&exchange));
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
    /// Returns the accounts whose orders go there.
    pub(super) fn accounts_there(&self) -> impl Iterator<Item = AccountId> + use<'_> {
        self.accounts.iter().map(|(id, _)| *id)
    }

    /// Returns how its connections stand.
    pub(super) fn links(&self) -> Links {
        self.links.clone()
    }

    /// Returns the market, over transports that `dial` makes.
    fn market<T: Transport>(
        &self,
        notices: &Notices,
        dial: impl Fn() -> T + Clone + Send + 'static,
    ) -> MarketDriver<T, RestClient> {
        let market = self.access.market(&self.listing, &self.topics, dial);
        market.telling(market_teller(notices.clone(), self.links.clone()))
    }

    /// Returns the accounts, over transports that `dial` makes.
    fn accounts<T: Transport>(
        &self,
        file: &ServerFile,
        beginning: &Beginning,
        dial: impl Fn() -> T + Clone + Send + 'static,
    ) -> Outcome<Accounts<T, RestClient>> {
        let own = self.accounts.iter();
        let account = |id, setup| self.account(id, setup, file, beginning, dial.clone());
        let drivers = own.map(|(id, setup)| account(*id, setup));
        drivers.collect::<Outcome<Vec<_>>>().map(Accounts::new)
    }

    /// Returns one account, with a share of the address's budget of its own.
    fn account<T: Transport>(
        &self,
        id: AccountId,
        setup: &AccountSetup,
        file: &ServerFile,
        beginning: &Beginning,
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
        let state = &beginning.state;
        let gateway = Gateway::new(id, self.listing.clone(), options, state, now())
            .after(beginning.cut_off.clone(), state);
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
            lost: match section.on_lost_order {
                OnLostOrder::Halt => LostPolicy::Halt,
                OnLostOrder::Tell => LostPolicy::Tell,
            },
            has_positions: is_derivative,
            ..GatewayOptions::default()
        }
    }

    /// Runs the engine with the accounts' sockets on its own thread.
    fn run_on_this_thread<S: MarketSource>(
        self,
        body: Body,
        source: S,
        resyncs: ResyncHandle,
        control: Control,
    ) -> Outcome<Ending> {
        let clock = loop_clock(&body);
        if self.accounts.is_empty() {
            let (body, port) = body.on_paper();
            let port = WithResyncs::new(port, resyncs);
            return body.run_loop(clock, port, source, control);
        }
        let accounts = self.accounts(&body.file, &body.beginning, dial_busy(&self))?;
        let tell = teller(&body, &self.links);
        let port = LivePort::new(accounts, UtcClock::system(), resyncs, Box::new(tell));
        body.elsewhere().run_loop(clock, port, source, control)
    }

    /// Runs the engine with all sockets behind tokio on other threads.
    fn run_shared(self, body: Body, control: Control) -> Outcome<Ending> {
        let capacity = body.file.config.run.ring_capacity;
        let venues = vec![self.listing.venue(); body.instruments.len()];
        let tls = self.access.tls.clone();
        let dial = move || TokioSocket::new(tls.clone());
        let market = self.market(&body.notices, dial.clone());
        let resyncs = market.resyncs().clone();
        let (feed, source) =
            SharedFeed::spawn(capacity, venues, &control, market, UtcClock::system())
                .or_machine()?;
        let clock = loop_clock(&body);
        let ending = if self.accounts.is_empty() {
            let (body, port) = body.on_paper();
            let port = WithResyncs::new(port, resyncs);
            body.run_loop(clock, port, source, control)?
        } else {
            let accounts = self.accounts(&body.file, &body.beginning, dial)?;
            let tell = Box::new(teller(&body, &self.links));
            let own = UtcClock::system();
            let (thread, port) =
                AccountThread::spawn(move || accounts, own, &control, resyncs, tell)
                    .or_machine()?;
            let ending = body.elsewhere().run_loop(clock, port, source, control)?;
            thread.join();
            ending
        };
        feed.join();
        Ok(ending)
    }
}

/// Returns what tells people of the market's connections. That one was lost is told of each book as well.
fn market_teller(notices: Notices, links: Links) -> impl FnMut(MarketNotice) + Send + 'static {
    move |notice| match notice {
        MarketNotice::Online => {
            links.change_market(|own| *own = Standing::UP);
            notices.tell(now(), "info", "market: connected".to_owned());
        }
        MarketNotice::Offline { why } => {
            let why = why.map(|why| why.to_string());
            let text = why.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
            links.change_market(|own| *own = Standing::down(why));
            notices.tell(now(), "warn", format!("market: the connection is lost{text}"));
        }
        MarketNotice::Unreachable { why } => {
            links.change_market(|own| own.fails(why.to_string()));
            let text = format!("market: the connection fails again and again: {why}");
            notices.tell(now(), "warn", text);
        }
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
