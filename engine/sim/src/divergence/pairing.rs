//! Which order of a simulation stands for which order of the run.
//!
//! Orders have counterparts only in the sequence of their kind: same strategy, instrument, side, type
//! of order. Within a sequence pairs never cross: if the third order stands for the fifth, the fourth
//! stands for a later one than the fifth. Among all such pairings that one is chosen that explains
//! most: a pair is worth the more the closer its orders were sent in time, orders sent further apart
//! than a bound are no pair, and another price or another quantity counts like an eighth of that
//! bound each.

use std::collections::BTreeMap;

use tercel_core::{InstrumentId, OrderKind, Side, StrategyId};

use super::trail::Trail;

/// An order of the run and its counterpart in the simulation, by their place in their lists. One of
/// them is absent where there is no counterpart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Pair {
    /// The run's order.
    pub run: Option<usize>,
    /// The simulation's.
    pub simulated: Option<usize>,
}

/// Pairs orders that were sent no more than `within_ns` apart, in the order in which they were sent.
///
/// Both lists must ascend in the time of sending. O(c log n) for `c` pairs that are possible at all;
/// where these are more than some millions the bound is narrowed until they are not.
#[must_use]
pub fn pair(run: &[Trail], simulated: &[Trail], within_ns: i64) -> Vec<Pair> {
    let mut sequences = BTreeMap::<Kind, (Vec<usize>, Vec<usize>)>::new();
    for (idx, order) in run.iter().enumerate() {
        sequences.entry(Kind::of(order)).or_default().0.push(idx);
    }
    for (idx, order) in simulated.iter().enumerate() {
        sequences.entry(Kind::of(order)).or_default().1.push(idx);
    }
    let mut partner = vec![None; run.len()];
    let mut is_taken = vec![false; simulated.len()];
    for (own, other) in sequences.values() {
        let own_orders: Vec<_> = own.iter().map(|idx| &run[*idx]).collect();
        let other_orders: Vec<_> = other.iter().map(|idx| &simulated[*idx]).collect();
        for (i, j) in heaviest(&own_orders, &other_orders, within_ns) {
            partner[own[i]] = Some(other[j]);
            is_taken[other[j]] = true;
        }
    }
    let paired = partner.into_iter().enumerate();
    let mut pairs: Vec<_> =
        paired.map(|(idx, simulated)| Pair { run: Some(idx), simulated }).collect();
    let alone = (0..simulated.len()).filter(|idx| !is_taken[*idx]);
    pairs.extend(alone.map(|idx| Pair { run: None, simulated: Some(idx) }));
    // Stable: at one time the run's orders come first, each list in its own order.
    pairs.sort_by_key(|pair| match (pair.run, pair.simulated) {
        (Some(idx), _) => run[idx].sent_at,
        (None, Some(idx)) => simulated[idx].sent_at,
        (None, None) => tercel_core::Nanos(i64::MAX),
    });
    pairs
}

/// What orders must share to be counterparts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Kind(StrategyId, InstrumentId, Side, u8);

impl Kind {
    const fn of(order: &Trail) -> Self {
        let kind = match order.spec.kind {
            OrderKind::Market => 0,
            OrderKind::Limit { .. } => 1,
            OrderKind::Stop { .. } => 2,
            OrderKind::StopLimit { .. } => 3,
        };
        Self(order.strategy, order.spec.instrument, order.spec.side, kind)
    }
}

/// Possible pairs that are looked at in one sequence.
const CANDIDATES_MAX: usize = 4_000_000;

/// Two orders that could be a pair.
struct Candidate {
    own: usize,
    other: usize,
    /// The pair before it in the best pairing that ends with it.
    before: Option<usize>,
}

/// Returns the pairing without crossings that is worth most.
///
/// The heaviest increasing subsequence: pairs are looked at by ascending first and, among those of
/// one first, descending second order, so that what a Fenwick tree tells of smaller second orders is
/// always of smaller first ones too.
fn heaviest(own: &[&Trail], other: &[&Trail], within_ns: i64) -> Vec<(usize, usize)> {
    let within_ns = narrowed(own, other, within_ns.max(1));
    let mut tree = BestUpTo::new(other.len());
    let mut candidates: Vec<Candidate> = Vec::new();
    for (i, order) in own.iter().enumerate() {
        let (from, to) = near(order, other, within_ns);
        for j in (from..to).rev() {
            let worth = worth(order, other[j], within_ns);
            if worth <= 0 {
                continue;
            }
            let (sum, before) = tree.before(j);
            tree.offer(j, sum + worth, candidates.len());
            candidates.push(Candidate { own: i, other: j, before });
        }
    }
    let mut pairs = Vec::new();
    let mut at = tree.before(other.len()).1;
    while let Some(n) = at {
        pairs.push((candidates[n].own, candidates[n].other));
        at = candidates[n].before;
    }
    pairs
}

/// Returns the bound, halved until there are few enough pairs to look at.
fn narrowed(own: &[&Trail], other: &[&Trail], within_ns: i64) -> i64 {
    let mut bound = within_ns;
    let count = |bound| -> usize {
        let spans = own.iter().map(|order| near(order, other, bound));
        spans.map(|(from, to)| to - from).sum()
    };
    while bound > 1 && count(bound) > CANDIDATES_MAX {
        bound /= 2;
    }
    bound
}

/// Returns the stretch of orders that were sent less than the bound away.
fn near(order: &Trail, other: &[&Trail], within_ns: i64) -> (usize, usize) {
    let at = order.sent_at;
    let from = other.partition_point(|trail| trail.sent_at <= at.plus(-within_ns));
    let to = other.partition_point(|trail| trail.sent_at < at.plus(within_ns));
    (from, to.max(from))
}

/// Returns what a pair explains; nothing if not positive.
fn worth(a: &Trail, b: &Trail, within_ns: i64) -> i128 {
    let mut cost = i128::from(a.sent_at.since(b.sent_at)).abs();
    let misfit = i128::from(within_ns / 8);
    if a.spec.kind != b.spec.kind {
        cost += misfit;
    }
    if a.spec.qty != b.spec.qty {
        cost += misfit;
    }
    i128::from(within_ns) - cost
}

/// The greatest value offered at any place before a given one: a Fenwick tree of maxima.
struct BestUpTo {
    nodes: Vec<(i128, Option<usize>)>,
}

impl BestUpTo {
    fn new(n: usize) -> Self {
        Self { nodes: vec![(0, None); n + 1] }
    }

    /// Returns the greatest value at a place before `idx`, and whose it is.
    fn before(&self, idx: usize) -> (i128, Option<usize>) {
        let (mut best, mut node) = ((0, None), idx);
        while node > 0 {
            if self.nodes[node].0 > best.0 {
                best = self.nodes[node];
            }
            node &= node - 1;
        }
        best
    }

    fn offer(&mut self, idx: usize, value: i128, whose: usize) {
        let mut node = idx + 1;
        while node < self.nodes.len() {
            if value > self.nodes[node].0 {
                self.nodes[node] = (value, Some(whose));
            }
            node += node & node.wrapping_neg();
        }
    }
}
