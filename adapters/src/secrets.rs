//! Where credentials come from: the environment, a file that nobody else may read, or systemd.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use secrecy::{SecretBox, SecretString};
use zeroize::Zeroizing;

use crate::credentials::Credentials;

/// Where an account's credentials are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeySource {
    /// In the variables `PREFIX_KEY`, `PREFIX_SECRET` and, if the venue has one,
    /// `PREFIX_PASSPHRASE`.
    Environment(String),
    /// In a file of mode 0600 or narrower.
    File(PathBuf),
    /// Handed over by systemd (`LoadCredential=NAME:...`), in a file of that name.
    Systemd(String),
}

/// Why there are no credentials. Says nothing of what is in them.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SecretError {
    /// A variable is not set, or holds nothing.
    #[error("the environment variable {0} is not set")]
    NoVariable(String),
    /// Systemd has handed nothing over.
    #[error(
        "CREDENTIALS_DIRECTORY is not set: credential {0} needs LoadCredential= in the unit's file"
    )]
    NoSystemd(String),
    /// The file cannot be read.
    #[error("read {}: {kind}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        kind: ErrorKind,
    },
    /// Others may read or write the file.
    #[error(
        "{} has mode {mode:04o}, so others may use the key: run `chmod 600 {}`",
        path.display(), path.display()
    )]
    TooOpen {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not a plain file, or longer than credentials can be.
    #[error("{} is not a plain file of at most 64 KiB", path.display())]
    NotAKeyFile {
        /// Which file.
        path: PathBuf,
    },
    /// A line is not understood.
    #[error("{} line {line}: expected `key = ...`, `secret = ...`, `passphrase = ...`, a private \
             key in PEM, or a comment after `#`", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Which line, counted from one.
        line: usize,
    },
    /// Something is not in the file.
    #[error("{} has no `{field} = ...`", path.display())]
    Missing {
        /// Which file.
        path: PathBuf,
        /// What.
        field: &'static str,
    },
}

/// More than any key takes.
const FILE_BYTES_MAX: usize = 64 << 10;

impl Credentials {
    /// Reads credentials. What was read on the way is wiped.
    ///
    /// A file holds lines `key = ...`, `secret = ...` and, if needed, `passphrase = ...`, with or
    /// without double quotes. A private key in PEM may stand in it as it is, instead of a secret.
    ///
    /// # Errors
    ///
    /// If something is missing, or the file may be read by others.
    pub fn read(source: &KeySource) -> Result<Self, SecretError> {
        let variable = |name: &str| std::env::var(name).ok();
        match source {
            KeySource::Environment(prefix) => from_environment(prefix, variable),
            KeySource::File(path) => from_file(path, Privacy::Checked),
            KeySource::Systemd(name) => from_systemd(name, variable),
        }
    }
}

/// A copy of exactly the text's length: growing would leave pieces behind.
fn secret(text: &str) -> SecretString {
    SecretBox::new(Box::from(text))
}

fn from_environment(
    prefix: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Credentials, SecretError> {
    let optional = |suffix: &str| {
        let value = Zeroizing::new(variable(&format!("{prefix}_{suffix}"))?);
        (!value.trim().is_empty()).then(|| secret(value.trim()))
    };
    let needed = |suffix: &str| {
        optional(suffix).ok_or_else(|| SecretError::NoVariable(format!("{prefix}_{suffix}")))
    };
    Ok(Credentials {
        key: needed("KEY")?,
        secret: needed("SECRET")?,
        passphrase: optional("PASSPHRASE"),
    })
}

fn from_systemd(
    name: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Credentials, SecretError> {
    let directory =
        variable("CREDENTIALS_DIRECTORY").ok_or_else(|| SecretError::NoSystemd(name.to_owned()))?;
    // The directory is the unit's alone; the file's own bits may show an access list's mask.
    from_file(&Path::new(&directory).join(name), Privacy::Granted)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Privacy {
    Checked,
    Granted,
}

fn from_file(path: &Path, privacy: Privacy) -> Result<Credentials, SecretError> {
    let unreadable = |error: std::io::Error| SecretError::Unreadable {
        path: path.to_owned(),
        kind: error.kind(),
    };
    let not_a_key_file = || SecretError::NotAKeyFile { path: path.to_owned() };
    let file = File::open(path).map_err(unreadable)?;
    // Asked of the open file: the name may lead elsewhere by now.
    let metadata = file.metadata().map_err(unreadable)?;
    let len = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    if !metadata.is_file() || len > FILE_BYTES_MAX {
        return Err(not_a_key_file());
    }
    if privacy == Privacy::Checked {
        check_mode(path, &metadata)?;
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX + 1));
    let bytes_max = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX);
    file.take(bytes_max).read_to_end(&mut bytes).map_err(unreadable)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| not_a_key_file())?;
    parse(path, text)
}

#[cfg(unix)]
fn check_mode(path: &Path, metadata: &std::fs::Metadata) -> Result<(), SecretError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        Ok(())
    } else {
        Err(SecretError::TooOpen { path: path.to_owned(), mode })
    }
}

/// Elsewhere access lists say who may read, and they are not asked.
#[cfg(not(unix))]
fn check_mode(_path: &Path, _metadata: &std::fs::Metadata) -> Result<(), SecretError> {
    Ok(())
}

fn parse(path: &Path, text: &str) -> Result<Credentials, SecretError> {
    let (mut key, mut shared, mut passphrase) = (None, None, None);
    let mut lines = text.lines().enumerate();
    while let Some((idx, line)) = lines.next() {
        let syntax = || SecretError::Syntax { path: path.to_owned(), line: idx + 1 };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with("-----BEGIN ") {
            lines.find(|(_, line)| line.trim().starts_with("-----END ")).ok_or_else(syntax)?;
            shared = Some(secret(pem_in(text)));
            continue;
        }
        let (name, value) = line.split_once('=').ok_or_else(syntax)?;
        let value = value.trim();
        let value =
            value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        let place = match name.trim() {
            "key" => &mut key,
            "secret" => &mut shared,
            "passphrase" => &mut passphrase,
            _ => return Err(syntax()),
        };
        if !value.is_empty() {
            *place = Some(secret(value));
        }
    }
    let missing = |field| SecretError::Missing { path: path.to_owned(), field };
    Ok(Credentials {
        key: key.ok_or_else(|| missing("key"))?,
        secret: shared.ok_or_else(|| missing("secret"))?,
        passphrase,
    })
}

/// Returns the private key in a text that has one.
fn pem_in(text: &str) -> &str {
    let start = text.find("-----BEGIN ").unwrap_or(0);
    let end = text[start..]
        .find("-----END ")
        .and_then(|at| text[start + at..].find('\n').map(|line| start + at + line + 1))
        .unwrap_or(text.len());
    &text[start..end]
}

#[cfg(test)]
mod tests {
    use std::fs;

    use secrecy::ExposeSecret;

    use super::*;

    /// A file of its own in the system's directory for such, removed at the end.
    struct KeyFile(PathBuf);

    impl KeyFile {
        fn new(name: &str, text: &str, mode: u32) -> Self {
            let name = format!("tercel-secrets-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::write(&path, text).unwrap();
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            }
            Self(path)
        }

        fn read(&self) -> Result<Credentials, SecretError> {
            Credentials::read(&KeySource::File(self.0.clone()))
        }
    }

    impl Drop for KeyFile {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    fn shown(credentials: &Credentials) -> [String; 3] {
        [
            credentials.key.expose_secret().to_owned(),
            credentials.secret.expose_secret().to_owned(),
            credentials.passphrase.as_ref().map_or("", |own| own.expose_secret()).to_owned(),
        ]
    }

    #[test]
    fn a_private_file_is_read_with_and_without_quotes() {
        let text = "# my account\nkey = \"abc\"\n\nsecret=d=e/f\npassphrase = \"g h\"\n";
        let file = KeyFile::new("plain", text, 0o600);
        assert_eq!(shown(&file.read().unwrap()), ["abc", "d=e/f", "g h"]);
    }

    #[test]
    fn a_private_key_may_stand_as_it_is() {
        let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQ==\n-----END PRIVATE KEY-----\n";
        let file = KeyFile::new("pem", &format!("key = abc\n{pem}# end\n"), 0o400);
        assert_eq!(shown(&file.read().unwrap()), ["abc", pem, ""]);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_use_is_refused_and_the_remedy_told() {
        for mode in [0o644, 0o640, 0o620, 0o604, 0o601] {
            let file = KeyFile::new("open", "key = abc\nsecret = hidden\n", mode);
            let error = file.read().unwrap_err();
            assert_eq!(error, SecretError::TooOpen { path: file.0.clone(), mode });
            let text = error.to_string();
            assert!(text.contains(&format!("chmod 600 {}", file.0.display())), "{text}");
            assert!(text.contains(&format!("{mode:04o}")) && !text.contains("hidden"), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_by_line_and_never_shown() {
        let cases = [
            ("key = a\nhidden\n", "line 2"),
            ("key = a\nother = hidden\n", "line 2"),
            ("key = a\n-----BEGIN PRIVATE KEY-----\nhidden\n", "line 2"),
            ("key = hidden\n", "no `secret = ...`"),
            ("secret = hidden\nkey =\n", "no `key = ...`"),
        ];
        for (text, expected) in cases {
            let told = KeyFile::new("wrong", text, 0o600).read().unwrap_err().to_string();
            assert!(told.contains(expected) && !told.contains("hidden"), "{told}");
        }
        let path = std::env::temp_dir();
        let error = Credentials::read(&KeySource::File(path.clone())).unwrap_err();
        assert_eq!(error, SecretError::NotAKeyFile { path });
        let path = PathBuf::from("/no/such/file");
        let error = Credentials::read(&KeySource::File(path.clone())).unwrap_err();
        assert_eq!(error, SecretError::Unreadable { path, kind: ErrorKind::NotFound });
    }

    #[test]
    fn the_environment_has_one_variable_for_each_part() {
        let variable = |name: &str| match name {
            "TERCEL_MAIN_KEY" => Some("abc".to_owned()),
            "TERCEL_MAIN_SECRET" => Some(" def \n".to_owned()),
            "TERCEL_MAIN_PASSPHRASE" => Some(String::new()),
            _ => None,
        };
        let credentials = from_environment("TERCEL_MAIN", variable).unwrap();
        assert_eq!(shown(&credentials), ["abc", "def", ""]);
        let error = from_environment("OTHER", variable).unwrap_err();
        assert_eq!(error, SecretError::NoVariable("OTHER_KEY".to_owned()));
    }

    #[test]
    fn systemd_hands_over_a_file_whatever_its_mode() {
        let file = KeyFile::new("systemd", "key = abc\nsecret = def\n", 0o440);
        let directory = file.0.parent().unwrap().to_str().unwrap().to_owned();
        let name = file.0.file_name().unwrap().to_str().unwrap();
        let credentials = from_systemd(name, |_| Some(directory.clone())).unwrap();
        assert_eq!(shown(&credentials), ["abc", "def", ""]);
        let error = from_systemd("main", |_| None).unwrap_err();
        assert_eq!(error, SecretError::NoSystemd("main".to_owned()));
    }

    #[test]
    fn nothing_shows_what_is_in_them() {
        let credentials = from_environment("X", |_| Some("hidden".to_owned())).unwrap();
        assert!(!format!("{credentials:?}").contains("hidden"));
    }
}
