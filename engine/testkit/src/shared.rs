//! Finds the shared market data.

use std::path::PathBuf;

/// Returns the path of a file or folder of the shared data, or `None` with a plain line on
/// standard output when `TERCEL_SHARED` is not set: the test is then skipped.
///
/// # Panics
///
/// If the variable is set but the file is missing: a gate that skips in silence proves nothing.
#[must_use]
#[expect(clippy::print_stdout, reason = "a skipped test has to say so")]
pub fn shared_data(relative: &str) -> Option<PathBuf> {
    let Some(root) = std::env::var_os("TERCEL_SHARED") else {
        println!("skipped: TERCEL_SHARED is not set");
        return None;
    };
    let path = PathBuf::from(root).join("data").join(relative);
    assert!(path.exists(), "shared data is missing: {}", path.display());
    Some(path)
}
