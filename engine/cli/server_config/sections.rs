//! The sections that are values alone.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tercel_runtime::{DealBy, IdleStrategy};
use tercel_store::journal::{JournalMode, JournalOptions};

use super::values::{Listen, some_within, within};

/// `[run]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RunSection {
    /// Where orders go.
    pub(crate) mode: Mode,
    /// Folder of the journals, tapes and the control socket.
    pub(crate) data: PathBuf,
    /// Which threads there are and how they wait.
    pub(crate) profile: Profile,
    /// How many engines there are.
    #[serde(deserialize_with = "within::<_, _, 1, 64>")]
    pub(crate) engines: usize,
    /// By what strategies are dealt to them.
    pub(crate) deal: Deal,
    /// Core of the engine's thread, of the machine's numbering.
    #[serde(deserialize_with = "some_within::<_, _, 0, 4095>")]
    pub(crate) engine_core: Option<usize>,
    /// Core of the feed's thread.
    #[serde(deserialize_with = "some_within::<_, _, 0, 4095>")]
    pub(crate) feed_core: Option<usize>,
    /// Core of each engine's thread, where there are several.
    pub(crate) engine_cores: Vec<u16>,
    /// Core of each engine's feed.
    pub(crate) feed_cores: Vec<u16>,
    /// What a thread does while there is nothing to do; by profile if absent.
    pub(crate) idle: Option<IdleKind>,
    /// Most market events that are handled between two looks at commands, reports and timers.
    #[serde(deserialize_with = "within::<_, _, 1, 65536>")]
    pub(crate) events_per_cycle: usize,
    /// Market events that may wait for the engine.
    #[serde(deserialize_with = "within::<_, _, 64, 16777216>")]
    pub(crate) ring_capacity: usize,
    /// Seed of the scripts' random numbers and, unless it has its own, of the seeded market.
    #[serde(deserialize_with = "within::<_, _, 0, 9223372036854775807>")]
    pub(crate) seed: u64,
}

/// Where orders go.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// To a simulated venue.
    #[default]
    Paper,
    /// To the venue's test network or demo accounts.
    Testnet,
    /// To the venue, for real money.
    Live,
}

impl Mode {
    /// Returns the word that the configuration has for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Paper => "paper",
            Self::Testnet => "testnet",
            Self::Live => "live",
        }
    }
}

/// Which threads there are and how they wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Profile {
    /// A thread for the feed and one for the engine, which share their cores with others.
    #[default]
    Shared,
    /// The same threads, each on a core of its own.
    Pinned,
    /// One thread, which reads the feed itself.
    Inline,
}

/// By what strategies are dealt to engines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Deal {
    /// By their accounts.
    #[default]
    Accounts,
    /// By their instruments.
    Instruments,
}

impl Deal {
    /// Returns its name in the file, which is also that in the note of runs that belong together.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Instruments => "instruments",
        }
    }

    /// Returns what deals.
    pub(crate) const fn by(self) -> DealBy {
        match self {
            Self::Accounts => DealBy::Accounts,
            Self::Instruments => DealBy::Instruments,
        }
    }
}

/// What a thread does while there is nothing to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IdleKind {
    /// Looks again at once.
    Spin,
    /// Looks again, giving the core away between looks.
    Yield,
    /// Sleeps until it is woken.
    Park,
}

impl Default for RunSection {
    fn default() -> Self {
        Self {
            mode: Mode::Paper,
            data: PathBuf::from("tercel-data"),
            profile: Profile::Shared,
            engines: 1,
            deal: Deal::Accounts,
            engine_core: None,
            feed_core: None,
            engine_cores: Vec::new(),
            feed_cores: Vec::new(),
            idle: None,
            events_per_cycle: 256,
            ring_capacity: 65_536,
            seed: 1,
        }
    }
}

impl RunSection {
    /// Returns the section as one of several engines has it: with the cores that are its own.
    pub(crate) fn of_engine(&self, index: usize) -> Self {
        let own = |cores: &[u16]| cores.get(index).map(|core| usize::from(*core));
        Self {
            engine_core: self.engine_core.or_else(|| own(&self.engine_cores)),
            feed_core: self.feed_core.or_else(|| own(&self.feed_cores)),
            ..self.clone()
        }
    }

    /// Returns what threads do while there is nothing to do: threads with a core of their own spin,
    /// others park, unless the file says so.
    pub(crate) fn idle_strategy(&self) -> IdleStrategy {
        let by_profile = match self.profile {
            Profile::Shared => IdleKind::Park,
            Profile::Pinned | Profile::Inline => IdleKind::Spin,
        };
        match self.idle.unwrap_or(by_profile) {
            IdleKind::Spin => IdleStrategy::BusySpin,
            IdleKind::Yield => IdleStrategy::SpinThenYield { spins: 100 },
            IdleKind::Park => IdleStrategy::default(),
        }
    }
}

/// `[journal]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct JournalSection {
    /// Whether orders wait for the disk.
    pub(crate) mode: JournalModeName,
    /// Room for records that wait for the disk.
    #[serde(deserialize_with = "within::<_, _, 1, 1024>")]
    pub(crate) ring_mb: usize,
    /// Longest time that a record waits for others to share its commit.
    #[serde(deserialize_with = "within::<_, _, 0, 1000>")]
    pub(crate) linger_ms: u64,
    /// Entries between snapshots.
    #[serde(deserialize_with = "within::<_, _, 100, 1000000000>")]
    pub(crate) snapshot_every_entries: u64,
    /// Seconds between snapshots.
    #[serde(deserialize_with = "within::<_, _, 1, 86400>")]
    pub(crate) snapshot_every_s: u64,
    /// How long the disk may take for a record before trading stops.
    #[serde(deserialize_with = "within::<_, _, 1, 600>")]
    pub(crate) stall_s: u64,
}

/// Whether orders wait for the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JournalModeName {
    /// They do not.
    #[default]
    Async,
    /// They are sent once they are recorded durably.
    Durable,
}

impl Default for JournalSection {
    fn default() -> Self {
        Self {
            mode: JournalModeName::Async,
            ring_mb: 8,
            linger_ms: 1,
            snapshot_every_entries: 100_000,
            snapshot_every_s: 60,
            stall_s: 5,
        }
    }
}

impl JournalSection {
    /// Returns what the journal is opened with.
    pub(crate) fn options(&self) -> JournalOptions {
        JournalOptions {
            mode: match self.mode {
                JournalModeName::Async => JournalMode::Async,
                JournalModeName::Durable => JournalMode::Durable,
            },
            ring_bytes: self.ring_mb << 20,
            linger: Duration::from_millis(self.linger_ms),
            ..JournalOptions::default()
        }
    }
}

/// `[tape]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TapeSection {
    /// Whether market data is recorded.
    pub(crate) enabled: bool,
    /// Size of a file at which the next one is begun.
    #[serde(deserialize_with = "within::<_, _, 1, 65536>")]
    pub(crate) segment_mb: u64,
    /// Most that is kept, in gigabytes; 0 for no bound.
    #[serde(deserialize_with = "within::<_, _, 0, 1000000>")]
    pub(crate) keep_gb: u64,
    /// How long it is kept, in days; 0 for no bound.
    #[serde(deserialize_with = "within::<_, _, 0, 36500>")]
    pub(crate) keep_days: u64,
}

impl Default for TapeSection {
    fn default() -> Self {
        Self { enabled: true, segment_mb: 256, keep_gb: 20, keep_days: 30 }
    }
}

/// `[reload]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ReloadSection {
    /// Whether a script is loaded again when its file changes.
    pub(crate) watch: bool,
    /// How long a file must have been quiet.
    #[serde(deserialize_with = "within::<_, _, 0, 60000>")]
    pub(crate) settle_ms: u64,
    /// Events that a new version sees in the shadow of the old one before it takes its place.
    #[serde(deserialize_with = "within::<_, _, 0, 1000000000>")]
    pub(crate) shadow_events: u64,
}

impl Default for ReloadSection {
    fn default() -> Self {
        Self { watch: true, settle_ms: 200, shadow_events: 0 }
    }
}

/// `[log]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LogSection {
    /// Lines for people or for programs.
    pub(crate) format: LogFormat,
    /// Least urgent level that is written.
    pub(crate) level: LogLevel,
    /// The file; standard error if absent. Rotated files carry their time after the name.
    pub(crate) file: Option<PathBuf>,
    /// When the next file is begun.
    pub(crate) rotate: Rotation,
    /// Files that are kept.
    #[serde(deserialize_with = "within::<_, _, 1, 10000>")]
    pub(crate) keep: usize,
}

/// Lines for people or for programs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// Text.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How urgent a line is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogLevel {
    Off,
    /// Somebody must act.
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// When the next file is begun, in UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rotation {
    #[default]
    Daily,
    Hourly,
    Never,
}

impl Default for LogSection {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: LogLevel::Info,
            file: None,
            rotate: Rotation::Daily,
            keep: 14,
        }
    }
}

/// `[metrics]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MetricsSection {
    /// Where they are served.
    pub(crate) listen: Listen,
}

impl Default for MetricsSection {
    fn default() -> Self {
        Self { listen: Listen::Loopback(([127, 0, 0, 1], 9464).into()) }
    }
}

/// `[control]`
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ControlSection {
    /// The socket; `control.sock` in the data folder if absent.
    pub(crate) socket: Option<PathBuf>,
}
