//! `tercel record`: a venue's market data into tapes.

mod tally;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args as ClapArgs, ValueEnum};
use serde_json::json;
use tercel_adapters::Listing;
use tercel_adapters::net::{Listener, TokioSocket, run_shared};
use tercel_core::{Event, Instrument, LinkEvent, LinkState, Nanos, VenueId};
use tercel_runtime::{Clock, UtcClock};
use tercel_store::{Metadata, RecordingOptions};

use self::tally::{Links, Screen};
use self::writer::{Room, Writer};
use crate::commands::{print, print_json};
use crate::data::moment;
use crate::exit::{Answer, Blame, Outcome, input};
use crate::server_config::exchange::TopicName;
use crate::signals::Signals;
use crate::venue::{VenueAccess, VenueArgs, span, topics};

/// Record a venue's live market data into tapes.
///
/// Needs no key. Ends at the time that was given, or when it is interrupted or terminated; whatever it
/// had received is then on the disk. A tape is named after the moment at which it begins and has
/// `.part` behind its name until it is full or the recording ends. Each opens with the books as they
/// stand. Where messages were lost, a mark is left: `tercel inspect` counts them as interruptions, and
/// the engine trusts no book from there to the next snapshot.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  tercel record --symbols BTCUSDT,ETHUSDT --output btc --for 1h\n  \
    tercel record --product usdm --symbols BTCUSDT --topics book,trades,quotes,mark --output perp\n  \
    tercel record --config tercel.toml --output tapes --tape-age 1h --json\n\n\
    Afterwards: tercel inspect btc/*.tape; tercel backtest --data btc/*.tape\n\
    Exit codes: 0 recorded, 1 nothing arrived, 2 wrong input, 3 the machine or the venue failed."
)]
pub(crate) struct Args {
    #[command(flatten)]
    venue: VenueArgs,
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        help = "What to record [default: book,trades, or what the configuration follows]"
    )]
    topics: Vec<TopicChoice>,
    /// Folder of the tapes; made if need be.
    #[arg(short, long, value_name = "DIR", default_value = "recordings")]
    output: PathBuf,
    /// End after this time: 90s, 10m, 2h, 1d.
    #[arg(long = "for", value_name = "SPAN", value_parser = span)]
    duration: Option<Duration>,
    /// End at this moment: a date such as 2026-03-01T12:00 (UTC), or nanoseconds since 1970.
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "duration")]
    until: Option<Nanos>,
    /// Begin another tape at this length in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    tape_mib: u64,
    /// Begin another tape after this time.
    #[arg(long, value_name = "SPAN", default_value = "1d", value_parser = span)]
    tape_age: Duration,
    /// How often to say how it stands.
    #[arg(long, value_name = "SPAN", default_value = "5s", value_parser = span)]
    status_every: Duration,
    /// Print one JSON object at the end, and say nothing before.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum TopicChoice {
    /// Snapshots and changes of the book.
    Book,
    /// Trades.
    Trades,
    /// Best bid and ask.
    Quotes,
    /// Closed one-minute bars.
    Bars,
    /// Mark price and funding (futures).
    Mark,
}

impl From<TopicChoice> for TopicName {
    fn from(topic: TopicChoice) -> Self {
        match topic {
            TopicChoice::Book => Self::Book,
            TopicChoice::Trades => Self::Trades,
            TopicChoice::Quotes => Self::Quotes,
            TopicChoice::Bars => Self::Bars,
            TopicChoice::Mark => Self::Mark,
        }
    }
}

/// How many events may wait for a disk that stalls, about 100 MB; more are lost, and told as such.
const WAITING_MAX: usize = 1 << 20;

pub(crate) fn run(args: &Args) -> Outcome {
    let signals = Signals::catch()?;
    let mut section = args.venue.section(true)?;
    if !args.topics.is_empty() {
        section.topics = args.topics.iter().map(|topic| TopicName::from(*topic)).collect();
    }
    let end = end_of(args)?;
    let access = VenueAccess::open(&section)?;
    let (instruments, assets) = access.listing(&section.symbols)?;
    let listing = Listing::new(VenueId(0), &instruments, &assets);
    let specs = instruments.iter().map(|own| own.spec.clone()).collect();
    let metadata = Metadata { assets, instruments: specs };
    std::fs::create_dir_all(&args.output).or_machine()?;
    let options = RecordingOptions {
        tape_bytes: args.tape_mib << 20,
        tape_ns: i64::try_from(args.tape_age.as_nanos()).unwrap_or(i64::MAX),
        ..RecordingOptions::default()
    };
    let writer = Writer::start(metadata, options, &args.output, access.venue.name())?;
    let wanted = topics(&section, &instruments);
    let tls = access.tls.clone();
    let driver = access.market(&listing, &wanted, move || TokioSocket::new(tls.clone()));
    let resyncs = driver.resyncs().clone();
    let links = Links::new(driver.links().iter().map(|link| Arc::clone(link.counters())).collect());
    let mut screen = Screen::new(args.json, args.status_every);
    let (mut n_lost, mut has_lost) = (0_usize, false);
    let (mut clock, mut own_clock) = (UtcClock::system(), UtcClock::system());
    let deliver = |events: &mut Vec<Event>| {
        if has_lost && !events.is_empty() {
            // What follows does not go on from what is on the tape.
            events.splice(0..0, instruments.iter().map(gap));
            instruments.iter().for_each(|own| resyncs.ask(own.id));
            has_lost = false;
        }
        screen.show(|| writer.progress(), &links);
        let is_over = signals.is_stopping() || end.is_some_and(|at| own_clock.now() >= at);
        match writer.take(events) {
            Room::Closed => Listener::IsGone,
            _ if is_over => {
                writer.take_late(events);
                Listener::IsGone
            }
            Room::Full if events.len() > WAITING_MAX => {
                n_lost += events.len();
                has_lost = true;
                events.clear();
                Listener::IsFull
            }
            Room::Full => Listener::IsFull,
            Room::Free => Listener::Listens,
        }
    };
    run_shared(driver, move || clock.now(), deliver).or_machine()?;
    screen.end();
    let (tapes, counts) = writer.end()?;
    if args.json {
        let tapes = tapes.iter().map(
            |tape| json!({ "path": tape.path, "events": tape.n_events, "bytes": tape.n_bytes }),
        );
        let mut value = tally::to_json(&counts, &links);
        value["lost_events"] = n_lost.into();
        value["tapes"] = tapes.collect();
        print_json(&value)?;
    } else {
        let mut text = String::new();
        for tape in &tapes {
            let path = tape.path.display();
            text += &format!("wrote  {path}: {} events, {} bytes\n", tape.n_events, tape.n_bytes);
        }
        text += &tally::summary(&counts, &links);
        if n_lost > 0 {
            text += &format!("lost   {n_lost} events that the disk did not take in time\n");
        }
        print(&text)?;
    }
    Ok(if counts.n_market == 0 { Answer::Negative } else { Answer::Good })
}

/// Says that messages of an instrument were lost.
fn gap(instrument: &Instrument) -> Event {
    let (venue, instrument) = (instrument.spec.venue, Some(instrument.id));
    Event::Link(LinkEvent { venue, instrument, state: LinkState::Gap })
}

fn end_of(args: &Args) -> Outcome<Option<Nanos>> {
    let now = UtcClock::system().now();
    match (args.duration, args.until) {
        (Some(duration), _) => {
            let ns = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
            Ok(Some(Nanos(now.0.saturating_add(ns))))
        }
        (None, Some(until)) if until <= now => {
            Err(input("--until is in the past; say a later moment, or --for and a span"))
        }
        (None, until) => Ok(until),
    }
}
