//! How a run is journaled.

use std::time::Duration;

use tercel_core::{AccountId, OrderRequest};

/// How a run is journaled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecorderOptions {
    /// Whose orders wait until they are durable.
    pub durable: Durable,
    /// Order numbers that are leased at once; at least 2. Half of them are what the disk has time for
    /// to make the next lease durable.
    pub lease: u32,
    /// Entries after which the state is recorded; zero for never because of entries.
    pub snapshot_entries: u64,
    /// Time after which the state is recorded, if anything happened; zero for never because of time.
    pub snapshot_interval: Duration,
    /// How long the disk may keep everything waiting before trading halts.
    pub stall: Duration,
    /// Entries that wait in memory while the journal's ring is full. With more than that the journal
    /// is opened again and goes on from a snapshot.
    pub backlog: usize,
    /// Time between two attempts to open a journal that has failed.
    pub reopen_interval: Duration,
    /// How long an entry waits for room in the journal's ring before the engine goes on without its being
    /// recorded, halted. Zero where time passes by itself; a feed that is replayed loses nothing by
    /// waiting.
    pub patience: Duration,
}

impl Default for RecorderOptions {
    /// No account waits; 65,536 numbers; a snapshot every 100,000 entries or 60 s; 2 s of stall;
    /// a backlog of 65,536 entries; an attempt a second; no waiting for room.
    fn default() -> Self {
        Self {
            durable: Durable::None,
            lease: 1 << 16,
            snapshot_entries: 100_000,
            snapshot_interval: Duration::from_secs(60),
            stall: Duration::from_secs(2),
            backlog: 1 << 16,
            reopen_interval: Duration::from_secs(1),
            patience: Duration::ZERO,
        }
    }
}

/// Whose orders wait until they are durable. They are not sent unrecorded in either case: what waits
/// survives the machine's power, what does not wait survives the process.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Durable {
    /// Nobody's: the venue is the second witness of what was sent.
    #[default]
    None,
    /// Those of these accounts, as where a venue cannot be asked about an order by our id.
    Accounts(Vec<AccountId>),
    /// Everybody's.
    All,
}

impl Durable {
    /// Returns whether a request waits.
    #[inline]
    pub(super) fn concerns(&self, request: &OrderRequest) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Accounts(accounts) => accounts.contains(&account_of(request)),
        }
    }
}

const fn account_of(request: &OrderRequest) -> AccountId {
    match *request {
        OrderRequest::New { account, .. }
        | OrderRequest::Replace { account, .. }
        | OrderRequest::Cancel { account, .. } => account,
    }
}
