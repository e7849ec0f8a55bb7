//! Where two runs over the same market differ: what happened, and what a simulation makes of it.
//!
//! [`Trails`] gathers what became of every order, of a run from its records or of a simulation as its
//! [`crate::Observer`]. [`pair`] finds for each order of one its counterpart in the other,
//! [`Shares`] splits the difference of their profits by cause, and [`LatencyFit`] makes a
//! [`crate::LatencyModel`] of the times that were recorded.
//!
//! Nothing here reads a file or a clock.

mod comparison;
mod fit;
mod pairing;
mod shares;
mod spread;
mod trail;

pub use comparison::{Comparison, Row, Totals};
pub use fit::{AnswerTime, LatencyFit, RequestTime};
pub use pairing::{Pair, pair};
pub use shares::Shares;
pub use spread::Spread;
pub use trail::{Answer, Fate, Trail, Trails};
