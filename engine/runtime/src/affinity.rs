//! Keeping a thread on one core.

/// Why a thread was not pinned. It runs on, on whichever core the system likes.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// The process may not use such a core.
    #[error("there is no core {core} for this process; it may use {}", list(.available))]
    NoSuchCore {
        /// What was asked for.
        core: usize,
        /// What there is.
        available: Vec<usize>,
    },
    /// The system cannot do it.
    #[error("threads cannot be pinned to cores on this system")]
    Unsupported,
    /// The system refused.
    #[error("core {core}: the system refused to pin the thread: {error}")]
    Refused {
        /// What was asked for.
        core: usize,
        /// What it said.
        error: std::io::Error,
    },
}

fn list(cores: &[usize]) -> String {
    let names: Vec<_> = cores.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// Returns the cores that this process may use, ascending; empty where the system does not say.
#[must_use]
pub fn available_cores() -> Vec<usize> {
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::{CpuSet, sched_getaffinity};
        let Ok(set) = sched_getaffinity(None) else { return Vec::new() };
        (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect()
    }
    #[cfg(not(target_os = "linux"))]
    Vec::new()
}

/// Keeps the current thread on one core.
///
/// # Errors
///
/// If there is no such core, or the system cannot or will not do it.
pub fn pin_current_thread(core: usize) -> Result<(), PinError> {
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::{CpuSet, sched_setaffinity};
        let available = available_cores();
        if !available.contains(&core) {
            return Err(PinError::NoSuchCore { core, available });
        }
        let mut set = CpuSet::new();
        set.set(core);
        sched_setaffinity(None, &set)
            .map_err(|error| PinError::Refused { core, error: error.into() })
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = core;
        Err(PinError::Unsupported)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_has_one_core_left() {
        let core = available_cores()[0];
        let left = std::thread::spawn(move || {
            pin_current_thread(core).unwrap();
            available_cores()
        });
        assert_eq!(left.join().unwrap(), [core]);
    }

    #[test]
    fn a_core_that_does_not_exist_is_named_with_those_that_do() {
        let message = pin_current_thread(100_000).unwrap_err().to_string();
        assert!(message.starts_with("there is no core 100000 for this process; it may use "));
        assert!(message.ends_with(&list(&available_cores())), "{message}");
    }
}
