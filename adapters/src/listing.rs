//! What is listed at a venue, as far as the engine knows it.

use std::sync::Arc;

use tercel_core::{AssetId, Instrument, InstrumentId, VenueId};

/// A venue's instruments and the names of all assets, shared by every conversation with the venue.
///
/// Cloning shares.
#[derive(Clone, Debug)]
pub struct Listing {
    venue: VenueId,
    instruments: Arc<[Instrument]>,
    /// Symbols in byte order with the places of their instruments.
    by_symbol: Arc<[(Box<str>, usize)]>,
    assets: Arc<[String]>,
}

impl Listing {
    /// Returns the listing of the instruments that are `venue`'s among the engine's.
    #[must_use]
    pub fn new(venue: VenueId, instruments: &[Instrument], assets: &[String]) -> Self {
        let own: Vec<_> =
            instruments.iter().filter(|own| own.spec.venue == venue).cloned().collect();
        let mut by_symbol: Vec<_> = own
            .iter()
            .enumerate()
            .map(|(idx, own)| (own.spec.symbol.clone().into_boxed_str(), idx))
            .collect();
        by_symbol.sort_unstable();
        Self {
            venue,
            instruments: own.into(),
            by_symbol: by_symbol.into(),
            assets: assets.to_vec().into(),
        }
    }

    /// Returns the venue.
    #[must_use]
    pub const fn venue(&self) -> VenueId {
        self.venue
    }

    /// Returns the instruments.
    #[must_use]
    pub fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }

    /// Returns the instrument of an id; `None` if it is another venue's.
    #[must_use]
    pub fn instrument(&self, id: InstrumentId) -> Option<&Instrument> {
        self.instruments.iter().find(|own| own.id == id)
    }

    /// Returns the instrument of a symbol in the engine's spelling. O(log n); does not allocate.
    #[must_use]
    pub fn by_symbol(&self, symbol: &str) -> Option<&Instrument> {
        let at = self.by_symbol.binary_search_by(|(own, _)| (**own).cmp(symbol)).ok()?;
        Some(&self.instruments[self.by_symbol[at].1])
    }

    /// Returns the ids of all assets.
    pub fn assets(&self) -> impl Iterator<Item = AssetId> + use<> {
        // No more of them have a name than an id can tell apart.
        (0..u16::try_from(self.assets.len()).unwrap_or(u16::MAX)).map(AssetId)
    }

    /// Returns the asset of a name.
    #[must_use]
    pub fn asset(&self, name: &str) -> Option<AssetId> {
        let idx = self.assets.iter().position(|own| own == name)?;
        u16::try_from(idx).ok().map(AssetId)
    }
}
