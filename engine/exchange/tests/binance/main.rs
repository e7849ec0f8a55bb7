//! Binance's dialect without sockets: requests, streams, limits, faults, at times of the test's
//! choosing.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(clippy::print_stdout, reason = "a skipped test says so")]

mod faults;
mod futures;
mod rig;
mod shapes;
mod spot;
mod streams;
