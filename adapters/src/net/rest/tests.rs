//! Calls over real sockets on loopback, against a server that does what each test needs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::time::Instant;

use super::*;
use crate::limits::{Limit, LimitKind, LimitScope};
use crate::net::limiter::Limiter;
use crate::protocol::{CallId, Cost};

/// What the server has heard: request line, and on which connection.
type Heard = Arc<Mutex<Vec<(usize, String)>>>;

/// Serves every connection; `reply` returns the bytes, or `None` to close without a word.
fn server(reply: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static) -> (SocketAddr, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let heard = Heard::default();
    let (heard_too, reply) = (Arc::clone(&heard), Arc::new(reply));
    std::thread::spawn(move || {
        for (number, socket) in listener.incoming().enumerate() {
            let (heard, reply) = (Arc::clone(&heard_too), Arc::clone(&reply));
            std::thread::spawn(move || serve(socket.unwrap(), number, &heard, &*reply));
        }
    });
    (addr, heard)
}

fn serve(
    mut socket: TcpStream,
    number: usize,
    heard: &Heard,
    reply: &dyn Fn(&str) -> Option<Vec<u8>>,
) {
    let mut reader = BufReader::new(socket.try_clone().unwrap());
    loop {
        let mut request = String::new();
        let mut len = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                len = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
            request.push_str(&line);
        }
        let mut body = vec![0; len];
        reader.read_exact(&mut body).unwrap();
        request.push_str(&String::from_utf8(body).unwrap());
        heard.lock().unwrap().push((number, request.clone()));
        let Some(bytes) = reply(&request) else { return };
        if socket.write_all(&bytes).is_err() {
            return;
        }
    }
}

fn http(status: &str, headers: &str, body: &str) -> Option<Vec<u8>> {
    let text =
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len());
    Some(text.into_bytes())
}

fn now() -> Nanos {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    Nanos(i64::try_from(since.as_nanos()).unwrap())
}

fn call(addr: SocketAddr, path: &str, priority: Priority) -> Call {
    Call {
        id: CallId(1),
        method: Method::Get,
        url: format!("http://{addr}{path}"),
        headers: vec![("X-MBX-APIKEY", "the-key".to_owned())],
        body: Vec::new(),
        cost: Cost { weight: 1, orders: 0, priority },
        expires_at: now().plus(30 * Nanos::SECOND),
    }
}

fn rest(tune: impl FnOnce(&mut RestOptions)) -> Rest {
    let mut options = RestOptions::default();
    tune(&mut options);
    let usage_of = |name: &str, value: &str| {
        (name == "x-mbx-used-weight-1m").then(|| Usage {
            kind: LimitKind::Weight,
            interval_ms: 60_000,
            used: value.parse().unwrap(),
        })
    };
    Rest::start(options, &Tls::public(), Arc::new(usage_of), now).unwrap()
}

fn wait(client: &mut RestClient, n: usize) -> Vec<Returned> {
    let begun = Instant::now();
    let mut answers = Vec::new();
    while answers.len() < n {
        client.poll(now(), &mut |_, returned| answers.push(returned.clone()));
        assert!(begun.elapsed() < Duration::from_secs(20), "{} of {n} answers", answers.len());
        std::thread::yield_now();
    }
    answers
}

fn ask(client: &mut RestClient, call: Call) -> Returned {
    client.submit(0, call, now());
    wait(client, 1).remove(0)
}

#[test]
fn an_answer_comes_whole_and_connections_are_kept() {
    let (addr, heard) = server(|_| http("200 OK", "X-MBX-USED-WEIGHT-1M: 77\r\n", "{\"a\":1}"));
    let limit =
        Limit { kind: LimitKind::Weight, scope: LimitScope::Address, interval_ms: 60_000, max: 80 };
    let budget = Limiter::new(&[limit]).address();
    let mut client = rest(|_| {}).client(budget.clone());
    let mut post = call(addr, "/order?signature=abc", Priority::Order);
    (post.method, post.body) = (Method::Post, b"body".to_vec());
    let returned = ask(&mut client, post);
    assert_eq!(returned.body(), Some(b"{\"a\":1}".as_slice()));
    assert_eq!(returned.usage.len(), 1);
    assert!(returned.received_at >= returned.sent_at);
    let weight = |weight| Cost { weight, orders: 0, priority: Priority::Cancel };
    assert!(budget.take(&weight(4), now()).is_err(), "what the venue says counts");
    assert_eq!(ask(&mut client, call(addr, "/b", Priority::Cancel)).usage.len(), 1);
    let heard = heard.lock().unwrap();
    assert!(heard[0].1.starts_with("POST /order?signature=abc HTTP/1.1\r\n"));
    assert!(heard[0].1.ends_with("body"));
    assert!(heard[0].1.to_lowercase().contains("x-mbx-apikey: the-key"));
    assert_eq!(heard[0].0, heard[1].0, "on one connection");
}

#[test]
fn what_never_got_there_is_known_not_to_have_been_sent() {
    let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut client = rest(|_| {}).client(Budget::unlimited());
    let order = call(addr, "/order?signature=abc", Priority::Order);
    let why = not_sent(&mut client, order);
    assert!(why.starts_with(&format!("{addr}: ")) && why.contains("refused"), "{why}");
    assert!(!why.contains("order") && !why.contains("abc"), "{why}");
    let mut late = call(addr, "/time", Priority::Query);
    late.expires_at = now();
    assert!(not_sent(&mut client, late).contains("too long"));
    let mut odd = call(addr, "/time", Priority::Query);
    odd.url = "no address?signature=abc".to_owned();
    let why = not_sent(&mut client, odd);
    assert!(why.starts_with("no address of a host: ") && !why.contains("abc"), "{why}");
}

/// Returns why a call was not sent.
fn not_sent(client: &mut RestClient, call: Call) -> String {
    match ask(client, call).outcome {
        ReturnedOutcome::NotSent { why } => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_may_have_been_sent_is_lost_and_never_sent_again() {
    let (addr, heard) = server(|_| None);
    let mut client = rest(|_| {}).client(Budget::unlimited());
    let order = call(addr, "/order", Priority::Order);
    assert_eq!(ask(&mut client, order).outcome, ReturnedOutcome::Lost);
    assert_eq!(heard.lock().unwrap().len(), 1);
}

#[test]
fn a_kept_connection_that_dies_under_an_order_does_not_repeat_it() {
    let n = Mutex::new(0);
    let (addr, heard) = server(move |_| {
        let mut n = n.lock().unwrap();
        *n += 1;
        if *n == 1 { http("200 OK", "", "fine") } else { None }
    });
    let mut client = rest(|_| {}).client(Budget::unlimited());
    assert!(ask(&mut client, call(addr, "/a", Priority::Order)).body().is_some());
    let order = call(addr, "/b", Priority::Order);
    assert_eq!(ask(&mut client, order).outcome, ReturnedOutcome::Lost);
    let heard = heard.lock().unwrap();
    let n_sent = heard.iter().filter(|(_, text)| text.contains("/b")).count();
    assert_eq!(n_sent, 1);
}

#[test]
fn silence_of_the_venue_is_lost_after_the_time_limit() {
    let (addr, _) = server(|_| {
        std::thread::park();
        None
    });
    let mut client = rest(|options| {
        options.timeout = Duration::from_millis(300);
        options.connect_timeout = Duration::from_millis(200);
    })
    .client(Budget::unlimited());
    let begun = Instant::now();
    let order = call(addr, "/order", Priority::Order);
    assert_eq!(ask(&mut client, order).outcome, ReturnedOutcome::Lost);
    assert!(begun.elapsed() >= Duration::from_millis(300));
}

#[test]
fn redirects_are_answers_and_long_bodies_are_cut_off() {
    let (addr, heard) = server(|request| {
        if request.contains("/away") {
            http("302 Found", "location: /elsewhere\r\n", "")
        } else {
            http("200 OK", "", &"x".repeat(2_000))
        }
    });
    let mut client = rest(|options| options.body_bytes_max = 1_000).client(Budget::unlimited());
    let away = ask(&mut client, call(addr, "/away", Priority::Query));
    assert!(matches!(away.outcome, ReturnedOutcome::Answered { status: 302, .. }));
    assert_eq!(heard.lock().unwrap().len(), 1);
    let long = ask(&mut client, call(addr, "/long", Priority::Query));
    assert_eq!(long.outcome, ReturnedOutcome::Lost);
}

#[test]
fn after_too_many_requests_nothing_is_sent_until_the_venue_allows() {
    let (addr, heard) = server(|_| http("429 Too Many Requests", "retry-after: 1\r\n", "{}"));
    let budget = Limiter::new(&[]).address();
    let mut client = rest(|_| {}).client(budget.clone());
    let first = ask(&mut client, call(addr, "/a", Priority::Query));
    assert!(matches!(
        first.outcome,
        ReturnedOutcome::Answered { status: 429, retry_after_s: Some(1), .. }
    ));
    let until = budget.limiter().silent_until();
    let why = not_sent(&mut client, call(addr, "/b", Priority::Cancel));
    assert_eq!(why, "the venue's budget is used up");
    // A query waits for its time.
    ask(&mut client, call(addr, "/c", Priority::Query));
    assert!(now() >= until);
    assert_eq!(heard.lock().unwrap().len(), 2);
}

#[test]
fn urgent_calls_pass_those_that_wait() {
    let (addr, heard) = server(|_| {
        std::thread::sleep(Duration::from_millis(30));
        http("200 OK", "", "{}")
    });
    let mut client = rest(|options| options.in_flight_max = 1).client(Budget::unlimited());
    for n in 0..8 {
        let priority = if n % 2 == 0 { Priority::Bulk } else { Priority::Query };
        client.submit(n, call(addr, &format!("/{priority:?}"), priority), now());
    }
    client.submit(9, call(addr, "/Cancel", Priority::Cancel), now());
    wait(&mut client, 9);
    let heard = heard.lock().unwrap();
    let place = |word: &str| heard.iter().position(|(_, text)| text.contains(word)).unwrap();
    assert!(place("/Cancel") <= 1);
    let last_query = heard.iter().rposition(|(_, text)| text.contains("/Query")).unwrap();
    let n_bulk_before =
        heard[..last_query].iter().filter(|(_, text)| text.contains("/Bulk")).count();
    assert!(n_bulk_before <= 1, "the first may have gone before there was a query");
}

#[test]
fn calls_beyond_the_queue_are_not_sent() {
    let (addr, _) = server(|_| {
        std::thread::park();
        None
    });
    let mut client = rest(|options| {
        (options.queue_max, options.in_flight_max) = (4, 1);
        options.timeout = Duration::from_millis(200);
        options.connect_timeout = Duration::from_millis(100);
    })
    .client(Budget::unlimited());
    for _ in 0..100 {
        client.submit(0, call(addr, "/a", Priority::Query), now());
    }
    let answers = wait(&mut client, 100);
    let n_lost = answers.iter().filter(|own| own.outcome == ReturnedOutcome::Lost).count();
    assert!((1..=9).contains(&n_lost), "{n_lost}");
}

#[test]
fn nothing_shows_a_key_or_a_signature() {
    let (addr, _) = server(|_| http("200 OK", "", "{\"listenKey\":\"secret\"}"));
    let mut client = rest(|_| {}).client(Budget::unlimited());
    let query = call(addr, "/x?signature=secret", Priority::Query);
    let mut told = format!("{query:?} {client:?}");
    let returned = ask(&mut client, query);
    told.push_str(&format!("{returned:?}"));
    assert!(!told.contains("secret") && !told.contains("the-key"), "{told}");
}
