//! `tercel trace`: how one order came about and what became of it.

mod chain;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use clap::Args as ClapArgs;
use serde_json::{Value, json};
use tercel_core::{ClientOrderId, Nanos};
use tercel_runtime::script_places;
use tercel_store::journal::JournalReader;
use tercel_store::runs::RunFolder;

use self::chain::{Chain, Hop, Link};
use super::replay::{configuration, once, place_json};
use super::{print, print_json};
use crate::data_folder::{DataFolder, open_journal};
use crate::exit::{Answer, Outcome, input};
use crate::server_config::sections::{Mode, Profile};
use crate::server_config::{ServerConfig, ServerFile};

/// Show the chain of causes of one order: what came in, which line of which script wished what, what
/// was sent, what the venue said, with the time between.
///
/// Lines of scripts are not recorded: they are found by executing the run again up to the order's last
/// request.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  tercel trace latest T1-7\n  tercel trace 12 T12-40 --no-lines --json"
)]
pub(crate) struct Args {
    /// The run: a number, `latest`, or a path.
    run: String,
    /// The order's id, such as T7-12.
    order: String,
    #[command(flatten)]
    folder: DataFolder,
    /// Do not execute the run again: no lines of scripts.
    #[arg(long)]
    no_lines: bool,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let folder = args.folder.find(&args.run)?;
    let order = parse(&args.order)?;
    let journal = open_journal(&folder)?;
    let file = configuration(&folder, &journal)?;
    let mut chain = Chain::read(&folder, &journal, order, goes_to(&file.config))?;
    if chain.links.is_empty() {
        return Err(input(format!(
            "run {} has no order {order}; `tercel export` lists its orders",
            folder.number
        )));
    }
    if !args.no_lines {
        find_lines(&mut chain, &folder, &journal, &file);
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

/// Says to whom requests are given, of a run with this configuration.
const fn goes_to(config: &ServerConfig) -> &'static str {
    match (config.run.mode, config.run.profile) {
        (Mode::Paper, _) => "to the simulated venue",
        (_, Profile::Shared) => "to the account's thread, which writes it to the socket",
        (_, Profile::Inline | Profile::Pinned) => "written to the venue's socket",
    }
}

/// Executes the run again as far as is needed to know which lines wished what.
fn find_lines(chain: &mut Chain, folder: &RunFolder, journal: &JournalReader, file: &ServerFile) {
    let Some(until) = chain.effects.keys().next_back().copied() else { return };
    let noted: BTreeSet<_> = chain.effects.keys().copied().collect();
    let done = match once(folder, journal, file, Some(until), Some(noted)) {
        Ok(done) => done,
        Err(failure) => {
            chain.lineless = Some(format!("the run cannot be executed again: {failure}"));
            return;
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
        (None, None) => done.holes.first().map(|hole| {
            let (from, to) = (hole.from.0, hole.to.0);
            format!(
                "the journal has a hole, from event {from} to {to}: scripts are executed again only \
                 before it and once they are loaded anew"
            )
        }),
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
}

fn to_json(link: &Link) -> Value {
    json!({
        "seq": link.seq.0,
        "hop": link.hop.as_str(),
        "at_ns": link.at.0,
        "venue_at_ns": link.venue_at.map(|at| at.0),
        "what": link.what,
        "script_line": link.place.as_ref().map(place_json),
    })
}

fn to_text(chain: &Chain) -> String {
    let mut text = format!("{:>10}  {:<9} {:>17}\n", "event", "hop", "since before");
    let mut before: Option<Nanos> = None;
    for link in &chain.links {
        let since = before.map_or(0, |before| link.at.since(before));
        let way = link
            .venue_at
            .map_or_else(String::new, |at| format!("   {} ns after the venue", link.at.since(at)));
        let place = link.place.as_ref().map_or_else(String::new, |place| format!("{place}: "));
        let hop = link.hop.as_str();
        let seq = link.seq.0;
        text += &format!("{seq:>10}  {hop:<9} {since:>+14} ns  {place}{}{way}\n", link.what);
        before = Some(link.at);
    }
    let has = |hop| chain.links.iter().any(|link| link.hop == hop);
    if has(Hop::Event) {
        text += "event: the engine's time of the event, for want of a better one: nothing left, or \
                 when it left was not recorded\n";
    }
    if has(Hop::Decided) {
        text += "decided: hook and risk checks were through; when the hook began is not timed\n";
    }
    if let Some(why) = &chain.lineless {
        text += &format!("lines of scripts are missing: {why}\n");
    }
    text
}
