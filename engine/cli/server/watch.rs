//! Sees script files change, waits until they are quiet, and has them loaded again.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tercel_script::Language;

use super::Server;
use crate::exit::{Blame, Outcome};
use crate::server_config::ServerFile;

/// Watches the folders of all scripts and of what they require: editors replace files, so that a
/// watch on a file alone would end with the first save. `None` if the configuration does not want it.
pub(super) fn start(
    file: &ServerFile,
    server: &Arc<Server>,
) -> Outcome<Option<RecommendedWatcher>> {
    if !file.config.reload.watch {
        return Ok(None);
    }
    let settle = Duration::from_millis(file.config.reload.settle_ms);
    let folders = server.script_folders();
    let (sender, changes) = channel();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let is_script = |path: &PathBuf| Language::of(path).is_some();
        if event.is_ok_and(|event| !event.kind.is_access() && event.paths.iter().any(is_script)) {
            // The server has ended if nobody listens.
            let _ = sender.send(());
        }
    })
    .or_machine()?;
    for folder in &folders {
        watcher.watch(folder, RecursiveMode::NonRecursive).or_machine()?;
    }
    let server = Arc::clone(server);
    let n_strategies = file.config.strategies.len();
    std::thread::Builder::new()
        .name("reload".to_owned())
        .spawn(move || {
            while changes.recv().is_ok() {
                loop {
                    match changes.recv_timeout(settle) {
                        Ok(()) => {}
                        Err(RecvTimeoutError::Timeout) => break,
                        Err(RecvTimeoutError::Disconnected) => return,
                    }
                }
                // A script that has not changed, with all that it requires, is not loaded again.
                (0..n_strategies).for_each(|n| server.reload_and_tell(n));
            }
        })
        .or_machine()?;
    Ok(Some(watcher))
}
