//! Bytes of events.

use tercel_core::{
    AccountItem, AccountUpdate, Adoption, Command, Event, ExecutionReport, Fill, LinkEvent,
    LinkState, MarketData, MarketEvent, OnHalt, RejectReason, ReportKind, RiskLimits, Role, Scope,
    Signal,
};

use super::wire::{Input, Malformed, Wire, wire_enum, wire_struct};

const MARKET: u8 = 0;
const EXECUTION: u8 = 1;
const ACCOUNT: u8 = 2;
const LINK: u8 = 3;
const TIMER: u8 = 4;
const SIGNAL: u8 = 5;
const COMMAND: u8 = 6;
const FUNDING: u8 = 7;

/// Appends an event; of market data only that it was some, unless it moves money.
pub(super) fn put_event(event: Option<&Event>, out: &mut Vec<u8>) {
    match event {
        Some(Event::Market(MarketEvent {
            venue_at,
            received_at,
            instrument,
            data: MarketData::Funding { rate_e12 },
        })) => {
            out.push(FUNDING);
            venue_at.put(out);
            received_at.put(out);
            instrument.put(out);
            rate_e12.put(out);
        }
        None | Some(Event::Market(_)) => out.push(MARKET),
        Some(Event::Execution(report)) => {
            out.push(EXECUTION);
            report.put(out);
        }
        Some(Event::Account(update)) => {
            out.push(ACCOUNT);
            update.put(out);
        }
        Some(Event::Link(link)) => {
            out.push(LINK);
            link.put(out);
        }
        Some(Event::Timer) => out.push(TIMER),
        Some(Event::Signal(signal)) => {
            out.push(SIGNAL);
            signal.put(out);
        }
        Some(Event::Command(command)) => {
            out.push(COMMAND);
            command.put(out);
        }
    }
}

/// Takes an event off the front; `None` for market data, which is on the tape.
pub(super) fn take_event(input: &mut Input<'_>) -> Result<Option<Event>, Malformed> {
    Ok(Some(match input.byte()? {
        MARKET => return Ok(None),
        EXECUTION => Event::Execution(Wire::take(input)?),
        ACCOUNT => Event::Account(Wire::take(input)?),
        LINK => Event::Link(Wire::take(input)?),
        TIMER => Event::Timer,
        SIGNAL => Event::Signal(Wire::take(input)?),
        COMMAND => Event::Command(Wire::take(input)?),
        FUNDING => Event::Market(MarketEvent {
            venue_at: Wire::take(input)?,
            received_at: Wire::take(input)?,
            instrument: Wire::take(input)?,
            data: MarketData::Funding { rate_e12: Wire::take(input)? },
        }),
        _ => return Err(input.malformed("no such Event")),
    }))
}

wire_struct!(ExecutionReport { order, account, instrument, venue_at, received_at, kind });

wire_enum!(ReportKind {
    0 => Accepted { venue_order_id },
    1 => Fill(fill),
    2 => Canceled,
    3 => Replaced { price, qty },
    4 => Rejected(reason),
    5 => CancelRejected(reason),
    6 => ReplaceRejected(reason),
    7 => Expired,
    8 => Triggered,
    9 => Unknown,
});

wire_struct!(Fill { trade_id, price, qty, role, fee, fee_asset });

wire_enum!(Role { 0 => Maker, 1 => Taker });

wire_enum!(RejectReason {
    0 => WouldTake,
    1 => NotFillable,
    2 => NoLiquidity,
    3 => WouldIncrease,
    4 => InsufficientBalance,
    5 => UnknownOrder,
    6 => Filter,
    7 => WouldTrigger,
    8 => RateLimited,
    9 => Other,
});

wire_struct!(AccountUpdate { account, item, last });

wire_enum!(AccountItem {
    0 => Balance { asset, total },
    1 => Position { instrument, qty, price },
    2 => Order(adoption),
});

wire_struct!(Adoption { order, strategy, venue_order_id, spec, filled, triggered, as_of });

wire_struct!(LinkEvent { venue, instrument, state });

wire_enum!(LinkState { 0 => Up, 1 => Down, 2 => Gap });

wire_struct!(Signal { strategy, name, text });

wire_enum!(Command {
    0 => Start(strategy),
    1 => Stop(strategy),
    2 => Resume(scope),
    3 => Reduce(scope),
    4 => Kill(scope),
    5 => Flatten(scope),
    6 => SetLimits(scope, limits),
    7 => SetParams(strategy, values),
    8 => Halt(scope),
});

wire_enum!(Scope { 0 => Strategy(id), 1 => Account(id), 2 => Engine });

wire_struct!(RiskLimits {
    order_qty,
    order_notional,
    position_qty,
    gross_exposure,
    price_collar_bps,
    open_orders,
    orders_per_second,
    orders_per_day,
    cancels_per_100_orders,
    daily_loss,
    drawdown,
    cooldown_ns,
    trades_per_day,
    on_halt,
});

wire_enum!(OnHalt { 0 => Cancel, 1 => Keep });
