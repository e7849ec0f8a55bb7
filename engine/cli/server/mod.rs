//! The headless server: engines, each on its thread with a journal and a tape, and those who look after
//! them. There is one engine unless the configuration wants several.
//!
//! Every start is a recovery: seal the runs before, read what they left, begin new runs with that.
//! `predecessors.rs` finds what was left, `destination.rs` says whether its orders went the same way,
//! `begin.rs` decides what a run begins with, `engine.rs` is an engine's thread, `endings.rs` says what it
//! means that one ended, `shared_losses.rs` halts all of them when one has lost its share, `scripts.rs`
//! holds the versions of the strategies, `socket.rs` answers `tercel ctl`, `watch.rs` sees files change,
//! `live.rs` is a real venue, `links.rs` how the connections to it stand and `account_words.rs` what is told
//! of the accounts there.

mod account_words;
pub(crate) mod begin;
mod destination;
mod endings;
mod engine;
mod feed;
mod kept;
mod links;
mod live;
mod notices;
pub(crate) mod predecessors;
mod refusals;
mod scripts;
mod shared_losses;
mod socket;
mod status;
mod timing;
mod watch;
mod whole;

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use notify::RecommendedWatcher;
use tercel_core::{AccountId, Instrument, InstrumentId};
use tercel_runtime::{Ending, Shards, ShardsHandle};
use tercel_script::{Language, Limits};
use tercel_store::runs::RunCatalog;

use self::begin::{Beginning, Setup};
use self::kept::Kept;
use self::links::Links;
pub(crate) use self::live::keys;
use self::notices::Notices;
use self::scripts::Slot;
use crate::config::ScriptSection;
use crate::data_folder::blame;
use crate::exit::{Blame, Outcome};
use crate::logging;
use crate::metrics;
use crate::server_config::ServerFile;
use crate::server_config::sections::Mode;
use crate::server_config::values::Listen;
use crate::signals::Signals;
use crate::supervisor::Supervisor;
use crate::timing::now;

/// What the server's threads share.
pub(crate) struct Server {
    /// The engines, at least one, by their indexes.
    engines: Vec<EngineOf>,
    started: Instant,
    data: PathBuf,
    shards: ShardsHandle,
    notices: Notices,
    instruments: Vec<Instrument>,
    /// Names of the accounts by their ids.
    accounts: Vec<String>,
    intents_per_call: usize,
    script: ScriptSection,
    shadow_events: u64,
    /// The strategies by their ids in the whole.
    slots: Mutex<Vec<Slot>>,
    /// What was set on them, and the folder of the run that notes it.
    kept: Mutex<Kept>,
    kept_in: PathBuf,
    feed_name: String,
    /// Where orders go, in the configuration's word.
    mode: &'static str,
    has_tape: bool,
    log: logging::Lost,
    is_over: AtomicBool,
}

/// What is known of one of a server's engines.
#[derive(Debug)]
struct EngineOf {
    /// Number of the run that it records.
    run: u32,
    /// What its strategies traded when it started, ascending.
    traded: Vec<InstrumentId>,
    /// The accounts at a venue that it trades.
    at_venue: Vec<AccountId>,
    /// How its connections to a venue stand.
    links: Links,
}

impl Server {
    fn script_limits(&self, language: Language) -> Limits {
        self.script.limits(language)
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    fn name_of(&self, n: usize) -> String {
        let slots = self.slots.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        slots.get(n).map_or_else(String::new, |slot| slot.name.clone())
    }
}

/// What becomes of what earlier runs left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Before {
    /// The run begins as if there was none.
    Forgotten,
    /// It goes on from there, if the accounts have the keys that they had.
    TakenOver,
    /// It goes on from there, whatever their keys.
    TakenOverWithNewKeys,
}

/// Runs until the feed ends or somebody asks to stop.
pub(crate) fn run(file: &ServerFile, before: Before) -> Outcome {
    let log = logging::start(&file.config.log)?;
    tercel_crash::arm_from_environment().or_input()?;
    let mut supervisor = Supervisor::new();
    supervisor.starting("reading scripts and feed", Duration::from_secs(120));
    // First: with a key that is not to be had nothing is asked of a venue and no run is made.
    let keys = keys(file)?;
    let mut setup = Setup::read(file)?;
    let shards = setup.deal(file)?;
    let data = &file.config.run.data;
    let catalog = RunCatalog::open(data);
    let lock = catalog.lock().or_input()?;
    supervisor.starting("recovering", Duration::from_secs(120));
    let begun = Instant::now();
    let installation = catalog.install(&lock).map_err(blame)?;
    let account_keys = destination::account_keys(file, &keys, installation);
    let has_new_keys = before == Before::TakenOverWithNewKeys;
    let before = match before {
        Before::Forgotten => None,
        Before::TakenOver | Before::TakenOverWithNewKeys => {
            predecessors::predecessors(&catalog, true)?
        }
    };
    let (mut story, mut kept, mut told) = (Vec::new(), Kept::default(), Vec::new());
    if let Some(before) = &before {
        before.check(&shards, file)?;
        story.extend(before.check_keys(&account_keys, has_new_keys)?);
        kept = Kept::read(before.folder())?;
        told = kept.give(&mut setup, file, before.config());
    }
    let n_runs = u32::try_from(shards.len()).or_machine()?;
    let folders = catalog.next_group(&lock, n_runs, file.config.run.deal.as_str()).or_machine()?;
    for folder in folders.iter().filter(|_| !account_keys.is_empty()) {
        folder.note_keys(&account_keys).or_machine()?;
    }
    if !kept.is_empty() {
        kept.write(&folders[0].path).or_machine()?;
    }
    if before.is_none() {
        story.push("nothing came before: money is as configured".to_owned());
    }
    let mut before = match before {
        Some(before) => {
            let cut_off = before.cut_off()?;
            Some(before.runs.into_iter().zip(cut_off))
        }
        None => None,
    };
    let mut starts = Vec::new();
    for (mut shard, folder) in shards.into_iter().zip(folders) {
        shard.config.run = folder.number;
        let beginning = match before.as_mut().and_then(Iterator::next) {
            Some((recovered, cut_off)) => Beginning::continued(recovered, cut_off, &shard)?,
            None => Beginning::fresh(&shard)?,
        };
        story.extend(beginning.story.iter().cloned());
        // The only engine follows them all, and those at a venue do: what their accounts hold there, and
        // which instruments say what that is worth, is not known yet.
        let followed = match file.config.run.mode {
            Mode::Paper if n_runs > 1 => shard.instruments(),
            _ => setup.instruments.iter().map(|own| own.id).collect(),
        };
        let exchange = live::prepare(file, &setup, &shard, &followed, &keys, installation)?;
        starts.push(engine::Start { shard, beginning, folder, followed, exchange });
    }
    if file.config.run.mode == Mode::Live {
        eprint!("{}", live::limits_text(file));
    }
    let runs = named(starts[0].folder.number, n_runs);
    tracing::info!(%runs, ms = begun.elapsed().as_millis(), "recovered");
    let signals = Signals::catch()?;
    let listener = socket::listen(&file.config.control_socket())?;
    let (server, mut shards, starter) = engine::start(file, &setup, starts, kept, log.lost())?;
    for line in story {
        server.notices.tell(now(), "info", line);
    }
    for (level, line) in told {
        server.notices.tell(now(), level, line);
    }
    let attendants = match Attendants::start(file, &server, listener) {
        Ok(attendants) => attendants,
        Err(failure) => {
            // The engines end without having done anything.
            drop(starter);
            drop(shards.join());
            let _ = std::fs::remove_file(file.config.control_socket());
            return Err(failure);
        }
    };
    // From here on they trade; unless one of them could not begin, which its ending tells.
    if starter.wait().is_ok() {
        supervisor.ready(&runs);
        let socket = file.config.control_socket();
        eprintln!("{runs} in {}; control socket {}", data.display(), socket.display());
        if let Some(metrics) = &attendants.metrics {
            eprintln!("metrics at http://{}/metrics", metrics.address());
        }
    }
    let endings = watch_engines(&server, &mut shards, &signals, &mut supervisor, &runs);
    server.is_over.store(true, Ordering::Release);
    // It may be gone already.
    let _ = std::fs::remove_file(file.config.control_socket());
    endings::judge(&server, endings)
}

/// Names the runs of a start.
fn named(first: u32, n: u32) -> String {
    match n {
        1 => format!("run {first}"),
        _ => format!("runs {first} to {}", first.saturating_add(n - 1)),
    }
}

/// Waits for all engines to end, and stops them when somebody asks or one of them fails. Returns what
/// they ended with, in the order in which they did.
fn watch_engines(
    server: &Server,
    shards: &mut Shards<Outcome<Ending>>,
    signals: &Signals,
    supervisor: &mut Supervisor,
    runs: &str,
) -> Vec<(usize, Outcome<Ending>)> {
    let (mut asked_to_stop, mut asked_at) = (false, Instant::now());
    let mut endings = Vec::new();
    while shards.n_left() > 0 {
        let ended = shards.take_ended();
        if ended.iter().any(|(_, ended)| endings::is_failure(ended)) {
            // Its strategies were to trade beside the others'; what is left is for a person to judge.
            server.shards.stop();
        }
        endings.extend(ended);
        if signals.is_stopping() && !asked_to_stop {
            asked_to_stop = true;
            supervisor.stopping("asked to stop");
            server.shards.stop();
        }
        if asked_at.elapsed() >= supervisor.interval() {
            asked_at = Instant::now();
            let status = server.shards.status(supervisor.interval());
            if status.engines.iter().all(Option::is_some) {
                supervisor.alive(Instant::now());
                let n_events: u64 = status.engines.iter().flatten().map(|own| own.seq.0).sum();
                supervisor.status(&format!("{runs}, event {n_events}, {:?}", status.state));
            }
        }
        server.notices.tell_refusals(Instant::now());
        std::thread::sleep(Duration::from_millis(20));
    }
    server.notices.tell_last_refusals();
    endings
}

/// Those who look after the engines from other threads.
struct Attendants {
    metrics: Option<metrics::endpoint::Endpoint>,
    _watch: Option<RecommendedWatcher>,
}

impl Attendants {
    /// Starts them; all that can be refused about them is, before any engine trades.
    fn start(file: &ServerFile, server: &Arc<Server>, listener: UnixListener) -> Outcome<Self> {
        let metrics = match file.config.metrics.listen {
            Listen::Loopback(address) => Some(serve_metrics(address, server)?),
            Listen::Off => None,
        };
        let watch = watch::start(file, server)?;
        socket::serve(listener, server).or_machine()?;
        Ok(Self { metrics, _watch: watch })
    }
}

fn serve_metrics(
    address: std::net::SocketAddr,
    server: &Arc<Server>,
) -> Outcome<metrics::endpoint::Endpoint> {
    let own = Arc::clone(server);
    let source = move || own.status().ok().map(|status| metrics::status::page_of(&status));
    metrics::endpoint::Endpoint::start(address, Arc::new(source))
}

/// Returns bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
