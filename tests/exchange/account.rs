//! A server's folder whose orders go to an exchange in a box, and what both say of the account.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

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
    let key = place.path("venue.key");
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(key).unwrap();
    write!(file, "key = {KEY}\nsecret = {SECRET}\n").unwrap();
    place
}

impl Exchange {
    /// Fills of the account so far.
    pub(crate) fn n_fills(&self) -> usize {
        self.books()["fills"].as_array().map_or(0, Vec::len)
    }
}

/// What a server's status says it holds.
pub(crate) fn held(status: &Value, asset: &str) -> Option<Decimal> {
    let balances = status["accounts"][0]["balances"].as_array()?;
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
