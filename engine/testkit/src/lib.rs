//! Builders, generators and fault injection, for tests and for the simulation.
#![forbid(unsafe_code)]

mod builders;
#[cfg(feature = "disk")]
mod disk;
mod promised;
mod puppet;
mod random;
mod shared;
mod sums;
mod unreliable_venue;

pub use builders::{account, engine_config, level, linear, spot, strategy};
#[cfg(feature = "disk")]
pub use disk::{Disk, DiskFaults, DiskHandle, Refused};
pub use promised::promised;
pub use puppet::{Puppet, Seen, Strings};
pub use random::Random;
pub use shared::shared_data;
pub use sums::check_sums;
pub use unreliable_venue::{Faults, UnreliableVenue};
