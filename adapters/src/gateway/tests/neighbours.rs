//! Two accounts of one engine, whose orders meet: one execution at the venue is a fill of each.

use rust_decimal::Decimal;
use tercel_core::{
    AccountConfig, AssetId, Command, Effect, Engine, Event, ExecutionReport, Fill, MarketData,
    MarketEvent, Nanos, OrderRequest, OrderSpec, Price, Quantity, ReportKind, Role, Seq, Side,
    StrategyId,
};
use tercel_testkit::{Strings, account, engine_config, level, linear, strategy};

use super::super::*;
use super::script::INSTRUMENT;
use crate::protocol::FillNews;

const AT: Nanos = Nanos(1_000 * Nanos::SECOND);
const TRADE: u64 = 7;

/// Two accounts, of which the first `n` have an order, at one price and on two sides.
struct Pair {
    engine: Engine,
    seq: u64,
    placed: Vec<OrderRequest>,
}

impl Pair {
    fn new(n: usize) -> Self {
        let mut config = engine_config(vec![linear(0)]);
        let bare = AccountConfig { balances: Vec::new(), ..account() };
        config.accounts = vec![bare.clone(), bare];
        config.strategies = vec![strategy(0, 1), strategy(1, 1)];
        let strings = [Strings::default(), Strings::default()];
        let puppets = strings.iter().map(Strings::puppet).collect();
        let engine = Engine::new(&config, puppets).unwrap();
        let mut pair = Self { engine, seq: 0, placed: Vec::new() };
        let data = MarketData::Clear { seq: 0 };
        let clear = MarketEvent { venue_at: AT, received_at: AT, instrument: INSTRUMENT, data };
        pair.handle(&Event::Market(clear));
        pair.handle(&level(0, AT.0, Side::Buy, 99, 50));
        pair.handle(&level(0, AT.0, Side::Sell, 101, 50));
        for (id, (own, side)) in (0..).zip(strings.iter().zip([Side::Buy, Side::Sell]).take(n)) {
            pair.handle(&Event::Command(Command::Start(StrategyId(id))));
            own.place(OrderSpec::limit(INSTRUMENT, side, Price(100), Quantity(5)));
            pair.handle(&level(0, AT.0, Side::Buy, 98, i64::from(id) + 1));
        }
        assert_eq!(pair.placed.len(), n);
        pair
    }

    fn handle(&mut self, event: &Event) {
        let mut effects = Engine::effects();
        self.seq += 1;
        self.engine.handle(Seq(self.seq), AT, event, &mut effects);
        let sent = effects.as_slice().iter().filter_map(|effect| match effect {
            Effect::Send(request) => Some(**request),
            _ => None,
        });
        self.placed.extend(sent);
    }

    fn report(&mut self, n: usize, kind: ReportKind) {
        let (order, account) = (self.placed[n].id(), self.placed[n].account());
        self.handle(&Event::Execution(ExecutionReport {
            order,
            account,
            instrument: INSTRUMENT,
            venue_at: AT,
            received_at: AT,
            kind,
        }));
    }

    /// Returns the gateway that a new process has of an account.
    fn gateway(&self, account: u16) -> Gateway {
        let instruments = [linear(0)];
        let listing = Listing::new(instruments[0].spec.venue, &instruments, &[]);
        let options = GatewayOptions { has_positions: true, ..GatewayOptions::default() };
        Gateway::new(AccountId(account), listing, options, &self.engine.snapshot(), AT)
    }

    /// Returns the venue's word of the execution for the nth order.
    fn fill(&self, n: usize, side: Side) -> News {
        News::Fill(FillNews {
            key: Some(OrderKey::first(self.placed[n].id())),
            venue_order_id: VenueText::from("11").unwrap(),
            instrument: INSTRUMENT,
            trade_id: TRADE,
            side,
            price: Price(100),
            qty: Quantity(5),
            role: Role::Taker,
            fee: Decimal::ZERO,
            fee_asset: None,
            venue_at: AT,
        })
    }
}

fn fills(out: &GatewayOut) -> usize {
    let is_fill = |event: &&Event| {
        matches!(event, Event::Execution(ExecutionReport { kind: ReportKind::Fill(_), .. }))
    };
    out.events.iter().filter(is_fill).count()
}

/// The executions that the state had of all accounts were taken for those of each: where the orders of two
/// had met, the fill of the second was dropped after a restart as one that was counted before.
#[test]
fn what_another_account_has_traded_is_not_counted_yet() {
    let mut pair = Pair::new(2);
    pair.report(0, ReportKind::Accepted { venue_order_id: 10 });
    pair.report(1, ReportKind::Accepted { venue_order_id: 11 });
    let (price, qty, role) = (Price(100), Quantity(5), Role::Maker);
    let (fee, fee_asset) = (Decimal::ZERO, AssetId(1));
    let fill = Fill { trade_id: TRADE, price, qty, role, fee, fee_asset };
    pair.report(0, ReportKind::Fill(fill));
    // The process ends before the other account has heard of it.
    let mut out = GatewayOut::default();
    let mut other = pair.gateway(1);
    other.news(&News::Online, AT, &mut out);
    other.news(&pair.fill(1, Side::Sell), AT, &mut out);
    assert_eq!(fills(&out), 1, "{out:?}");
    // The account that has counted it does not do so again.
    let mut out = GatewayOut::default();
    let mut first = pair.gateway(0);
    first.news(&News::Online, AT, &mut out);
    first.news(&pair.fill(0, Side::Buy), AT, &mut out);
    assert_eq!(fills(&out), 0, "{out:?}");
}

/// What an account begins with was told as a difference because its neighbour had traded.
#[test]
fn an_account_begins_for_the_first_time_by_itself() {
    let pair = Pair::new(1);
    assert!(!pair.gateway(0).is_first);
    assert!(pair.gateway(1).is_first);
}

/// Two orders of one account that meet have one execution at the venue, and a fill each.
#[test]
fn an_account_that_trades_with_itself_counts_both_sides() {
    let mut trades = Trades::default();
    for side in [Side::Buy, Side::Sell] {
        assert!(trades.insert(INSTRUMENT, side, TRADE));
        assert!(!trades.insert(INSTRUMENT, side, TRADE));
    }
}
