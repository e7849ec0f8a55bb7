//! A venue that clients can connect to, without sockets: a dialect behind its faults.

use serde_json::{Value, json};
use tercel_core::Nanos;

use crate::dialect::{Channel, ConnId, Dialect, Frame, Payload};
use crate::faults::{Faults, RequestFate};
use crate::http::{Request, Response};

mod control;

/// What becomes of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// An answer after so many nanoseconds.
    Reply {
        /// How long it takes.
        delay_ns: i64,
        /// What it says.
        response: Response,
    },
    /// No answer ever; the connection stays open.
    Silence,
    /// The connection breaks without an answer.
    Broken,
}

impl Answer {
    /// Returns the answer, if one comes.
    #[must_use]
    pub fn response(self) -> Option<Response> {
        match self {
            Self::Reply { response, .. } => Some(response),
            Self::Silence | Self::Broken => None,
        }
    }
}

/// A venue with its connections and its faults.
///
/// Everything a server does, as calls: time is an argument, bytes are values. Calls with a time
/// before an earlier one's are taken as of that earlier one. What goes out is kept until
/// [`Self::drain`] takes it.
pub struct Site {
    dialect: Box<dyn Dialect>,
    faults: Faults,
    now: Nanos,
    next_conn: u64,
    /// Frames on their way, by when they arrive and in which order they were sent.
    outgoing: Vec<(Nanos, u64, Frame)>,
    n_sent: u64,
    scratch: Vec<Frame>,
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Site").field("now", &self.now).finish_non_exhaustive()
    }
}

impl Site {
    /// Opens a venue; `seed` decides the faults that are drawn by chance.
    #[must_use]
    pub fn new(dialect: Box<dyn Dialect>, seed: u64) -> Self {
        Self {
            dialect,
            faults: Faults::new(seed),
            now: Nanos(0),
            next_conn: 1,
            outgoing: Vec::new(),
            n_sent: 0,
            scratch: Vec::new(),
        }
    }

    /// Returns the faults, to be switched.
    pub const fn faults_mut(&mut self) -> &mut Faults {
        &mut self.faults
    }

    /// Returns the dialect.
    pub fn dialect_mut(&mut self) -> &mut dyn Dialect {
        &mut *self.dialect
    }

    /// Lets time pass.
    pub fn advance(&mut self, now: Nanos) {
        self.now = self.now.max(now);
        self.dialect.advance(self.now);
        self.collect();
    }

    /// Answers a request; paths below `/control` are for whoever runs the exchange.
    pub fn handle_http(&mut self, now: Nanos, request: &Request) -> Answer {
        self.now = self.now.max(now);
        if request.path == "/control" || request.path.starts_with("/control/") {
            let response = self.control(request);
            self.collect();
            return Answer::Reply { delay_ns: 0, response };
        }
        let fate = self.faults.fate(self.now, &request.method, &request.path);
        let delay_ns = self.faults.answer_delay_ns();
        let answer = match fate {
            RequestFate::Serve => {
                let response = self.dialect.http(self.now, request);
                Answer::Reply { delay_ns, response }
            }
            RequestFate::Fail { status, executes, retry_after } => {
                if executes {
                    self.dialect.http(self.now, request);
                }
                let mut response = Response::json(status, self.dialect.failure_body(status));
                if let Some(seconds) = retry_after {
                    response.headers.push(("Retry-After".to_owned(), seconds.to_string()));
                }
                Answer::Reply { delay_ns, response }
            }
            RequestFate::Silence { executes } => {
                if executes {
                    self.dialect.http(self.now, request);
                }
                Answer::Silence
            }
            RequestFate::Break { executes } => {
                if executes {
                    self.dialect.http(self.now, request);
                }
                Answer::Broken
            }
        };
        self.collect();
        answer
    }

    /// Takes a WebSocket connection.
    ///
    /// # Errors
    ///
    /// If it is refused, with the answer to the handshake.
    pub fn on_ws_open(&mut self, now: Nanos, request: &Request) -> Result<ConnId, Response> {
        self.now = self.now.max(now);
        if self.faults.refuses_connections() {
            return Err(Response::json(503, self.dialect.failure_body(503)));
        }
        let conn = ConnId(self.next_conn);
        self.next_conn += 1;
        self.dialect.open(self.now, conn, request)?;
        self.collect();
        Ok(conn)
    }

    /// Takes a text message of a connection.
    pub fn on_ws_text(&mut self, now: Nanos, conn: ConnId, text: &str) {
        self.now = self.now.max(now);
        if !self.dialect.is_request_channel(conn) {
            self.dialect.text(self.now, conn, text);
            self.collect();
            return;
        }
        let request: Value = serde_json::from_str(text).unwrap_or(Value::Null);
        let method = request["method"].as_str().unwrap_or_default().to_owned();
        match self.faults.fate(self.now, "WS", &method) {
            RequestFate::Serve => self.dialect.text(self.now, conn, text),
            RequestFate::Fail { status, executes, .. } => {
                if executes {
                    self.execute_unheard(conn, text);
                }
                let answer = self.dialect.failure(text, status);
                let payload = Payload::Text(answer.into());
                self.send(Frame { conn, channel: Channel::Answer, payload });
            }
            RequestFate::Silence { executes } => {
                if executes {
                    self.execute_unheard(conn, text);
                }
            }
            RequestFate::Break { executes } => {
                if executes {
                    self.execute_unheard(conn, text);
                }
                self.disconnect(conn, 1006);
            }
        }
        self.collect();
    }

    /// Executes a request whose answer gets lost; what else it sets off is told.
    fn execute_unheard(&mut self, conn: ConnId, text: &str) {
        self.collect();
        self.dialect.text(self.now, conn, text);
        self.dialect.drain(&mut self.scratch);
        let is_answer = |frame: &Frame| frame.conn == conn && frame.channel == Channel::Answer;
        self.scratch.retain(|frame| !is_answer(frame));
        self.collect();
    }

    /// Takes a pong of a connection.
    pub fn on_ws_pong(&mut self, now: Nanos, conn: ConnId) {
        self.now = self.now.max(now);
        self.dialect.pong(self.now, conn);
    }

    /// Forgets a connection that its client has left.
    pub fn on_ws_close(&mut self, conn: ConnId) {
        self.dialect.closed(conn);
        self.outgoing.retain(|(_, _, frame)| frame.conn != conn);
        self.faults.forget(conn);
    }

    /// Ends a connection.
    pub fn disconnect(&mut self, conn: ConnId, code: u16) {
        self.dialect.closed(conn);
        self.send(Frame { conn, channel: Channel::Control, payload: Payload::Close(code) });
    }

    /// Moves the frames that have arrived by now to `into`, in the order of their arrival.
    pub fn drain(&mut self, now: Nanos, into: &mut Vec<Frame>) {
        self.now = self.now.max(now);
        let mut arrived: Vec<_> = self.outgoing.extract_if(.., |(at, ..)| *at <= now).collect();
        arrived.sort_by_key(|(at, n, _)| (*at, *n));
        into.extend(arrived.into_iter().map(|(.., frame)| frame));
    }

    /// Returns when the next frame arrives that is on its way.
    #[must_use]
    pub fn next_arrival(&self) -> Option<Nanos> {
        self.outgoing.iter().map(|(at, ..)| *at).min()
    }

    /// Returns the addresses that clients connect to, for a server at `host:port`.
    #[must_use]
    pub fn addresses(&self, authority: &str) -> Value {
        json!({"control": format!("http://{authority}/control"),
               "venues": self.dialect.addresses(authority)})
    }

    /// Puts what the dialect sends on its way, through the faults.
    fn collect(&mut self) {
        self.dialect.drain(&mut self.scratch);
        let mut frames = std::mem::take(&mut self.scratch);
        for frame in frames.drain(..) {
            let (fates, lost) = self.faults.arrivals(self.now, &frame);
            if lost {
                continue;
            }
            for at in fates {
                self.outgoing.push((at, self.n_sent, frame.clone()));
                self.n_sent += 1;
            }
        }
        self.scratch = frames;
    }

    fn send(&mut self, frame: Frame) {
        self.outgoing.push((self.now, self.n_sent, frame));
        self.n_sent += 1;
    }
}
