//! What the venue says, against what a journal left.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use serde_json::{Value, json};
use tercel_adapters::{Answer, FillNews, OrderKey, OrderNews, OrderStatus, Request, VenueText};
use tercel_core::{
    AccountId, ClientOrderId, Instrument, InstrumentId, Nanos, Order, OrderImage, OrderKind,
    Quantity, Side, State,
};

use crate::exit::Outcome;
use crate::report::exact_moment;
use crate::venue::{Asker, unexpected};

/// How far back executions are asked for beyond the journal's end, against clocks that differ.
const OVERLAP_NS: i64 = Nanos::MINUTE;

/// What a journal left of one account.
#[derive(Clone, Copy)]
pub(super) struct Ours<'a> {
    pub(super) state: &'a State,
    pub(super) account: AccountId,
    pub(super) instruments: &'a [Instrument],
    pub(super) assets: &'a [String],
    /// The time up to which the journal goes.
    pub(super) ended_at: Nanos,
}

impl Ours<'_> {
    /// Returns the account's orders that work, by their ids.
    fn working(&self) -> Vec<&Order> {
        let all = self.state.orders.all_working();
        let mut own: Vec<_> = all.filter(|order| order.account == self.account).collect();
        own.sort_unstable_by_key(|order| order.id);
        own
    }

    /// Returns all of the account's orders that are remembered, with their executions.
    fn known(&self) -> Vec<OrderImage> {
        let image = self.state.image().orders;
        let all = image.working.into_iter().flatten().chain(image.ended);
        all.filter(|own| own.order.account == self.account).collect()
    }
}

/// Something that the venue says otherwise than the journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Difference {
    kind: &'static str,
    /// Our name of the order that it is about.
    order: Option<ClientOrderId>,
    /// What it is about, in words.
    about: String,
    ours: Option<String>,
    theirs: Option<String>,
}

impl Difference {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "kind": self.kind,
            "order": self.order.map(|id| id.to_string()),
            "about": self.about,
            "ours": self.ours,
            "theirs": self.theirs,
        })
    }

    pub(super) fn to_text(&self) -> String {
        let kind = self.kind.replace('_', " ");
        let name = self.order.map(|id| format!("{id} ")).unwrap_or_default();
        let side = |own: &Option<String>| own.clone().unwrap_or_else(|| "nothing".to_owned());
        format!(
            "{kind:13} {name}{}: {} here, {} at the venue\n",
            self.about,
            side(&self.ours),
            side(&self.theirs)
        )
    }
}

/// Asks for everything and compares it.
pub(super) fn compare(asker: &mut Asker, ours: &Ours<'_>) -> Outcome<Vec<Difference>> {
    let open = match asker.ask("open orders", &Request::OpenOrders { instrument: None })? {
        Answer::Orders(list) => named(list, ours),
        other => return Err(unexpected("open orders", &other)),
    };
    let mut found = orders(asker, ours, &open)?;
    found.extend(fills(asker, ours)?);
    found.extend(balances(asker, ours)?);
    if ours.instruments.iter().any(Instrument::is_perpetual) {
        found.extend(positions(asker, ours)?);
    }
    Ok(found)
}

/// Gives orders of other origin that were adopted our names for them: the venue's numbers tell which.
fn named(mut list: Vec<OrderNews>, ours: &Ours<'_>) -> Vec<OrderNews> {
    let adopted: BTreeMap<_, _> = ours
        .known()
        .into_iter()
        .map(|own| own.order)
        .filter(|own| own.id.adopted_number().is_some())
        .map(|own| ((own.spec.instrument, own.venue_order_id.to_string()), own.id))
        .collect();
    for news in list.iter_mut().filter(|news| news.key.is_none()) {
        let id = adopted.get(&(news.instrument, news.venue_order_id.to_string()));
        news.key = id.map(|id| OrderKey::first(*id));
    }
    list
}

fn of(instruments: &[Instrument], id: InstrumentId) -> Option<&Instrument> {
    instruments.get(id.index())
}

fn amount(instrument: Option<&Instrument>, qty: Quantity) -> String {
    instrument
        .map_or_else(|| qty.0.to_string(), |own| own.quantity_decimal(qty).normalize().to_string())
}

/// Returns side, quantity, symbol and price.
fn described(
    instrument: Option<&Instrument>,
    side: Side,
    qty: Quantity,
    kind: &OrderKind,
) -> String {
    let side = if side == Side::Buy { "buy" } else { "sell" };
    let symbol = instrument.map_or("?", |own| own.spec.symbol.as_str());
    let price = match (instrument, kind.limit_price()) {
        (Some(own), Some(price)) => format!(" at {}", own.price_decimal(price).normalize()),
        _ => String::new(),
    };
    format!("{side} {} {symbol}{price}", amount(instrument, qty))
}

fn orders(asker: &mut Asker, all: &Ours<'_>, open: &[OrderNews]) -> Outcome<Vec<Difference>> {
    let mut found = Vec::new();
    let instruments = all.instruments;
    let theirs: BTreeMap<ClientOrderId, &OrderNews> =
        open.iter().filter_map(|news| Some((news.key?.id, news))).collect();
    let ours = all.working();
    for order in &ours {
        let instrument = of(instruments, order.spec.instrument);
        let about = described(instrument, order.spec.side, order.spec.qty, &order.spec.kind);
        let said = |word: &str, filled: Quantity| {
            format!("{word} with {} filled", amount(instrument, filled))
        };
        let difference = |kind, theirs| Difference {
            kind,
            order: Some(order.id),
            about,
            ours: Some(said("open", order.filled)),
            theirs,
        };
        match theirs.get(&order.id) {
            Some(news) if news.filled == order.filled => {}
            Some(news) => {
                found.push(difference("open_order", Some(said("open", news.filled))));
            }
            None => {
                let theirs = fate(asker, all, order)?.map(|news| {
                    let word = match news.status {
                        OrderStatus::Waiting | OrderStatus::Open => "open",
                        OrderStatus::Filled => "filled",
                        OrderStatus::Canceled => "canceled",
                        OrderStatus::Expired => "expired",
                        OrderStatus::Rejected => "refused",
                    };
                    said(word, news.filled)
                });
                found.push(difference("open_order", theirs));
            }
        }
    }
    let known: BTreeSet<_> = ours.iter().map(|order| order.id).collect();
    for news in open {
        let id = news.key.map(|key| key.id);
        if id.is_some_and(|id| known.contains(&id)) {
            continue;
        }
        let instrument = of(instruments, news.instrument);
        let about = described(instrument, news.side, news.qty, &news.kind);
        let number = &news.venue_order_id;
        found.push(Difference {
            kind: if id.is_some() { "unknown_order" } else { "foreign_order" },
            order: id,
            about: format!("{about} (the venue's number {number})"),
            ours: None,
            theirs: Some(format!("open with {} filled", amount(instrument, news.filled))),
        });
    }
    Ok(found)
}

/// Returns what became of an order that is not open at the venue; `None` if it is not known there.
fn fate(asker: &mut Asker, ours: &Ours<'_>, order: &Order) -> Outcome<Option<OrderNews>> {
    let (instrument, since) = (order.spec.instrument, order.created_at.plus(-OVERLAP_NS));
    match asker.ask("an order's history", &Request::OrderHistory { instrument, since })? {
        Answer::Orders(list) => {
            // The last of its forms, should it have been replaced.
            let list = named(list, ours).into_iter();
            let own = list.filter(|news| news.key.is_some_and(|key| key.id == order.id));
            Ok(own.max_by_key(|news| news.key.map_or(0, |key: OrderKey| key.revision)))
        }
        other => Err(unexpected("an order's history", &other)),
    }
}

fn fills(asker: &mut Asker, ours: &Ours<'_>) -> Outcome<Vec<Difference>> {
    let known = ours.known();
    let known = || known.iter();
    let ended_at = ours.ended_at;
    // Where two orders of the account have met, there are two executions under one number.
    let booked: BTreeSet<(InstrumentId, Side, u64)> = known()
        .flat_map(|own| {
            let spec = &own.order.spec;
            own.trade_ids.iter().map(|trade| (spec.instrument, spec.side, *trade))
        })
        .collect();
    let working_since = ours.working().into_iter().map(|order| order.created_at).min();
    let since = working_since.map_or(ended_at, |at| at.min(ended_at)).plus(-OVERLAP_NS);
    let mut found = Vec::new();
    for instrument in ours.instruments {
        let new: Vec<_> = asker
            .fills(instrument.id, since)?
            .into_iter()
            .filter(|fill| !booked.contains(&(fill.instrument, fill.side, fill.trade_id)))
            .collect();
        if new.is_empty() {
            continue;
        }
        // Whose they are: some venues tell their own number of the order alone.
        let mut names: BTreeMap<VenueText, ClientOrderId> = known()
            .filter(|own| own.order.spec.instrument == instrument.id)
            .filter_map(|own| {
                let number = own.order.venue_order_id.to_string();
                Some((VenueText::from(&number).ok()?, own.order.id))
            })
            .collect();
        let history = Request::OrderHistory { instrument: instrument.id, since };
        if let Answer::Orders(list) = asker.ask("the orders of executions", &history)? {
            names.extend(list.iter().filter_map(|news| Some((news.venue_order_id, news.key?.id))));
        }
        for fill in new {
            let key = fill.key.map(|key| key.id);
            let order = key.or_else(|| names.get(&fill.venue_order_id).copied());
            let own = order.and_then(|id| ours.state.orders.get(id));
            // Of an adopted order, what came before is in what the account held.
            let is_old = own.is_some_and(|own| {
                own.id.adopted_number().is_some() && fill.venue_at <= own.created_at
            });
            if is_old {
                continue;
            }
            // What others traded before the end is in the balances that the run compared.
            if order.is_some() || fill.venue_at > ended_at {
                found.push(difference_of(instrument, &fill, order));
            }
        }
    }
    Ok(found)
}

fn difference_of(
    instrument: &Instrument,
    fill: &FillNews,
    order: Option<ClientOrderId>,
) -> Difference {
    let side = if fill.side == Side::Buy { "buy" } else { "sell" };
    Difference {
        kind: if order.is_some() { "fill" } else { "foreign_fill" },
        order,
        about: format!(
            "{side} {} {} at {} (the venue's number {})",
            amount(Some(instrument), fill.qty),
            instrument.spec.symbol,
            instrument.price_decimal(fill.price).normalize(),
            fill.trade_id
        ),
        ours: None,
        theirs: Some(format!("traded {}", exact_moment(fill.venue_at))),
    }
}

fn balances(asker: &mut Asker, ours: &Ours<'_>) -> Outcome<Vec<Difference>> {
    let theirs = match asker.ask("balances", &Request::Balances)? {
        Answer::Holdings(list) => list,
        other => return Err(unexpected("balances", &other)),
    };
    let account = ours.state.accounts.get(ours.account.index());
    let mut found = Vec::new();
    for (n, asset) in ours.assets.iter().enumerate() {
        let ours = account.and_then(|own| own.balances.get(n));
        let ours = ours.map_or(Decimal::ZERO, |own| own.total.to_decimal());
        let theirs = theirs.iter().find(|own| own.asset.index() == n);
        let theirs = theirs.map_or(Decimal::ZERO, |own| own.total);
        // Venues round to eight places; what differs less is their rounding of fees.
        if (ours - theirs).abs() > Decimal::new(1, 7) {
            found.push(Difference {
                kind: "balance",
                order: None,
                about: asset.clone(),
                ours: Some(ours.normalize().to_string()),
                theirs: Some(theirs.normalize().to_string()),
            });
        }
    }
    Ok(found)
}

fn positions(asker: &mut Asker, ours: &Ours<'_>) -> Outcome<Vec<Difference>> {
    let theirs = match asker.ask("positions", &Request::Positions)? {
        Answer::Positions(list) => list,
        other => return Err(unexpected("positions", &other)),
    };
    let account = ours.state.accounts.get(ours.account.index());
    let mut found = Vec::new();
    for instrument in ours.instruments {
        let position = account.and_then(|own| own.scope.positions.get(instrument.id.index()));
        let ours = position.map_or(Quantity::ZERO, |own| own.qty);
        let own = theirs.iter().filter(|own| own.instrument == instrument.id);
        let theirs = Quantity(own.map(|own| own.qty.0).sum());
        if ours != theirs {
            found.push(Difference {
                kind: "position",
                order: None,
                about: instrument.spec.symbol.clone(),
                ours: Some(amount(Some(instrument), ours)),
                theirs: Some(amount(Some(instrument), theirs)),
            });
        }
    }
    Ok(found)
}
