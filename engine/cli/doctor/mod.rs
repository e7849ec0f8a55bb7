//! What of a machine stands in the way of low and steady latency, and of data that survives.
//!
//! Everything is read from files below a root, so that tests can bring a machine of their own. What
//! cannot be read is unknown, never an error.

mod cores;
mod disk;
mod memory;
mod system;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::Serialize;

/// What was found about one thing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Finding {
    /// What it is about.
    pub(crate) topic: &'static str,
    pub(crate) verdict: Verdict,
    /// How it is.
    pub(crate) found: String,
    /// What to change, and why.
    pub(crate) remedy: Option<&'static str>,
}

/// What to think of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Ok,
    /// Latency or comfort suffers.
    Warn,
    /// A server should not run like this.
    Bad,
    /// The machine does not say.
    Unknown,
}

impl Verdict {
    /// Returns the verdict in lower case.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Unknown => "unknown",
        }
    }
}

impl Finding {
    fn ok(topic: &'static str, found: impl Into<String>) -> Self {
        Self { topic, verdict: Verdict::Ok, found: found.into(), remedy: None }
    }

    fn warn(topic: &'static str, found: impl Into<String>, remedy: &'static str) -> Self {
        Self { topic, verdict: Verdict::Warn, found: found.into(), remedy: Some(remedy) }
    }

    fn bad(topic: &'static str, found: impl Into<String>, remedy: &'static str) -> Self {
        Self { topic, verdict: Verdict::Bad, found: found.into(), remedy: Some(remedy) }
    }

    fn unknown(topic: &'static str) -> Self {
        let found = "the machine does not say".to_owned();
        Self { topic, verdict: Verdict::Unknown, found, remedy: None }
    }
}

/// The files that a machine describes itself in.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    root: PathBuf,
}

impl Machine {
    /// Returns the machine whose files are below `root`; `/` is this one.
    pub(crate) fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Examines everything; `data` is the folder whose disk is measured, for some seconds at most.
    pub(crate) fn examine(&self, data: &Path) -> Vec<Finding> {
        let mut findings = cores::examine(self);
        findings.extend(memory::examine(self));
        findings.extend(system::examine(self));
        findings.extend(disk::examine(self, data));
        findings
    }

    /// Returns a file's text without the white space around it.
    fn text(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.path(path)).ok().map(|text| text.trim().to_owned())
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn exists(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// Whether this is the machine that we run on.
    fn is_this_one(&self) -> bool {
        self.root == Path::new("/")
    }
}
