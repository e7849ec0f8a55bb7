//! What a venue lists, as the engine's instruments.

use tercel_adapters::{Topic, TopicKind};
use tercel_core::{Instrument, InstrumentId, VenueId};
use tercel_store::Metadata;

use super::VenueAccess;
use crate::exit::{Blame, Outcome, input};
use crate::server_config::exchange::{ExchangeSection, TopicName};
use crate::toml_file::suggestion;

/// Assets that fees are paid in although nothing is traded in them.
const FEE_ASSETS: [&str; 1] = ["BNB"];

impl VenueAccess {
    /// Asks the venue for its instruments and returns the ones that are wanted, with the names of
    /// all assets. Takes over the venue's limits.
    pub(crate) fn listing(&self, symbols: &[String]) -> Outcome<(Vec<Instrument>, Vec<String>)> {
        let answer = self.ask("ask for its instruments", |id| self.venue.instruments(id))?;
        let listed =
            self.venue.parse_instruments(answer.body().unwrap_or_default()).or_machine()?;
        self.limiter.grant(&listed.limits);
        let mut metadata = Metadata::default();
        for symbol in symbols {
            let Some(own) = listed.instruments.iter().find(|own| own.symbol == *symbol) else {
                let known: Vec<_> =
                    listed.instruments.iter().map(|own| own.symbol.as_str()).collect();
                return Err(input(format!(
                    "{} lists no {symbol}{}",
                    self.venue.name(),
                    suggestion(symbol, &known)
                )));
            };
            if !own.trading {
                tracing::warn!(symbol, "the venue does not trade it now");
            }
            let (base, quote) = (metadata.asset(&own.base), metadata.asset(&own.quote));
            metadata.instruments.push(own.spec(VenueId(0), base, quote));
        }
        for asset in FEE_ASSETS {
            metadata.asset(asset);
        }
        Ok((metadata.instruments().or_input()?, metadata.assets))
    }
}

/// Returns what is to be followed of the instruments.
pub(crate) fn topics(section: &ExchangeSection, instruments: &[Instrument]) -> Vec<Topic> {
    let kinds = section.topics.iter().map(|topic| match topic {
        TopicName::Book => TopicKind::Book,
        TopicName::Trades => TopicKind::Trades,
        TopicName::Quotes => TopicKind::Quotes,
        TopicName::Bars => TopicKind::Bars(1),
        TopicName::Mark => TopicKind::Mark,
    });
    let kinds: Vec<_> = kinds.collect();
    let of = |id: InstrumentId| kinds.iter().map(move |kind| Topic { instrument: id, kind: *kind });
    instruments.iter().flat_map(|own| of(own.id)).collect()
}
