//! What a recorded run knows of its events that the events do not tell.

use tercel_core::{Engine, Event, Nanos};

/// Tells when the events of a source happen that have no time of their own (commands, links, signals,
/// reports), and what is done to the engine before it takes one.
///
/// `()` knows nothing: such an event happens when the market event before it did.
pub trait Cues {
    /// Returns when the next such event happens, in the order of the source; called once for each.
    /// One that lies before an earlier event of the engine happens at that event's time.
    fn next_at(&mut self) -> Option<Nanos>;

    /// Called before the engine takes such an event: a new version of a strategy takes its place here.
    fn before(&mut self, engine: &mut Engine, event: &Event);
}

impl Cues for () {
    #[inline]
    fn next_at(&mut self) -> Option<Nanos> {
        None
    }

    #[inline]
    fn before(&mut self, _engine: &mut Engine, _event: &Event) {}
}

impl<C: Cues> Cues for &mut C {
    fn next_at(&mut self) -> Option<Nanos> {
        (**self).next_at()
    }

    fn before(&mut self, engine: &mut Engine, event: &Event) {
        (**self).before(engine, event);
    }
}
