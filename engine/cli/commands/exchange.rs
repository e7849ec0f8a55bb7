//! `tercel exchange`: a venue on this machine.

mod tape;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::{Args as ClapArgs, ValueEnum};
use tercel_exchange::dialect::binance::Credential;
use tercel_exchange::server::Server;
use tercel_exchange::{Fixed, Listing, Markets, Product, Setup};

use crate::commands::print;
use crate::exit::{Answer, Blame, Failure, Outcome, input};
use crate::signals::Signals;

/// Run an exchange on this machine that speaks a real venue's protocol.
///
/// Prints one line of JSON with its addresses once it is ready, and on standard error the section of a
/// server's configuration that trades on it. Runs until it is told to stop (interrupt or termination).
/// Nothing that happens on it costs anything.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  tercel exchange --venue binance --listen 127.0.0.1:9000\n  \
    tercel exchange --venue binance --symbols BTCUSDT,ETHBTC --balances USDT=5000,BTC=0.1 --seed 7\n\n\
    Control calls (faults, the truth, the market): GET /control tells them.")]
pub(crate) struct Args {
    /// Whose protocol to speak.
    #[arg(long, value_enum)]
    venue: Venue,
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// API key of the client.
    #[arg(long, default_value = "demo")]
    key: String,
    /// Secret that the client signs with.
    #[arg(long, default_value = "demo")]
    secret: String,
    /// Passphrase, for venues that have one.
    #[arg(long, default_value = "demo")]
    passphrase: String,
    /// Key and secret of another client, who begins with the same balances; may be given several times.
    #[arg(long, value_name = "KEY:SECRET")]
    client: Vec<String>,
    /// Ed25519 public key (PEM) of a second API key `KEY-ed25519` of the same client.
    #[arg(long, value_name = "FILE")]
    ed25519: Option<PathBuf>,
    /// Picks the markets.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(
        long,
        value_delimiter = ',',
        help = "Symbols to trade [default: BTCUSDT, ETHUSDT, \
        BNBUSDT, SOLUSDT, ETHBTC, or those of the tape]"
    )]
    symbols: Vec<String>,
    /// What the client begins with, such as USDT=100000,BTC=2.
    #[arg(long, value_delimiter = ',', value_name = "ASSET=AMOUNT")]
    balances: Vec<String>,
    /// Where the markets come from: a seed, recorded data of any known format, or nowhere.
    #[arg(long, default_value = "seeded", value_name = "seeded|tape:FILE|still")]
    market: String,
    /// Speed of the markets; 2 is twice as fast.
    #[arg(long, default_value = "1")]
    speed: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Venue {
    /// Spot and USD-M futures.
    Binance,
}

/// How often the command looks whether it is to stop.
const POLL: Duration = Duration::from_millis(50);

pub(crate) fn run(args: &Args) -> Outcome {
    let signals = Signals::catch()?;
    let setup = read_setup(args)?;
    let symbols = setup.symbols.clone();
    let site = match args.venue {
        Venue::Binance => setup.binance().or_input()?,
    };
    let server = Server::start(args.listen, site)
        .map_err(|error| Failure::Machine(anyhow::anyhow!("listen on {}: {error}", args.listen)))?;
    eprint!("{}", section(server.address(), &symbols, args));
    let authority = server.address().to_string();
    let ready = server.with_site(|site| site.addresses(&authority));
    print(&format!("{ready}\n"))?;
    while !signals.is_stopping() {
        std::thread::sleep(POLL);
    }
    server.stop();
    Ok(Answer::Good)
}

/// Returns what a server's configuration needs to trade at this address.
fn section(address: SocketAddr, symbols: &[String], args: &Args) -> String {
    // An address that stands for all of this machine's is reached at the loopback.
    let host = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let at = SocketAddr::new(host, address.port());
    let key = match (args.key.as_str(), args.secret.as_str()) {
        ("demo", "demo") => "TERCEL_KEY=demo and TERCEL_SECRET=demo",
        _ => "TERCEL_KEY and TERCEL_SECRET, as given here",
    };
    format!(
        "# For a server with run.mode = \"testnet\" and feed.kind = \"exchange\"; its environment needs\n\
         # {key}. Futures: name = \"binance_usdm\".\n\
         [exchange]\nname = \"binance\"\nenvironment = \"custom\"\nrest = \"http://{at}\"\n\
         streams = \"ws://{at}\"\nprivate = \"ws://{at}\"\nsymbols = {symbols:?}\n"
    )
}

fn read_setup(args: &Args) -> Outcome<Setup> {
    let mut setup = Setup::new(Server::time(), args.seed);
    if !args.symbols.is_empty() {
        setup.symbols = args.symbols.iter().map(|symbol| symbol.to_ascii_uppercase()).collect();
    }
    for symbol in &setup.symbols {
        if Listing::by_name(symbol, Product::Spot).is_none() {
            return Err(input(format!(
                "--symbols: {symbol:?} is no base asset followed by a quote asset such as USDT"
            )));
        }
    }
    if !args.balances.is_empty() {
        setup.balances =
            args.balances.iter().map(|text| read_balance(text)).collect::<Outcome<_>>()?;
    }
    args.key.clone_into(&mut setup.key);
    setup.credential = Credential::Hmac(args.secret.clone());
    if let Some(path) = &args.ed25519 {
        let pem = std::fs::read_to_string(path)
            .with_context(|| format!("--ed25519 {}", path.display()))
            .or_input()?;
        let credential = Credential::from_pem(&pem).ok_or_else(|| {
            input(format!("--ed25519 {}: no Ed25519 public key in PEM", path.display()))
        })?;
        setup.more_keys.push((format!("{}-ed25519", args.key), credential));
    }
    for text in &args.client {
        let parts =
            text.split_once(':').filter(|(key, secret)| !key.is_empty() && !secret.is_empty());
        // The text itself is not shown: half of it is a secret.
        let (key, secret) = parts
            .ok_or_else(|| input("--client: must be a key and its secret with a colon between"))?;
        if key == args.key || setup.others.iter().any(|(other, _)| other == key) {
            return Err(input("--client: two clients have the same key; give each its own"));
        }
        setup.others.push((key.to_owned(), Credential::Hmac(secret.to_owned())));
    }
    setup.markets = match args.market.as_str() {
        "seeded" => Markets::Seeded,
        "still" => Markets::Still,
        other => {
            let path = other.strip_prefix("tape:").filter(|path| !path.is_empty());
            let path = path.ok_or_else(|| {
                input(format!("--market: must be seeded, tape:FILE or still, got {other:?}"))
            })?;
            let recordings = tape::open(std::path::Path::new(path))?;
            if args.symbols.is_empty() {
                setup.symbols = recordings.iter().map(|found| found.symbol.clone()).collect();
            }
            Markets::Recorded(recordings)
        }
    };
    let speed = Fixed::parse(&args.speed).ok().filter(|speed| speed.is_positive());
    let speed = speed.and_then(|speed| i64::try_from(speed.units() / 100_000).ok());
    let speed = speed.filter(|speed_e3| (1..=1_000_000).contains(speed_e3));
    setup.speed_e3 = speed.ok_or_else(|| {
        input(format!("--speed: must be between 0.001 and 1000, got {:?}", args.speed))
    })?;
    Ok(setup)
}

fn read_balance(text: &str) -> Outcome<(String, Fixed)> {
    let read = || {
        let (asset, amount) = text.split_once('=')?;
        let amount = Fixed::parse(amount).ok().filter(|amount| *amount >= Fixed::ZERO)?;
        Some((asset.to_ascii_uppercase(), amount)).filter(|(asset, _)| !asset.is_empty())
    };
    read().ok_or_else(|| input(format!("--balances: must be like USDT=1000, got {text:?}")))
}
