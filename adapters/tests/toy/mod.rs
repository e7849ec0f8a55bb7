//! A venue of a few words, and a server that says them over real WebSockets.

#![allow(dead_code, unreachable_pub, reason = "each test that includes this uses a part of it")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tercel_adapters::{
    AccountSetup, Aggregate, Call, CallAnswer, CallId, CallOutcome, Candle, CandleQuery,
    Capabilities, Connection, Cost, DecodeError, EncodeError, Frame, KeyError, Limit, Listed,
    Listing, Manners, Method, Outbox, Priority, Protocol, Purpose, RequestId, Tagged, Topic,
    TopicKind, TradesQuery, Usage, Venue,
};
use tercel_core::{
    Event, InstrumentId, LinkEvent, LinkState, MarketData, MarketEvent, Nanos, Price, Quantity,
    Side, VenueId,
};
use tungstenite::WebSocket;

/// Instruments are numbers; a trade is `t INSTRUMENT PRICE`.
pub struct Toy {
    /// Of the streams, and of the clock.
    pub streams: String,
    pub rest: String,
    pub per_connection: usize,
    pub manners: Manners,
}

pub const MANNERS: Manners = Manners { messages_per_s: 0, max_age_s: 0, silence_s: 0 };

pub fn toy(streams: String) -> Toy {
    Toy { streams, rest: "http://127.0.0.1:9/".to_owned(), per_connection: 100, manners: MANNERS }
}

pub fn topics(n: u16) -> Vec<Topic> {
    (0..n).map(|id| Topic { instrument: InstrumentId(id), kind: TopicKind::Book }).collect()
}

struct ToyProtocol {
    instruments: Vec<InstrumentId>,
}

const COST: Cost = Cost { weight: 0, orders: 0, priority: Priority::Query };

impl ToyProtocol {
    fn tell(&self, state: LinkState, out: &mut Outbox) {
        out.events.extend(self.instruments.iter().map(|id| link(id.0, state)));
    }
}

pub fn link(id: u16, state: LinkState) -> Event {
    Event::Link(LinkEvent { venue: VenueId(0), instrument: Some(InstrumentId(id)), state })
}

impl Protocol for ToyProtocol {
    fn subscribe(&mut self, _now: Nanos, out: &mut Outbox) {
        out.frame(COST, |bytes| {
            bytes.extend_from_slice(format!("sub {}", self.instruments.len()).as_bytes());
        });
        self.tell(LinkState::Up, out);
    }

    fn decode(
        &mut self,
        frame: Frame<'_>,
        received_at: Nanos,
        out: &mut Outbox,
    ) -> Result<(), DecodeError> {
        let text = std::str::from_utf8(frame.bytes())
            .map_err(|_| DecodeError::Syntax { at: 0, what: "text" })?;
        let mut words = text.split(' ');
        let (Some(what), Some(id), Some(price)) = (words.next(), words.next(), words.next()) else {
            return Err(DecodeError::UnknownMessage);
        };
        let id = id.parse().map_err(|_| DecodeError::Field("id"))?;
        let price = Price(price.parse().map_err(|_| DecodeError::Field("price"))?);
        let qty = Quantity(1);
        let data = match what {
            "t" => MarketData::Trade { aggressor: None, price, qty, id: 0 },
            "l" => MarketData::Level { side: Side::Buy, price, qty, last: true },
            _ => return Err(DecodeError::UnknownMessage),
        };
        out.events.push(Event::Market(MarketEvent {
            venue_at: received_at,
            received_at,
            instrument: InstrumentId(id),
            data,
        }));
        Ok(())
    }

    fn encode(&mut self, _: &Tagged, _: Nanos, _: &mut Outbox) -> Result<(), EncodeError> {
        Err(EncodeError::NotReady)
    }

    fn unsent(&mut self, _: RequestId) {}

    fn answer(&mut self, answer: &CallAnswer<'_>, received_at: Nanos, out: &mut Outbox) {
        if let CallOutcome::Answered { body, .. } = answer.outcome {
            let _ = self.decode(Frame::Text(body), received_at, out);
        }
    }

    fn on_timer(&mut self, _: Nanos, _: &mut Outbox) -> Nanos {
        Nanos(i64::MAX)
    }

    fn disconnected(&mut self, _: Nanos, out: &mut Outbox) {
        self.tell(LinkState::Down, out);
    }

    fn resync(&mut self, instrument: InstrumentId, _: Nanos, out: &mut Outbox) {
        if self.instruments.contains(&instrument) {
            out.frame(COST, |bytes| {
                bytes.extend_from_slice(format!("resync {}", instrument.0).as_bytes());
            });
        }
    }
}

impl Venue for Toy {
    fn name(&self) -> &'static str {
        "toy"
    }

    fn capabilities(&self) -> &Capabilities {
        static CAPABILITIES: Capabilities = Capabilities { name: "toy", rows: &[] };
        &CAPABILITIES
    }

    fn limits(&self) -> Vec<Limit> {
        Vec::new()
    }

    fn usage(&self, _: &str, _: &str) -> Option<Usage> {
        None
    }

    fn market(&self, _: &Listing, topics: &[Topic]) -> Vec<Connection> {
        topics
            .chunks(self.per_connection)
            .map(|topics| {
                let address = self.streams.clone();
                let instruments = topics.iter().map(|topic| topic.instrument).collect();
                Connection {
                    purpose: Purpose::Market,
                    address: Box::new(move || Some(address.clone())),
                    protocol: Box::new(ToyProtocol { instruments }),
                    manners: self.manners,
                }
            })
            .collect()
    }

    fn account(&self, _: &Listing, _: &AccountSetup) -> Result<Vec<Connection>, KeyError> {
        Err(KeyError::Unsupported("any"))
    }

    fn server_time(&self, id: CallId) -> Call {
        Call {
            id,
            method: Method::Get,
            url: self.rest.clone(),
            headers: Vec::new(),
            body: Vec::new(),
            cost: Cost { weight: 1, orders: 0, priority: Priority::Query },
            expires_at: Nanos(i64::MAX),
        }
    }

    fn parse_server_time(&self, body: &[u8]) -> Result<Nanos, DecodeError> {
        let text = std::str::from_utf8(body).map_err(|_| DecodeError::Field("time"))?;
        text.parse().map(Nanos).map_err(|_| DecodeError::Field("time"))
    }

    fn instruments(&self, id: CallId) -> Call {
        self.server_time(id)
    }

    fn parse_instruments(&self, _: &[u8]) -> Result<Listed, DecodeError> {
        Err(DecodeError::UnknownMessage)
    }

    fn candles(&self, id: CallId, _: &CandleQuery<'_>) -> Call {
        self.server_time(id)
    }

    fn parse_candles(&self, _: &[u8]) -> Result<Vec<Candle>, DecodeError> {
        Err(DecodeError::UnknownMessage)
    }

    fn trades(&self, id: CallId, _: &TradesQuery<'_>) -> Call {
        self.server_time(id)
    }

    fn parse_trades(&self, _: &[u8]) -> Result<Vec<Aggregate>, DecodeError> {
        Err(DecodeError::UnknownMessage)
    }
}

/// A server's end of a stream, secured or not.
pub trait Duplex: Read + Write + Send {}

impl<S: Read + Write + Send> Duplex for S {}

pub type Peer = WebSocket<Box<dyn Duplex>>;

/// A WebSocket server on loopback. Each connection gets a thread, on which `script` runs with its
/// number; returning closes it.
pub struct Server {
    pub port: u16,
    n_connections: Arc<Mutex<usize>>,
}

impl Server {
    pub fn start(script: impl Fn(usize, &mut Peer) + Send + Sync + 'static) -> Self {
        Self::with_tls(None, script)
    }

    pub fn with_tls(
        tls: Option<Arc<ServerConfig>>,
        script: impl Fn(usize, &mut Peer) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = Arc::new(script);
        let n_connections = Arc::new(Mutex::new(0));
        let counter = Arc::clone(&n_connections);
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let number = *counter.lock().unwrap();
                *counter.lock().unwrap() += 1;
                let (tls, script) = (tls.clone(), Arc::clone(&script));
                std::thread::spawn(move || serve(socket.unwrap(), tls, number, &*script));
            }
        });
        Self { port, n_connections }
    }

    pub fn address(&self) -> String {
        format!("ws://127.0.0.1:{}/stream", self.port)
    }

    pub fn n_connections(&self) -> usize {
        *self.n_connections.lock().unwrap()
    }
}

fn serve(
    socket: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    number: usize,
    script: &dyn Fn(usize, &mut Peer),
) {
    socket.set_nodelay(true).unwrap();
    let stream: Box<dyn Duplex> = match tls {
        None => Box::new(socket),
        Some(tls) => Box::new(StreamOwned::new(ServerConnection::new(tls).unwrap(), socket)),
    };
    // Clients that do not trust us go before there is a WebSocket.
    let Ok(mut peer) = tungstenite::accept(stream) else { return };
    script(number, &mut peer);
}

/// Waits for the subscription.
pub fn expect_text(peer: &mut Peer, prefix: &str) -> String {
    loop {
        let message = peer.read().expect("the client says something");
        if let tungstenite::Message::Text(text) = message {
            assert!(text.starts_with(prefix), "{text}");
            return text.to_string();
        }
    }
}

pub fn say(peer: &mut Peer, text: &str) {
    peer.send(tungstenite::Message::text(text)).unwrap();
}

/// Holds the connection until the client goes.
pub fn linger(peer: &mut Peer) {
    while peer.read().is_ok() {}
}

pub fn now() -> Nanos {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    Nanos(i64::try_from(since.as_nanos()).unwrap())
}

/// Waits for something, at most half a minute.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "waited too long: {what}");
        std::thread::yield_now();
    }
}

pub fn prices(events: &[Event]) -> Vec<i64> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Market(MarketEvent { data: MarketData::Trade { price, .. }, .. }) => {
                Some(price.0)
            }
            _ => None,
        })
        .collect()
}
