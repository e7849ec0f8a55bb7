//! One connection of a link, from its attempt to its end.

use tercel_core::Nanos;

use super::LinkOptions;
use crate::venue::Manners;

/// A transport with its times.
#[derive(Debug)]
pub(super) struct Line<T> {
    pub(super) transport: T,
    pub(super) begun_at: Nanos,
    pub(super) opened_at: Option<Nanos>,
    /// When the last sign of life was heard.
    pub(super) heard_at: Nanos,
    /// When the last message was.
    pub(super) data_at: Nanos,
    pub(super) pinged_at: Nanos,
    /// When something was sent last.
    pub(super) sent_at: Nanos,
    /// When another one is to take its place.
    pub(super) renew_at: Nanos,
}

const NEVER: Nanos = Nanos(i64::MAX);

impl<T> Line<T> {
    pub(super) const fn new(transport: T, now: Nanos) -> Self {
        Self {
            transport,
            begun_at: now,
            opened_at: None,
            heard_at: now,
            data_at: now,
            pinged_at: now,
            sent_at: now,
            renew_at: NEVER,
        }
    }

    /// Messages go both ways from now on. An age of zero is none.
    pub(super) fn opened(&mut self, now: Nanos, max_age_ns: i64) {
        self.opened_at = Some(now);
        (self.heard_at, self.data_at, self.pinged_at) = (now, now, now);
        if max_age_ns > 0 {
            // Counted from the attempt: the venue's clock on it began before ours.
            self.renew_at = self.begun_at.plus(max_age_ns);
        }
    }

    pub(super) fn is_late(&self, now: Nanos, options: &LinkOptions) -> bool {
        self.begun_at.plus(options.connect_ns) <= now
    }

    /// Returns when something is to be done about it at the latest.
    pub(super) fn deadline(&self, manners: &Manners, options: &LinkOptions) -> Nanos {
        if self.opened_at.is_none() {
            return self.begun_at.plus(options.connect_ns);
        }
        let silence_ns = i64::from(manners.silence_s) * Nanos::SECOND;
        let mut at = self.renew_at.min(self.data_at.plus(options.data_silence_ns));
        if silence_ns > 0 {
            at = at.min(self.heard_at.plus(silence_ns));
            at = at.min(self.heard_at.max(self.pinged_at).plus(silence_ns / 2));
        }
        at
    }
}
