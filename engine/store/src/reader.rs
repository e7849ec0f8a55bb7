//! Opens data of any format in place and reads it as one stream of events.

use std::path::{Path, PathBuf};

use tercel_core::{Event, InstrumentId, MarketData, MarketEvent, Nanos};

use crate::container::Member;
use crate::convert::Converter;
use crate::detect::{Detected, Format, detect};
use crate::error::StoreError;
use crate::formats;
use crate::metadata::Metadata;
use crate::options::OpenOptions;
use crate::raw::{Importer, RawEvent};
use crate::report::Report;
use crate::survey::{Survey, survey};
use crate::tape::TapeReader;

/// Data of one or several files, read as one stream in order of receive time.
///
/// Memory does not grow with the length of the data. Files that are not tapes are read twice: once
/// for their symbols and steps, once for their events.
#[derive(Debug)]
pub struct Reader {
    metadata: Metadata,
    detected: Vec<Detected>,
    findings: Vec<String>,
    sources: Vec<Source>,
    window: Window,
    report: Report,
}

/// Events of one file on their way.
struct Source {
    input: Input,
    events: Vec<Event>,
    next: usize,
    /// Receive times only grow within a file; where they do not, the last one is kept.
    last_at: Nanos,
    n_backwards: u64,
}

enum Input {
    Tape {
        reader: Box<TapeReader>,
        ids: Vec<InstrumentId>,
    },
    Import {
        importer: Box<dyn Importer>,
        converters: Vec<Option<Converter>>,
        raw: Vec<RawEvent>,
        file: String,
        report: Report,
    },
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("next", &self.next).finish_non_exhaustive()
    }
}

/// Events in one block, about.
const BLOCK: usize = 4_096;

impl Reader {
    /// Opens files of any known format, plain or inside gzip, zstd or zip.
    ///
    /// Several files become one stream in order of receive time, equal times in order of the paths.
    /// A file whose symbol an earlier path has too goes on with that instrument.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, has no known format, or disagrees with another.
    pub fn open(paths: &[PathBuf], options: &OpenOptions) -> Result<Self, StoreError> {
        let mut reader = Self {
            metadata: Metadata::default(),
            detected: Vec::new(),
            findings: Vec::new(),
            sources: Vec::new(),
            window: Window { from: options.from, to: options.to },
            report: Report::default(),
        };
        let mut plans = Vec::new();
        for path in paths {
            for member in members(path)? {
                plans.push(reader.plan(&member, options)?);
            }
        }
        reader.unite(&plans, options)?;
        for plan in plans {
            let source = reader.source(plan, options)?;
            reader.sources.push(source);
        }
        Ok(reader)
    }

    /// Returns what the data is about.
    #[must_use]
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Returns what the files were found to be.
    #[must_use]
    pub fn detected(&self) -> &[Detected] {
        &self.detected
    }

    /// Returns what was concluded from the data, such as its tick, in sentences.
    #[must_use]
    pub fn findings(&self) -> &[String] {
        &self.findings
    }

    /// Returns what was noticed so far.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut report = self.report.clone();
        for source in &self.sources {
            match &source.input {
                Input::Import { importer, report: converted, .. } => {
                    report.merge(importer.report());
                    report.merge(converted);
                }
                Input::Tape { reader, .. } => report.merge(reader.report()),
            }
            if source.n_backwards > 0 {
                *report.counts.entry("receive times that went backwards").or_default() +=
                    source.n_backwards;
            }
        }
        report
    }

    /// Appends the next events to `out` and returns how many; 0 at the end.
    ///
    /// # Errors
    ///
    /// If a file is damaged or ends too early; the events before that were returned.
    pub fn read_block(&mut self, out: &mut Vec<Event>) -> Result<usize, StoreError> {
        let before = out.len();
        if let [source] = &mut self.sources[..] {
            // One file needs no merging: its blocks pass as they are.
            while out.len() == before {
                if source.next < source.events.len() {
                    out.extend(source.events.drain(..).skip(source.next));
                    source.next = 0;
                } else if !source.fill(out)? {
                    return Ok(0);
                }
                self.window.apply(out, before);
            }
            return Ok(out.len() - before);
        }
        while out.len() - before < BLOCK {
            let mut earliest: Option<(Nanos, usize)> = None;
            for (idx, source) in self.sources.iter_mut().enumerate() {
                if let Some(at) = source.peek()?
                    && earliest.is_none_or(|(other, _)| at < other)
                {
                    earliest = Some((at, idx));
                }
            }
            let Some((_, idx)) = earliest else { break };
            let source = &mut self.sources[idx];
            out.push(source.events[source.next].clone());
            source.next += 1;
            if out.len() - before == BLOCK || source.next == source.events.len() {
                let n = out.len();
                self.window.apply(out, before);
                if out.len() == before && n > before {
                    continue;
                }
            }
        }
        self.window.apply(out, before);
        Ok(out.len() - before)
    }

    fn plan(&mut self, member: &Member, options: &OpenOptions) -> Result<Plan, StoreError> {
        let detected = detect(member, options)?;
        self.detected.push(detected.clone());
        if detected.format == Format::Tape {
            let reader = TapeReader::open(&member.path, options.accept_truncated)?;
            return Ok(Plan { detected, content: Content::Tape(Box::new(reader)) });
        }
        let mut importer = formats::open(&detected, options, false)?;
        let survey = survey(importer.as_mut())?;
        if survey.n_events == 0 && survey.report.n_bad > 0 || survey.symbols.is_empty() {
            let first = survey.report.bad_lines.first();
            return Err(StoreError::Empty {
                path: member.path.clone(),
                n_bad: survey.report.n_bad,
                first: first.map_or_else(String::new, |bad| bad.reason.clone()),
            });
        }
        Ok(Plan { detected, content: Content::Import(survey) })
    }

    /// Gives every symbol one instrument, with the finer of the steps that its files show.
    fn unite(&mut self, plans: &[Plan], options: &OpenOptions) -> Result<(), StoreError> {
        for plan in plans.iter() {
            if let Content::Tape(tape) = &plan.content {
                for spec in &tape.metadata().instruments {
                    self.add_spec(spec, &tape.metadata().assets)?;
                }
            }
        }
        let mut steps: Vec<(
            crate::raw::RawSymbol,
            rust_decimal::Decimal,
            rust_decimal::Decimal,
            u64,
        )> = Vec::new();
        for plan in plans.iter() {
            let Content::Import(survey) = &plan.content else { continue };
            for found in &survey.symbols {
                match steps.iter_mut().find(|(symbol, ..)| symbol.name == found.symbol.name) {
                    Some((_, tick, lot, n_values)) => {
                        *tick = common_step(*tick, found.tick);
                        *lot = common_step(*lot, found.lot);
                        *n_values += found.n_values;
                    }
                    None => {
                        steps.push((found.symbol.clone(), found.tick, found.lot, found.n_values));
                    }
                }
            }
        }
        for (symbol, found_tick, found_lot, n_values) in steps {
            if self.metadata.find(&symbol.name).is_some() {
                continue;
            }
            let (tick, lot) =
                (options.tick.unwrap_or(found_tick), options.lot.unwrap_or(found_lot));
            self.metadata.add(&symbol, tick, lot, options);
            let whose = |given: bool| if given { "given" } else { "found" };
            self.findings.push(format!(
                "{}: tick {tick} ({}), lot {lot} ({}), from {n_values} values",
                symbol.name,
                whose(options.tick.is_some()),
                whose(options.lot.is_some()),
            ));
        }
        Ok(())
    }

    fn add_spec(
        &mut self,
        spec: &tercel_core::InstrumentSpec,
        assets: &[String],
    ) -> Result<(), StoreError> {
        if let Some(known) = self.metadata.find(&spec.symbol) {
            let known = &self.metadata.instruments[known.index()];
            if known.tick != spec.tick || known.lot != spec.lot {
                let what = format!(
                    "tick {} and lot {} against {} and {}",
                    known.tick, known.lot, spec.tick, spec.lot
                );
                return Err(StoreError::Conflict { symbol: spec.symbol.clone(), what });
            }
            return Ok(());
        }
        let name = |asset: tercel_core::AssetId| {
            assets.get(asset.index()).map_or("?", String::as_str).to_owned()
        };
        let (base, quote) = (name(spec.base), name(spec.quote));
        let (base, quote) = (self.metadata.asset(&base), self.metadata.asset(&quote));
        self.metadata.instruments.push(tercel_core::InstrumentSpec { base, quote, ..spec.clone() });
        Ok(())
    }

    fn source(&mut self, plan: Plan, options: &OpenOptions) -> Result<Source, StoreError> {
        let input = match plan.content {
            Content::Tape(reader) => {
                let symbols = reader.metadata().instruments.iter();
                let ids = symbols.filter_map(|spec| self.metadata.find(&spec.symbol)).collect();
                let mut reader = reader;
                // A snapshot of one instrument says nothing of another's book.
                if let Some(from) = options.from
                    && reader.metadata().instruments.len() == 1
                {
                    reader.seek_for(from);
                }
                Input::Tape { reader, ids }
            }
            Content::Import(survey) => self.import(&plan.detected, &survey, options)?,
        };
        Ok(Source { input, events: Vec::new(), next: 0, last_at: Nanos(i64::MIN), n_backwards: 0 })
    }

    fn import(
        &mut self,
        detected: &Detected,
        survey: &Survey,
        options: &OpenOptions,
    ) -> Result<Input, StoreError> {
        // Diffs without any snapshot in their file go on with the book of an earlier one.
        let counts = &survey.report.counts;
        let continues = detected.format == Format::BinanceWs && !counts.contains_key("snapshots");
        if continues {
            self.findings.push(format!(
                "{}: no snapshot in it; its book goes on from an earlier file, or begins empty",
                detected.member.display()
            ));
        }
        if let Some(bar_ns) = survey.bar_ns {
            let seconds = bar_ns / Nanos::SECOND;
            let file = detected.member.display();
            self.findings.push(format!("{file}: bars of {seconds} s, the most common distance"));
        }
        let importer = formats::open(detected, options, continues)?;
        let converters = survey.symbols.iter().map(|found| {
            let id = self.metadata.find(&found.symbol.name)?;
            let spec = &self.metadata.instruments[id.index()];
            Converter::new(id, spec.tick, spec.lot, survey.bar_ns.unwrap_or(0))
        });
        Ok(Input::Import {
            importer,
            converters: converters.collect(),
            raw: Vec::new(),
            file: detected.member.display(),
            report: Report::default(),
        })
    }
}

/// What is to be read of a member.
struct Plan {
    detected: Detected,
    content: Content,
}

enum Content {
    Tape(Box<TapeReader>),
    Import(Survey),
}

fn members(path: &Path) -> Result<Vec<Member>, StoreError> {
    // Archives carry readme and checksum files beside their data.
    let is_data = |member: &Member| {
        member.name.as_ref().is_none_or(|name| {
            let name = name.to_lowercase();
            !(name.contains("readme") || name.ends_with(".checksum") || name.ends_with(".md"))
        }) && !formats::lobster::belongs_to_messages(member)
    };
    Ok(Member::list(path)?.into_iter().filter(is_data).collect())
}

/// Returns a step that both are multiples of.
fn common_step(a: rust_decimal::Decimal, b: rust_decimal::Decimal) -> rust_decimal::Decimal {
    let (fine, coarse) = if a < b { (a, b) } else { (b, a) };
    if (coarse % fine).is_zero() {
        return fine;
    }
    rust_decimal::Decimal::new(1, fine.normalize().scale().max(coarse.normalize().scale()))
}

impl Source {
    fn peek(&mut self) -> Result<Option<Nanos>, StoreError> {
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
        Ok(Some(received_at(&self.events[self.next])))
    }

    /// Appends about a block of events; `false` at the end.
    fn fill(&mut self, out: &mut Vec<Event>) -> Result<bool, StoreError> {
        let before = out.len();
        match &mut self.input {
            Input::Tape { reader, ids } => {
                if reader.read_block(out)? == 0 {
                    return Ok(false);
                }
                let is_same = ids.iter().enumerate().all(|(n, id)| id.index() == n);
                if !is_same {
                    for event in &mut out[before..] {
                        if let Event::Market(market) = event {
                            market.instrument = ids[market.instrument.index()];
                        }
                    }
                }
            }
            Input::Import { importer, converters, raw, file, report } => {
                while out.len() - before < BLOCK {
                    raw.clear();
                    if !importer.read(raw)? {
                        if out.len() == before {
                            return Ok(false);
                        }
                        break;
                    }
                    for event in raw.iter() {
                        let converter =
                            converters.get(usize::from(event.symbol)).copied().flatten();
                        let Some(converter) = converter else { continue };
                        match converter.convert(event) {
                            Ok(event) => out.push(Event::Market(event)),
                            Err(off) => {
                                let line = importer.report().n_lines;
                                report.refuse(file, line, off.to_string());
                            }
                        }
                    }
                }
            }
        }
        for event in &mut out[before..] {
            if let Event::Market(market) = event {
                self.n_backwards += u64::from(market.received_at < self.last_at);
                market.received_at = market.received_at.max(self.last_at);
                self.last_at = market.received_at;
            }
        }
        Ok(true)
    }
}

fn received_at(event: &Event) -> Nanos {
    match event {
        Event::Market(market) => market.received_at,
        _ => Nanos(i64::MIN),
    }
}

/// The stretch of time that is wanted.
#[derive(Clone, Copy, Debug)]
struct Window {
    from: Option<Nanos>,
    to: Option<Nanos>,
}

impl Window {
    /// Takes out what lies outside: of what lies before, book events stay, moved to the beginning.
    fn apply(&self, out: &mut Vec<Event>, start: usize) {
        if self.from.is_none() && self.to.is_none() {
            return;
        }
        let mut kept = start;
        for at in start..out.len() {
            let keep = match &mut out[at] {
                Event::Market(market) => self.admit(market),
                _ => true,
            };
            if keep {
                out.swap(kept, at);
                kept += 1;
            }
        }
        out.truncate(kept);
    }

    fn admit(&self, market: &mut MarketEvent) -> bool {
        if self.to.is_some_and(|to| market.received_at >= to) {
            return false;
        }
        let Some(from) = self.from.filter(|from| market.received_at < *from) else { return true };
        let is_book = match market.data {
            MarketData::Clear { .. }
            | MarketData::Batch { .. }
            | MarketData::Level { .. }
            | MarketData::BookOrder { .. } => true,
            MarketData::Trade { .. }
            | MarketData::Quote { .. }
            | MarketData::Bar { .. }
            | MarketData::Mark { .. }
            | MarketData::Funding { .. } => false,
        };
        if is_book {
            market.received_at = from;
            market.venue_at = market.venue_at.max(from);
        }
        is_book
    }
}
