//! A log file that is begun anew every day or hour, of which only the last ones are kept.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::server_config::sections::Rotation;

/// Writes `name.2026-11-21` or `name.2026-11-21T08`, in UTC; `name` itself without rotation.
///
/// Of the folder's files it removes those only whose names it could have made itself.
pub(super) struct RollingFile {
    path: PathBuf,
    rotation: Rotation,
    keep: usize,
    now: fn() -> Timestamp,
    /// What the name of the open file ends in.
    stamp: String,
    file: File,
}

impl RollingFile {
    /// Opens the file of now, and creates its folder.
    pub(super) fn open(path: &Path, rotation: Rotation, keep: usize) -> io::Result<Self> {
        Self::open_at(path, rotation, keep, Timestamp::now)
    }

    fn open_at(
        path: &Path,
        rotation: Rotation,
        keep: usize,
        now: fn() -> Timestamp,
    ) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let stamp = stamp(rotation, now());
        let file = append(&name(path, &stamp))?;
        let rolling = Self { path: path.to_owned(), rotation, keep, now, stamp, file };
        rolling.prune();
        Ok(rolling)
    }

    /// Removes the oldest files past those that are kept. What cannot be removed stays.
    fn prune(&self) {
        if self.rotation == Rotation::Never {
            return;
        }
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let Ok(entries) = std::fs::read_dir(folder.unwrap_or_else(|| Path::new("."))) else {
            return;
        };
        let mut ours: Vec<PathBuf> = entries
            .filter_map(Result::ok)
            .filter(|entry| self.is_ours(&entry.file_name()))
            .map(|entry| entry.path())
            .collect();
        // The stamps sort by time.
        ours.sort();
        let n_old = ours.len().saturating_sub(self.keep);
        for old in &ours[..n_old] {
            let _ = std::fs::remove_file(old);
        }
    }

    fn is_ours(&self, file: &OsStr) -> bool {
        let (Some(name), Some(file)) = (self.path.file_name(), file.to_str()) else { return false };
        let stamp = name
            .to_str()
            .and_then(|name| file.strip_prefix(name))
            .and_then(|rest| rest.strip_prefix('.'));
        stamp.is_some_and(|stamp| {
            let pattern = match self.rotation {
                Rotation::Daily => "dddd-dd-dd",
                Rotation::Hourly => "dddd-dd-ddTdd",
                Rotation::Never => return false,
            };
            stamp.len() == pattern.len()
                && stamp.bytes().zip(pattern.bytes()).all(|(byte, like)| match like {
                    b'd' => byte.is_ascii_digit(),
                    like => byte == like,
                })
        })
    }
}

impl Write for RollingFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let stamp = stamp(self.rotation, (self.now)());
        if stamp != self.stamp {
            // Where the next file cannot be opened the last one goes on, and the next line tries
            // again.
            if let Ok(file) = append(&name(&self.path, &stamp)) {
                (self.file, self.stamp) = (file, stamp);
                self.prune();
            }
        }
        self.file.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn stamp(rotation: Rotation, now: Timestamp) -> String {
    match rotation {
        Rotation::Daily => now.strftime("%Y-%m-%d").to_string(),
        Rotation::Hourly => now.strftime("%Y-%m-%dT%H").to_string(),
        Rotation::Never => String::new(),
    }
}

fn name(path: &Path, stamp: &str) -> PathBuf {
    if stamp.is_empty() {
        return path.to_owned();
    }
    let mut name = OsString::from(path);
    name.push(".");
    name.push(stamp);
    PathBuf::from(name)
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static HOUR: Cell<i64> = const { Cell::new(0) };
    }

    /// So many hours after the beginning of 2026.
    fn now() -> Timestamp {
        Timestamp::from_second(1_767_225_600 + HOUR.get() * 3_600).unwrap()
    }

    fn files(folder: &Path) -> Vec<String> {
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_last_files_are_kept_and_strangers_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["t", "t.toml", "t.2020-01-01.gz", "ta.2020-01-01", "t.2020-1-01"] {
            std::fs::write(folder.path().join(name), "mine").unwrap();
        }
        let strangers = files(folder.path());
        std::fs::write(folder.path().join("t.2025-12-31"), "of an earlier run\n").unwrap();
        let path = folder.path().join("t");
        let mut log = RollingFile::open_at(&path, Rotation::Daily, 2, now).unwrap();
        for hour in [1, 23, 24, 25, 48] {
            HOUR.set(hour);
            log.write_all(format!("hour {hour}\n").as_bytes()).unwrap();
        }
        let mut left = files(folder.path());
        left.retain(|name| !strangers.contains(name));
        assert_eq!(left, ["t.2026-01-02", "t.2026-01-03"]);
        let second = std::fs::read_to_string(folder.path().join("t.2026-01-02")).unwrap();
        assert_eq!(second, "hour 24\nhour 25\n");
        assert!(strangers.iter().all(|name| files(folder.path()).contains(name)));
    }

    #[test]
    fn hours_have_their_own_files_and_no_rotation_has_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("h");
        HOUR.set(3);
        RollingFile::open_at(&path, Rotation::Hourly, 5, now).unwrap();
        RollingFile::open_at(&path, Rotation::Never, 5, now).unwrap().write_all(b"a\n").unwrap();
        RollingFile::open_at(&path, Rotation::Never, 5, now).unwrap().write_all(b"b\n").unwrap();
        assert_eq!(files(folder.path()), ["h", "h.2026-01-01T03"]);
        assert_eq!(std::fs::read_to_string(path).unwrap(), "a\nb\n");
    }
}
