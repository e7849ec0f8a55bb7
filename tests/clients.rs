//! Clients that nobody here wrote, against `tercel exchange`: what they refuse is wrong here.
//!
//! They are installed from PyPI and npm into a cache, `target/clients` or the folder that
//! `TERCEL_CLIENTS_CACHE` names. Where a registry is out of reach, its clients are skipped with a
//! line that says so.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(clippy::print_stdout, reason = "a skipped test says so")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const PYTHON_PACKAGES: [&str; 4] = [
    "ccxt==4.5.90",
    "python-binance==1.0.37",
    "binance-sdk-spot==13.2.0",
    "binance-sdk-derivatives-trading-usds-futures==18.0.1",
];
const NPM_PACKAGES: [&str; 3] = ["binance@3.6.5", "ccxt@4.5.84", "binance-api-node@0.13.10"];

/// A running exchange, stopped when dropped.
struct Exchange {
    child: Child,
    ready: String,
}

impl Exchange {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tercel"))
            .args(["exchange", "--venue", "binance", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        assert!(ready.contains("binance_usdm"), "the addresses are told: {ready:?}");
        Self { child, ready: ready.trim().to_owned() }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // Whether it has gone already does not matter here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn cache() -> PathBuf {
    let named = std::env::var_os("TERCEL_CLIENTS_CACHE").map(PathBuf::from);
    let folder = named
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join("clients"));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs a command; its output if it fails.
fn try_run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{command:?}: {}", told.lines().last().unwrap_or_default()))
}

/// Installs what a marker does not say is installed already.
fn install(marker: &Path, packages: &[&str], run: impl Fn() -> Result<(), String>) -> bool {
    let wanted = packages.join("\n");
    if std::fs::read_to_string(marker).is_ok_and(|installed| installed == wanted) {
        return true;
    }
    match run() {
        Ok(()) => {
            std::fs::write(marker, wanted).unwrap();
            true
        }
        Err(error) => {
            println!("skipped: the clients cannot be installed here ({error})");
            false
        }
    }
}

/// Runs a script of clients against the exchange and expects all its steps to go well.
fn expect_good(command: &mut Command) {
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    println!("{told}");
    assert!(
        output.status.success() && told.contains("ok: ") && !told.contains("failed: "),
        "{command:?}\n{told}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn clients_from_pypi_trade() {
    let folder = cache().join("python");
    let python = folder.join("bin").join("python");
    let is_there = install(&cache().join("python.installed"), &PYTHON_PACKAGES, || {
        try_run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        try_run(Command::new(&python).args(["-m", "pip", "install", "-q"]).args(PYTHON_PACKAGES))
    });
    if !is_there {
        return;
    }
    let exchange = Exchange::start();
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join("clients");
    for script in ["ccxt_client.py", "python_binance_client.py", "binance_sdk_client.py"] {
        expect_good(
            Command::new(&python)
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .arg(scripts.join(script))
                .arg(&exchange.ready),
        );
    }
}

#[test]
fn clients_from_npm_trade() {
    let folder = cache().join("node");
    let is_there = install(&cache().join("node.installed"), &NPM_PACKAGES, || {
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        std::fs::write(folder.join("package.json"), "{\"private\": true}")
            .map_err(|error| error.to_string())?;
        let mut npm = Command::new("npm");
        npm.current_dir(&folder).args(["install", "--no-audit", "--no-fund"]);
        try_run(npm.args(NPM_PACKAGES))
    });
    if !is_there {
        return;
    }
    let exchange = Exchange::start();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/node_clients.cjs");
    expect_good(Command::new("node").arg(script).arg(&exchange.ready).arg(&folder));
}
