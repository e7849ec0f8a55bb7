//! Names and counts: what the faults and the invariants of a simulation have in common.

use std::fmt;
use std::marker::PhantomData;

/// One of a fixed list of things that have a name each.
pub trait Named: Copy + 'static {
    /// All of them, each at the place of its index.
    const ALL: &'static [Self];

    /// Returns its place in the list.
    fn index(self) -> usize;

    /// Returns what people call it.
    fn name(self) -> &'static str;
}

/// How often each thing of a list was.
#[derive(Clone, PartialEq, Eq)]
pub struct Counts<K> {
    counts: Vec<u64>,
    kind: PhantomData<K>,
}

impl<K: Named> Default for Counts<K> {
    fn default() -> Self {
        Self { counts: vec![0; K::ALL.len()], kind: PhantomData }
    }
}

impl<K: Named> Counts<K> {
    /// Counts one.
    pub fn count(&mut self, thing: K) {
        self.add(thing, 1);
    }

    /// Counts several.
    pub fn add(&mut self, thing: K, n: u64) {
        self.counts[thing.index()] += n;
    }

    /// Adds what another has counted.
    pub fn merge(&mut self, other: &Self) {
        for (own, other) in self.counts.iter_mut().zip(&other.counts) {
            *own += other;
        }
    }

    /// Returns how often it was.
    #[must_use]
    pub fn of(&self, thing: K) -> u64 {
        self.counts[thing.index()]
    }

    /// Returns everything with its count, in the order of the list.
    pub fn iter(&self) -> impl Iterator<Item = (K, u64)> + '_ {
        K::ALL.iter().map(|thing| (*thing, self.of(*thing)))
    }

    /// Returns what never was.
    pub fn missing(&self) -> impl Iterator<Item = K> + '_ {
        self.iter().filter(|(_, n)| *n == 0).map(|(thing, _)| thing)
    }
}

impl<K: Named> fmt::Debug for Counts<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(thing, n)| (thing.name(), n))).finish()
    }
}

/// Declares a list of things with their names.
macro_rules! named {
    ($(#[$doc:meta])* $list:ident { $($(#[$item_doc:meta])* $item:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $list {
            $($(#[$item_doc])* $item,)*
        }

        impl $crate::counts::Named for $list {
            const ALL: &'static [Self] = &[$(Self::$item,)*];

            fn index(self) -> usize {
                self as usize
            }

            fn name(self) -> &'static str {
                match self {
                    $(Self::$item => $name,)*
                }
            }
        }
    };
}

pub(crate) use named;
