//! The headless server: an engine on its thread, a journal, a tape, and those who look after them.
//!
//! Every start is a recovery: seal the run before, read what it left, begin a new run with that.
//! `begin.rs` decides what a run begins with, `engine.rs` is the engine's thread, `scripts.rs` holds
//! the versions of the strategies, `socket.rs` answers `tercel ctl`, `watch.rs` sees files change.

pub(crate) mod begin;
mod engine;
mod feed;
mod live;
mod notices;
mod scripts;
mod socket;
mod status;
mod timing;
mod watch;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use tercel_core::{Instrument, Nanos};
use tercel_runtime::{EndCause, Handle};
use tercel_script::{Language, Limits};
use tercel_store::runs::RunCatalog;

use self::begin::Setup;
use self::notices::Notices;
use self::scripts::Slot;
use crate::config::ScriptSection;
use crate::exit::{Answer, Blame, Outcome};
use crate::logging;
use crate::metrics;
use crate::server_config::ServerFile;
use crate::server_config::values::Listen;
use crate::signals::Signals;
use crate::supervisor::Supervisor;

/// What the server's threads share.
pub(crate) struct Server {
    pub(crate) run: u32,
    started: Instant,
    data: PathBuf,
    handle: Handle,
    notices: Notices,
    instruments: Vec<Instrument>,
    /// Names of the accounts by their ids.
    accounts: Vec<String>,
    intents_per_call: usize,
    script: ScriptSection,
    shadow_events: u64,
    slots: Mutex<Vec<Slot>>,
    feed_name: String,
    log: logging::Guard,
    is_over: AtomicBool,
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

/// Runs until the feed ends or somebody asks to stop.
pub(crate) fn run(file: &ServerFile, fresh: bool) -> Outcome {
    let log = logging::start(&file.config.log)?;
    tercel_crash::arm_from_environment().or_input()?;
    let mut supervisor = Supervisor::new();
    supervisor.starting("reading scripts and feed", Duration::from_secs(120));
    // First: with a key that is not to be had nothing is asked of a venue and no run is made.
    let key = live::key(file)?;
    let setup = Setup::read(file)?;
    let data = &file.config.run.data;
    let catalog = RunCatalog::open(data);
    let lock = catalog.lock().or_input()?;
    supervisor.starting("recovering", Duration::from_secs(120));
    let begun = Instant::now();
    let before = if fresh { None } else { begin::predecessor(&catalog, true)? };
    if let Some(recovered) = &before {
        setup.check_shape(recovered)?;
    }
    let folder = catalog.next_run(&lock).or_machine()?;
    let beginning = match before {
        Some(recovered) => setup.continued(recovered, folder.number)?,
        None => setup.fresh(folder.number)?,
    };
    tracing::info!(run = folder.number, ms = begun.elapsed().as_millis(), "recovered");
    let story = beginning.story.clone();
    let exchange = live::prepare(file, &setup, key)?;
    let signals = Signals::catch()?;
    let listener = socket::listen(&file.config.control_socket())?;
    let (server, engine) = engine::start(file, &setup, beginning, &folder, log, exchange)?;
    for line in story {
        server.notices.tell(now(), "info", line);
    }
    socket::serve(listener, &server).or_machine()?;
    let _watch = watch::start(file, &server)?;
    let metrics = match file.config.metrics.listen {
        Listen::Loopback(address) => Some(serve_metrics(address, &server)?),
        Listen::Off => None,
    };
    supervisor.ready(&format!("run {}", server.run));
    let socket = file.config.control_socket();
    eprintln!("run {} in {}; control socket {}", server.run, data.display(), socket.display());
    if let Some(metrics) = &metrics {
        eprintln!("metrics at http://{}/metrics", metrics.address());
    }
    let (mut asked_to_stop, mut asked_at) = (false, Instant::now());
    while !engine.is_finished() {
        if signals.is_stopping() && !asked_to_stop {
            asked_to_stop = true;
            supervisor.stopping("asked to stop");
            server.handle.stop();
        }
        if asked_at.elapsed() >= supervisor.interval() {
            asked_at = Instant::now();
            if let Some(status) = server.handle.status(supervisor.interval()) {
                supervisor.alive(Instant::now());
                supervisor.status(&format!(
                    "run {}, event {}, {:?}",
                    server.run, status.seq.0, status.state
                ));
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let ended = engine.join();
    server.is_over.store(true, Ordering::Release);
    // Somebody else may have replaced it; then it is theirs.
    let _ = std::fs::remove_file(&socket);
    let ending = ended?;
    let text = format!(
        "run {} {}: {} market events, {} reports, {} requests",
        server.run,
        ending.cause,
        ending.summary.n_events,
        ending.summary.n_reports,
        ending.summary.n_requests
    );
    server.notices.tell(now(), "info", text.clone());
    eprintln!("{text}");
    if let Some(failure) = ending.record_failure {
        return Err(begin::machine(format!("the end of the run is not recorded: {failure}")));
    }
    match ending.cause {
        EndCause::Stopped | EndCause::SourceEnded => Ok(Answer::Good),
        EndCause::SourceFailed(failure) => {
            Err(begin::machine(format!("the feed failed: {failure}")))
        }
    }
}

fn serve_metrics(
    address: std::net::SocketAddr,
    server: &Arc<Server>,
) -> Outcome<metrics::endpoint::Endpoint> {
    let own = Arc::clone(server);
    let source = move || own.status().map(|status| metrics::status::page_of(&status));
    metrics::endpoint::Endpoint::start(address, Arc::new(source))
}

fn now() -> Nanos {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
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
