//! How the connections to a venue stand, as those who hold them have told.

use std::sync::{Arc, Mutex, PoisonError};

use tercel_core::AccountId;

use crate::control_api::LinkStatus;

/// An engine's connections to a venue: that of the market, and one for each account. Cloning shares.
#[derive(Clone, Debug, Default)]
pub(super) struct Links(Arc<Mutex<All>>);

#[derive(Debug, Default)]
struct All {
    /// None where market data does not come from a venue.
    market: Option<Standing>,
    accounts: Vec<(AccountId, String, Standing)>,
}

/// How a connection stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Standing {
    pub(super) is_up: bool,
    /// Why it is not, once that is known.
    pub(super) why: Option<String>,
}

impl Standing {
    pub(super) const UP: Self = Self { is_up: true, why: None };

    pub(super) const fn down(why: Option<String>) -> Self {
        Self { is_up: false, why }
    }

    /// Attempts fail for this reason; what is up all the same stays so.
    pub(super) fn fails(&mut self, why: String) {
        if !self.is_up {
            self.why = Some(why);
        }
    }
}

impl Links {
    /// Returns those of a market and of these accounts, of which none is up yet.
    pub(super) fn of_venue(accounts: impl IntoIterator<Item = (AccountId, String)>) -> Self {
        let own = |(id, name)| (id, name, Standing::default());
        let accounts = accounts.into_iter().map(own).collect();
        Self(Arc::new(Mutex::new(All { market: Some(Standing::default()), accounts })))
    }

    /// Changes how the market stands.
    pub(super) fn change_market(&self, change: impl FnOnce(&mut Standing)) {
        if let Some(own) = &mut self.lock().market {
            change(own);
        }
    }

    /// Changes how an account stands.
    pub(super) fn change_account(&self, account: AccountId, change: impl FnOnce(&mut Standing)) {
        let mut all = self.lock();
        if let Some((.., own)) = all.accounts.iter_mut().find(|(id, ..)| *id == account) {
            change(own);
        }
    }

    /// Returns how the market stands, if it comes from a venue.
    pub(super) fn market(&self) -> Option<Standing> {
        self.lock().market.clone()
    }

    /// Returns how each account stands, for an engine of this number.
    pub(super) fn accounts(&self, engine: Option<u32>) -> Vec<LinkStatus> {
        let all = self.lock();
        let shown = |(_, name, own): &(AccountId, String, Standing)| LinkStatus {
            name: format!("account {name}"),
            engine,
            is_up: own.is_up,
            failure: own.why.clone(),
            n_events: None,
        };
        all.accounts.iter().map(shown).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_that_is_up_has_no_failure() {
        let links = Links::of_venue([(AccountId(1), "hedge".to_owned())]);
        let shown = || {
            let own = links.accounts(None).remove(0);
            (own.name, own.is_up, own.failure)
        };
        let name = || "account hedge".to_owned();
        assert_eq!(shown(), (name(), false, None));
        links.change_account(AccountId(1), |own| own.fails("refused".to_owned()));
        assert_eq!(shown(), (name(), false, Some("refused".to_owned())));
        links.change_account(AccountId(1), |own| *own = Standing::UP);
        links.change_account(AccountId(1), |own| own.fails("another one".to_owned()));
        links.change_account(AccountId(0), |own| *own = Standing::down(None));
        assert_eq!(shown(), (name(), true, None));
        assert_eq!(links.market(), Some(Standing::default()));
        assert_eq!(Links::default().market(), None, "a tape has none");
    }
}
