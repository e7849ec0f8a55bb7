//! Functions that read positions, balances and profit.

use tercel_core::{AssetId, Notional};

use super::{Host, HostResult};
use crate::error::HostError;
use crate::{names, number};

impl Host {
    /// `position(instrument?)`: returns the strategy's own net quantity, negative when short.
    pub(crate) fn position(&self, instrument: Option<f64>) -> HostResult<f64> {
        self.market("position", instrument, |view, market| {
            market.qty.value(view.position(market.id).qty.0)
        })
    }

    /// `avg_price(instrument?)`: returns the average entry price of the position.
    pub(crate) fn avg_price(&self, instrument: Option<f64>) -> HostResult<Option<f64>> {
        self.market("avg_price", instrument, |view, market| {
            let millionths = view.position(market.id).average_price_e6(&market.instrument)?;
            Some(number::float_wide(millionths) * market.price.step() / 1e6)
        })
    }

    /// `pnl()`: returns the strategy's profit since its start, after fees.
    pub(crate) fn pnl(&self) -> HostResult<f64> {
        self.view("pnl", |view| money(view.pnl()))
    }

    /// `equity()`: returns the account's equity.
    pub(crate) fn equity(&self) -> HostResult<f64> {
        self.view("equity", |view| money(view.equity()))
    }

    /// `balance(asset)`: returns what the account holds of an asset.
    pub(crate) fn balance(&self, asset: &str) -> HostResult<f64> {
        let asset = self.asset("balance", asset)?;
        self.view("balance", |view| money(view.balance(asset).total))
    }

    /// `free_balance(asset)`: returns what of it no open order ties up.
    pub(crate) fn free_balance(&self, asset: &str) -> HostResult<f64> {
        let asset = self.asset("free_balance", asset)?;
        self.view("free_balance", |view| money(view.balance(asset).free()))
    }

    fn asset(&self, function: &str, name: &str) -> HostResult<AssetId> {
        self.view(function, |view| {
            let mut known: Vec<AssetId> = Vec::new();
            for market in &self.markets {
                for asset in [market.instrument.spec.base, market.instrument.spec.quote] {
                    if view.asset_name(asset) == name {
                        return Ok(asset);
                    }
                    known.push(asset);
                }
            }
            known.sort_unstable();
            known.dedup();
            let known = known.iter().map(|asset| view.asset_name(*asset));
            Err(HostError::wrong(names::unknown("asset", name, known)))
        })?
    }
}

fn money(amount: Notional) -> f64 {
    number::float_wide(amount.0) / 1e18
}
