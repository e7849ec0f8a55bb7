//! The venue's side: sends as fast as it can.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tercel_adapters::net::Tls;
use tungstenite::{Message, WebSocket};

/// The number of a book's snapshot.
pub(crate) const FIRST_UPDATE: u64 = 50_000_000_000;
/// Levels of an increment on each side.
const LEVELS: u64 = 20;

/// Returns the name of the nth symbol.
pub(crate) fn symbol(n: u64) -> String {
    format!("S{n:04}USDT")
}

/// A peer that serves one connection on a thread of its own, until it is hung up on.
pub(crate) struct Peer {
    port: u16,
    certificate: Option<Vec<u8>>,
}

impl Peer {
    pub(crate) fn start(n_symbols: u64, is_secure: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (config, certificate) = if is_secure { tls() } else { (None, None) };
        std::thread::spawn(move || {
            let Ok((socket, _)) = listener.accept() else { return };
            match config {
                Some(config) => {
                    let connection = ServerConnection::new(config).expect("the settings are good");
                    serve(StreamOwned::new(connection, socket), n_symbols);
                }
                None => serve(socket, n_symbols),
            }
        });
        Self { port, certificate }
    }

    pub(crate) fn address(&self) -> String {
        let scheme = if self.certificate.is_some() { "wss" } else { "ws" };
        format!("{scheme}://localhost:{}", self.port)
    }

    /// Returns the settings of who trusts this peer.
    pub(crate) fn trusting(&self) -> Tls {
        match &self.certificate {
            Some(certificate) => Tls::trusting(&[certificate]).expect("it is a certificate"),
            None => Tls::public(),
        }
    }
}

fn tls() -> (Option<Arc<ServerConfig>>, Option<Vec<u8>>) {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a name");
    let der = certified.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_no_client_auth()
        .with_single_cert(vec![der.clone()], key)
        .expect("the key is the certificate's");
    (Some(Arc::new(config)), Some(der.to_vec()))
}

fn serve(stream: impl Read + Write, n_symbols: u64) {
    let Ok(mut socket) = tungstenite::accept(stream) else { return };
    let mut n_left = n_symbols;
    while n_left > 0 {
        let Ok(Message::Text(text)) = socket.read() else { return };
        n_left = n_left.saturating_sub(text.matches("@depth").count() as u64);
        let id = text.rsplit("\"id\":").next().unwrap_or_default().trim_end_matches('}');
        let answer = format!(r#"{{"result":null,"id":{id}}}"#);
        if socket.send(Message::text(answer)).is_err() {
            return;
        }
    }
    send(&mut socket, n_symbols);
}

/// Sends rounds of one increment a symbol. Frames are made once and numbers written into them: the
/// peer has to be quicker than what is measured.
fn send<S: Read + Write>(socket: &mut WebSocket<S>, n_symbols: u64) {
    const PLACE: &str = "~~~~~~~~~~~";
    let (mut round, mut places) = (Vec::new(), Vec::new());
    for n in 0..n_symbols {
        let text = increment(&symbol(n), PLACE);
        round.extend_from_slice(&[0x81, 126]);
        round.extend_from_slice(&u16::try_from(text.len()).expect("short").to_be_bytes());
        places.extend(text.match_indices(PLACE).map(|(at, _)| round.len() + at));
        round.extend_from_slice(text.as_bytes());
    }
    for number in FIRST_UPDATE + 1.. {
        let digits = number.to_string();
        for at in &places {
            round[*at..*at + PLACE.len()].copy_from_slice(digits.as_bytes());
        }
        if socket.get_mut().write_all(&round).is_err() {
            return;
        }
    }
}

fn increment(symbol: &str, number: &str) -> String {
    let side = |best: u64, step: i64| {
        let level = |k: u64| {
            let ticks = best.wrapping_add_signed(step * k.cast_signed());
            let qty = 7_919 * (k + 1) % 3_000_000;
            let (whole, part) = (qty / 100_000, qty % 100_000);
            format!("[\"{}.{:02}000000\",\"{whole}.{part:05}000\"]", ticks / 100, ticks % 100)
        };
        (0..LEVELS).map(level).collect::<Vec<_>>().join(",")
    };
    format!(
        r#"{{"stream":"{}@depth@100ms","data":{{"e":"depthUpdate","E":1723161255208,"s":"{symbol}","U":{number},"u":{number},"b":[{}],"a":[{}]}}}}"#,
        symbol.to_lowercase(),
        side(6_180_000, -7),
        side(6_180_500, 7)
    )
}
