//! Sees script files change, waits until they are quiet, and has them loaded again.

use std::collections::BTreeSet;
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
        let Ok(event) = event else { return };
        if event.kind.is_access() {
            return;
        }
        for path in event.paths.into_iter().filter(|path| Language::of(path).is_some()) {
            // The server has ended if nobody listens.
            let _ = sender.send(path);
        }
    })
    .or_machine()?;
    for folder in &folders {
        watcher.watch(folder, RecursiveMode::NonRecursive).or_machine()?;
    }
    let server = Arc::clone(server);
    std::thread::Builder::new()
        .name("reload".to_owned())
        .spawn(move || {
            while let Ok(first) = changes.recv() {
                let mut paths = BTreeSet::from([first]);
                loop {
                    match changes.recv_timeout(settle) {
                        Ok(path) => drop(paths.insert(path)),
                        Err(RecvTimeoutError::Timeout) => break,
                        Err(RecvTimeoutError::Disconnected) => return,
                    }
                }
                server.files_changed(&paths);
            }
        })
        .or_machine()?;
    Ok(Some(watcher))
}
