//! What the same exchange of bytes costs without anything in between: bare TCP over loopback, with
//! the same schedule and a peer that polls as the measured one does.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use hdrhistogram::Histogram;
use tercel_runtime::pin_current_thread;

use super::messages::{Kind, Messages, kind_of};
use super::{Plan, histogram, nanos};

/// How the answering thread waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wait {
    /// Asks over and over, on the engine's core.
    Busy,
    /// Asleep in the system, on any core.
    Blocking,
}

/// Times from when a message was to be sent until its answer was read, at the rate of orders.
pub(super) fn measure(
    wait: Wait,
    plan: &Plan,
    order_bytes: usize,
) -> anyhow::Result<Histogram<u64>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let (plan, messages) = (*plan, Messages::new(0));
    // A frame's head, and the client's mask on the way out.
    let sizes = [messages.len(Kind::Depth) + 4, messages.len(Kind::Trade) + 4];
    let order_bytes = order_bytes + 8;
    let rate = (u64::from(plan.rate) / plan.order_every).max(1);
    let n_warm_up = (rate / 5).max(1);
    let n_messages = n_warm_up + rate * u64::from(plan.seconds.min(2));
    let size_of = move |n: u64| {
        sizes[usize::from(kind_of(n * plan.order_every, plan.order_every) == Kind::Trade)]
    };
    let echo = std::thread::Builder::new().name("tercel-echo".to_owned()).spawn(
        move || -> anyhow::Result<()> {
            if wait == Wait::Busy {
                pin_current_thread(plan.engine_core)?;
            }
            let (mut socket, _) = listener.accept()?;
            socket.set_nodelay(true)?;
            socket.set_nonblocking(wait == Wait::Busy)?;
            let mut buffer = vec![b'x'; sizes[0].max(sizes[1]).max(order_bytes)];
            for n in 0..n_messages {
                read_whole(&mut socket, &mut buffer[..size_of(n)])?;
                write_whole(&mut socket, &buffer[..order_bytes])?;
            }
            Ok(())
        },
    )?;
    // A thread of its own, so that this one is not pinned for ever.
    let peer = std::thread::Builder::new().name("tercel-peer".to_owned()).spawn(
        move || -> anyhow::Result<Histogram<u64>> {
            pin_current_thread(plan.peer_core)?;
            let mut socket = TcpStream::connect(address)?;
            socket.set_nodelay(true)?;
            socket.set_nonblocking(true)?;
            let mut times = histogram();
            let mut buffer = vec![b'x'; sizes[0].max(sizes[1]).max(order_bytes)];
            let begun = Instant::now();
            for n in 0..n_messages {
                let intended_ns = u64::try_from(u128::from(n) * 1_000_000_000 / u128::from(rate))?;
                while nanos(begun.elapsed()) < intended_ns {
                    std::hint::spin_loop();
                }
                write_whole(&mut socket, &buffer[..size_of(n)])?;
                read_whole(&mut socket, &mut buffer[..order_bytes])?;
                if n >= n_warm_up {
                    times.saturating_record(nanos(begun.elapsed()).saturating_sub(intended_ns));
                }
            }
            Ok(times)
        },
    )?;
    let panicked = |_| anyhow::anyhow!("a thread of the floor panicked");
    let times = peer.join().map_err(panicked)??;
    echo.join().map_err(panicked)??;
    Ok(times)
}

fn read_whole(socket: &mut TcpStream, message: &mut [u8]) -> std::io::Result<()> {
    let mut len = 0;
    while len < message.len() {
        match socket.read(&mut message[len..]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(n) => len += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn write_whole(socket: &mut TcpStream, message: &[u8]) -> std::io::Result<()> {
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
