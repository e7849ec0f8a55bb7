//! The venue's side of the measurement: sends market messages by the clock and takes the orders.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use hdrhistogram::Histogram;
use tercel_runtime::{Clock, UtcClock, pin_current_thread};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Bytes, Error, Message, Utf8Bytes, WebSocket};

use super::messages::{MARKS, Messages, kind_of, mark_of};
use super::probe::Probe;
use super::{Plan, histogram, nanos};

/// How long the other side may take to connect and log on.
const PATIENCE: Duration = Duration::from_secs(20);
/// Until the first message, once the other side is there: its strategies begin meanwhile.
const LEAD: Duration = Duration::from_millis(300);
/// How long orders are waited for after the last message.
const LINGER_NS: u64 = 1_000_000_000;

/// What the peer has seen.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// From when the message was to be sent until its order was read whole, in nanoseconds.
    pub(super) from_intended: Histogram<u64>,
    /// From when the message's last byte had been written.
    pub(super) from_written: Histogram<u64>,
    /// Messages that asked for an order, after the warm-up.
    pub(super) n_asked: u64,
    /// Messages after the warm-up.
    pub(super) n_messages: u64,
    /// From the first of them to the last.
    pub(super) span_ns: u64,
    /// Bytes of the last order's text.
    pub(super) order_bytes: usize,
}

/// Where the peer listens.
#[derive(Debug)]
pub(super) struct Doors {
    streams: TcpListener,
    api: TcpListener,
}

impl Doors {
    pub(super) fn open() -> std::io::Result<Self> {
        let open = || TcpListener::bind("127.0.0.1:0");
        Ok(Self { streams: open()?, api: open()? })
    }

    /// Returns the addresses of the streams and of the WebSocket API.
    pub(super) fn addresses(&self) -> std::io::Result<(SocketAddr, SocketAddr)> {
        Ok((self.streams.local_addr()?, self.api.local_addr()?))
    }
}

/// Runs the peer on the calling thread, from the first connection to the last order.
pub(super) fn run(doors: &Doors, plan: &Plan, probe: Option<&Probe>) -> anyhow::Result<Seen> {
    pin_current_thread(plan.peer_core)?;
    let until = Instant::now() + PATIENCE;
    let streams = accept(&doors.streams, until)?;
    let api = accept(&doors.api, until)?;
    let mut peer = Peer::new(streams, api, plan);
    peer.welcome(until)?;
    peer.measure(probe)
}

fn accept(door: &TcpListener, until: Instant) -> anyhow::Result<WebSocket<TcpStream>> {
    door.set_nonblocking(true)?;
    let socket = loop {
        match door.accept() {
            Ok((socket, _)) => break socket,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        if Instant::now() > until {
            bail!("the engine did not connect within {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    socket.set_nodelay(true)?;
    socket.set_nonblocking(false)?;
    // Each message goes out at once.
    let config = WebSocketConfig::default().write_buffer_size(0);
    let socket = tungstenite::accept_with_config(socket, Some(config))
        .map_err(|error| anyhow!("a handshake failed: {error}"))?;
    socket.get_ref().set_nonblocking(true)?;
    Ok(socket)
}

/// A message that asked for an order.
#[derive(Clone, Copy, Debug)]
struct Asked {
    intended_ns: u64,
    written_ns: u64,
    counts: bool,
}

struct Peer<'a> {
    streams: WebSocket<TcpStream>,
    api: WebSocket<TcpStream>,
    plan: &'a Plan,
    messages: Messages,
    base: Instant,
    /// By mark, what is waited for.
    asked: Vec<Option<Asked>>,
    n_waiting: usize,
    n_orders: u64,
    seen: Seen,
}

fn is_not_yet(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == ErrorKind::WouldBlock)
}

/// Reads a message if there is one.
fn read(socket: &mut WebSocket<TcpStream>) -> anyhow::Result<Option<Utf8Bytes>> {
    match socket.read() {
        Ok(Message::Text(text)) => Ok(Some(text)),
        Ok(_) => Ok(None),
        Err(error) if is_not_yet(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Sends a message; what the system does not take goes with the next one or with a flush.
fn send(socket: &mut WebSocket<TcpStream>, text: &[u8]) -> anyhow::Result<()> {
    let text = Utf8Bytes::try_from(Bytes::copy_from_slice(text))?;
    match socket.send(Message::Text(text)) {
        Err(error) if !is_not_yet(&error) => Err(error.into()),
        _ => Ok(()),
    }
}

fn flush(socket: &mut WebSocket<TcpStream>) -> anyhow::Result<()> {
    match socket.flush() {
        Err(error) if !is_not_yet(&error) => Err(error.into()),
        _ => Ok(()),
    }
}

impl<'a> Peer<'a> {
    fn new(streams: WebSocket<TcpStream>, api: WebSocket<TcpStream>, plan: &'a Plan) -> Self {
        let ms = UtcClock::system().now().0.div_euclid(1_000_000);
        Self {
            streams,
            api,
            plan,
            messages: Messages::new(ms),
            base: Instant::now(),
            asked: vec![None; usize::try_from(MARKS).unwrap_or_default()],
            n_waiting: 0,
            n_orders: 0,
            seen: Seen {
                from_intended: histogram(),
                from_written: histogram(),
                n_asked: 0,
                n_messages: 0,
                span_ns: 0,
                order_bytes: 0,
            },
        }
    }

    fn now_ns(&self) -> u64 {
        nanos(self.base.elapsed())
    }

    /// Answers what is asked until the market is subscribed to and the account was compared.
    fn welcome(&mut self, until: Instant) -> anyhow::Result<()> {
        let (mut is_subscribed, mut is_known) = (false, false);
        while !(is_subscribed && is_known) {
            if Instant::now() > until {
                bail!("the engine did not log on within {PATIENCE:?}");
            }
            if let Some(text) = read(&mut self.streams)? {
                let answer = format!(r#"{{"result":null,"id":{}}}"#, id_of(&text));
                send(&mut self.streams, answer.as_bytes())?;
                is_subscribed = true;
            }
            if let Some(text) = read(&mut self.api)? {
                is_known |= text.contains("\"account.status\"");
                self.answer(&text)?;
            }
        }
        // What else there is to say before the first message.
        let begun = Instant::now();
        while begun.elapsed() < LEAD {
            if let Some(text) = read(&mut self.api)? {
                self.answer(&text)?;
            }
        }
        Ok(())
    }

    /// Sends all messages by the clock, whether or not the other side keeps up, and reads orders.
    fn measure(mut self, probe: Option<&Probe>) -> anyhow::Result<Seen> {
        let rate = u64::from(self.plan.rate.max(1));
        let n_warm_up = rate;
        let n_messages = rate * u64::from(self.plan.seconds + 1);
        let start_ns = self.now_ns();
        let intended = |n: u64| {
            let ns = u128::from(n) * 1_000_000_000 / u128::from(rate);
            start_ns.saturating_add(u64::try_from(ns).unwrap_or(u64::MAX))
        };
        let mut n = 0;
        let mut last_ns = start_ns;
        loop {
            let now_ns = self.now_ns();
            if n < n_messages && intended(n) <= now_ns {
                if n == n_warm_up
                    && let Some(probe) = probe
                {
                    probe.clear();
                }
                self.send_message(n, intended(n), n >= n_warm_up)?;
                n += 1;
                last_ns = now_ns;
            } else if n == n_messages {
                if self.n_waiting == 0 || now_ns > last_ns + LINGER_NS {
                    break;
                }
                flush(&mut self.streams)?;
            } else if n % 64 == 0 {
                // Pings, and what a full socket did not take.
                read(&mut self.streams)?;
                flush(&mut self.streams)?;
            }
            if let Some(text) = read(&mut self.api)? {
                let read_ns = self.now_ns();
                if text.contains("\"order.place\"") {
                    self.take_order(&text, read_ns)?;
                } else {
                    self.answer(&text)?;
                }
            }
        }
        self.seen.n_messages = n_messages - n_warm_up;
        self.seen.span_ns = last_ns - intended(n_warm_up).min(last_ns);
        Ok(self.seen)
    }

    fn send_message(&mut self, n: u64, intended_ns: u64, counts: bool) -> anyhow::Result<()> {
        let every = self.plan.order_every;
        let kind = kind_of(n, every);
        let mark = n.is_multiple_of(every).then_some(n / every % MARKS);
        send(&mut self.streams, self.messages.next(kind, mark))?;
        if let Some(mark) = mark {
            let written_ns = self.now_ns();
            let place = &mut self.asked[usize::try_from(mark)?];
            // One that was not answered since the marks began anew never will be.
            self.n_waiting += usize::from(place.is_none());
            *place = Some(Asked { intended_ns, written_ns, counts });
            self.seen.n_asked += u64::from(counts);
        }
        Ok(())
    }

    fn take_order(&mut self, text: &str, read_ns: u64) -> anyhow::Result<()> {
        let quantity = field(text, "quantity").unwrap_or_default();
        let mark = quantity.parse().ok().and_then(mark_of);
        let place = mark.and_then(|mark| self.asked.get_mut(usize::try_from(mark).ok()?));
        if let Some(asked) = place.and_then(Option::take) {
            self.n_waiting -= 1;
            if asked.counts {
                let since = |at_ns: u64| read_ns.saturating_sub(at_ns);
                self.seen.from_intended.saturating_record(since(asked.intended_ns));
                self.seen.from_written.saturating_record(since(asked.written_ns));
            }
        }
        self.seen.order_bytes = text.len();
        self.n_orders += 1;
        // Over at once, so that nothing piles up.
        let answer = format!(
            r#"{{"id":{},"status":200,"result":{{"symbol":"BTCUSDT","orderId":{},"orderListId":-1,"clientOrderId":"{}","transactTime":{},"price":"59990.00","origQty":"{quantity}","executedQty":"0.00","status":"EXPIRED","timeInForce":"GTC","type":"LIMIT_MAKER","side":"BUY","fills":[]}}}}"#,
            id_of(text),
            self.n_orders,
            field(text, "newClientOrderId").unwrap_or_default(),
            UtcClock::system().now().0.div_euclid(1_000_000),
        );
        send(&mut self.api, answer.as_bytes())
    }

    fn answer(&mut self, text: &str) -> anyhow::Result<()> {
        let result = if text.contains("\"account.status\"") {
            r#"{"updateTime":0,"balances":[{"asset":"USDT","free":"100000000","locked":"0"}]}"#
        } else if text.contains("userDataStream") {
            r#"{"subscriptionId":0}"#
        } else {
            "[]"
        };
        let answer = format!(r#"{{"id":{},"status":200,"result":{result}}}"#, id_of(text));
        send(&mut self.api, answer.as_bytes())
    }
}

/// Returns a request's id as it is written.
fn id_of(text: &str) -> &str {
    let Some((_, rest)) = text.split_once("\"id\":") else { return "null" };
    rest.split([',', '}']).next().unwrap_or("null")
}

/// Returns a text field as it is written.
fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let at = text.find(&format!("\"{name}\":\""))? + name.len() + 4;
    text[at..].split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_far_enough() {
        let text = r#"{"id":17,"method":"order.place","params":{"newClientOrderId":"tc1","quantity":"9.0042"}}"#;
        assert_eq!(id_of(text), "17");
        assert_eq!(field(text, "quantity"), Some("9.0042"));
        assert_eq!(field(text, "price"), None);
        assert_eq!(id_of(r#"{"method":"SUBSCRIBE","params":[],"id":1}"#), "1");
        assert_eq!(id_of(r#"{"id":"events","method":"x"}"#), "\"events\"");
    }
}
