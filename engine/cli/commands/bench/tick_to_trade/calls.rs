//! The venue's REST, answered in memory: it plays no part in what is measured.

use tercel_adapters::Call;
use tercel_adapters::net::{CallDriver, Returned, ReturnedOutcome};
use tercel_core::Nanos;

use super::messages::FIRST_UPDATE;

/// Answers every call with the next poll: snapshots of a small book, the time, else nothing.
#[derive(Debug, Default)]
pub(super) struct Answers(Vec<(u32, Returned)>);

impl CallDriver for Answers {
    fn submit(&mut self, tag: u32, call: Call, now: Nanos) {
        let body = if call.url.contains("/depth") {
            format!(
                r#"{{"lastUpdateId":{FIRST_UPDATE},"bids":[["59000.00","1"]],"asks":[["61000.00","1"]]}}"#
            )
        } else if call.url.contains("/time") {
            format!(r#"{{"serverTime":{}}}"#, now.0.div_euclid(Nanos::MILLI))
        } else {
            "[]".to_owned()
        };
        let outcome =
            ReturnedOutcome::Answered { status: 200, body: body.into_bytes(), retry_after_s: None };
        let usage = Vec::new();
        let returned = Returned { id: call.id, outcome, usage, sent_at: now, received_at: now };
        self.0.push((tag, returned));
    }

    fn poll(&mut self, _now: Nanos, answered: &mut dyn FnMut(u32, &Returned)) -> usize {
        let n = self.0.len();
        for (tag, returned) in self.0.drain(..) {
            answered(tag, &returned);
        }
        n
    }
}
