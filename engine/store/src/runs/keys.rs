//! Which keys a run's accounts had, told by digests that say nothing elsewhere.

use std::fs::{self, File};
use std::io::Write;

use super::error::io;
use super::{RunFolder, RunsError, sync};

/// By which key an account was traded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccountKey {
    /// The account's name.
    pub account: String,
    /// A digest of its key, which the key cannot be had from.
    pub digest: u64,
}

/// The file that says it, in a run's folder.
const NOTE: &str = "keys";

impl RunFolder {
    /// Notes the keys of its accounts. The note is there whole or not at all, and durable: written before
    /// the journal is, no run that has begun is without.
    ///
    /// # Errors
    ///
    /// If the folder cannot be written.
    pub fn note_keys(&self, keys: &[AccountKey]) -> Result<(), RunsError> {
        let (note, temporary) = (self.path.join(NOTE), self.path.join("keys.tmp"));
        let lines = keys.iter().map(|own| format!("{:016x} {}\n", own.digest, own.account));
        let mut file = File::create(&temporary).map_err(io(&temporary))?;
        file.write_all(lines.collect::<String>().as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(io(&temporary))?;
        fs::rename(&temporary, &note).map_err(io(&note))?;
        sync(&self.path)
    }

    /// Returns the keys of its accounts; none if it noted none, as runs on paper and those of earlier
    /// versions.
    ///
    /// # Errors
    ///
    /// If the note cannot be read, or is damaged.
    pub fn keys(&self) -> Result<Vec<AccountKey>, RunsError> {
        let path = self.path.join(NOTE);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            text => text.map_err(io(&path))?,
        };
        let key = |line: &str| {
            let (digest, account) = line.split_once(' ')?;
            let digest = u64::from_str_radix(digest, 16).ok().filter(|_| digest.len() == 16)?;
            Some(AccountKey { account: account.to_owned(), digest })
        };
        let bad = || RunsError::BadKeys { path: path.clone() };
        text.lines().map(|line| key(line).ok_or_else(bad)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_were_noted_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder { number: 1, path: folder.path().to_owned() };
        assert_eq!(run.keys().unwrap(), []);
        let key = |account: &str, digest| AccountKey { account: account.to_owned(), digest };
        let keys = [key("main", 0), key("of two words", u64::MAX)];
        run.note_keys(&keys).unwrap();
        assert_eq!(run.keys().unwrap(), keys);
        for damaged in ["x", "12 main", "000000000000000g main", "0000000000000000", "\n"] {
            fs::write(folder.path().join(NOTE), damaged).unwrap();
            let error = run.keys().unwrap_err();
            assert!(matches!(error, RunsError::BadKeys { .. }), "{damaged}: {error}");
        }
    }
}
