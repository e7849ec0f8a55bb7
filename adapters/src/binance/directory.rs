//! What the account side has to know of instruments, assets and our own names.

use rust_decimal::Decimal;
use tercel_core::{AssetId, InstrumentId, Nanos, OrderKind, Price, Quantity, Role, Side};

use super::hosts::Product;
use super::market::nanos;
use crate::client_id::{ClientIds, OrderKey};
use crate::document::{Fields, Value, short};
use crate::grid::Grid;
use crate::listing::Listing;
use crate::protocol::{FillNews, Holding, OrderNews, OrderStatus, PositionNews, VenueText};
use crate::symbols::SymbolTable;

/// Instruments by symbol with their grids, and names.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    listing: Listing,
    ids: ClientIds,
    symbols: SymbolTable,
    grids: Vec<Option<(Grid, Grid)>>,
}

/// An instrument and how its numbers are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) id: InstrumentId,
    pub(crate) price: Grid,
    pub(crate) qty: Grid,
}

impl Directory {
    pub(crate) fn new(listing: &Listing, ids: &ClientIds) -> Self {
        let instruments = listing.instruments();
        Self {
            listing: listing.clone(),
            ids: ids.clone(),
            symbols: SymbolTable::new(instruments.iter().map(|own| own.spec.symbol.as_str())),
            grids: instruments
                .iter()
                .map(|own| Grid::new(own.spec.tick).zip(Grid::new(own.spec.lot)))
                .collect(),
        }
    }

    pub(crate) fn known(&self, symbol: &str) -> Option<Known> {
        let place = self.symbols.place(symbol.as_bytes())?;
        let (price, qty) = self.grids[place]?;
        Some(Known { id: self.listing.instruments()[place].id, price, qty })
    }

    pub(crate) fn instrument(&self, id: InstrumentId) -> Option<&tercel_core::Instrument> {
        self.listing.instrument(id)
    }

    pub(crate) fn symbol(&self, id: InstrumentId) -> Option<&str> {
        self.instrument(id).map(|own| own.spec.symbol.as_str())
    }

    pub(crate) fn key(&self, name: &str) -> Option<OrderKey> {
        self.ids.parse(name)
    }

    pub(crate) fn name(&self, key: OrderKey) -> VenueText {
        self.ids.name(key)
    }

    pub(crate) fn asset(&self, name: &str) -> Option<AssetId> {
        self.listing.asset(name)
    }

    /// Returns an order as answers to requests show it, of both products; `None` if it is of an
    /// instrument that is not known, or no order.
    pub(crate) fn order(&self, value: Value<'_, '_>) -> Option<OrderNews> {
        let known = self.known(value.text("symbol")?)?;
        // Where an order was withdrawn or amended, its present name may be the request's.
        let name = value.text("origClientOrderId").or_else(|| value.text("clientOrderId"));
        let kind = value.text("type")?;
        let status = value.text("status")?;
        let is_working = value.truth("isWorking").unwrap_or(false)
            || value.integer("workingTime").is_some_and(|at| at > 0);
        let at = ["transactTime", "updateTime", "time"].iter().find_map(|at| value.integer(at));
        let price = known.price_of(value, "price");
        let trigger = known.price_of(value, "stopPrice");
        let is_futures = value.field("positionSide").is_some();
        let status = order_status(status, is_conditional(kind) && !is_working && !is_futures)?;
        Some(OrderNews {
            key: name.and_then(|name| self.key(name)),
            venue_order_id: value.short("orderId"),
            instrument: known.id,
            status,
            side: side(value.text("side")?)?,
            kind: order_kind(kind, price, trigger),
            // Spot shows an amended order's quantity under another name.
            qty: known
                .signed(value, if value.field("origQty").is_some() { "origQty" } else { "qty" })?,
            filled: known.signed(value, "executedQty")?,
            venue_at: nanos(at.unwrap_or_default()),
        })
    }

    /// Returns the executions that an answer to a spot order brings along.
    pub(crate) fn fills_of_order(&self, value: Value<'_, '_>, order: &OrderNews) -> Vec<FillNews> {
        let Some(known) = value.text("symbol").and_then(|symbol| self.known(symbol)) else {
            return Vec::new();
        };
        let fills = value.items("fills").into_iter();
        let taker = fills.filter_map(|fill| {
            Some(FillNews {
                key: order.key,
                venue_order_id: order.venue_order_id,
                instrument: order.instrument,
                trade_id: u64::try_from(fill.integer("tradeId")?).ok()?,
                side: order.side,
                price: known.price_of(fill, "price")?,
                qty: known.qty_of(fill, "qty"),
                // Executions at placing are never of a resting order.
                role: Role::Taker,
                fee: fill.decimal("commission").unwrap_or_default(),
                fee_asset: fill.text("commissionAsset").and_then(|name| self.asset(name)),
                venue_at: order.venue_at,
            })
        });
        taker.collect()
    }

    /// Returns an execution of a list of them, of both products.
    pub(crate) fn fill(&self, value: Value<'_, '_>) -> Option<FillNews> {
        let known = self.known(value.text("symbol")?)?;
        let is_buy = value
            .truth("isBuyer")
            .or_else(|| value.text("side").map(|side| side == "BUY"))
            .or_else(|| value.truth("buyer"))?;
        let is_maker = value.truth("isMaker").or_else(|| value.truth("maker"))?;
        Some(FillNews {
            key: None,
            venue_order_id: value.short("orderId"),
            instrument: known.id,
            trade_id: u64::try_from(value.integer("id")?).ok()?,
            side: if is_buy { Side::Buy } else { Side::Sell },
            price: known.price_of(value, "price")?,
            qty: known.signed(value, "qty")?,
            role: if is_maker { Role::Maker } else { Role::Taker },
            fee: value.decimal("commission")?,
            fee_asset: value.text("commissionAsset").and_then(|name| self.asset(name)),
            venue_at: nanos(value.integer("time")?),
        })
    }

    /// Returns a conditional futures order as answers to requests show it.
    pub(crate) fn algo(&self, value: Value<'_, '_>) -> Option<OrderNews> {
        let known = self.known(value.text("symbol")?)?;
        let resulting = value.short("actualOrderId");
        let price = known.price_of(value, "price");
        let (qty, filled) = (known.qty_of(value, "quantity"), known.qty_of(value, "actualQty"));
        let (status, filled) = algo_status(value.text("algoStatus")?, &resulting, qty, filled)?;
        Some(OrderNews {
            key: value.text("clientAlgoId").and_then(|name| self.key(name)),
            venue_order_id: algo_id(&value.short("algoId"), &resulting),
            instrument: known.id,
            status,
            side: side(value.text("side")?)?,
            kind: order_kind(
                value.text("orderType").or_else(|| value.text("type"))?,
                price,
                known.price_of(value, "triggerPrice"),
            ),
            qty,
            filled,
            venue_at: nanos(value.integer("updateTime").unwrap_or_default()),
        })
    }

    /// Returns what `read` makes of the rows of a list that are of known instruments; `None` if it is
    /// no list, or one of them cannot be read: what is not in a list is taken for not being there.
    pub(crate) fn listed<'t, 'i: 't, T>(
        &self,
        list: Value<'t, 'i>,
        read: impl Fn(&Self, Value<'t, 'i>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let is_known = |symbol: &str| self.known(symbol).is_some();
        rows(list, "symbol", is_known, |row| read(self, row))
    }

    /// Returns what is held of the assets that are known; `None` if it cannot be read whole.
    pub(crate) fn holdings(&self, product: Product, value: Value<'_, '_>) -> Option<Vec<Holding>> {
        let list = match product {
            Product::Spot => value.field("balances")?,
            Product::UsdMargined => value,
        };
        let at = at(value, "updateTime");
        let is_known = |name: &str| self.asset(name).is_some();
        rows(list, "asset", is_known, |row| match product {
            Product::Spot => self.spot_holding(row, at),
            Product::UsdMargined => self.futures_holding(row),
        })
    }

    /// Returns what is held of an asset on spot.
    fn spot_holding(&self, value: Value<'_, '_>, at: Nanos) -> Option<Holding> {
        let [free, locked] = ["free", "locked"].map(|name| value.decimal(name));
        Some(Holding {
            asset: self.asset(value.text("asset")?)?,
            total: free?.checked_add(locked?)?,
            venue_at: at,
        })
    }

    /// Returns what is held of an asset on futures: the wallet, profits not taken left out.
    fn futures_holding(&self, value: Value<'_, '_>) -> Option<Holding> {
        Some(Holding {
            asset: self.asset(value.text("asset")?)?,
            total: value.decimal("balance").or_else(|| value.decimal("walletBalance"))?,
            venue_at: nanos(value.integer("updateTime").unwrap_or_default()),
        })
    }

    /// Returns the positions in instruments that are known, long and short added up; `None` if they
    /// cannot be read whole.
    pub(crate) fn positions(&self, list: Value<'_, '_>) -> Option<Vec<PositionNews>> {
        self.listed(list, Self::position).map(net)
    }

    /// Returns a position; where long and short are held apart, one of the two.
    fn position(&self, value: Value<'_, '_>) -> Option<PositionNews> {
        let known = self.known(value.text("symbol")?)?;
        Some(PositionNews {
            instrument: known.id,
            qty: known.signed(value, "positionAmt")?,
            price: known.price_of(value, "entryPrice")?,
            venue_at: nanos(value.integer("updateTime").unwrap_or_default()),
        })
    }
}

/// Returns what `read` makes of a list's rows whose field `name` is known; `None` if it is no list, or
/// one of those cannot be read, or one does not say whose it is.
fn rows<'t, 'i: 't, T>(
    list: Value<'t, 'i>,
    name: &str,
    is_known: impl Fn(&str) -> bool,
    read: impl Fn(Value<'t, 'i>) -> Option<T>,
) -> Option<Vec<T>> {
    let mut rows = Vec::new();
    for row in list.as_array()?.iter() {
        if is_known(row.text(name)?) {
            rows.push(read(row)?);
        }
    }
    Some(rows)
}

/// Adds up positions of one instrument, as an account that holds long and short apart has them.
fn net(positions: Vec<PositionNews>) -> Vec<PositionNews> {
    let mut netted: Vec<PositionNews> = Vec::with_capacity(positions.len());
    for position in positions {
        match netted.iter_mut().find(|own| own.instrument == position.instrument) {
            Some(own) => {
                if own.qty.0.abs() < position.qty.0.abs() {
                    own.price = position.price;
                }
                own.qty += position.qty;
                own.venue_at = own.venue_at.max(position.venue_at);
            }
            None => netted.push(position),
        }
    }
    netted.retain(|own| !own.qty.is_zero());
    netted
}

impl Known {
    /// Returns a price, rounded to a tick where it is an average or of another grid's time.
    pub(crate) fn price_of(&self, value: Value<'_, '_>, name: &str) -> Option<Price> {
        self.price.nearest(value.short(name).as_bytes()).map(Price)
    }

    /// Returns a quantity in whole lots, zero if there is none.
    pub(crate) fn qty_of(&self, value: Value<'_, '_>, name: &str) -> Quantity {
        self.signed(value, name).unwrap_or_default()
    }

    pub(crate) fn signed(&self, value: Value<'_, '_>, name: &str) -> Option<Quantity> {
        self.qty.floor(short(value.field(name)?).as_bytes()).map(Quantity)
    }
}

pub(crate) fn side(text: &str) -> Option<Side> {
    match text {
        "BUY" => Some(Side::Buy),
        "SELL" => Some(Side::Sell),
        _ => None,
    }
}

/// Returns whether a type waits for a trigger.
pub(crate) fn is_conditional(kind: &str) -> bool {
    kind.starts_with("STOP") || kind.starts_with("TAKE_PROFIT") || kind.starts_with("TRAILING")
}

/// Returns the price conditions that a type and its prices make.
pub(crate) fn order_kind(kind: &str, price: Option<Price>, trigger: Option<Price>) -> OrderKind {
    let price = price.filter(|price| price.0 > 0);
    let trigger = trigger.filter(|trigger| trigger.0 > 0);
    match (is_conditional(kind), trigger, price) {
        (true, Some(trigger), Some(price)) => OrderKind::StopLimit { trigger, price },
        (true, Some(trigger), None) => OrderKind::Stop { trigger },
        (false, _, Some(price)) if kind != "MARKET" => OrderKind::Limit { price },
        _ => OrderKind::Market,
    }
}

/// Returns where an order stands; `is_dormant` for one that has a trigger and is not in the book.
pub(crate) fn order_status(status: &str, is_dormant: bool) -> Option<OrderStatus> {
    Some(match status {
        "PENDING_NEW" => OrderStatus::Waiting,
        "NEW" if is_dormant => OrderStatus::Waiting,
        "NEW" | "PARTIALLY_FILLED" | "PENDING_CANCEL" => OrderStatus::Open,
        "FILLED" => OrderStatus::Filled,
        "CANCELED" => OrderStatus::Canceled,
        "EXPIRED" | "EXPIRED_IN_MATCH" => OrderStatus::Expired,
        "REJECTED" => OrderStatus::Rejected,
        _ => return None,
    })
}

/// Returns where a conditional order stands, and of it filled, by what is told to be executed of the
/// order that came of it.
///
/// `FINISHED` says that this order is over, and not how: it stays open here, with what is told of its
/// executions, unless it is filled whole. How it ended, its own events and answers say.
pub(crate) fn algo_status(
    status: &str,
    resulting: &str,
    qty: Quantity,
    filled: Quantity,
) -> Option<(OrderStatus, Quantity)> {
    let status = match status {
        "NEW" => OrderStatus::Waiting,
        "TRIGGERING" | "TRIGGERED" => OrderStatus::Open,
        "FINISHED" if filled.0 > 0 && filled >= qty => return Some((OrderStatus::Filled, filled)),
        "FINISHED" if is_number(resulting) => return Some((OrderStatus::Open, filled)),
        "FINISHED" | "CANCELED" => OrderStatus::Canceled,
        "EXPIRED" => OrderStatus::Expired,
        "REJECTED" => OrderStatus::Rejected,
        _ => return None,
    };
    Some((status, Quantity::ZERO))
}

/// Returns whether this is the number of an order: while there is none, it is empty or zero.
fn is_number(text: &str) -> bool {
    !text.is_empty() && text != "0"
}

/// Returns the number of a conditional order: that of the order that came of it, else its own
/// behind an `a`, so that both cannot be mistaken for each other.
pub(crate) fn algo_id(algo: &str, resulting: &str) -> VenueText {
    let mut id = VenueText::new();
    if is_number(resulting) {
        let _ = id.try_push_str(resulting);
    } else {
        let _ = id.try_push('a');
        let _ = id.try_push_str(algo);
    }
    id
}

/// Returns a time in milliseconds.
pub(crate) fn at(value: Value<'_, '_>, name: &str) -> Nanos {
    nanos(value.integer(name).unwrap_or_default())
}

/// Returns a decimal field, zero if there is none.
pub(crate) fn amount(value: Value<'_, '_>, name: &str) -> Decimal {
    value.decimal(name).unwrap_or_default()
}
