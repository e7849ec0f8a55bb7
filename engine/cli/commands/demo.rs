//! `tercel demo`: an exchange, a server that trades on it over real sockets, and what came of it.

mod latency;
mod place;

use std::io::IsTerminal;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args as ClapArgs;
use tercel_exchange::Setup;
use tercel_exchange::server::Server as ExchangeServer;

use self::place::{Place, Running};
use super::print;
use crate::control_api::{Request, Status};
use crate::control_client::Client;
use crate::exit::{Answer, Blame, Outcome};
use crate::top;

/// Trade on an exchange in a box: the shipped market maker over real sockets, no network needed.
///
/// Starts an exchange that speaks Binance on this machine, connects a server to it with the protocol,
/// the keys and the checks of live trading, shows it on a screen (or as plain lines without a
/// terminal), and ends with a report and a table of latencies. What the server wrote stays in the
/// folder, for `tercel runs`, `trace`, `replay`, `export`.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  tercel demo\n  tercel demo --seconds 60 --plain --folder /tmp/demo"
)]
pub(crate) struct Args {
    /// How long to trade.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(3..=86_400))]
    seconds: u64,
    /// Picks the market.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder to work in; created if it is not there, refused if others' files would be lost in it.
    #[arg(long, default_value = "tercel-demo")]
    folder: PathBuf,
    /// Print lines even on a terminal.
    #[arg(long)]
    plain: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    Place::check(&args.folder)?;
    let setup = Setup {
        symbols: vec!["BTCUSDT".to_owned()],
        ..Setup::new(ExchangeServer::time(), args.seed)
    };
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let exchange = ExchangeServer::start(listen, setup.binance().or_input()?).or_machine()?;
    let place = Place::create(&args.folder, exchange.address())?;
    eprintln!(
        "for {} s (^C ends it): an exchange at {}, a server in {}",
        args.seconds,
        exchange.address(),
        args.folder.display()
    );
    let mut server = place.start()?;
    let until = Instant::now() + Duration::from_secs(args.seconds);
    let has_screen =
        !args.plain && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let last = if has_screen {
        server.wait_for(&place.socket())?;
        top::run_until(&place.socket(), Some(until))?;
        status(&place)
    } else {
        watch(&place, &mut server, until)?
    };
    server.stop()?;
    print(&report(&place, last.as_ref())?)?;
    exchange.stop();
    Ok(Answer::Good)
}

fn status(place: &Place) -> Option<Status> {
    let value = Client::new(&place.socket()).call(&Request::Status).ok()?;
    serde_json::from_value(value).ok()
}

/// Prints how things stand once a second.
fn watch(place: &Place, server: &mut Running, until: Instant) -> Outcome<Option<Status>> {
    server.wait_for(&place.socket())?;
    let mut last = None;
    while Instant::now() < until && server.is_running()? {
        std::thread::sleep(Duration::from_millis(1_000).min(until - Instant::now()));
        if let Some(status) = status(place) {
            print(&line(&status))?;
            last = Some(status);
        }
    }
    Ok(last)
}

fn line(status: &Status) -> String {
    let quote = status.instruments.first().map_or_else(
        || "no book".to_owned(),
        |own| {
            let best = |levels: &[crate::control_api::LevelStatus]| {
                levels.first().map_or_else(|| "-".to_owned(), |level| level.price.clone())
            };
            format!("{} {} / {}", own.symbol, best(&own.bids), best(&own.asks))
        },
    );
    let sent: u64 = status.strategies.iter().map(|own| own.orders_today).sum();
    let fills: u64 = status.strategies.iter().map(|own| own.fills_today).sum();
    let position = status.positions.first().map_or("0", |own| own.quantity.as_str());
    let pnl = status.strategies.first().map_or("0", |own| own.pnl.as_str());
    format!(
        "{:>4} s  {quote}  position {position}  open {}  sent {sent}  fills {fills}  profit {pnl}\n",
        status.uptime_s, status.n_open_orders
    )
}

fn report(place: &Place, status: Option<&Status>) -> Outcome<String> {
    use std::fmt::Write;
    let mut text = String::from("\n");
    let w = &mut text;
    // Writing to a string does not fail.
    if let Some(status) = status {
        let own = status.strategies.first();
        let fills: u64 = status.strategies.iter().map(|own| own.fills_today).sum();
        let _ = writeln!(w, "strategy   {}", own.map_or("-", |own| own.name.as_str()));
        let _ = writeln!(w, "orders     {}", own.map_or(0, |own| own.orders_today));
        let _ = writeln!(w, "fills      {fills}");
        let _ = writeln!(w, "profit     {} USDT", own.map_or("0", |own| own.pnl.as_str()));
        for position in &status.positions {
            let _ = writeln!(w, "position   {} {}", position.quantity, position.symbol);
        }
    }
    let _ = writeln!(w, "\n{}", latency::table(&place.data())?);
    let _ = writeln!(
        w,
        "what it did stays in {}; to look at it, and to execute it again:\n  \
         tercel runs --data {}\n  tercel replay latest --data {}",
        place.folder().display(),
        place.data().display(),
        place.data().display()
    );
    Ok(text)
}
