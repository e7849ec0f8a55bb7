//! A stable 64-bit digest of state and effects: the same on every machine and in every release.
//!
//! `std::hash` promises neither, so each type says itself what counts.

/// Mixes words into a 64-bit value. Not cryptographic: it finds divergence, not forgery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Digest(u64);

impl Digest {
    /// Returns an empty digest.
    #[must_use]
    pub const fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    /// Mixes in a word.
    pub const fn u64(&mut self, word: u64) {
        // One round of a multiply-rotate mix (the constants are those of splitmix64).
        let mixed = (self.0.rotate_left(23) ^ word).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        self.0 = mixed ^ (mixed >> 29);
    }

    /// Mixes in a signed word.
    pub const fn i64(&mut self, word: i64) {
        self.u64(word.cast_unsigned());
    }

    /// Mixes in a wide word.
    pub const fn i128(&mut self, word: i128) {
        let word = word.cast_unsigned();
        #[expect(clippy::cast_possible_truncation, reason = "the two halves are mixed in turn")]
        {
            self.u64(word as u64);
            self.u64((word >> 64) as u64);
        }
    }

    /// Mixes in bytes with their length.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.u64(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.u64(u64::from_le_bytes(word));
        }
    }

    /// Returns the value so far.
    #[must_use]
    pub const fn value(self) -> u64 {
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_length_count() {
        let digest = |words: &[u64]| {
            let mut digest = Digest::new();
            words.iter().for_each(|word| digest.u64(*word));
            digest.value()
        };
        assert_ne!(digest(&[1, 2]), digest(&[2, 1]));
        assert_ne!(digest(&[0]), digest(&[0, 0]));
        assert_eq!(digest(&[7, 8]), digest(&[7, 8]));
    }
}
