//! A vector that knows which of its pages were written since somebody looked, so that a copy of it can
//! be made little by little while it goes on changing.

use std::ops::Index;

/// A vector whose writes are noted by page.
#[derive(Clone, Debug)]
pub(crate) struct Pages<T> {
    items: Vec<T>,
    /// For each page the number of its last write; 0 for none.
    written: Vec<u64>,
    n_writes: u64,
}

/// Items of a page as a power of two: a page of orders is some ten kilobytes.
const SHIFT: u32 = 6;
const PAGE: usize = 1 << SHIFT;

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self { items: Vec::new(), written: Vec::new(), n_writes: 0 }
    }
}

impl<T> Index<usize> for Pages<T> {
    type Output = T;

    #[inline]
    fn index(&self, idx: usize) -> &T {
        &self.items[idx]
    }
}

impl<T> Pages<T> {
    /// Returns an empty one that takes `capacity` items without allocating.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        let mut pages = Self::default();
        pages.reserve_exact(capacity);
        pages
    }

    pub(crate) fn reserve_exact(&mut self, additional: usize) {
        self.items.reserve_exact(additional);
        let n_pages = (self.items.len() + additional).div_ceil(PAGE);
        self.written.reserve_exact(n_pages.saturating_sub(self.written.len()));
    }

    pub(crate) const fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn get(&self, idx: usize) -> Option<&T> {
        self.items.get(idx)
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        &self.items
    }

    /// Returns an item to be written.
    ///
    /// # Panics
    ///
    /// If there is none at `idx`.
    #[inline]
    pub(crate) fn write(&mut self, idx: usize) -> &mut T {
        self.note(idx);
        &mut self.items[idx]
    }

    pub(crate) fn push(&mut self, item: T) {
        if self.items.len().is_multiple_of(PAGE) {
            self.written.push(0);
        }
        self.items.push(item);
        self.note(self.items.len() - 1);
    }

    #[inline]
    fn note(&mut self, idx: usize) {
        self.n_writes += 1;
        self.written[idx >> SHIFT] = self.n_writes;
    }
}

/// A copy of a [`Pages`] in the making. It must be given the same one each time.
#[derive(Clone, Debug)]
pub(crate) struct PagesCopy<T> {
    items: Vec<T>,
    /// The last write of each page that is in the copy.
    seen: Vec<u64>,
    /// Where to look next.
    at: usize,
}

impl<T> Default for PagesCopy<T> {
    fn default() -> Self {
        Self { items: Vec::new(), seen: Vec::new(), at: 0 }
    }
}

impl<T: Copy> PagesCopy<T> {
    /// Copies at most `max` pages that are not in the copy as they are. Returns how many it has copied:
    /// fewer than `max` if nothing is left to be copied.
    pub(crate) fn advance(&mut self, from: &Pages<T>, max: usize) -> usize {
        let n_pages = from.written.len();
        if self.items.capacity() == 0 {
            // At once: growing would copy what is copied already.
            self.items.reserve_exact(from.items.capacity());
            self.seen.reserve_exact(from.written.capacity());
        }
        let mut n_copied = 0;
        for _ in 0..n_pages {
            if n_copied == max {
                break;
            }
            if self.at >= n_pages {
                self.at = 0;
            }
            if self.seen.get(self.at) != Some(&from.written[self.at]) {
                self.take(from, self.at);
                n_copied += 1;
            }
            self.at += 1;
        }
        n_copied
    }

    /// Copies a page. Those before it are in the copy, the last of them perhaps as it was when it was
    /// not full yet: then what it got since comes along.
    fn take(&mut self, from: &Pages<T>, page: usize) {
        let end = ((page << SHIFT) + PAGE).min(from.items.len());
        let known = self.items.len().min(end);
        let begin = (page << SHIFT).min(known);
        self.items[begin..known].copy_from_slice(&from.items[begin..known]);
        self.items.extend_from_slice(&from.items[known..end]);
        let written = from.written[page];
        match self.seen.get_mut(page) {
            Some(seen) => *seen = written,
            None => self.seen.push(written),
        }
    }

    /// Copies all that is left, and returns what the original is now.
    pub(crate) fn finish(mut self, from: &Pages<T>) -> Vec<T> {
        self.advance(from, usize::MAX);
        self.items
    }
}

impl<T> From<Vec<T>> for Pages<T> {
    fn from(items: Vec<T>) -> Self {
        let n_pages = items.len().div_ceil(PAGE);
        Self { items, written: vec![1; n_pages], n_writes: 1 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// However writes and steps of copying take turns, the copy ends as the original is then.
        #[test]
        fn a_copy_ends_as_what_it_is_of(
            ops in prop::collection::vec((0..3_u8, any::<usize>(), any::<u32>()), 1..2_000),
        ) {
            let mut pages = Pages::with_capacity(256);
            let mut copy = PagesCopy::default();
            for (kind, at, value) in ops {
                match kind {
                    0 if pages.len() > 0 => *pages.write(at % pages.len()) = value,
                    0 | 1 => pages.push(value),
                    _ => {
                        copy.advance(&pages, at % 4);
                    }
                }
            }
            prop_assert_eq!(copy.finish(&pages), pages.as_slice());
        }
    }

    #[test]
    fn only_what_was_written_is_copied_again() {
        let mut pages: Pages<u32> = (0..640).collect::<Vec<_>>().into();
        let mut copy = PagesCopy::default();
        assert_eq!(copy.advance(&pages, 4), 4);
        assert_eq!(copy.advance(&pages, 100), 6);
        assert_eq!(copy.advance(&pages, 100), 0);
        *pages.write(3) = 1;
        *pages.write(5) = 1;
        *pages.write(639) = 1;
        assert_eq!(copy.advance(&pages, 100), 2);
        assert_eq!(copy.finish(&pages), pages.as_slice());
    }
}
