//! Watches a run and keeps what its report needs, in bounded memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tercel_core::{
    AccountId, ClientOrderId, Effect, Engine, ExecutionReport, Fill, Instrument, InstrumentKind,
    Market, Nanos, Notice, Notional, Order, OrderRequest, PlotId, Position, Price, ReportKind,
    Role, Seq, Side, StrategyId,
};

use crate::metrics::daily::DailyRatios;
use crate::metrics::decimated::Decimated;
use crate::metrics::drawdown::Drawdown;
use crate::metrics::records::{
    DrawPoint, DrawSeries, EquitySample, Fault, FillRecord, Marker, PriceSample, PriceSeries,
    RoundTrip,
};
use crate::metrics::summary::{
    DaySummary, InstrumentSummary, Metrics, OrderCounts, RejectedBy, Rejection,
};
use crate::metrics::to_f64;
use crate::metrics::trips::{Step, TripStats, TripTracker, growth};
use crate::observer::Observer;

/// How much a recorder keeps. Sums and ratios are exact whatever the limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecorderLimits {
    /// Most equity samples, and prices of each instrument; beyond, neighbours merge.
    pub samples: usize,
    /// Most fills and most round trips; later ones are only counted.
    pub fills: usize,
    /// Most series that scripts draw; later ones are dropped.
    pub draw_series: usize,
    /// Most points of each; beyond, neighbours merge.
    pub draw_points: usize,
    /// Most markers; beyond, every other one is dropped.
    pub markers: usize,
}

impl Default for RecorderLimits {
    fn default() -> Self {
        Self { samples: 4_096, fills: 200_000, draw_series: 32, draw_points: 4_096, markers: 2_048 }
    }
}

/// What was recorded.
#[derive(Clone, PartialEq, Debug)]
pub struct Recording {
    /// Sums and ratios.
    pub metrics: Metrics,
    /// Fills, oldest first, up to the limit.
    pub fills: Vec<FillRecord>,
    /// Round trips by their end, up to the limit.
    pub trips: Vec<RoundTrip>,
    /// Equity over time.
    pub equity: Decimated<EquitySample>,
    /// Prices over time, of each instrument.
    pub prices: Vec<PriceSeries>,
    /// What scripts drew.
    pub draws: Vec<DrawSeries>,
    /// Series that were drawn beyond the limit.
    pub n_draw_series_dropped: usize,
    /// Markers that scripts set.
    pub markers: Decimated<Marker>,
    /// Faults of strategies.
    pub faults: Vec<Fault>,
    /// How often a book became stale.
    pub n_stale: u64,
}

/// Records a run; see [`Self::finish`].
///
/// Costs a few comparisons for each report and effect, and O(instruments × strategies) a sample.
#[derive(Clone, Debug)]
pub struct Recorder {
    limits: RecorderLimits,
    started_at: Option<Nanos>,
    ended_at: Nanos,
    initial_equity: Notional,
    /// Accounts' equity when last seen.
    equity: Notional,
    drawdown: Option<Drawdown>,
    samples: Decimated<EquitySample>,
    prices: Vec<PriceSeries>,
    days: Vec<DaySummary>,
    fills: Vec<FillRecord>,
    trips: Vec<RoundTrip>,
    stats: TripStats,
    /// By strategy, then instrument.
    books: Vec<Vec<PairBook>>,
    instruments: Vec<InstrumentSummary>,
    /// Orders that may still trade.
    sent: BTreeMap<ClientOrderId, SentOrder>,
    orders: OrderCounts,
    rejections: BTreeMap<(RejectedBy, &'static str), u64>,
    /// Pairs of strategy and instrument with a position.
    n_exposed: usize,
    exposed_since: Option<Nanos>,
    exposed_ns: i64,
    /// Names of what strategies draw.
    plots: BTreeMap<(StrategyId, PlotId), Arc<str>>,
    draws: Vec<DrawSeries>,
    dropped_draws: BTreeSet<(StrategyId, Arc<str>)>,
    markers: Decimated<Marker>,
    faults: Vec<Fault>,
    n_stale: u64,
}

/// What is known of one strategy's trading in one instrument.
#[derive(Clone, Copy, Debug, Default)]
struct PairBook {
    seen: Position,
    trips: TripTracker,
}

#[derive(Clone, Copy, Debug)]
struct SentOrder {
    mid_x2: Option<i64>,
    has_filled: bool,
}

impl Recorder {
    /// Returns a recorder of a run that begins with this engine.
    #[must_use]
    pub fn new(limits: RecorderLimits, engine: &Engine) -> Self {
        let state = engine.state();
        let equity = total_equity(engine);
        let series = |instrument: &Instrument| PriceSeries {
            instrument: instrument.id,
            samples: Decimated::new(limits.samples),
        };
        let summary = |instrument: &Instrument| InstrumentSummary {
            instrument: instrument.id,
            ..InstrumentSummary::default()
        };
        let books = state.strategies.iter().map(|strategy| {
            let positions = strategy.scope.positions.iter();
            positions.map(|seen| PairBook { seen: *seen, ..PairBook::default() }).collect()
        });
        Self {
            limits,
            started_at: None,
            ended_at: Nanos::default(),
            initial_equity: equity,
            equity,
            drawdown: None,
            samples: Decimated::new(limits.samples),
            prices: state.instruments.iter().map(series).collect(),
            days: Vec::new(),
            fills: Vec::new(),
            trips: Vec::new(),
            stats: TripStats::default(),
            books: books.collect(),
            instruments: state.instruments.iter().map(summary).collect(),
            sent: BTreeMap::new(),
            orders: OrderCounts::default(),
            rejections: BTreeMap::new(),
            n_exposed: 0,
            exposed_since: None,
            exposed_ns: 0,
            plots: BTreeMap::new(),
            draws: Vec::new(),
            dropped_draws: BTreeSet::new(),
            markers: Decimated::new(limits.markers),
            faults: Vec::new(),
            n_stale: 0,
        }
    }

    /// Ends the recording and computes the metrics.
    #[must_use]
    pub fn finish(mut self, engine: &Engine) -> Recording {
        self.settle(engine);
        let state = engine.state();
        for summary in &mut self.instruments {
            let idx = summary.instrument.index();
            let (instrument, market) = (&state.instruments[idx], &state.markets[idx]);
            for strategy in &state.strategies {
                let position = &strategy.scope.positions[idx];
                summary.position += position.qty;
                if let Some(reference) = market.reference() {
                    let profit = position.unrealised(instrument, reference);
                    summary.unrealised += instrument.in_quote(profit, reference);
                }
            }
        }
        let started_at = self.started_at.unwrap_or(self.ended_at);
        let drawdown =
            self.drawdown.unwrap_or_else(|| Drawdown::new(self.initial_equity, started_at));
        let closes: Vec<_> = self.days.iter().map(|day| to_f64(day.close)).collect();
        let sum = |of: fn(&InstrumentSummary) -> Notional| {
            self.instruments.iter().map(of).fold(Notional::ZERO, |sum, money| sum + money)
        };
        let mut rejections: Vec<_> = self
            .rejections
            .iter()
            .map(|((by, reason), count)| Rejection { by: *by, reason, count: *count })
            .collect();
        rejections.sort_by_key(|rejection| std::cmp::Reverse(rejection.count));
        let still_exposed = self.exposed_since.map_or(0, |since| self.ended_at.since(since));
        let metrics = Metrics {
            started_at,
            ended_at: self.ended_at,
            initial_equity: self.initial_equity,
            final_equity: self.equity,
            realised: sum(|i| i.realised),
            unrealised: sum(|i| i.unrealised),
            fees: sum(|i| i.fees),
            funding: sum(|i| i.funding),
            turnover: sum(|i| i.turnover),
            maker_turnover: sum(|i| i.maker_turnover),
            slippage: sum(|i| i.slippage),
            n_fills: self.instruments.iter().map(|i| i.n_fills).sum(),
            daily: DailyRatios::new(to_f64(self.initial_equity), &closes, drawdown.share_max),
            drawdown,
            trips: self.stats,
            exposed_ns: self.exposed_ns + still_exposed,
            orders: self.orders,
            rejections,
            instruments: self.instruments.into_iter().filter(|i| i.n_fills > 0).collect(),
            days: self.days,
        };
        Recording {
            metrics,
            fills: self.fills,
            trips: self.trips,
            equity: self.samples,
            prices: self.prices,
            draws: self.draws,
            n_draw_series_dropped: self.dropped_draws.len(),
            markers: self.markers,
            faults: self.faults,
            n_stale: self.n_stale,
        }
    }

    fn see(&mut self, now: Nanos) {
        self.started_at.get_or_insert(now);
        self.ended_at = self.ended_at.max(now);
    }

    /// Returns the day that `now` belongs to; midnight belongs to the day that it ends.
    fn today(&mut self, now: Nanos) -> &mut DaySummary {
        let number = now.plus(-1).day();
        let first = self.days.last().map_or(number, |last| last.day + 1);
        for day in first..=number {
            let close = self.equity;
            self.days.push(DaySummary { day, close, ..DaySummary::default() });
        }
        // Observers are told in order of time; should one not be, the last day takes it.
        self.days.last_mut().expect("one was pushed unless there was one")
    }

    /// Takes over what fills and funding have changed in the engine's positions.
    fn settle(&mut self, engine: &Engine) {
        let state = engine.state();
        for (strategy, pairs) in state.strategies.iter().zip(&mut self.books) {
            for (idx, pair) in pairs.iter_mut().enumerate() {
                let position = &strategy.scope.positions[idx];
                let paid = position.funding - pair.seen.funding;
                if paid != Notional::ZERO {
                    let (instrument, market) = (&state.instruments[idx], &state.markets[idx]);
                    let price = market.mark.or_else(|| market.reference()).unwrap_or(Price(0));
                    let paid = instrument.in_quote(paid, price);
                    self.instruments[idx].funding += paid;
                    pair.trips.fund(paid);
                    pair.seen.funding = position.funding;
                }
            }
        }
    }

    fn on_fill(&mut self, now: Nanos, report: &ExecutionReport, fill: &Fill, engine: &Engine) {
        let state = engine.state();
        let Some(order) = state.orders.get(report.order) else { return };
        let idx = order.spec.instrument.index();
        let position = state.strategies[order.strategy.index()].scope.positions[idx];
        let before = self.books[order.strategy.index()][idx].seen;
        if position.n_fills == before.n_fills {
            // The engine refused it: a duplicate, or for an order that cannot have it.
            return;
        }
        self.settle(engine);
        let instrument = &state.instruments[idx];
        let (realised, fees, _) = growth(&before, &position);
        let step = Step {
            at: now,
            before: before.qty,
            after: position.qty,
            realised: instrument.in_quote(realised, fill.price),
            fees: instrument.in_quote(fees, fill.price),
        };
        let pair = &mut self.books[order.strategy.index()][idx];
        pair.seen = position;
        let ended = pair.trips.fill(order.strategy, instrument.id, &step);
        self.count_exposure(now, &step);
        let record = self.fill_record(now, report, fill, order, engine, &step);
        let summary = &mut self.instruments[idx];
        summary.n_fills += 1;
        summary.volume += fill.qty;
        summary.turnover += record.notional;
        if fill.role == Role::Maker {
            summary.maker_turnover += record.notional;
        }
        summary.realised += step.realised;
        summary.fees += step.fees;
        summary.slippage += record.slippage;
        if let Some(trip) = ended {
            summary.n_trips += 1;
            summary.n_wins += u64::from(trip.profit > Notional::ZERO);
            self.stats.push(&trip);
            if self.trips.len() < self.limits.fills {
                self.trips.push(trip);
            }
        }
        let today = self.today(now);
        today.n_fills += 1;
        today.fees += step.fees;
        today.turnover += record.notional;
        if self.fills.len() < self.limits.fills {
            self.fills.push(record);
        }
    }

    fn fill_record(
        &mut self,
        now: Nanos,
        report: &ExecutionReport,
        fill: &Fill,
        order: &Order,
        engine: &Engine,
        step: &Step,
    ) -> FillRecord {
        let state = engine.state();
        let instrument = &state.instruments[order.spec.instrument.index()];
        let sent = self.sent.get_mut(&order.id);
        let mid_x2_at_send = sent.as_ref().and_then(|sent| sent.mid_x2);
        if let Some(sent) = sent.filter(|sent| !sent.has_filled) {
            sent.has_filled = true;
            self.orders.filled += 1;
        }
        let slippage =
            mid_x2_at_send.and_then(|mid| slippage(instrument, order.spec.side, fill, mid));
        FillRecord {
            at: now,
            venue_at: report.venue_at,
            strategy: order.strategy,
            instrument: instrument.id,
            side: order.spec.side,
            price: fill.price,
            qty: fill.qty,
            role: fill.role,
            order: order.id,
            trade_id: fill.trade_id,
            fee: Notional::from_decimal(fill.fee.round_dp(18)).unwrap_or(Notional::ZERO),
            fee_asset: fill.fee_asset,
            notional: instrument.notional(fill.price, fill.qty).unwrap_or(Notional::ZERO),
            realised: step.realised,
            position: step.after,
            mid_x2_at_send,
            mid_x2_at_fill: mid_x2(&state.markets[instrument.id.index()]),
            slippage: slippage.unwrap_or(Notional::ZERO),
        }
    }

    fn count_exposure(&mut self, now: Nanos, step: &Step) {
        match (step.before.is_zero(), step.after.is_zero()) {
            (true, false) => self.n_exposed += 1,
            (false, true) => self.n_exposed = self.n_exposed.saturating_sub(1),
            (true, true) | (false, false) => {}
        }
        if self.n_exposed > 0 {
            self.exposed_since.get_or_insert(now);
        } else if let Some(since) = self.exposed_since.take() {
            self.exposed_ns += now.since(since);
        }
    }

    fn reject(&mut self, by: RejectedBy, reason: &'static str) {
        *self.rejections.entry((by, reason)).or_default() += 1;
    }

    fn on_send(&mut self, now: Nanos, request: &OrderRequest, engine: &Engine) {
        match request {
            OrderRequest::New { id, spec, .. } => {
                let mid_x2 = mid_x2(&engine.state().markets[spec.instrument.index()]);
                self.sent.insert(*id, SentOrder { mid_x2, has_filled: false });
                self.orders.sent += 1;
                self.today(now).n_orders += 1;
            }
            OrderRequest::Replace { .. } => self.orders.replaces += 1,
            OrderRequest::Cancel { .. } => self.orders.cancels += 1,
        }
    }

    fn on_notice(&mut self, now: Nanos, notice: &Notice) {
        match notice {
            Notice::NamePlot { strategy, plot, name } => {
                self.plots.insert((*strategy, *plot), Arc::clone(name));
            }
            Notice::Draw { strategy, plot, value_bits } => {
                let value = f64::from_bits(*value_bits);
                if let Some(name) = self.plots.get(&(*strategy, *plot))
                    && value.is_finite()
                {
                    let name = Arc::clone(name);
                    self.draw(*strategy, &name, DrawPoint { at: now, value });
                }
            }
            Notice::Mark { strategy, label, price_bits } => {
                let price = f64::from_bits(*price_bits);
                if price.is_finite() {
                    let (strategy, label) = (*strategy, Arc::clone(label));
                    self.markers.push(Marker { at: now, strategy, label, price });
                }
            }
            Notice::RiskReject { reason, .. } => {
                self.orders.risk_rejected += 1;
                self.reject(RejectedBy::Risk, reason.as_str());
            }
            Notice::Fault { strategy, fault } => {
                let message = fault.to_string();
                self.faults.push(Fault { at: now, strategy: *strategy, message });
            }
            Notice::BookStale { .. } => self.n_stale += 1,
            Notice::Log { .. }
            | Notice::State { .. }
            | Notice::Funding { .. }
            | Notice::LossMarks { .. }
            | Notice::PositionDiffers { .. }
            | Notice::PositionTaken { .. }
            | Notice::ReportRefused { .. } => {}
        }
    }

    fn draw(&mut self, strategy: StrategyId, name: &Arc<str>, point: DrawPoint) {
        let known = self.draws.iter_mut().find(|s| s.strategy == strategy && s.name == *name);
        if let Some(series) = known {
            series.points.push(point);
        } else if self.draws.len() < self.limits.draw_series {
            let mut points = Decimated::new(self.limits.draw_points);
            points.push(point);
            self.draws.push(DrawSeries { strategy, name: Arc::clone(name), points });
        } else if self.dropped_draws.len() < self.limits.draw_points {
            self.dropped_draws.insert((strategy, Arc::clone(name)));
        }
    }

    fn sample_prices(&mut self, now: Nanos, engine: &Engine) {
        for (series, market) in self.prices.iter_mut().zip(&engine.state().markets) {
            if let Some(price) = market.reference() {
                series.samples.push(PriceSample { at: now, price, low: price, high: price });
            }
        }
    }
}

impl Observer for Recorder {
    fn on_effects(&mut self, _seq: Seq, now: Nanos, effects: &[Effect], engine: &Engine) {
        self.see(now);
        for effect in effects {
            match effect {
                Effect::Send(request) => self.on_send(now, request, engine),
                Effect::Notice(notice) => self.on_notice(now, notice),
                Effect::Resync(_)
                | Effect::Remember { .. }
                | Effect::SetTimer { .. }
                | Effect::CancelTimer { .. } => {}
            }
        }
    }

    fn on_report(&mut self, now: Nanos, report: &ExecutionReport, engine: &Engine) {
        self.see(now);
        match &report.kind {
            ReportKind::Fill(fill) => self.on_fill(now, report, fill, engine),
            ReportKind::Canceled => self.orders.canceled += 1,
            ReportKind::Expired => self.orders.expired += 1,
            ReportKind::Rejected(reason) => {
                self.orders.rejected += 1;
                self.reject(RejectedBy::Venue, reason.as_str());
            }
            ReportKind::CancelRejected(reason) | ReportKind::ReplaceRejected(reason) => {
                self.orders.requests_rejected += 1;
                self.reject(RejectedBy::VenueRequest, reason.as_str());
            }
            ReportKind::Accepted { .. }
            | ReportKind::Replaced { .. }
            | ReportKind::Triggered
            | ReportKind::Unknown => {}
        }
        let order = engine.state().orders.get(report.order);
        if order.is_none_or(|order| !order.is_working()) {
            self.sent.remove(&report.order);
        }
    }

    fn on_sample(&mut self, now: Nanos, engine: &Engine) {
        self.see(now);
        self.settle(engine);
        let equity = total_equity(engine);
        if self.samples.n_pushed() == 0 && self.instruments.iter().all(|i| i.n_fills == 0) {
            // Holdings have a value only once their market has a price.
            self.initial_equity = equity;
        }
        // Days without a sample close with what was before this one.
        self.today(now);
        self.equity = equity;
        let initial = self.initial_equity;
        self.drawdown.get_or_insert_with(|| Drawdown::new(initial, now)).push(equity, now);
        self.samples.push(EquitySample { at: now, equity, low: equity, high: equity });
        self.sample_prices(now, engine);
        if let [earlier @ .., today] = self.days.as_mut_slice() {
            today.close = equity;
            today.profit = equity - earlier.last().map_or(initial, |day| day.close);
        }
    }
}

/// Returns the equity of all accounts together.
fn total_equity(engine: &Engine) -> Notional {
    let ids = (0..engine.state().accounts.len())
        .map(|idx| AccountId(u16::try_from(idx).expect("the engine is built with 16-bit ids")));
    ids.map(|id| engine.state().equity(id)).fold(Notional::ZERO, |sum, money| sum + money)
}

/// Returns twice the middle price in ticks; without both sides, twice the reference.
fn mid_x2(market: &Market) -> Option<i64> {
    match (market.best(Side::Buy), market.best(Side::Sell)) {
        (Some(bid), Some(ask)) => bid.price.0.checked_add(ask.price.0),
        _ => market.reference().and_then(|price| price.0.checked_mul(2)),
    }
}

/// Returns what a fill cost against the middle, in quote, rounded toward zero.
fn slippage(instrument: &Instrument, side: Side, fill: &Fill, mid_x2: i64) -> Option<Notional> {
    let worse_x2 = fill.price.0.checked_mul(2)?.checked_sub(mid_x2)?.checked_mul(side.sign())?;
    match instrument.spec.kind {
        InstrumentKind::Spot | InstrumentKind::LinearPerpetual => {
            let doubled = instrument.notional(Price(worse_x2), fill.qty)?;
            Some(Notional(doubled.0 / 2))
        }
        InstrumentKind::InversePerpetual => {
            // The contract's value in quote does not move, the base that it buys does.
            let value = instrument.notional(fill.price, fill.qty)?;
            let scaled = value.0.checked_mul(i128::from(worse_x2))?;
            scaled.checked_div(i128::from(mid_x2)).map(Notional)
        }
    }
}
