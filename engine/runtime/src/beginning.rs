//! The beginning of a run: versions in their places, and a record of what it begins with.

use tercel_core::{Engine, Nanos, Seq};
use tercel_crash::{Point, point};
use tercel_store::journal::Record;
use tercel_store::state;

use crate::clock::TimeSource;
use crate::journal::JournalRecorder;
use crate::market_sink::MarketSink;
use crate::recorder::{RecordFailure, Recorder};
use crate::version::{Version, VersionError};

/// Why a run cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// A script does not run.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// What it begins with cannot be recorded.
    #[error(transparent)]
    Record(#[from] RecordFailure),
}

/// Puts the first versions in their strategies' places and records them and the state that the run
/// begins with. Returns when all of that is durable: a run that is cut off later has begun, and tells
/// what it began with. `now` is the engine's time: that of its predecessor's end.
///
/// # Errors
///
/// If a script does not run, or the record cannot be made durable. The run has not begun then.
pub fn begin_run<M: MarketSink, T: TimeSource>(
    engine: &mut Engine,
    now: Nanos,
    versions: &[Version],
    recorder: &mut JournalRecorder<M, T>,
) -> Result<(), BeginError> {
    for version in versions {
        version.take_over(engine, false)?;
        for record in version.records() {
            recorder.keep(&record)?;
        }
    }
    point(Point::BeginScripts);
    let state = engine.snapshot();
    let (state_hash, bytes) = (state.hash(), state::encode(&state));
    recorder.keep(&Record::Snapshot { seq: Seq(0), now, state_hash, n_before: 1, bytes })?;
    point(Point::BeginState);
    recorder.settle()?;
    point(Point::Begun);
    Ok(())
}
