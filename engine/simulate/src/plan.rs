//! What a seed draws before anything happens: each world has its own mixture of faults.

use std::time::Duration;

use tercel_core::{AccountId, Nanos, Notional, OnHalt, OrderRequest, Quantity};
use tercel_runtime::{Durable, RecorderOptions};
use tercel_store::journal::{JournalMode, JournalOptions};
use tercel_testkit::Random;

/// The mixture of one seed. Chances are in percent.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Whose orders wait until they are durable.
    pub(crate) durable: Durable,
    pub(crate) recorder: RecorderOptions,
    pub(crate) journal: JournalOptions,
    /// Time between a record and its commit, in nanoseconds.
    pub(crate) linger_ns: i64,
    /// Market events that find room on their way to the engine.
    pub(crate) market_ring: usize,
    /// Time between two changes of the market.
    pub(crate) tick_ns: i64,
    /// Time between two deeds of operator and fate.
    pub(crate) deed_ns: i64,
    pub(crate) network: Network,
    /// Share of fates (crashes, disks, clocks) among the deeds; the rest is the operator's.
    pub(crate) fate: u64,
    pub(crate) strategy_position: Quantity,
    pub(crate) account_position: Quantity,
    pub(crate) open_orders: u32,
    pub(crate) orders_per_second: u32,
    pub(crate) daily_loss: Option<Notional>,
    /// What becomes of open orders when accounts or the engine halt by themselves.
    pub(crate) on_halt: OnHalt,
}

/// How badly the order connection behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Network {
    pub(crate) late: u64,
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) lost_request: u64,
    /// Of new orders, by the venue.
    pub(crate) rejected: u64,
}

impl Network {
    /// Everything arrives, once and soon.
    pub(crate) const PERFECT: Self =
        Self { late: 0, lost: 0, doubled: 0, lost_request: 0, rejected: 0 };
}

impl Plan {
    /// Returns whether a request waits until it is durable.
    pub(crate) fn is_durable(&self, request: &OrderRequest) -> bool {
        let OrderRequest::New { account, .. } = request else { return false };
        match &self.durable {
            Durable::None => false,
            Durable::All => true,
            Durable::Accounts(accounts) => accounts.contains(account),
        }
    }

    pub(crate) fn draw(random: &mut Random) -> Self {
        let durable = match random.below(4) {
            0 => Durable::All,
            1 | 2 => Durable::Accounts(vec![AccountId(1)]),
            _ => Durable::None,
        };
        let pick = |random: &mut Random, from: i64, to: i64| {
            u64::try_from(random.between(from, to)).expect("from a positive range")
        };
        let lease = [4, 8, 32, 128][random.index(4)];
        let backlog = [2, 24, 400][random.index(3)];
        let snapshot_entries = [0, 12, 40, 150][random.index(4)];
        let ring_bytes = [2 << 10, 4 << 10, 16 << 10][random.index(3)];
        Self {
            recorder: RecorderOptions {
                durable: durable.clone(),
                lease,
                snapshot_entries,
                snapshot_interval: Duration::from_secs(pick(random, 5, 90)),
                stall: Duration::from_secs(2),
                backlog,
                reopen_interval: Duration::from_secs(1),
                patience: Duration::ZERO,
            },
            journal: JournalOptions {
                mode: JournalMode::Stepped,
                ring_bytes,
                linger: Duration::ZERO,
                cache_bytes: 1 << 20,
            },
            durable,
            linger_ns: random.between(1, 40) * Nanos::MILLI,
            market_ring: [24, 64, 160][random.index(3)],
            tick_ns: random.between(200, 900) * Nanos::MILLI,
            deed_ns: random.between(2, 9) * Nanos::SECOND,
            network: Network {
                late: random.below(20),
                lost: random.below(20),
                doubled: random.below(40),
                lost_request: random.below(12),
                rejected: random.below(10),
            },
            fate: 20 + random.below(50),
            strategy_position: Quantity(random.between(8, 60)),
            account_position: Quantity(random.between(12, 80)),
            open_orders: u32::try_from(random.between(3, 16)).expect("a small number"),
            orders_per_second: u32::try_from(random.between(2, 12)).expect("a small number"),
            daily_loss: random
                .chance(30)
                .then(|| Notional(i128::from(random.between(1, 40)) * Notional::ONE)),
            on_halt: if random.chance(30) { OnHalt::Keep } else { OnHalt::Cancel },
        }
    }
}
