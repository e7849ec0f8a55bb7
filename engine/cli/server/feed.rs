//! The server's market data: opened on the thread that reads it, from where an earlier run left off.

use tercel_core::{Event, MarketEvent, Nanos};
use tercel_runtime::{MarketSource, SourceFailure, SourceState};
use tercel_store::Window;

use crate::data;
use crate::server_config::ServerFile;

/// A feed, from a moment on, and again from its beginning if it is to loop.
pub(crate) struct ServerFeed {
    file: ServerFile,
    source: data::MarketSource,
    /// Lets nothing pass that lies before the moment.
    window: Window,
    block: Vec<Event>,
    /// What is added to all times: the length of the rounds that are over.
    shift_ns: i64,
    first: Option<Nanos>,
    last: Nanos,
    is_loop: bool,
}

/// Time between the last event of a round and the first of the next.
const PAUSE_NS: i64 = Nanos::SECOND;

impl ServerFeed {
    /// Opens a feed; `after` is the engine's time when an earlier run ended.
    pub(crate) fn open(file: &ServerFile, after: Option<Nanos>) -> Result<Self, SourceFailure> {
        let feed = file.open_feed().map_err(|failure| SourceFailure(failure.to_string()))?;
        let venues = feed.instruments.iter().map(|instrument| instrument.spec.venue).collect();
        Ok(Self {
            is_loop: file.config.feed.is_loop,
            file: file.clone(),
            source: feed.source,
            window: Window::new(after.map(|at| at.plus(1)), None, venues),
            block: Vec::new(),
            shift_ns: 0,
            first: None,
            last: Nanos(i64::MIN),
        })
    }

    /// Begins the next round, whose times go on from this one's.
    fn rewind(&mut self) -> Result<(), SourceFailure> {
        let feed = self.file.open_feed().map_err(|failure| SourceFailure(failure.to_string()))?;
        self.source = feed.source;
        if let Some(first) = self.first {
            self.shift_ns += self.last.since(first).saturating_add(PAUSE_NS);
        }
        Ok(())
    }

    fn shift(&mut self, event: &mut Event) {
        if let Event::Market(MarketEvent { venue_at, received_at, .. }) = event {
            self.first.get_or_insert(*received_at);
            self.last = self.last.max(*received_at);
            *venue_at = venue_at.plus(self.shift_ns);
            *received_at = received_at.plus(self.shift_ns);
        }
    }
}

impl MarketSource for ServerFeed {
    fn poll(&mut self, out: &mut Vec<Event>, _max: usize) -> Result<SourceState, SourceFailure> {
        let mut block = std::mem::take(&mut self.block);
        block.clear();
        let n = self.source.read_block(&mut block)?;
        if n == 0 {
            self.block = block;
            if self.is_loop && self.first.is_some() {
                self.rewind()?;
                return Ok(SourceState::Ready);
            }
            return Ok(SourceState::Ended);
        }
        block.iter_mut().for_each(|event| self.shift(event));
        let start = out.len();
        out.append(&mut block);
        self.block = block;
        self.window.apply(out, start);
        Ok(SourceState::Ready)
    }
}
