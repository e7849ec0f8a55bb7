//! One side of the simulated book: quantities by price in a ring, with a bitmap to find the next.

use tercel_core::Side;

/// Prices that a side can span at once, in ticks.
const SPAN: i64 = 4_096;
const N_SLOTS: usize = 4_096;
const N_WORDS: usize = N_SLOTS / 64;
/// Ticks behind the best price beyond which nothing rests.
pub(super) const DEPTH_TICKS: i64 = 1_500;

/// Resting quantities of one side. All operations are O(1) but for bitmap scans of a few words.
///
/// Prices are kept as keys that grow away from the touch: the price of an ask, the negated price
/// of a bid. The best key is the smallest, so both sides are one piece of code.
#[derive(Clone, Debug)]
pub(super) struct Ladder {
    side: Side,
    qtys: Box<[i64]>,
    occupied: [u64; N_WORDS],
    best: i64,
    n_levels: usize,
    /// Prices whose quantity changed since the caller last drained them, repeats included.
    pub(super) changed: Vec<i64>,
}

impl Ladder {
    pub(super) fn new(side: Side) -> Self {
        Self {
            side,
            qtys: vec![0; N_SLOTS].into_boxed_slice(),
            occupied: [0; N_WORDS],
            best: 0,
            n_levels: 0,
            changed: Vec::with_capacity(256),
        }
    }

    pub(super) const fn n_levels(&self) -> usize {
        self.n_levels
    }

    /// Returns the best price. Meaningless while the side is empty.
    pub(super) const fn best(&self) -> i64 {
        self.price(self.best)
    }

    /// Returns the price that lies `ticks` behind the best.
    pub(super) const fn behind(&self, ticks: i64) -> i64 {
        self.price(self.best + ticks)
    }

    /// Returns how many ticks `price` lies behind the best; negative if it is better.
    pub(super) const fn distance(&self, price: i64) -> i64 {
        self.key(price) - self.best
    }

    pub(super) fn qty(&self, price: i64) -> i64 {
        let key = self.key(price);
        if self.n_levels > 0 && (self.best..=self.best + DEPTH_TICKS).contains(&key) {
            self.qtys[slot(key)]
        } else {
            0
        }
    }

    /// Returns the first price with a level at least `ticks` behind the best.
    pub(super) fn level_behind(&self, ticks: i64) -> Option<i64> {
        self.first_at_or_after(self.best + ticks).map(|key| self.price(key))
    }

    /// Adds a quantity at a price; prices too far behind the best are ignored.
    pub(super) fn add(&mut self, price: i64, qty: i64) {
        let key = self.key(price);
        if self.n_levels == 0 || key < self.best {
            self.drop_beyond(key + DEPTH_TICKS);
            self.best = key;
        } else if key > self.best + DEPTH_TICKS {
            return;
        }
        let idx = slot(key);
        if self.qtys[idx] == 0 {
            self.occupied[idx / 64] |= 1 << (idx % 64);
            self.n_levels += 1;
        }
        self.qtys[idx] += qty;
        self.changed.push(price);
    }

    /// Takes up to `qty` from the level at a price and returns what was taken.
    pub(super) fn take(&mut self, price: i64, qty: i64) -> i64 {
        let taken = qty.min(self.qty(price));
        if taken > 0 {
            self.changed.push(price);
            let key = self.key(price);
            self.qtys[slot(key)] -= taken;
            if self.qtys[slot(key)] == 0 {
                self.vacate(key);
            }
        }
        taken
    }

    /// Removes the levels furthest from the touch until at most `n` are left.
    pub(super) fn keep(&mut self, n: usize) {
        while self.n_levels > n {
            let Some(worst) = self.worst() else { return };
            self.remove(worst);
        }
    }

    /// Returns all prices with their quantities, best first.
    pub(super) fn levels(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        let mut from = self.best;
        std::iter::from_fn(move || {
            let key = self.first_at_or_after(from)?;
            from = key + 1;
            Some((self.price(key), self.qtys[slot(key)]))
        })
    }

    fn drop_beyond(&mut self, limit: i64) {
        while let Some(worst) = self.worst().filter(|worst| *worst > limit) {
            self.remove(worst);
        }
    }

    fn remove(&mut self, key: i64) {
        self.qtys[slot(key)] = 0;
        self.changed.push(self.price(key));
        self.vacate(key);
    }

    fn vacate(&mut self, key: i64) {
        let idx = slot(key);
        self.occupied[idx / 64] &= !(1 << (idx % 64));
        self.n_levels -= 1;
        if key == self.best
            && let Some(next) = self.first_at_or_after(key + 1)
        {
            self.best = next;
        }
    }

    fn first_at_or_after(&self, key: i64) -> Option<i64> {
        if self.n_levels == 0 || key >= self.best + SPAN {
            return None;
        }
        let from = slot(key);
        let (mut word, mut mask) = (from / 64, u64::MAX << (from % 64));
        // The last round looks at the first word again, at the bits that the mask hid.
        for round in 0..=N_WORDS {
            let bits = self.occupied[word] & mask;
            if bits != 0 {
                let idx = word * 64 + bits.trailing_zeros() as usize;
                let ahead = (idx + N_SLOTS - from) % N_SLOTS;
                let found = key + i64::try_from(ahead).expect("a slot number is small");
                return (found < self.best + SPAN).then_some(found);
            }
            word = (word + 1) % N_WORDS;
            mask = if round + 1 == N_WORDS { !(u64::MAX << (from % 64)) } else { u64::MAX };
        }
        None
    }

    fn worst(&self) -> Option<i64> {
        if self.n_levels == 0 {
            return None;
        }
        let from = slot(self.best);
        // Words before the best's hold its furthest levels: walk down around the ring.
        for back in 1..=N_WORDS {
            let word = (from / 64 + N_WORDS - back + 1) % N_WORDS;
            let bits = match back {
                1 => self.occupied[word] & !(u64::MAX << (from % 64)),
                _ => self.occupied[word],
            };
            if bits != 0 {
                return Some(self.key_of(word * 64 + 63 - bits.leading_zeros() as usize));
            }
        }
        let bits = self.occupied[from / 64];
        Some(self.key_of(from / 64 * 64 + 63 - bits.leading_zeros() as usize))
    }

    fn key_of(&self, idx: usize) -> i64 {
        let ahead = (idx + N_SLOTS - slot(self.best)) % N_SLOTS;
        self.best + i64::try_from(ahead).expect("a slot number is small")
    }

    const fn key(&self, price: i64) -> i64 {
        match self.side {
            Side::Buy => -price,
            Side::Sell => price,
        }
    }

    const fn price(&self, key: i64) -> i64 {
        self.key(key)
    }
}

fn slot(key: i64) -> usize {
    usize::try_from(key.rem_euclid(SPAN)).expect("a remainder is not negative")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A ladder is an ordered map whose far end is cut off, on either side of the book.
        #[test]
        fn a_ladder_is_an_ordered_map(
            buy in any::<bool>(),
            steps in prop::collection::vec((any::<bool>(), 0i64..6_000, 1i64..20), 1..300),
        ) {
            let side = if buy { Side::Buy } else { Side::Sell };
            let (mut ladder, mut map) = (Ladder::new(side), BTreeMap::<i64, i64>::new());
            for (add, offset, qty) in steps {
                let price = 100_000 - offset * side.sign();
                let key = -price * side.sign();
                if add {
                    let best = map.keys().next().copied().unwrap_or(key).min(key);
                    map.retain(|key, _| *key <= best + DEPTH_TICKS);
                    if key <= best + DEPTH_TICKS {
                        *map.entry(key).or_default() += qty;
                    }
                    ladder.add(price, qty);
                } else {
                    let held = map.get(&key).copied().unwrap_or(0);
                    prop_assert_eq!(ladder.take(price, qty), held.min(qty));
                    if held <= qty { map.remove(&key); } else { map.insert(key, held - qty); }
                }
                let levels: Vec<_> = ladder.levels().collect();
                let expected: Vec<_> = map.iter().map(|(k, q)| (-k * side.sign(), *q)).collect();
                prop_assert_eq!(levels, expected);
                prop_assert_eq!(ladder.n_levels(), map.len());
            }
            ladder.keep(3);
            let kept: Vec<_> = ladder.levels().map(|(price, _)| -price * side.sign()).collect();
            let expected: Vec<_> = map.keys().copied().take(3).collect();
            prop_assert_eq!(kept, expected);
        }
    }
}
