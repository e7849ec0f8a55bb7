//! A client of a server's control socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::control_api::{Answer, Request};

/// How long the server may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer, in bytes.
const ANSWER_BYTES: u64 = 16 << 20;

/// Asks a server, one request after the other. Connects when it has to.
#[derive(Debug)]
pub(crate) struct Client {
    path: PathBuf,
    stream: Option<BufReader<UnixStream>>,
}

impl Client {
    /// Returns a client of the server whose socket this is. Does not connect yet.
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), stream: None }
    }

    /// Sends a request and returns the result.
    ///
    /// Fails if there is no server, it does not answer in time, or it refuses; the next call connects
    /// again. After a failure to answer it is unknown whether the request was carried out.
    pub(crate) fn call(&mut self, request: &Request) -> anyhow::Result<Value> {
        let stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.connect()?,
        };
        let (stream, answer) = exchange(stream, request)
            .with_context(|| format!("the server at {}", self.path.display()))?;
        self.stream = Some(stream);
        if !answer.ok {
            bail!("{}", answer.error.as_deref().unwrap_or("refused without a reason"));
        }
        Ok(answer.result.unwrap_or_default())
    }

    /// As [`Self::call`], for what may take the server half a minute.
    pub(crate) fn call_slowly(&mut self, request: &Request) -> anyhow::Result<Value> {
        let stream = self.connect()?;
        stream.get_ref().set_read_timeout(Some(PATIENCE * 8))?;
        self.stream = Some(stream);
        let result = self.call(request);
        // The next one is not to be waited for so long.
        self.stream = None;
        result
    }

    fn connect(&self) -> anyhow::Result<BufReader<UnixStream>> {
        let stream = UnixStream::connect(&self.path)
            .with_context(|| format!("no server answers at {}", self.path.display()))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(BufReader::new(stream))
    }
}

fn exchange(
    mut stream: BufReader<UnixStream>,
    request: &Request,
) -> anyhow::Result<(BufReader<UnixStream>, Answer)> {
    let mut line = serde_json::to_string(request)?;
    line.push('\n');
    stream.get_mut().write_all(line.as_bytes()).context("send")?;
    let mut line = String::new();
    (&mut stream).take(ANSWER_BYTES).read_line(&mut line).context("no answer")?;
    if !line.ends_with('\n') {
        bail!("closed the connection before its answer was complete");
    }
    let answer = serde_json::from_str(&line).context("its answer is not understood")?;
    Ok((stream, answer))
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
        let answer = Answer { ok: true, result, error: None };
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
}
