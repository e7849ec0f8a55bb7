//! How a simulated venue behaves, where that is a matter of belief.

use crate::fees::FeeModel;
use crate::latency::LatencyModel;

/// How a [`crate::SimVenue`] treats our orders.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VenueOptions {
    /// How long messages travel; instruments that are fed by bars know no latency.
    pub latency: LatencyModel,
    /// What fills cost.
    pub fees: FeeModel,
    /// How resting orders move up their queue.
    pub queue: QueueModel,
    /// What a taker pays beyond walking the book, in basis points of each level's price, rounded
    /// against it to a tick; a limit order pays no more than its limit. 0 by default.
    pub taker_slippage_bps: u32,
    /// How bars are traded on.
    pub bars: BarOptions,
}

/// How orders trade inside bars.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BarOptions {
    /// What market and stop fills pay beyond the price, in basis points of it, rounded against
    /// the order to a tick. 5 (0.05 %) by default. Limit fills pay none.
    pub slippage_bps: u32,
    /// How much of a bar's volume all our fills of it may be together, in basis points of it;
    /// `None` (the default) for no bound, because many data sets have no volume.
    pub volume_cap_bps: Option<u32>,
}

impl Default for BarOptions {
    fn default() -> Self {
        Self { slippage_bps: 5, volume_cap_bps: None }
    }
}

/// How the quantity ahead of a resting order shrinks.
///
/// A recorded book says how much rests at a price, not where in it our order would stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum QueueModel {
    /// Behind everything shown at arrival. Only trades at the price move it forward; cancels do
    /// not, except that no more can be ahead than is shown.
    #[default]
    Pessimistic,
    /// Like pessimistic for trades; what vanishes without a trade is split between ahead and
    /// behind as `ahead^power : behind^power`, rounded in favour of behind.
    ///
    /// The idea is that of hftbacktest's power probability queue functions, after Erik Rigtorp's
    /// essay on estimating order queue position; the arithmetic here is in integers.
    Probabilistic {
        /// The exponent, 1 to 8. A larger one believes that cancels come from the longer part.
        power: u32,
    },
    /// Exact, from a market-by-order feed: behind the orders that rest at arrival, moving as they
    /// execute, leave or lose their place; filled when an order behind it executes. Instruments
    /// without such a feed are treated as by `Pessimistic`.
    Fifo,
}

/// Why a venue cannot be built.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum VenueError {
    /// A model's parameters make no sense.
    #[error("venue option {option}: {problem}")]
    Option {
        /// Which option.
        option: &'static str,
        /// What is wrong with it, with the value.
        problem: String,
    },
    /// An instrument is not at the index of its id.
    #[error("instrument {symbol} has id {id} but stands at index {index}")]
    Misplaced {
        /// Which.
        symbol: String,
        /// Its id.
        id: u16,
        /// Where it stands.
        index: usize,
    },
}

impl VenueOptions {
    /// Returns the options of a venue that answers at once, for free, without slippage: what tests
    /// and comparisons start from.
    #[must_use]
    pub fn frictionless() -> Self {
        let zero = rust_decimal::Decimal::ZERO;
        Self {
            latency: LatencyModel::NONE,
            fees: FeeModel::Flat { maker: zero, taker: zero },
            bars: BarOptions { slippage_bps: 0, volume_cap_bps: None },
            ..Self::default()
        }
    }

    pub(crate) fn check(&self) -> Result<(), VenueError> {
        let refuse = |option, problem| Err(VenueError::Option { option, problem });
        if let Some(problem) = self.latency.problem() {
            return refuse("latency", problem);
        }
        if let Some(problem) = self.fees.problem() {
            return refuse("fees", problem);
        }
        if let QueueModel::Probabilistic { power } = self.queue
            && !(1..=8).contains(&power)
        {
            return refuse("queue", format!("power must be between 1 and 8, got {power}"));
        }
        for (option, bps) in [
            ("taker_slippage_bps", self.taker_slippage_bps),
            ("bars.slippage_bps", self.bars.slippage_bps),
            ("bars.volume_cap_bps", self.bars.volume_cap_bps.unwrap_or(0)),
        ] {
            if bps > 10_000 {
                return refuse(option, format!("must be at most 10000 (all of it), got {bps}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_make_no_sense_are_refused_with_their_value() {
        let check = |options: VenueOptions| options.check().map_err(|error| error.to_string());
        assert_eq!(check(VenueOptions::default()), Ok(()));
        let queue = QueueModel::Probabilistic { power: 9 };
        let refused = "venue option queue: power must be between 1 and 8, got 9";
        assert_eq!(
            check(VenueOptions { queue, ..VenueOptions::default() }),
            Err(refused.to_owned())
        );
        let options = VenueOptions { taker_slippage_bps: 10_001, ..VenueOptions::default() };
        assert!(check(options).is_err());
    }
}
