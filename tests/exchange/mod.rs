//! An exchange in a box, as a process, and a client of it that shares nothing with ours.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use serde_json::Value;
use tercel_adapters::{Credentials, Digest, Encoding, Signer};

pub(crate) const KEY: &str = "Kq7vX2mPw9ZrT4aLb8NcE1yHd6GsJfU3";
pub(crate) const SECRET: &str = "Wz5oRkV0tQn3SxMiBg7YpCj2AeDlFh9u";

/// An exchange in a box, as a process.
pub(crate) struct Exchange {
    child: Child,
    pub(crate) address: String,
}

impl Exchange {
    pub(crate) fn start(symbols: &str) -> Self {
        Self::start_with(symbols, &[])
    }

    pub(crate) fn start_with(symbols: &str, more: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tercel"))
            .args(["exchange", "--venue", "binance", "--listen", "127.0.0.1:0"])
            .args(["--symbols", symbols, "--key", KEY, "--secret", SECRET])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let control = ready["control"].as_str().unwrap();
        let address = control.trim_start_matches("http://").trim_end_matches("/control");
        Self { address: address.to_owned(), child }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Makes a call, whatever its status.
    pub(crate) fn call(&self, method: &str, path: &str, headers: &str, body: &str) -> Value {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let len = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: box\r\nConnection: close\r\n{headers}\
             Content-Length: {len}\r\n\r\n{body}"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let body = text.split_once("\r\n\r\n").unwrap().1;
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        self.call("GET", path, "", "")
    }

    /// Makes a call in the account's name, as anybody with its key can.
    pub(crate) fn signed(&self, method: &str, path: &str, query: &str) -> Value {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let query = format!("{query}&timestamp={}", since.as_millis());
        let secret = Credentials::new(KEY, SECRET).secret;
        let signer = Signer::new(&secret, Digest::Sha256).unwrap();
        let mut signature = Vec::new();
        signer.sign(query.as_bytes(), Encoding::Hex, &mut signature);
        let signature = String::from_utf8(signature).unwrap();
        let path = format!("{path}?{query}&signature={signature}");
        let answer = self.call(method, &path, &format!("X-MBX-APIKEY: {KEY}\r\n"), "");
        assert!(answer["code"].is_null(), "{method} {path}: {answer}");
        answer
    }

    pub(crate) fn control(&self, path: &str, body: &Value) -> Value {
        self.call("POST", &format!("/control/{path}"), "", &body.to_string())
    }

    /// What the exchange knows of the spot account.
    pub(crate) fn books(&self) -> Value {
        self.books_of(KEY)
    }

    /// What the exchange knows of the spot account with this key.
    pub(crate) fn books_of(&self, key: &str) -> Value {
        self.get("/control/books")["spot"]["accounts"][key].take()
    }

    /// The arguments that name its installation.
    pub(crate) fn arguments(&self) -> [String; 4] {
        let (rest, streams) =
            (format!("http://{}", self.address), format!("ws://{}", self.address));
        ["--rest".to_owned(), rest, "--streams".to_owned(), streams]
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // Both fail if it has ended, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
