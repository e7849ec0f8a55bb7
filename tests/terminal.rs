//! `tercel top` and `tercel ctl` as somebody sits before them: in a terminal, by keys, against a server
//! that runs. Needs tmux, and says so where there is none.

#![expect(clippy::print_stdout, reason = "what is skipped is said")]
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[expect(dead_code, reason = "other tests need more of it")]
mod rig;

use std::cell::Cell;
use std::process::Command;
use std::time::{Duration, Instant};

use rig::{Place, TRADER};
use serde_json::Value;

/// A terminal of its own, with a shell in a server's folder.
struct Terminal {
    socket: String,
    n_commands: Cell<u32>,
}

impl Terminal {
    /// `None`, with a word, where tmux is not installed.
    fn open(place: &Place, (width, height): (u16, u16)) -> Option<Self> {
        let Ok(version) = Command::new("tmux").arg("-V").output() else {
            println!("skipped: tmux is not installed");
            return None;
        };
        assert!(version.status.success(), "{version:?}");
        let socket = place.path("tmux.sock").display().to_string();
        let terminal = Self { socket, n_commands: Cell::new(0) };
        let folder = place.path("").display().to_string();
        let size = [width.to_string(), height.to_string()];
        terminal.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            &size[0],
            "-y",
            &size[1],
            "-c",
            &folder,
            "-e",
            "TERCEL_DATA=data",
            "-e",
            "PS1=$ ",
            "sh",
        ]);
        Some(terminal)
    }

    fn tmux(&self, args: &[&str]) -> String {
        let output = Command::new("tmux").args(["-S", &self.socket]).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Presses keys, by tmux's names.
    fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until the screen is as wished, and returns it.
    fn wait(&self, wished: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let screen = self.screen();
            if wished(&screen) {
                return screen;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "not as wished:\n{screen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn sees(&self, texts: &[&str]) -> String {
        self.wait(|screen| texts.iter().all(|text| screen.contains(text)))
    }

    /// Runs a command of ours and returns what it says, once it has ended with this code.
    fn run(&self, command: &str, code: i32) -> String {
        // Of its own, or the end of the command before would be taken for this one's.
        let n = self.n_commands.get() + 1;
        self.n_commands.set(n);
        let line = format!("clear; {} {command}; echo ended {n}:$?", env!("CARGO_BIN_EXE_tercel"));
        self.press(&["-l", &line]);
        self.press(&["Enter"]);
        let end = format!("\nended {n}:{code}\n");
        self.wait(|screen| screen.contains(&end))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-S", &self.socket, "kill-server"]).output();
    }
}

fn is_flat(status: &Value) -> bool {
    status["positions"].as_array().unwrap().iter().all(|own| own["quantity"] == "0")
}

#[test]
fn the_screen_shows_the_server_and_its_keys_do_what_they_say() {
    for size in [(120, 40), (80, 24)] {
        let place = Place::new(TRADER, "5.0");
        let Some(terminal) = Terminal::open(&place, size) else { return };
        let mut server = place.start();
        server.wait_until(|status| status["n_open_orders"].as_u64() > Some(0));
        terminal.press(&["-l", &format!("{} top; echo left:$?", env!("CARGO_BIN_EXE_tercel"))]);
        terminal.press(&["Enter"]);
        let screen = terminal.sees(&[
            "run 1 paper active",
            "BTCUSDT live",
            "last",
            "balances",
            "machine",
            "strategies",
            "trader",
            "positions",
            "orders",
            "latency",
            "on_timer",
            "notices",
            "k  kill",
        ]);
        let longest = screen.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(longest <= usize::from(size.0), "{screen}");
        // A switch that can be taken back is thrown at once.
        terminal.press(&["p"]);
        terminal.sees(&["REDUCING", "pause: done"]);
        server.wait_until(|status| status["state"] == "reducing");
        terminal.press(&["r"]);
        terminal.sees(&["paper active", "resume: done"]);
        server.wait_until(|status| status["state"] == "active");
        // The others are asked for, and anything but yes is no.
        for (key, question) in [("f", "close all positions at market?"), ("k", "refuse new ones?")]
        {
            terminal.press(&[key]);
            terminal.sees(&[question, "y yes"]);
            terminal.press(&["n"]);
            terminal.wait(|screen| !screen.contains(question));
            assert_eq!(server.status().unwrap()["state"], "active");
        }
        terminal.press(&["f"]);
        terminal.sees(&["close all positions at market?"]);
        terminal.press(&["y"]);
        terminal.sees(&["flatten: done"]);
        server.wait_until(is_flat);
        terminal.press(&["k"]);
        terminal.sees(&["refuse new ones?"]);
        terminal.press(&["y"]);
        terminal.sees(&["HALTED", "kill: done"]);
        server.wait_until(|status| status["state"] == "halted" && status["n_open_orders"] == 0);
        terminal.press(&["q"]);
        terminal.sees(&["left:0"]);
        assert_eq!(server.stop("-TERM"), Some(0));
    }
}

#[test]
fn the_commands_say_what_they_did_and_do_it() {
    let place = Place::new(TRADER, "5.0");
    let Some(terminal) = Terminal::open(&place, (100, 30)) else { return };
    let mut server = place.start();
    server.wait_until(|status| status["positions"][0]["n_fills"].as_u64() > Some(0));
    let says = |command: &str, code: i32, texts: &[&str]| {
        let screen = terminal.run(command, code);
        assert!(texts.iter().all(|text| screen.contains(text)), "{command}: {texts:?}:\n{screen}");
        screen
    };
    says("ctl status", 0, &["run 1 (paper)", "engine Active", "strategy trader: runs", "journal:"]);
    says("ctl positions", 0, &["position trader BTCUSDT:", "fills"]);
    terminal.run("ctl orders", 0);
    says("ctl pause strategy:trader", 0, &["done"]);
    server.wait_until(|status| status["strategies"][0]["state"] == "reducing");
    says("ctl resume strategy:trader", 0, &["done"]);
    server.wait_until(|status| status["strategies"][0]["state"] == "active");
    says("ctl set quantity=0.02", 0, &["trader: quantity = 0.02"]);
    says("ctl set quantity=7", 1, &["0.001"]);
    let first = server.status().unwrap()["strategies"][0]["hash"].as_str().unwrap().to_owned();
    std::fs::write(place.script(), format!("{TRADER}\n-- another\n")).unwrap();
    let second = server.wait_until(|status| status["strategies"][0]["generation"] == 2);
    assert_ne!(second["strategies"][0]["hash"], *first);
    says("ctl reload", 0, &["trader: version 3", "runs from event"]);
    says(&format!("ctl rollback {}", &first[..10]), 0, &["trader: version 4"]);
    server.wait_until(|status| status["strategies"][0]["hash"] == *first);
    says("ctl rollback abcdef", 1, &["never had a version abcdef"]);
    says("ctl flatten", 0, &["done"]);
    server.wait_until(is_flat);
    says("ctl kill", 0, &["done"]);
    server.wait_until(|status| status["state"] == "halted" && status["n_open_orders"] == 0);
    says("ctl kill strategy:nobody", 1, &["trader"]);
    // Notices come as they are told, until somebody has seen enough.
    terminal.press(&["-l", &format!("clear; {} ctl tail", env!("CARGO_BIN_EXE_tercel"))]);
    terminal.press(&["Enter"]);
    terminal.sees(&["engine is halted"]);
    terminal.press(&["C-c"]);
    says("ctl stop", 0, &["done"]);
    assert!(server.wait("a request to stop").0.success());
    says("ctl status", 2, &["is a server running there?"]);
}
