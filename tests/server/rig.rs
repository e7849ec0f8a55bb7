//! A server in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
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
        let place = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::write(place.script(), script).unwrap();
        let config = format!(
            "[run]\ndata = \"data\"\n[feed]\npace = {pace}\n[journal]\nsnapshot_every_entries = 200\n\
             [metrics]\nlisten = \"off\"\n[log]\nfile = \"log/tercel.log\"\n\
             [[strategy]]\nscript = \"trader.luau\"\n"
        );
        std::fs::write(place.path("tercel.toml"), config).unwrap();
        place
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
        let child = Command::new(env!("CARGO_BIN_EXE_tercel"))
            .args(["run", "--config", "tercel.toml"])
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut server = Server { child, place: self };
        server.wait_until(|status| status["seq"].as_u64() > Some(0));
        server
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
        let mut text = String::new();
        if let Some(mut errors) = self.child.stderr.take() {
            std::io::Read::read_to_string(&mut errors, &mut text).unwrap();
        }
        text
    }

    /// Ends it as the system does when it must: no code of ours runs.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop and returns its exit code.
    pub(crate) fn stop(mut self, signal: &str) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        self.child.wait().unwrap().code()
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
