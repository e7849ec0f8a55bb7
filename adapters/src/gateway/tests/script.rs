//! A gateway that is told word by word what a venue says.

use tercel_core::{
    AccountId, ClientOrderId, Engine, Event, Instrument, InstrumentId, Nanos, OrderKind,
    OrderRequest, OrderSpec, Price, Quantity, ReportKind, Role, Side, StrategyId,
};
use tercel_testkit::{Strings, engine_config, linear};

use super::super::*;
use crate::protocol::{Answer, FillNews, OrderNews, OrderStatus};

/// The order of a script.
pub(super) const ID: ClientOrderId = ClientOrderId::new(1, 1);
pub(super) const INSTRUMENT: InstrumentId = InstrumentId(0);

pub(super) struct Script {
    pub(super) gateway: Gateway,
    pub(super) now: Nanos,
    pub(super) notices: Vec<GatewayNotice>,
    instrument: Instrument,
    out: GatewayOut,
}

impl Script {
    /// Begins with an account that is connected and was compared.
    pub(super) fn new(instrument: Instrument, options: GatewayOptions) -> Self {
        let mut script = Self::after(instrument, options, Vec::new());
        script.tell(News::Online);
        script.compare(Vec::new());
        script
    }

    /// Begins with a perpetual whose orders are amended.
    pub(super) fn futures() -> Self {
        let options = GatewayOptions { has_positions: true, ..GatewayOptions::default() };
        Self::new(linear(0), options)
    }

    /// Begins with an account that is not connected, after these runs.
    pub(super) fn after(
        instrument: Instrument,
        options: GatewayOptions,
        cuts: Vec<CutOff>,
    ) -> Self {
        let instruments = vec![instrument.clone()];
        let config = engine_config(instruments.clone());
        let engine = Engine::new(&config, vec![Strings::default().puppet()]).unwrap();
        let now = Nanos(1_000 * Nanos::SECOND);
        let listing = Listing::new(instrument.spec.venue, &instruments, &config.assets);
        let state = engine.snapshot();
        let gateway = Gateway::new(AccountId(0), listing, options, &state, now).after(cuts, &state);
        Self { gateway, now, notices: Vec::new(), instrument, out: GatewayOut::default() }
    }

    pub(super) fn tell(&mut self, news: News) {
        self.gateway.news(&news, self.now, &mut self.out);
        self.notices.append(&mut self.out.notices);
    }

    /// Lets time pass, with the gateway's timer at its end.
    pub(super) fn pass(&mut self, ns: i64) {
        self.now = self.now.plus(ns);
        self.gateway.on_timer(self.now, &mut self.out);
        self.notices.append(&mut self.out.notices);
    }

    pub(super) fn place(&mut self, spec: OrderSpec) -> RequestId {
        let (account, strategy) = (AccountId(0), StrategyId(0));
        self.send(&OrderRequest::New { id: ID, account, strategy, spec })
    }

    /// Sends a request of the engine; returns the number of the one that comes of it.
    pub(super) fn send(&mut self, request: &OrderRequest) -> RequestId {
        self.gateway.send(request, self.now, &mut self.out);
        let asked = self.asked();
        let [own] = &asked[..] else { panic!("{asked:?}") };
        own.id
    }

    pub(super) fn answer(&mut self, request: RequestId, answer: Answer) {
        self.tell(News::Answered { request, outcome: Ok(answer) });
    }

    /// Returns what was asked of the venue since the last look.
    pub(super) fn asked(&mut self) -> Vec<Tagged> {
        std::mem::take(&mut self.out.requests)
    }

    /// Returns the one request that is like this, of those since the last look.
    pub(super) fn asked_for(&mut self, is_it: impl Fn(&Request) -> bool) -> Tagged {
        let asked = self.asked();
        let mut found = asked.iter().filter(|own| is_it(&own.request));
        let Some(own) = found.next() else { panic!("{asked:?}") };
        own.clone()
    }

    /// Answers everything that a comparison asks for: these orders, and nothing else.
    pub(super) fn compare(&mut self, orders: Vec<OrderNews>) {
        for _ in 0..2 {
            let asked = self.asked();
            self.answer_all(asked.into_iter(), &orders);
        }
    }

    /// Answers these questions of a comparison: these orders are open, and there is nothing else.
    pub(super) fn answer_all(&mut self, asked: impl Iterator<Item = Tagged>, orders: &[OrderNews]) {
        for asked in asked {
            let answer = match asked.request {
                Request::OpenOrders { .. } => Answer::Orders(orders.to_vec()),
                Request::OrderHistory { .. } => Answer::Orders(Vec::new()),
                Request::Balances => Answer::Holdings(Vec::new()),
                Request::Positions => Answer::Positions(Vec::new()),
                Request::Fills { .. } => Answer::Fills(Vec::new(), false),
                other => panic!("{other:?}"),
            };
            self.answer(asked.id, answer);
        }
    }

    /// Returns what was told since the last look.
    pub(super) fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.out.events)
    }

    /// Returns what the engine was told of orders since the last look.
    pub(super) fn reports(&mut self) -> Vec<ReportKind> {
        let kind = |event| match event {
            Event::Execution(report) => Some(report.kind),
            _ => None,
        };
        std::mem::take(&mut self.out.events).into_iter().filter_map(kind).collect()
    }

    /// Returns how many comparisons were finished since the last look.
    pub(super) fn n_compared(&mut self) -> usize {
        let notices = std::mem::take(&mut self.notices);
        let is_it = |notice: &&GatewayNotice| matches!(notice, GatewayNotice::Reconciled { .. });
        notices.iter().filter(is_it).count()
    }

    /// Returns news of an order of the script's instrument under this number.
    pub(super) fn order(
        &self,
        key: Option<OrderKey>,
        number: &str,
        spec: OrderSpec,
        status: OrderStatus,
        filled: i64,
    ) -> OrderNews {
        OrderNews {
            key,
            venue_order_id: VenueText::from(number).unwrap(),
            instrument: self.instrument.id,
            status,
            side: spec.side,
            kind: spec.kind,
            qty: spec.qty,
            filled: Quantity(filled),
            venue_at: self.now,
        }
    }

    /// Returns an execution that names its order by the venue's number alone.
    pub(super) fn fill(&self, number: &str, trade_id: u64, side: Side, qty: i64) -> FillNews {
        FillNews {
            key: None,
            venue_order_id: VenueText::from(number).unwrap(),
            instrument: self.instrument.id,
            trade_id,
            side,
            price: Price(90),
            qty: Quantity(qty),
            role: Role::Taker,
            fee: rust_decimal::Decimal::ZERO,
            fee_asset: None,
            venue_at: self.now,
        }
    }
}

/// Returns an order that sells at the market once it has fallen to 90.
pub(super) fn stop(qty: i64) -> OrderSpec {
    let spec = OrderSpec::limit(INSTRUMENT, Side::Sell, Price(90), Quantity(qty));
    OrderSpec { kind: OrderKind::Stop { trigger: Price(90) }, ..spec }
}

/// Returns what the engine is told of a fill, less its price and fee.
pub(super) fn filled(reports: &[ReportKind]) -> Vec<(u64, i64)> {
    let fill = |kind: &ReportKind| match kind {
        ReportKind::Fill(fill) => Some((fill.trade_id, fill.qty.0)),
        _ => None,
    };
    reports.iter().filter_map(fill).collect()
}
