//! What a round trip over loopback costs on this machine, by the way sockets are waited for: the
//! floor that latencies are held against, measured in the same run.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::{accept_async_with_config, client_async_with_config};
use tungstenite::{Bytes, Error, Message, WebSocket};

use super::dial::config;

/// A way to wait for a socket.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FloorKind {
    /// Bare TCP, asked over and over.
    TcpBusy,
    /// Bare TCP, asleep in a system call.
    TcpBlocking,
    /// A WebSocket on a socket that is asked over and over.
    WebSocketBusy,
    /// A WebSocket behind tokio.
    WebSocketTokio,
}

impl FloorKind {
    /// All kinds, in the order in which they are shown.
    pub const ALL: [Self; 4] =
        [Self::TcpBusy, Self::TcpBlocking, Self::WebSocketBusy, Self::WebSocketTokio];

    /// Returns its name in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TcpBusy => "TCP, busy-polled",
            Self::TcpBlocking => "TCP, blocking",
            Self::WebSocketBusy => "tungstenite, busy-polled",
            Self::WebSocketTokio => "tokio-tungstenite",
        }
    }
}

/// Round trips of one kind, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Floor {
    /// How the socket was waited for.
    pub kind: FloorKind,
    /// How many round trips were measured.
    pub n: usize,
    /// Half took no longer.
    pub p50_ns: u64,
    /// Nine in ten took no longer.
    pub p90_ns: u64,
    /// 99 in a hundred took no longer.
    pub p99_ns: u64,
    /// 999 in a thousand took no longer.
    pub p999_ns: u64,
    /// The longest.
    pub max_ns: u64,
}

impl Floor {
    fn of(kind: FloorKind, mut samples: Vec<u64>) -> Self {
        samples.sort_unstable();
        let n = samples.len();
        let at = |per_mille: usize| samples.get((n * per_mille / 1_000).min(n.saturating_sub(1)));
        let at = |per_mille| at(per_mille).copied().unwrap_or(0);
        Self {
            kind,
            n,
            p50_ns: at(500),
            p90_ns: at(900),
            p99_ns: at(990),
            p999_ns: at(999),
            max_ns: at(1_000),
        }
    }
}

/// Round trips before the first that counts: buffers grow, branches are learnt.
const WARM_UP: usize = 1_000;

/// Measures `n` round trips of messages of `bytes` bytes between two threads over loopback. The
/// busy kinds take two whole cores meanwhile; on fewer they measure the scheduler.
///
/// # Errors
///
/// If sockets or threads are not to be had.
pub fn measure_floor(kind: FloorKind, n: usize, bytes: usize) -> io::Result<Floor> {
    let samples = match kind {
        FloorKind::TcpBusy => tcp(n, bytes, Wait::Busy)?,
        FloorKind::TcpBlocking => tcp(n, bytes, Wait::Asleep)?,
        FloorKind::WebSocketBusy => web_socket(n, bytes)?,
        FloorKind::WebSocketTokio => web_socket_tokio(n, bytes)?,
    };
    Ok(Floor::of(kind, samples))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    Busy,
    Asleep,
}

impl Wait {
    fn set_up(self, socket: &TcpStream) -> io::Result<()> {
        socket.set_nodelay(true)?;
        socket.set_nonblocking(self == Self::Busy)
    }
}

/// Starts the other end, which answers what it hears until there is nothing more.
fn other_end(
    echo: impl FnOnce(TcpStream) -> io::Result<()> + Send + 'static,
) -> io::Result<(SocketAddr, JoinHandle<io::Result<()>>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let thread = std::thread::Builder::new()
        .name("tercel-echo".to_owned())
        .spawn(move || echo(listener.accept()?.0))?;
    Ok((addr, thread))
}

fn timed(n: usize, mut round_trip: impl FnMut() -> io::Result<()>) -> io::Result<Vec<u64>> {
    let mut samples = Vec::with_capacity(n);
    for step in 0..n + WARM_UP {
        let begun = Instant::now();
        round_trip()?;
        if step >= WARM_UP {
            samples.push(nanos(begun.elapsed()));
        }
    }
    Ok(samples)
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

fn tcp(n: usize, bytes: usize, wait: Wait) -> io::Result<Vec<u64>> {
    let (addr, _echo) = other_end(move |mut socket| {
        wait.set_up(&socket)?;
        let mut message = vec![0; bytes];
        while read_whole(&mut socket, &mut message)? {
            write_whole(&mut socket, &message)?;
        }
        Ok(())
    })?;
    let mut socket = TcpStream::connect(addr)?;
    wait.set_up(&socket)?;
    let (message, mut answer) = (vec![b'x'; bytes], vec![0; bytes]);
    timed(n, || {
        write_whole(&mut socket, &message)?;
        read_whole(&mut socket, &mut answer)?;
        Ok(())
    })
}

/// Returns whether there was a message and not the end.
fn read_whole(socket: &mut TcpStream, message: &mut [u8]) -> io::Result<bool> {
    let mut len = 0;
    while len < message.len() {
        match socket.read(&mut message[len..]) {
            Ok(0) => return Ok(false),
            Ok(n) => len += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

fn write_whole(socket: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let mut len = 0;
    while len < message.len() {
        match socket.write(&message[len..]) {
            Ok(n) => len += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn web_socket(n: usize, bytes: usize) -> io::Result<Vec<u64>> {
    let (addr, _echo) = other_end(|socket| {
        socket.set_nodelay(true)?;
        let mut socket =
            tungstenite::accept_with_config(socket, Some(config())).map_err(io::Error::other)?;
        socket.get_ref().set_nonblocking(true)?;
        while let Some(message) = read_busily(&mut socket)? {
            send_busily(&mut socket, message)?;
        }
        Ok(())
    })?;
    let socket = TcpStream::connect(addr)?;
    socket.set_nodelay(true)?;
    let (mut socket, _) =
        tungstenite::client::client_with_config("ws://127.0.0.1/", socket, Some(config()))
            .map_err(io::Error::other)?;
    socket.get_ref().set_nonblocking(true)?;
    let message = Bytes::from(vec![b'x'; bytes]);
    timed(n, || {
        send_busily(&mut socket, Message::Binary(message.clone()))?;
        read_busily(&mut socket)?;
        Ok(())
    })
}

fn is_not_yet(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == ErrorKind::WouldBlock)
}

fn read_busily(socket: &mut WebSocket<TcpStream>) -> io::Result<Option<Message>> {
    loop {
        match socket.read() {
            Ok(Message::Close(_)) => return Ok(None),
            Ok(message) => return Ok(Some(message)),
            Err(error) if is_not_yet(&error) => std::hint::spin_loop(),
            Err(error) => return Err(io::Error::other(error)),
        }
    }
}

fn send_busily(socket: &mut WebSocket<TcpStream>, message: Message) -> io::Result<()> {
    let mut sent = socket.send(message);
    while let Err(error) = &sent
        && is_not_yet(error)
    {
        sent = socket.flush();
    }
    sent.map_err(io::Error::other)
}

fn web_socket_tokio(n: usize, bytes: usize) -> io::Result<Vec<u64>> {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_io().build();
    let adopt = |socket: TcpStream| {
        Wait::Busy.set_up(&socket)?;
        tokio::net::TcpStream::from_std(socket)
    };
    let (addr, _echo) = other_end(move |socket| {
        runtime()?.block_on(async {
            let mut socket = accept_async_with_config(adopt(socket)?, Some(config()))
                .await
                .map_err(io::Error::other)?;
            while let Some(Ok(message)) = socket.next().await {
                if message.is_close() {
                    break;
                }
                socket.send(message).await.map_err(io::Error::other)?;
            }
            Ok(())
        })
    })?;
    runtime()?.block_on(async {
        let socket = adopt(TcpStream::connect(addr)?)?;
        let (mut socket, _) = client_async_with_config("ws://127.0.0.1/", socket, Some(config()))
            .await
            .map_err(io::Error::other)?;
        let message = Bytes::from(vec![b'x'; bytes]);
        let mut samples = Vec::with_capacity(n);
        for step in 0..n + WARM_UP {
            let begun = Instant::now();
            socket.send(Message::Binary(message.clone())).await.map_err(io::Error::other)?;
            if socket.next().await.is_none() {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            if step >= WARM_UP {
                samples.push(nanos(begun.elapsed()));
            }
        }
        Ok(samples)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_measured() {
        for kind in FloorKind::ALL {
            let floor = measure_floor(kind, 200, 1_024).unwrap();
            println!("{:<26} {floor:?}", kind.as_str());
            assert_eq!(floor.n, 200);
            assert!(floor.p50_ns > 0 && floor.p50_ns <= floor.p99_ns);
            assert!(floor.p99_ns <= floor.max_ns);
        }
    }
}
