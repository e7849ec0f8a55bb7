//! Connections that can be cut in the middle of an answer.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// A connection's address, and the knife for it.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    peer: SocketAddr,
    is_cut: Arc<AtomicBool>,
}

impl Cut {
    /// Cuts the connection: nothing more is written, and the client sees it break.
    pub(super) fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
    }

    /// Returns the client's address without its port.
    pub(super) fn peer(&self) -> String {
        self.peer.ip().to_string()
    }
}

/// Listens and remembers how to cut what it accepts.
#[derive(Debug)]
pub(super) struct WireListener(pub(super) TcpListener);

/// A connection that may have been cut.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    is_cut: Arc<AtomicBool>,
}

impl Listener for WireListener {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok((stream, peer)) => {
                    // Without it small answers wait for acknowledgements; where it fails they do.
                    let _ = stream.set_nodelay(true);
                    return (Wire { stream, is_cut: Arc::new(AtomicBool::new(false)) }, peer);
                }
                // Out of descriptors, or the client has gone again: the next one may do better.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, WireListener>> for Cut {
    fn connect_info(stream: IncomingStream<'_, WireListener>) -> Self {
        Self { peer: *stream.remote_addr(), is_cut: stream.io().is_cut.clone() }
    }
}

impl Wire {
    fn check(&self) -> io::Result<()> {
        if self.is_cut.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
