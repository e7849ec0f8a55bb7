//! A WebSocket on a non-blocking socket that is polled over and over: profiles `inline` and
//! `pinned`.
//!
//! A sleeping thread answers some tens of microseconds after the message is there; one that keeps
//! asking answers within the time of a system call. Connecting takes long and blocks, so a helper
//! thread does it and hands the socket over.

use std::io::ErrorKind;
use std::net::Shutdown;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::Duration;

use tercel_core::Nanos;
use tungstenite::{Bytes, Error, Message, Utf8Bytes, WebSocket};

use super::dial::{Stream, dial, reason_of};
use super::tls::Tls;
use super::transport::{Arrival, CloseReason, NotSent, Transport, TransportState};
use crate::protocol::Frame;

/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A WebSocket to be polled busily. Reading a message does not allocate once buffers have grown.
#[derive(Debug)]
pub struct BusySocket {
    tls: Tls,
    state: TransportState,
    dialing: Option<Receiver<Result<WebSocket<Stream>, CloseReason>>>,
    socket: Option<WebSocket<Stream>>,
    /// Whether the system did not take all that was written.
    is_unflushed: bool,
}

impl BusySocket {
    /// Returns one that is not connected.
    #[must_use]
    pub const fn new(tls: Tls) -> Self {
        let state = TransportState::Closed(CloseReason::NotConnected);
        Self { tls, state, dialing: None, socket: None, is_unflushed: false }
    }

    fn take_over(&mut self) {
        let Some(dialing) = &self.dialing else { return };
        let dialed = match dialing.try_recv() {
            Ok(dialed) => dialed,
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => Err(CloseReason::Io(ErrorKind::Other)),
        };
        self.dialing = None;
        match dialed {
            Ok(socket) => {
                self.socket = Some(socket);
                self.state = TransportState::Open;
            }
            Err(reason) => self.state = TransportState::Closed(reason),
        }
    }

    fn over(&mut self, reason: CloseReason) {
        self.socket = None;
        self.state = TransportState::Closed(reason);
    }

    fn write(&mut self, message: Message) -> Result<(), NotSent> {
        let Some(socket) = &mut self.socket else { return Err(NotSent::NotOpen) };
        match socket.send(message) {
            Ok(()) => Ok(()),
            // It waits in the buffer and goes with the next poll.
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                self.is_unflushed = true;
                Ok(())
            }
            Err(Error::WriteBufferFull(_)) => Err(NotSent::Full),
            // Part of it may have gone: what became of it is told by the connection's end.
            Err(error) => {
                self.over(reason_of(&error));
                Ok(())
            }
        }
    }

    fn flush(&mut self) {
        let Some(socket) = &mut self.socket else { return };
        match socket.flush() {
            Ok(()) => self.is_unflushed = false,
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => self.over(reason_of(&error)),
        }
    }
}

impl Transport for BusySocket {
    fn connect(&mut self, address: &str, _now: Nanos) {
        let (sender, receiver) = sync_channel(1);
        let (address, tls) = (address.to_owned(), self.tls.clone());
        let spawned = std::thread::Builder::new().name("tercel-dial".to_owned()).spawn(move || {
            // Nobody listens any more if it took too long: then the socket is dropped here.
            let _ = sender.send(dial(&address, &tls, CONNECT_LIMIT));
        });
        match spawned {
            Ok(_) => {
                self.dialing = Some(receiver);
                self.state = TransportState::Connecting;
            }
            Err(error) => self.state = TransportState::Closed(CloseReason::Io(error.kind())),
        }
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
        if self.dialing.is_some() {
            self.take_over();
        }
        if self.is_unflushed {
            self.flush();
        }
        let Some(socket) = &mut self.socket else { return 0 };
        let mut n = 0;
        let reason = loop {
            if n == max {
                return n;
            }
            match socket.read() {
                Ok(Message::Text(text)) => {
                    arrived(Arrival::Frame(Frame::Text(text.as_bytes())), clock());
                }
                Ok(Message::Binary(bytes)) => {
                    arrived(Arrival::Frame(Frame::Binary(&bytes)), clock());
                }
                Ok(Message::Ping(_)) => arrived(Arrival::Ping, clock()),
                Ok(Message::Pong(_)) => arrived(Arrival::Pong, clock()),
                // A single frame is never given out by `read`.
                Ok(Message::Frame(_)) => {}
                Ok(Message::Close(frame)) => {
                    // The goodbye in return is sent if the system takes it; it owes nobody more.
                    let _ = socket.flush();
                    break CloseReason::ByVenue(frame.map(|frame| frame.code.into()));
                }
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return n,
                Err(Error::Io(error)) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => break reason_of(&error),
            }
            n += 1;
        };
        self.over(reason);
        n
    }

    fn send(&mut self, text: &[u8], _now: Nanos) -> Result<(), NotSent> {
        let text = Bytes::copy_from_slice(text);
        let text = Utf8Bytes::try_from(text).map_err(|_| NotSent::NotText)?;
        self.write(Message::Text(text))
    }

    fn ping(&mut self, _now: Nanos) -> Result<(), NotSent> {
        self.write(Message::Ping(Bytes::new()))
    }

    fn close(&mut self, _now: Nanos) {
        self.dialing = None;
        if let Some(mut socket) = self.socket.take() {
            let _ = socket.close(None);
            let _ = socket.get_ref().socket().shutdown(Shutdown::Write);
        }
        self.state = TransportState::Closed(CloseReason::Asked);
    }
}
