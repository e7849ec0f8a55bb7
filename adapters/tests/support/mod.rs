//! What the tests of real captures share.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::io::Read as _;
use std::path::PathBuf;

use tercel_adapters::{Call, CallAnswer, CallOutcome, Connection, Frame, Listing, Outbox};
use tercel_core::{
    AssetId, Event, Instrument, InstrumentId, InstrumentKind, InstrumentSpec, Nanos, VenueId,
};

/// Returns a file or folder of the shared data; `None`, with a line, if the variable is not set.
#[expect(clippy::print_stdout, reason = "a skipped test has to say so")]
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let Ok(root) = std::env::var("TERCEL_SHARED") else {
        println!("skipped: TERCEL_SHARED is not set");
        return None;
    };
    let path = PathBuf::from(root).join(path);
    assert!(path.exists(), "{} is missing", path.display());
    Some(path)
}

/// Returns the lines of a compressed file of the shared data.
pub(crate) fn lines(path: &str) -> Option<Vec<String>> {
    let path = shared(path)?;
    let file = std::fs::File::open(path).unwrap();
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).unwrap();
    Some(text.lines().map(str::to_owned).collect())
}

/// Returns a JSON file of the shared data.
pub(crate) fn json(path: &str) -> Option<serde_json::Value> {
    let text = std::fs::read_to_string(shared(path)?).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

/// Returns an instrument of venue 0 quoted in asset 1.
pub(crate) fn instrument(
    id: u16,
    symbol: &str,
    kind: InstrumentKind,
    tick: &str,
    lot: &str,
) -> Instrument {
    let mut spec = InstrumentSpec::linear(symbol, tick, lot);
    spec.kind = kind;
    spec.base = AssetId(0);
    spec.quote = AssetId(1);
    Instrument::new(InstrumentId(id), spec).unwrap()
}

/// Returns a listing of venue 0.
pub(crate) fn listing(instruments: &[Instrument], assets: &[&str]) -> Listing {
    let assets: Vec<String> = assets.iter().map(|name| (*name).to_owned()).collect();
    Listing::new(VenueId(0), instruments, &assets)
}

/// A conversation without a venue.
pub(crate) struct Talk {
    pub(crate) connection: Connection,
    pub(crate) out: Outbox,
    pub(crate) calls: Vec<Call>,
    pub(crate) n_errors: usize,
    pub(crate) errors: Vec<String>,
}

impl Talk {
    pub(crate) fn new(connection: Connection) -> Self {
        Self {
            connection,
            out: Outbox::default(),
            calls: Vec::new(),
            n_errors: 0,
            errors: Vec::new(),
        }
    }

    /// Opens the connection and returns the frames that were sent.
    pub(crate) fn open(&mut self, now: Nanos) -> Vec<String> {
        self.connection.protocol.subscribe(now, &mut self.out);
        self.collect();
        self.frames()
    }

    pub(crate) fn frames(&mut self) -> Vec<String> {
        let frames = self
            .out
            .frames()
            .map(|frame| String::from_utf8(frame.text.to_vec()).unwrap())
            .collect();
        self.out.clear_frames();
        frames
    }

    pub(crate) fn frame(&mut self, text: &str, at: Nanos) {
        let protocol = &mut self.connection.protocol;
        if let Err(error) = protocol.decode(Frame::Text(text.as_bytes()), at, &mut self.out) {
            self.n_errors += 1;
            if self.errors.len() < 20 {
                self.errors.push(format!("{error}: {}", &text[..text.len().min(200)]));
            }
        }
        self.collect();
    }

    pub(crate) fn answer(&mut self, call: &Call, status: u16, body: &str, at: Nanos) {
        let outcome = CallOutcome::Answered { status, body: body.as_bytes(), retry_after_s: None };
        let answer = CallAnswer { id: call.id, outcome };
        self.connection.protocol.answer(&answer, at, &mut self.out);
        self.collect();
    }

    pub(crate) fn timer(&mut self, now: Nanos) -> Nanos {
        let next = self.connection.protocol.on_timer(now, &mut self.out);
        self.collect();
        next
    }

    fn collect(&mut self) {
        self.calls.append(&mut self.out.calls);
    }

    pub(crate) fn events(&mut self) -> std::vec::Drain<'_, Event> {
        self.out.events.drain(..)
    }
}
