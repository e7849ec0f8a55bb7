//! A latency model from the times that were recorded.

use std::collections::BTreeMap;

use tercel_core::{InstrumentId, Nanos};

use super::spread::Spread;
use crate::latency::{LatencyModel, LatencySample};

/// A request and its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestTime {
    /// What it was about.
    pub instrument: InstrumentId,
    /// When it was sent, by our clock.
    pub sent_at: Nanos,
    /// When the venue took it, by the venue's clock.
    pub venue_at: Nanos,
    /// When its answer reached us, by our clock.
    pub received_at: Nanos,
}

/// A report on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AnswerTime {
    /// What it was about.
    pub instrument: InstrumentId,
    /// When it left the venue, by the venue's clock.
    pub venue_at: Nanos,
    /// When it reached us, by our clock.
    pub received_at: Nanos,
}

/// What the messages of a run say of its connection.
///
/// One clock stamps the sending, another one the venue's part. What they differ by cannot be told
/// from a way there and a way back that are long in themselves; only its bounds can: no message
/// arrives before it leaves. While the bounds allow that the clocks agree, they are taken to agree.
/// Where they do not, the middle of the bounds is taken, as if the fastest way there were as long as
/// the fastest way back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LatencyFit {
    /// From our sending to the venue's taking, the offset taken out, in nanoseconds.
    pub request: Spread,
    /// From the venue's sending to our receiving, the offset taken out, in nanoseconds.
    pub answer: Spread,
    /// From our sending to our receiving of the answer: no clock but ours, in nanoseconds.
    pub round_trip: Spread,
    /// By how much the venue's clock is taken to be ahead of ours, in nanoseconds.
    pub offset_ns: i64,
    /// Least and greatest offset with which no message arrives before it leaves; the least is the
    /// greater one if the clocks drifted further than the fastest messages take.
    pub offset_bounds_ns: (i64, i64),
    /// The model: ascending in time, at most [`LatencyFit::SAMPLES_MAX`].
    pub samples: Vec<LatencySample>,
}

impl LatencyFit {
    /// Most samples of a model. Beyond that each stretch of neighbours is replaced by their medians.
    pub const SAMPLES_MAX: usize = 50_000;

    /// Fits a model; `None` if no request was answered. O(n log n).
    ///
    /// At the times at which something was measured the model gives exactly that; messages of one
    /// time are represented by the fastest, for the others waited behind it.
    #[must_use]
    pub fn of(requests: &[RequestTime], answers: &[AnswerTime]) -> Option<Self> {
        let there = requests.iter().map(|one| one.venue_at.since(one.sent_at));
        let back = answers.iter().map(|one| one.received_at.since(one.venue_at));
        let bounds = (-back.min()?, there.min()?);
        let offset_ns = offset(bounds);
        let request_ns =
            |one: &RequestTime| one.venue_at.since(one.sent_at).saturating_sub(offset_ns).max(0);
        let answer_ns =
            |one: &AnswerTime| one.received_at.since(one.venue_at).saturating_add(offset_ns).max(0);
        let there = requests.iter().map(|one| (one.sent_at, request_ns(one)));
        let back = answers.iter().map(|one| (one.venue_at.plus(-offset_ns), answer_ns(one)));
        let samples = thinned(&joined(there, back), Self::SAMPLES_MAX);
        Some(Self {
            request: Spread::of(requests.iter().map(request_ns))?,
            answer: Spread::of(answers.iter().map(answer_ns))?,
            round_trip: Spread::of(requests.iter().map(|one| one.received_at.since(one.sent_at)))?,
            offset_ns,
            offset_bounds_ns: bounds,
            samples,
        })
    }

    /// Returns the model.
    #[must_use]
    pub fn model(&self) -> LatencyModel {
        LatencyModel::Interpolated(self.samples.clone())
    }
}

/// Returns the offset that is taken where it can lie within these bounds.
const fn offset((least, greatest): (i64, i64)) -> i64 {
    if least <= 0 && 0 <= greatest { 0 } else { least.midpoint(greatest) }
}

/// Joins measurements of both ways: at each time of one, the other is interpolated.
fn joined(
    there: impl Iterator<Item = (Nanos, i64)>,
    back: impl Iterator<Item = (Nanos, i64)>,
) -> Vec<LatencySample> {
    let there = series(there);
    let back = series(back);
    let times: std::collections::BTreeSet<Nanos> =
        there.iter().chain(&back).map(|sample| sample.at).collect();
    let (there, back) = (LatencyModel::Interpolated(there), LatencyModel::Interpolated(back));
    let sample =
        |at| LatencySample { at, request_ns: there.request_ns(at), answer_ns: back.request_ns(at) };
    times.into_iter().map(sample).collect()
}

/// Returns measurements by ascending time, of each time the fastest.
fn series(measured: impl Iterator<Item = (Nanos, i64)>) -> Vec<LatencySample> {
    let mut fastest = BTreeMap::new();
    for (at, ns) in measured {
        fastest.entry(at).and_modify(|own: &mut i64| *own = ns.min(*own)).or_insert(ns);
    }
    let sample = |(at, request_ns)| LatencySample { at, request_ns, answer_ns: 0 };
    fastest.into_iter().map(sample).collect()
}

/// Replaces stretches of equal length by their medians until there are at most `max`.
fn thinned(samples: &[LatencySample], max: usize) -> Vec<LatencySample> {
    let stretch = samples.len().div_ceil(max).max(1);
    let median = |stretch: &[LatencySample]| LatencySample {
        at: stretch[stretch.len() / 2].at,
        request_ns: middle(stretch.iter().map(|sample| sample.request_ns)),
        answer_ns: middle(stretch.iter().map(|sample| sample.answer_ns)),
    };
    samples.chunks(stretch).map(median).collect()
}

fn middle(values: impl Iterator<Item = i64>) -> i64 {
    Spread::of(values).map_or(0, |spread| spread.p50)
}
