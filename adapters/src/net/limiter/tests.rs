//! Budgets against a count by hand, and each rule by itself.

use std::time::Instant;

use tercel_core::Nanos;

use super::*;
use crate::net::random::Random;
use crate::protocol::CallId;

const fn limit(kind: LimitKind, scope: LimitScope, interval_ms: u64, max: u32) -> Limit {
    Limit { kind, scope, interval_ms, max }
}

/// What Binance grants on spot.
const BINANCE: [Limit; 5] = [
    limit(LimitKind::Weight, LimitScope::Address, 60_000, 6_000),
    limit(LimitKind::Requests, LimitScope::Address, 300_000, 61_000),
    limit(LimitKind::Connections, LimitScope::Address, 300_000, 300),
    limit(LimitKind::Orders, LimitScope::Account, 10_000, 100),
    limit(LimitKind::Orders, LimitScope::Account, 86_400_000, 200_000),
];

const fn cost(weight: u32, orders: u32, priority: Priority) -> Cost {
    Cost { weight, orders, priority }
}

fn priority(random: &mut Random) -> Priority {
    let all = [Priority::Cancel, Priority::Order, Priority::Query, Priority::Bulk];
    all[usize::try_from(random.between(0, 3)).unwrap()]
}

/// The most that was granted in any window of `interval_ns`, counted by hand.
fn most_in_window(granted: &[(Nanos, u32)], interval_ns: i64) -> u64 {
    let (mut most, mut sum, mut first) = (0, 0_u64, 0);
    for &(at, amount) in granted {
        sum += u64::from(amount);
        while granted[first].0.plus(interval_ns) <= at {
            sum -= u64::from(granted[first].1);
            first += 1;
        }
        most = most.max(sum);
    }
    most
}

#[test]
fn no_window_of_any_budget_is_ever_exceeded_and_none_is_left_unused() {
    for seed in 0..400 {
        let mut random = Random::new(seed);
        let interval_ms = [100, 1_000, 1_001, 10_000, 60_000][usize::try_from(seed % 5).unwrap()];
        let weight_max = u32::try_from(random.between(20, 400)).unwrap();
        let orders_max = u32::try_from(random.between(1, 50)).unwrap();
        let limiter = Limiter::new(&[
            limit(LimitKind::Weight, LimitScope::Address, interval_ms, weight_max),
            limit(LimitKind::Orders, LimitScope::Account, interval_ms * 3, orders_max),
        ]);
        let budgets = [limiter.account(), limiter.account()];
        let interval_ns = i64::try_from(interval_ms).unwrap() * 1_000_000;
        let mut now = Nanos(1_700_000_000 * Nanos::SECOND);
        let mut weights = Vec::new();
        let mut orders = [Vec::new(), Vec::new()];
        for _ in 0..3_000 {
            // Bursts and pauses; clocks of several threads disagree a little.
            now = now.plus(match random.between(0, 9) {
                0 => random.between(0, interval_ns),
                1 => -random.between(0, 1_000),
                _ => random.between(0, interval_ns / 200),
            });
            let account = usize::try_from(random.between(0, 1)).unwrap();
            let weight = u32::try_from(random.between(1, 12)).unwrap();
            let n_orders = u32::try_from(random.between(0, 2)).unwrap();
            let priority = priority(&mut random);
            let asked = budgets[account].take(&cost(weight, n_orders, priority), now);
            match asked {
                Ok(()) => {
                    let at = weights.last().map_or(now, |&(last, _): &(Nanos, _)| last.max(now));
                    weights.push((at, weight));
                    orders[account].push((at, n_orders));
                }
                Err(refusal) => assert!(refusal.until > now, "{refusal:?} at {now:?}"),
            }
        }
        let most = most_in_window(&weights, interval_ns);
        assert!(most <= u64::from(weight_max), "seed {seed}: {most} of {weight_max}");
        for own in &orders {
            let most = most_in_window(own, interval_ns * 3);
            assert!(most <= u64::from(orders_max), "seed {seed}: {most} of {orders_max}");
        }
        // A window of the venue's own, wherever it begins, is one of any.
        assert!(weights.len() > 200, "seed {seed}: {}", weights.len());
    }
}

#[test]
fn asking_again_when_told_to_is_granted() {
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let limiter = Limiter::new(&[
            limit(LimitKind::Weight, LimitScope::Address, 60_000, 100),
            limit(LimitKind::Requests, LimitScope::Address, 1_000, 5),
        ]);
        let budget = limiter.address();
        let mut now = Nanos(77 * Nanos::SECOND);
        for _ in 0..400 {
            let cost = cost(u32::try_from(random.between(1, 40)).unwrap(), 0, Priority::Query);
            if let Err(refusal) = budget.take(&cost, now) {
                now = refusal.until;
                assert_eq!(budget.take(&cost, now), Ok(()), "seed {seed}");
            }
            now = now.plus(random.between(0, 100_000_000));
        }
    }
}

#[test]
fn what_is_more_urgent_finds_room_that_the_rest_may_not_take() {
    let limiter = Limiter::new(&[limit(LimitKind::Weight, LimitScope::Address, 60_000, 100)]);
    let budget = limiter.address();
    let count = |priority| {
        (0..200).filter(|_| budget.take(&cost(1, 0, priority), Nanos(1)).is_ok()).count()
    };
    assert_eq!(count(Priority::Bulk), 50);
    assert_eq!(count(Priority::Query), 25);
    assert_eq!(count(Priority::Order), 20);
    assert_eq!(count(Priority::Cancel), 5);
}

#[test]
fn a_request_dearer_than_its_share_goes_when_there_is_nothing_else() {
    let limiter = Limiter::new(&[limit(LimitKind::Weight, LimitScope::Address, 1_000, 100)]);
    let budget = limiter.address();
    let snapshot = cost(90, 0, Priority::Query);
    assert_eq!(budget.take(&snapshot, Nanos(0)), Ok(()));
    let refusal = budget.take(&snapshot, Nanos(1)).unwrap_err();
    assert!(refusal.until.0 >= Nanos::SECOND && refusal.until.0 < 2 * Nanos::SECOND);
    assert_eq!(budget.take(&snapshot, refusal.until), Ok(()));
    let refusal = budget.take(&cost(101, 0, Priority::Cancel), refusal.until).unwrap_err();
    assert_eq!(refusal.until, Nanos(i64::MAX));
}

#[test]
fn orders_are_counted_by_account_and_weight_by_address() {
    let limiter = Limiter::new(&BINANCE);
    let (one, other) = (limiter.account(), limiter.account());
    let order = cost(1, 1, Priority::Order);
    let n = (0..200).filter(|_| one.take(&order, Nanos(5)).is_ok()).count();
    assert_eq!(n, 95, "five are left for what is more urgent");
    assert_eq!(other.take(&order, Nanos(5)), Ok(()));
    assert_eq!(one.take(&cost(1, 0, Priority::Cancel), Nanos(5)), Ok(()));
}

#[test]
fn what_the_venue_says_is_used_counts_and_never_frees() {
    let limiter = Limiter::new(&[limit(LimitKind::Weight, LimitScope::Address, 60_000, 100)]);
    let budget = limiter.address();
    let used = |used| Usage { kind: LimitKind::Weight, interval_ms: 60_000, used };
    budget.used(&used(90), Nanos(1));
    assert!(budget.take(&cost(11, 0, Priority::Cancel), Nanos(2)).is_err());
    assert_eq!(budget.take(&cost(10, 0, Priority::Cancel), Nanos(2)), Ok(()));
    budget.used(&used(3), Nanos(3));
    assert!(budget.take(&cost(1, 0, Priority::Cancel), Nanos(4)).is_err());
}

#[test]
fn after_a_rebuke_nothing_goes_and_repeated_ones_last_longer() {
    let limiter = Limiter::new(&BINANCE);
    let budget = limiter.account();
    let cancel = cost(1, 0, Priority::Cancel);
    let mut now = Nanos(0);
    budget.rebuked(Rebuke::TooMany, Some(7), now);
    assert_eq!(budget.take(&cancel, now).unwrap_err().until, Nanos(7 * Nanos::SECOND));
    // Answers to what was under way already say the same and count once.
    budget.rebuked(Rebuke::TooMany, None, Nanos(1));
    assert!(budget.take_connection(now).is_err());
    now = limiter.silent_until();
    assert_eq!(budget.take(&cancel, now), Ok(()));
    let mut waits = Vec::new();
    for _ in 0..4 {
        budget.rebuked(Rebuke::TooMany, None, now);
        waits.push((limiter.silent_until().0 - now.0) / Nanos::SECOND);
        now = limiter.silent_until();
    }
    assert_eq!(waits, [10, 20, 40, 80]);
    budget.forgiven(now);
    budget.rebuked(Rebuke::Banned, None, now);
    assert_eq!(limiter.silent_until().0 - now.0, 120 * Nanos::SECOND);
}

#[test]
fn endpoints_have_budgets_of_their_own() {
    // Bitget: ten orders a second by account, twenty tickers a second by address.
    let endpoints = [
        EndpointLimit {
            method: Some(Method::Post),
            path: "/api/v2/spot/trade/place-order",
            limit: limit(LimitKind::Requests, LimitScope::Account, 1_000, 10),
        },
        EndpointLimit {
            method: None,
            path: "/api/v2/spot/market/tickers",
            limit: limit(LimitKind::Requests, LimitScope::Address, 1_000, 20),
        },
    ];
    let overall = [limit(LimitKind::Requests, LimitScope::Address, 60_000, 6_000)];
    let limiter = Limiter::with(&overall, &endpoints, Shares::default());
    let budgets = [limiter.account(), limiter.account()];
    let call = |method, path: &str| Call {
        id: CallId(1),
        method,
        url: format!("https://api.bitget.com{path}?symbol=BTCUSDT"),
        headers: Vec::new(),
        body: Vec::new(),
        cost: cost(1, 0, Priority::Cancel),
        expires_at: Nanos(i64::MAX),
    };
    let count = |budget: &Budget, call: &Call| {
        (0..50).filter(|_| budget.take_call(call, Nanos(9)).is_ok()).count()
    };
    let place = call(Method::Post, "/api/v2/spot/trade/place-order");
    let tickers = call(Method::Get, "/api/v2/spot/market/tickers");
    let other = call(Method::Get, "/api/v2/spot/trade/place-order");
    assert_eq!(count(&budgets[0], &place), 10);
    assert_eq!(count(&budgets[1], &place), 10);
    assert_eq!(count(&budgets[0], &tickers) + count(&budgets[1], &tickers), 20);
    assert_eq!(count(&budgets[0], &other), 50);
}

#[test]
fn limits_told_later_take_the_place_of_the_first_and_keep_the_count() {
    let limiter = Limiter::new(&BINANCE);
    let account = limiter.account();
    assert_eq!(account.take(&cost(50, 0, Priority::Cancel), Nanos(1)), Ok(()));
    limiter.grant(&[limit(LimitKind::Weight, LimitScope::Address, 60_000, 60)]);
    assert!(account.take(&cost(11, 0, Priority::Cancel), Nanos(1)).is_err());
    assert_eq!(account.take(&cost(10, 0, Priority::Cancel), Nanos(1)), Ok(()));
    let n = (0..400).filter(|_| account.take_connection(Nanos(1)).is_ok()).count();
    assert_eq!(n, 300, "connections were not named, so they stay");
}

#[test]
fn the_limits_of_every_venue_can_be_said() {
    use LimitKind::{Connections, Orders, Requests, Weight};
    use LimitScope::{Account, Address};
    let venues: [(&str, &[Limit], &[EndpointLimit]); 7] = [
        ("binance", &BINANCE, &[]),
        ("bybit", &[limit(Requests, Address, 5_000, 600), limit(Orders, Account, 1_000, 10)], &[]),
        (
            "bitget",
            &[limit(Requests, Address, 60_000, 6_000), limit(Connections, Address, 300_000, 300)],
            &[],
        ),
        (
            "gate",
            &[],
            &[EndpointLimit {
                method: None,
                path: "/api/v4/spot/order_book",
                limit: limit(Requests, Address, 10_000, 200),
            }],
        ),
        (
            "mexc",
            &[],
            &[EndpointLimit {
                method: Some(Method::Get),
                path: "/api/v3/depth",
                limit: limit(Weight, Address, 10_000, 500),
            }],
        ),
        ("nobitex", &[limit(Orders, Account, 600_000, 300)], &[]),
        ("wallex", &[limit(Requests, Address, 1_000, 100)], &[]),
    ];
    for (name, limits, endpoints) in venues {
        let limiter = Limiter::with(limits, endpoints, Shares::default());
        let order = cost(1, 1, Priority::Order);
        assert_eq!(limiter.account().take(&order, Nanos(0)), Ok(()), "{name}");
    }
}

/// Not a limit of speed but of kind: a lock that is waited for, or a walk through history, would
/// show as microseconds.
#[test]
fn taking_costs_little() {
    let budget = Limiter::new(&BINANCE).account();
    let order = cost(1, 1, Priority::Order);
    let n = 200_000_i64;
    let begun = Instant::now();
    let mut granted = 0_u32;
    for step in 0..n {
        granted += u32::from(budget.take(&order, Nanos(step * 200_000_000)).is_ok());
    }
    let ns = begun.elapsed().as_nanos() / u128::try_from(n).unwrap();
    println!("{ns} ns for a take of four budgets");
    assert!(granted > 100_000);
    assert!(ns < 20_000, "{ns} ns");
}
