//! `tercel trace`: how one order came about and what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde_json::{Value, json};
use tercel_core::{ClientOrderId, Event, MarketEvent, Nanos, OrderRequest, ReportKind, Seq};
use tercel_runtime::{ScriptPlace, script_places};
use tercel_store::journal::{Entry, JournalReader, Record, RecordedEffect};
use tercel_store::market_tape::{MarketTapeReader, Taped};
use tercel_store::runs::{RunCatalog, RunFolder};

use super::replay::{again, configuration, place_json};
use super::{print, print_json};
use crate::exit::{Answer, Blame, Outcome, input};

/// Show the chain of causes of one order: what came in, which line of which script wished what, what
/// was sent, what the venue said, with the time between.
///
/// Lines of scripts are not recorded: they are found by executing the run again up to the order's last
/// request.
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// The run: a number, `latest`, or a path.
    run: String,
    /// The order's id, such as T7-12.
    order: String,
    /// Folder of the runs.
    #[arg(long, env = "TERCEL_DATA", default_value = "tercel-data")]
    data: PathBuf,
    /// Do not execute the run again: no lines of scripts.
    #[arg(long)]
    no_lines: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// One link of the chain.
struct Link {
    seq: Seq,
    /// The engine's time.
    at: Nanos,
    what: String,
    /// The venue's time, where it tells one.
    venue_at: Option<Nanos>,
    /// Which of the event's effects it is, if it is one.
    effect: Option<usize>,
    /// Where a script wished it.
    place: Option<ScriptPlace>,
}

/// All that is known of an order.
#[derive(Default)]
struct Chain {
    links: Vec<Link>,
    /// The effects of the events that did something with the order.
    effects: BTreeMap<Seq, Vec<RecordedEffect>>,
    /// Why lines of scripts are missing, if they are.
    lineless: Option<String>,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let folder = RunCatalog::open(&args.data).find(&args.run).or_input()?;
    let order = parse(&args.order)?;
    let journal = JournalReader::open(&folder.journal()).or_input()?;
    let mut chain = read(&folder, &journal, order)?;
    if chain.links.is_empty() {
        return Err(input(format!(
            "run {} has no order {order}; `tercel export` lists its orders",
            folder.number
        )));
    }
    if !args.no_lines {
        find_lines(&mut chain, &folder, &journal)?;
    }
    if args.json {
        let links: Vec<Value> = chain.links.iter().map(to_json).collect();
        print_json(&json!({
            "order": order.to_string(),
            "links": links,
            "lines_missing": chain.lineless,
        }))?;
    } else {
        print(&to_text(&chain))?;
    }
    Ok(Answer::Good)
}

fn parse(text: &str) -> Outcome<ClientOrderId> {
    let parts = text.strip_prefix('T').and_then(|rest| rest.split_once('-'));
    let numbers =
        parts.and_then(|(run, n)| Some((run.parse::<u32>().ok()?, n.parse::<u64>().ok()?)));
    numbers
        .filter(|(run, n)| *run < 1 << 24 && *n < 1 << 40)
        .map(|(run, n)| ClientOrderId::new(run, n))
        .ok_or_else(|| input(format!("{text}: expected an order's id such as T7-12")))
}

/// Reads the journal for everything that concerns an order.
fn read(folder: &RunFolder, journal: &JournalReader, order: ClientOrderId) -> Outcome<Chain> {
    let mut chain = Chain::default();
    // Market events have the numbers that entries of other kinds leave.
    let mut n_others = 0;
    for record in journal.records().or_input()? {
        let (_, Record::Entry(entry)) = record.or_input()? else { continue };
        let is_market = matches!(entry.event, None | Some(Event::Market(_)));
        let n_market = entry.seq.0 - n_others - 1;
        n_others += u64::from(!is_market);
        let wishes: Vec<_> = (0..)
            .zip(&entry.effects)
            .filter_map(|(n, effect)| Some((n, wish(effect, order)?)))
            .collect();
        let report = match &entry.event {
            Some(Event::Execution(report)) if report.order == order => Some(report),
            _ => None,
        };
        if let Some(report) = report {
            chain
                .links
                .push(Link { venue_at: Some(report.venue_at), ..link(&entry, told(&report.kind)) });
        } else if !wishes.is_empty() {
            chain.links.push(cause(folder, &entry, is_market.then_some(n_market))?);
        }
        let is_concerned = !wishes.is_empty();
        let links = wishes.into_iter();
        let links = links.map(|(n, what)| Link { effect: Some(n), ..link(&entry, what) });
        chain.links.extend(links);
        if is_concerned {
            chain.effects.insert(entry.seq, entry.effects);
        }
    }
    Ok(chain)
}

/// Executes the run again as far as is needed to know which lines wished what.
fn find_lines(chain: &mut Chain, folder: &RunFolder, journal: &JournalReader) -> Outcome<()> {
    let Some(until) = chain.effects.keys().next_back().copied() else { return Ok(()) };
    let noted: BTreeSet<_> = chain.effects.keys().copied().collect();
    let done =
        configuration(journal).and_then(|file| again(folder, journal, &file, Some(until), noted));
    let done = match done {
        Ok(done) => done,
        Err(failure) => {
            chain.lineless = Some(format!("the run cannot be executed again: {failure}"));
            return Ok(());
        }
    };
    chain.lineless = match (&done.stopped, &done.difference) {
        (_, Some(difference)) => Some(format!(
            "executed again the run differs at event {}; see tercel replay",
            difference.seq.0
        )),
        (Some(why), None) => {
            Some(format!("the run cannot be executed beyond event {}: {why}", done.last_seq.0))
        }
        (None, None) => None,
    };
    let places: BTreeMap<_, _> = done
        .noted
        .iter()
        .filter_map(|(seq, calls)| Some((*seq, script_places(calls, chain.effects.get(seq)?))))
        .collect();
    for link in &mut chain.links {
        let found = places.get(&link.seq).zip(link.effect);
        link.place = found.and_then(|(places, n)| places.get(n).cloned().flatten());
    }
    Ok(())
}

/// Returns a link of what happened at an entry.
const fn link(entry: &Entry, what: String) -> Link {
    Link { seq: entry.seq, at: entry.now, what, venue_at: None, effect: None, place: None }
}

/// Returns what made the strategy wish: a market message is read from the tape.
fn cause(folder: &RunFolder, entry: &Entry, n_market: Option<u64>) -> Outcome<Link> {
    let Some(index) = n_market else {
        let what = entry.event.as_ref().map_or_else(String::new, |event| format!("{event:?}"));
        return Ok(link(entry, what));
    };
    Ok(match taped(folder, index)? {
        Some(event) => Link {
            venue_at: Some(event.venue_at),
            ..link(entry, format!("market message {index}: {:?}", event.data))
        },
        None => link(entry, format!("market message {index}, which is not on the tape")),
    })
}

fn taped(folder: &RunFolder, index: u64) -> Outcome<Option<MarketEvent>> {
    let Ok(mut tape) = MarketTapeReader::seek(&folder.tape(), index) else { return Ok(None) };
    Ok(match tape.next_item().map_err(crate::data::blame)? {
        Some(Taped::Event { index: own, event }) if own == index => Some(event),
        _ => None,
    })
}

/// Says what an effect did with an order, if it is about it.
fn wish(effect: &RecordedEffect, order: ClientOrderId) -> Option<String> {
    match effect {
        RecordedEffect::Send(request) if request.id() == order => Some(match request {
            OrderRequest::New { strategy, spec, .. } => {
                format!("strategy {strategy} places it, risk approves, sent: {spec:?}")
            }
            OrderRequest::Replace { price, qty, .. } => {
                format!("replace approved and sent: {} ticks, {} lots", price.0, qty.0)
            }
            OrderRequest::Cancel { .. } => "cancel approved and sent".to_owned(),
        }),
        RecordedEffect::Notice(tercel_core::Notice::RiskReject { order: own, reason, .. })
            if *own == order =>
        {
            Some(format!("risk refuses: {reason}"))
        }
        _ => None,
    }
}

fn told(kind: &ReportKind) -> String {
    match kind {
        ReportKind::Fill(fill) => format!(
            "filled {} lots at {} ticks as {:?}, fee {}",
            fill.qty.0, fill.price.0, fill.role, fill.fee
        ),
        other => format!("venue: {other:?}"),
    }
}

fn to_json(link: &Link) -> Value {
    json!({
        "seq": link.seq.0,
        "at_ns": link.at.0,
        "venue_at_ns": link.venue_at.map(|at| at.0),
        "what": link.what,
        "script_line": link.place.as_ref().map(place_json),
    })
}

fn to_text(chain: &Chain) -> String {
    let mut text = String::new();
    let mut before: Option<Nanos> = None;
    for link in &chain.links {
        let since = before.map_or(0, |before| link.at.since(before));
        let way = link
            .venue_at
            .map_or_else(String::new, |at| format!("   {} ns after the venue", link.at.since(at)));
        let place = link.place.as_ref().map_or_else(String::new, |place| format!("{place}: "));
        text.push_str(&format!("{:>10}  {since:>+14} ns  {place}{}{way}\n", link.seq.0, link.what));
        before = Some(link.at);
    }
    if let Some(why) = &chain.lineless {
        text.push_str(&format!("lines of scripts are missing: {why}\n"));
    }
    text
}
