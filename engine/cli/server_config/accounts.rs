//! `[[accounts]]`: what trades, where there is more than one of it.

use std::path::PathBuf;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tercel_core::{AccountConfig, AccountId, Instrument};

use super::exchange::{CredentialsFrom, ExchangeSection, KeyPlace};
use super::strategy::StrategySection;
use super::values::{name, within};
use super::{ServerConfig, ServerFile};
use crate::amounts::amount;
use crate::config::{AccountSection, Limits};
use crate::exit::Outcome;
use crate::toml_file::Step;

/// One of `[[accounts]]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountItem {
    /// What strategies, commands and reports call it.
    #[serde(deserialize_with = "name")]
    pub(crate) name: String,
    /// What it holds of the quote currency at the start.
    #[serde(default = "default_quote", deserialize_with = "amount")]
    pub(crate) quote: Decimal,
    /// What it holds of the base currency at the start.
    #[serde(default, deserialize_with = "amount")]
    pub(crate) base: Decimal,
    /// Notional of perpetuals per unit of margin.
    #[serde(default = "default_leverage", deserialize_with = "within::<_, _, 1, 1000>")]
    pub(crate) leverage: u32,
    /// Whether orders that it cannot pay for are refused.
    #[serde(default = "default_check_balance")]
    pub(crate) check_balance: bool,
    /// Its limits.
    #[serde(default)]
    pub(crate) limits: Limits,
    /// Where its key is, at a venue; as `[exchange]` says unless it is given.
    #[serde(default)]
    pub(crate) credentials: Option<CredentialsFrom>,
    /// Beginning of the names of the environment variables, or name of the systemd credential.
    #[serde(default)]
    pub(crate) credentials_name: Option<String>,
    /// The file, where the key is in one.
    #[serde(default)]
    pub(crate) credentials_file: Option<PathBuf>,
}

fn default_quote() -> Decimal {
    AccountSection::default().quote
}

fn default_leverage() -> u32 {
    AccountSection::default().leverage
}

fn default_check_balance() -> bool {
    AccountSection::default().check_balance
}

/// The name of the only account where none are named.
pub(crate) const MAIN: &str = "main";

impl AccountItem {
    /// Returns the account that `[account]` and `[limits.account]` tell of.
    fn main(section: &AccountSection, limits: &Limits) -> Self {
        let AccountSection { quote, base, leverage, check_balance } = *section;
        Self {
            name: MAIN.to_owned(),
            quote,
            base,
            leverage,
            check_balance,
            limits: limits.clone(),
            credentials: None,
            credentials_name: None,
            credentials_file: None,
        }
    }

    /// Returns where its key is.
    pub(crate) fn key_place(&self, exchange: &ExchangeSection) -> KeyPlace {
        let all = exchange.key_place();
        KeyPlace {
            from: self.credentials.unwrap_or(all.from),
            name: self.credentials_name.clone().unwrap_or(all.name),
            file: self.credentials_file.clone().or(all.file),
        }
    }

    /// Returns the section that would tell of it as the only one.
    pub(crate) const fn section(&self) -> AccountSection {
        let Self { quote, base, leverage, check_balance, .. } = *self;
        AccountSection { quote, base, leverage, check_balance }
    }
}

impl ServerConfig {
    /// Returns the accounts, at least one, by their ids.
    pub(crate) fn all_accounts(&self) -> Vec<AccountItem> {
        if self.accounts.is_empty() {
            return vec![AccountItem::main(&self.account, &self.limits.account)];
        }
        self.accounts.clone()
    }

    /// Returns the account of a strategy; the first where the file has been checked and does not say.
    pub(crate) fn account_of(&self, strategy: &StrategySection) -> AccountId {
        let is_its = |item: &AccountItem| Some(&item.name) == strategy.account.as_ref();
        let place = self.accounts.iter().position(is_its).unwrap_or(0);
        AccountId(u16::try_from(place).unwrap_or(u16::MAX))
    }
}

impl ServerFile {
    /// Returns the accounts as an engine has them. Those of a venue begin with nothing: what they hold
    /// is for the venue to say.
    pub(crate) fn bind_accounts(
        &self,
        instruments: &[Instrument],
        is_at_venue: bool,
    ) -> Outcome<Vec<AccountConfig>> {
        let of_one = |(n, item): (usize, AccountItem)| {
            let limits = item.limits.to_risk("account", instruments).map_err(|failure| {
                if self.config.accounts.is_empty() {
                    return failure;
                }
                let way = [Step::Key("accounts"), Step::Item(n), Step::Key("limits")];
                self.source.wrong(&way, &failure.to_string())
            })?;
            let mut balances = Vec::new();
            if let (Some(first), false) = (instruments.first(), is_at_venue) {
                balances.push((first.spec.quote, item.quote));
                if !item.base.is_zero() {
                    balances.push((first.spec.base, item.base));
                }
            }
            Ok(AccountConfig {
                name: item.name,
                balances,
                limits,
                check_balance: item.check_balance,
                leverage: item.leverage,
            })
        };
        self.config.all_accounts().into_iter().enumerate().map(of_one).collect()
    }
}
