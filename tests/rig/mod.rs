//! A server in a folder of its own.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with a configuration and a script.
pub(crate) struct Place {
    folder: TempDir,
}

/// Trades on every half second of the market, and counts what it did.
pub(crate) const TRADER: &str = r#"
strategy {
    name = "trader",
    timers = { beat = 500 },
    params = { { name = "quantity", kind = "number", default = 0.01, min = 0.001, max = 1, doc = "Of each order." } },
}
local n = 0
function on_init() n = recall("n") or 0 end
function on_reload(old) n = old.n or 0 end
function on_timer(name)
    n += 1
    remember("n", n)
    if n % 3 == 0 then
        cancel_all()
    elseif n % 2 == 0 then
        market_buy(param("quantity"))
    else
        market_sell(param("quantity"))
    end
    local best = bid()
    if best then buy(param("quantity"), best - 5) end
end
"#;

impl Place {
    pub(crate) fn new(script: &str, pace: &str) -> Self {
        let rest = "[[strategy]]\nscript = \"trader.luau\"\n";
        Self::of(script, "", &format!("pace = {pace}"), rest)
    }

    /// A folder whose configuration has these lines in `[run]` and `[feed]`, and these at its end.
    pub(crate) fn of(script: &str, run: &str, feed: &str, rest: &str) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::write(place.script(), script).unwrap();
        place.configure(run, feed, rest);
        place
    }

    /// Writes another configuration.
    pub(crate) fn configure(&self, run: &str, feed: &str, rest: &str) {
        let config = format!(
            "[run]\ndata = \"data\"\n{run}\n[feed]\n{feed}\n[journal]\nsnapshot_every_entries = 200\n\
             [metrics]\nlisten = \"off\"\n[log]\nfile = \"log/tercel.log\"\n{rest}"
        );
        std::fs::write(self.path("tercel.toml"), config).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn script(&self) -> PathBuf {
        self.path("trader.luau")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Runs a command of ours in the folder.
    pub(crate) fn tercel(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_tercel"))
            .args(args)
            .current_dir(self.folder.path())
            .env("TERCEL_DATA", "data")
            .output()
            .unwrap()
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let output = self.tercel(args);
        let text = String::from_utf8(output.stdout).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| {
            panic!("{args:?}: {error}: {text} {}", String::from_utf8_lossy(&output.stderr))
        })
    }

    /// Starts the server and waits until it answers.
    pub(crate) fn start(&self) -> Server<'_> {
        let mut server = self.spawn(&[]);
        server.wait_until(|status| status["seq"].as_u64() > Some(0));
        server
    }

    /// Starts the server with these variables, and waits for nothing.
    pub(crate) fn spawn(&self, variables: &[(&str, &str)]) -> Server<'_> {
        self.spawn_with(&[], variables)
    }

    /// Starts the server with further arguments and these variables, and waits for nothing.
    pub(crate) fn spawn_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Server<'_> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tercel"))
            .args(["run", "--config", "tercel.toml"])
            .args(args)
            .current_dir(self.folder.path())
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Server { child, stderr, said: String::new(), place: self }
    }

    /// The folders of all runs, oldest first.
    pub(crate) fn runs(&self) -> Vec<PathBuf> {
        let mut runs: Vec<_> = std::fs::read_dir(self.data().join("runs"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.join("journal.redb").exists())
            .collect();
        runs.sort();
        runs
    }
}

/// A running server.
pub(crate) struct Server<'a> {
    child: Child,
    stderr: BufReader<ChildStderr>,
    /// What it has said that was read.
    said: String,
    place: &'a Place,
}

impl Server<'_> {
    pub(crate) fn status(&self) -> Option<Value> {
        let output = self.place.tercel(&["ctl", "status", "--json"]);
        output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
    }

    /// Waits until the status is as wished.
    pub(crate) fn wait_until(&mut self, wished: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let status = self.status();
            if let Some(status) = status.as_ref().filter(|status| wished(status)) {
                return status.clone();
            }
            if let Some(exit) = self.child.try_wait().unwrap() {
                panic!("the server ended: {exit}: {}", self.errors());
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "not as wished: {status:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn errors(&mut self) -> String {
        self.stderr.read_to_string(&mut self.said).unwrap();
        std::mem::take(&mut self.said)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it says that it runs; returns whether it lived to say so.
    pub(crate) fn is_up(&mut self) -> bool {
        let mut line = String::new();
        while self.stderr.read_line(&mut line).unwrap() > 0 {
            self.said.push_str(&line);
            if line.starts_with("run ") || line.starts_with("runs ") {
                return true;
            }
            line.clear();
        }
        false
    }

    /// Waits until it says that it runs.
    pub(crate) fn wait_up(&mut self) {
        assert!(self.is_up(), "it did not start: {}", self.said);
    }

    /// Waits until it ends by itself, and returns what it said last; `why` tells what it should have
    /// ended of.
    pub(crate) fn wait(mut self, why: &str) -> (ExitStatus, String) {
        let begun = Instant::now();
        loop {
            if let Some(exit) = self.child.try_wait().unwrap() {
                return (exit, self.errors());
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not end: {why}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends it as the system does when it must: no code of ours runs.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop and returns its exit code.
    pub(crate) fn stop(mut self, signal: &str) -> Option<i32> {
        self.signal(signal);
        self.child.wait().unwrap().code()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }
}

/// A test that fails leaves no server behind.
impl Drop for Server<'_> {
    fn drop(&mut self) {
        // Both fail if it has ended, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The journal of a run.
pub(crate) fn journal(run: &Path) -> tercel_store::journal::JournalReader {
    tercel_store::journal::JournalReader::open(&run.join("journal.redb")).unwrap()
}
