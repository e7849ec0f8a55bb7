//! What a venue says and is told, for the benches of this crate.

use tercel_adapters::binance::{Binance, Product};
use tercel_adapters::{
    AccountSetup, CallAnswer, CallOutcome, ClientIds, ClockOffset, Connection, Credentials,
    Environment, Frame, Listing, OrderEntry, OrderKey, Outbox, Request, RequestId, Tagged, Topic,
    TopicKind, Venue as _,
};
use tercel_core::{
    ClientOrderId, Instrument, InstrumentId, InstrumentKind, InstrumentSpec, Nanos, OrderSpec,
    Price, Quantity, Side, VenueId,
};

const INSTRUMENT: InstrumentId = InstrumentId(0);

/// Where numbers of updates begin: as long as the venue's.
const FIRST_UPDATE: u64 = 50_093_239_212;

/// Depth messages in a round: together they fit a core's second cache, as a message that was just
/// received does.
pub(crate) const ROUND: u64 = 64;

/// Messages that can be read over and over.
pub(crate) const MESSAGES: [(&str, &str); 4] = [
    (
        "trade",
        r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}"#,
    ),
    (
        "aggregate trade",
        r#"{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1723161255343,"s":"BTCUSDT","a":3071034571,"p":"61837.63000000","q":"0.02000000","f":3735683257,"l":3735683259,"T":1723161255342,"m":true,"M":true}}"#,
    ),
    (
        "best quote",
        r#"{"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000","a":"61837.64000000","A":"1.54698000"}}"#,
    ),
    (
        "trade, the long way",
        r#"{"\u0065":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}"#,
    ),
];

/// What the venue says of an order of ours that was filled in part.
pub(crate) const ORDER_UPDATE: &str = r#"{"subscriptionId":0,"event":{"e":"executionReport","E":1723161255343,"s":"BTCUSDT","c":"tc1-7","S":"BUY","o":"LIMIT","f":"GTC","q":"0.02000000","p":"61837.63000000","P":"0.00000000","F":"0.00000000","g":-1,"C":"","x":"TRADE","X":"PARTIALLY_FILLED","r":"NONE","i":30003187121,"l":"0.01000000","z":"0.01000000","L":"61837.63000000","n":"0.00000750","N":"BTC","T":1723161255342,"t":3735683259,"I":8641984,"w":false,"m":true,"M":true,"O":1723161255208,"Z":"618.37630000","Y":"618.37630000","Q":"0.00000000","W":1723161255208,"V":"EXPIRE_MAKER"}}"#;

fn listing() -> Listing {
    let mut spec = InstrumentSpec::linear("BTCUSDT", "0.01", "0.00001");
    spec.kind = InstrumentKind::Spot;
    let instrument = Instrument::new(INSTRUMENT, spec).expect("the grid is Bitcoin's");
    Listing::new(VenueId(0), &[instrument], &["BTC".to_owned(), "USDT".to_owned()])
}

/// A market connection whose book is whole.
pub(crate) struct Market {
    connection: Connection,
    out: Outbox,
    n_updates: u64,
}

impl Market {
    pub(crate) fn new() -> Self {
        let mut out = Outbox::default();
        let venue = Binance::new(Product::Spot, &Environment::Production);
        let kinds = [TopicKind::Book, TopicKind::Trades, TopicKind::Quotes];
        let topics = kinds.map(|kind| Topic { instrument: INSTRUMENT, kind });
        let mut connection = venue.market(&listing(), &topics).remove(0);
        connection.protocol.subscribe(Nanos(0), &mut out);
        connection.protocol.on_timer(Nanos(2 * Nanos::SECOND), &mut out);
        let call = out.calls.pop().expect("a snapshot is asked for");
        let body = format!(r#"{{"lastUpdateId":{FIRST_UPDATE},"bids":[["1.00","1"]],"asks":[]}}"#);
        let outcome =
            CallOutcome::Answered { status: 200, body: body.as_bytes(), retry_after_s: None };
        connection.protocol.answer(&CallAnswer { id: call.id, outcome }, Nanos(1), &mut out);
        out.events.clear();
        Self { connection, out, n_updates: FIRST_UPDATE }
    }

    /// Returns the next depth messages: numbers go on, so every one of them counts.
    pub(crate) fn depth_round(&mut self) -> Vec<String> {
        let from = self.n_updates + 1;
        self.n_updates += ROUND;
        (from..from + ROUND).map(depth).collect()
    }

    /// Reads a message and returns how many events it led to.
    pub(crate) fn decode(&mut self, message: &str) -> usize {
        let frame = Frame::Text(message.as_bytes());
        self.connection.protocol.decode(frame, Nanos(1), &mut self.out).expect("it is well-formed");
        let n_events = self.out.events.len();
        self.out.events.clear();
        n_events
    }
}

/// Returns the nth increment, of 20 levels a side, as the venue writes it.
fn depth(n: u64) -> String {
    let side = |from: u64| {
        let level = |k: u64| {
            let (price, qty) = (6_180_000 + from + k * 7, (n * 13 + k * 7_919) % 3_000_000);
            format!(
                "[\"{}.{:02}000000\",\"{}.{:05}000\"]",
                price / 100,
                price % 100,
                qty / 100_000,
                qty % 100_000
            )
        };
        (0..20).map(level).collect::<Vec<_>>().join(",")
    };
    format!(
        r#"{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":{n},"u":{n},"b":[{}],"a":[{}]}}}}"#,
        side(n % 50),
        side(500 + n % 50)
    )
}

/// A connection that orders are sent over.
pub(crate) struct Account {
    connection: Connection,
    out: Outbox,
    n_orders: u64,
}

impl Account {
    pub(crate) fn new() -> Self {
        let setup = AccountSetup {
            credentials: Credentials::new("k".repeat(64), "s".repeat(64)),
            ids: ClientIds::new("tc").expect("a plain prefix"),
            clock: ClockOffset::default(),
            entry: OrderEntry::Fastest,
        };
        let venue = Binance::new(Product::Spot, &Environment::Production);
        let connection = venue.account(&listing(), &setup).expect("the key is one").remove(0);
        let mut account = Self { connection, out: Outbox::default(), n_orders: 0 };
        account.reopen();
        account
    }

    fn reopen(&mut self) {
        self.connection.protocol.subscribe(Nanos(0), &mut self.out);
        self.out.news.clear();
        self.out.clear_frames();
    }

    /// Reads a message and returns how many news it led to.
    pub(crate) fn decode(&mut self, message: &str) -> usize {
        let frame = Frame::Text(message.as_bytes());
        self.connection.protocol.decode(frame, Nanos(1), &mut self.out).expect("it is well-formed");
        let n_news = self.out.news.len();
        self.out.news.clear();
        n_news
    }

    /// Puts a limit order into a signed frame and returns how long that is.
    pub(crate) fn place(&mut self) -> usize {
        self.n_orders += 1;
        let n = self.n_orders;
        let key = OrderKey::first(ClientOrderId::new(1, n));
        let spec = OrderSpec::limit(INSTRUMENT, Side::Buy, Price(6_183_763), Quantity(2_000));
        let tagged = Tagged { id: RequestId(n), request: Request::Place { key, spec } };
        self.connection
            .protocol
            .encode(&tagged, Nanos(1_700_000_000 * Nanos::SECOND), &mut self.out)
            .expect("the venue has it");
        let n_bytes = self.out.frames().map(|frame| frame.text.len()).sum();
        self.out.clear_frames();
        // Answers do not come here, so what waits for them is closed now and then.
        if n.is_multiple_of(1_000) {
            self.connection.protocol.disconnected(Nanos(0), &mut self.out);
            self.reopen();
        }
        n_bytes
    }
}
