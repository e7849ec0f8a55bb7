//! One file's events on their way into the common stream. It is opened when its first event is
//! due and closed after its last, so that a thousand days of files need one open file at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use tercel_core::{
    Event, InstrumentId, LinkEvent, LinkState, MarketData, MarketEvent, Nanos, VenueId,
};

use crate::convert::Converter;
use crate::detect::Detected;
use crate::error::StoreError;
use crate::formats::{self, Pass};
use crate::options::OpenOptions;
use crate::raw::{Importer, RawData, RawEvent};
use crate::report::Report;
use crate::survey::SymbolSurvey;
use crate::tape::TapeReader;

/// Events in one block, about.
pub(crate) const BLOCK: usize = 4_096;

/// What a file's events are made from.
pub(crate) enum Content {
    /// A tape: the ids that its instruments have here, and by how much its prices and quantities
    /// are multiplied to fit their steps.
    Tape { targets: Vec<Target> },
    /// Anything else: what the first pass found.
    Import { symbols: Vec<SymbolSurvey>, targets: Vec<Option<(Converter, VenueId)>> },
}

/// Where an instrument of a tape goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    pub(crate) id: InstrumentId,
    pub(crate) venue: VenueId,
    pub(crate) price_factor: i64,
    pub(crate) qty_factor: i64,
}

/// One file.
pub(crate) struct Source {
    detected: Detected,
    content: Content,
    options: Arc<OpenOptions>,
    input: Input,
    events: Vec<Event>,
    next: usize,
    /// No event comes before it.
    starts_at: Nanos,
    /// Receive times only grow within a file; where they do not, the last one is kept.
    last_at: Nanos,
    report: Report,
    /// Lists of which a value was refused: the rest of each is left out too.
    broken: VecDeque<InstrumentId>,
}

enum Input {
    Waiting,
    Tape(Box<TapeReader>),
    Import { importer: Box<dyn Importer>, raw: Vec<RawEvent> },
    Ended,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("member", &self.detected.member).finish_non_exhaustive()
    }
}

impl Source {
    /// Returns the events of a member, none of which comes before `starts_at`.
    pub(crate) fn new(
        detected: Detected,
        content: Content,
        starts_at: Nanos,
        options: Arc<OpenOptions>,
    ) -> Self {
        Self {
            detected,
            content,
            options,
            input: Input::Waiting,
            events: Vec::new(),
            next: 0,
            starts_at,
            last_at: Nanos(i64::MIN),
            report: Report::default(),
            broken: VecDeque::new(),
        }
    }

    /// Adds what was noticed so far.
    pub(crate) fn report(&self, report: &mut Report) {
        report.merge(&self.report);
        match &self.input {
            Input::Tape(reader) => report.merge(reader.report()),
            Input::Import { importer, .. } => report.merge(importer.report()),
            Input::Waiting | Input::Ended => {}
        }
    }

    /// Returns a time that the next event does not come before; `None` at the end.
    pub(crate) fn peek(&mut self) -> Result<Option<Nanos>, StoreError> {
        if let Input::Waiting = self.input {
            return Ok(Some(self.starts_at));
        }
        self.look()
    }

    /// Returns the time of the next event, reading on where it must; `None` at the end.
    fn look(&mut self) -> Result<Option<Nanos>, StoreError> {
        while self.next >= self.events.len() {
            let mut events = std::mem::take(&mut self.events);
            events.clear();
            self.next = 0;
            let more = self.fill(&mut events);
            self.events = events;
            if !more? {
                return Ok(None);
            }
        }
        Ok(Some(match &self.events[self.next] {
            Event::Market(market) => market.received_at,
            // Without a time of its own it goes with what came before it.
            _ => self.starts_at,
        }))
    }

    /// Moves events to `out` while `comes_first` holds of their time, at most `n`.
    pub(crate) fn take(
        &mut self,
        n: usize,
        comes_first: impl Fn(Nanos) -> bool,
        out: &mut Vec<Event>,
    ) -> Result<(), StoreError> {
        self.look()?;
        let run = self.events[self.next..].iter().take(n).take_while(|event| match event {
            Event::Market(market) => comes_first(market.received_at),
            _ => true,
        });
        let end = self.next + run.count();
        out.extend_from_slice(&self.events[self.next..end]);
        if let Some(Event::Market(market)) = self.events[self.next..end].last() {
            self.starts_at = market.received_at;
        }
        self.next = end;
        Ok(())
    }

    /// Appends about a block of events; `false` at the end.
    pub(crate) fn fill(&mut self, out: &mut Vec<Event>) -> Result<bool, StoreError> {
        let before = out.len();
        let more = match &mut self.input {
            Input::Waiting => {
                self.open()?;
                return self.fill(out);
            }
            Input::Ended => false,
            Input::Tape(reader) => reader.read_block(out)? > 0,
            Input::Import { importer, raw } => {
                let mut more = false;
                raw.clear();
                while raw.len() < BLOCK && importer.read(raw)? {
                    more = true;
                }
                more
            }
        };
        if !more {
            let mut report = std::mem::take(&mut self.report);
            self.report(&mut report);
            self.report = report;
            self.input = Input::Ended;
            self.events = Vec::new();
            return Ok(false);
        }
        match &self.content {
            Content::Tape { .. } => self.remap(out, before),
            Content::Import { .. } => self.convert(out),
        }
        let mut n_backwards = 0;
        let mut last_at = self.last_at;
        for event in &mut out[before..] {
            if let Event::Market(market) = event {
                if market.received_at < last_at {
                    n_backwards += 1;
                    market.received_at = last_at;
                }
                last_at = market.received_at;
            }
        }
        self.last_at = last_at;
        if n_backwards > 0 {
            let count = self.report.counts.entry("receive times that went backwards");
            *count.or_default() += n_backwards;
        }
        Ok(true)
    }

    fn open(&mut self) -> Result<(), StoreError> {
        self.input = match &self.content {
            Content::Tape { targets } => {
                let truncated = self.options.accept_truncated;
                let mut reader = TapeReader::open_member(&self.detected.member, truncated)?;
                // A snapshot of one instrument says nothing of another's book.
                if let (Some(from), [_]) = (self.options.from, &targets[..]) {
                    reader.seek_for(from);
                }
                Input::Tape(Box::new(reader))
            }
            Content::Import { symbols, .. } => {
                let pass = Pass::Events(symbols);
                let importer = formats::open(&self.detected, &self.options, pass)?;
                Input::Import { importer, raw: Vec::new() }
            }
        };
        Ok(())
    }

    /// Gives a tape's events the ids and steps that their instruments have here.
    fn remap(&mut self, out: &mut Vec<Event>, before: usize) {
        let Content::Tape { targets } = &self.content else { return };
        let is_same = |(n, target): (usize, &Target)| {
            target.id.index() == n && target.price_factor == 1 && target.qty_factor == 1
        };
        if targets.iter().enumerate().all(is_same) {
            return;
        }
        let mut kept = before;
        for at in before..out.len() {
            let fits = match &mut out[at] {
                Event::Market(market) => match targets.get(market.instrument.index()) {
                    Some(target) => target.apply(market).is_some(),
                    None => false,
                },
                Event::Link(link) => {
                    if let Some(target) = link.instrument.and_then(|id| targets.get(id.index())) {
                        (link.instrument, link.venue) = (Some(target.id), target.venue);
                    }
                    true
                }
                _ => true,
            };
            if fits {
                out.swap(kept, at);
                kept += 1;
            } else {
                let reason = "a value does not fit 64 bits at the finer step of another file";
                self.report.refuse(&self.detected.member.display(), 0, reason);
            }
        }
        out.truncate(kept);
    }

    /// Turns raw events into the engine's.
    ///
    /// A list with a value off the grid cannot be told in part, and without its end the book would
    /// stay open: the whole list is left out, and a gap is told in its place.
    fn convert(&mut self, out: &mut Vec<Event>) {
        let Content::Import { targets, .. } = &self.content else { return };
        let Input::Import { importer, raw } = &mut self.input else { return };
        let mut list_starts: Option<(usize, InstrumentId)> = None;
        for event in raw.drain(..) {
            let target = targets.get(usize::from(event.symbol)).copied().flatten();
            let Some((converter, venue)) = target else { continue };
            let id = converter.instrument();
            let is_level = matches!(event.data, RawData::Level { .. });
            let is_last = matches!(event.data, RawData::Level { last: true, .. });
            if let Some(at) = self.broken.iter().position(|broken| *broken == id) {
                let begins = matches!(event.data, RawData::Clear { .. } | RawData::Batch { .. });
                if begins || is_last {
                    self.broken.remove(at);
                }
                if is_level {
                    continue;
                }
            }
            match converter.convert(&event) {
                Ok(None) => {
                    let (instrument, state) = (Some(id), LinkState::Gap);
                    out.push(Event::Link(LinkEvent { venue, instrument, state }));
                }
                Ok(Some(market)) => {
                    match market.data {
                        MarketData::Clear { .. } | MarketData::Batch { .. } => {
                            list_starts = Some((out.len(), id));
                        }
                        MarketData::Level { last: true, .. } => list_starts = None,
                        _ => {}
                    }
                    out.push(Event::Market(market));
                }
                Err(off) => {
                    let (file, line) = (self.detected.member.display(), importer.report().n_lines);
                    self.report.refuse(&file, line, off.to_string());
                    if !is_level {
                        continue;
                    }
                    if let Some((start, _)) = list_starts.take_if(|(_, of)| *of == id) {
                        out.truncate(start);
                    }
                    let (instrument, state) = (Some(id), LinkState::Gap);
                    out.push(Event::Link(LinkEvent { venue, instrument, state }));
                    if !is_last {
                        self.broken.push_back(id);
                    }
                }
            }
        }
    }
}

impl Target {
    /// Applies itself to an event of its instrument; `None` where a value does not fit 64 bits.
    fn apply(&self, market: &mut MarketEvent) -> Option<()> {
        market.instrument = self.id;
        if self.price_factor == 1 && self.qty_factor == 1 {
            return Some(());
        }
        let scale = |value: &mut i64, factor: i64| {
            *value = value.checked_mul(factor)?;
            Some(())
        };
        let price = |price: &mut tercel_core::Price| scale(&mut price.0, self.price_factor);
        let qty = |qty: &mut tercel_core::Quantity| scale(&mut qty.0, self.qty_factor);
        match &mut market.data {
            MarketData::Clear { .. } | MarketData::Batch { .. } | MarketData::Funding { .. } => {}
            MarketData::Level { price: px, qty: quantity, .. }
            | MarketData::Trade { price: px, qty: quantity, .. }
            | MarketData::BookOrder { price: px, qty: quantity, .. } => {
                price(px)?;
                qty(quantity)?;
            }
            MarketData::Quote { bid_px, bid_qty, ask_px, ask_qty, .. } => {
                price(bid_px)?;
                price(ask_px)?;
                qty(bid_qty)?;
                qty(ask_qty)?;
            }
            MarketData::Bar { bar, .. } => {
                for px in [&mut bar.open, &mut bar.high, &mut bar.low, &mut bar.close] {
                    price(px)?;
                }
                qty(&mut bar.volume)?;
            }
            MarketData::Mark { mark, index } => {
                price(mark)?;
                price(index)?;
            }
        }
        Some(())
    }
}
