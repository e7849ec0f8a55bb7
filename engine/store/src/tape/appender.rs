//! A tape that grows over a long time, and over several processes: beside its place until it is whole.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use tercel_core::{Event, MarketData, MarketEvent};

use super::writer::BlockWriter;
use super::{BLOCK_EVENTS, TapeReader, TapeSummary};
use crate::error::StoreError;
use crate::metadata::Metadata;

/// Ending of a tape that is not whole yet, behind its name.
const PART: &str = ".part";

/// Writes a tape that may take hours, under its name with `.part` behind it.
///
/// Each call of [`TapeAppender::append`] makes blocks of its own and gives them to the system, so that
/// a process that dies loses nothing that it had appended. The file takes its name with
/// [`TapeAppender::finish`]; whoever gives it up before leaves what is there, to be read up to its last
/// whole block or to be gone on with.
#[derive(Debug)]
pub struct TapeAppender {
    path: PathBuf,
    part: PathBuf,
    blocks: BlockWriter,
}

impl TapeAppender {
    /// Begins a tape.
    ///
    /// # Errors
    ///
    /// If there is a tape of this name, or one that was begun; if its folder cannot be written.
    pub fn create(path: &Path, metadata: &Metadata) -> Result<Self, StoreError> {
        refuse_existing(path)?;
        let part = part_of(path);
        let file = File::create_new(&part).map_err(|error| StoreError::io(&part, error))?;
        let blocks = BlockWriter::begin(hold(file, &part)?, &part, metadata, false)?;
        Ok(Self { path: path.to_owned(), part, blocks })
    }

    /// Goes on with a tape that was begun, behind its last whole block, or begins it. Returns also the
    /// last market event that it has. Reads all of it.
    ///
    /// # Errors
    ///
    /// If there is a whole tape of this name; if another process writes it; if what was begun has other
    /// metadata or is damaged before its last block; if its folder cannot be written.
    pub fn resume(
        path: &Path,
        metadata: &Metadata,
    ) -> Result<(Self, Option<MarketEvent>), StoreError> {
        refuse_existing(path)?;
        let part = part_of(path);
        let io = |error| StoreError::io(&part, error);
        let file = match OpenOptions::new().read(true).write(true).open(&part) {
            Ok(file) => hold(file, &part)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok((Self::create(path, metadata)?, None));
            }
            Err(error) => return Err(io(error)),
        };
        let mut reader = match TapeReader::open(&part, true) {
            Ok(reader) => reader,
            // Cut within its header: there is nothing in it.
            Err(StoreError::Truncated { .. }) => {
                file.set_len(0).map_err(io)?;
                let blocks = BlockWriter::begin(file, &part, metadata, false)?;
                return Ok((Self { path: path.to_owned(), part, blocks }, None));
            }
            Err(error) => return Err(error),
        };
        if reader.metadata() != metadata || reader.is_numbered() {
            return Err(StoreError::Corrupt {
                path: part,
                offset: 20,
                what: "it was begun with other instruments or steps; delete it to begin anew"
                    .to_owned(),
            });
        }
        let mut index = reader.blocks().to_vec();
        let mut events = Vec::new();
        let mut last = None;
        for entry in &mut index {
            events.clear();
            reader.read_block(&mut events)?;
            let mut market = events.iter().filter_map(|event| match event {
                Event::Market(market) => Some(market),
                _ => None,
            });
            // The lost index knew.
            entry.has_snapshot =
                market.clone().any(|own| matches!(own.data, MarketData::Clear { .. }));
            last = market.next_back().copied().or(last);
        }
        let end = reader.position().map_err(io)?;
        file.set_len(end).map_err(io)?;
        let blocks = BlockWriter::resume(file, &part, end, index)?;
        Ok((Self { path: path.to_owned(), part, blocks }, last))
    }

    /// Returns where the tape is while it grows.
    #[must_use]
    pub fn part(&self) -> &Path {
        &self.part
    }

    /// Returns the bytes written so far.
    #[must_use]
    pub const fn n_bytes(&self) -> u64 {
        self.blocks.n_bytes()
    }

    /// Returns the events written so far, by earlier processes included.
    #[must_use]
    pub const fn n_events(&self) -> u64 {
        self.blocks.n_events()
    }

    /// Writes events, in blocks of their own, and gives them to the system. Those that are neither
    /// market data nor link news are left out.
    ///
    /// # Errors
    ///
    /// If the disk refuses.
    pub fn append(&mut self, events: &[Event]) -> Result<(), StoreError> {
        let taped = |event: &Event| matches!(event, Event::Market(_) | Event::Link(_));
        if events.iter().all(taped) {
            for block in events.chunks(BLOCK_EVENTS) {
                self.blocks.write(0, block)?;
            }
        } else {
            let kept: Vec<_> = events.iter().filter(|event| taped(event)).cloned().collect();
            for block in kept.chunks(BLOCK_EVENTS) {
                self.blocks.write(0, block)?;
            }
        }
        self.blocks.flush()
    }

    /// Writes the index and gives the tape its name, on the disk.
    ///
    /// # Errors
    ///
    /// If the disk refuses; nothing then has the tape's name.
    ///
    /// # Panics
    ///
    /// If the index is longer than 4 GiB: at 2^27 blocks, that is 2^40 events.
    pub fn finish(mut self) -> Result<TapeSummary, StoreError> {
        let summary = self.blocks.end()?;
        std::fs::rename(&self.part, &self.path)
            .map_err(|error| StoreError::io(&self.path, error))?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| Path::new("."));
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| StoreError::io(folder, error))?;
        Ok(summary)
    }
}

fn part_of(path: &Path) -> PathBuf {
    let mut part = path.as_os_str().to_owned();
    part.push(PART);
    PathBuf::from(part)
}

fn refuse_existing(path: &Path) -> Result<(), StoreError> {
    if path.exists() {
        return Err(StoreError::io(path, std::io::ErrorKind::AlreadyExists.into()));
    }
    Ok(())
}

/// Keeps other processes from writing the same file for as long as it is open.
fn hold(file: File, path: &Path) -> Result<File, StoreError> {
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            let cause = std::io::Error::new(
                std::io::ErrorKind::ResourceBusy,
                "another process is writing it",
            );
            Err(StoreError::io(path, cause))
        }
        Err(std::fs::TryLockError::Error(error)) => Err(StoreError::io(path, error)),
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;
    use tercel_core::{
        AssetId, InstrumentId, InstrumentKind, InstrumentSpec, Nanos, Price, Quantity, VenueId,
    };

    use super::*;

    fn metadata() -> Metadata {
        let (tick, lot) = (Decimal::new(1, 2), Decimal::new(1, 5));
        let spec = InstrumentSpec {
            symbol: "BTCUSDT".to_owned(),
            venue: VenueId(0),
            kind: InstrumentKind::Spot,
            base: AssetId(0),
            quote: AssetId(1),
            tick,
            lot,
            multiplier: Decimal::ONE,
            min_quantity: lot,
            max_quantity: Decimal::ZERO,
            min_notional: Decimal::ZERO,
            price_band_bps: 0,
            maker_fee: Decimal::ZERO,
            taker_fee: Decimal::ZERO,
        };
        Metadata { assets: vec!["BTC".to_owned(), "USDT".to_owned()], instruments: vec![spec] }
    }

    fn event(at: i64) -> Event {
        let data = match at % 50 {
            0 => MarketData::Clear { seq: at.unsigned_abs() },
            _ => MarketData::Trade {
                aggressor: None,
                price: Price(at),
                qty: Quantity(at + 1),
                id: at.unsigned_abs(),
            },
        };
        let (venue_at, received_at) = (Nanos(at), Nanos(at));
        Event::Market(MarketEvent { venue_at, received_at, instrument: InstrumentId(0), data })
    }

    fn pages() -> Vec<Vec<Event>> {
        [1..40, 40..101, 101..5_000, 5_000..5_010].map(|page| page.map(event).collect()).to_vec()
    }

    #[test]
    fn cut_anywhere_and_gone_on_with_it_is_the_same_tape() {
        let folder = tempfile::tempdir().unwrap();
        let whole = folder.path().join("whole.tape");
        let mut tape = TapeAppender::create(&whole, &metadata()).unwrap();
        pages().iter().for_each(|page| tape.append(page).unwrap());
        let summary = tape.finish().unwrap();
        assert_eq!(summary.n_events, 5_009);
        let expected = std::fs::read(&whole).unwrap();
        let (path, part) = (folder.path().join("cut.tape"), folder.path().join("cut.tape.part"));
        for cut in (0..expected.len()).step_by(397).chain([expected.len() - 1, expected.len()]) {
            std::fs::write(&part, &expected[..cut]).unwrap();
            let (mut tape, last) = TapeAppender::resume(&path, &metadata()).unwrap();
            let last = last.map_or(0, |event| event.venue_at.0);
            for page in pages() {
                let end = page.last().unwrap().clone();
                let Event::Market(end) = end else { panic!("only market data") };
                let first_missing = page
                    .iter()
                    .position(|event| matches!(event, Event::Market(own) if own.venue_at.0 > last));
                if end.venue_at.0 > last {
                    tape.append(&page[first_missing.unwrap()..]).unwrap();
                }
            }
            tape.finish().unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), expected, "cut at byte {cut}");
            assert!(!part.exists());
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn what_is_whole_or_held_or_another_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tape");
        let mut tape = TapeAppender::create(&path, &metadata()).unwrap();
        tape.append(&[event(1)]).unwrap();
        let held = TapeAppender::resume(&path, &metadata()).unwrap_err();
        assert!(held.to_string().contains("another process"), "{held}");
        drop(tape);
        let mut other = metadata();
        other.instruments[0].tick = Decimal::ONE;
        let differs = TapeAppender::resume(&path, &other).unwrap_err();
        assert!(differs.to_string().contains("delete it to begin anew"), "{differs}");
        let (tape, last) = TapeAppender::resume(&path, &metadata()).unwrap();
        assert_eq!(last.map(|event| event.venue_at), Some(Nanos(1)));
        tape.finish().unwrap();
        for opened in [
            TapeAppender::create(&path, &metadata()).err(),
            TapeAppender::resume(&path, &metadata()).err(),
        ] {
            assert!(matches!(opened, Some(StoreError::Io { .. })), "{opened:?}");
        }
    }
}
