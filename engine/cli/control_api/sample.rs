//! The status of a server that has something of everything, for tests.

use super::*;

fn level(price: i64, quantity: &str) -> LevelStatus {
    LevelStatus { price: format!("{}.{}", price / 10, price % 10), quantity: quantity.to_owned() }
}

/// A server with two strategies, one of them faulted.
pub(crate) fn busy() -> Status {
    let quantities = ["0.512", "1.250", "0.031", "2.000", "0.750"];
    let side = |first: i64, step: i64| {
        let at = |n: usize| level(first + step * i64::try_from(n).unwrap(), quantities[n % 5]);
        (0..10).map(at).collect()
    };
    let text = str::to_owned;
    Status {
        run: 7,
        mode: text("paper"),
        version: text("0.1.0"),
        seq: 1_204_417,
        now_ns: 1_736_150_405_123_456_789,
        uptime_s: 93_784,
        state: TradingStateName::Reducing,
        engines: vec![EngineStatus {
            run: 7,
            seq: 1_204_417,
            now_ns: 1_736_150_405_123_456_789,
            state: TradingStateName::Reducing,
            strategies: vec![text("maker"), text("cross")],
            n_open_orders: 2,
            journal: JournalStatus { n_records: 5_216, n_durable: 5_209, failure: None },
            tape: TapeStatus { n_events: 1_199_201, n_dropped: 12 },
        }],
        accounts: vec![AccountStatus {
            name: text("main"),
            state: TradingStateName::Active,
            equity: text("100231.48"),
            pnl: text("231.48"),
            balances: vec![BalanceStatus {
                asset: text("USDT"),
                total: text("100200.11"),
                locked: text("60.00"),
            }],
        }],
        instruments: vec![InstrumentStatus {
            symbol: text("BTCUSDT"),
            is_live: true,
            bids: side(601_234, -1),
            asks: side(601_236, 2),
            last_trade: Some(TradeStatus {
                price: text("60123.6"),
                quantity: text("0.016"),
                side: text("buy"),
            }),
        }],
        positions: vec![PositionStatus {
            strategy: text("maker"),
            account: text("main"),
            symbol: text("BTCUSDT"),
            quantity: text("-0.120"),
            average_price: Some(text("60110.25")),
            unrealised: text("-1.61"),
            realised: text("233.09"),
            n_fills: 418,
        }],
        orders: vec![
            OrderStatus {
                id: text("7-4417"),
                strategy: text("maker"),
                account: text("main"),
                symbol: text("BTCUSDT"),
                side: text("buy"),
                kind: text("limit"),
                price: Some(text("60122.9")),
                quantity: text("0.050"),
                filled: text("0.010"),
                status: text("open"),
                age_ms: 1_250,
            },
            OrderStatus {
                id: text("7-4418"),
                strategy: text("maker"),
                account: text("main"),
                symbol: text("BTCUSDT"),
                side: text("sell"),
                kind: text("limit"),
                price: Some(text("60124.4")),
                quantity: text("0.050"),
                filled: text("0.000"),
                status: text("pending_cancel"),
                age_ms: 84_000,
            },
        ],
        n_open_orders: 2,
        strategies: vec![
            StrategyStatus {
                name: text("maker"),
                account: text("main"),
                script: text("imbalance_maker.luau"),
                hash: text("9f2c61d04be7"),
                generation: 3,
                state: TradingStateName::Active,
                is_running: true,
                fault: None,
                pnl: text("231.48"),
                orders_today: 4_418,
                fills_today: 418,
            },
            StrategyStatus {
                name: text("cross"),
                account: text("main"),
                script: text("ema_cross.rhai"),
                hash: text("07aa5be3c921"),
                generation: 1,
                state: TradingStateName::Halted,
                is_running: false,
                fault: Some(text("ema_cross.rhai:31: on_bar: division by zero")),
                pnl: text("0.00"),
                orders_today: 0,
                fills_today: 0,
            },
        ],
        limits: vec![LimitStatus {
            scope: text("strategy:maker"),
            engine: None,
            limit: text("open_orders"),
            used: text("2"),
            max: text("20"),
        }],
        links: vec![LinkStatus {
            name: text("seeded"),
            engine: None,
            is_up: true,
            failure: None,
            n_events: Some(1_199_201),
        }],
        rings: vec![RingStatus {
            name: text("market"),
            engine: None,
            capacity: 65_536,
            depth_max: 311,
            n_full: 0,
            n_dropped: 0,
        }],
        journal: JournalStatus { n_records: 5_216, n_durable: 5_209, failure: None },
        tape: TapeStatus { n_events: 1_199_201, n_dropped: 12 },
        log: LogStatus::default(),
        hooks: vec![
            HookStatus {
                strategy: text("maker"),
                hook: text("on_book"),
                count: 18_012,
                sum_ns: 2_161_440,
                p50_ns: 112,
                p99_ns: 431,
                p999_ns: 2_903,
                max_ns: 48_211,
            },
            HookStatus {
                strategy: text("cross"),
                hook: text("on_bar"),
                count: 12,
                sum_ns: 30_000,
                p50_ns: 2_410,
                p99_ns: 3_904,
                p999_ns: 3_904,
                max_ns: 3_904,
            },
        ],
        notices: vec![
            NoticeStatus {
                at_ns: 1_736_150_400_000_000_000,
                level: text("info"),
                text: text("maker: quotes 0.050 around 60123.5"),
            },
            NoticeStatus {
                at_ns: 1_736_150_401_500_000_000,
                level: text("error"),
                text: text("cross failed: ema_cross.rhai:31: on_bar: division by zero"),
            },
            NoticeStatus {
                at_ns: 1_736_150_402_250_000_000,
                level: text("warn"),
                text: text("engine is reducing: asked for"),
            },
        ],
    }
}

/// How an account's connection stands that cannot be had.
pub(crate) fn account_link() -> LinkStatus {
    LinkStatus {
        name: "account main".to_owned(),
        failure: Some("connection failed: connection refused".to_owned()),
        ..LinkStatus::default()
    }
}

/// The same server with a second account, that the second strategy trades.
pub(crate) fn two_accounts() -> Status {
    let mut status = busy();
    let name = "hedge".to_owned();
    status.accounts.push(AccountStatus {
        name: name.clone(),
        equity: "5000".to_owned(),
        pnl: "-12.5".to_owned(),
        ..AccountStatus::default()
    });
    status.strategies[1].account = name;
    status
}

/// The server with two accounts, each on an engine of its own.
pub(crate) fn two_engines() -> Status {
    let mut status = two_accounts();
    let first = &mut status.engines[0];
    first.strategies.truncate(1);
    let second = EngineStatus {
        run: 8,
        seq: 100,
        strategies: vec!["cross".to_owned()],
        journal: JournalStatus { n_records: 12, n_durable: 10, failure: None },
        ..EngineStatus::default()
    };
    status.engines.push(second);
    status.seq += 100;
    for (n, engine) in [(0, Some(1)), (1, Some(2))] {
        let (ring, link) = (status.rings[0].clone(), status.links[0].clone());
        status.rings.insert(n, RingStatus { engine, ..ring });
        status.links.insert(n, LinkStatus { engine, ..link });
        let limit = LimitStatus { scope: "engine".to_owned(), engine, ..status.limits[0].clone() };
        status.limits.push(limit);
    }
    status.rings.truncate(2);
    status.links.truncate(2);
    status
}
