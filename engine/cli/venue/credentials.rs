//! The key of an account: from where the configuration says, and never shown.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tercel_adapters::Credentials;

use crate::exit::{Outcome, input};
use crate::server_config::exchange::{CredentialsFrom, ExchangeSection};

/// Reads the key of a section's account.
pub(crate) fn credentials(section: &ExchangeSection) -> Outcome<Credentials> {
    let name = &section.credentials_name;
    match section.credentials {
        CredentialsFrom::Env => from_env(name),
        CredentialsFrom::File => {
            let path = section.credentials_file.as_deref().unwrap_or_else(|| Path::new(""));
            from_file(path)
        }
        CredentialsFrom::Systemd => from_systemd(name),
    }
}

fn from_env(name: &str) -> Outcome<Credentials> {
    let read = |what: &str| std::env::var(format!("{name}_{what}")).ok();
    let (Some(key), Some(secret)) = (read("KEY"), read("SECRET")) else {
        return Err(input(format!(
            "orders need a key: set {name}_KEY and {name}_SECRET, or set exchange.credentials to \
             \"file\" or \"systemd\""
        )));
    };
    Ok(with(key, secret, read("PASSPHRASE")))
}

fn from_file(path: &Path) -> Outcome<Credentials> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| input(format!("{shown}: {error}"));
    let mode = std::fs::metadata(path).map_err(unreadable)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(input(format!(
            "{shown} holds a key and has mode {mode:04o}, so others can read it; `chmod 600 {shown}`"
        )));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let mut found = [None, None, None];
    for (n, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = || {
            // Not repeated: it may be the key.
            input(format!(
                "{shown}:{n}: expected `key = ...`, `secret = ...` or `passphrase = ...`"
            ))
        };
        let (name, value) = line.split_once('=').ok_or_else(wrong)?;
        let place = match name.trim() {
            "key" => 0,
            "secret" => 1,
            "passphrase" => 2,
            _ => return Err(wrong()),
        };
        found[place] = Some(value.trim().trim_matches('"').to_owned());
    }
    match found {
        [Some(key), Some(secret), passphrase] => Ok(with(key, secret, passphrase)),
        _ => Err(input(format!("{shown} needs a line `key = ...` and a line `secret = ...`"))),
    }
}

/// Credentials that systemd has loaded: files in a folder that only the service sees.
fn from_systemd(name: &str) -> Outcome<Credentials> {
    let Some(folder) = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from) else {
        return Err(input(format!(
            "systemd has loaded no credentials; add LoadCredential={name}_KEY:/path and \
             LoadCredential={name}_SECRET:/path to the unit"
        )));
    };
    let read = |what: &str| {
        let path = folder.join(format!("{name}_{what}"));
        std::fs::read_to_string(&path).map(|text| text.trim_end().to_owned())
    };
    let needed = |what: &str| {
        read(what).map_err(|error| input(format!("systemd credential {name}_{what}: {error}")))
    };
    Ok(with(needed("KEY")?, needed("SECRET")?, read("PASSPHRASE").ok()))
}

fn with(key: String, secret: String, passphrase: Option<String>) -> Credentials {
    Credentials { passphrase: passphrase.map(Into::into), ..Credentials::new(key, secret) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn refusal(text: &str, mode: u32) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        from_file(&path).err().map(|error| error.to_string())
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_the_remedy() {
        const TEXT: &str = "# mine\nkey = abc\nsecret = \"d=ef\"\n";
        assert_eq!(refusal(TEXT, 0o600), None);
        assert_eq!(refusal(TEXT, 0o400), None);
        for mode in [0o640, 0o604, 0o644, 0o666] {
            let text = refusal(TEXT, mode).unwrap();
            assert!(text.contains("chmod 600"), "{text}");
            assert!(!text.contains("abc") && !text.contains("ef\""), "{text}");
        }
    }

    #[test]
    fn a_broken_file_is_refused_without_repeating_it() {
        for text in ["key = abc\n", "key = abc\nsecret def\n", "key = abc\nsecrte = def\n", ""] {
            let refusal = refusal(text, 0o600).unwrap();
            assert!(!refusal.contains("abc") && !refusal.contains("def"), "{refusal}");
        }
    }
}
