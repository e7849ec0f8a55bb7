//! A venue from a few choices.

use tercel_core::Nanos;

use crate::crowd::{Crowd, Flow};
use crate::dialect::binance::{Binance, Credential};
use crate::exchange::Exchange;
use crate::fixed::Fixed;
use crate::listing::{Listing, Product};
use crate::reject::Reject;
use crate::site::Site;

/// Where markets come from.
pub enum Markets {
    /// A seeded market for each symbol.
    Seeded,
    /// Nobody: books stay empty until accounts trade or a control call does.
    Still,
    /// Recorded market data, for the symbols that it has; the others stay still.
    Recorded(Vec<Recording>),
}

/// Recorded market data of one symbol.
pub struct Recording {
    /// The symbol.
    pub symbol: String,
    /// Value of a tick of the data.
    pub tick: Fixed,
    /// Value of a lot of the data.
    pub lot: Fixed,
    /// The data, of spot.
    pub spot: Flow,
    /// The data again, for the perpetual.
    pub perpetual: Flow,
    /// A price that the data begins around.
    pub start_price: Fixed,
}

impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recording").field("symbol", &self.symbol).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Markets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Seeded => f.write_str("Seeded"),
            Self::Still => f.write_str("Still"),
            Self::Recorded(recordings) => f.debug_tuple("Recorded").field(recordings).finish(),
        }
    }
}

/// What a venue is made of.
#[derive(Debug)]
pub struct Setup {
    /// Time at which it opens.
    pub now: Nanos,
    /// Picks markets and faults.
    pub seed: u64,
    /// Symbols, of spot and of perpetuals alike; perpetuals take those that are quoted in USDT or
    /// USDC.
    pub symbols: Vec<String>,
    /// What a client begins with, on spot; of it, the dollars also on perpetuals.
    pub balances: Vec<(String, Fixed)>,
    /// The client's key.
    pub key: String,
    /// What the client signs with.
    pub credential: Credential,
    /// More keys of the same client.
    pub more_keys: Vec<(String, Credential)>,
    /// Other clients, who begin with the same, by their keys.
    pub others: Vec<(String, Credential)>,
    /// Where markets come from.
    pub markets: Markets,
    /// Speed of the markets in thousandths of their own.
    pub speed_e3: i64,
}

/// Why a venue cannot be made.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SetupError {
    /// A symbol that does not end in a known quote asset.
    #[error("symbol {0:?} is no base asset followed by a quote asset such as USDT")]
    Symbol(String),
    /// A symbol that no market can be made for.
    #[error("symbol {symbol}: {cause}")]
    Market {
        /// Which.
        symbol: String,
        /// Why.
        cause: String,
    },
    /// No symbols.
    #[error("a venue needs at least one symbol")]
    NoSymbols,
    /// A negative balance.
    #[error("balance of {asset}: {cause}")]
    Balance {
        /// Of which asset.
        asset: String,
        /// Why not.
        cause: Reject,
    },
}

impl Setup {
    /// Symbols that a venue has unless others are asked for.
    pub const SYMBOLS: [&str; 5] = ["BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "ETHBTC"];

    /// Returns a venue with the usual symbols, a rich client whose key and secret are `demo`, and
    /// seeded markets.
    #[must_use]
    pub fn new(now: Nanos, seed: u64) -> Self {
        let balances = [("USDT", 1_000_000), ("BTC", 100), ("ETH", 1_000), ("BNB", 1_000)];
        Self {
            now,
            seed,
            symbols: Self::SYMBOLS.map(str::to_owned).to_vec(),
            balances: balances.map(|(asset, n)| (asset.to_owned(), Fixed::whole(n))).to_vec(),
            key: "demo".to_owned(),
            credential: Credential::Hmac("demo".to_owned()),
            more_keys: Vec::new(),
            others: Vec::new(),
            markets: Markets::Seeded,
            speed_e3: 1_000,
        }
    }

    /// Opens Binance: spot and USD-M.
    ///
    /// # Errors
    ///
    /// If there is no symbol, or one that no market can be made for, or a balance is negative.
    pub fn binance(mut self) -> Result<Site, SetupError> {
        if self.symbols.is_empty() {
            return Err(SetupError::NoSymbols);
        }
        let mut markets = std::mem::replace(&mut self.markets, Markets::Still);
        let mut crowds = Vec::new();
        if let Markets::Recorded(recordings) = &mut markets {
            crowds.append(recordings);
        }
        let is_seeded = matches!(markets, Markets::Seeded);
        let (mut spot, mut usdm) = (Vec::new(), Vec::new());
        for symbol in &self.symbols {
            let unknown = || SetupError::Symbol(symbol.clone());
            let recording = crowds.iter().position(|known| known.symbol == *symbol);
            let recording = recording.map(|idx| crowds.swap_remove(idx));
            let mut spot_listing = Listing::by_name(symbol, Product::Spot).ok_or_else(unknown)?;
            let mut perpetual = Listing::by_name(symbol, Product::Perpetual).ok_or_else(unknown)?;
            let (mut spot_crowd, mut perpetual_crowd) = (None, None);
            if let Some(recording) = recording {
                for listing in [&mut spot_listing, &mut perpetual] {
                    (listing.tick, listing.step) = (recording.tick, recording.lot);
                    listing.start_price = recording.start_price;
                }
                let (tick, lot) = (recording.tick, recording.lot);
                let crowd = |flow| Some(Crowd::new(flow, tick, lot, self.now, self.speed_e3));
                (spot_crowd, perpetual_crowd) = (crowd(recording.spot), crowd(recording.perpetual));
            } else if is_seeded {
                spot_crowd = Some(self.seeded(&spot_listing)?);
                perpetual_crowd = Some(self.seeded(&perpetual)?);
            }
            spot.push((spot_listing, spot_crowd));
            if matches!(perpetual.quote.as_str(), "USDT" | "USDC") {
                usdm.push((perpetual, perpetual_crowd));
            }
        }
        let mut spot = Exchange::new(self.now, spot);
        let mut usdm = Exchange::new(self.now, usdm);
        // The opening books are there when the first client comes.
        for exchange in [&mut spot, &mut usdm] {
            exchange.advance(self.now.plus(1));
            exchange.drain_updates(&mut Vec::new());
        }
        let mut binance = Binance::new(spot, usdm);
        let accounts = binance.add_client(&self.key, &self.credential);
        for (key, credential) in &self.more_keys {
            binance.add_key(accounts, key, credential);
        }
        let others = self.others.iter();
        let clients: Vec<_> = std::iter::once(accounts)
            .chain(others.map(|(key, credential)| binance.add_client(key, credential)))
            .collect();
        for (asset, amount) in &self.balances {
            for client in &clients {
                binance
                    .endow(*client, asset, *amount)
                    .map_err(|cause| SetupError::Balance { asset: asset.clone(), cause })?;
            }
        }
        Ok(Site::new(Box::new(binance), self.seed))
    }

    fn seeded(&self, listing: &Listing) -> Result<Crowd, SetupError> {
        // Each symbol has a market of its own, and spot another one than the perpetual.
        let name = format!("{:?} {}", listing.product, listing.symbol);
        let seed = name.bytes().fold(self.seed ^ 0xCBF2_9CE4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        });
        Crowd::seeded(listing, seed, self.now, self.speed_e3).map_err(|cause| SetupError::Market {
            symbol: listing.symbol.clone(),
            cause: cause.to_string(),
        })
    }
}
