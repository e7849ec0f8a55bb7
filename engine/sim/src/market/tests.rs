//! Whether the seeded market is reproducible, well-formed, and looks like one.

use tercel_core::{
    BookState, Digest, Event, MarketData, MarketEvent, Nanos, OrderBook, Price, Quantity, Side,
};

use super::{SeededBars, SeededMarket, SeededMarketConfig};

#[derive(Default, Debug)]
struct Facts {
    events: u64,
    trades: u64,
    levels: u64,
    batches: u64,
    marks: u64,
    fundings: u64,
    quotes: u64,
    spreads: std::collections::BTreeMap<i64, u64>,
    n_levels: (usize, usize),
    depths: Vec<i64>,
    touch: Vec<i64>,
    signs: Vec<i8>,
    sizes: Vec<i64>,
    gaps_ms: Vec<i64>,
    minute_mids: Vec<i64>,
    second_mids: Vec<i64>,
}

fn all(config: &SeededMarketConfig) -> Vec<MarketEvent> {
    let mut market = SeededMarket::new(config.clone()).unwrap();
    let mut events = Vec::new();
    while market.read_block(10_000, &mut events) > 0 {}
    events
        .into_iter()
        .map(|event| match event {
            Event::Market(event) => event,
            other => panic!("not market data: {other:?}"),
        })
        .collect()
}

fn facts(events: &[MarketEvent]) -> Facts {
    let mut facts = Facts { n_levels: (usize::MAX, 0), ..Facts::default() };
    let mut book = OrderBook::new();
    let (mut venue_at, mut received_at) = (Nanos(0), Nanos(0));
    let mut last_trade_at = None;
    for event in events {
        facts.events += 1;
        assert!(event.venue_at >= venue_at && event.received_at >= received_at, "time goes on");
        (venue_at, received_at) = (event.venue_at, event.received_at);
        let latency = event.received_at.since(event.venue_at);
        assert!((500_000..=3_000_000).contains(&latency), "latency of {latency} ns");
        match event.data {
            MarketData::Clear { seq } => book.clear(seq),
            MarketData::Batch { prev, seq } => {
                facts.batches += 1;
                assert_eq!(prev, book.seq(), "no gap");
                assert!(seq > prev);
                book.begin(prev, seq).unwrap();
            }
            MarketData::Level { side, price, qty, last } => {
                facts.levels += 1;
                assert!(qty.0 >= 0);
                book.set(side, price, qty);
                if last {
                    book.end().unwrap_or_else(|cause| panic!("{cause:?} at {venue_at}"));
                    observe(&book, venue_at, &mut facts);
                }
            }
            MarketData::Trade { aggressor, price, qty, id } => {
                facts.trades += 1;
                assert_eq!(id, facts.trades);
                let side = aggressor.unwrap();
                let offered = book.qty_at(side.opposite(), price);
                assert!(qty.0 > 0 && price.0 > 0, "{qty} at {price}, {offered} offered");
                facts.signs.push(if side == Side::Buy { 1 } else { -1 });
                facts.sizes.push(qty.0);
                if let Some(last) = last_trade_at {
                    facts.gaps_ms.push(venue_at.since(last) / Nanos::MILLI);
                }
                last_trade_at = Some(venue_at);
            }
            MarketData::Quote { bid_px, ask_px, .. } => {
                facts.quotes += 1;
                assert!(bid_px < ask_px);
            }
            MarketData::Mark { .. } => facts.marks += 1,
            MarketData::Funding { .. } => facts.fundings += 1,
            MarketData::Bar { .. } | MarketData::BookOrder { .. } => panic!("{event:?}"),
        }
    }
    assert_eq!(book.state(), BookState::Live);
    facts
}

fn observe(book: &OrderBook, at: Nanos, facts: &mut Facts) {
    let (bid, ask) = (book.best(Side::Buy).unwrap(), book.best(Side::Sell).unwrap());
    *facts.spreads.entry(ask.price.0 - bid.price.0).or_default() += 1;
    for side in [Side::Buy, Side::Sell] {
        let n = book.n_levels(side);
        facts.depths.push(i64::try_from(n).unwrap());
        facts.n_levels = (facts.n_levels.0.min(n), facts.n_levels.1.max(n));
    }
    facts.touch.push(bid.qty.0);
    let mid = bid.price.0 + ask.price.0;
    let start = 1_736_143_200 * Nanos::SECOND;
    let fill = |mids: &mut Vec<i64>, span: i64| {
        let n = usize::try_from((at.0 - start) / span).unwrap();
        if mids.len() <= n {
            mids.resize(n + 1, mid);
        }
    };
    fill(&mut facts.minute_mids, Nanos::MINUTE);
    fill(&mut facts.second_mids, Nanos::SECOND);
}

fn annual_volatility(mids: &[i64], per_year: f64) -> f64 {
    let returns: Vec<f64> = mids.windows(2).map(|w| (w[1] as f64 / w[0] as f64).ln()).collect();
    let mean_square = returns.iter().map(|r| r * r).sum::<f64>() / returns.len() as f64;
    (mean_square * per_year).sqrt()
}

fn autocorrelation(signs: &[i8], lag: usize) -> f64 {
    let mean = signs.iter().map(|s| f64::from(*s)).sum::<f64>() / signs.len() as f64;
    let at = |n: usize| f64::from(signs[n]) - mean;
    let product: f64 = (0..signs.len() - lag).map(|n| at(n) * at(n + lag)).sum();
    product / (0..signs.len()).map(|n| at(n) * at(n)).sum::<f64>()
}

fn quantile(values: &[i64], q: f64) -> i64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let n = sorted.len() - 1;
    sorted[(0..=n).find(|rank| *rank as f64 >= n as f64 * q).unwrap_or(n)]
}

fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

fn in_bounds(what: &str, value: f64, bounds: std::ops::RangeInclusive<f64>) {
    assert!(bounds.contains(&value), "{what} is {value}, expected {bounds:?}");
}

/// Realism in numbers, on two hours of the default market and of another seed. The bounds are those of liquid
/// crypto perpetuals, with room for seeds; `facts` checks on the way that nothing is malformed.
#[test]
fn the_market_looks_like_a_liquid_perpetual() {
    for seed in 1..=2 {
        let duration_ns = 130 * Nanos::MINUTE;
        let config = SeededMarketConfig { seed, duration_ns, ..SeededMarketConfig::default() };
        let facts = facts(&all(&config));
        let n_books = facts.spreads.values().sum();
        let within_three = facts.spreads.range(..=3).map(|(_, n)| n).sum();
        in_bounds("events", facts.events as f64, 0.9e6..=2e6);
        in_bounds("share of trades", share(facts.trades, facts.events), 0.05..=0.10);
        in_bounds("levels a message", share(facts.levels, facts.batches), 3.0..=10.0);
        in_bounds("spread of 1 to 3 ticks", share(within_three, n_books), 0.85..=0.99);
        in_bounds("spread of 1 tick", share(facts.spreads[&1], n_books), 0.6..=0.95);
        assert!(*facts.spreads.keys().last().unwrap() < 500, "{:?}", facts.spreads);
        in_bounds("fewest levels a side", facts.n_levels.0 as f64, 30.0..=160.0);
        in_bounds("median levels a side", quantile(&facts.depths, 0.5) as f64, 80.0..=160.0);
        in_bounds("levels in thin moments", quantile(&facts.depths, 0.01) as f64, 50.0..=160.0);
        let (touch, size) = (quantile(&facts.touch, 0.5), quantile(&facts.sizes, 0.5));
        in_bounds("touch in median trades", touch as f64 / size as f64, 5.0..=40.0);
        // Heavy tails: the hundredth largest trade is many times the median.
        let large = quantile(&facts.sizes, 0.99) as f64 / size as f64;
        in_bounds("large trades in median ones", large, 10.0..=100.0);
        // Clusters: a Poisson stream would have a 95th percentile of 4.3 times its median gap.
        let gaps = [0.5, 0.95].map(|q| quantile(&facts.gaps_ms, q) as f64);
        in_bounds("gaps of trades", gaps[1] / gaps[0], 5.0..=20.0);
        in_bounds("volatility", annual_volatility(&facts.minute_mids, 525_600.0), 0.35..=1.0);
        in_bounds("of seconds", annual_volatility(&facts.second_mids, 31_536_000.0), 0.35..=1.0);
        for (lag, bounds) in [(1, 0.2..=0.6), (10, 0.1..=0.5), (100, 0.01..=0.3)] {
            in_bounds("correlation of sides", autocorrelation(&facts.signs, lag), bounds);
        }
        assert_eq!((facts.marks, facts.fundings, facts.quotes), (7_800, 1, 0));
    }
}

#[test]
fn a_seed_means_the_same_events_for_ever() {
    let digest_of = |events: &[MarketEvent]| {
        let mut digest = Digest::new();
        for event in events {
            digest.bytes(format!("{event:?}").as_bytes());
        }
        (events.len(), digest.value())
    };
    let config =
        SeededMarketConfig { duration_ns: 5 * Nanos::MINUTE, ..SeededMarketConfig::default() };
    let plain = all(&config);
    let with_quotes = SeededMarketConfig { seed: 2, quotes: true, ..config };
    let month = SeededMarketConfig { duration_ns: 30 * Nanos::DAY, ..Default::default() };
    let bars: Vec<_> = SeededBars::new(month).unwrap().collect();
    let digests = [digest_of(&plain), digest_of(&all(&with_quotes)), digest_of(&bars)];
    // A change here is a change of every number that a seeded run has ever printed.
    let expected = [
        (52_812, 11_340_503_622_709_221_280),
        (63_073, 1_660_357_067_708_227_282),
        (43_200, 5_930_695_271_254_912_177),
    ];
    assert_eq!(digests, expected);
}

#[test]
fn block_sizes_do_not_matter() {
    let config = SeededMarketConfig { duration_ns: Nanos::MINUTE, ..SeededMarketConfig::default() };
    let mut market = SeededMarket::new(config.clone()).unwrap();
    let (mut block, mut events) = (Vec::new(), Vec::new());
    while market.read_block(1, &mut block) > 0 {
        events.append(&mut block);
    }
    assert!(events.into_iter().eq(all(&config).into_iter().map(Event::Market)));
}

#[test]
fn quotes_are_the_touch_of_the_book_that_follows() {
    let config = SeededMarketConfig {
        duration_ns: Nanos::MINUTE,
        quotes: true,
        ..SeededMarketConfig::default()
    };
    let events = all(&config);
    assert!(facts(&events).quotes > 100);
    let (mut book, mut pending) = (OrderBook::new(), None);
    for event in &events {
        match event.data {
            MarketData::Clear { seq } => book.clear(seq),
            MarketData::Batch { prev, seq } => book.begin(prev, seq).unwrap(),
            MarketData::Quote { bid_px, bid_qty, ask_px, ask_qty, .. } => {
                let (bid, ask) = ((bid_px, bid_qty), (ask_px, ask_qty));
                pending = Some([(Side::Buy, bid), (Side::Sell, ask)]);
            }
            MarketData::Level { side, price, qty, last } => {
                book.set(side, price, qty);
                if let Some(quote) = pending.take_if(|_| last) {
                    for (side, touch) in quote {
                        let best = book.best(side).unwrap();
                        assert_eq!((best.price, best.qty), touch);
                    }
                }
            }
            _ => {}
        }
    }
}

#[test]
fn other_grids_and_sizes_are_markets_too() {
    for (start_price, typical_lots, levels) in [(50_000, 1, 20), (1 << 32, 1_000_000_000, 400)] {
        let config = SeededMarketConfig {
            start_price: Price(start_price),
            typical_lots,
            levels,
            duration_ns: 10 * Nanos::MINUTE,
            ..SeededMarketConfig::default()
        };
        assert!(facts(&all(&config)).trades > 1_000);
    }
}

#[test]
fn bars_hang_together_and_move_as_asked() {
    let config = SeededMarketConfig {
        duration_ns: 60 * Nanos::DAY,
        annual_volatility_pct: 60,
        ..SeededMarketConfig::default()
    };
    let bars: Vec<_> = SeededBars::new(config).unwrap().collect();
    assert_eq!(bars.len(), 60 * 1_440);
    let mut closes = Vec::new();
    for (n, event) in bars.iter().enumerate() {
        let MarketData::Bar { interval_ms: 60_000, bar } = event.data else { panic!("{event:?}") };
        assert!(bar.is_consistent() && bar.volume > Quantity(0), "{bar:?}");
        assert_eq!(event.venue_at.0 % Nanos::MINUTE, 0);
        assert!(n == 0 || event.venue_at.since(bars[n - 1].venue_at) == Nanos::MINUTE);
        assert!(closes.last().is_none_or(|close| *close == bar.open.0));
        closes.push(bar.close.0);
    }
    in_bounds("volatility", annual_volatility(&closes, 525_600.0), 0.4..=1.0);
}
