//! Random variates in integer arithmetic: the same on every machine, in every build.
//!
//! Floating-point `ln` and `exp` differ between maths libraries, and one bit of difference in a
//! price path is another market. Here the uniform source is xoshiro256++ and the curves are tables
//! that the compiler computes in integers. Fixed-point values carry their scale in the name: `_q16`
//! has 16 fractional bits.

/// One in 16 fractional bits.
pub(super) const ONE_Q16: u64 = 1 << 16;

/// A source of random variates. Equal seeds give equal streams for ever.
#[derive(Clone, Debug)]
pub(super) struct Random {
    state: [u64; 4],
}

impl Random {
    /// Returns the stream of a seed. Every seed is a good one, zero included.
    pub(super) const fn new(seed: u64) -> Self {
        // Splitmix64 spreads the seed, so that the state is never all zero.
        let mut state = [0; 4];
        let mut z = seed;
        let mut n = 0;
        while n < 4 {
            z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            state[n] = mixed ^ (mixed >> 31);
            n += 1;
        }
        Self { state }
    }

    /// Returns 64 random bits.
    pub(super) const fn bits(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// Returns a whole number in `0..n`. `n` must be positive and below 2^32.
    pub(super) const fn below(&mut self, n: u64) -> u64 {
        debug_assert!(n > 0 && n < 1 << 32);
        ((self.bits() >> 32) * n) >> 32
    }

    /// Returns true with probability `p_q16 / 65536`.
    pub(super) const fn chance(&mut self, p_q16: u64) -> bool {
        self.bits() >> 48 < p_q16
    }

    /// Returns an exponential variate of mean one, below 45.
    pub(super) const fn exponential_q16(&mut self) -> u64 {
        let bits = self.bits() | 1;
        // A uniform number is 2^-k times a mantissa in [1/2, 1), so its logarithm is too.
        let k = bits.leading_zeros() as u64;
        let mantissa = bits << k;
        let idx = ((mantissa >> 57) & 63) as usize;
        let part = (mantissa >> 41) & 0xffff;
        let (from, to) = (NEG_LN_Q32[idx], NEG_LN_Q32[idx + 1]);
        (k * NEG_LN_Q32[0] + from - (((from - to) * part) >> 16)) >> 16
    }

    /// Returns a standard normal variate: twelve uniforms added up, so never beyond ±6.
    pub(super) const fn normal_q16(&mut self) -> i64 {
        let mut sum = 0;
        let mut n = 0;
        while n < 3 {
            let bits = self.bits();
            sum += (bits & 0xffff) + ((bits >> 16) & 0xffff) + ((bits >> 32) & 0xffff);
            sum += bits >> 48;
            n += 1;
        }
        sum.cast_signed() - 6 * ONE_Q16.cast_signed()
    }

    /// Returns a Pareto variate of at least one: `P(X > x) = x^-alpha`, capped at 2^20.
    ///
    /// `shape_q16` is `log2(e) / alpha`; see [`pareto_shape`].
    pub(super) const fn pareto_q16(&mut self, shape_q16: u64) -> u64 {
        let exponent_q16 = (self.exponential_q16() * shape_q16) >> 16;
        let limit = 20 * ONE_Q16;
        exp2_q16(if exponent_q16 < limit { exponent_q16 } else { limit })
    }
}

/// Returns the shape that [`Random::pareto_q16`] takes for an exponent in hundredths.
pub(super) const fn pareto_shape(alpha_e2: u64) -> u64 {
    const LOG2_E_Q16: u64 = 94_548;
    LOG2_E_Q16 * 100 / alpha_e2
}

/// Returns 2^x for x below 40.
pub(super) const fn exp2_q16(x_q16: u64) -> u64 {
    let (whole, part) = (x_q16 >> 16, x_q16 & 0xffff);
    let idx = (part >> 10) as usize;
    let rest = part & 0x3ff;
    let (from, to) = (EXP2_Q32[idx], EXP2_Q32[idx + 1]);
    let mantissa_q32 = from + (((to - from) * rest) >> 10);
    if whole >= 16 { mantissa_q32 << (whole - 16) } else { mantissa_q32 >> (16 - whole) }
}

/// Returns 2^-x.
pub(super) const fn exp2_neg_q16(x_q16: u64) -> u64 {
    let (whole, part) = (x_q16 >> 16, x_q16 & 0xffff);
    if whole >= 16 { 0 } else { exp2_q16(ONE_Q16 - part) >> (whole + 1) }
}

/// `-ln(1/2 + i/128)`.
const NEG_LN_Q32: [u64; 65] = {
    let mut table = [0; 65];
    let mut i = 0;
    while i < 65 {
        // -ln(1 - y) is the sum of y^n / n, and y is at most a half.
        let y_q60 = (64 - i as u128) << 53;
        let (mut sum, mut power, mut n) = (0, y_q60, 1);
        while n <= 60 {
            sum += power / n;
            power = (power * y_q60) >> 60;
            n += 1;
        }
        table[i] = to_q32(sum, 60);
        i += 1;
    }
    table
};

/// `2^(i/64)`.
const EXP2_Q32: [u64; 65] = {
    let mut root_q62: u128 = 2 << 62;
    let mut n = 0;
    while n < 6 {
        root_q62 = (root_q62 << 62).isqrt();
        n += 1;
    }
    let mut table = [0; 65];
    let (mut power_q62, mut i) = (1u128 << 62, 0);
    while i < 65 {
        table[i] = to_q32(power_q62, 62);
        power_q62 = (power_q62 * root_q62) >> 62;
        i += 1;
    }
    table
};

#[expect(clippy::cast_possible_truncation, reason = "the tables hold values of at most two")]
const fn to_q32(value: u128, bits: u32) -> u64 {
    (value >> (bits - 32)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: f64 = ONE_Q16 as f64;

    #[test]
    fn tables_agree_with_the_functions() {
        for (i, value) in NEG_LN_Q32.iter().enumerate() {
            let expected = -(0.5 + i as f64 / 128.0).ln();
            assert!((*value as f64 / 4_294_967_296.0 - expected).abs() < 1e-8, "{i}");
        }
        for x in [0u64, 1, 1_000, 65_535, 65_536, 300_001, 1_300_000] {
            let (up, down) = (exp2_q16(x) as f64 / ONE, exp2_neg_q16(x) as f64 / ONE);
            assert!((up / (x as f64 / ONE).exp2() - 1.0).abs() < 1e-4, "2^{x}: {up}");
            assert!((down - (-(x as f64) / ONE).exp2()).abs() < 2e-4, "2^-{x}: {down}");
        }
    }

    #[test]
    fn variates_have_their_moments() {
        let mut random = Random::new(7);
        let n = 200_000;
        let mut mean = |draw: &mut dyn FnMut(&mut Random) -> f64| {
            (0..n).map(|_| draw(&mut random)).sum::<f64>() / f64::from(n)
        };
        let exponential = mean(&mut |r| r.exponential_q16() as f64 / ONE);
        assert!((exponential - 1.0).abs() < 0.01, "{exponential}");
        let squared = mean(&mut |r| (r.exponential_q16() as f64 / ONE).powi(2));
        assert!((squared - 2.0).abs() < 0.05, "{squared}");
        let (normal, variance) = (
            mean(&mut |r| r.normal_q16() as f64 / ONE),
            mean(&mut |r| (r.normal_q16() as f64 / ONE).powi(2)),
        );
        assert!(normal.abs() < 0.01 && (variance - 1.0).abs() < 0.02, "{normal} {variance}");
        let above_4 = mean(&mut |r| f64::from(r.pareto_q16(pareto_shape(150)) > 4 * ONE_Q16));
        assert!((above_4 - 0.125).abs() < 0.005, "{above_4}");
        let below = mean(&mut |r| r.below(10) as f64);
        assert!((below - 4.5).abs() < 0.03, "{below}");
    }

    #[test]
    fn the_stream_of_a_seed_is_fixed() {
        let mut random = Random::new(0);
        let first: Vec<_> = (0..3).map(|_| random.bits()).collect();
        assert_eq!(first, [0x53175d61490b23df, 0x61da6f3dc380d507, 0x5c0fdf91ec9a7bfc]);
    }
}
