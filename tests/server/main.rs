//! The server as a real process: killed, restarted, commanded, reloaded, stopped.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod accounts;
mod engines;
#[path = "../exchange/mod.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod exchange;
#[path = "../rig/mod.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod rig;
mod scripts;
mod signals;
