//! A server's folder whose orders go to an exchange in a box, and what both say of the account.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rust_decimal::Decimal;
use serde_json::Value;

use crate::exchange::{Exchange, KEY, SECRET};
use crate::rig::Place;

/// A folder for a server at the exchange.
pub(crate) fn place_at(exchange: &Exchange, script: &str, reconcile_every_s: u32) -> Place {
    let place = Place::new(script, "\"real\"");
    let address = &exchange.address;
    let config = format!(
        "[run]\nmode = \"testnet\"\ndata = \"data\"\n[feed]\nkind = \"exchange\"\n[exchange]\n\
         environment = \"custom\"\nrest = \"http://{address}\"\nstreams = \"ws://{address}\"\n\
         private = \"ws://{address}\"\nsymbols = [\"BTCUSDT\"]\ncredentials = \"file\"\n\
         credentials_file = \"venue.key\"\nreconcile_every_s = {reconcile_every_s}\n[journal]\n\
         snapshot_every_entries = 200\n[metrics]\nlisten = \"off\"\n[log]\nlevel = \"debug\"\n\
         file = \"log/tercel.log\"\n[[strategy]]\nscript = \"trader.luau\"\n"
    );
    std::fs::write(place.path("tercel.toml"), config).unwrap();
    key_file(&place, "venue.key", KEY, SECRET);
    place
}

/// Writes a key where only its owner may read it.
pub(crate) fn key_file(place: &Place, name: &str, key: &str, secret: &str) {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(place.path(name)).unwrap();
    write!(file, "key = {key}\nsecret = {secret}\n").unwrap();
}

impl Exchange {
    /// Fills of the account so far.
    pub(crate) fn n_fills(&self) -> usize {
        self.books()["fills"].as_array().map_or(0, Vec::len)
    }
}

/// What a server's status says that its first account holds.
pub(crate) fn held(status: &Value, asset: &str) -> Option<Decimal> {
    held_by(status, 0, asset)
}

/// What a server's status says that its nth account holds.
pub(crate) fn held_by(status: &Value, n: usize, asset: &str) -> Option<Decimal> {
    let balances = status["accounts"][n]["balances"].as_array()?;
    let own = balances.iter().find(|own| own["asset"] == asset)?;
    own["total"].as_str()?.parse().ok()
}

/// What the exchange's books say the account holds.
pub(crate) fn books_hold(books: &Value, asset: &str) -> Decimal {
    let part = |name: &str| -> Decimal {
        books["balances"][asset][name].as_str().unwrap_or("0").parse().unwrap()
    };
    part("free") + part("locked")
}

/// Which files below the folder, those of keys apart, hold a text.
pub(crate) fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() && path.extension().is_none_or(|own| own != "key") {
                let bytes = std::fs::read(&path).unwrap();
                if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                    found.push(path.display().to_string());
                }
            }
        }
    }
    found
}
