//! Lines of text with their numbers, and the importer of every format that has one record a line.

use std::io::BufRead;

use crate::container::{Member, Unwrapped};
use crate::error::StoreError;
use crate::raw::{Importer, RawEvent, RawSymbol};
use crate::report::Report;

/// A format with one record a line.
pub(crate) trait LineFormat {
    /// Appends the events of a line.
    ///
    /// Errors say why the line is refused; it is counted and the next one is read.
    fn line(
        &mut self,
        line: &[u8],
        report: &mut Report,
        out: &mut Vec<RawEvent>,
    ) -> Result<(), String>;

    /// Appends what was held back until the end.
    fn end(&mut self, _report: &mut Report, _out: &mut Vec<RawEvent>) {}

    /// Returns the symbols seen so far.
    fn symbols(&self) -> &[RawSymbol];

    /// Returns the unit of its times, where that was found in the data.
    fn time_unit(&self) -> Option<String> {
        None
    }
}

/// Reads a file line by line through a format.
pub(crate) struct LineImporter<F> {
    input: Unwrapped,
    format: F,
    report: Report,
    name: String,
    line: Vec<u8>,
    skip: u64,
    accept_truncated: bool,
    done: bool,
}

/// No line of market data is longer; a file without line ends must not fill the memory.
const LONGEST_LINE: usize = 64 << 20;

impl<F: LineFormat> LineImporter<F> {
    /// Reads `member` after `skip` lines of header.
    pub(crate) fn new(
        member: &Member,
        format: F,
        skip: u64,
        accept_truncated: bool,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            input: member.open()?,
            format,
            report: Report::default(),
            name: member.display(),
            line: Vec::new(),
            skip,
            accept_truncated,
            done: false,
        })
    }

    /// Reads the next line; `false` at the end.
    fn next_line(&mut self) -> Result<bool, StoreError> {
        self.line.clear();
        match read_line(&mut self.input, &mut self.line) {
            Ok(0) => Ok(false),
            Ok(_) if self.line.len() > LONGEST_LINE => {
                let (path, line) = (self.input.path().to_owned(), self.report.n_lines + 1);
                let what = format!("longer than {} MiB: is this text?", LONGEST_LINE >> 20);
                Err(StoreError::BadLine { path, line, what })
            }
            Ok(_) => Ok(true),
            Err(error) => match self.input.explain(error) {
                StoreError::Truncated { offset, .. } if self.accept_truncated => {
                    let note = format!("{} ends too early at byte {offset}", self.name);
                    self.report.notes.push(note);
                    Ok(false)
                }
                error => Err(error),
            },
        }
    }
}

impl<F: LineFormat> Importer for LineImporter<F> {
    fn read(&mut self, out: &mut Vec<RawEvent>) -> Result<bool, StoreError> {
        if self.done {
            return Ok(false);
        }
        if !self.next_line()? {
            self.done = true;
            self.format.end(&mut self.report, out);
            return Ok(true);
        }
        self.report.n_lines += 1;
        let line = trim(&self.line, self.report.n_lines == 1);
        if line.is_empty() || self.report.n_lines <= self.skip {
            return Ok(true);
        }
        let before = out.len();
        if let Err(reason) = self.format.line(line, &mut self.report, out) {
            out.truncate(before);
            self.report.refuse(&self.name, self.report.n_lines, reason);
        }
        Ok(true)
    }

    fn symbols(&self) -> &[RawSymbol] {
        self.format.symbols()
    }

    fn time_unit(&self) -> Option<String> {
        self.format.time_unit()
    }

    fn report(&self) -> &Report {
        &self.report
    }
}

/// Reads up to and with the next line end, but never much more than the longest line.
pub(crate) fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<usize> {
    use std::io::Read;
    input.take(LONGEST_LINE as u64 + 1).read_until(b'\n', line)
}

/// Takes off what surrounds a line: its end, spaces, and the mark of UTF-8 before the first. A tab
/// may stand for an empty cell and stays.
fn trim(line: &[u8], is_first: bool) -> &[u8] {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    let line = line.strip_prefix(MARK).filter(|_| is_first).unwrap_or(line);
    let is_kept = |byte: &u8| !matches!(byte, b' ' | b'\r' | b'\n');
    let start = line.iter().position(is_kept).unwrap_or(line.len());
    let end = line.iter().rposition(is_kept).map_or(start, |end| end + 1);
    &line[start..end]
}

/// Returns the first bytes of a member, at most eight.
pub(crate) fn magic(member: &Member) -> Result<Vec<u8>, StoreError> {
    use std::io::Read;
    let mut input = member.open()?;
    let mut magic = Vec::with_capacity(8);
    let read = input.by_ref().take(8).read_to_end(&mut magic);
    read.map_err(|error| input.explain(error))?;
    Ok(magic)
}

/// Returns the first lines of a member, at most `n`.
pub(crate) fn head(member: &Member, n: usize) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut input = member.open()?;
    let mut lines = Vec::with_capacity(n);
    let mut line = Vec::new();
    while lines.len() < n {
        line.clear();
        match read_line(&mut input, &mut line) {
            Ok(0) => break,
            Ok(_) => {}
            // What is damaged further on is for the reader proper to say.
            Err(_) if !lines.is_empty() => break,
            Err(error) => return Err(input.explain(error)),
        }
        let trimmed = trim(&line, lines.is_empty());
        if !trimmed.is_empty() {
            lines.push(trimmed.to_vec());
        }
    }
    Ok(lines)
}
