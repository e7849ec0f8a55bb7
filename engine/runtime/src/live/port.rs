//! Real accounts as the event loop's port.

use std::collections::VecDeque;

use tercel_adapters::net::{CallDriver, ResyncHandle, Transport};
use tercel_adapters::{Accounts, GatewayNotice};
use tercel_core::{AccountId, Approved, Event, InstrumentId, Nanos, OrderRequest};
use tercel_sim::VenuePort;

use crate::clock::Clock;
use crate::port::Port;

/// The accounts that the engine's own thread speaks for: profiles `inline` and `pinned`.
///
/// Requests are encoded, signed and written where they come from, without a hop. Each look of the
/// loop polls the accounts' sockets once.
pub struct LivePort<T, C, K> {
    accounts: Accounts<T, C>,
    clock: K,
    ready: VecDeque<Event>,
    scratch: Vec<Event>,
    resyncs: ResyncHandle,
    tell: Box<dyn FnMut(AccountId, GatewayNotice)>,
}

impl<T, C, K> std::fmt::Debug for LivePort<T, C, K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LivePort").field("accounts", &self.accounts).finish_non_exhaustive()
    }
}

impl<T: Transport, C: CallDriver, K: Clock> LivePort<T, C, K> {
    /// Returns the port of these accounts. `tell` is given what people are to know, on the engine's
    /// thread: it must not block.
    #[must_use]
    pub fn new(
        accounts: Accounts<T, C>,
        clock: K,
        resyncs: ResyncHandle,
        tell: Box<dyn FnMut(AccountId, GatewayNotice)>,
    ) -> Self {
        Self { accounts, clock, ready: VecDeque::new(), scratch: Vec::new(), resyncs, tell }
    }

    fn pass_on(&mut self) {
        self.ready.extend(self.scratch.drain(..));
        self.accounts.notices(&mut self.tell);
    }
}

impl<T: Transport, C: CallDriver, K: Clock> VenuePort for LivePort<T, C, K> {
    /// The time is the port's own, as when it polls: the loop's may be held ahead of the clock after
    /// that was set back, and a venue refuses what is signed ahead of time.
    fn send(&mut self, request: Approved<OrderRequest>, _now: Nanos) {
        self.accounts.send(&request, self.clock.now(), &mut self.scratch);
        self.pass_on();
    }

    fn poll(&mut self, _now: Nanos) -> Option<Event> {
        if self.ready.is_empty() {
            let clock = &mut self.clock;
            self.accounts.poll(&mut || clock.now(), &mut self.scratch);
            self.pass_on();
        }
        self.ready.pop_front()
    }
}

impl<T: Transport, C: CallDriver, K: Clock> Port for LivePort<T, C, K> {
    fn on_event(&mut self, _now: Nanos, _event: &Event) {}

    fn advance(&mut self, _now: Nanos) {}

    fn next_action_at(&self) -> Nanos {
        Nanos(i64::MAX)
    }

    /// A socket has to be asked.
    fn next_report_at(&self) -> Nanos {
        Nanos(i64::MIN)
    }

    fn is_busy(&self) -> bool {
        self.accounts.is_busy()
    }

    fn is_ready(&self) -> bool {
        self.accounts.are_compared()
    }

    fn reconcile(&mut self) -> bool {
        let is_begun = self.accounts.reconcile(self.clock.now(), &mut self.scratch);
        self.pass_on();
        is_begun
    }

    fn resync(&mut self, instrument: InstrumentId, _now: Nanos) {
        self.resyncs.ask(instrument);
    }
}

#[cfg(test)]
mod tests {
    use tercel_adapters::net::{Budget, CallFaults, MemoryCallNet, MemoryCalls, MemoryTransport};
    use tercel_adapters::{AccountDriver, Gateway, GatewayOptions, Listing};
    use tercel_core::{
        Command, Effect, Engine, MarketData, MarketEvent, OrderSpec, Price, Quantity, ReportKind,
        Seq, Side, StrategyId,
    };
    use tercel_testkit::{Strings, engine_config, level, linear};

    use super::*;

    /// A clock that stands still.
    struct Still(Nanos);

    impl Clock for Still {
        fn now(&mut self) -> Nanos {
            self.0
        }

        fn begin(&mut self, _first: Nanos) {}

        fn horizon(&mut self) -> Nanos {
            self.0
        }

        fn reach(&mut self, _at: Nanos) -> Nanos {
            self.0
        }

        fn is_replay(&self) -> bool {
            false
        }
    }

    /// Returns an order that an engine has let pass at this time, with the engine.
    fn approved(now: Nanos) -> (Engine, Approved<OrderRequest>) {
        let config = engine_config(vec![linear(0)]);
        let strings = Strings::default();
        let mut engine = Engine::new(&config, vec![strings.puppet()]).unwrap();
        let spec = OrderSpec::limit(InstrumentId(0), Side::Buy, Price(99), Quantity(1));
        let clear = MarketEvent {
            venue_at: now,
            received_at: now,
            instrument: InstrumentId(0),
            data: MarketData::Clear { seq: 0 },
        };
        let events = [
            Event::Command(Command::Start(StrategyId(0))),
            Event::Market(clear),
            level(0, now.0, Side::Buy, 99, 5),
            level(0, now.0, Side::Sell, 101, 5),
            level(0, now.0, Side::Sell, 101, 6),
        ];
        let mut sent = Vec::new();
        for (event, seq) in events.iter().zip(1..) {
            if seq == events.len() as u64 {
                strings.place(spec);
            }
            let mut effects = Engine::effects();
            engine.handle(Seq(seq), now, event, &mut effects);
            sent.extend(effects.as_slice().iter().filter_map(|effect| match effect {
                Effect::Send(request) => Some(*request),
                _ => None,
            }));
        }
        (engine, sent.pop().unwrap())
    }

    /// After the machine's clock was set back by an hour the loop goes on at the time that it had
    /// reached. Orders were signed with that time, and refused by the venue for as long, while polls
    /// went by the clock: answers seemed to come before their requests.
    #[test]
    fn requests_go_out_at_the_clocks_own_time() {
        let clock = Nanos(1_000 * Nanos::SECOND);
        let ahead = clock.plus(3_600 * Nanos::SECOND);
        let (engine, request) = approved(ahead);
        let instruments = [linear(0)];
        let listing = Listing::new(instruments[0].spec.venue, &instruments, &[]);
        let options = GatewayOptions::default();
        let gateway = Gateway::new(AccountId(0), listing, options, &engine.snapshot(), clock);
        let calls = MemoryCallNet::new(0, CallFaults::NONE).driver(Budget::unlimited());
        let driver = AccountDriver::<MemoryTransport, MemoryCalls>::new(gateway, Vec::new(), calls);
        let resyncs = ResyncHandle::default();
        let accounts = Accounts::new([driver]);
        let mut port = LivePort::new(accounts, Still(clock), resyncs, Box::new(|_, _| ()));
        port.send(request, ahead);
        // Without a connection it is refused at once, with the time at which that was.
        let told = port.poll(ahead);
        let Some(Event::Execution(report)) = told else { panic!("{told:?}") };
        assert!(matches!(report.kind, ReportKind::Rejected(_)), "{report:?}");
        assert_eq!(report.received_at, clock);
    }
}
