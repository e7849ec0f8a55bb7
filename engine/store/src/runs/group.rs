//! Which runs belong together.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use super::error::io;
use super::{RunFolder, RunsError, sync};

/// The runs of one start: one for each engine, with numbers that follow each other.
///
/// Noted in the folder of each of them, unless there is one only.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunGroup {
    /// Number of its first run.
    pub first: u32,
    /// How many runs it has.
    pub n: u32,
    /// By what work was dealt to them, in the words of whoever did; empty where there is one only.
    pub deal: String,
}

impl RunGroup {
    /// Returns the group of a run that stands alone.
    #[must_use]
    pub const fn alone(run: u32) -> Self {
        Self { first: run, n: 1, deal: String::new() }
    }

    /// Returns which of its runs this is, from 0.
    #[must_use]
    pub const fn index_of(&self, run: u32) -> u32 {
        run.saturating_sub(self.first)
    }

    /// Writes the note. It is there whole or not at all, and durable once the folder is.
    pub(super) fn write(&self, folder: &Path) -> Result<(), RunsError> {
        let (note, temporary) = (folder.join(NOTE), folder.join("group.tmp"));
        let mut file = File::create(&temporary).map_err(io(&temporary))?;
        writeln!(file, "{} {} {}", self.first, self.n, self.deal)
            .and_then(|()| file.sync_all())
            .map_err(io(&temporary))?;
        fs::rename(&temporary, &note).map_err(io(&note))?;
        sync(folder)
    }

    fn parse(text: &str, run: u32) -> Option<Self> {
        let mut words = text.split_whitespace();
        let (first, n) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let group = Self { first, n, deal: words.next()?.to_owned() };
        let is_in = n > 1 && first > 0 && run >= first && group.index_of(run) < n;
        (is_in && words.next().is_none()).then_some(group)
    }
}

/// The file that says it, in a run's folder.
const NOTE: &str = "group";

impl RunFolder {
    /// Returns which runs it belongs to.
    ///
    /// # Errors
    ///
    /// If the note cannot be read, or is damaged.
    pub fn group(&self) -> Result<RunGroup, RunsError> {
        let path = self.path.join(NOTE);
        match fs::read_to_string(&path) {
            Ok(text) => RunGroup::parse(&text, self.number)
                .ok_or_else(|| RunsError::BadGroup { path: path.clone(), text }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(RunGroup::alone(self.number))
            }
            Err(error) => Err(io(&path)(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("00000013");
        fs::create_dir(&path).unwrap();
        let run = RunFolder { number: 13, path: path.clone() };
        assert_eq!(run.group().unwrap(), RunGroup::alone(13));
        let group = RunGroup { first: 12, n: 2, deal: "accounts".to_owned() };
        group.write(&path).unwrap();
        assert_eq!((run.group().unwrap(), group.index_of(13)), (group, 1));
        for damaged in ["", "12", "12 2", "12 1 accounts", "14 2 x", "11 2 x", "12 2 x y", "a 2 x"]
        {
            fs::write(path.join(NOTE), damaged).unwrap();
            let error = run.group().unwrap_err();
            assert!(matches!(error, RunsError::BadGroup { .. }), "{damaged}: {error}");
        }
    }
}
