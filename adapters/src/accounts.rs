//! The accounts that one engine trades at a venue, side by side.

use std::task::Waker;

use tercel_core::{AccountId, Event, Nanos, OrderRequest};

use crate::account::AccountDriver;
use crate::gateway::GatewayNotice;
use crate::net::{CallDriver, Transport};

/// Several accounts behind one door: each with its own key, gateway and connections, all of them on the
/// budget of one address. Requests go where their account is, and what comes back carries its account.
pub struct Accounts<T, C> {
    own: Vec<One<T, C>>,
    /// Places in that list, by the accounts' ids.
    places: Vec<Option<usize>>,
    scratch: Vec<GatewayNotice>,
}

struct One<T, C> {
    driver: AccountDriver<T, C>,
    /// Whether its books were compared with the venue's once.
    was_compared: bool,
}

impl<T, C> std::fmt::Debug for Accounts<T, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.own.iter().map(|one| &one.driver)).finish()
    }
}

impl<T: Transport, C: CallDriver> Accounts<T, C> {
    /// Returns these accounts.
    ///
    /// # Panics
    ///
    /// If two of them are the same account.
    #[must_use]
    pub fn new(drivers: impl IntoIterator<Item = AccountDriver<T, C>>) -> Self {
        let own: Vec<_> =
            drivers.into_iter().map(|driver| One { driver, was_compared: false }).collect();
        let mut places = Vec::new();
        for (place, one) in own.iter().enumerate() {
            let id = one.driver.account().index();
            if places.len() <= id {
                places.resize(id + 1, None);
            }
            assert!(places[id].replace(place).is_none(), "two drivers of one account");
        }
        Self { own, places, scratch: Vec::new() }
    }

    /// Returns the accounts' drivers.
    pub fn drivers(&self) -> impl Iterator<Item = &AccountDriver<T, C>> {
        self.own.iter().map(|one| &one.driver)
    }

    fn drivers_mut(&mut self) -> impl Iterator<Item = &mut AccountDriver<T, C>> {
        self.own.iter_mut().map(|one| &mut one.driver)
    }

    /// Sends a request of the engine for its account; what is known about it at once goes to `events`.
    ///
    /// # Panics
    ///
    /// If the account is none of these: what trades at a venue has a connection there.
    pub fn send(&mut self, request: &OrderRequest, now: Nanos, events: &mut Vec<Event>) {
        let place = self.places.get(request.account().index()).copied().flatten();
        let place = place.expect("every account that trades has a driver");
        self.own[place].driver.send(request, now, events);
    }

    /// Moves on with all of them; see [`AccountDriver::poll`].
    pub fn poll(&mut self, clock: &mut dyn FnMut() -> Nanos, events: &mut Vec<Event>) -> usize {
        self.drivers_mut().map(|driver| driver.poll(clock, events)).sum()
    }

    /// Compares the venue's books of all of them with ours now; returns whether that is begun for all.
    /// None is compared unless all are connected.
    pub fn reconcile(&mut self, now: Nanos, events: &mut Vec<Event>) -> bool {
        let is_online = self.is_online();
        if is_online {
            self.drivers_mut().for_each(|driver| {
                driver.reconcile(now, events);
            });
        }
        is_online
    }

    /// Returns whether the streams of all of them are up, of which there is at least one.
    #[must_use]
    pub fn is_online(&self) -> bool {
        !self.own.is_empty() && self.drivers().all(|driver| driver.gateway().is_online())
    }

    /// Returns whether something is under way that is worth waiting for at the end.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.drivers().any(AccountDriver::is_busy)
    }

    /// Returns whether each of them was compared with the venue once, as [`notices`](Self::notices)
    /// has told.
    #[must_use]
    pub fn are_compared(&self) -> bool {
        self.own.iter().all(|one| one.was_compared)
    }

    /// Hands over what people are to know, with the account that it is about.
    pub fn notices(&mut self, tell: &mut dyn FnMut(AccountId, GatewayNotice)) {
        for one in &mut self.own {
            one.driver.notices(&mut self.scratch);
            for notice in self.scratch.drain(..) {
                one.was_compared |= matches!(notice, GatewayNotice::Reconciled { .. });
                tell(one.driver.account(), notice);
            }
        }
    }

    /// Names who is to be woken when there is something to poll.
    pub fn wake_with(&mut self, waker: &Waker) {
        self.drivers_mut().for_each(|driver| driver.wake_with(waker));
    }

    /// Returns when a poll is needed at the latest, if nothing arrives before.
    #[must_use]
    pub fn next_deadline(&self) -> Nanos {
        self.drivers().map(AccountDriver::next_deadline).min().unwrap_or(Nanos(i64::MAX))
    }

    /// Says goodbye on all connections.
    pub fn close(&mut self, now: Nanos, events: &mut Vec<Event>) {
        self.drivers_mut().for_each(|driver| driver.close(now, events));
    }
}
