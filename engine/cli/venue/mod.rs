//! Real venues as the configuration names them: their addresses, their listing, the key.

mod access;
mod credentials;
mod listing;

pub(crate) use self::access::VenueAccess;
pub(crate) use self::credentials::credentials;
pub(crate) use self::listing::topics;
