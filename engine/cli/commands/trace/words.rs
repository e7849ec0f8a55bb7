//! What a chain's links say, in people's words: symbols for numbers, prices for ticks.

use rust_decimal::Decimal;
use tercel_core::{
    AccountItem, BookOrderAction, Command, Event, ExecutionReport, Instrument, InstrumentId,
    LinkState, MarketData, MarketEvent, OrderKind, OrderRequest, OrderSpec, Price, Quantity,
    ReportKind, StrategyId, TimeInForce,
};
use tercel_store::journal::JournalReader;
use tercel_store::market_tape::MarketTapeReader;
use tercel_store::runs::RunFolder;
use tercel_store::state;

/// What the things of a run are called, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Words {
    instruments: Vec<Instrument>,
    strategies: Vec<String>,
    assets: Vec<String>,
}

impl Words {
    /// Finds the names in the last snapshot, else on the tape. What cannot be found has its number.
    pub(super) fn of(folder: &RunFolder, journal: &JournalReader) -> Self {
        let snapshot = journal.last_snapshot().ok().flatten();
        if let Some(state) = snapshot.and_then(|own| state::decode(&own.bytes).ok()) {
            let strategies = state.strategies.into_iter().map(|own| own.name).collect();
            return Self { instruments: state.instruments, strategies, assets: state.assets };
        }
        let metadata = MarketTapeReader::open(&folder.tape()).map(|tape| tape.metadata().clone());
        let metadata = metadata.unwrap_or_default();
        let instruments = metadata.instruments().unwrap_or_default();
        Self { instruments, strategies: Vec::new(), assets: metadata.assets }
    }

    /// Says what a message from the market says.
    pub(super) fn market(&self, event: &MarketEvent) -> String {
        let id = event.instrument;
        let symbol = self.symbol(id);
        let at = |qty, price| format!("{} at {}", self.quantity(id, qty), self.price(id, price));
        let what = match event.data {
            MarketData::Clear { .. } => "the book begins anew".to_owned(),
            MarketData::Batch { prev, seq } => format!("changes of the book, {prev} to {seq}"),
            MarketData::Level { side, price, qty, .. } if qty.is_zero() => {
                format!("level: no {side} at {}", self.price(id, price))
            }
            MarketData::Level { side, price, qty, .. } => {
                format!("level: {side} {}", at(qty, price))
            }
            MarketData::Trade { aggressor: Some(side), price, qty, .. } => {
                format!("trade: {side} {}", at(qty, price))
            }
            MarketData::Trade { aggressor: None, price, qty, .. } => {
                format!("trade: {}", at(qty, price))
            }
            MarketData::Quote { bid_px, bid_qty, ask_px, ask_qty, .. } => {
                format!("quote: buy {}, sell {}", at(bid_qty, bid_px), at(ask_qty, ask_px))
            }
            MarketData::Bar { interval_ms, bar } => format!(
                "bar of {interval_ms} ms: open {}, high {}, low {}, close {}, volume {}",
                self.price(id, bar.open),
                self.price(id, bar.high),
                self.price(id, bar.low),
                self.price(id, bar.close),
                self.quantity(id, bar.volume)
            ),
            MarketData::BookOrder { action, side, price, qty, order_id, .. } => {
                let action = match action {
                    BookOrderAction::Add => "comes",
                    BookOrderAction::Modify => "changes",
                    BookOrderAction::Cancel => "goes",
                    BookOrderAction::Execute => "trades",
                };
                format!("order {order_id} of the book {action}: {side} {}", at(qty, price))
            }
            MarketData::Mark { mark, index } => {
                format!("mark {}, index {}", self.price(id, mark), self.price(id, index))
            }
            MarketData::Funding { rate_e12 } => {
                format!(
                    "funding: {}",
                    Decimal::from_i128_with_scale(rate_e12.into(), 12).normalize()
                )
            }
        };
        format!("{symbol} {what}")
    }

    /// Says what happened, of what is no message from the market.
    pub(super) fn event(&self, event: &Event) -> String {
        match event {
            Event::Market(event) => self.market(event),
            Event::Execution(report) => format!("{}: {}", report.order, self.report(report)),
            Event::Account(update) => match &update.item {
                AccountItem::Balance { asset, total } => {
                    let asset = named(self.assets.get(asset.index()), asset.index());
                    format!("account: {} of {asset}", total.normalize())
                }
                AccountItem::Position { instrument, qty, .. } => format!(
                    "account: a position of {} {}",
                    self.quantity(*instrument, *qty),
                    self.symbol(*instrument)
                ),
                AccountItem::Order(adoption) => {
                    format!("{} is taken over: {}", adoption.order, self.spec(&adoption.spec))
                }
            },
            Event::Link(link) => {
                let what =
                    link.instrument.map_or_else(|| "orders".to_owned(), |id| self.symbol(id));
                let state = match link.state {
                    LinkState::Up => "up",
                    LinkState::Down => "down",
                    LinkState::Gap => "up, but messages were lost",
                };
                format!("the connection for {what} is {state}")
            }
            Event::Timer => "a timer".to_owned(),
            Event::Signal(signal) => format!("signal {}: {}", signal.name, signal.text),
            Event::Command(command) => self.command(command),
        }
    }

    fn command(&self, command: &Command) -> String {
        match command {
            Command::Start(id) => format!("command: start {}", self.strategy(*id)),
            Command::Stop(id) => format!("command: stop {}", self.strategy(*id)),
            Command::Resume(scope) => format!("command: resume, {scope}"),
            Command::Reduce(scope) => format!("command: only reduce, {scope}"),
            Command::Kill(scope) => format!("command: kill, {scope}"),
            Command::Flatten(scope) => format!("command: flatten, {scope}"),
            Command::Halt(scope) => format!("command: halt, {scope}"),
            Command::SetLimits(scope, _) => format!("command: other limits, {scope}"),
            Command::SetParams(id, values) => {
                let names: Vec<_> = values.iter().map(|(name, _)| &**name).collect();
                format!("command: set {} of {}", names.join(", "), self.strategy(*id))
            }
        }
    }

    /// Says what became of a request.
    pub(super) fn report(&self, report: &ExecutionReport) -> String {
        let id = report.instrument;
        match &report.kind {
            ReportKind::Accepted { venue_order_id } => {
                format!("accepted by the venue as its order {venue_order_id}")
            }
            ReportKind::Fill(fill) => {
                let asset = fill.fee_asset.index();
                format!(
                    "filled {} at {} as {}, fee {} {}",
                    self.quantity(id, fill.qty),
                    self.price(id, fill.price),
                    fill.role.as_str(),
                    fill.fee.normalize(),
                    named(self.assets.get(asset), asset)
                )
            }
            ReportKind::Canceled => "cancelled".to_owned(),
            ReportKind::Replaced { price, qty } => format!(
                "replaced: {} at {} from here on",
                self.quantity(id, *qty),
                self.price(id, *price)
            ),
            ReportKind::Rejected(reason) => format!("rejected by the venue: {}", reason.as_str()),
            ReportKind::CancelRejected(reason) => {
                format!("cancel rejected by the venue: {}", reason.as_str())
            }
            ReportKind::ReplaceRejected(reason) => {
                format!("replace rejected by the venue: {}", reason.as_str())
            }
            ReportKind::Expired => "expired".to_owned(),
            ReportKind::Triggered => "triggered".to_owned(),
            ReportKind::Unknown => "its outcome is not known".to_owned(),
        }
    }

    /// Says what a request wants.
    pub(super) fn request(&self, request: &OrderRequest) -> String {
        match request {
            OrderRequest::New { strategy, spec, .. } => {
                format!(
                    "{} places it, risk approves: {}",
                    self.strategy(*strategy),
                    self.spec(spec)
                )
            }
            OrderRequest::Replace { instrument, price, qty, .. } => format!(
                "replace, risk approves: {} at {}",
                self.quantity(*instrument, *qty),
                self.price(*instrument, *price)
            ),
            OrderRequest::Cancel { .. } => "cancel, risk approves".to_owned(),
        }
    }

    fn spec(&self, spec: &OrderSpec) -> String {
        let id = spec.instrument;
        let price = |price| self.price(id, price);
        let kind = match spec.kind {
            OrderKind::Market => "at the market".to_owned(),
            OrderKind::Limit { price: limit } => format!("at {}", price(limit)),
            OrderKind::Stop { trigger } => {
                format!("at the market once {} is reached", price(trigger))
            }
            OrderKind::StopLimit { trigger, price: limit } => {
                format!("at {} once {} is reached", price(limit), price(trigger))
            }
        };
        let quantity = self.quantity(id, spec.qty);
        let mut text = format!("{} {quantity} {} {kind}", spec.side, self.symbol(id));
        match spec.tif {
            TimeInForce::Gtc => {}
            TimeInForce::Ioc => text += ", immediate or cancel",
            TimeInForce::Fok => text += ", all or nothing",
            TimeInForce::Gtd(until) => text += &format!(", until {until}"),
        }
        if spec.post_only {
            text += ", post only";
        }
        if spec.reduce_only {
            text += ", reduce only";
        }
        text
    }

    fn strategy(&self, id: StrategyId) -> String {
        format!("strategy {}", named(self.strategies.get(id.index()), id.index()))
    }

    fn symbol(&self, id: InstrumentId) -> String {
        let symbol = self.instruments.get(id.index()).map(|own| &own.spec.symbol);
        symbol.map_or_else(|| format!("instrument {}", id.index()), Clone::clone)
    }

    fn price(&self, id: InstrumentId, price: Price) -> String {
        let tick = self.instruments.get(id.index()).map(|own| own.spec.tick);
        let value = tick.and_then(|tick| Decimal::from(price.0).checked_mul(tick));
        value.map_or_else(|| format!("{price} ticks"), |value| value.to_string())
    }

    fn quantity(&self, id: InstrumentId, qty: Quantity) -> String {
        let lot = self.instruments.get(id.index()).map(|own| own.spec.lot);
        let value = lot.and_then(|lot| Decimal::from(qty.0).checked_mul(lot));
        value.map_or_else(|| format!("{qty} lots"), |value| value.normalize().to_string())
    }
}

fn named(name: Option<&String>, number: usize) -> String {
    name.map_or_else(|| number.to_string(), Clone::clone)
}

#[cfg(test)]
mod tests {
    use tercel_core::{AccountId, AssetId, ClientOrderId, Fill, Nanos, Role, Side};
    use tercel_testkit::linear;

    use super::*;

    /// Words of a run whose instrument has a tick of a hundredth and lots of a thousandth.
    fn words() -> Words {
        let mut instrument = linear(0);
        instrument.spec.symbol = "BTCUSDT".to_owned();
        (instrument.spec.tick, instrument.spec.lot) = (Decimal::new(1, 2), Decimal::new(1, 3));
        Words {
            instruments: vec![instrument],
            strategies: vec!["maker".to_owned()],
            assets: vec!["BTC".to_owned(), "USDT".to_owned()],
        }
    }

    const ID: InstrumentId = InstrumentId(0);
    const PRICE: Price = Price(5_983_150);
    const QTY: Quantity = Quantity(500);

    /// The chain showed what the program calls things: `Level { side: Sell, price: Price(5983150), .. }`.
    #[test]
    fn prices_and_quantities_are_those_of_the_market() {
        let said = |data| {
            let (venue_at, received_at) = (Nanos(1), Nanos(2));
            words().market(&MarketEvent { venue_at, received_at, instrument: ID, data })
        };
        let (side, last) = (Side::Sell, false);
        let level = |qty| MarketData::Level { side, price: PRICE, qty, last };
        assert_eq!(said(level(QTY)), "BTCUSDT level: sell 0.5 at 59831.50");
        assert_eq!(said(level(Quantity(0))), "BTCUSDT level: no sell at 59831.50");
        let trade = |aggressor| MarketData::Trade { aggressor, price: PRICE, qty: QTY, id: 7 };
        assert_eq!(said(trade(Some(Side::Buy))), "BTCUSDT trade: buy 0.5 at 59831.50");
        assert_eq!(said(trade(None)), "BTCUSDT trade: 0.5 at 59831.50");
        assert_eq!(said(MarketData::Funding { rate_e12: 100_000_000 }), "BTCUSDT funding: 0.0001");
    }

    #[test]
    fn requests_and_reports_are_told_in_words() {
        let words = words();
        let (order, account) = (ClientOrderId::new(1, 7), AccountId(0));
        let spec = OrderSpec {
            post_only: true,
            tif: TimeInForce::Ioc,
            ..OrderSpec::limit(ID, Side::Buy, PRICE, QTY)
        };
        let new = OrderRequest::New { id: order, account, strategy: StrategyId(0), spec };
        assert_eq!(
            words.request(&new),
            "strategy maker places it, risk approves: buy 0.5 BTCUSDT at 59831.50, immediate or \
             cancel, post only"
        );
        let replace =
            OrderRequest::Replace { id: order, account, instrument: ID, price: PRICE, qty: QTY };
        assert_eq!(words.request(&replace), "replace, risk approves: 0.5 at 59831.50");
        let fill = ReportKind::Fill(Fill {
            trade_id: 1,
            price: PRICE,
            qty: QTY,
            role: Role::Maker,
            fee: Decimal::new(250, 4),
            fee_asset: AssetId(1),
        });
        let (venue_at, received_at) = (Nanos(1), Nanos(2));
        let report =
            ExecutionReport { order, account, instrument: ID, venue_at, received_at, kind: fill };
        assert_eq!(words.report(&report), "filled 0.5 at 59831.50 as maker, fee 0.025 USDT");
        let event = Event::Execution(ExecutionReport { kind: ReportKind::Canceled, ..report });
        assert_eq!(words.event(&event), "T1-7: cancelled");
    }

    #[test]
    fn what_has_no_name_has_its_number() {
        let words = Words::default();
        let spec = OrderSpec::limit(ID, Side::Buy, PRICE, QTY);
        assert_eq!(words.spec(&spec), "buy 500 lots instrument 0 at 5983150 ticks");
        let start = Event::Command(Command::Start(StrategyId(3)));
        assert_eq!(words.event(&start), "command: start strategy 3");
    }
}
