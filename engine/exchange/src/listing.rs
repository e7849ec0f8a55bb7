//! Symbols and their rules.

use crate::fixed::Fixed;

/// What is traded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Product {
    /// One asset for another.
    Spot,
    /// A perpetual contract, margined and settled in its quote asset.
    Perpetual,
}

/// A symbol and its rules.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listing {
    /// Its name, in capitals.
    pub symbol: String,
    /// What is bought.
    pub base: String,
    /// What it is paid with.
    pub quote: String,
    /// What it is.
    pub product: Product,
    /// Step and least of prices.
    pub tick: Fixed,
    /// Largest price.
    pub max_price: Fixed,
    /// Step and least of quantities.
    pub step: Fixed,
    /// Largest quantity of a limit order.
    pub max_qty: Fixed,
    /// Largest quantity of a market order.
    pub max_market_qty: Fixed,
    /// Least value of an order, in the quote asset.
    pub min_notional: Fixed,
    /// Largest value of an order, in the quote asset.
    pub max_notional: Fixed,
    /// Prices stay between the market's divided and multiplied by this.
    pub price_band: Fixed,
    /// Most open orders of an account.
    pub max_orders: usize,
    /// Most open conditional orders of an account.
    pub max_conditional: usize,
    /// Most open lists of an account.
    pub max_lists: usize,
    /// Most changes of one order that keep its place.
    pub max_amends: u32,
    /// Fee of the order that was at rest, as a fraction.
    pub maker_fee: Fixed,
    /// Fee of the order that came to it, as a fraction.
    pub taker_fee: Fixed,
    /// Highest leverage. Perpetuals only.
    pub max_leverage: i64,
    /// Maintenance margin as a fraction of a position's value. Perpetuals only.
    pub maintenance: Fixed,
    /// Price around which its market starts.
    pub start_price: Fixed,
}

/// Quote assets, the longest first where one ends another.
const QUOTES: [&str; 9] = ["FDUSD", "USDT", "USDC", "TUSD", "BTC", "ETH", "BNB", "EUR", "TRY"];

impl Listing {
    /// Returns a symbol by its name, with rules like the real one's where that is well known and
    /// plain ones otherwise.
    ///
    /// `None` if the name is not a base asset followed by a known quote asset.
    #[must_use]
    pub fn by_name(symbol: &str, product: Product) -> Option<Self> {
        let symbol = symbol.to_ascii_uppercase();
        let quote = QUOTES.into_iter().find(|quote| symbol.ends_with(quote))?;
        let base = symbol.strip_suffix(quote).filter(|base| !base.is_empty())?.to_owned();
        if !base.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        // Price, tick and step in units of 1e-8.
        let (price, tick, spot_step, perpetual_step): (i128, i128, i128, i128) = match symbol
            .as_str()
        {
            "BTCUSDT" | "BTCUSDC" | "BTCFDUSD" => (6_000_000_000_000, 1_000_000, 1_000, 100_000),
            "ETHUSDT" | "ETHUSDC" => (300_000_000_000, 1_000_000, 10_000, 100_000),
            "BNBUSDT" => (60_000_000_000, 1_000_000, 100_000, 1_000_000),
            "SOLUSDT" => (15_000_000_000, 100_000, 100_000, 1_000_000),
            "XRPUSDT" | "ADAUSDT" | "DOGEUSDT" => (60_000_000, 1_000, 10_000_000, 10_000_000),
            "LTCUSDT" => (8_000_000_000, 100_000, 100_000, 100_000),
            "ETHBTC" => (5_000_000, 100, 10_000, 10_000),
            "LTCBTC" | "BNBBTC" => (1_000_000, 10, 1_000_000, 1_000_000),
            _ => (10_000_000_000, 100_000, 100_000, 1_000_000),
        };
        let is_spot = product == Product::Spot;
        let perpetual_tick = if symbol == "BTCUSDT" { 10_000_000 } else { tick };
        let tick = Fixed::from_units(if is_spot { tick } else { perpetual_tick });
        let step = Fixed::from_units(if is_spot { spot_step } else { perpetual_step });
        let is_crypto_quoted = matches!(quote, "BTC" | "ETH" | "BNB");
        let least_value = match (is_spot, is_crypto_quoted) {
            (_, true) => 10_000,
            (true, false) => 500_000_000,
            (false, false) if symbol == "BTCUSDT" => 10_000_000_000,
            (false, false) => 2_000_000_000,
        };
        Some(Self {
            base,
            quote: quote.to_owned(),
            symbol,
            product,
            tick,
            max_price: Fixed::whole(1_000_000),
            step,
            max_qty: if is_spot { Fixed::whole(9_000) } else { Fixed::whole(1_000) }.max(
                // Cheap assets come in large quantities.
                Fixed::whole(1_000_000_000).over_floor(Fixed::from_units(price)),
            ),
            max_market_qty: Fixed::whole(10_000_000)
                .over_floor(Fixed::from_units(price))
                .floor_to(step),
            min_notional: Fixed::from_units(least_value),
            max_notional: Fixed::whole(9_000_000),
            price_band: Fixed::whole(5),
            max_orders: 200,
            max_conditional: if is_spot { 5 } else { 200 },
            max_lists: 20,
            max_amends: 10,
            maker_fee: Fixed::from_units(if is_spot { 100_000 } else { 20_000 }),
            taker_fee: Fixed::from_units(if is_spot { 100_000 } else { 50_000 }),
            max_leverage: 125,
            maintenance: Fixed::from_units(400_000),
            start_price: Fixed::from_units(price),
        })
    }
}
