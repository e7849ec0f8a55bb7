//! What people are told of an account at a venue.

use tercel_adapters::{GatewayNotice, Purpose, VenueError};
use tercel_core::{AccountId, AssetId, Instrument, InstrumentId, Quantity, Side};

use super::engine::Body;
use super::links::{Links, Standing};
use super::now;

/// Returns what tells people of the accounts; with their names where there are several.
pub(super) fn teller(
    body: &Body,
    links: &Links,
) -> impl FnMut(AccountId, GatewayNotice) + Send + 'static {
    let links = links.clone();
    let notices = body.notices.clone();
    let instruments = body.instruments.clone();
    let assets = body.assets.clone();
    let accounts = &body.beginning.state.accounts;
    let names: Vec<_> = match accounts.len() {
        1 => Vec::new(),
        _ => accounts.iter().map(|own| format!("{}: ", own.name)).collect(),
    };
    move |account, notice| {
        links.change_account(account, |own| follow(own, &notice));
        let (level, text) = text_of(&notice, &instruments, &assets);
        let compared = match &notice {
            GatewayNotice::Reconciled { n_orders, .. } => Some(*n_orders),
            _ => None,
        };
        let difference = is_difference(&notice);
        let name = names.get(account.index()).map_or("", String::as_str);
        let text = format!("{name}{text}");
        notices.tell_of_account(now(), account, level, text, difference, compared);
    }
}

/// Takes into account what a notice says of the account's stream.
fn follow(own: &mut Standing, notice: &GatewayNotice) {
    match notice {
        GatewayNotice::Online => *own = Standing::UP,
        GatewayNotice::Offline { why } => *own = Standing::down(why.clone()),
        GatewayNotice::Unreachable { why, .. } => own.fails(why.clone()),
        GatewayNotice::Alarm { error } => own.fails(refused(error)),
        _ => {}
    }
}

fn refused(error: &VenueError) -> String {
    format!("the venue refuses the account: {error}")
}

/// Returns whether a notice says that the venue's books and ours differ. That a question was asked twice
/// or an answer came late says nothing of the books.
const fn is_difference(notice: &GatewayNotice) -> bool {
    match notice {
        GatewayNotice::Reconciled { n_differences, .. } => *n_differences > 0,
        GatewayNotice::Adopted { .. }
        | GatewayNotice::Foreign { .. }
        | GatewayNotice::ForeignFill { .. }
        | GatewayNotice::HoldingDiffers { .. }
        | GatewayNotice::PositionDiffers { .. }
        | GatewayNotice::Lost { .. }
        | GatewayNotice::NameTaken { .. }
        | GatewayNotice::Orphan { .. }
        | GatewayNotice::Vanished { .. } => true,
        GatewayNotice::Online
        | GatewayNotice::Offline { .. }
        | GatewayNotice::Unreachable { .. }
        | GatewayNotice::FirstHolding { .. }
        | GatewayNotice::FirstPosition { .. }
        | GatewayNotice::OutcomeUnknown { .. }
        | GatewayNotice::Settled { .. }
        | GatewayNotice::QueryFailed { .. }
        | GatewayNotice::Alarm { .. }
        | GatewayNotice::MarginCall { .. }
        | GatewayNotice::FeeNotBooked { .. } => false,
    }
}

fn text_of(
    notice: &GatewayNotice,
    instruments: &[Instrument],
    assets: &[String],
) -> (&'static str, String) {
    let known = |id: InstrumentId| instruments.get(id.index());
    let symbol = |id: InstrumentId| known(id).map_or("?", |own| own.spec.symbol.as_str());
    let asset = |id: AssetId| assets.get(id.index()).map_or("?", String::as_str);
    let done = |adopted: bool| if adopted { "taken over" } else { "left as it is" };
    match notice {
        GatewayNotice::Online => ("info", "account: connected".to_owned()),
        GatewayNotice::Offline { why } => {
            let why = why.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
            (
                "warn",
                format!(
                    "account: the connection is lost{why}; no orders are sent until it is back"
                ),
            )
        }
        GatewayNotice::Unreachable { purpose, why } => {
            let what = match purpose {
                Purpose::Private => "its stream",
                Purpose::Orders | Purpose::Market => "orders",
            };
            ("warn", format!("account: the connection for {what} fails again and again: {why}"))
        }
        GatewayNotice::OutcomeUnknown { order, why } => {
            ("warn", format!("order {order}: outcome unknown ({why}); asking"))
        }
        GatewayNotice::Settled { order, n_questions } => {
            ("info", format!("order {order}: settled after {n_questions} questions"))
        }
        GatewayNotice::Vanished { order } => {
            ("warn", format!("order {order}: the venue does not know it any more; it is over"))
        }
        GatewayNotice::Orphan { order, instrument, canceling } => {
            let done = if *canceling { "it is being cancelled" } else { "left alone" };
            (
                "warn",
                format!("{}: order {order} is ours and not known; {done}", symbol(*instrument)),
            )
        }
        GatewayNotice::Lost { order, instrument, side, qty, filled, price, status, halts } => {
            let amount = |qty: Quantity| match known(*instrument) {
                Some(own) => own.quantity_decimal(qty).normalize().to_string(),
                None => format!("{} lots", qty.0),
            };
            let price = match price.and_then(|price| Some(known(*instrument)?.price_decimal(price)))
            {
                Some(price) => format!("at {}", price.normalize()),
                None => "at the market".to_owned(),
            };
            let then = if *halts { "; the engine is halted until it is resumed" } else { "" };
            let text = format!(
                "{}: order {order} was sent before a run was cut off and is on no record: {} {} {price}, of \
                 it {} filled, {}; its strategy knows nothing of it{then}",
                symbol(*instrument),
                if *side == Side::Buy { "buy" } else { "sell" },
                amount(*qty),
                amount(*filled),
                if status.is_over() { "over" } else { "working" },
            );
            ("error", text)
        }
        GatewayNotice::NameTaken { order, venue_order_id, instrument } => (
            "warn",
            format!(
                "{}: the venue's order {venue_order_id} bears the name of our order {order} and is \
                 another one; left alone",
                symbol(*instrument)
            ),
        ),
        GatewayNotice::Adopted { order, venue_order_id, instrument, strategy } => (
            "warn",
            format!(
                "{}: the venue's order {venue_order_id} is of other origin; it is {order} of \
                 strategy {strategy} from here on",
                symbol(*instrument)
            ),
        ),
        GatewayNotice::Foreign { n_orders } => {
            ("info", format!("{n_orders} open orders of other origin, left alone"))
        }
        GatewayNotice::ForeignFill { instrument, qty } => (
            "warn",
            format!("{}: {} lots traded by an order of other origin", symbol(*instrument), qty.0),
        ),
        GatewayNotice::FirstHolding { asset: id, total } => {
            ("info", format!("{}: the account begins with {}", asset(*id), total.normalize()))
        }
        GatewayNotice::FirstPosition { instrument, qty } => (
            "info",
            format!(
                "{}: the account begins with a position of {} lots",
                symbol(*instrument),
                qty.0
            ),
        ),
        GatewayNotice::HoldingDiffers { asset: id, ours, theirs, adopted } => (
            "warn",
            format!(
                "{}: the venue holds {}, our books say {}; {}",
                asset(*id),
                theirs.normalize(),
                ours.normalize(),
                done(*adopted)
            ),
        ),
        GatewayNotice::PositionDiffers { instrument, ours, theirs, adopted } => (
            "warn",
            format!(
                "{}: the venue's position is {} lots, ours {}; {}",
                symbol(*instrument),
                theirs.0,
                ours.0,
                done(*adopted)
            ),
        ),
        GatewayNotice::Reconciled { n_orders, n_differences } => (
            "info",
            format!("compared with the venue: {n_orders} open orders, {n_differences} differences"),
        ),
        GatewayNotice::QueryFailed { what, error } => {
            ("warn", format!("asking for {what}: {error}; asked again"))
        }
        GatewayNotice::Alarm { error } => {
            ("error", format!("{}; somebody has to act", refused(error)))
        }
        GatewayNotice::MarginCall { instrument } => (
            "error",
            format!(
                "{}: the venue warns that the position lacks margin and may be closed by force",
                instrument.map_or("a position that is not followed", symbol)
            ),
        ),
        GatewayNotice::FeeNotBooked { venue_order_id, fee } => (
            "warn",
            format!("order {venue_order_id}: a fee of {fee} in an unlisted asset, not booked"),
        ),
    }
}
