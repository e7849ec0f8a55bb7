//! What a protocol gives back.

use tercel_core::Event;

use super::{Call, Cost, News};
use crate::limits::Usage;

/// What a protocol wants sent and told. One is used over and over, so a message costs no allocation
/// once the buffers have grown.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Market data and links, for the engine, in order.
    pub events: Vec<Event>,
    /// News of the account, for the gateway, in order.
    pub news: Vec<News>,
    /// Calls over REST.
    pub calls: Vec<Call>,
    /// What the venue said about its budgets.
    pub usage: Vec<Usage>,
    /// Levels left out because they are not on their instrument's grid: orders from before the
    /// grid was changed.
    pub n_off_grid: usize,
    /// Why the connection is to be closed and opened anew, if it is.
    pub reconnect: Option<&'static str>,
    /// Whether the venue has refused who we are, so that the next attempt to connect is to come late:
    /// venues shut out addresses that go on trying.
    pub is_refused: bool,
    bytes: Vec<u8>,
    frames: Vec<(usize, Cost)>,
}

/// A frame that is to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutFrame<'a> {
    /// Its text.
    pub text: &'a [u8],
    /// What it costs.
    pub cost: Cost,
}

impl Outbox {
    /// Adds a text frame that `write` appends to the buffer.
    pub fn frame(&mut self, cost: Cost, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.frames.push((self.bytes.len(), cost));
    }

    /// Returns the frames in order.
    pub fn frames(&self) -> impl Iterator<Item = OutFrame<'_>> {
        let mut start = 0;
        self.frames.iter().map(move |&(end, cost)| {
            let text = &self.bytes[start..end];
            start = end;
            OutFrame { text, cost }
        })
    }

    /// Forgets the frames, keeping the allocation: they have been sent.
    pub fn clear_frames(&mut self) {
        self.bytes.clear();
        self.frames.clear();
    }

    /// Returns whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
            && self.news.is_empty()
            && self.calls.is_empty()
            && self.usage.is_empty()
            && self.frames.is_empty()
            && self.reconnect.is_none()
            && !self.is_refused
    }
}
