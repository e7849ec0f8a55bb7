//! The key of an account, from where the configuration says.

use anyhow::Context as _;
use tercel_adapters::{AccountSetup, ClientIds, Credentials, KeySource, OrderEntry};

use super::VenueAccess;
use crate::exit::{Blame, Outcome};
use crate::server_config::exchange::{CredentialsFrom, EntryName, ExchangeSection, KeyPlace};

/// Returns a section's account, whose orders are those of the data folder that has drawn this number.
pub(crate) fn account_setup(
    section: &ExchangeSection,
    credentials: Credentials,
    access: &VenueAccess,
    installation: u32,
) -> Outcome<AccountSetup> {
    let ids = ClientIds::new(&section.order_prefix).or_input()?;
    Ok(AccountSetup {
        credentials,
        ids: ids.of_installation(installation),
        clock: access.offset.clone(),
        entry: match section.order_entry {
            EntryName::Fastest => OrderEntry::Fastest,
            EntryName::Rest => OrderEntry::Rest,
        },
    })
}

/// Keeps the system from writing this process's memory to a file when it dies: keys are in it. Both
/// limits go, so that nothing raises them again; and other processes of the same user, debuggers
/// included, may not look into it.
fn forbid_core_dumps() -> Outcome<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let nothing = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, nothing).context("forbid core dumps").or_machine()?;
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        set_dumpable_behavior(DumpableBehavior::NotDumpable)
            .context("forbid core dumps")
            .or_machine()?;
    }
    Ok(())
}

/// Reads an account's key, and keeps it out of core dumps from then on.
pub(crate) fn credentials(place: &KeyPlace) -> Outcome<Credentials> {
    forbid_core_dumps()?;
    let name = place.name.clone();
    let source = match place.from {
        CredentialsFrom::Env => KeySource::Environment(name),
        // A configuration with a file's key but no file is refused when it is read.
        CredentialsFrom::File => KeySource::File(place.file.clone().unwrap_or_default()),
        CredentialsFrom::Systemd => KeySource::Systemd(name),
    };
    Credentials::read(&source).or_input()
}
