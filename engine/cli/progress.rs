//! Progress on a terminal; elsewhere nothing at all, or a line now and then.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tercel_runtime::{Clock, UtcClock};

use crate::report::exact_moment;

/// A spinner with a count, on standard error, drawn only for people.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Begins to show `what`; `quiet` shows nothing.
    pub(crate) fn begin(what: &str, quiet: bool) -> Self {
        if quiet || !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template("{spinner} {msg}: {human_pos} events ({per_sec})")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        bar.set_style(style);
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    /// Counts `n` more events.
    pub(crate) fn advance(&self, n: usize) {
        self.0.inc(n as u64);
    }

    /// Takes the spinner away.
    pub(crate) fn end(self) {
        self.0.finish_and_clear();
    }
}

/// How a long command stands, on standard error: a line that changes on a terminal, a line with the time
/// now and then elsewhere.
pub(crate) struct StatusLine {
    line: Option<ProgressBar>,
    is_quiet: bool,
    every: Duration,
    told_at: Instant,
}

impl StatusLine {
    /// Begins; `quiet` says nothing, ever.
    pub(crate) fn new(quiet: bool, every: Duration) -> Self {
        let line = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new_spinner();
            let style = ProgressStyle::with_template("{spinner} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            bar.set_style(style);
            bar
        });
        Self { line, is_quiet: quiet, every, told_at: Instant::now() }
    }

    /// Says how it stands, if it is time to.
    pub(crate) fn show(&mut self, text: impl FnOnce() -> String) {
        if self.is_quiet || self.told_at.elapsed() < self.every {
            return;
        }
        self.told_at = Instant::now();
        match &self.line {
            Some(line) => {
                line.set_message(text());
                line.tick();
            }
            None => {
                let mut at = exact_moment(UtcClock::system().now());
                at.truncate("2026-01-01T00:00:00".len());
                eprintln!("{at}Z  {}", text());
            }
        }
    }

    /// Takes the line away.
    pub(crate) fn end(&self) {
        if let Some(line) = &self.line {
            line.finish_and_clear();
        }
    }
}
