//! Connecting: name, TCP, TLS, WebSocket handshake. Blocks, so it has threads of its own.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::HandshakeError;
use tungstenite::http::Uri;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, WebSocket};

use super::tls::Tls;
use super::transport::CloseReason;

/// Longest message that is accepted: a whole book of 5,000 levels takes half a megabyte.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// What may wait for the venue to read before the connection counts as stuck.
pub(crate) const UNSENT_BYTES_MAX: usize = 1 << 20;

/// A stream, secured or not.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.get_ref(),
        }
    }
}

impl Read for Stream {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buf),
            Self::Tls(stream) => stream.read(buf),
        }
    }
}

impl Write for Stream {
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(buf),
            Self::Tls(stream) => stream.write(buf),
        }
    }

    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// Where an address leads.
pub(crate) struct Target {
    pub(crate) uri: Uri,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) is_secure: bool,
}

impl Target {
    pub(crate) fn of(address: &str) -> Result<Self, CloseReason> {
        let uri: Uri = address.parse().map_err(|_| CloseReason::Address)?;
        let is_secure = match uri.scheme_str() {
            Some("ws") => false,
            Some("wss") => true,
            _ => return Err(CloseReason::Address),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(CloseReason::Address)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        Ok(Self { uri, host, port, is_secure })
    }

    pub(crate) fn server_name(&self) -> Result<ServerName<'static>, CloseReason> {
        ServerName::try_from(self.host.clone()).map_err(|_| CloseReason::Address)
    }
}

/// Small writes go out at once: what is written is a whole message.
pub(crate) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .write_buffer_size(0)
        .max_write_buffer_size(UNSENT_BYTES_MAX)
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX))
}

/// Connects; the socket is non-blocking afterwards. Takes `limit` at most, but for resolving the
/// name, whose limit is the system's.
pub(crate) fn dial(
    address: &str,
    tls: &Tls,
    limit: Duration,
) -> Result<WebSocket<Stream>, CloseReason> {
    let deadline = Instant::now() + limit;
    let target = Target::of(address)?;
    let socket = connect(&target, deadline)?;
    let io = |error: io::Error| CloseReason::Io(error.kind());
    socket.set_nodelay(true).map_err(io)?;
    let left = left_until(deadline)?;
    socket.set_read_timeout(Some(left)).map_err(io)?;
    socket.set_write_timeout(Some(left)).map_err(io)?;
    let stream = if target.is_secure {
        let mut connection = ClientConnection::new(tls.config().clone(), target.server_name()?)
            .map_err(|error| CloseReason::Tls(error.to_string()))?;
        let mut socket = socket;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket).map_err(tls_error)?;
            left_until(deadline)?;
        }
        Stream::Tls(Box::new(StreamOwned::new(connection, socket)))
    } else {
        Stream::Plain(socket)
    };
    let request = target.uri.into_client_request().map_err(|_| CloseReason::Address)?;
    let (socket, _) = tungstenite::client::client_with_config(request, stream, Some(config()))
        .map_err(|error| match error {
            HandshakeError::Failure(error) => reason_of(&error),
            HandshakeError::Interrupted(_) => CloseReason::Io(io::ErrorKind::TimedOut),
        })?;
    socket.get_ref().socket().set_nonblocking(true).map_err(io)?;
    Ok(socket)
}

fn connect(target: &Target, deadline: Instant) -> Result<TcpStream, CloseReason> {
    let found = (target.host.as_str(), target.port)
        .to_socket_addrs()
        .map_err(|_| CloseReason::UnknownHost)?;
    let mut reason = CloseReason::UnknownHost;
    for addr in found {
        match TcpStream::connect_timeout(&addr, left_until(deadline)?) {
            Ok(socket) => return Ok(socket),
            Err(error) => reason = CloseReason::Io(error.kind()),
        }
    }
    Err(reason)
}

fn left_until(deadline: Instant) -> Result<Duration, CloseReason> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(CloseReason::Io(io::ErrorKind::TimedOut)) } else { Ok(left) }
}

/// What rustls finds wrong arrives within an error of the socket.
pub(crate) fn tls_error(error: io::Error) -> CloseReason {
    let kind = error.kind();
    match error.into_inner().and_then(|inner| inner.downcast::<rustls::Error>().ok()) {
        Some(error) => CloseReason::Tls(error.to_string()),
        None => CloseReason::Io(kind),
    }
}

/// Returns what an error of the WebSocket means; its text is left out, which may hold what was sent.
pub(crate) fn reason_of(error: &Error) -> CloseReason {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => CloseReason::ByVenue(None),
        Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some::<&rustls::Error>(error) => CloseReason::Tls(error.to_string()),
            None => CloseReason::Io(error.kind()),
        },
        Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => {
            CloseReason::Io(io::ErrorKind::ConnectionReset)
        }
        Error::Capacity(_) => CloseReason::TooLong,
        Error::WriteBufferFull(_) => CloseReason::Stuck,
        Error::Http(response) => CloseReason::Status(response.status().as_u16()),
        Error::Url(_) | Error::HttpFormat(_) => CloseReason::Address,
        Error::Tls(_) => CloseReason::Tls("handshake failed".to_owned()),
        Error::Protocol(_) | Error::Utf8(_) | Error::AttackAttempt => CloseReason::Protocol,
    }
}
