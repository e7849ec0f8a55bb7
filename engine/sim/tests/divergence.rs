//! Pairing, attribution and fitting on generated orders, against what is obvious but slow.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use proptest::prelude::*;
use tercel_core::{
    AccountId, AssetId, ClientOrderId, ExecutionReport, Fill, Instrument, InstrumentId, Nanos,
    Notional, OrderRequest, OrderSpec, Price, Quantity, ReportKind, Role, Side, StrategyId,
};
use tercel_sim::divergence::{
    AnswerTime, Comparison, LatencyFit, Pair, RequestTime, Trail, Trails, pair,
};
use tercel_sim::market::SeededMarketConfig;
use tercel_sim::{LatencyModel, LatencySample};

const WITHIN: i64 = 1_000;

fn instrument() -> Instrument {
    Instrument::new(InstrumentId(0), SeededMarketConfig::btcusdt()).unwrap()
}

/// An order: when it is sent, at which price, how much, and what is filled of it at which price.
#[derive(Clone, Copy, Debug)]
struct Made {
    at: i64,
    price: i64,
    qty: i64,
    filled: i64,
    fill_price: i64,
}

fn trails(orders: &[Made]) -> Trails {
    let mut trails = Trails::new(vec![instrument()]);
    let (account, strategy, instrument) = (AccountId(0), StrategyId(0), InstrumentId(0));
    for (made, n) in orders.iter().zip(1..) {
        let id = ClientOrderId::new(1, n);
        let spec = OrderSpec::limit(instrument, Side::Buy, Price(made.price), Quantity(made.qty));
        let request = OrderRequest::New { id, account, strategy, spec };
        trails.sent(Nanos(made.at), &request, Some(Price(1_000)));
        let report = |kind| ExecutionReport {
            order: id,
            account,
            instrument,
            venue_at: Nanos(made.at + 10),
            received_at: Nanos(made.at + 30),
            kind,
        };
        trails.report(&report(ReportKind::Accepted { venue_order_id: n }));
        if made.filled > 0 {
            trails.report(&report(ReportKind::Fill(Fill {
                trade_id: n,
                price: Price(made.fill_price),
                qty: Quantity(made.filled),
                role: Role::Maker,
                fee: rust_decimal::Decimal::new(made.filled, 3),
                fee_asset: AssetId(1),
            })));
        }
    }
    trails
}

fn at(at: i64) -> Made {
    Made { at, price: 1_000, qty: 5, filled: 0, fill_price: 0 }
}

fn indices(pairs: &[Pair]) -> Vec<(Option<usize>, Option<usize>)> {
    pairs.iter().map(|pair| (pair.run, pair.simulated)).collect()
}

fn paired(run: &[Made], simulated: &[Made]) -> Vec<(Option<usize>, Option<usize>)> {
    let (run, simulated) = (trails(run), trails(simulated));
    indices(&pair(run.orders(), simulated.orders(), WITHIN))
}

#[test]
fn a_missing_order_leaves_the_others_their_counterparts() {
    let run = [at(0), at(100), at(200), at(300)];
    let simulated = [at(0), at(200), at(300)];
    let expected = [(Some(0), Some(0)), (Some(1), None), (Some(2), Some(1)), (Some(3), Some(2))];
    assert_eq!(paired(&run, &simulated), expected);
}

#[test]
fn of_two_orders_at_one_time_the_one_of_the_same_price_is_the_counterpart() {
    let other = Made { price: 990, ..at(100) };
    let expected = [(Some(0), None), (Some(1), Some(0))];
    assert_eq!(paired(&[other, at(100)], &[at(100)]), expected);
}

#[test]
fn what_was_sent_too_far_apart_is_no_pair() {
    assert_eq!(paired(&[at(0)], &[at(WITHIN)]), [(Some(0), None), (None, Some(0))]);
    assert_eq!(paired(&[at(0)], &[at(WITHIN - 1)]), [(Some(0), Some(0))]);
}

#[test]
fn only_orders_of_one_kind_are_pairs() {
    let run = trails(&[at(0)]);
    let mut sold = run.orders().to_vec();
    sold[0].spec.side = Side::Sell;
    let expected = [(Some(0), None), (None, Some(0))];
    assert_eq!(indices(&pair(run.orders(), &sold, WITHIN)), expected);
}

#[test]
fn the_causes_of_a_difference_are_told_apart() {
    let dear = Made { filled: 5, fill_price: 1_010, ..at(0) };
    let cheap = Made { fill_price: 1_000, ..dear };
    let few = Made { filled: 2, ..cheap };
    let compare = |run: &[Made], simulated: &[Made]| {
        let (run, simulated) = (trails(run), trails(simulated));
        let last = [Some(Price(1_100))];
        let found =
            Comparison::of(&[instrument()], &last, run.orders(), simulated.orders(), WITHIN);
        let shares = found.totals[&AssetId(1)].difference;
        [shares.prices, shares.quantities, shares.fees, shares.unpaired]
            .map(|amount| amount.to_string())
    };
    // A tick of a lot is 0.0001; a lot costs 0.001 of fees.
    assert_eq!(compare(&[dear], &[cheap]), ["-0.005", "0", "0", "0"]);
    assert_eq!(compare(&[few], &[cheap]), ["0", "-0.03", "0.003", "0"]);
    assert_eq!(compare(&[dear], &[few]), ["-0.002", "0.027", "-0.003", "0"]);
    assert_eq!(compare(&[few], &[]), ["0", "0", "0", "0.018"]);
    assert_eq!(compare(&[], &[few]), ["0", "0", "0", "-0.018"]);
}

/// What a pairing is worth, by the words of the module: as much as the bound for each pair, less the
/// time between, less an eighth of the bound for another price and another quantity each.
fn worth(run: &Trail, simulated: &Trail) -> Option<i64> {
    let mut worth = WITHIN - run.sent_at.since(simulated.sent_at).abs();
    if run.spec.kind != simulated.spec.kind {
        worth -= WITHIN / 8;
    }
    if run.spec.qty != simulated.spec.qty {
        worth -= WITHIN / 8;
    }
    (worth > 0).then_some(worth)
}

/// The most that any pairing without crossings is worth, by looking at all beginnings.
fn best(run: &[Trail], simulated: &[Trail]) -> i64 {
    let mut sums = vec![vec![0; simulated.len() + 1]; run.len() + 1];
    for i in 0..run.len() {
        for j in 0..simulated.len() {
            let both = worth(&run[i], &simulated[j]).map_or(0, |worth| sums[i][j] + worth);
            sums[i + 1][j + 1] = both.max(sums[i][j + 1]).max(sums[i + 1][j]);
        }
    }
    sums[run.len()][simulated.len()]
}

fn orders() -> impl Strategy<Value = Vec<Made>> {
    let order = (0..4_000_i64, 998..1_002_i64, 1..4_i64, 0..4_i64, 990..1_010_i64);
    proptest::collection::vec(order, 0..40).prop_map(|mut orders| {
        orders.sort_unstable();
        let made = |(at, price, qty, filled, fill_price): (i64, i64, i64, i64, i64)| Made {
            at,
            price,
            qty,
            filled: filled.min(qty),
            fill_price,
        };
        orders.into_iter().map(made).collect()
    })
}

proptest! {
    #[test]
    fn no_pairing_is_worth_more_and_none_crosses(run in orders(), simulated in orders()) {
        let (run, simulated) = (trails(&run), trails(&simulated));
        let (run, simulated) = (run.orders(), simulated.orders());
        let pairs = pair(run, simulated, WITHIN);
        let mut both: Vec<_> =
            pairs.iter().filter_map(|pair| Some((pair.run?, pair.simulated?))).collect();
        both.sort_unstable();
        prop_assert!(both.windows(2).all(|two| two[0].1 < two[1].1));
        let sum: i64 = both.iter().map(|(i, j)| worth(&run[*i], &simulated[*j]).unwrap()).sum();
        prop_assert_eq!(sum, best(run, simulated));
        let mut all: Vec<_> = pairs.iter().filter_map(|pair| pair.run).collect();
        all.sort_unstable();
        prop_assert_eq!(all, (0..run.len()).collect::<Vec<_>>());
        let mut all: Vec<_> = pairs.iter().filter_map(|pair| pair.simulated).collect();
        all.sort_unstable();
        prop_assert_eq!(all, (0..simulated.len()).collect::<Vec<_>>());
    }

    #[test]
    fn the_causes_add_up_to_the_difference(run in orders(), simulated in orders(), last in 900..1_100_i64) {
        let (run, simulated) = (trails(&run), trails(&simulated));
        let instruments = [instrument()];
        let found = Comparison::of(
            &instruments,
            &[Some(Price(last))],
            run.orders(),
            simulated.orders(),
            WITHIN,
        );
        let profit = |orders: &[Trail]| {
            let made = |order: &Trail| {
                let worth = instruments[0].notional(Price(last), order.filled).unwrap();
                worth - order.value - order.fees
            };
            orders.iter().map(made).fold(Notional::ZERO, |sum, made| sum + made)
        };
        let expected = profit(run.orders()) - profit(simulated.orders());
        let total = found.totals.values().fold(Notional::ZERO, |sum, own| sum + own.difference.total());
        prop_assert_eq!(total, expected);
        let rows = found.rows.iter().fold(Notional::ZERO, |sum, row| sum + row.difference.total());
        prop_assert_eq!(rows, expected);
    }

    /// Whatever the latencies were, a message at a time that was measured takes as long again.
    #[test]
    fn a_fitted_model_gives_back_what_was_measured(
        samples in proptest::collection::btree_map(0..1_000_000_i64, (0..9_000_i64, 0..9_000_i64), 1..40),
        sent in proptest::collection::btree_set(0..1_000_000_i64, 1..60),
    ) {
        let samples = samples.into_iter().map(|(at, (request_ns, answer_ns))| {
            LatencySample { at: Nanos(at), request_ns, answer_ns }
        });
        let model = LatencyModel::Interpolated(samples.collect());
        let (requests, answers) = measured(&model, sent, 0);
        let fit = LatencyFit::of(&requests, &answers).unwrap();
        prop_assert_eq!(fit.offset_ns, 0);
        let fitted = fit.model();
        for one in &requests {
            prop_assert_eq!(fitted.request_ns(one.sent_at), one.venue_at.since(one.sent_at));
            prop_assert_eq!(fitted.answer_ns(one.venue_at), least_answer(&answers, one.venue_at));
        }
    }
}

/// What a run over such a connection measures, if the venue's clock is so far ahead.
fn measured(
    model: &LatencyModel,
    sent: impl IntoIterator<Item = i64>,
    ahead_ns: i64,
) -> (Vec<RequestTime>, Vec<AnswerTime>) {
    let instrument = InstrumentId(0);
    let request = |sent_at: Nanos| {
        let taken_at = sent_at.plus(model.request_ns(sent_at));
        let received_at = taken_at.plus(model.answer_ns(taken_at));
        let venue_at = taken_at.plus(ahead_ns);
        RequestTime { instrument, sent_at, venue_at, received_at }
    };
    let requests: Vec<_> = sent.into_iter().map(|at| request(Nanos(at))).collect();
    let answer = |one: &RequestTime| AnswerTime {
        instrument,
        venue_at: one.venue_at,
        received_at: one.received_at,
    };
    let answers = requests.iter().map(answer).collect();
    (requests, answers)
}

fn least_answer(answers: &[AnswerTime], at: Nanos) -> i64 {
    let same = answers.iter().filter(|one| one.venue_at == at);
    same.map(|one| one.received_at.since(one.venue_at)).min().unwrap()
}

#[test]
fn a_clock_that_is_provably_ahead_is_set_right() {
    let model = LatencyModel::Constant { request_ns: 400, answer_ns: 600 };
    // Within what the clocks may differ by, nothing can be told.
    let (requests, answers) = measured(&model, [0, 10_000, 20_000], 500);
    let fit = LatencyFit::of(&requests, &answers).unwrap();
    assert_eq!((fit.offset_ns, fit.offset_bounds_ns), (0, (-100, 900)));
    assert_eq!((fit.request.p50, fit.answer.p50, fit.round_trip.p50), (900, 100, 1_000));
    // Answers arrive before they leave.
    let (requests, answers) = measured(&model, [0, 10_000, 20_000], 5_000);
    let fit = LatencyFit::of(&requests, &answers).unwrap();
    assert_eq!((fit.offset_ns, fit.offset_bounds_ns), (4_900, (4_400, 5_400)));
    assert_eq!((fit.request.p50, fit.answer.p50, fit.round_trip.p50), (500, 500, 1_000));
    assert_eq!(LatencyFit::of(&[], &answers), None);
}

#[test]
fn a_long_run_has_a_model_of_bounded_length() {
    let model = LatencyModel::Constant { request_ns: 400, answer_ns: 600 };
    let (requests, answers) = measured(&model, (0..90_000).map(|n| n * 10_000), 0);
    let fit = LatencyFit::of(&requests, &answers).unwrap();
    assert!(fit.samples.len() <= LatencyFit::SAMPLES_MAX, "{}", fit.samples.len());
    assert!(fit.samples.windows(2).all(|two| two[0].at < two[1].at));
    assert!(fit.samples.iter().all(|one| (one.request_ns, one.answer_ns) == (400, 600)));
}
