//! A client of a server's control socket.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::control_api::{Answer, Request};

/// How long the server may take for an answer: longer than it waits for its engines itself.
pub(crate) const PATIENCE: Duration = Duration::from_secs(8);
/// The same for what asks a venue.
const SLOW: Duration = Duration::from_secs(40);
/// The longest answer, in bytes.
const ANSWER_BYTES: u64 = 16 << 20;

/// Why a request has no result.
#[derive(Debug)]
pub(crate) enum CallError {
    /// Nobody listens there.
    NoServer { path: PathBuf, cause: std::io::Error },
    /// It is unknown whether it was carried out.
    Unanswered { path: PathBuf, why: String },
    /// The server has asked for it, and does not know when it will be carried out.
    Unconfirmed(String),
    /// It was not carried out.
    Refused(String),
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoServer { path, cause } => {
                write!(f, "no server answers at {}: {cause}", path.display())
            }
            Self::Unanswered { path, why } => write!(f, "the server at {}: {why}", path.display()),
            Self::Unconfirmed(why) | Self::Refused(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for CallError {}

/// Asks a server, one request after the other. Connects when it has to.
#[derive(Debug)]
pub(crate) struct Client {
    path: PathBuf,
    patience: Duration,
    stream: Option<BufReader<UnixStream>>,
}

impl Client {
    /// Returns a client of the server whose socket this is. Does not connect yet.
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), patience: PATIENCE, stream: None }
    }

    /// Waits for so long for each answer.
    pub(crate) const fn patient(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sends a request and returns the result.
    ///
    /// Fails if there is no server, it does not answer in time, or it refuses; the next call connects
    /// again. After a failure to answer it is unknown whether the request was carried out.
    pub(crate) fn call(&mut self, request: &Request) -> Result<Value, CallError> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.connect()?,
        };
        let answer = self.exchange(&mut stream, request)?;
        self.stream = Some(stream);
        result_of(answer)
    }

    /// Sends a request whose answers come as long as somebody listens, and hands over each. Returns when
    /// the server has closed the connection, or `each` fails.
    pub(crate) fn follow<E: From<CallError>>(
        &self,
        request: &Request,
        mut each: impl FnMut(Value) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut stream = self.connect()?;
        self.send(&mut stream, request)?;
        let forever = stream.get_ref().set_read_timeout(None);
        forever.map_err(|error| self.unanswered(error.to_string()))?;
        while let Some(answer) = self.receive(&mut stream)? {
            each(result_of(answer)?)?;
        }
        Ok(())
    }

    /// Waits until the server that was called last has ended: it keeps the connection as long as it lives.
    pub(crate) fn wait_for_end(&mut self, wait: Duration) -> Result<(), CallError> {
        let Some(mut stream) = self.stream.take() else { return Ok(()) };
        let begun = Instant::now();
        let mut rest = [0; 64];
        loop {
            let left = wait.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Err(self.unanswered(format!("not ended within {} s", wait.as_secs())));
            }
            let timed = stream.get_ref().set_read_timeout(Some(left));
            timed.map_err(|error| self.unanswered(error.to_string()))?;
            match stream.read(&mut rest) {
                Ok(0) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(()),
                // Whatever it says, or that it says nothing: it lives.
                Ok(_) | Err(_) => {}
            }
        }
    }

    /// As [`Self::call`], for what may take the server half a minute.
    pub(crate) fn call_slowly(&self, request: &Request) -> Result<Value, CallError> {
        Self::new(&self.path).patient(SLOW).call(request)
    }

    fn connect(&self) -> Result<BufReader<UnixStream>, CallError> {
        let connect = || {
            let stream = UnixStream::connect(&self.path)?;
            stream.set_read_timeout(Some(self.patience))?;
            stream.set_write_timeout(Some(self.patience))?;
            Ok(BufReader::new(stream))
        };
        connect().map_err(|cause| CallError::NoServer { path: self.path.clone(), cause })
    }

    fn exchange(
        &self,
        stream: &mut BufReader<UnixStream>,
        request: &Request,
    ) -> Result<Answer, CallError> {
        self.send(stream, request)?;
        let answer = self.receive(stream)?;
        answer.ok_or_else(|| self.unanswered("closed the connection without an answer".to_owned()))
    }

    fn send(&self, stream: &mut BufReader<UnixStream>, request: &Request) -> Result<(), CallError> {
        let mut line =
            serde_json::to_string(request).map_err(|e| self.unanswered(e.to_string()))?;
        line.push('\n');
        let sent = stream.get_mut().write_all(line.as_bytes());
        sent.map_err(|error| self.unanswered(format!("send: {error}")))
    }

    /// Returns the next answer; `None` at the end of the connection.
    fn receive(&self, stream: &mut BufReader<UnixStream>) -> Result<Option<Answer>, CallError> {
        let mut line = String::new();
        match stream.take(ANSWER_BYTES).read_line(&mut line) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            // The system's word for a timeout on a socket is "temporarily unavailable".
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                let wait = self.patience.as_secs_f64();
                return Err(self.unanswered(format!("no answer within {wait} s")));
            }
            Err(error) => return Err(self.unanswered(format!("no answer: {error}"))),
        }
        if !line.ends_with('\n') {
            return Err(
                self.unanswered("closed the connection before its answer was complete".to_owned())
            );
        }
        let answer = serde_json::from_str(&line);
        answer.map(Some).map_err(|e| self.unanswered(format!("its answer is not understood: {e}")))
    }

    fn unanswered(&self, why: String) -> CallError {
        CallError::Unanswered { path: self.path.clone(), why }
    }
}

fn result_of(answer: Answer) -> Result<Value, CallError> {
    if answer.ok {
        return Ok(answer.result.unwrap_or_default());
    }
    let why = answer.error.unwrap_or_else(|| "refused without a reason".to_owned());
    Err(if answer.is_asked { CallError::Unconfirmed(why) } else { CallError::Refused(why) })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;
    use crate::control_api::{ScopeName, Status, sample};

    /// A server that gives these lines, one connection for each list.
    fn serve(path: &Path, connections: Vec<Vec<String>>) -> thread::JoinHandle<Vec<String>> {
        let listener = UnixListener::bind(path).unwrap();
        thread::spawn(move || {
            let mut asked = Vec::new();
            for lines in connections {
                let (stream, _) = listener.accept().unwrap();
                let mut requests = BufReader::new(stream.try_clone().unwrap());
                for line in lines {
                    let mut request = String::new();
                    requests.read_line(&mut request).unwrap();
                    asked.push(request.trim_end().to_owned());
                    (&stream).write_all(line.as_bytes()).unwrap();
                }
            }
            asked
        })
    }

    #[test]
    fn a_server_is_asked_and_asked_again_after_it_went_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let mut client = Client::new(&path);
        let error = format!("{:#}", client.call(&Request::Status).unwrap_err());
        assert!(error.contains("no server answers at"), "{error}");

        let result = Some(serde_json::to_value(sample::busy()).unwrap());
        let answer = Answer { ok: true, result, ..Answer::default() };
        let status = format!("{}\n", serde_json::to_string(&answer).unwrap());
        let refusal = "{\"ok\":false,\"error\":\"there is no account `x`\"}\n".to_owned();
        let broken = "{\"ok\":tr".to_owned();
        let server = serve(&path, vec![vec![status.clone(), refusal, broken], vec![status]]);

        let value = client.call(&Request::Status).unwrap();
        assert_eq!(serde_json::from_value::<Status>(value).unwrap(), sample::busy());
        let kill = Request::Kill(ScopeName { scope: "account:x".to_owned() });
        assert_eq!(client.call(&kill).unwrap_err().to_string(), "there is no account `x`");
        let error = format!("{:#}", client.call(&Request::Status).unwrap_err());
        assert!(error.contains("before its answer was complete"), "{error}");
        assert!(client.call(&Request::Status).is_ok(), "connects again");
        let asked = server.join().unwrap();
        assert_eq!(asked[1], r#"{"cmd":"kill","scope":"account:x"}"#);
    }

    /// `tercel ctl kill` waited for ever for a server that was stopped.
    #[test]
    fn a_server_that_says_nothing_is_not_waited_for_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let _silent = UnixListener::bind(&path).unwrap();
        let mut client = Client::new(&path).patient(Duration::from_millis(50));
        let error = client.call(&Request::Status).unwrap_err();
        assert!(matches!(error, CallError::Unanswered { .. }), "{error:?}");
        assert!(error.to_string().ends_with("no answer within 0.05 s"), "{error}");
    }

    #[test]
    fn what_is_asked_for_all_the_same_is_not_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let late = "{\"ok\":false,\"error\":\"late\",\"is_asked\":true}\n".to_owned();
        let done = "{\"ok\":true}\n".to_owned();
        let server = serve(&path, vec![vec![late, done]]);
        let mut client = Client::new(&path);
        let error = client.call(&Request::Status).unwrap_err();
        assert!(matches!(error, CallError::Unconfirmed(_)), "{error:?}");
        assert!(client.call(&Request::Stop).is_ok());
        assert!(client.wait_for_end(PATIENCE).is_ok(), "the server closes the connection");
        server.join().unwrap();
    }
}
