//! The server's market data: opened on the thread that reads it, from where an earlier run left off.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tercel_core::{Event, InstrumentId, MarketEvent, Nanos};
use tercel_runtime::{MarketSource, SourceFailure, SourceState};
use tercel_store::Window;

use crate::data;
use crate::server_config::ServerFile;

/// How many engines still have market data to come. An engine whose own is over waits for the others,
/// so that what it holds can be seen and told as long as the server is there.
#[derive(Clone, Debug)]
pub(crate) struct SourcesOver(Arc<AtomicUsize>);

impl SourcesOver {
    /// So many engines have market data to come.
    pub(crate) fn new(n: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(n)))
    }
}

/// A feed, from a moment on, and again from its beginning if it is to loop.
pub(crate) struct ServerFeed {
    file: ServerFile,
    source: data::MarketSource,
    /// The instruments that pass.
    followed: Vec<InstrumentId>,
    is_over: SourcesOver,
    /// Whether its own end has been told to the others.
    has_ended: bool,
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
    /// Opens a feed of some instruments; `after` is the engine's time when an earlier run ended.
    pub(crate) fn open(
        file: &ServerFile,
        after: Option<Nanos>,
        followed: Vec<InstrumentId>,
        is_over: SourcesOver,
    ) -> Result<Self, SourceFailure> {
        let mut feed = file.open_feed().map_err(|failure| SourceFailure(failure.to_string()))?;
        feed.source.follow(&followed);
        let venues = feed.instruments.iter().map(|instrument| instrument.spec.venue).collect();
        Ok(Self {
            is_loop: file.config.feed.is_loop,
            file: file.clone(),
            source: feed.source,
            followed,
            is_over,
            has_ended: false,
            window: Window::new(after.map(|at| at.plus(1)), None, venues),
            block: Vec::new(),
            shift_ns: 0,
            first: None,
            last: Nanos(i64::MIN),
        })
    }

    /// Begins the next round, whose times go on from this one's.
    fn rewind(&mut self) -> Result<(), SourceFailure> {
        let mut feed =
            self.file.open_feed().map_err(|failure| SourceFailure(failure.to_string()))?;
        feed.source.follow(&self.followed);
        self.source = feed.source;
        if let Some(first) = self.first {
            self.shift_ns += self.last.since(first).saturating_add(PAUSE_NS);
        }
        Ok(())
    }

    fn is_followed(&self, event: &Event) -> bool {
        match event {
            Event::Market(market) => self.followed.contains(&market.instrument),
            _ => true,
        }
    }

    /// Tells the other engines that there is no more, and whether any of them has.
    fn end(&mut self) -> SourceState {
        let SourcesOver(n_left) = &self.is_over;
        if !self.has_ended {
            self.has_ended = true;
            n_left.fetch_sub(1, Ordering::AcqRel);
        }
        match n_left.load(Ordering::Acquire) {
            0 => SourceState::Ended,
            _ => SourceState::Idle,
        }
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
            return Ok(self.end());
        }
        block.retain(|event| self.is_followed(event));
        block.iter_mut().for_each(|event| self.shift(event));
        let start = out.len();
        out.append(&mut block);
        self.block = block;
        self.window.apply(out, start);
        Ok(SourceState::Ready)
    }
}
