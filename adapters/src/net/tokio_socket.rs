//! A WebSocket behind tokio: profile `shared`, where a sleeping thread is woken when there is
//! something to read.

use std::future::Future;
use std::io::ErrorKind;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_util::{SinkExt, StreamExt};
use tercel_core::Nanos;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use tungstenite::{Bytes, Error, Message, Utf8Bytes};

use super::dial::{Target, config, reason_of, tls_error};
use super::tls::Tls;
use super::transport::{Arrival, CloseReason, NotSent, Transport, TransportState};
use crate::protocol::Frame;

/// A stream, secured or not.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

type Socket = WebSocketStream<Box<dyn Stream>>;

type Dialing = Pin<Box<dyn Future<Output = Result<Socket, CloseReason>> + Send>>;

/// A WebSocket that wakes who waits for it. Has to be polled within a tokio runtime; its link
/// limits how long connecting may take.
pub struct TokioSocket {
    tls: Tls,
    state: TransportState,
    dialing: Option<Dialing>,
    socket: Option<Box<Socket>>,
    is_unflushed: bool,
    waker: Waker,
}

impl std::fmt::Debug for TokioSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokioSocket").field("state", &self.state).finish_non_exhaustive()
    }
}

impl TokioSocket {
    /// Returns one that is not connected.
    #[must_use]
    pub fn new(tls: Tls) -> Self {
        let state = TransportState::Closed(CloseReason::NotConnected);
        let waker = Waker::noop().clone();
        Self { tls, state, dialing: None, socket: None, is_unflushed: false, waker }
    }

    fn over(&mut self, reason: CloseReason) {
        self.socket = None;
        self.state = TransportState::Closed(reason);
    }

    fn flush(&mut self) {
        let Some(socket) = &mut self.socket else { return };
        match socket.poll_flush_unpin(&mut Context::from_waker(&self.waker)) {
            Poll::Pending => self.is_unflushed = true,
            Poll::Ready(Ok(())) => self.is_unflushed = false,
            Poll::Ready(Err(error)) => self.over(reason_of(&error)),
        }
    }

    fn write(&mut self, message: Message) -> Result<(), NotSent> {
        let Some(socket) = &mut self.socket else { return Err(NotSent::NotOpen) };
        match socket.start_send_unpin(message) {
            Ok(()) => self.flush(),
            Err(Error::WriteBufferFull(_)) => return Err(NotSent::Full),
            // Part of it may have gone: what became of it is told by the connection's end.
            Err(error) => self.over(reason_of(&error)),
        }
        Ok(())
    }

    fn take_over(&mut self) {
        let Some(dialing) = &mut self.dialing else { return };
        let Poll::Ready(dialed) = dialing.as_mut().poll(&mut Context::from_waker(&self.waker))
        else {
            return;
        };
        self.dialing = None;
        match dialed {
            Ok(socket) => {
                self.socket = Some(Box::new(socket));
                self.state = TransportState::Open;
            }
            Err(reason) => self.state = TransportState::Closed(reason),
        }
    }
}

async fn dial(address: String, tls: Tls) -> Result<Socket, CloseReason> {
    let target = Target::of(&address)?;
    let io = |error: std::io::Error| CloseReason::Io(error.kind());
    let found = tokio::net::lookup_host((target.host.as_str(), target.port))
        .await
        .map_err(|_| CloseReason::UnknownHost)?;
    let mut connected = Err(CloseReason::UnknownHost);
    for addr in found {
        connected = TcpStream::connect(addr).await.map_err(io);
        if connected.is_ok() {
            break;
        }
    }
    let socket = connected?;
    socket.set_nodelay(true).map_err(io)?;
    let stream: Box<dyn Stream> = if target.is_secure {
        let connector = tokio_rustls::TlsConnector::from(tls.config().clone());
        let name = target.server_name()?;
        Box::new(connector.connect(name, socket).await.map_err(tls_error)?)
    } else {
        Box::new(socket)
    };
    let (socket, _) = client_async_with_config(target.uri, stream, Some(config()))
        .await
        .map_err(|error| reason_of(&error))?;
    Ok(socket)
}

impl Transport for TokioSocket {
    fn connect(&mut self, address: &str, _now: Nanos) {
        self.dialing = Some(Box::pin(dial(address.to_owned(), self.tls.clone())));
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
        self.take_over();
        if self.is_unflushed {
            self.flush();
        }
        let Some(socket) = &mut self.socket else { return 0 };
        let mut context = Context::from_waker(&self.waker);
        let mut n = 0;
        let reason = loop {
            if n == max {
                return n;
            }
            match socket.poll_next_unpin(&mut context) {
                Poll::Pending => return n,
                Poll::Ready(None) => break CloseReason::ByVenue(None),
                Poll::Ready(Some(Ok(message))) => match message {
                    Message::Text(text) => {
                        arrived(Arrival::Frame(Frame::Text(text.as_bytes())), clock());
                    }
                    Message::Binary(bytes) => {
                        arrived(Arrival::Frame(Frame::Binary(&bytes)), clock());
                    }
                    Message::Ping(_) => arrived(Arrival::Ping, clock()),
                    Message::Pong(_) => arrived(Arrival::Pong, clock()),
                    // A single frame is never given out.
                    Message::Frame(_) => {}
                    Message::Close(frame) => {
                        let _ = socket.poll_flush_unpin(&mut context);
                        break CloseReason::ByVenue(frame.map(|frame| frame.code.into()));
                    }
                },
                Poll::Ready(Some(Err(Error::Io(error))))
                    if error.kind() == ErrorKind::Interrupted => {}
                Poll::Ready(Some(Err(error))) => break reason_of(&error),
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
            let _ = socket.poll_close_unpin(&mut Context::from_waker(&self.waker));
        }
        self.state = TransportState::Closed(CloseReason::Asked);
    }

    fn wake_with(&mut self, waker: &Waker) {
        self.waker.clone_from(waker);
    }
}
