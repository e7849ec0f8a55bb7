//! How everything stands, as `tercel ctl status`, `tercel top` and the metrics show it.

use rust_decimal::Decimal;
use tercel_core::{
    AccountId, BookState, Engine, Instrument, Market, Notional, Order, OrderKind, Position,
    ScopeState, Side, StaleCause, TradingState,
};

use super::Server;
use super::links::Standing;
use super::whole::{self, AccountView, EngineView};
use crate::control_api::{
    EngineStatus, HookStatus, InstrumentStatus, JournalStatus, LevelStatus, LimitStatus,
    LinkStatus, LogStatus, OrderStatus, PositionStatus, RingStatus, Status, StrategyStatus,
    TapeStatus, TradeStatus, TradingStateName,
};

/// Orders that are shown.
pub(super) const N_ORDERS: usize = 200;
/// Levels of a book that are shown.
const N_LEVELS: usize = 10;

impl Server {
    /// Returns what one engine's thread knows, made there.
    pub(super) fn view_of(
        &self,
        index: usize,
        engine: &Engine,
        own: &tercel_runtime::Status,
    ) -> EngineView {
        let state = engine.state();
        let number = self.number_of(index);
        let mut orders: Vec<_> = state.orders.all_working().collect();
        orders.sort_unstable_by_key(|order| order.id);
        EngineView {
            state: state.scope.state,
            accounts: accounts(engine),
            own: EngineStatus {
                run: self.engines[index].run,
                seq: own.seq.0,
                now_ns: own.now.0,
                state: name_of(state.scope.state),
                strategies: state.strategies.iter().map(|own| own.name.clone()).collect(),
                n_open_orders: orders.len() as u64,
                journal: JournalStatus {
                    n_records: own.recording.n_records,
                    n_durable: own.recording.n_durable,
                    failure: own.record_failure.clone(),
                },
                tape: TapeStatus {
                    n_events: if self.has_tape {
                        own.n_market - own.recording.n_untaped
                    } else {
                        0
                    },
                    n_dropped: own.recording.n_untaped,
                },
            },
            instruments: instruments(engine),
            positions: positions(engine),
            orders: orders
                .into_iter()
                .take(N_ORDERS)
                .map(|order| order_status(engine, order, own.now.0))
                .collect(),
            strategies: self.strategies(index, engine),
            limits: self.limits(index, engine),
            links: self.links(index, engine, own),
            rings: own
                .rings
                .iter()
                .map(|ring| RingStatus {
                    name: "market".to_owned(),
                    engine: number,
                    capacity: ring.capacity as u64,
                    depth_max: ring.depth_max,
                    n_full: ring.n_full,
                    n_dropped: ring.n_dropped,
                })
                .collect(),
            hooks: hooks(engine),
        }
    }

    /// Returns what an engine's market comes over, and what its accounts at a venue do.
    fn links(
        &self,
        index: usize,
        engine: &Engine,
        own: &tercel_runtime::Status,
    ) -> Vec<LinkStatus> {
        let (links, number) = (&self.engines[index].links, self.number_of(index));
        let market = links.market().unwrap_or(Standing::UP);
        let mut all = vec![LinkStatus {
            name: self.feed_name.clone(),
            engine: number,
            is_up: own.source_failure.is_none() && market.is_up && !is_cut(engine),
            failure: own.source_failure.clone().or(market.why),
            n_events: Some(own.n_market),
        }];
        all.extend(links.accounts(number));
        all
    }

    /// Returns an engine's number as people count, where there are several.
    fn number_of(&self, index: usize) -> Option<u32> {
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        (self.engines.len() > 1).then_some(number)
    }

    /// Puts together what all engines' threads know.
    pub(super) fn status_of(&self, views: Vec<EngineView>) -> Status {
        let mut status = Status {
            run: self.engines[0].run,
            mode: self.mode.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: self.started.elapsed().as_secs(),
            log: LogStatus { n_dropped: self.log.n_dropped(), n_failed: self.log.n_failed() },
            notices: self.notices.last(50),
            ..Status::default()
        };
        whole::put_together(views, &mut status);
        let slots = self.slots.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let place = |own: &StrategyStatus| slots.iter().position(|slot| slot.name == own.name);
        status.strategies.sort_by_key(place);
        status
    }

    fn strategies(&self, index: usize, engine: &Engine) -> Vec<StrategyStatus> {
        let state = engine.state();
        let slots = self.slots.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        state
            .strategies
            .iter()
            .zip(slots.iter().filter(|slot| slot.engine == index))
            .map(|(own, slot)| StrategyStatus {
                name: own.name.clone(),
                account: state.accounts[own.account.index()].name.clone(),
                script: slot.version.script().source().file.clone(),
                hash: super::hex(slot.version.hash()),
                generation: slot.generation,
                state: name_of(own.scope.state),
                is_running: own.is_running,
                fault: (!own.is_running).then(|| self.notices.fault(&own.name)).flatten(),
                pnl: money(own.scope.pnl(&state.instruments, &state.markets)),
                orders_today: u64::from(own.scope.today.orders),
                fills_today: u64::from(own.scope.today.fills),
            })
            .collect()
    }

    /// Returns an engine's limits: its share of those that are split.
    fn limits(&self, index: usize, engine: &Engine) -> Vec<LimitStatus> {
        let state = engine.state();
        let number = self.number_of(index);
        let mut all = Vec::new();
        for own in &state.strategies {
            limits_of(&format!("strategy:{}", own.name), None, &own.scope, engine, &mut all);
        }
        for (own, id) in state.accounts.iter().zip((0..).map(AccountId)) {
            if self.shards.has_account(index, id) {
                limits_of(&format!("account:{}", own.name), number, &own.scope, engine, &mut all);
            }
        }
        limits_of("engine", number, &state.scope, engine, &mut all);
        all
    }
}

/// Returns whether a connection that some book comes over is down.
fn is_cut(engine: &Engine) -> bool {
    let is_cut = |market: &Market| market.book.state() == BookState::Stale(StaleCause::Link);
    engine.state().markets.iter().any(is_cut)
}

pub(super) const fn name_of(state: TradingState) -> TradingStateName {
    match state {
        TradingState::Active => TradingStateName::Active,
        TradingState::Reducing => TradingStateName::Reducing,
        TradingState::Halted => TradingStateName::Halted,
    }
}

pub(super) fn money(amount: Notional) -> String {
    amount.to_string()
}

fn decimal(value: Decimal) -> String {
    value.to_string()
}

fn accounts(engine: &Engine) -> Vec<AccountView> {
    let state = engine.state();
    let ids = (0..).map(AccountId);
    ids.zip(&state.accounts)
        .map(|(id, account)| AccountView {
            name: account.name.clone(),
            state: account.scope.state,
            equity: state.equity(id),
            pnl: account.scope.pnl(&state.instruments, &state.markets),
            balances: state
                .assets
                .iter()
                .zip(&account.balances)
                .map(|(asset, balance)| (asset.clone(), balance.total, balance.locked))
                .collect(),
        })
        .collect()
}

fn instruments(engine: &Engine) -> Vec<InstrumentStatus> {
    let state = engine.state();
    state
        .instruments
        .iter()
        .zip(&state.markets)
        .map(|(instrument, market)| {
            let levels = |side| -> Vec<LevelStatus> {
                let show = |level: tercel_core::Level| LevelStatus {
                    price: decimal(instrument.price_decimal(level.price)),
                    quantity: decimal(instrument.quantity_decimal(level.qty)),
                };
                market.book.levels(side).take(N_LEVELS).map(show).collect()
            };
            InstrumentStatus {
                symbol: instrument.spec.symbol.clone(),
                is_live: market.is_live(),
                bids: levels(Side::Buy),
                asks: levels(Side::Sell),
                last_trade: market.last_trade.map(|trade| TradeStatus {
                    price: decimal(instrument.price_decimal(trade.price)),
                    quantity: decimal(instrument.quantity_decimal(trade.qty)),
                    side: trade.aggressor.map_or(String::new(), |side| side_name(side).to_owned()),
                }),
            }
        })
        .collect()
}

const fn side_name(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

fn positions(engine: &Engine) -> Vec<PositionStatus> {
    let state = engine.state();
    let mut all = Vec::new();
    for strategy in &state.strategies {
        for (position, instrument) in strategy.scope.positions.iter().zip(&state.instruments) {
            if position.n_fills == 0 && position.qty.is_zero() {
                continue;
            }
            let mark = state.markets[instrument.id.index()].reference();
            all.push(PositionStatus {
                strategy: strategy.name.clone(),
                account: state.accounts[strategy.account.index()].name.clone(),
                ..position_status(position, instrument, mark)
            });
        }
    }
    all
}

fn position_status(
    position: &Position,
    instrument: &Instrument,
    mark: Option<tercel_core::Price>,
) -> PositionStatus {
    let unrealised = mark.map_or(Notional::ZERO, |mark| position.unrealised(instrument, mark));
    PositionStatus {
        symbol: instrument.spec.symbol.clone(),
        quantity: decimal(instrument.quantity_decimal(position.qty)),
        average_price: average_price(position, instrument),
        unrealised: money(unrealised),
        realised: money(position.net_realised()),
        n_fills: position.n_fills,
        ..PositionStatus::default()
    }
}

fn average_price(position: &Position, instrument: &Instrument) -> Option<String> {
    let e6 = i64::try_from(position.average_price_e6(instrument)?).ok()?;
    let ticks = Decimal::new(e6, 6);
    ticks.checked_mul(instrument.spec.tick).map(|price| decimal(price.normalize()))
}

fn order_status(engine: &Engine, order: &Order, now_ns: i64) -> OrderStatus {
    let state = engine.state();
    let instrument = &state.instruments[order.spec.instrument.index()];
    let age_ns = now_ns.saturating_sub(order.created_at.0);
    OrderStatus {
        id: order.id.to_string(),
        strategy: state.strategies[order.strategy.index()].name.clone(),
        account: state.accounts[order.account.index()].name.clone(),
        symbol: instrument.spec.symbol.clone(),
        side: side_name(order.spec.side).to_owned(),
        kind: match order.spec.kind {
            OrderKind::Market => "market",
            OrderKind::Limit { .. } => "limit",
            OrderKind::Stop { .. } => "stop",
            OrderKind::StopLimit { .. } => "stop_limit",
        }
        .to_owned(),
        price: order.spec.kind.limit_price().map(|px| decimal(instrument.price_decimal(px))),
        quantity: decimal(instrument.quantity_decimal(order.spec.qty)),
        filled: decimal(instrument.quantity_decimal(order.filled)),
        status: order.state.as_str().to_owned(),
        age_ms: u64::try_from(age_ns / 1_000_000).unwrap_or(0),
    }
}

fn limits_of(
    name: &str,
    number: Option<u32>,
    scope: &ScopeState,
    engine: &Engine,
    all: &mut Vec<LimitStatus>,
) {
    let state = engine.state();
    let mut push = |limit: &str, used: String, max: Option<String>| {
        if let Some(max) = max {
            let (scope, limit) = (name.to_owned(), limit.to_owned());
            all.push(LimitStatus { scope, engine: number, limit, used, max });
        }
    };
    let limits = &scope.limits;
    // Nothing is known of a loss before all that is held has a price.
    let pnl = scope.priced_pnl(&state.instruments, &state.markets);
    let lost = |from: Option<Notional>| money(from.zip(pnl).map_or(Notional::ZERO, |(a, b)| a - b));
    let count = |max: Option<u32>| max.map(|max| max.to_string());
    push("open_orders", scope.open_orders.to_string(), count(limits.open_orders));
    push("orders_per_day", scope.today.orders.to_string(), count(limits.orders_per_day));
    push("trades_per_day", scope.today.fills.to_string(), count(limits.trades_per_day));
    push("gross_exposure", money(scope.gross), limits.gross_exposure.map(money));
    push("daily_loss", lost(scope.today.pnl_open), limits.daily_loss.map(money));
    push("drawdown", lost(pnl.max(Some(scope.pnl_max))), limits.drawdown.map(money));
}

fn hooks(engine: &Engine) -> Vec<HookStatus> {
    let state = engine.state();
    let name = |id: tercel_core::StrategyId| {
        state.strategies.get(id.index()).map_or_else(String::new, |own| own.name.clone())
    };
    super::timing::rows()
        .into_iter()
        .map(|(id, row)| HookStatus {
            strategy: name(id),
            hook: row.name,
            count: row.count,
            sum_ns: row.sum_ns,
            p50_ns: row.p50_ns,
            p99_ns: row.p99_ns,
            p999_ns: row.p999_ns,
            max_ns: row.max_ns,
        })
        .collect()
}
