//! `tercel trace`: how one order came about and what became of it.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde_json::{Value, json};
use tercel_core::{ClientOrderId, Event, MarketEvent, Nanos, OrderRequest, ReportKind};
use tercel_store::journal::{Entry, JournalReader, Record, RecordedEffect};
use tercel_store::market_tape::{MarketTapeReader, Taped};
use tercel_store::runs::{RunCatalog, RunFolder};

use super::{print, print_json};
use crate::exit::{Answer, Blame, Outcome, input};

/// Show the chain of causes of one order: what came in, what the strategy wished, what was sent, what
/// the venue said, with the time between.
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// The run: a number, `latest`, or a path.
    run: String,
    /// The order's id, such as T7-12.
    order: String,
    /// Folder of the runs.
    #[arg(long, env = "TERCEL_DATA", default_value = "tercel-data")]
    data: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// One link of the chain.
struct Link {
    seq: u64,
    /// The engine's time.
    at: Nanos,
    what: String,
    /// The venue's time, where it tells one.
    venue_at: Option<Nanos>,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let folder = RunCatalog::open(&args.data).find(&args.run).or_input()?;
    let order = parse(&args.order)?;
    let chain = chain(&folder, order)?;
    if chain.is_empty() {
        return Err(input(format!(
            "run {} has no order {order}; `tercel export` lists its orders",
            folder.number
        )));
    }
    if args.json {
        let links: Vec<Value> = chain.iter().map(to_json).collect();
        print_json(&json!({ "order": order.to_string(), "links": links }))?;
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
fn chain(folder: &RunFolder, order: ClientOrderId) -> Outcome<Vec<Link>> {
    let journal = JournalReader::open(&folder.journal()).or_input()?;
    let mut chain = Vec::new();
    // Market events have the numbers that entries of other kinds leave.
    let mut n_others = 0;
    for record in journal.records().or_input()? {
        let (_, Record::Entry(entry)) = record.or_input()? else { continue };
        let is_market = matches!(entry.event, None | Some(Event::Market(_)));
        let n_market = entry.seq.0 - n_others - 1;
        n_others += u64::from(!is_market);
        let wishes: Vec<_> =
            entry.effects.iter().filter_map(|effect| wish(effect, order)).collect();
        let report = match &entry.event {
            Some(Event::Execution(report)) if report.order == order => Some(report),
            _ => None,
        };
        if let Some(report) = report {
            chain.push(Link {
                seq: entry.seq.0,
                at: entry.now,
                what: told(&report.kind),
                venue_at: Some(report.venue_at),
            });
        } else if !wishes.is_empty() {
            chain.push(cause(folder, &entry, is_market.then_some(n_market))?);
        }
        chain.extend(wishes.into_iter().map(|what| Link {
            seq: entry.seq.0,
            at: entry.now,
            what,
            venue_at: None,
        }));
    }
    Ok(chain)
}

/// Returns what made the strategy wish: a market message is read from the tape.
fn cause(folder: &RunFolder, entry: &Entry, n_market: Option<u64>) -> Outcome<Link> {
    let (seq, at) = (entry.seq.0, entry.now);
    let Some(index) = n_market else {
        let what = entry.event.as_ref().map_or_else(String::new, |event| format!("{event:?}"));
        return Ok(Link { seq, at, what, venue_at: None });
    };
    Ok(match taped(folder, index)? {
        Some(event) => Link {
            seq,
            at,
            what: format!("market message {index}: {:?}", event.data),
            venue_at: Some(event.venue_at),
        },
        None => {
            let what = format!("market message {index}, which is not on the tape");
            Link { seq, at, what, venue_at: None }
        }
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
        "seq": link.seq,
        "at_ns": link.at.0,
        "venue_at_ns": link.venue_at.map(|at| at.0),
        "what": link.what,
    })
}

fn to_text(chain: &[Link]) -> String {
    let mut text = String::new();
    let mut before: Option<Nanos> = None;
    for link in chain {
        let since = before.map_or(0, |before| link.at.since(before));
        let way = link
            .venue_at
            .map_or_else(String::new, |at| format!("   {} ns after the venue", link.at.since(at)));
        text.push_str(&format!("{:>10}  {since:>+14} ns  {}{way}\n", link.seq, link.what));
        before = Some(link.at);
    }
    text
}
