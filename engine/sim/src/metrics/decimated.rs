//! A series of bounded length: when it is full, neighbours merge and the spacing doubles.

/// Items of which two neighbours can stand as one.
pub trait Merge {
    /// Takes in the item that came right after.
    fn merge(&mut self, later: &Self);
}

/// A list of at most a fixed number of items, each standing for equally many that were pushed.
///
/// Pushing is O(1) amortised; after the list first fills, nothing is allocated.
#[derive(Clone, PartialEq, Debug)]
pub struct Decimated<T> {
    items: Vec<T>,
    /// How many pushed items each item stands for; a power of two.
    stride: u64,
    n_pushed: u64,
    limit: usize,
}

impl<T: Merge + Clone> Decimated<T> {
    /// Returns an empty list of at most `limit` items, at least two.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        let limit = if limit < 2 { 2 } else { limit };
        Self { items: Vec::new(), stride: 1, n_pushed: 0, limit }
    }

    /// Adds an item.
    pub fn push(&mut self, item: T) {
        let is_first_of_its_own = self.n_pushed.is_multiple_of(self.stride);
        self.n_pushed += 1;
        if !is_first_of_its_own {
            self.join(&item);
            return;
        }
        if self.items.len() == self.limit {
            self.halve();
            // With an odd limit the last item still lacks its second half, and this is it.
            if !self.limit.is_multiple_of(2) {
                self.join(&item);
                return;
            }
        }
        self.items.push(item);
    }

    /// Returns the items, oldest first.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        &self.items
    }

    /// Returns the last item.
    #[must_use]
    pub fn last(&self) -> Option<&T> {
        self.items.last()
    }

    /// Returns how many items were pushed.
    #[must_use]
    pub const fn n_pushed(&self) -> u64 {
        self.n_pushed
    }

    fn join(&mut self, item: &T) {
        if let Some(last) = self.items.last_mut() {
            last.merge(item);
        }
    }

    fn halve(&mut self) {
        let n = self.items.len();
        for idx in 0..n.div_ceil(2) {
            let mut item = self.items[2 * idx].clone();
            if let Some(later) = self.items.get(2 * idx + 1) {
                item.merge(later);
            }
            self.items[idx] = item;
        }
        self.items.truncate(n.div_ceil(2));
        self.stride *= 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// First and last number of a stretch.
    #[derive(Clone, PartialEq, Debug)]
    struct Stretch(u64, u64);

    impl Merge for Stretch {
        fn merge(&mut self, later: &Self) {
            assert_eq!(self.1 + 1, later.0, "neighbours");
            self.1 = later.1;
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_the_length_is_bounded(n in 0u64..2_000, limit in 2usize..40) {
            let mut list = Decimated::new(limit);
            for i in 0..n {
                list.push(Stretch(i, i));
                prop_assert!(list.as_slice().len() <= limit);
            }
            let mut next = 0;
            for stretch in list.as_slice() {
                prop_assert_eq!(stretch.0, next);
                next = stretch.1 + 1;
            }
            prop_assert_eq!(next, n);
            if n >= limit as u64 {
                prop_assert!(list.as_slice().len() * 2 >= limit, "half of the room is used");
            }
        }
    }
}
