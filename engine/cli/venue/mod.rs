//! Real venues as the configuration names them: their addresses, their listing, the key.

mod access;
mod args;
mod asker;
mod credentials;
mod listing;
mod market;

pub(crate) use self::access::{VenueAccess, refusal};
pub(crate) use self::args::{VenueArgs, span};
pub(crate) use self::asker::{Asker, unexpected};
pub(crate) use self::credentials::{account_setup, credentials};
pub(crate) use self::listing::topics;
pub(crate) use self::market::{link_options, seed};
