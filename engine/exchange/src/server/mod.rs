//! A venue on a socket: HTTP and WebSockets on one address, without encryption.
//!
//! The only place in the crate with a clock and with threads.

mod wire;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use axum::extract::{ConnectInfo, FromRequestParts, State, WebSocketUpgrade};
use axum::http::{Request as HttpRequest, Response as HttpResponse, StatusCode};
use tercel_core::Nanos;
use tokio::sync::{mpsc, oneshot};

use crate::dialect::{ConnId, Frame, Payload};
use crate::http::{Request, Response};
use crate::server::wire::{Cut, WireListener};
use crate::site::{Answer, Site};

/// Time between looks at the clock while nobody calls.
const TICK: Duration = Duration::from_millis(5);
/// Frames that wait for a slow client; one more and it is disconnected.
const QUEUE: usize = 16_384;
/// Largest body of a request.
const BODY_MAX: usize = 1 << 20;

/// A running server. Stops when dropped.
#[derive(Debug)]
pub struct Server {
    hub: Arc<Hub>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Hub {
    inner: Mutex<Inner>,
    clock: Clock,
}

#[derive(Debug)]
struct Inner {
    site: Site,
    clients: BTreeMap<ConnId, mpsc::Sender<Payload>>,
    scratch: Vec<Frame>,
}

/// Time since 1970 that never goes back.
#[derive(Clone, Copy, Debug)]
struct Clock {
    began: Instant,
    began_at: Nanos,
}

impl Clock {
    fn new() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let began_at = Nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX));
        Self { began: Instant::now(), began_at }
    }

    fn now(&self) -> Nanos {
        let elapsed = i64::try_from(self.began.elapsed().as_nanos()).unwrap_or(i64::MAX);
        self.began_at.plus(elapsed)
    }
}

impl Server {
    /// Returns the machine's time: what a venue that is to be served now opens at.
    #[must_use]
    pub fn time() -> Nanos {
        Clock::new().now()
    }

    /// Serves a venue at an address, on a thread of its own. Port zero takes a free one.
    ///
    /// # Errors
    ///
    /// If the address cannot be listened on, or no thread be started.
    pub fn start(listen: SocketAddr, site: Site) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let inner = Inner { site, clients: BTreeMap::new(), scratch: Vec::new() };
        let hub = Arc::new(Hub { inner: Mutex::new(inner), clock: Clock::new() });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let of_thread = hub.clone();
        let thread = std::thread::Builder::new().name("exchange".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, of_thread) => {}
                    _ = stopped => {}
                }
            });
            // Requests that are never answered would otherwise be waited for.
            runtime.shutdown_background();
        })?;
        Ok(Self { hub, address, stop: Some(stop), thread: Some(thread) })
    }

    /// Returns the address that is listened on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Looks at the venue or changes it; clients wait meanwhile.
    pub fn with_site<T>(&self, look: impl FnOnce(&mut Site) -> T) -> T {
        let mut inner = self.hub.lock();
        let seen = look(&mut inner.site);
        self.hub.deliver(&mut inner);
        seen
    }

    /// Stops serving and waits until the thread has ended.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take() {
            // Whoever has ended already does not hear it.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic of another thread is told there; the venue itself is whole between calls.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands the frames that are due to their connections.
    fn deliver(&self, inner: &mut Inner) {
        let mut frames = std::mem::take(&mut inner.scratch);
        inner.site.drain(self.clock.now(), &mut frames);
        for frame in frames.drain(..) {
            let is_last = matches!(frame.payload, Payload::Close(_));
            let Some(client) = inner.clients.get(&frame.conn) else { continue };
            let is_full = client.try_send(frame.payload).is_err();
            if is_full || is_last {
                // Without its sender the connection's task ends.
                inner.clients.remove(&frame.conn);
                inner.site.on_ws_close(frame.conn);
            }
        }
        inner.scratch = frames;
    }
}

async fn serve(listener: std::net::TcpListener, hub: Arc<Hub>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let router = Router::new().fallback(handle).with_state(hub.clone());
    let service = router.into_make_service_with_connect_info::<Cut>();
    let ticks = async {
        let mut interval = tokio::time::interval(TICK);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            let mut inner = hub.lock();
            inner.site.advance(hub.clock.now());
            hub.deliver(&mut inner);
        }
    };
    tokio::select! {
        _ = axum::serve(WireListener(listener), service).into_future() => {}
        () = ticks => {}
    }
}

async fn handle(
    State(hub): State<Arc<Hub>>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    request: HttpRequest<Body>,
) -> HttpResponse<Body> {
    let (mut parts, body) = request.into_parts();
    let mut plain = Request::new(parts.method.as_str(), parts.uri.path());
    parts.uri.query().unwrap_or_default().clone_into(&mut plain.query);
    plain.peer = cut.peer();
    for (name, value) in &parts.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        plain.headers.push((name.as_str().to_owned(), value));
    }
    let is_upgrade =
        plain.header("upgrade").is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket"));
    if is_upgrade {
        return match WebSocketUpgrade::from_request_parts(&mut parts, &hub).await {
            Ok(upgrade) => open(hub, &plain, upgrade),
            Err(refusal) => axum::response::IntoResponse::into_response(refusal),
        };
    }
    let Ok(bytes) = axum::body::to_bytes(body, BODY_MAX).await else {
        return response(Response::json(413, "{}".to_owned()));
    };
    plain.body = String::from_utf8_lossy(&bytes).into_owned();
    let answer = {
        let mut inner = hub.lock();
        let answer = inner.site.handle_http(hub.clock.now(), &plain);
        hub.deliver(&mut inner);
        answer
    };
    match answer {
        Answer::Reply { delay_ns, response: answer } => {
            if let Ok(delay_ns @ 1..) = u64::try_from(delay_ns) {
                tokio::time::sleep(Duration::from_nanos(delay_ns)).await;
            }
            response(answer)
        }
        Answer::Silence => std::future::pending().await,
        Answer::Broken => {
            cut.cut();
            response(Response::json(500, String::new()))
        }
    }
}

fn response(answer: Response) -> HttpResponse<Body> {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut builder = HttpResponse::builder()
        .status(status)
        .header("content-type", "application/json;charset=UTF-8");
    for (name, value) in answer.headers {
        builder = builder.header(name, value);
    }
    builder.body(Body::from(answer.body)).unwrap_or_else(|_| HttpResponse::new(Body::empty()))
}

fn open(hub: Arc<Hub>, request: &Request, upgrade: WebSocketUpgrade) -> HttpResponse<Body> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let opened = {
        let mut inner = hub.lock();
        let opened = inner.site.on_ws_open(hub.clock.now(), request);
        if let Ok(conn) = &opened {
            inner.clients.insert(*conn, sender);
        }
        opened
    };
    match opened {
        Ok(conn) => upgrade.on_upgrade(move |socket| talk(hub, conn, socket, receiver)),
        Err(refusal) => response(refusal),
    }
}

/// Carries messages of one connection both ways until it ends.
async fn talk(
    hub: Arc<Hub>,
    conn: ConnId,
    mut socket: WebSocket,
    mut outgoing: mpsc::Receiver<Payload>,
) {
    loop {
        tokio::select! {
            payload = outgoing.recv() => {
                let message = match payload {
                    Some(Payload::Text(text)) => Message::text(text.as_ref()),
                    Some(Payload::Ping(bytes)) => Message::Ping(bytes.into()),
                    // As if the line had been cut: without a farewell.
                    Some(Payload::Close(1006)) | None => break,
                    Some(Payload::Close(code)) => {
                        let frame = CloseFrame { code, reason: "".into() };
                        let _ = socket.send(Message::Close(Some(frame))).await;
                        break;
                    }
                };
                if socket.send(message).await.is_err() {
                    break;
                }
            }
            incoming = socket.recv() => {
                let mut inner = hub.lock();
                let now = hub.clock.now();
                match incoming {
                    Some(Ok(Message::Text(text))) => inner.site.on_ws_text(now, conn, &text),
                    Some(Ok(Message::Pong(_))) => inner.site.on_ws_pong(now, conn),
                    Some(Ok(Message::Ping(_) | Message::Binary(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                }
                hub.deliver(&mut inner);
            }
        }
    }
    let mut inner = hub.lock();
    inner.clients.remove(&conn);
    inner.site.on_ws_close(conn);
}
