//! The server as a real process: killed, restarted, commanded, reloaded, stopped.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod crash;
mod rig;
mod scripts;
mod signals;
