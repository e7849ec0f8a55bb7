//! Connections in memory, in virtual time, with seeded faults: for tests and storms.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tercel_core::Nanos;

use super::random::Random;
use super::transport::{Arrival, CloseReason, NotSent, Transport, TransportState};
use crate::protocol::Frame;

/// What goes wrong, how often. Chances are in millionths, of each message unless said otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Faults {
    /// Attempts to connect that are refused.
    pub refuse_ppm: u32,
    /// Attempts to connect that are never answered.
    pub hang_ppm: u32,
    /// Messages that vanish.
    pub drop_ppm: u32,
    /// Messages that arrive twice.
    pub duplicate_ppm: u32,
    /// Messages that may overtake those before them.
    pub reorder_ppm: u32,
    /// Messages with which the connection breaks, before or after they arrive.
    pub disconnect_ppm: u32,
    /// Messages after which nothing arrives any more, in either direction, and nobody is told.
    pub half_open_ppm: u32,
    /// Shortest and longest way of a message, in nanoseconds.
    pub delay_ns: (i64, i64),
}

/// How often each fault of a [`MemoryNet`] has struck.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FaultCounts {
    /// Attempts to connect that were refused.
    pub n_refused: u64,
    /// Attempts to connect that were never answered.
    pub n_hung: u64,
    /// Packets that were lost.
    pub n_dropped: u64,
    /// Packets that came twice.
    pub n_doubled: u64,
    /// Packets that others may overtake.
    pub n_reordered: u64,
    /// Connections that broke.
    pub n_broken: u64,
    /// Connections that carried nothing more without being closed.
    pub n_half_open: u64,
}

impl Faults {
    /// Nothing goes wrong, and nothing takes time.
    pub const NONE: Self = Self {
        refuse_ppm: 0,
        hang_ppm: 0,
        drop_ppm: 0,
        duplicate_ppm: 0,
        reorder_ppm: 0,
        disconnect_ppm: 0,
        half_open_ppm: 0,
        delay_ns: (0, 0),
    };

    /// Everything goes wrong, often.
    pub const STORM: Self = Self {
        refuse_ppm: 200_000,
        hang_ppm: 100_000,
        drop_ppm: 10_000,
        duplicate_ppm: 10_000,
        reorder_ppm: 20_000,
        disconnect_ppm: 20_000,
        half_open_ppm: 5_000,
        delay_ns: (50_000, 20_000_000),
    };
}

/// A network in memory. Cloning shares; a storm's two sides may be on different threads.
#[derive(Clone, Debug)]
pub struct MemoryNet(Arc<Mutex<Net>>);

#[derive(Debug)]
struct Net {
    random: Random,
    faults: Faults,
    counts: FaultCounts,
    wires: Vec<Wire>,
    n_accepted: usize,
    n_packets: u64,
}

#[derive(Debug)]
struct Wire {
    address: String,
    state: WireState,
    /// To the server, to the client.
    pipes: [Pipe; 2],
    is_half_open: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum WireState {
    Opening(Nanos),
    Refused(Nanos),
    Open,
    Broken(Nanos),
}

#[derive(Debug, Default)]
struct Pipe {
    /// By the time of arrival; packets of one time in the order of their sending.
    packets: BTreeMap<(Nanos, u64), Packet>,
    /// When the last one in order arrives.
    last_at: Nanos,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Packet {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping,
    Pong,
    Close(Option<u16>),
}

const TO_SERVER: usize = 0;
const TO_CLIENT: usize = 1;

impl MemoryNet {
    /// Returns a network without connections. The same seed and the same use bring the same faults.
    #[must_use]
    pub fn new(seed: u64, faults: Faults) -> Self {
        let random = Random::new(seed);
        let net = Net {
            random,
            faults,
            counts: FaultCounts::default(),
            wires: Vec::new(),
            n_accepted: 0,
            n_packets: 0,
        };
        Self(Arc::new(Mutex::new(net)))
    }

    /// Changes what goes wrong from here on. Connections that are half open stay so.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// Returns a client's end, not connected.
    #[must_use]
    pub fn transport(&self) -> MemoryTransport {
        let state = TransportState::Closed(CloseReason::NotConnected);
        MemoryTransport { net: self.clone(), wire: None, state }
    }

    /// Returns the server's end of the next connection that has been opened, if there is one.
    #[must_use]
    pub fn accept(&self, now: Nanos) -> Option<MemoryPeer> {
        let mut net = self.lock();
        while net.n_accepted < net.wires.len() {
            let idx = net.n_accepted;
            match net.wires[idx].state {
                WireState::Opening(at) if at > now => return None,
                WireState::Refused(_) => net.n_accepted += 1,
                WireState::Opening(_) | WireState::Open | WireState::Broken(_) => {
                    net.n_accepted += 1;
                    return Some(MemoryPeer { net: self.clone(), wire: idx });
                }
            }
        }
        None
    }

    /// Returns how many connections were attempted.
    #[must_use]
    pub fn n_attempts(&self) -> usize {
        self.lock().wires.len()
    }

    /// Breaks every connection.
    pub fn cut(&self, now: Nanos) {
        for wire in &mut self.lock().wires {
            wire.cut(now);
        }
    }

    /// Returns how often each fault has struck.
    #[must_use]
    pub fn counts(&self) -> FaultCounts {
        self.lock().counts
    }

    fn lock(&self) -> MutexGuard<'_, Net> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wire {
    const fn cut(&mut self, now: Nanos) {
        if matches!(self.state, WireState::Open | WireState::Opening(_)) {
            self.state = WireState::Broken(now);
        }
    }
}

impl Net {
    fn send(&mut self, wire: usize, way: usize, packet: Packet, now: Nanos) {
        let Self { random, faults, counts, wires, n_packets, .. } = self;
        let wire = &mut wires[wire];
        if wire.is_half_open {
            return;
        }
        if random.chance(faults.drop_ppm) {
            counts.n_dropped += 1;
            return;
        }
        if random.chance(faults.half_open_ppm) {
            counts.n_half_open += 1;
            wire.is_half_open = true;
        }
        let is_break = random.chance(faults.disconnect_ppm);
        counts.n_broken += u64::from(is_break);
        if is_break && random.chance(500_000) {
            return wire.cut(now);
        }
        let copies = if random.chance(faults.duplicate_ppm) { 2 } else { 1 };
        counts.n_doubled += copies - 1;
        for _ in 0..copies {
            *n_packets += 1;
            let delay = random.between(faults.delay_ns.0, faults.delay_ns.1);
            let mut at = now.plus(delay);
            let pipe = &mut wire.pipes[way];
            if random.chance(faults.reorder_ppm) {
                counts.n_reordered += 1;
            } else {
                at = at.max(pipe.last_at);
                pipe.last_at = at;
            }
            pipe.packets.insert((at, *n_packets), packet.clone());
        }
        if is_break {
            wire.cut(now);
        }
    }

    fn receive(&mut self, wire: usize, way: usize, now: Nanos) -> Option<(Packet, Nanos)> {
        let wire = &mut self.wires[wire];
        // What was under way when the connection broke arrives if it was due by then.
        let until = match wire.state {
            WireState::Broken(at) => at.min(now),
            WireState::Opening(_) | WireState::Refused(_) | WireState::Open => now,
        };
        let entry = wire.pipes[way].packets.first_entry()?;
        let at = entry.key().0;
        (at <= until).then(|| (entry.remove(), at))
    }
}

/// A client's end of a connection in memory.
#[derive(Debug)]
pub struct MemoryTransport {
    net: MemoryNet,
    wire: Option<usize>,
    state: TransportState,
}

impl MemoryTransport {
    fn send_packet(&self, packet: Packet, now: Nanos) -> Result<(), NotSent> {
        match (self.wire, &self.state) {
            (Some(wire), TransportState::Open) => {
                self.net.lock().send(wire, TO_SERVER, packet, now);
                Ok(())
            }
            _ => Err(NotSent::NotOpen),
        }
    }
}

impl Transport for MemoryTransport {
    fn connect(&mut self, address: &str, now: Nanos) {
        let mut net = self.net.lock();
        let faults = net.faults;
        let at = now.plus(net.random.between(faults.delay_ns.0, faults.delay_ns.1));
        let state = if net.random.chance(faults.hang_ppm) {
            net.counts.n_hung += 1;
            WireState::Opening(Nanos(i64::MAX))
        } else if net.random.chance(faults.refuse_ppm) {
            net.counts.n_refused += 1;
            WireState::Refused(at)
        } else {
            WireState::Opening(at)
        };
        self.wire = Some(net.wires.len());
        net.wires.push(Wire {
            address: address.to_owned(),
            state,
            pipes: [Pipe::default(), Pipe::default()],
            is_half_open: false,
        });
        drop(net);
        self.state = TransportState::Connecting;
    }

    fn state(&self) -> &TransportState {
        &self.state
    }

    fn poll(
        &mut self,
        max: usize,
        clock: &mut dyn FnMut() -> Nanos,
        arrived: &mut dyn FnMut(Arrival<'_>, Nanos),
    ) -> usize {
        let Some(wire) = self.wire else { return 0 };
        let now = clock();
        if self.state == TransportState::Connecting {
            let mut net = self.net.lock();
            match net.wires[wire].state {
                WireState::Opening(at) if at <= now => {
                    net.wires[wire].state = WireState::Open;
                    self.state = TransportState::Open;
                }
                WireState::Refused(at) if at <= now => {
                    let reason = CloseReason::Io(ErrorKind::ConnectionRefused);
                    self.state = TransportState::Closed(reason);
                }
                WireState::Opening(_) | WireState::Refused(_) => {}
                WireState::Open | WireState::Broken(_) => self.state = TransportState::Open,
            }
        }
        let mut n = 0;
        while n < max && self.state == TransportState::Open {
            let received = self.net.lock().receive(wire, TO_CLIENT, now);
            let Some((packet, _)) = received else {
                if matches!(self.net.lock().wires[wire].state, WireState::Broken(_)) {
                    let reason = CloseReason::Io(ErrorKind::ConnectionReset);
                    self.state = TransportState::Closed(reason);
                }
                break;
            };
            n += 1;
            match packet {
                Packet::Text(text) => arrived(Arrival::Frame(Frame::Text(&text)), now),
                Packet::Binary(bytes) => arrived(Arrival::Frame(Frame::Binary(&bytes)), now),
                Packet::Ping => {
                    self.net.lock().send(wire, TO_SERVER, Packet::Pong, now);
                    arrived(Arrival::Ping, now);
                }
                Packet::Pong => arrived(Arrival::Pong, now),
                Packet::Close(code) => {
                    self.state = TransportState::Closed(CloseReason::ByVenue(code));
                }
            }
        }
        n
    }

    fn send(&mut self, text: &[u8], now: Nanos) -> Result<(), NotSent> {
        self.send_packet(Packet::Text(text.to_vec()), now)
    }

    fn ping(&mut self, now: Nanos) -> Result<(), NotSent> {
        self.send_packet(Packet::Ping, now)
    }

    fn close(&mut self, now: Nanos) {
        if let Some(wire) = self.wire {
            self.net.lock().wires[wire].cut(now);
        }
        self.state = TransportState::Closed(CloseReason::Asked);
    }
}

/// A server's end of a connection in memory.
#[derive(Debug)]
pub struct MemoryPeer {
    net: MemoryNet,
    wire: usize,
}

impl MemoryPeer {
    /// Returns the address that the client wanted.
    #[must_use]
    pub fn address(&self) -> String {
        self.net.lock().wires[self.wire].address.clone()
    }

    /// Returns whether the connection is open, as far as a server can know: one that is half open
    /// is.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.net.lock().wires[self.wire].state, WireState::Open | WireState::Opening(_))
    }

    /// Returns the next message of the client that has arrived. Pings are answered on the way.
    #[must_use]
    pub fn receive(&self, now: Nanos) -> Option<Vec<u8>> {
        loop {
            let (packet, _) = self.net.lock().receive(self.wire, TO_SERVER, now)?;
            match packet {
                Packet::Text(bytes) | Packet::Binary(bytes) => return Some(bytes),
                Packet::Ping => self.send_packet(Packet::Pong, now),
                Packet::Pong | Packet::Close(_) => {}
            }
        }
    }

    /// Sends a text message.
    pub fn send(&self, text: &[u8], now: Nanos) {
        self.send_packet(Packet::Text(text.to_vec()), now);
    }

    /// Sends a binary message.
    pub fn send_binary(&self, bytes: &[u8], now: Nanos) {
        self.send_packet(Packet::Binary(bytes.to_vec()), now);
    }

    /// Sends a ping.
    pub fn ping(&self, now: Nanos) {
        self.send_packet(Packet::Ping, now);
    }

    /// Says goodbye.
    pub fn close(&self, code: Option<u16>, now: Nanos) {
        self.send_packet(Packet::Close(code), now);
    }

    /// Breaks the connection without a word.
    pub fn cut(&self, now: Nanos) {
        self.net.lock().wires[self.wire].cut(now);
    }

    /// Lets nothing arrive any more, in either direction, and tells nobody.
    pub fn freeze(&self) {
        self.net.lock().wires[self.wire].is_half_open = true;
    }

    fn send_packet(&self, packet: Packet, now: Nanos) {
        let mut net = self.net.lock();
        if matches!(net.wires[self.wire].state, WireState::Open | WireState::Opening(_)) {
            net.send(self.wire, TO_CLIENT, packet, now);
        }
    }
}
