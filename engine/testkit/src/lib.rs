//! Builders, generators and fault injection for tests. Nothing here ships.
#![forbid(unsafe_code)]

mod builders;
#[cfg(feature = "disk")]
mod disk;
mod puppet;
mod random;
mod shared;
mod unreliable_venue;

pub use builders::{account, engine_config, level, linear, spot, strategy};
#[cfg(feature = "disk")]
pub use disk::{Disk, DiskFaults, DiskHandle};
pub use puppet::{Puppet, Seen, Strings};
pub use random::Random;
pub use shared::shared_data;
pub use unreliable_venue::{Faults, UnreliableVenue};
