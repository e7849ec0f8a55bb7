//! The demo's folder and the server in it.

use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};

use crate::control_api::Request;
use crate::control_client::Client;
use crate::exit::{Blame, Failure, Outcome, input};
use crate::server_config::control_socket_in;

/// The strategy that is shown.
const SCRIPT: &str = include_str!("../../../../scripts/lua/imbalance_maker.luau");

/// What is written into the folder.
const CONFIG: &str = "tercel.toml";
const SCRIPT_NAME: &str = "imbalance_maker.luau";
const KEY: &str = "demo.key";

/// How a configuration begins that a demo has written.
const MARK: &str = "# Written by `tercel demo`";

/// A folder with a configuration, a script and a key.
pub(super) struct Place {
    folder: PathBuf,
}

impl Place {
    /// Refuses a folder in which something would be lost that no demo has written.
    pub(super) fn check(folder: &Path) -> Outcome<()> {
        let is_ours = match std::fs::read_to_string(folder.join(CONFIG)) {
            Ok(text) => text.starts_with(MARK),
            // It can only be lost if it is there, whatever is in it.
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        };
        let is_free = !folder.join(CONFIG).exists();
        let lost = [(CONFIG, !is_ours), (SCRIPT_NAME, is_free), (KEY, is_free)];
        let lost = lost.iter().find(|(name, counts)| *counts && folder.join(name).exists());
        match lost {
            None => Ok(()),
            Some((name, _)) => Err(input(format!(
                "{} was not written by a demo and would be lost; choose another folder with --folder",
                folder.join(name).display()
            ))),
        }
    }

    /// Writes what a server needs to trade on the exchange at `address`.
    pub(super) fn create(folder: &Path, address: SocketAddr) -> Outcome<Self> {
        let write = |name: &str, text: &str| {
            std::fs::write(folder.join(name), text)
                .with_context(|| format!("write {}", folder.join(name).display()))
                .or_machine()
        };
        std::fs::create_dir_all(folder)
            .with_context(|| format!("create {}", folder.display()))
            .or_machine()?;
        write(SCRIPT_NAME, SCRIPT)?;
        write(CONFIG, &config(address))?;
        let path = folder.join(KEY);
        // One that a demo has left may be of another mode.
        let _ = std::fs::remove_file(&path);
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(b"key = demo\nsecret = demo\n"))
            .with_context(|| format!("write {}", path.display()))
            .or_machine()?;
        Ok(Self { folder: folder.to_owned() })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(super) fn socket(&self) -> PathBuf {
        control_socket_in(&self.data())
    }

    /// Starts the server as a process of its own, as one is run for real.
    pub(super) fn start(&self) -> Outcome<Running> {
        let program = std::env::current_exe().context("find this program").or_machine()?;
        let log = std::fs::File::create(self.folder.join("server.log")).or_machine()?;
        let child = Command::new(program)
            .args(["run", "--fresh", "--config"])
            .arg(self.folder.join(CONFIG))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("start the server")
            .or_machine()?;
        Ok(Running { child, log: self.folder.join("server.log") })
    }
}

/// The server's process. It does not outlive the demo.
pub(super) struct Running {
    child: Child,
    log: PathBuf,
}

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

impl Running {
    /// Waits until the server answers.
    pub(super) fn wait_for(&mut self, socket: &Path) -> Outcome<()> {
        let begun = Instant::now();
        while Client::new(socket).call(&Request::Status).is_err() {
            if !self.is_running()? || begun.elapsed() > PATIENCE {
                return Err(self.failure());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    pub(super) fn is_running(&mut self) -> Outcome<bool> {
        Ok(self.child.try_wait().or_machine()?.is_none())
    }

    /// Asks it to stop and waits for that.
    pub(super) fn stop(mut self) -> Outcome<()> {
        if self.is_running()? {
            let id = rustix::process::Pid::from_child(&self.child);
            rustix::process::kill_process(id, rustix::process::Signal::TERM).or_machine()?;
        }
        let status = self.child.wait().or_machine()?;
        if status.success() { Ok(()) } else { Err(self.failure()) }
    }

    fn failure(&self) -> Failure {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last = log.lines().rev().take(3).collect::<Vec<_>>();
        let last: Vec<_> = last.into_iter().rev().collect();
        Failure::Machine(anyhow!("the server ended early: {}", last.join("; ")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail if it has ended, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn config(address: SocketAddr) -> String {
    format!(
        r#"{MARK}: the exchange in a box, over the real protocol.
[run]
mode = "testnet"
data = "data"

[feed]
kind = "exchange"

[exchange]
name = "binance"
environment = "custom"
rest = "http://{address}"
streams = "ws://{address}"
private = "ws://{address}"
symbols = ["BTCUSDT"]
credentials = "file"
credentials_file = "demo.key"

[[strategy]]
script = "imbalance_maker.luau"
params = {{ quantity = 0.02, max_position = 0.2, half_spread = 150 }}
limits = {{ position = "0.5", orders_per_second = 50 }}

[log]
file = "log/tercel.log"

[metrics]
listen = "off"
"#
    )
}
