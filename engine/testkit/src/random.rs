//! A small seeded generator, so that a failing case is named by one number.

/// splitmix64: every seed gives a good stream, and the whole state is one word.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Returns the stream of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next 64 random bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `n`, slightly biased towards small ones.
    ///
    /// # Panics
    ///
    /// If `n` is zero.
    pub const fn below(&mut self, n: u64) -> u64 {
        self.bits() % n
    }

    /// Returns a number between both ends, both included.
    ///
    /// # Panics
    ///
    /// If `to` lies before `from`.
    pub fn between(&mut self, from: i64, to: i64) -> i64 {
        let width = u64::try_from(to - from).expect("the range is not empty") + 1;
        from + i64::try_from(self.below(width)).expect("a width of i64 range")
    }

    /// Returns an index into a list of `len` items.
    ///
    /// # Panics
    ///
    /// If the list is empty.
    #[expect(clippy::cast_possible_truncation, reason = "the result is below a usize")]
    pub const fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// Returns true in `percent` of 100 cases.
    pub const fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}
