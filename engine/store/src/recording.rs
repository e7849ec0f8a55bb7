//! A feed kept as a row of tapes, each of which is right by itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tercel_core::{Event, InstrumentId, LinkEvent, LinkState, MarketData, Nanos};

use crate::error::StoreError;
use crate::metadata::Metadata;
use crate::tape::{BLOCK_EVENTS, TapeAppender};
use crate::window::Standing;

/// When a tape of a recording is full, and how long events wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordingOptions {
    /// Length in bytes at which a tape ends, about.
    pub tape_bytes: u64,
    /// Nanoseconds after which a tape ends.
    pub tape_ns: i64,
    /// Longest time in nanoseconds that an event waits for others to share its block: what a killed
    /// process loses.
    pub linger_ns: i64,
}

impl Default for RecordingOptions {
    /// Tapes of 256 MiB or a day, blocks of a second.
    fn default() -> Self {
        Self { tape_bytes: 256 << 20, tape_ns: Nanos::DAY, linger_ns: Nanos::SECOND }
    }
}

/// A tape that a recording has written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordedTape {
    /// Where it lies.
    pub path: PathBuf,
    /// Events in it.
    pub n_events: u64,
    /// Its length in bytes.
    pub n_bytes: u64,
}

/// Writes a feed into one tape after the other.
///
/// Every tape but the first opens with the books as they stand, so each can be read alone, and all of
/// them one after the other are the feed. A recording opens with its links down: what another one
/// wrote before is not gone on with in silence. A tape has `.part` behind its name until it is full; what a
/// killed process leaves is read with its beginning up to the last block.
///
/// Receive times never go back on it: an event that was received earlier than the one before, over
/// another connection, has the later one's time.
pub struct Recording {
    name: Box<dyn FnMut(Nanos) -> PathBuf + Send>,
    metadata: Metadata,
    options: RecordingOptions,
    tape: Option<Open>,
    done: Vec<RecordedTape>,
    /// Events of the next block.
    pending: Vec<Event>,
    pending_since: Nanos,
    books: BTreeMap<InstrumentId, Standing>,
    received_at: Nanos,
}

/// The tape that is written to.
struct Open {
    tape: TapeAppender,
    path: PathBuf,
    since: Nanos,
}

impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recording")
            .field("options", &self.options)
            .field("done", &self.done)
            .field("n_pending", &self.pending.len())
            .finish_non_exhaustive()
    }
}

impl Recording {
    /// Returns a recording of these instruments; `name` gives the path of the tape that begins at a
    /// time. Nothing is written before the first event.
    #[must_use]
    pub fn new(
        metadata: Metadata,
        options: RecordingOptions,
        name: impl FnMut(Nanos) -> PathBuf + Send + 'static,
    ) -> Self {
        let pending = (0..)
            .zip(&metadata.instruments)
            .map(|(id, spec)| {
                let (instrument, state) = (Some(InstrumentId(id)), LinkState::Down);
                Event::Link(LinkEvent { venue: spec.venue, instrument, state })
            })
            .collect();
        Self {
            name: Box::new(name),
            metadata,
            options,
            tape: None,
            done: Vec::new(),
            pending,
            pending_since: Nanos(i64::MAX),
            books: BTreeMap::new(),
            received_at: Nanos(i64::MIN),
        }
    }

    /// Takes events, in whole lists, and writes what is due at `now`. To be called with none now and then.
    ///
    /// # Errors
    ///
    /// If the disk refuses. What was taken since the last block is lost then.
    pub fn write(
        &mut self,
        events: impl IntoIterator<Item = Event>,
        now: Nanos,
    ) -> Result<(), StoreError> {
        for mut event in events {
            match &mut event {
                Event::Market(market) => {
                    self.received_at = self.received_at.max(market.received_at);
                    market.received_at = self.received_at;
                    if matches!(market.data, MarketData::Clear { .. }) {
                        self.books.entry(market.instrument).or_default();
                    }
                    if let Some(book) = self.books.get_mut(&market.instrument) {
                        book.take(&market.data);
                    }
                }
                Event::Link(link) if link.state != LinkState::Up => {
                    let concerned = self.books.iter_mut().filter(|(id, _)| {
                        link.instrument.is_none_or(|instrument| instrument == **id)
                    });
                    concerned.for_each(|(_, book)| book.invalidate());
                }
                _ => {}
            }
            if self.pending_since == Nanos(i64::MAX) {
                self.pending_since = now;
            }
            self.pending.push(event);
        }
        let is_due = self.pending_since.0 <= now.0.saturating_sub(self.options.linger_ns);
        if is_due || self.pending.len() >= BLOCK_EVENTS {
            self.write_pending(now)?;
        }
        self.end_if_full(now)
    }

    /// Returns the tapes that are whole.
    #[must_use]
    pub fn tapes(&self) -> &[RecordedTape] {
        &self.done
    }

    /// Returns where the tape that is written to lies, and its length in bytes.
    #[must_use]
    pub fn open_tape(&self) -> Option<(&Path, u64)> {
        self.tape.as_ref().map(|open| (open.tape.part(), open.tape.n_bytes()))
    }

    /// Writes what is left and ends the last tape. Returns all that were written.
    ///
    /// # Errors
    ///
    /// If the disk refuses.
    pub fn close(mut self, now: Nanos) -> Result<Vec<RecordedTape>, StoreError> {
        if self.pending_since != Nanos(i64::MAX) {
            self.write_pending(now)?;
        }
        self.end()?;
        Ok(self.done)
    }

    fn write_pending(&mut self, now: Nanos) -> Result<(), StoreError> {
        let open = match &mut self.tape {
            Some(open) => open,
            None => {
                let path = (self.name)(now);
                let tape = TapeAppender::create(&path, &self.metadata)?;
                self.tape.insert(Open { tape, path, since: now })
            }
        };
        open.tape.append(&self.pending)?;
        self.pending.clear();
        self.pending_since = Nanos(i64::MAX);
        Ok(())
    }

    /// Ends a tape that is full, and begins the next one with the books.
    fn end_if_full(&mut self, now: Nanos) -> Result<(), StoreError> {
        let Some(open) = &self.tape else { return Ok(()) };
        let is_old = now.since(open.since) >= self.options.tape_ns;
        if !self.pending.is_empty() || (open.tape.n_bytes() < self.options.tape_bytes && !is_old) {
            return Ok(());
        }
        self.end()?;
        for (id, book) in &self.books {
            let venue = self.metadata.instruments.get(id.index());
            let venue = venue.map(|spec| spec.venue).unwrap_or_default();
            book.tell(self.received_at, *id, venue, &mut self.pending);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), StoreError> {
        let Some(open) = self.tape.take() else { return Ok(()) };
        let summary = open.tape.finish()?;
        let (n_events, n_bytes) = (summary.n_events, summary.n_bytes);
        self.done.push(RecordedTape { path: open.path, n_events, n_bytes });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tercel_core::{MarketEvent, Price, Quantity, Side, VenueId};

    use super::*;
    use crate::options::OpenOptions;
    use crate::reader::Reader;

    fn market(at: i64, data: MarketData) -> MarketEvent {
        let (venue_at, received_at) = (Nanos(at), Nanos(at));
        MarketEvent { venue_at, received_at, instrument: InstrumentId(0), data }
    }

    fn level(at: i64, price: i64, qty: i64) -> Event {
        let (side, price, qty) = (Side::Buy, Price(price), Quantity(qty));
        Event::Market(market(at, MarketData::Level { side, price, qty, last: true }))
    }

    fn batch(at: i64, prev: u64, seq: u64) -> Event {
        Event::Market(market(at, MarketData::Batch { prev, seq }))
    }

    fn clear(at: i64, seq: u64) -> Event {
        Event::Market(market(at, MarketData::Clear { seq }))
    }

    fn link(state: LinkState) -> Event {
        let instrument = Some(InstrumentId(0));
        Event::Link(LinkEvent { venue: VenueId(0), instrument, state })
    }

    fn metadata() -> Metadata {
        let mut metadata = Metadata::default();
        let (base, quote) = (metadata.asset("BTC"), metadata.asset("USDT"));
        let step = rust_decimal::Decimal::new(1, 2);
        metadata.instruments.push(tercel_core::InstrumentSpec {
            symbol: "BTCUSDT".to_owned(),
            venue: VenueId(0),
            kind: tercel_core::InstrumentKind::Spot,
            base,
            quote,
            tick: step,
            lot: step,
            multiplier: rust_decimal::Decimal::ONE,
            min_quantity: step,
            max_quantity: rust_decimal::Decimal::ZERO,
            min_notional: rust_decimal::Decimal::ZERO,
            price_band_bps: 0,
            maker_fee: rust_decimal::Decimal::ZERO,
            taker_fee: rust_decimal::Decimal::ZERO,
        });
        metadata
    }

    fn read(paths: &[PathBuf]) -> Vec<Event> {
        let mut reader = Reader::open(paths, &OpenOptions::default()).unwrap();
        let mut events = Vec::new();
        while reader.read_block(&mut events).unwrap() > 0 {}
        events
    }

    /// Three tapes: the second opens with the book, the third with one that has a gap.
    #[test]
    fn each_tape_is_right_alone_and_all_are_the_feed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        let options = RecordingOptions { tape_ns: 100, linger_ns: 0, ..Default::default() };
        let mut recording =
            Recording::new(metadata(), options, move |at| root.join(format!("{}.tape", at.0)));
        let first = [link(LinkState::Up), clear(10, 3), level(10, 100, 5)];
        let second = [batch(200, 3, 4), level(200, 99, 7)];
        let third = [link(LinkState::Gap), level(290, 98, 1)];
        recording.write(first.clone(), Nanos(10)).unwrap();
        assert!(recording.open_tape().unwrap().0.ends_with("10.tape.part"));
        recording.write([], Nanos(150)).unwrap();
        assert_eq!(recording.tapes().len(), 1);
        recording.write(second.clone(), Nanos(200)).unwrap();
        recording.write([link(LinkState::Gap)], Nanos(320)).unwrap();
        // Received before what is on the tape already, over another connection.
        recording.write([level(190, 98, 1)], Nanos(330)).unwrap();
        let tapes = recording.close(Nanos(331)).unwrap();
        let paths: Vec<_> = tapes.iter().map(|tape| tape.path.clone()).collect();
        assert_eq!(paths.len(), 3, "{paths:?}");
        assert_eq!(read(&paths[..1]), [&[link(LinkState::Down)], &first[..]].concat());
        let opening = [clear(10, 3), level(10, 100, 5)];
        assert_eq!(read(&paths[1..2]), [&opening, &second[..], &third[..1]].concat());
        let Event::Market(late) = level(190, 98, 1) else { panic!("a market event") };
        let Event::Market(book) = level(200, 100, 5) else { panic!("a market event") };
        let MarketData::Level { side, price, qty, .. } = book.data else { panic!("a level") };
        let data = MarketData::Level { side, price, qty, last: false };
        let opening = [
            clear(200, 4),
            Event::Market(MarketEvent { data, ..book }),
            level(200, 99, 7),
            link(LinkState::Gap),
            Event::Market(MarketEvent { received_at: Nanos(200), ..late }),
        ];
        assert_eq!(read(&paths[2..]), opening);
        let all = read(&paths);
        assert_eq!(all.iter().filter(|event| **event == link(LinkState::Gap)).count(), 2);
    }
}
