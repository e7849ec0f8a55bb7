//! The chain of causes of one order, as journal and tape have it.

use std::collections::BTreeMap;

use tercel_core::{ClientOrderId, Event, MarketEvent, Nanos, Seq};
use tercel_runtime::ScriptPlace;
use tercel_store::journal::{Entry, JournalReader, Record, RecordedEffect, Sent};
use tercel_store::market_tape::{MarketTapeReader, Taped};
use tercel_store::runs::RunFolder;

use super::words::Words;
use crate::data_folder::blame_run;
use crate::exit::Outcome;

/// One link of the chain.
pub(super) struct Link {
    pub(super) seq: Seq,
    pub(super) hop: Hop,
    pub(super) at: Nanos,
    pub(super) what: String,
    /// The venue's time, where it tells one.
    pub(super) venue_at: Option<Nanos>,
    /// Which of the event's effects it is, if it is one.
    pub(super) effect: Option<usize>,
    /// Where a script wished it.
    pub(super) place: Option<ScriptPlace>,
}

/// What the time of a link is the time of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hop {
    /// The message was read from the venue's connection.
    Received,
    /// The engine's loop took it: the look at the clock before the events of its cycle.
    Taken,
    /// Hook and risk checks were through.
    Decided,
    /// The engine's time of the event, where no other was recorded.
    Event,
    /// The entry was handed to the journal.
    Recorded,
    /// The port had taken the request.
    Sent,
}

impl Hop {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Taken => "taken",
            Self::Decided => "decided",
            Self::Event => "event",
            Self::Recorded => "recorded",
            Self::Sent => "sent",
        }
    }
}

/// All that is known of an order.
#[derive(Default)]
pub(super) struct Chain {
    pub(super) links: Vec<Link>,
    /// The effects of the events that did something with the order.
    pub(super) effects: BTreeMap<Seq, Vec<RecordedEffect>>,
    /// Why lines of scripts are missing, if they are.
    pub(super) lineless: Option<String>,
    words: Words,
}

impl Chain {
    /// Reads the journal for everything that concerns an order. `goes_to` says to whom requests are
    /// given.
    pub(super) fn read(
        folder: &RunFolder,
        journal: &JournalReader,
        order: ClientOrderId,
        goes_to: &str,
    ) -> Outcome<Self> {
        let mut chain = Self { words: Words::of(folder, journal), ..Self::default() };
        // Market events have the numbers that entries of other kinds leave; a hole in the record tells
        // how many there were before it.
        let (mut begin, mut n_market, mut n_others) = (Seq(0), 0, 0);
        for record in journal.records().map_err(blame_run(folder))? {
            let entry = match record.map_err(blame_run(folder))?.1 {
                Record::Entry(entry) => entry,
                Record::Sent(sent) if sent.order == order => {
                    chain.sent(&sent, goes_to);
                    continue;
                }
                Record::Gap { seq, n_market: n, .. } => {
                    (begin, n_market, n_others) = (seq, n, 0);
                    continue;
                }
                _ => continue,
            };
            let is_market = matches!(entry.event, None | Some(Event::Market(_)));
            let index = n_market + (entry.seq.0 - begin.0).saturating_sub(n_others + 1);
            n_others += u64::from(!is_market);
            chain.entry(folder, entry, order, is_market.then_some(index))?;
        }
        Ok(chain)
    }

    /// Takes an entry; of a market message with its number on the tape.
    fn entry(
        &mut self,
        folder: &RunFolder,
        entry: Entry,
        order: ClientOrderId,
        n_market: Option<u64>,
    ) -> Outcome<()> {
        let words = &self.words;
        let wishes: Vec<_> = (0..)
            .zip(&entry.effects)
            .filter_map(|(n, effect)| Some((n, wish(effect, order, words)?)))
            .collect();
        match &entry.event {
            Some(Event::Execution(report)) if report.order == order => {
                self.links.push(Link {
                    at: report.received_at,
                    venue_at: Some(report.venue_at),
                    ..link(&entry, Hop::Received, words.report(report))
                });
                self.links.push(link(&entry, Hop::Taken, "by the engine".to_owned()));
            }
            _ if !wishes.is_empty() => self.links.push(cause(folder, &entry, words, n_market)?),
            _ => return Ok(()),
        }
        for (n, what) in wishes {
            self.links.push(Link { effect: Some(n), ..link(&entry, Hop::Event, what) });
            self.effects.entry(entry.seq).or_insert_with(|| entry.effects.clone());
        }
        Ok(())
    }

    /// Takes the times of a request that left: they are those of the last wish of its entry that has
    /// none yet.
    fn sent(&mut self, sent: &Sent, goes_to: &str) {
        let is_wish =
            |link: &Link| link.seq == sent.seq && link.hop == Hop::Event && link.effect.is_some();
        let Some(n) = self.links.iter().position(is_wish) else { return };
        let after = |ns: u64| sent.taken_at.plus(i64::try_from(ns).unwrap_or(i64::MAX));
        let hop = |hop, at, what: &str| Link {
            seq: sent.seq,
            hop,
            at,
            what: what.to_owned(),
            venue_at: None,
            effect: None,
            place: None,
        };
        let wish = &mut self.links[n];
        (wish.hop, wish.at) = (Hop::Decided, after(sent.decided_ns));
        let recorded = hop(Hop::Recorded, after(sent.recorded_ns), "handed to the journal");
        let left = hop(Hop::Sent, after(sent.sent_ns), goes_to);
        self.links.splice(n + 1..n + 1, [recorded, left]);
        // Whatever is no message was taken when it happened.
        let is_message =
            n > 0 && (self.links[n - 1].seq, self.links[n - 1].hop) == (sent.seq, Hop::Received);
        if is_message {
            let what = "by the engine, with what else had arrived";
            self.links.insert(n, hop(Hop::Taken, sent.taken_at, what));
        }
    }
}

/// Returns a link of what happened at an entry, at the engine's time.
const fn link(entry: &Entry, hop: Hop, what: String) -> Link {
    let (seq, at) = (entry.seq, entry.now);
    Link { seq, hop, at, what, venue_at: None, effect: None, place: None }
}

/// Returns what made the strategy wish: a market message is read from the tape.
fn cause(folder: &RunFolder, entry: &Entry, words: &Words, n_market: Option<u64>) -> Outcome<Link> {
    let Some(index) = n_market else {
        let what = entry.event.as_ref().map_or_else(String::new, |event| words.event(event));
        return Ok(link(entry, Hop::Taken, what));
    };
    Ok(match taped(folder, index)? {
        Some(event) => Link {
            at: event.received_at,
            venue_at: Some(event.venue_at),
            ..link(
                entry,
                Hop::Received,
                format!("market message {index}: {}", words.market(&event)),
            )
        },
        None => {
            let what = format!("market message {index}, which is not on the tape");
            link(entry, Hop::Received, what)
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
fn wish(effect: &RecordedEffect, order: ClientOrderId, words: &Words) -> Option<String> {
    match effect {
        RecordedEffect::Send(request) if request.id() == order => Some(words.request(request)),
        RecordedEffect::Notice(tercel_core::Notice::RiskReject { order: own, reason, .. })
            if *own == order =>
        {
            Some(format!("risk refuses: {reason}"))
        }
        _ => None,
    }
}
