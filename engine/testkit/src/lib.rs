//! Builders, generators and fault injection for tests. Nothing here ships.
#![forbid(unsafe_code)]

mod builders;
mod puppet;
mod random;
mod shared;
mod unreliable_venue;

pub use builders::{account, engine_config, level, linear, spot, strategy};
pub use puppet::{Puppet, Seen, Strings};
pub use random::Random;
pub use shared::shared_data;
pub use unreliable_venue::{Faults, UnreliableVenue};
