//! The log of a server: text or JSON lines to a file or to standard error.
//!
//! Whoever logs never waits for the disk: lines go to a thread that writes them, and lines that find
//! its queue full are dropped and counted. A line that cannot be written is lost and counted too; a full
//! disk must not stop trading because of its log.

mod rolling;

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use tracing::Dispatch;
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};

use self::rolling::RollingFile;
use crate::exit::{Blame, Outcome};
use crate::server_config::sections::{LogFormat, LogLevel, LogSection};

/// Lines that may wait to be written.
const QUEUE_LINES: usize = 16_384;

/// Keeps the log open. Dropping it writes what is waiting, for a second at most.
#[derive(Debug)]
pub(crate) struct Guard {
    lost: Lost,
    _worker: WorkerGuard,
}

impl Guard {
    /// Returns what counts the lines that are lost, for whoever shows it.
    pub(crate) fn lost(&self) -> Lost {
        self.lost.clone()
    }
}

/// Counts lines that are lost.
#[derive(Clone, Debug)]
pub(crate) struct Lost {
    dropped: ErrorCounter,
    n_failed: Arc<AtomicU64>,
}

impl Lost {
    /// Returns how many lines were dropped because too many were waiting.
    pub(crate) fn n_dropped(&self) -> u64 {
        u64::try_from(self.dropped.dropped_lines()).unwrap_or(u64::MAX)
    }

    /// Returns how many lines could not be written.
    pub(crate) fn n_failed(&self) -> u64 {
        self.n_failed.load(Ordering::Relaxed)
    }
}

/// Opens the log of this process. Fails if the file cannot be opened or there is a log already.
pub(crate) fn start(section: &LogSection) -> Outcome<Guard> {
    let (dispatch, guard) = open(section)?;
    tracing::dispatcher::set_global_default(dispatch)
        .context("open the log a second time")
        .or_machine()?;
    Ok(guard)
}

/// Opens a log for whoever is given it.
fn open(section: &LogSection) -> Outcome<(Dispatch, Guard)> {
    let n_failed = Arc::new(AtomicU64::new(0));
    match &section.file {
        Some(path) => {
            let file = RollingFile::open(path, section.rotate, section.keep)
                .with_context(|| format!("open the log {}", path.display()))
                .or_machine()?;
            Ok(writing(Counted { writer: file, n_failed }, section, false))
        }
        None => {
            let to = std::io::stderr();
            let is_colored = section.format == LogFormat::Text && to.is_terminal();
            Ok(writing(Counted { writer: to, n_failed }, section, is_colored))
        }
    }
}

fn writing<W: Write + Send + 'static>(
    writer: Counted<W>,
    section: &LogSection,
    is_colored: bool,
) -> (Dispatch, Guard) {
    let n_failed = Arc::clone(&writer.n_failed);
    let (lines, worker) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(QUEUE_LINES)
        .thread_name("log")
        .finish(writer);
    let lost = Lost { dropped: lines.error_counter(), n_failed };
    let guard = Guard { lost, _worker: worker };
    let lines = tracing_subscriber::fmt()
        .with_max_level(level(section.level))
        .with_ansi(is_colored)
        .with_writer(lines);
    let dispatch = match section.format {
        LogFormat::Text => Dispatch::new(lines.finish()),
        LogFormat::Json => Dispatch::new(lines.json().flatten_event(true).finish()),
    };
    (dispatch, guard)
}

const fn level(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// Counts what its writer refuses, since the thread that writes has nobody to tell.
struct Counted<W> {
    writer: W,
    n_failed: Arc<AtomicU64>,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        if self.writer.write_all(line).is_err() {
            self.n_failed.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::mpsc::{Receiver, channel};

    use serde_json::Value;

    use super::*;
    use crate::server_config::sections::Rotation;

    fn section(file: &Path) -> LogSection {
        LogSection { file: Some(file.to_owned()), rotate: Rotation::Never, ..LogSection::default() }
    }

    /// Logs three lines and returns what is in the file.
    fn written(section: &LogSection) -> String {
        let (dispatch, guard) = open(section).unwrap();
        tracing::dispatcher::with_default(&dispatch, || {
            tracing::info!(symbol = "BTC\nUSDT", depth = 5, "feed up");
            tracing::debug!("not asked for");
            tracing::error!("must be seen");
        });
        drop(dispatch);
        assert_eq!((guard.lost.n_dropped(), guard.lost.n_failed()), (0, 0));
        drop(guard);
        std::fs::read_to_string(section.file.as_ref().unwrap()).unwrap()
    }

    #[test]
    fn lines_are_text_or_json_down_to_a_level() {
        let folder = tempfile::tempdir().unwrap();
        let text = written(&section(&folder.path().join("new/a.log")));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].contains(" INFO ") && lines[0].contains("depth=5"), "{text}");
        assert!(!text.contains('\u{1b}'), "no colours in files");

        let json = LogSection { format: LogFormat::Json, ..section(&folder.path().join("b.log")) };
        let text = written(&json);
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(
            (&lines[0]["message"], &lines[0]["symbol"]),
            (&"feed up".into(), &"BTC\nUSDT".into())
        );
        assert_eq!(lines[1]["level"], "ERROR");
        let quiet = LogSection { level: LogLevel::Error, ..section(&folder.path().join("c.log")) };
        assert_eq!(written(&quiet).lines().count(), 1);
    }

    /// A disk that takes nothing until it is let go, and then fails.
    struct Stuck(Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.recv();
            Err(std::io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stuck_disk_costs_lines_and_no_time() {
        let (release, stuck) = channel();
        let writer = Counted { writer: Stuck(stuck), n_failed: Arc::default() };
        let (dispatch, guard) = writing(writer, &LogSection::default(), false);
        let n_lines = QUEUE_LINES + 1_000;
        tracing::dispatcher::with_default(&dispatch, || {
            for n in 0..n_lines {
                tracing::info!(n, "line");
            }
        });
        // One line may already be on its way to the disk.
        assert!((999..=1_000).contains(&guard.lost.n_dropped()), "{}", guard.lost.n_dropped());
        drop(release);
        let n_failed = Arc::clone(&guard.lost.n_failed);
        let n_written = u64::try_from(n_lines).unwrap() - guard.lost.n_dropped();
        drop((dispatch, guard));
        assert_eq!(n_failed.load(Ordering::Relaxed), n_written);
    }

    #[test]
    fn a_process_has_one_log() {
        let folder = tempfile::tempdir().unwrap();
        let section = section(&folder.path().join("a.log"));
        let guard = start(&section).unwrap();
        assert!(start(&section).unwrap_err().to_string().contains("second time"));
        drop(guard);
        let nowhere = LogSection { file: Some("/proc/none/a.log".into()), ..LogSection::default() };
        assert!(start(&nowhere).unwrap_err().to_string().starts_with("open the log /proc/none"));
    }
}
