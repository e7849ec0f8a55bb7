//! Generated orders: the matching against a naive one, and money that is always accounted for.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use tercel_core::{Nanos, Side};
use tercel_exchange::{
    AccountId, CancelOnly, Exchange, Fixed, ListState, Listing, MarketId, NewConditional, NewOrder,
    OrderId, OrderKind, OrderStatus, Product, SelfTrade, TimeInForce, TriggerBy, Update,
};

const N_ACCOUNTS: usize = 3;
const MARKET: MarketId = MarketId(0);

fn listing(product: Product) -> Listing {
    let mut listing = Listing::by_name("BTCUSDT", product).unwrap();
    (listing.tick, listing.step) = (Fixed::ONE, Fixed::from_units(1_000_000));
    listing.start_price = Fixed::whole(1_000);
    listing.min_notional = Fixed::ZERO;
    (listing.max_conditional, listing.max_lists) = (1_000, 1_000);
    listing.max_orders = 10_000;
    listing
}

/// An exchange without a crowd, and its accounts.
fn exchange(product: Product) -> (Exchange, Vec<AccountId>) {
    let mut exchange = Exchange::new(Nanos(1), vec![(listing(product), None)]);
    let accounts: Vec<_> = (0..N_ACCOUNTS).map(|_| exchange.add_account()).collect();
    for account in &accounts {
        exchange.deposit(*account, "USDT", Fixed::whole(100_000)).unwrap();
        if product == Product::Spot {
            exchange.deposit(*account, "BTC", Fixed::whole(100)).unwrap();
        }
    }
    (exchange, accounts)
}

#[derive(Clone, Debug)]
enum Step {
    Place { account: usize, ask: NewOrder },
    Cancel { nth: usize },
    Amend { nth: usize, percent: i64 },
    Oco { account: usize, side: Side, qty: i64, near: i64, far: i64 },
    Otoco { account: usize, side: Side, qty: i64, price: i64 },
    Crowd { side: Side, price: i64, qty: i64 },
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Buy), Just(Side::Sell)]
}

fn lots(n: i64) -> Fixed {
    Fixed::from_units(i128::from(n) * 1_000_000)
}

fn plain_order(self_trade: SelfTrade) -> impl Strategy<Value = NewOrder> {
    let tif = prop_oneof![
        4 => Just(TimeInForce::Gtc),
        1 => Just(TimeInForce::Ioc),
        1 => Just(TimeInForce::Fok),
    ];
    (side(), 1_i64..300, 960_i64..1_040, tif, 0_u8..10, prop::bool::weighted(0.2)).prop_map(
        move |(side, qty, price, tif, kind, is_iceberg)| {
            let mut ask = NewOrder::limit(MARKET, side, lots(qty), Fixed::whole(price));
            (ask.tif, ask.self_trade) = (tif, self_trade);
            match kind {
                0 => {
                    ask = NewOrder::market(MARKET, side, lots(qty));
                    ask.self_trade = self_trade;
                }
                1 => (ask.kind, ask.tif) = (OrderKind::LimitMaker, TimeInForce::Gtc),
                _ if is_iceberg && ask.tif == TimeInForce::Gtc => {
                    ask.iceberg_qty = lots((qty / 4).max(3).min(qty));
                }
                _ => {}
            }
            ask
        },
    )
}

fn any_order() -> impl Strategy<Value = NewOrder> {
    let modes = prop_oneof![
        Just(SelfTrade::Allow),
        Just(SelfTrade::ExpireTaker),
        Just(SelfTrade::ExpireMaker),
        Just(SelfTrade::ExpireBoth),
        Just(SelfTrade::Decrement),
    ];
    let stop = (side(), 1_i64..300, 960_i64..1_040, 0_u8..4, 0_i64..2, 950_i64..1_050).prop_map(
        |(side, qty, stop, kind, trails, price)| {
            let mut ask = NewOrder::limit(MARKET, side, lots(qty), Fixed::ZERO);
            ask.kind = [
                OrderKind::StopLoss,
                OrderKind::StopLossLimit,
                OrderKind::TakeProfit,
                OrderKind::TakeProfitLimit,
            ][usize::from(kind)];
            ask.stop_price = Fixed::whole(stop);
            if !ask.kind.is_market() {
                ask.price = Fixed::whole(price);
            }
            ask.trail = Fixed::from_units(1_000_000).scaled(trails);
            ask
        },
    );
    let by_money = (side(), 1_i64..5_000).prop_map(|(side, money)| {
        let mut ask = NewOrder::market(MARKET, side, Fixed::ZERO);
        ask.quote_qty = Fixed::whole(money);
        ask
    });
    let plain = (plain_order(SelfTrade::Allow), modes).prop_map(|(mut ask, mode)| {
        ask.self_trade = mode;
        ask
    });
    prop_oneof![6 => plain, 2 => stop, 1 => by_money]
}

fn step() -> impl Strategy<Value = Step> {
    let account = 0..N_ACCOUNTS;
    prop_oneof![
        10 => (account.clone(), any_order()).prop_map(|(account, ask)| Step::Place { account, ask }),
        3 => (0_usize..50).prop_map(|nth| Step::Cancel { nth }),
        2 => (0_usize..50, 1_i64..110).prop_map(|(nth, percent)| Step::Amend { nth, percent }),
        2 => (account.clone(), side(), 1_i64..200, 1_i64..30, 1_i64..30).prop_map(
            |(account, side, qty, near, far)| Step::Oco { account, side, qty, near, far }
        ),
        2 => (account, side(), 1_i64..200, 960_i64..1_040).prop_map(
            |(account, side, qty, price)| Step::Otoco { account, side, qty, price }
        ),
        4 => (side(), 950_i64..1_050, 1_i64..400).prop_map(
            |(side, price, qty)| Step::Crowd { side, price, qty }
        ),
    ]
}

fn open_ids(exchange: &Exchange, accounts: &[AccountId]) -> Vec<(AccountId, OrderId)> {
    let of = |account: &AccountId| {
        let account = *account;
        exchange.open_orders(account).map(move |order| (account, order.id)).collect::<Vec<_>>()
    };
    accounts.iter().flat_map(of).collect()
}

fn apply(exchange: &mut Exchange, accounts: &[AccountId], step: &Step) {
    let last = exchange.market(MARKET).last_price;
    let pair = |side: Side, qty: i64, near: i64, far: i64| {
        let mut gain = NewOrder::limit(MARKET, side, lots(qty), Fixed::ZERO);
        let mut stop = gain.clone();
        let sign = if side == Side::Sell { 1 } else { -1 };
        gain.kind = OrderKind::LimitMaker;
        gain.price = last + Fixed::whole(sign * near);
        stop.kind = OrderKind::StopLossLimit;
        stop.stop_price = last - Fixed::whole(sign * far);
        stop.price = stop.stop_price - Fixed::whole(sign * 5);
        if side == Side::Sell { (gain, stop) } else { (stop, gain) }
    };
    match step {
        // What is refused must have changed nothing: the checks after each step see to that.
        Step::Place { account, ask } => {
            let _ = exchange.place(accounts[*account], ask.clone());
        }
        Step::Cancel { nth } => {
            let open = open_ids(exchange, accounts);
            if let Some((account, id)) = open.get(nth % open.len().max(1)) {
                exchange.cancel(*account, *id, CancelOnly::Any, None).unwrap();
            }
        }
        Step::Amend { nth, percent } => {
            let open = open_ids(exchange, accounts);
            if let Some((account, id)) = open.get(nth % open.len().max(1)) {
                let qty = exchange.order(*id).unwrap().ask.qty;
                let qty = qty.scaled(*percent).divided(100).floor_to(lots(1));
                let _ = exchange.amend(*account, *id, qty, None);
            }
        }
        Step::Oco { account, side, qty, near, far } => {
            let (above, below) = pair(*side, *qty, *near, *far);
            let _ = exchange.place_oco(accounts[*account], String::new(), above, below);
        }
        Step::Otoco { account, side, qty, price } => {
            let working = NewOrder::limit(MARKET, *side, lots(*qty), Fixed::whole(*price));
            let (above, below) = pair(side.opposite(), *qty, 20, 20);
            let pending = vec![above, below];
            let _ = exchange.place_oto(accounts[*account], String::new(), working, pending);
        }
        Step::Crowd { side, price, qty } => {
            exchange.crowd_trade(MARKET, *side, Fixed::whole(*price), lots(*qty));
        }
    }
}

/// All money of an asset, wherever it is.
fn all_money(exchange: &Exchange, asset: &str) -> Fixed {
    let house = exchange.house().get(asset).copied().unwrap_or_default();
    let crowd = exchange.account(AccountId::CROWD).balance(asset).total();
    let held: Fixed = exchange.accounts().map(|(_, held)| held.balance(asset).total()).sum();
    house + crowd + held
}

fn check_spot(exchange: &Exchange, accounts: &[AccountId]) -> Result<(), TestCaseError> {
    let n = i64::try_from(N_ACCOUNTS).unwrap();
    prop_assert_eq!(all_money(exchange, "USDT"), Fixed::whole(100_000 * n));
    prop_assert_eq!(all_money(exchange, "BTC"), Fixed::whole(100 * n));
    for account in accounts {
        let mut locked: BTreeMap<&str, Fixed> = BTreeMap::new();
        for order in exchange.open_orders(*account) {
            let asset = if order.ask.side == Side::Buy { "USDT" } else { "BTC" };
            *locked.entry(asset).or_default() += order.locked;
            prop_assert!(order.filled <= order.ask.qty || order.ask.qty.is_zero());
        }
        for list in exchange.lists_of(*account) {
            let is_open =
                list.orders.iter().any(|id| exchange.order(*id).unwrap().status.is_open());
            prop_assert_eq!(list.state == ListState::Executing, is_open);
            let first = exchange.order(list.orders[list.orders.len() - 1]).unwrap();
            let asset = if first.ask.side == Side::Buy { "USDT" } else { "BTC" };
            *locked.entry(asset).or_default() += list.locked();
        }
        for asset in ["USDT", "BTC"] {
            let balance = exchange.account(*account).balance(asset);
            prop_assert!(balance.free >= Fixed::ZERO && balance.locked >= Fixed::ZERO);
            let expected = locked.get(asset).copied().unwrap_or_default();
            prop_assert_eq!(balance.locked, expected, "locked {} of {:?}", asset, account);
        }
    }
    let book = &exchange.market(MARKET).book;
    if let (Some(bid), Some(ask)) = (book.best(Side::Buy), book.best(Side::Sell)) {
        prop_assert!(bid < ask, "the book is crossed at {:?} {:?}", bid, ask);
    }
    for side in [Side::Buy, Side::Sell] {
        for (price, resting) in book.orders(side) {
            let order = exchange.order(resting.id).unwrap();
            prop_assert!(order.status.is_open() && order.is_working);
            prop_assert_eq!((order.ask.price, order.remaining()), (price, resting.total()));
        }
    }
    Ok(())
}

/// What rests and in which order, done as simply as possible.
#[derive(Default)]
struct Naive {
    /// Number, side, price, visible, hidden, slice; the oldest first.
    resting: Vec<(OrderId, Side, Fixed, Fixed, Fixed, Fixed)>,
}

impl Naive {
    /// Trades an order and lets it rest; returns its trades: with whom, price, quantity.
    fn place(&mut self, id: OrderId, ask: &NewOrder) -> Vec<(OrderId, Fixed, Fixed)> {
        let is_market = ask.kind == OrderKind::Market;
        let fits = |price: Fixed| {
            is_market
                || match ask.side {
                    Side::Buy => price <= ask.price,
                    Side::Sell => price >= ask.price,
                }
        };
        let mut left = ask.qty;
        let there: Fixed = self
            .resting
            .iter()
            .filter(|(_, side, price, ..)| *side != ask.side && fits(*price))
            .map(|(.., visible, hidden, _)| *visible + *hidden)
            .sum();
        let mut trades = Vec::new();
        if ask.tif == TimeInForce::Fok && there < left {
            return trades;
        }
        while left.is_positive() {
            let candidates =
                self.resting.iter().enumerate().filter(|(_, r)| r.1 != ask.side && fits(r.2));
            // The first of the best: a stable minimum.
            let best = candidates
                .min_by_key(|(idx, r)| (if ask.side == Side::Buy { r.2 } else { -r.2 }, *idx));
            let Some((idx, _)) = best else { break };
            let maker = &mut self.resting[idx];
            let qty = left.min(maker.3);
            trades.push((maker.0, maker.2, qty));
            left -= qty;
            maker.3 -= qty;
            if maker.3.is_zero() {
                let mut done = self.resting.remove(idx);
                if done.4.is_positive() {
                    done.3 = done.5.min(done.4);
                    done.4 -= done.3;
                    self.resting.push(done);
                }
            }
        }
        if left.is_positive() && !is_market && ask.tif == TimeInForce::Gtc {
            let visible = if ask.iceberg_qty.is_zero() { left } else { left.min(ask.iceberg_qty) };
            self.resting.push((id, ask.side, ask.price, visible, left - visible, ask.iceberg_qty));
        }
        trades
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Price first, then time, slice by slice: the same trades as a search through a list.
    #[test]
    fn orders_trade_by_price_and_time(
        steps in prop::collection::vec(
            (0..N_ACCOUNTS, plain_order(SelfTrade::Allow), 0_u8..5), 1..120)
    ) {
        let (mut exchange, accounts) = exchange(Product::Spot);
        let mut naive = Naive::default();
        for (account, ask, action) in steps {
            if action == 0 {
                let open = open_ids(&exchange, &accounts);
                if let Some((account, id)) = open.last() {
                    exchange.cancel(*account, *id, CancelOnly::Any, None).unwrap();
                    naive.resting.retain(|resting| resting.0 != *id);
                }
            }
            exchange.drain_updates(&mut Vec::new());
            let Ok(id) = exchange.place(accounts[account], ask.clone()) else { continue };
            let mut updates = Vec::new();
            exchange.drain_updates(&mut updates);
            let trades: Vec<_> = updates
                .iter()
                .filter_map(|update| match update {
                    Update::Order(report) => report.fill.as_ref().filter(|fill| fill.is_maker),
                    _ => None,
                })
                .map(|fill| (fill.order, fill.price, fill.qty))
                .collect();
            prop_assert_eq!(trades, naive.place(id, &ask));
            let book = &exchange.market(MARKET).book;
            for side in [Side::Buy, Side::Sell] {
                let mut expected: Vec<_> =
                    naive.resting.iter().filter(|resting| resting.1 == side).collect();
                expected.sort_by_key(|r| if side == Side::Buy { -r.2 } else { r.2 });
                let expected: Vec<_> = expected.iter().map(|r| (r.0, r.2, r.3)).collect();
                let actual: Vec<_> =
                    book.orders(side).map(|(price, r)| (r.id, price, r.visible)).collect();
                prop_assert_eq!(actual, expected);
            }
        }
    }

    /// Whatever happens, no unit of money appears or vanishes, nothing is locked for nobody, and
    /// the book is the open orders.
    #[test]
    fn spot_money_is_accounted_for(steps in prop::collection::vec(step(), 1..150)) {
        let (mut exchange, accounts) = exchange(Product::Spot);
        for step in steps {
            apply(&mut exchange, &accounts, &step);
            if let Err(error) = check_spot(&exchange, &accounts) {
                return Err(TestCaseError::fail(format!("after {step:?}: {error}")));
            }
        }
    }

    /// On perpetuals what one position gains another loses, to the unit, but for fees.
    #[test]
    fn perpetual_money_is_accounted_for(
        steps in prop::collection::vec(
            (0..N_ACCOUNTS, any_order(), any::<bool>(), 940_i64..1_060, 0_u8..8), 1..120)
    ) {
        let (mut exchange, accounts) = exchange(Product::Perpetual);
        for (account, mut ask, reduce_only, price, action) in steps {
            ask.quote_qty = Fixed::ZERO;
            if ask.qty.is_zero() {
                ask.qty = lots(7);
            }
            ask.reduce_only = reduce_only && action > 4;
            let account = accounts[account];
            match action {
                0 => {
                    let price = Fixed::whole(price);
                    exchange.set_mark(MARKET, price, price);
                }
                1 => exchange.pay_funding(MARKET, Fixed::from_units(10_000)),
                2 if ask.kind.is_conditional() => {
                    let close_position = ask.kind.is_market();
                    let _ = exchange.place_conditional(account, NewConditional {
                        ask,
                        by: if reduce_only { TriggerBy::Mark } else { TriggerBy::Last },
                        close_position,
                        activate_price: Fixed::ZERO,
                        price_protect: false,
                    });
                }
                3 => {
                    let open = open_ids(&exchange, &accounts);
                    if let Some((account, id)) = open.first() {
                        let _ = exchange.modify(*account, *id, Fixed::whole(price), lots(9));
                    }
                }
                _ if ask.kind.is_conditional() => {}
                _ => {
                    let _ = exchange.place(account, ask);
                }
            }
            let mut owned = exchange.house().get("USDT").copied().unwrap_or_default();
            let mut net = Fixed::ZERO;
            for (id, held) in exchange.accounts() {
                owned += held.balance("USDT").free;
                for position in held.positions.values() {
                    owned -= position.cost;
                    net += position.qty;
                }
                let sum = exchange.margin(id, "USDT");
                prop_assert!(sum.available >= Fixed::ZERO);
            }
            prop_assert_eq!(net, Fixed::ZERO, "for each long there is a short");
            let n = i64::try_from(N_ACCOUNTS).unwrap();
            prop_assert_eq!(owned, Fixed::whole(100_000 * n));
            for account in &accounts {
                for order in exchange.open_orders(*account) {
                    prop_assert!(order.filled < order.ask.qty);
                    prop_assert!(order.status != OrderStatus::PendingNew);
                }
            }
        }
    }
}
