//! What can be traded: the instrument's grid of prices and quantities, its limits and its fees.
//!
//! Decimals become ticks and lots here and nowhere else in core.

use rust_decimal::Decimal;
use rust_decimal::prelude::{FromPrimitive, ToPrimitive};

use crate::ids::{AssetId, InstrumentId, VenueId};
use crate::num::{Notional, Price, Quantity, Side};

/// How an instrument settles.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum InstrumentKind {
    /// Base is exchanged for quote at once.
    Spot,
    /// Perpetual contract on base, margined and settled in quote.
    LinearPerpetual,
    /// Perpetual contract worth a fixed amount of quote, margined and settled in base.
    InversePerpetual,
}

/// What is needed to define an instrument; [`Instrument::new`] checks it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InstrumentSpec {
    /// The venue's symbol, such as `BTCUSDT`.
    pub symbol: String,
    /// The venue that lists it.
    pub venue: VenueId,
    /// How it settles.
    pub kind: InstrumentKind,
    /// The asset that is bought or sold.
    pub base: AssetId,
    /// The asset that prices are in.
    pub quote: AssetId,
    /// Smallest step of a price, in quote.
    pub tick: Decimal,
    /// Smallest step of a quantity: base for spot and linear, contracts for inverse.
    pub lot: Decimal,
    /// Base per unit of quantity (linear), or quote per contract (inverse). 1 for spot.
    pub multiplier: Decimal,
    /// Smallest quantity of an order.
    pub min_quantity: Decimal,
    /// Largest quantity of an order; zero means no limit.
    pub max_quantity: Decimal,
    /// Smallest notional of an order in quote; zero means no limit.
    pub min_notional: Decimal,
    /// Furthest distance of a limit price from the reference, in basis points; zero means no band.
    pub price_band_bps: u32,
    /// Fee of a maker fill as a fraction of notional; negative is a rebate.
    pub maker_fee: Decimal,
    /// Fee of a taker fill as a fraction of notional.
    pub taker_fee: Decimal,
}

/// An instrument with its grid, in the units that the engine computes in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Instrument {
    /// Its dense id.
    pub id: InstrumentId,
    /// What it was built from.
    pub spec: InstrumentSpec,
    /// Smallest quantity of an order, in lots, rounded up.
    pub min_quantity: Quantity,
    /// Largest quantity of an order, in lots, rounded down; `i64::MAX` for none.
    pub max_quantity: Quantity,
    /// Smallest notional of an order.
    pub min_notional: Notional,
    /// Money per tick and lot (spot, linear) or per lot (inverse).
    unit_value: i128,
    /// One lot in units of 1e-18 of the base.
    lot_units: i128,
    /// The taker fee in parts of 1e-12, rounded up.
    taker_fee_e12: i128,
}

/// Why a value does not fit an instrument.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InstrumentError {
    /// Tick, lot or multiplier is zero or negative.
    #[error("{symbol}: {field} must be positive, got {value}")]
    NotPositive {
        /// The instrument.
        symbol: String,
        /// Which field.
        field: &'static str,
        /// The refused value.
        value: Decimal,
    },
    /// The product of tick, lot and multiplier is finer than 1e-18 or not representable.
    #[error(
        "{symbol}: tick {tick} × lot {lot} × multiplier {multiplier} is not a multiple of 1e-18"
    )]
    TooFine {
        /// The instrument.
        symbol: String,
        /// Its tick.
        tick: Decimal,
        /// Its lot.
        lot: Decimal,
        /// Its multiplier.
        multiplier: Decimal,
    },
    /// A value does not lie on the grid.
    #[error("{symbol}: {what} {value} is not a multiple of {step}")]
    OffGrid {
        /// The instrument.
        symbol: String,
        /// `price` or `quantity`.
        what: &'static str,
        /// The refused value.
        value: Decimal,
        /// The tick or the lot.
        step: Decimal,
    },
    /// A value exceeds 64 bits of ticks or lots.
    #[error("{symbol}: {what} {value} is out of range")]
    OutOfRange {
        /// The instrument.
        symbol: String,
        /// `price`, `quantity` or `notional`.
        what: &'static str,
        /// The refused value.
        value: Decimal,
    },
}

impl Instrument {
    /// Builds an instrument from its specification.
    ///
    /// # Errors
    ///
    /// If a step is not positive or the grid is finer than money's unit.
    pub fn new(id: InstrumentId, spec: InstrumentSpec) -> Result<Self, InstrumentError> {
        let steps = [("tick", spec.tick), ("lot", spec.lot), ("multiplier", spec.multiplier)];
        for (field, value) in steps {
            if value <= Decimal::ZERO {
                return Err(InstrumentError::NotPositive { symbol: spec.symbol, field, value });
            }
        }
        let lot = spec.lot.checked_mul(spec.multiplier);
        let unit = match spec.kind {
            InstrumentKind::Spot | InstrumentKind::LinearPerpetual => {
                let tick_lot = spec.tick.checked_mul(spec.lot);
                tick_lot.and_then(|unit| unit.checked_mul(spec.multiplier))
            }
            InstrumentKind::InversePerpetual => lot,
        };
        let too_fine = || InstrumentError::TooFine {
            symbol: spec.symbol.clone(),
            tick: spec.tick,
            lot: spec.lot,
            multiplier: spec.multiplier,
        };
        let unit_value = unit.and_then(units_of).filter(|units| *units > 0).ok_or_else(too_fine)?;
        let min_notional = units_of(spec.min_notional).map(Notional).ok_or_else(|| {
            InstrumentError::OutOfRange {
                symbol: spec.symbol.clone(),
                what: "notional",
                value: spec.min_notional,
            }
        })?;
        let lots = |value: Decimal, round: fn(&Decimal) -> Decimal| {
            let lots = value.checked_div(spec.lot).and_then(|lots| round(&lots).to_i64());
            lots.map(Quantity).ok_or_else(|| InstrumentError::OutOfRange {
                symbol: spec.symbol.clone(),
                what: "quantity",
                value,
            })
        };
        let min_quantity = lots(spec.min_quantity, Decimal::ceil)?;
        let max_quantity = if spec.max_quantity.is_zero() {
            Quantity(i64::MAX)
        } else {
            lots(spec.max_quantity, Decimal::floor)?
        };
        let lot_units = lot.and_then(units_of).ok_or_else(too_fine)?;
        let taker_fee_e12 = spec
            .taker_fee
            .checked_mul(Decimal::from(FEE_PARTS))
            .and_then(|fee| fee.ceil().to_i128())
            .unwrap_or(0);
        Ok(Self {
            id,
            min_quantity,
            max_quantity,
            min_notional,
            unit_value,
            lot_units,
            taker_fee_e12,
            spec,
        })
    }

    /// Converts a decimal price to ticks.
    ///
    /// # Errors
    ///
    /// If it is not a multiple of the tick or exceeds 64 bits.
    pub fn price(&self, value: Decimal) -> Result<Price, InstrumentError> {
        self.on_grid("price", value, self.spec.tick).map(Price)
    }

    /// Converts a decimal quantity to lots.
    ///
    /// # Errors
    ///
    /// If it is not a multiple of the lot or exceeds 64 bits.
    pub fn quantity(&self, value: Decimal) -> Result<Quantity, InstrumentError> {
        self.on_grid("quantity", value, self.spec.lot).map(Quantity)
    }

    /// Returns the price as a decimal.
    #[must_use]
    pub fn price_decimal(&self, price: Price) -> Decimal {
        Decimal::from(price.0) * self.spec.tick
    }

    /// Returns the quantity as a decimal.
    #[must_use]
    pub fn quantity_decimal(&self, quantity: Quantity) -> Decimal {
        Decimal::from(quantity.0) * self.spec.lot
    }

    /// Returns the price of at most `value`, rounded down to a tick; `None` out of range.
    #[must_use]
    pub fn floor_to_tick(&self, value: Decimal) -> Option<Price> {
        value.checked_div(self.spec.tick)?.floor().to_i64().map(Price)
    }

    /// Returns the price of at least `value`, rounded up to a tick; `None` out of range.
    #[must_use]
    pub fn ceil_to_tick(&self, value: Decimal) -> Option<Price> {
        value.checked_div(self.spec.tick)?.ceil().to_i64().map(Price)
    }

    /// Returns the money that `quantity` at `price` is worth in quote, `None` on overflow.
    ///
    /// An inverse contract is worth its multiplier whatever the price. Integer arithmetic only.
    #[must_use]
    pub fn notional(&self, price: Price, quantity: Quantity) -> Option<Notional> {
        let units = match self.spec.kind {
            InstrumentKind::Spot | InstrumentKind::LinearPerpetual => {
                // Two 64-bit factors always fit 128 bits; only the second product can overflow.
                (i128::from(price.0) * i128::from(quantity.0)).checked_mul(self.unit_value)?
            }
            InstrumentKind::InversePerpetual => {
                self.unit_value.checked_mul(i128::from(quantity.0))?
            }
        };
        Some(Notional(units))
    }

    /// Returns the value of `quantity` at `price` in the settlement asset: quote for spot and
    /// linear (exact), base for inverse (rounded down).
    ///
    /// Returns `None` on overflow, or for an inverse contract at a price that is not positive.
    #[must_use]
    pub fn settlement_units(&self, price: Price, quantity: Quantity) -> Option<Notional> {
        let notional = self.notional(price, quantity)?;
        match self.spec.kind {
            InstrumentKind::Spot | InstrumentKind::LinearPerpetual => Some(notional),
            InstrumentKind::InversePerpetual => {
                // Quote divided by the price, which is ticks times mantissa over ten to the scale.
                let price = i128::from(price.0).checked_mul(self.spec.tick.mantissa())?;
                let scale = 10i128.checked_pow(self.spec.tick.scale())?;
                (price > 0).then_some(())?;
                Some(Notional(notional.0.checked_mul(scale)?.div_euclid(price)))
            }
        }
    }

    /// Returns whether it is a perpetual contract.
    #[must_use]
    pub const fn is_perpetual(&self) -> bool {
        match self.spec.kind {
            InstrumentKind::Spot => false,
            InstrumentKind::LinearPerpetual | InstrumentKind::InversePerpetual => true,
        }
    }

    /// Converts an amount of the settlement asset to quote at `price`; saturates on overflow.
    #[must_use]
    pub fn in_quote(&self, amount: Notional, price: Price) -> Notional {
        match self.spec.kind {
            InstrumentKind::Spot | InstrumentKind::LinearPerpetual => amount,
            InstrumentKind::InversePerpetual => {
                self.value_of_base(amount, price).unwrap_or(Notional(i128::MAX / 4))
            }
        }
    }

    /// Returns what an amount of the base is worth in quote at `price`, rounded down.
    ///
    /// Returns `None` on overflow.
    #[must_use]
    pub fn value_of_base(&self, amount: Notional, price: Price) -> Option<Notional> {
        let price = i128::from(price.0).checked_mul(self.spec.tick.mantissa())?;
        let scale = 10i128.checked_pow(self.spec.tick.scale())?;
        // Whole units first, so that the product fits for every amount that exists.
        let (whole, part) =
            (amount.0.div_euclid(Notional::ONE), amount.0.rem_euclid(Notional::ONE));
        let whole = whole.checked_mul(price)?.checked_mul(Notional::ONE)?.div_euclid(scale);
        let part = part.checked_mul(price)?.div_euclid(scale);
        Some(Notional(whole.checked_add(part)?))
    }

    /// Returns `quantity` as an amount of the base (spot and linear), `None` on overflow.
    #[must_use]
    pub fn base_amount(&self, quantity: Quantity) -> Option<Notional> {
        self.lot_units.checked_mul(i128::from(quantity.0)).map(Notional)
    }

    /// Returns the asset that an open spot order of `side` ties up; `None` for perpetuals, whose
    /// margin is computed from exposure.
    #[must_use]
    pub const fn locking_asset(&self, side: Side) -> Option<AssetId> {
        match (self.spec.kind, side) {
            (InstrumentKind::Spot, Side::Buy) => Some(self.spec.quote),
            (InstrumentKind::Spot, Side::Sell) => Some(self.spec.base),
            (InstrumentKind::LinearPerpetual | InstrumentKind::InversePerpetual, _) => None,
        }
    }

    /// Returns the taker fee on a notional, rounded up to 1e-18 when positive.
    #[must_use]
    pub const fn taker_fee(&self, notional: Notional) -> Notional {
        // Divided first: a notional times twelve digits of fee would not fit.
        let (whole, part) = (notional.0 / FEE_PARTS, notional.0 % FEE_PARTS);
        Notional(whole * self.taker_fee_e12 + (part * self.taker_fee_e12) / FEE_PARTS + 1)
    }

    /// Returns the asset that fees, margin and profit are paid in.
    #[must_use]
    pub const fn settlement_asset(&self) -> AssetId {
        match self.spec.kind {
            InstrumentKind::Spot | InstrumentKind::LinearPerpetual => self.spec.quote,
            InstrumentKind::InversePerpetual => self.spec.base,
        }
    }

    fn on_grid(
        &self,
        what: &'static str,
        value: Decimal,
        step: Decimal,
    ) -> Result<i64, InstrumentError> {
        let symbol = || self.spec.symbol.clone();
        let steps = value.checked_div(step).ok_or_else(|| InstrumentError::OutOfRange {
            symbol: symbol(),
            what,
            value,
        })?;
        if !steps.fract().is_zero() {
            return Err(InstrumentError::OffGrid { symbol: symbol(), what, value, step });
        }
        steps.to_i64().ok_or_else(|| InstrumentError::OutOfRange { symbol: symbol(), what, value })
    }
}

/// Parts that fees are counted in.
const FEE_PARTS: i128 = 1_000_000_000_000;

impl Notional {
    /// Converts a decimal amount, `None` if it is finer than 1e-18 or out of range.
    #[must_use]
    pub fn from_decimal(value: Decimal) -> Option<Self> {
        units_of(value).map(Self)
    }

    /// Returns the amount as a decimal, rounded to the digits that a decimal holds (half to even).
    #[must_use]
    pub fn to_decimal(self) -> Decimal {
        let one = Self::ONE;
        let whole = Decimal::from_i128(self.0 / one).unwrap_or(Decimal::MAX);
        let part = Decimal::try_from_i128_with_scale(self.0 % one, 18).unwrap_or_default();
        whole + part
    }
}

/// Returns the decimal in units of 1e-18, `None` if that is not a whole number or does not fit.
fn units_of(value: Decimal) -> Option<i128> {
    let value = value.normalize();
    let missing = 18u32.checked_sub(value.scale())?;
    value.mantissa().checked_mul(10i128.checked_pow(missing)?)
}

impl InstrumentSpec {
    /// Returns a linear perpetual on asset 0 quoted in asset 1, with no limits and no fees: a
    /// start for tests and for data that says nothing of its instrument.
    ///
    /// # Panics
    ///
    /// If `tick` or `lot` is not a decimal number.
    #[must_use]
    pub fn linear(symbol: &str, tick: &str, lot: &str) -> Self {
        let decimal = |text: &str| text.parse().expect("tick and lot are decimal numbers");
        Self {
            symbol: symbol.to_owned(),
            venue: VenueId(0),
            kind: InstrumentKind::LinearPerpetual,
            base: AssetId(0),
            quote: AssetId(1),
            tick: decimal(tick),
            lot: decimal(lot),
            multiplier: Decimal::ONE,
            min_quantity: Decimal::ZERO,
            max_quantity: Decimal::ZERO,
            min_notional: Decimal::ZERO,
            price_band_bps: 0,
            maker_fee: Decimal::ZERO,
            taker_fee: Decimal::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn btcusdt() -> Instrument {
        Instrument::new(InstrumentId(0), InstrumentSpec::linear("BTCUSDT", "0.1", "0.001")).unwrap()
    }

    #[test]
    fn decimals_on_the_grid_convert_and_others_are_refused() {
        let btcusdt = btcusdt();
        assert_eq!(btcusdt.price("61659.7".parse().unwrap()), Ok(Price(616_597)));
        let refused = btcusdt.price("61659.75".parse().unwrap()).unwrap_err();
        assert_eq!(refused.to_string(), "BTCUSDT: price 61659.75 is not a multiple of 0.1");
    }

    #[test]
    fn notional_is_exact() {
        let value = btcusdt().notional(Price(616_597), Quantity(1_486)).unwrap();
        assert_eq!(value.to_decimal(), "91626.3142".parse::<Decimal>().unwrap());
    }

    #[test]
    fn inverse_contracts_are_worth_their_multiplier() {
        let mut spec = InstrumentSpec::linear("BTCUSD_PERP", "0.1", "1");
        spec.kind = InstrumentKind::InversePerpetual;
        spec.multiplier = Decimal::from(100);
        let instrument = Instrument::new(InstrumentId(0), spec).unwrap();
        let value = instrument.notional(Price(600_000), Quantity(3)).unwrap();
        assert_eq!(value, Notional(300 * Notional::ONE));
        let settled = instrument.settlement_units(Price(600_000), Quantity(3)).unwrap();
        assert_eq!(settled.to_decimal(), "0.005".parse().unwrap());
    }

    #[test]
    fn a_grid_finer_than_money_is_refused() {
        let spec = InstrumentSpec::linear("X", "0.0000000001", "0.0000000001");
        assert!(matches!(
            Instrument::new(InstrumentId(0), spec),
            Err(InstrumentError::TooFine { .. })
        ));
    }
}
