//! What was noticed while reading: nothing that was skipped stays hidden.

/// A line that was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadLine {
    /// The file, with the member of an archive.
    pub file: String,
    /// Its number, from 1.
    pub line: u64,
    /// Why it was refused.
    pub reason: String,
}

/// What was noticed while reading.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Lines or records read.
    pub n_lines: u64,
    /// Lines refused.
    pub n_bad: u64,
    /// The first of them, at most [`Report::KEPT`].
    pub bad_lines: Vec<BadLine>,
    /// Things counted by name, such as diffs that a snapshot already held.
    pub counts: std::collections::BTreeMap<&'static str, u64>,
    /// Things to know, such as where a truncated file ended; at most [`Report::KEPT`].
    pub notes: Vec<String>,
}

impl Report {
    /// How many refused lines are kept with their reasons, and how many notes.
    pub const KEPT: usize = 100;

    /// Counts a refused line.
    pub fn refuse(&mut self, file: &str, line: u64, reason: impl Into<String>) {
        self.n_bad += 1;
        if self.bad_lines.len() < Self::KEPT {
            self.bad_lines.push(BadLine { file: file.to_owned(), line, reason: reason.into() });
        }
    }

    /// Counts something by name.
    pub fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// Adds a thing to know, as long as there are not too many.
    pub fn note(&mut self, note: String) {
        if self.notes.len() < Self::KEPT && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Adds another report to this one.
    pub fn merge(&mut self, other: &Self) {
        self.n_lines += other.n_lines;
        self.n_bad += other.n_bad;
        let room = Self::KEPT.saturating_sub(self.bad_lines.len());
        self.bad_lines.extend(other.bad_lines.iter().take(room).cloned());
        for (what, n) in &other.counts {
            *self.counts.entry(what).or_default() += n;
        }
        for note in &other.notes {
            self.note(note.clone());
        }
    }
}
