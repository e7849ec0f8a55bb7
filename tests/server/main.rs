//! The server as a real process: killed, restarted, commanded, reloaded, stopped.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod accounts;
#[path = "../rig/mod.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod rig;
mod scripts;
mod signals;
