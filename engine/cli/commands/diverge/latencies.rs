//! Which latencies the simulated venue gets.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

use tercel_sim::divergence::LatencyFit;
use tercel_sim::{LatencyModel, VenueOptions};

use crate::config::VenueSection;
use crate::exit::{Outcome, input};
use crate::paper_venue::{latency_samples, venue_options};

/// Where the latencies come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Latencies {
    /// The run's configuration.
    Configured,
    /// The run's journal.
    Fitted,
    /// A file.
    File(PathBuf),
}

impl FromStr for Latencies {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "configured" => Self::Configured,
            "fitted" => Self::Fitted,
            path => Self::File(path.into()),
        })
    }
}

impl std::fmt::Display for Latencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Configured => f.write_str("configured"),
            Self::Fitted => f.write_str("fitted"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl Latencies {
    /// Returns the options of a venue that has them. The run's own `latency_file` is read only where its
    /// latencies are wanted: it may be gone.
    pub(super) fn venue_options(
        &self,
        venue: &VenueSection,
        fit: Option<&LatencyFit>,
    ) -> Outcome<VenueOptions> {
        let bare = || venue_options(&VenueSection { latency_file: None, ..venue.clone() });
        match self {
            Self::Configured => venue_options(venue),
            Self::Fitted => {
                let fit = fit.ok_or_else(|| {
                    input("--latencies fitted: no request of the run was answered; nothing to fit")
                })?;
                Ok(VenueOptions { latency: fit.model(), ..bare()? })
            }
            Self::File(path) => {
                let latency = LatencyModel::Interpolated(latency_samples(path)?);
                Ok(VenueOptions { latency, ..bare()? })
            }
        }
    }
}
