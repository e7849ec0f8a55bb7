//! Opens data of any format in place and reads it as one stream of events.

mod instruments;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tercel_core::{Event, Nanos};

use crate::container::Member;
use crate::convert::Converter;
use crate::detect::{Detected, Format, detect};
use crate::error::StoreError;
use crate::formats::{self, Pass};
use crate::metadata::Metadata;
use crate::options::OpenOptions;
use crate::report::Report;
use crate::source::{BLOCK, Content, Source};
use crate::survey::{Survey, SymbolSurvey, survey};
use crate::tape::TapeReader;
use crate::window::Window;

use instruments::Instruments;

/// Data of one or several files, read as one stream in order of receive time.
///
/// Memory does not grow with the length of the data, and a file is open only while its events are
/// due. Files that are not tapes are read twice: once for their symbols and steps, once for their
/// events.
#[derive(Debug)]
pub struct Reader {
    metadata: Metadata,
    detected: Vec<Detected>,
    findings: Vec<String>,
    sources: Vec<Source>,
    /// By the time that nothing more of a source comes before: the sources that have not ended.
    turns: BinaryHeap<Reverse<(Nanos, usize)>>,
    window: Window,
    is_over: bool,
}

impl Reader {
    /// Opens files of any known format, plain or inside gzip, zstd or zip.
    ///
    /// Several files become one stream in order of receive time, equal times in order of the paths.
    /// A file whose symbol an earlier path has too goes on with that instrument, unless one of them
    /// is known to be spot and the other not: then the latter is called `<symbol>-PERP` here.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, has no known format, or disagrees with another.
    pub fn open(paths: &[PathBuf], options: &OpenOptions) -> Result<Self, StoreError> {
        let mut plans = Vec::new();
        for path in paths {
            for member in members(path)? {
                plans.push(plan(&member, options)?);
            }
        }
        if let Some(symbol) = &options.symbol {
            select(&mut plans, symbol)?;
        }
        share_bar_lengths(&mut plans);
        let instruments = Instruments::of(&plans, options)?;
        let options = Arc::new(options.clone());
        let mut findings = instruments.findings.clone();
        let mut sources = Vec::with_capacity(plans.len());
        let mut detected = Vec::with_capacity(plans.len());
        let mut turns = BinaryHeap::with_capacity(plans.len());
        for (n, plan) in plans.into_iter().enumerate() {
            detected.push(plan.detected.clone());
            findings.extend(plan.findings(&options));
            let starts_at = plan.starts_at();
            let content = match plan.content {
                Planned::Tape { .. } => Content::Tape { targets: instruments.targets(n)? },
                Planned::Import(survey) => {
                    let specs = &instruments.metadata.instruments;
                    let targets = instruments.ids(n).zip(&survey.symbols).map(|(id, found)| {
                        let spec = specs.get(id?.index())?;
                        let bar_ns = found.bar_ns.unwrap_or(0);
                        Some((Converter::new(id?, spec.tick, spec.lot, bar_ns)?, spec.venue))
                    });
                    Content::Import { targets: targets.collect(), symbols: survey.symbols }
                }
            };
            turns.push(Reverse((starts_at, n)));
            sources.push(Source::new(plan.detected, content, starts_at, Arc::clone(&options)));
        }
        let metadata = instruments.metadata;
        let venues = metadata.instruments.iter().map(|spec| spec.venue).collect();
        let window = Window::new(options.from, options.to, venues);
        Ok(Self { metadata, detected, findings, sources, turns, window, is_over: false })
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
        let mut report = Report::default();
        self.sources.iter().for_each(|source| source.report(&mut report));
        report
    }

    /// Appends the next events to `out` and returns how many; 0 at the end.
    ///
    /// About a block of them, more where a list is long. Does not allocate once `out` has grown.
    ///
    /// # Errors
    ///
    /// If a file is damaged or ends too early; the events before that were returned.
    pub fn read_block(&mut self, out: &mut Vec<Event>) -> Result<usize, StoreError> {
        let before = out.len();
        while out.len() == before && !self.is_over {
            // One file needs no merging: its blocks pass as they are.
            let more = match &mut self.sources[..] {
                [source] => source.fill(out),
                _ => self.merge(out),
            };
            // Damage behind the stretch is of no concern.
            self.is_over = self.window.apply(out, before) || !more?;
        }
        Ok(out.len() - before)
    }

    /// Appends about a block of events of several files in order; `false` at the end.
    fn merge(&mut self, out: &mut Vec<Event>) -> Result<bool, StoreError> {
        let before = out.len();
        while out.len() - before < BLOCK {
            // The file whose turn it is, and the one that ends its turn.
            let Some(Reverse((at, idx))) = self.turns.pop() else { return Ok(out.len() > before) };
            if self.window.is_over(at) {
                return Ok(out.len() > before);
            }
            let second = self.turns.peek().map(|Reverse(second)| *second);
            let n_free = BLOCK - (out.len() - before);
            let comes_first = |at: Nanos| second.is_none_or(|second| (at, idx) < second);
            let source = &mut self.sources[idx];
            let next = source.take(n_free, comes_first, out).and_then(|()| source.peek());
            // A file that failed keeps its turn: reading on fails again.
            if let Some(at) = next.as_ref().map_or(Some(at), |next| *next) {
                self.turns.push(Reverse((at, idx)));
            }
            next?;
        }
        Ok(true)
    }
}

/// What is to be read of a member.
pub(crate) struct Plan {
    pub(crate) detected: Detected,
    pub(crate) content: Planned,
}

pub(crate) enum Planned {
    Tape { metadata: Metadata, starts_at: Nanos },
    Import(Survey),
}

fn plan(member: &Member, options: &OpenOptions) -> Result<Plan, StoreError> {
    let mut detected = detect(member, options)?;
    if detected.format == Format::Tape {
        let reader = TapeReader::open_member(member, options.accept_truncated)?;
        let (metadata, starts_at) = (reader.metadata().clone(), reader.starts_at());
        return Ok(Plan { detected, content: Planned::Tape { metadata, starts_at } });
    }
    let mut importer = formats::open(&detected, options, Pass::Survey)?;
    let survey = survey(importer.as_mut())?;
    if survey.n_events == 0 && survey.report.n_bad > 0 || survey.symbols.is_empty() {
        let first = survey.report.bad_lines.first();
        return Err(StoreError::Empty {
            path: member.path.clone(),
            n_bad: survey.report.n_bad,
            first: first.map_or_else(String::new, |bad| bad.reason.clone()),
        });
    }
    if detected.time_unit.is_none() {
        detected.time_unit = importer.time_unit();
    }
    Ok(Plan { detected, content: Planned::Import(survey) })
}

/// Of several symbols that files name, takes the one that is wanted; one alone is called so.
fn select(plans: &mut [Plan], wanted: &str) -> Result<(), StoreError> {
    const SHOWN: usize = 20;
    let symbols = |plans: &mut [Plan], f: &mut dyn FnMut(&mut SymbolSurvey)| {
        for plan in plans {
            if let Planned::Import(survey) = &mut plan.content {
                survey
                    .symbols
                    .iter_mut()
                    .filter(|found| found.symbol.is_name_told)
                    .for_each(&mut *f);
            }
        }
    };
    let mut names = BTreeSet::new();
    symbols(plans, &mut |found| {
        names.insert(found.symbol.name.clone());
    });
    if names.contains(wanted) {
        symbols(plans, &mut |found| found.is_wanted = found.symbol.name == wanted);
    } else if names.len() == 1 {
        symbols(plans, &mut |found| wanted.clone_into(&mut found.symbol.name));
    } else if let (false, Some(first)) = (names.is_empty(), plans.first()) {
        let more = if names.len() > SHOWN { ", ..." } else { "" };
        let names: Vec<_> = names.into_iter().take(SHOWN).collect();
        return Err(StoreError::Ambiguous {
            path: first.detected.member.path.clone(),
            what: format!("no symbol {wanted} in the data, but {}{more}", names.join(", ")),
            option: "--symbol and one of these",
        });
    }
    Ok(())
}

/// Gives bars without a neighbour the length of the symbol's bars in another file, or else of the
/// other symbols' in theirs.
fn share_bar_lengths(plans: &mut [Plan]) {
    let mut known = HashMap::new();
    for plan in &*plans {
        for found in plan.symbols() {
            if let Some(bar_ns) = found.bar_ns {
                known.entry(found.symbol.name.clone()).or_insert(bar_ns);
            }
        }
    }
    for plan in plans {
        let Planned::Import(survey) = &mut plan.content else { continue };
        let beside = survey.symbols.iter().find_map(|found| found.bar_ns);
        for found in &mut survey.symbols {
            if found.bar_ns.is_none() && found.n_bars > 0 {
                found.bar_ns = known.get(&found.symbol.name).copied().or(beside);
            }
        }
    }
}

impl Plan {
    fn symbols(&self) -> &[SymbolSurvey] {
        match &self.content {
            Planned::Tape { .. } => &[],
            Planned::Import(survey) => &survey.symbols,
        }
    }

    fn starts_at(&self) -> Nanos {
        match &self.content {
            Planned::Tape { starts_at, .. } => *starts_at,
            Planned::Import(survey) => survey.starts_at,
        }
    }

    /// Says what was concluded from this file alone.
    fn findings(&self, options: &OpenOptions) -> Vec<String> {
        let Planned::Import(survey) = &self.content else { return Vec::new() };
        let file = self.detected.member.display();
        let mut findings = Vec::new();
        if let Some(unit) = &self.detected.time_unit {
            findings.push(format!("{file}: times in {unit}"));
        }
        if self.detected.separator != b',' {
            let name = if self.detected.separator == b';' { "semicolons" } else { "tabs" };
            findings.push(format!("{file}: cells between {name}"));
        }
        if survey.symbols.iter().any(|found| found.symbol.has_signed_sizes) {
            findings.push(format!("{file}: sizes with signs; what is negative was sold"));
        }
        if let ([found], None) = (&survey.symbols[..], &options.symbol)
            && !found.symbol.is_name_told
        {
            findings.push(format!(
                "{file}: names no symbol; called {} after the file, --symbol says otherwise",
                found.symbol.name
            ));
        }
        for found in &survey.symbols {
            if self.detected.format == Format::BinanceWs && !found.has_snapshot {
                findings.push(format!(
                    "{file}: no snapshot of {} in it; its book goes on from an earlier file, or \
                     begins empty",
                    found.symbol.name
                ));
            }
        }
        for found in survey.symbols.iter().filter(|found| found.is_wanted && found.n_bars > 0) {
            let name = &found.symbol.name;
            findings.push(match found.bar_ns {
                Some(bar_ns) => {
                    let seconds = bar_ns / Nanos::SECOND;
                    format!("{file}: bars of {name} of {seconds} s, the most common distance")
                }
                None => format!(
                    "{file}: one bar of {name} alone, so its length is not known: taken as 0"
                ),
            });
        }
        findings
    }
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
