//! Progress on a terminal; nothing at all elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

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
