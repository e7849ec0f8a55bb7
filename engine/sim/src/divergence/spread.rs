//! How values are spread.

/// Percentiles by nearest rank: each is a value that was measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spread {
    /// How many there are.
    pub n: usize,
    /// The least.
    pub min: i64,
    /// Half of them are no greater.
    pub p50: i64,
    /// Nine in ten are no greater.
    pub p90: i64,
    /// Ninety-nine in a hundred are no greater.
    pub p99: i64,
    /// The greatest.
    pub max: i64,
}

impl Spread {
    /// Returns how these are spread; `None` of nothing. O(n log n), sorts a copy.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = i64>) -> Option<Self> {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_unstable();
        let n = values.len();
        let (min, max) = (*values.first()?, *values.last()?);
        let at = |percent: usize| values[(n * percent).div_ceil(100).max(1) - 1];
        Some(Self { n, min, p50: at(50), p90: at(90), p99: at(99), max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measured_values() {
        let spread = Spread::of((1..=200).rev()).unwrap();
        let expected = Spread { n: 200, min: 1, p50: 100, p90: 180, p99: 198, max: 200 };
        assert_eq!(spread, expected);
        let one = Spread { n: 1, min: 7, p50: 7, p90: 7, p99: 7, max: 7 };
        assert_eq!(Spread::of([7]), Some(one));
        assert_eq!(Spread::of([]), None);
    }
}
