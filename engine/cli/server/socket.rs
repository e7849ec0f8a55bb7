//! The control socket: one JSON object a line, a request and its answer.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tercel_core::{AccountId, Command, Scope, StrategyId};
use tercel_runtime::{Directive, Handle};

use super::Server;
use crate::control_api::{Answer, Comparison, Request, ScopeName};
use crate::exit::{Blame, Outcome};

/// Longest request.
const LINE_MAX: u64 = 64 << 10;

/// How long the venue may take for what a comparison asks.
const COMPARISON_WAIT: Duration = Duration::from_secs(30);

/// How long the engine may take to say how it stands.
const STATUS_WAIT: Duration = Duration::from_secs(5);

/// Listens on a socket that only this user can open. Replaces a socket that nobody listens on.
pub(super) fn listen(path: &Path) -> Outcome<UnixListener> {
    if is_abandoned(path) {
        std::fs::remove_file(path).or_machine()?;
    }
    let listener = UnixListener::bind(path).map_err(|error| {
        crate::exit::input(format!("{}: {error}; choose another [control] socket", path.display()))
    })?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).or_machine()?;
    Ok(listener)
}

/// Returns whether this is a socket on which nobody listens. Anything else is somebody's, and stays.
fn is_abandoned(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|at| at.file_type().is_socket());
    let refused = |error: &std::io::Error| error.kind() == ErrorKind::ConnectionRefused;
    is_socket && UnixStream::connect(path).as_ref().is_err_and(refused)
}

/// Serves clients, each on a thread of its own, until the process ends.
pub(super) fn serve(listener: UnixListener, server: &Arc<Server>) -> std::io::Result<()> {
    let server = Arc::clone(server);
    std::thread::Builder::new().name("control".to_owned()).spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { continue };
            let server = Arc::clone(&server);
            let client = std::thread::Builder::new().name("control-client".to_owned());
            // Without a thread for it, the client sees its connection closed.
            let _ = client.spawn(move || talk(stream, &server));
        }
    })?;
    Ok(())
}

fn talk(stream: UnixStream, server: &Arc<Server>) {
    let Ok(mut out) = stream.try_clone() else { return };
    let mut lines = BufReader::new(stream);
    loop {
        let mut line = String::new();
        match lines.by_ref().take(LINE_MAX).read_line(&mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        if line.trim().is_empty() {
            continue;
        }
        let answer = match serde_json::from_str::<Request>(&line) {
            Ok(Request::Tail) => {
                tail(&mut out, server);
                return;
            }
            Ok(request) => server.answer(request),
            Err(error) => Err(format!("not a request: {error}").into()),
        };
        if write(&mut out, answer).is_err() {
            return;
        }
    }
}

/// Why something is not done.
struct Refusal {
    text: String,
    /// Whether it is asked for all the same.
    is_asked: bool,
}

impl From<String> for Refusal {
    fn from(text: String) -> Self {
        Self { text, is_asked: false }
    }
}

fn write(out: &mut UnixStream, answer: Result<Value, Refusal>) -> std::io::Result<()> {
    let answer = match answer {
        Ok(result) => Answer { ok: true, result: Some(result), ..Answer::default() },
        Err(Refusal { text, is_asked }) => {
            Answer { error: Some(text), is_asked, ..Answer::default() }
        }
    };
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    out.write_all(&line)
}

/// Writes notices as they come, until the client goes.
fn tail(out: &mut UnixStream, server: &Server) {
    let mut n_seen = 0;
    loop {
        let (notices, n) = server.notices.after(n_seen, Duration::from_secs(1));
        n_seen = n;
        for notice in notices {
            let line = serde_json::to_value(notice).map_err(|error| error.to_string().into());
            if write(out, line).is_err() {
                return;
            }
        }
        if server.is_over() {
            return;
        }
    }
}

impl Server {
    fn answer(self: &Arc<Self>, request: Request) -> Result<Value, Refusal> {
        match request {
            Request::Pause(scope) => self.command(&scope, Command::Reduce),
            Request::Resume(scope) => self.command(&scope, Command::Resume),
            Request::Flatten(scope) => self.command(&scope, Command::Flatten),
            Request::Kill(scope) => self.command(&scope, Command::Kill),
            other => Ok(self.look_after(other)?),
        }
    }

    /// Answers what is no command to the engines.
    fn look_after(self: &Arc<Self>, request: Request) -> Result<Value, String> {
        let done = |text: String| Ok(json!(text));
        match request {
            Request::Status => {
                serde_json::to_value(self.status()?).map_err(|error| error.to_string())
            }
            Request::Set { strategy, values } => {
                let values: Vec<_> = values.into_iter().collect();
                self.set(self.strategy(&strategy)?, &values).and_then(done)
            }
            Request::Reload { strategy, shadow } => {
                self.reload(self.strategy(&strategy)?, shadow, true).map(Value::from)
            }
            Request::Rollback { strategy, hash } => {
                self.roll_back(self.strategy(&strategy)?, &hash).and_then(done)
            }
            Request::Reconcile => self.reconcile(),
            Request::Stop => {
                self.shards.stop();
                Ok(Value::Null)
            }
            // Answered by a stream, and as commands.
            Request::Tail
            | Request::Pause(_)
            | Request::Resume(_)
            | Request::Flatten(_)
            | Request::Kill(_) => Ok(Value::Null),
        }
    }

    fn command(&self, scope: &ScopeName, make: fn(Scope) -> Command) -> Result<Value, Refusal> {
        let scope = self.scope(&scope.scope)?;
        self.shards.send(&make(scope)).map_err(|error| error.to_string())?;
        // Commands and looks wait in one queue: these are answered after that was carried out.
        let until = Instant::now() + STATUS_WAIT;
        for (index, engine) in self.shards.engines().iter().enumerate() {
            let left = until.saturating_duration_since(Instant::now());
            engine.inspect(left, |_, _| ()).map_err(|_| Refusal {
                text: format!(
                    "{}; it is carried out as soon as that is possible",
                    self.silent(index)
                ),
                is_asked: true,
            })?;
        }
        Ok(Value::Null)
    }

    /// Has the venue's books compared with ours now, and waits for what comes out.
    fn reconcile(&self) -> Result<Value, String> {
        let at_venue = self.engines.iter().flat_map(|own| own.at_venue.iter().copied());
        self.notices.await_accounts(at_venue);
        let engines = self.shards.engines().iter().zip(&self.engines).enumerate();
        let mut has_any = false;
        for (index, (engine, _)) in engines.filter(|(_, (_, own))| !own.at_venue.is_empty()) {
            has_any = true;
            let (sender, receiver) = sync_channel(1);
            engine.direct(Directive::Reconcile(sender)).map_err(|error| error.to_string())?;
            let begun = receiver.recv_timeout(STATUS_WAIT).map_err(|_| self.silent(index))?;
            if !begun {
                return Err(
                    "not connected to the venue: nothing can be compared now; `tercel ctl tail` \
                            shows why"
                        .to_owned(),
                );
            }
        }
        if !has_any {
            return Err("there is no account at a venue to compare with".to_owned());
        }
        let found = self.notices.compared(COMPARISON_WAIT).ok_or(
            "the venue has not answered everything in time, or trading was in the way; \
             `tercel ctl tail` shows why",
        )?;
        let comparison = Comparison {
            is_equal: !found.has_difference,
            n_orders: found.n_orders as u64,
            lines: found.lines.into(),
        };
        serde_json::to_value(comparison).map_err(|error| error.to_string())
    }

    fn scope(&self, text: &str) -> Result<Scope, String> {
        if text == "engine" {
            return Ok(Scope::Engine);
        }
        if let Some(name) = text.strip_prefix("strategy:") {
            let n = self.strategy(name)?;
            return Ok(Scope::Strategy(StrategyId(u16::try_from(n).unwrap_or(u16::MAX))));
        }
        let Some(name) = text.strip_prefix("account:") else {
            return Err(format!("{text} is no scope; write engine, account:NAME or strategy:NAME"));
        };
        let mut ids = (0..).map(AccountId).zip(&self.accounts);
        ids.find(|(_, own)| *own == name).map(|(id, _)| Scope::Account(id)).ok_or_else(|| {
            format!("there is no account {name}; there is {}", self.accounts.join(", "))
        })
    }

    /// Returns a strategy's number; of the only one also without a name.
    fn strategy(&self, name: &str) -> Result<usize, String> {
        let slots = self.slots.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if name.is_empty() && slots.len() == 1 {
            return Ok(0);
        }
        slots.iter().position(|slot| slot.name == name).ok_or_else(|| {
            let known: Vec<_> = slots.iter().map(|slot| slot.name.as_str()).collect();
            format!("there is no strategy \"{name}\"; there is {}", known.join(", "))
        })
    }

    /// Returns how everything stands, if all engines answer: a sum over some would mislead.
    pub(super) fn status(self: &Arc<Self>) -> Result<crate::control_api::Status, String> {
        let until = Instant::now() + STATUS_WAIT;
        let view = |(index, handle): (usize, &Handle)| {
            let own = Arc::clone(self);
            let left = until.saturating_duration_since(Instant::now());
            handle
                .inspect(left, move |engine, status| own.view_of(index, engine, status))
                .map_err(|_| self.silent(index))
        };
        let views = self.shards.engines().iter().enumerate().map(view);
        Ok(self.status_of(views.collect::<Result<_, _>>()?))
    }

    fn silent(&self, index: usize) -> String {
        match self.engines.len() {
            1 => "the engine does not answer".to_owned(),
            _ => format!("engine {} does not answer", index + 1),
        }
    }
}
