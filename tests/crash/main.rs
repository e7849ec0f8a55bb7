//! A server that is killed goes on with what it had: at every named point of the program, and at
//! hundreds of moments that chance picks, on paper and at a venue that keeps its own books.
//!
//! `TERCEL_KILLS` says how many random moments there are in all; each costs about a third of a second.

#![expect(clippy::print_stdout, reason = "figures of what was tried")]
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../exchange/account.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod account;
mod audit;
#[path = "../exchange/mod.rs"]
#[expect(dead_code, reason = "the tests of other commands need more of it")]
mod exchange;
mod moments;
mod points;
#[path = "../rig/mod.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod rig;
mod venue;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use crate::rig::{Place, Server};

/// Trades on every beat, sets timers that fire once, and remembers how many it has set and how many
/// have fired: both change with the timers or not at all.
fn script(beat_ms: u32, shot_ms: u32) -> String {
    SCRIPT.replace("BEAT", &beat_ms.to_string()).replace("SHOT", &shot_ms.to_string())
}

const SCRIPT: &str = r#"
strategy { name = "trader", timers = { beat = BEAT } }
local n, set, fired = 0, 0, 0
function on_init()
    n, set, fired = recall("n") or 0, recall("set") or 0, recall("fired") or 0
end
function on_reload(old)
    n, set, fired = old.n or 0, old.set or 0, old.fired or 0
end
function on_timer(name)
    if name ~= "beat" then
        fired += 1
        remember("fired", fired)
        return
    end
    n += 1
    remember("n", n)
    if n % 2 == 0 then
        set += 1
        remember("set", set)
        set_timer("s" .. (set % 32), SHOT)
    end
    local best = bid()
    if not best then return end
    if n % 5 == 0 then cancel_all()
    elseif n % 4 == 0 then market_sell(0.01)
    elseif n % 3 == 0 then market_buy(0.01)
    else buy(0.01, best - 5) end
end
"#;

/// Does the same with each of these at once: lives wait for disks and timers more than they compute.
fn at_once<T: Send, R: Send>(
    jobs: impl IntoIterator<Item = T>,
    of: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            jobs.into_iter().map(|job| scope.spawn(|| of(job))).collect::<Vec<_>>();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Timers of the script that fire once have these names.
fn shots() -> impl Iterator<Item = String> {
    (0..32).map(|n| format!("s{n}"))
}

/// How the runs of a folder ended, told where one of them is not as it should be.
#[derive(Default)]
struct Deaths {
    /// By the folder of the run that was the newest then.
    by_run: BTreeMap<PathBuf, Vec<String>>,
    n: usize,
}

impl Deaths {
    /// Takes note of a kill that came from outside.
    fn note(&mut self, place: &Place, how: String) {
        self.n += 1;
        if let Some(run) = place.runs().pop() {
            self.by_run.entry(run).or_default().push(how);
        }
    }

    /// Waits until a server with an armed point has died of it.
    fn wait(&mut self, server: Server<'_>, place: &Place, wish: &tercel_crash::Wish) {
        let (exit, said) = server.wait(&wish.to_string());
        assert_eq!(exit.signal(), Some(9), "{wish} was not reached: {exit}: {said}");
        self.note(place, wish.to_string());
    }

    /// Returns whether a process was killed in a run, or in what it did before the next one began.
    fn has(&self, run: &Path) -> bool {
        self.by_run.contains_key(run)
    }

    fn of(&self, run: &Path) -> String {
        let how = self.by_run.get(run).cloned().unwrap_or_default();
        format!("{} ({})", run.display(), how.join(", "))
    }
}
