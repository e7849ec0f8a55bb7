//! A page on the loopback, over as much of HTTP/1.1 as its readers need.
//!
//! Nobody can make it work much: a request's head is bounded in bytes and time, a few readers are
//! served at once, and each gets one answer.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::exit::{Blame, Outcome};

/// Serves the page until it is dropped.
#[derive(Debug)]
pub(crate) struct Endpoint {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Makes the page, or says that it cannot be made now. Called on the reader's thread.
pub(crate) type Source = dyn Fn() -> Option<String> + Send + Sync;

/// How long a reader may take for its request, and again for the answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// Bytes of a request, up to the empty line.
const HEAD_BYTES: usize = 8 << 10;
/// Readers that are served at once.
const READERS: usize = 8;

impl Endpoint {
    /// Begins to serve `GET /metrics` at an address.
    pub(crate) fn start(address: SocketAddr, source: Arc<Source>) -> Outcome<Self> {
        Self::start_patient(address, source, PATIENCE)
    }

    fn start_patient(
        address: SocketAddr,
        source: Arc<Source>,
        patience: Duration,
    ) -> Outcome<Self> {
        let remedy = "is another server running? metrics.listen is where to change it";
        let listener = TcpListener::bind(address)
            .with_context(|| format!("serve metrics at {address} ({remedy})"))
            .or_machine()?;
        let address = listener.local_addr().or_machine()?;
        let is_over = Arc::new(AtomicBool::new(false));
        let desk = Desk { source, patience, n_readers: Arc::default() };
        let thread = thread::Builder::new()
            .name("metrics".to_owned())
            .spawn({
                let is_over = Arc::clone(&is_over);
                move || accept(&listener, &desk, &is_over)
            })
            .or_machine()?;
        Ok(Self { address, is_over, thread: Some(thread) })
    }

    /// Returns the address, its port as the system chose it if it was 0.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        // The thread waits for a reader: this is one. Where it cannot come the thread is left behind.
        if TcpStream::connect_timeout(&self.address, PATIENCE).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

/// What every reader is served from.
#[derive(Clone)]
struct Desk {
    source: Arc<Source>,
    patience: Duration,
    n_readers: Arc<AtomicUsize>,
}

fn accept(listener: &TcpListener, desk: &Desk, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Acquire) {
        let Ok((stream, _)) = listener.accept() else {
            // Out of descriptors, most likely: they come back.
            thread::sleep(Duration::from_millis(50));
            continue;
        };
        if is_over.load(Ordering::Acquire) {
            break;
        }
        let seat = Seat::take(&desk.n_readers);
        if seat.is_none_at(READERS) {
            let _ = stream.set_nonblocking(true);
            let _ = (&stream).write_all(&answer(
                "503 Service Unavailable",
                "too many readers\n",
                false,
            ));
            continue;
        }
        let desk = desk.clone();
        // Where no thread can be had the reader is turned away by closing.
        let _ = thread::Builder::new().name("metrics-reader".to_owned()).spawn(move || {
            let _seat = seat;
            // A reader that goes away or stalls is no news.
            let _ = serve(&stream, &desk);
        });
    }
}

/// A reader's place among those that are served.
struct Seat {
    n_readers: Arc<AtomicUsize>,
    n_before: usize,
}

impl Seat {
    fn take(n_readers: &Arc<AtomicUsize>) -> Self {
        let n_before = n_readers.fetch_add(1, Ordering::AcqRel);
        Self { n_readers: Arc::clone(n_readers), n_before }
    }

    const fn is_none_at(&self, limit: usize) -> bool {
        self.n_before >= limit
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.n_readers.fetch_sub(1, Ordering::AcqRel);
    }
}

fn serve(stream: &TcpStream, desk: &Desk) -> io::Result<()> {
    let response = match head(stream, Instant::now() + desk.patience)? {
        Head::Complete(head) => respond(&head, &*desk.source),
        Head::TooLong => answer("431 Request Header Fields Too Large", "too long\n", false),
        Head::TooSlow => answer("408 Request Timeout", "too slow\n", false),
        Head::Ended => return Ok(()),
    };
    send(stream, &response, Instant::now() + desk.patience)?;
    // Closing with something unread would take the answer back: read a little of what is there.
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(Duration::from_millis(100)))?;
    let mut rest = [0; 4096];
    for _ in 0..16 {
        if (&mut (&*stream)).read(&mut rest)? == 0 {
            break;
        }
    }
    Ok(())
}

/// What a reader sent.
enum Head {
    Complete(Vec<u8>),
    TooLong,
    TooSlow,
    Ended,
}

fn head(mut stream: &TcpStream, deadline: Instant) -> io::Result<Head> {
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Head::TooSlow);
        }
        stream.set_read_timeout(Some(left))?;
        let n = match stream.read(&mut chunk) {
            Ok(0) => return Ok(Head::Ended),
            Ok(n) => n,
            Err(error) if is_timeout(&error) => return Ok(Head::TooSlow),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        head.extend_from_slice(&chunk[..n]);
        if head.windows(4).any(|end| end == b"\r\n\r\n") {
            return Ok(Head::Complete(head));
        }
        if head.len() > HEAD_BYTES {
            return Ok(Head::TooLong);
        }
    }
}

fn send(mut stream: &TcpStream, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_write_timeout(Some(left))?;
        let n = stream.write(bytes)?;
        bytes = &bytes[n..];
    }
    Ok(())
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn respond(head: &[u8], source: &Source) -> Vec<u8> {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let words: Vec<_> = str::from_utf8(line).unwrap_or_default().split(' ').collect();
    let [method, target, "HTTP/1.1" | "HTTP/1.0"] = words[..] else {
        return answer("400 Bad Request", "this is not HTTP\n", false);
    };
    let is_head = match method {
        "GET" => false,
        "HEAD" => true,
        _ => return answer("405 Method Not Allowed", "only GET and HEAD\n", false),
    };
    if target.split('?').next() != Some("/metrics") {
        return answer("404 Not Found", "metrics are at /metrics\n", is_head);
    }
    match source() {
        Some(page) => answer("200 OK", &page, is_head),
        None => answer("503 Service Unavailable", "the engine does not answer\n", is_head),
    }
}

fn answer(status: &str, body: &str, is_head: bool) -> Vec<u8> {
    let allow = if status.starts_with("405") { "Allow: GET, HEAD\r\n" } else { "" };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\n{allow}Connection: close\r\n\r\n{}",
        body.len(),
        if is_head { "" } else { body }
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(page: Option<&'static str>) -> Endpoint {
        let source = move || page.map(str::to_owned);
        let any_port = ([127, 0, 0, 1], 0).into();
        Endpoint::start_patient(any_port, Arc::new(source), Duration::from_millis(300)).unwrap()
    }

    fn connect(endpoint: &Endpoint) -> TcpStream {
        let stream = TcpStream::connect(endpoint.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    /// Returns all that is answered, up to the end of the connection.
    fn rest(mut stream: TcpStream) -> String {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    fn ask(endpoint: &Endpoint, request: &[u8]) -> String {
        let mut stream = connect(endpoint);
        stream.write_all(request).unwrap();
        rest(stream)
    }

    const GET: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";

    #[test]
    fn a_reader_gets_the_page() {
        let endpoint = endpoint(Some("a 1\n"));
        let page = ask(&endpoint, GET);
        let wanted = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
                      Content-Length: 4\r\nConnection: close\r\n\r\na 1\n";
        assert_eq!(page, wanted);
        let head = ask(&endpoint, b"HEAD /metrics?x=1 HTTP/1.0\r\n\r\n");
        assert!(head.contains("200 OK") && head.ends_with("\r\n\r\n"), "{head}");
        // A request may come in pieces.
        let mut stream = connect(&endpoint);
        for byte in GET {
            stream.write_all(&[*byte]).unwrap();
        }
        assert!(rest(stream).contains("200 OK"));
    }

    #[test]
    fn what_is_no_request_for_the_page_is_told_so() {
        let endpoint = endpoint(Some("a 1\n"));
        let long = [b"GET /metrics HTTP/1.1\r\nA: ".as_slice(), &[b'x'; 20_000]].concat();
        for (request, status) in [
            (b"GET / HTTP/1.1\r\n\r\n".as_slice(), "404"),
            (b"POST /metrics HTTP/1.1\r\n\r\n", "405"),
            (b"\x00\xff\xfe\r\n\r\n", "400"),
            (b"GET /metrics\r\n\r\n", "400"),
            (b"GET /metrics SPDY/3\r\n\r\n", "400"),
            (b"\r\n\r\n", "400"),
            (&long, "431"),
        ] {
            let answer = ask(&endpoint, request);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        }
        assert!(ask(&endpoint, GET).contains("200 OK"), "still there");
    }

    #[test]
    fn a_slow_reader_keeps_nobody_waiting() {
        let endpoint = endpoint(Some("a 1\n"));
        let mut slow = connect(&endpoint);
        slow.write_all(b"GET /metr").unwrap();
        assert!(ask(&endpoint, GET).contains("200 OK"));
        assert!(rest(slow).starts_with("HTTP/1.1 408 "));
        drop(connect(&endpoint));
    }

    #[test]
    fn a_crowd_is_turned_away_and_seats_become_free() {
        let endpoint = endpoint(Some("a 1\n"));
        let crowd: Vec<_> = (0..READERS).map(|_| connect(&endpoint)).collect();
        let turned_away = rest(connect(&endpoint));
        assert!(turned_away.starts_with("HTTP/1.1 503 "), "{turned_away}");
        for stream in crowd {
            assert!(rest(stream).starts_with("HTTP/1.1 408 "));
        }
        // The last of the crowd frees its seat a moment after it has its answer.
        let mut page = ask(&endpoint, GET);
        while page.starts_with("HTTP/1.1 503 ") {
            page = ask(&endpoint, GET);
        }
        assert!(page.contains("200 OK"), "{page}");
    }

    #[test]
    fn an_engine_that_does_not_answer_is_told_and_a_taken_port_is_refused() {
        let endpoint = endpoint(None);
        assert!(ask(&endpoint, GET).starts_with("HTTP/1.1 503 "));
        let again = Endpoint::start(endpoint.address(), Arc::new(|| None)).unwrap_err();
        assert!(again.to_string().contains("metrics.listen"), "{again}");
        let address = endpoint.address();
        drop(endpoint);
        drop(Endpoint::start(address, Arc::new(|| None)).unwrap());
    }
}
