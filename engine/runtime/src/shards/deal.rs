//! Dealing strategies to several engines, and splitting what they share.

use rust_decimal::Decimal;
use tercel_core::{
    AccountConfig, AccountId, EngineConfig, InstrumentId, InstrumentSpec, Notional, Quantity,
    RiskLimits, StrategyConfig, StrategyId,
};

/// By what strategies are dealt: engine `id mod n` gets those of the account or instrument `id`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DealBy {
    /// By their account: an account is on one engine with its whole limits and balances. Limits of
    /// the engine are split.
    Accounts,
    /// By their instruments, which must all fall to one engine: an instrument is traded on one
    /// engine only. Limits of the engine are split, and limits and balances of an account between the
    /// engines that trade it; limits of a position stay whole.
    Instruments,
}

/// One engine of several.
///
/// Instruments, accounts, assets and series keep their ids; strategies are numbered anew.
#[derive(Clone, Debug)]
pub struct Shard {
    /// Which one it is, from 0.
    pub index: usize,
    /// What it is built from. Its run is the whole's plus its index, so that no order's id recurs: a
    /// sharded run takes as many run numbers as it has engines.
    pub config: EngineConfig,
    /// Its strategies by their ids in the whole, in the order of its own.
    pub strategies: Vec<StrategyId>,
}

impl Shard {
    /// Returns the instruments that its strategies trade, ascending.
    #[must_use]
    pub fn traded(&self) -> Vec<InstrumentId> {
        let strategies = self.config.strategies.iter();
        let ids = strategies.flat_map(|strategy| strategy.instruments.iter().copied());
        ascending(ids.collect())
    }

    /// Returns the instruments that its market data must have, ascending: those that its strategies
    /// trade, and those that say what its accounts' holdings are worth.
    #[must_use]
    pub fn instruments(&self) -> Vec<InstrumentId> {
        let balances = self.config.accounts.iter().flat_map(|account| &account.balances);
        let held: Vec<_> =
            balances.filter(|(_, amount)| !amount.is_zero()).map(|(asset, _)| *asset).collect();
        let values = |spec: &InstrumentSpec| held.contains(&spec.base);
        let valuing = self.config.instruments.iter().filter(|own| values(&own.spec));
        ascending(self.traded().into_iter().chain(valuing.map(|own| own.id)).collect())
    }
}

fn ascending(mut ids: Vec<InstrumentId>) -> Vec<InstrumentId> {
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Why a configuration cannot be dealt.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DealError {
    /// There is nothing to deal to.
    #[error("a run needs at least one engine")]
    NoEngine,
    /// The instruments of a strategy fall to different engines.
    #[error(
        "strategy {name} trades instruments {one} and {other}, which fall to different engines of \
         {n}: deal by accounts, or choose another number of engines"
    )]
    Divided {
        /// The strategy.
        name: String,
        /// One of its instruments.
        one: InstrumentId,
        /// An instrument that falls to another engine.
        other: InstrumentId,
        /// How many engines there are.
        n: usize,
    },
    /// A limit is too small: most engines would be left with nothing.
    #[error(
        "the limit {limit} of {value} cannot be split into {n}: raise it to at least {n} or take \
         fewer engines"
    )]
    TooSmall {
        /// Which limit.
        limit: &'static str,
        /// What it is.
        value: i128,
        /// How many engines there are.
        n: usize,
    },
    /// A balance is too small: an engine would be left with nothing.
    #[error(
        "the balance {amount} {asset} of account {account} cannot be split into {n}: raise it or take \
         fewer engines"
    )]
    BalanceTooSmall {
        /// Whose.
        account: String,
        /// Of which asset.
        asset: String,
        /// What it is.
        amount: Decimal,
        /// How many engines trade the account.
        n: usize,
    },
    /// There are not enough run numbers after this one.
    #[error("run {run} leaves no numbers for {n} engines: run numbers are below 2^24")]
    Runs {
        /// The first.
        run: u32,
        /// How many engines there are.
        n: usize,
    },
}

/// Deals the strategies of a configuration to `n` engines.
///
/// A limit that adds up over engines (position, exposure, open orders, orders a second and a day,
/// trades a day, daily loss, drawdown) is split without remainder: each gets the integer share, the
/// first one what is left over as well. What does not add up is the same for all, and holds on each by
/// itself: size of an order, collar, cooldown, and the ratio of cancels, which each judges from its own
/// hundredth order on.
///
/// Quantities, notionals and counts together never exceed the whole. A share of a loss can be exceeded
/// after it has tripped, as a whole one can, by what is still held; that it halts the others as well is for
/// `ShardsHandle::halt_others`.
///
/// # Errors
///
/// If there is no engine, a strategy would be divided, or a limit or balance cannot be split.
pub fn deal(config: &EngineConfig, n: usize, by: DealBy) -> Result<Vec<Shard>, DealError> {
    if n == 0 {
        return Err(DealError::NoEngine);
    }
    let last = u32::try_from(n - 1).ok().and_then(|last| config.run.checked_add(last));
    if last.is_none_or(|last| last >= 1 << 24) {
        return Err(DealError::Runs { run: config.run, n });
    }
    let owners: Vec<_> = config
        .strategies
        .iter()
        .map(|strategy| owner(strategy, n, by))
        .collect::<Result<_, _>>()?;
    (0..n)
        .map(|index| {
            let is_own = |(_, owner): &(usize, &usize)| **owner == index;
            let own: Vec<_> = owners.iter().enumerate().filter(is_own).map(|(id, _)| id).collect();
            let mut shard = config.clone();
            shard.run += u32::try_from(index).unwrap_or(0);
            shard.strategies = own.iter().map(|id| config.strategies[*id].clone()).collect();
            shard.limits = share(&config.limits, index, n, by)?;
            for (account, id) in shard.accounts.iter_mut().zip((0..).map(AccountId)) {
                match by {
                    DealBy::Accounts if engine_of(id, n) == index => {}
                    // It is another engine's: here it holds nothing and nobody trades it.
                    DealBy::Accounts => account.balances.clear(),
                    DealBy::Instruments => {
                        let traders = traders(config, &owners, id);
                        split_account(account, &config.assets, index, &traders)?;
                    }
                }
            }
            // The engine was configured with 16-bit ids.
            let strategies =
                own.iter().map(|id| StrategyId(u16::try_from(*id).unwrap_or(u16::MAX)));
            Ok(Shard { index, config: shard, strategies: strategies.collect() })
        })
        .collect()
}

/// Returns which engine an account is on, where accounts are dealt.
pub(super) const fn engine_of(account: AccountId, n: usize) -> usize {
    account.index() % n
}

/// Leaves an account what engine `index` has of it, where these trade it.
fn split_account(
    account: &mut AccountConfig,
    assets: &[String],
    index: usize,
    traders: &[usize],
) -> Result<(), DealError> {
    let n = traders.len();
    let Some(place) = traders.iter().position(|trader| *trader == index) else {
        account.balances.iter_mut().for_each(|(_, amount)| *amount = Decimal::ZERO);
        account.limits = RiskLimits::default();
        return Ok(());
    };
    if n == 1 {
        return Ok(());
    }
    account.limits = share(&account.limits, place, n, DealBy::Instruments)?;
    for (asset, amount) in &mut account.balances {
        let part = share_of_balance(*amount, place, n);
        *amount = part.ok_or_else(|| DealError::BalanceTooSmall {
            account: account.name.clone(),
            asset: assets.get(asset.index()).cloned().unwrap_or_default(),
            amount: *amount,
            n,
        })?;
    }
    Ok(())
}

/// Returns the engines that trade an account, ascending; the first one if none does.
fn traders(config: &EngineConfig, owners: &[usize], account: AccountId) -> Vec<usize> {
    let strategies = config.strategies.iter().zip(owners);
    let own = strategies.filter(|(strategy, _)| strategy.account == account);
    let mut traders: Vec<_> = own.map(|(_, owner)| *owner).collect();
    traders.sort_unstable();
    traders.dedup();
    if traders.is_empty() {
        traders.push(0);
    }
    traders
}

fn owner(strategy: &StrategyConfig, n: usize, by: DealBy) -> Result<usize, DealError> {
    match by {
        DealBy::Accounts => Ok(engine_of(strategy.account, n)),
        DealBy::Instruments => {
            let Some(first) = strategy.instruments.first() else { return Ok(0) };
            let owner = first.index() % n;
            match strategy.instruments.iter().find(|id| id.index() % n != owner) {
                None => Ok(owner),
                Some(other) => Err(DealError::Divided {
                    name: strategy.name.clone(),
                    one: *first,
                    other: *other,
                    n,
                }),
            }
        }
    }
}

fn share(limits: &RiskLimits, index: usize, n: usize, by: DealBy) -> Result<RiskLimits, DealError> {
    let part = |limit: &'static str, value: i128| -> Result<i128, DealError> {
        let parts = i128::try_from(n).unwrap_or(i128::MAX);
        // None at all is a decision; less than one for each is a mistake.
        if value > 0 && value < parts {
            return Err(DealError::TooSmall { limit, value, n });
        }
        let rest = if index == 0 { value % parts } else { 0 };
        Ok(value / parts + rest)
    };
    let quantity = |limit, value: Option<Quantity>| {
        let part = value.map(|value| part(limit, value.0.into())).transpose()?;
        // A part is no greater than the whole.
        Ok(part.map(|part| Quantity(i64::try_from(part).unwrap_or(i64::MAX))))
    };
    let notional = |limit, value: Option<Notional>| {
        Ok(value.map(|value| part(limit, value.0)).transpose()?.map(Notional))
    };
    let count = |limit, value: Option<u32>| {
        let part = value.map(|value| part(limit, value.into())).transpose()?;
        Ok(part.map(|part| u32::try_from(part).unwrap_or(u32::MAX)))
    };
    let RiskLimits {
        order_qty,
        order_notional,
        position_qty,
        gross_exposure,
        price_collar_bps,
        open_orders,
        orders_per_second,
        orders_per_day,
        cancels_per_100_orders,
        daily_loss,
        drawdown,
        cooldown_ns,
        trades_per_day,
        on_halt,
    } = *limits;
    Ok(RiskLimits {
        order_qty,
        order_notional,
        position_qty: match by {
            DealBy::Accounts => quantity("position_qty", position_qty)?,
            DealBy::Instruments => position_qty,
        },
        gross_exposure: notional("gross_exposure", gross_exposure)?,
        price_collar_bps,
        open_orders: count("open_orders", open_orders)?,
        orders_per_second: count("orders_per_second", orders_per_second)?,
        orders_per_day: count("orders_per_day", orders_per_day)?,
        cancels_per_100_orders,
        daily_loss: notional("daily_loss", daily_loss)?,
        drawdown: notional("drawdown", drawdown)?,
        cooldown_ns,
        trades_per_day: count("trades_per_day", trades_per_day)?,
        on_halt,
    })
}

/// Digits behind the point at which amounts are split at least.
const DIGITS: u32 = 8;

/// Splits an amount without remainder, at the digits that it is written with or at more; `None` if something
/// is split and less than a part is left for one.
fn share_of_balance(amount: Decimal, index: usize, n: usize) -> Option<Decimal> {
    let mut fine = amount;
    fine.rescale(amount.scale().max(DIGITS));
    let parts = i128::try_from(n).unwrap_or(i128::MAX);
    let part = fine.mantissa() / parts;
    if part == 0 && !amount.is_zero() {
        return None;
    }
    let rest = if index == 0 { fine.mantissa() % parts } else { 0 };
    Some(Decimal::from_i128_with_scale(part + rest, fine.scale()).normalize())
}
