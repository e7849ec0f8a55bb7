//! The key of an account, from where the configuration says.

use tercel_adapters::{Credentials, KeySource};

use crate::exit::{Blame, Outcome};
use crate::server_config::exchange::{CredentialsFrom, ExchangeSection};

/// Reads the key of a section's account.
pub(crate) fn credentials(section: &ExchangeSection) -> Outcome<Credentials> {
    let name = section.credentials_name.clone();
    let source = match section.credentials {
        CredentialsFrom::Env => KeySource::Environment(name),
        // A configuration with a file's key but no file is refused when it is read.
        CredentialsFrom::File => {
            KeySource::File(section.credentials_file.clone().unwrap_or_default())
        }
        CredentialsFrom::Systemd => KeySource::Systemd(name),
    };
    Credentials::read(&source).or_input()
}
