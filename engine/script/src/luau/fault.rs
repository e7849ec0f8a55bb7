//! Errors of the machine as faults with file and line.

use mlua::Lua;
use tercel_core::{FaultKind, StrategyFault};

use crate::error::HostError;

/// Name of the host's own Luau code, which no fault is to be blamed on.
pub(super) const PRELUDE: &str = "[host]";

/// What stands before the trace of an error.
const TRACE: &str = "stack traceback:";

/// How far up the stack a place is looked for.
const MAX_FRAMES: usize = 64;

/// Returns the fault that an error is. `line` stands in where the machine does not say: when it has
/// run out of memory, it cannot even tell where.
pub(super) fn of(error: &mlua::Error, file: &str, line: u32) -> StrategyFault {
    let text = error.to_string();
    let kind = kind(error, &text);
    let (found, message) = split(&message(error));
    let message = shortened(message);
    let (file, line) = found.or_else(|| place_in(&text)).unwrap_or_else(|| (file.to_owned(), line));
    StrategyFault { kind, message, file, line }
}

/// Returns the innermost line of a script that runs.
pub(super) fn place(lua: &Lua) -> Option<(String, u32)> {
    (0..MAX_FRAMES).find_map(|level| {
        let place = lua.inspect_stack(level, |debug| {
            let source = debug.source();
            let name = source.short_src.or(source.source)?.into_owned();
            let line = u32::try_from(debug.current_line()?).ok()?;
            Some((name, line))
        })??;
        (place.0 != PRELUDE && place.0 != "[C]").then_some(place)
    })
}

/// Returns the message cut to what people read.
fn shortened(mut message: String) -> String {
    const MAX_BYTES: usize = 1_000;
    if message.len() > MAX_BYTES {
        let end = (0..=MAX_BYTES).rfind(|at| message.is_char_boundary(*at)).unwrap_or(0);
        message.truncate(end);
        message.push('…');
    }
    message
}

fn kind(error: &mlua::Error, text: &str) -> FaultKind {
    if let Some(host) = error.downcast_ref::<HostError>() {
        return host.kind;
    }
    match root(error) {
        mlua::Error::MemoryError(_) => FaultKind::Memory,
        _ if text.contains("not enough memory") => FaultKind::Memory,
        _ if text.contains("stack overflow") => FaultKind::Depth,
        _ => FaultKind::Error,
    }
}

fn root(error: &mlua::Error) -> &mlua::Error {
    match error {
        mlua::Error::CallbackError { cause, .. } | mlua::Error::WithContext { cause, .. } => {
            root(cause)
        }
        other => other,
    }
}

/// Returns what went wrong, without the kinds of errors around it.
fn message(error: &mlua::Error) -> String {
    match root(error) {
        mlua::Error::RuntimeError(message)
        | mlua::Error::MemoryError(message)
        | mlua::Error::SyntaxError { message, .. } => message.clone(),
        mlua::Error::BadArgument { pos, cause, .. } => {
            format!("argument {pos}: {}", message(cause))
        }
        mlua::Error::FromLuaConversionError { from, to, .. } => {
            format!("expected {to}, got {from}")
        }
        other => other.to_string(),
    }
}

/// Parts `file:line: message` and leaves out the trace.
fn split(text: &str) -> (Option<(String, u32)>, String) {
    let text = text.split(TRACE).next().unwrap_or_default();
    match place_of(text) {
        Some((place, rest)) if place.0 != PRELUDE => (Some(place), rest.trim_end().to_owned()),
        // The host's own line says nothing to the script's author.
        Some((_, rest)) => (None, rest.trim_end().to_owned()),
        None => (None, text.trim_end().to_owned()),
    }
}

/// Returns the first place in an error's trace that is not the host's.
fn place_in(text: &str) -> Option<(String, u32)> {
    let (_, trace) = text.split_once(TRACE)?;
    let places = trace.lines().filter_map(|line| place_of(line.trim()).map(|(place, _)| place));
    places.into_iter().find(|(file, _)| file != PRELUDE)
}

/// Reads `file:line` at the start of a text. Returns what follows it, too.
fn place_of(text: &str) -> Option<((String, u32), &str)> {
    let line_end = text.find('\n').unwrap_or(text.len());
    let first = &text[..line_end];
    for (at, _) in first.match_indices(':') {
        let digits = first[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            continue;
        }
        let line = first[at + 1..at + 1 + digits].parse().ok()?;
        let rest = text[at + 1 + digits..].trim_start_matches(':').trim_start();
        return Some(((first[..at].to_owned(), line), rest));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_from_messages_and_traces() {
        let (place, rest) = split("ema.luau:12: attempt to index nil\nstack traceback:\nx");
        assert_eq!(place, Some(("ema.luau".to_owned(), 12)));
        assert_eq!(rest.trim_end(), "attempt to index nil");
        let trace = "oops\nstack traceback:\n[C] in ?\n[host]:3: in f\nlib/a.luau:7: in on_book";
        assert_eq!(place_in(trace), Some(("lib/a.luau".to_owned(), 7)));
        assert_eq!(split("no place: here"), (None, "no place: here".to_owned()));
    }
}
