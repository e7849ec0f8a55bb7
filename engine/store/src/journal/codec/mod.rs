//! Records to bytes and back.
//!
//! Encoding happens on the engine's thread and allocates nothing once its buffer has grown. Decoding
//! is strict: it refuses every byte that encoding would not have written, and never panics. One
//! table per type, in `event` and `effect`, is the source of both directions.

mod effect;
mod event;
#[cfg(test)]
pub(crate) mod sample;
mod state;
#[cfg(test)]
mod tests;
mod wire;

use std::ops::Range;

use tercel_core::{Effect, Event, Nanos, Seq, StateImage};

pub(crate) use self::wire::Input;
pub use self::wire::Malformed;
use self::wire::{Blob, Wire, put_bytes, wire_struct};
use super::record::{Entry, Record, RecordedEffect, Sent};

const RUN_STARTED: u8 = 0;
const ENTRY: u8 = 1;
const SCRIPT_LOADED: u8 = 2;
const PARAMS: u8 = 3;
const LIMITS: u8 = 4;
const ID_LEASE: u8 = 5;
const SNAPSHOT: u8 = 6;
const GAP: u8 = 7;
const RUN_ENDED: u8 = 8;
const SENT: u8 = 9;

/// Appends the bytes of what went into the engine and what came out.
///
/// Gives the same bytes as [`encode`] of the [`Entry`] that they decode to.
pub fn encode_entry(seq: Seq, now: Nanos, event: &Event, effects: &[Effect], out: &mut Vec<u8>) {
    out.push(ENTRY);
    seq.put(out);
    now.put(out);
    event::put_event(Some(event), out);
    (effects.len() as u64).put(out);
    for effect in effects {
        effect::put_effect(effect, out);
    }
}

/// Appends the bytes of an effect alone, by which two effects can be compared.
pub fn encode_effect(effect: &Effect, out: &mut Vec<u8>) {
    effect::put_effect(effect, out);
}

/// Appends the bytes of a recorded effect: those of the [`Effect`] that it records.
pub fn encode_recorded_effect(effect: &RecordedEffect, out: &mut Vec<u8>) {
    effect.put(out);
}

/// Appends a record's bytes.
pub fn encode(record: &Record, out: &mut Vec<u8>) {
    match record {
        Record::RunStarted { run, at, config, version } => {
            out.push(RUN_STARTED);
            run.put(out);
            at.put(out);
            config.put(out);
            version.put(out);
        }
        Record::Entry(Entry { seq, now, event, effects }) => {
            out.push(ENTRY);
            seq.put(out);
            now.put(out);
            event::put_event(event.as_ref(), out);
            effects.put(out);
        }
        Record::Sent(sent) => {
            out.push(SENT);
            sent.put(out);
        }
        Record::ScriptLoaded { strategy, name, hash, source, modules, instruments, seed } => {
            out.push(SCRIPT_LOADED);
            strategy.put(out);
            name.put(out);
            hash.put(out);
            source.put(out);
            modules.put(out);
            instruments.put(out);
            seed.put(out);
        }
        Record::Params { strategy, values } => {
            out.push(PARAMS);
            strategy.put(out);
            values.put(out);
        }
        Record::Limits { scope, limits } => {
            out.push(LIMITS);
            scope.put(out);
            limits.put(out);
        }
        Record::IdLease { from, to } => {
            out.push(ID_LEASE);
            from.put(out);
            to.put(out);
        }
        Record::Snapshot { seq, now, state_hash, n_before, bytes } => {
            out.push(SNAPSHOT);
            seq.put(out);
            now.put(out);
            state_hash.put(out);
            n_before.put(out);
            put_bytes(bytes, out);
        }
        Record::Gap { at, seq, n_market, n_lost, why } => {
            out.push(GAP);
            at.put(out);
            seq.put(out);
            n_market.put(out);
            n_lost.put(out);
            why.put(out);
        }
        Record::RunEnded { seq, state_hash, reason } => {
            out.push(RUN_ENDED);
            seq.put(out);
            state_hash.put(out);
            reason.put(out);
        }
    }
}

wire_struct!(Sent { seq, order, taken_at, decided_ns, recorded_ns, sent_ns });

/// What the head of a journal takes note of in a record.
pub(super) enum Kind {
    RunStarted,
    Entry(Seq),
    IdLease(Range<u64>),
    Snapshot,
    RunEnded,
    Other,
}

/// Reads a record's kind, and no more of it than that takes.
pub(super) fn kind(record: &[u8]) -> Result<Kind, Malformed> {
    let mut input = Input::new(record);
    Ok(match input.byte()? {
        RUN_STARTED => Kind::RunStarted,
        ENTRY => Kind::Entry(Wire::take(&mut input)?),
        ID_LEASE => {
            let (from, to) = Wire::take(&mut input)?;
            Kind::IdLease(from..to)
        }
        SNAPSHOT => Kind::Snapshot,
        SCRIPT_LOADED | PARAMS | LIMITS | GAP | SENT => Kind::Other,
        RUN_ENDED => Kind::RunEnded,
        _ => return Err(input.malformed("no such record")),
    })
}

/// Returns the last number that a snapshot's state includes and the state's hash; `None` for other
/// records and for what is malformed.
pub(super) fn state_hash(record: &[u8]) -> Option<(Seq, u64)> {
    let mut input = Input::new(record);
    if input.byte().ok()? != SNAPSHOT {
        return None;
    }
    let (seq, Nanos(_)) = Wire::take(&mut input).ok()?;
    Some((seq, Wire::take(&mut input).ok()?))
}

/// Appends a state's bytes.
pub(crate) fn encode_state(image: &StateImage, out: &mut Vec<u8>) {
    image.put(out);
}

/// Decodes the bytes of a state, all of them.
pub(crate) fn decode_state(bytes: &[u8]) -> Result<StateImage, Malformed> {
    let mut input = Input::new(bytes);
    let image = Wire::take(&mut input)?;
    if input.is_empty() { Ok(image) } else { Err(input.malformed("bytes after the end")) }
}

/// Reads when an entry went into the engine.
pub(super) fn time_of_entry(record: &[u8]) -> Result<Nanos, Malformed> {
    let mut input = Input::new(record);
    input.byte()?;
    let (Seq(_), at) = Wire::take(&mut input)?;
    Ok(at)
}

/// Decodes the bytes of one record, all of them.
///
/// # Errors
///
/// If the bytes are not what [`encode`] or [`encode_entry`] wrote. Never panics.
pub fn decode(bytes: &[u8]) -> Result<Record, Malformed> {
    let mut input = Input::new(bytes);
    let record = take_record(&mut input)?;
    if input.is_empty() { Ok(record) } else { Err(input.malformed("bytes after the end")) }
}

fn take_record(input: &mut Input<'_>) -> Result<Record, Malformed> {
    Ok(match input.byte()? {
        RUN_STARTED => Record::RunStarted {
            run: Wire::take(input)?,
            at: Wire::take(input)?,
            config: Wire::take(input)?,
            version: Wire::take(input)?,
        },
        ENTRY => Record::Entry(Entry {
            seq: Wire::take(input)?,
            now: Wire::take(input)?,
            event: event::take_event(input)?,
            effects: Wire::take(input)?,
        }),
        SCRIPT_LOADED => Record::ScriptLoaded {
            strategy: Wire::take(input)?,
            name: Wire::take(input)?,
            hash: Wire::take(input)?,
            source: Wire::take(input)?,
            modules: Wire::take(input)?,
            instruments: Wire::take(input)?,
            seed: Wire::take(input)?,
        },
        SENT => Record::Sent(Wire::take(input)?),
        PARAMS => Record::Params { strategy: Wire::take(input)?, values: Wire::take(input)? },
        LIMITS => Record::Limits { scope: Wire::take(input)?, limits: Wire::take(input)? },
        ID_LEASE => Record::IdLease { from: Wire::take(input)?, to: Wire::take(input)? },
        SNAPSHOT => {
            let (seq, now) = Wire::take(input)?;
            let (state_hash, n_before) = Wire::take(input)?;
            let Blob(bytes) = Wire::take(input)?;
            Record::Snapshot { seq, now, state_hash, n_before, bytes }
        }
        GAP => Record::Gap {
            at: Wire::take(input)?,
            seq: Wire::take(input)?,
            n_market: Wire::take(input)?,
            n_lost: Wire::take(input)?,
            why: Wire::take(input)?,
        },
        RUN_ENDED => Record::RunEnded {
            seq: Wire::take(input)?,
            state_hash: Wire::take(input)?,
            reason: Wire::take(input)?,
        },
        _ => return Err(input.malformed("no such record")),
    })
}
