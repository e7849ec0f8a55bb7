//! Errors of the machine as faults with file and line.

use mlua::Lua;
use tercel_core::{FaultKind, StrategyFault};

use crate::error::HostError;

/// Name of the host's own Luau code, which no fault is to be blamed on.
pub(super) const PRELUDE: &str = "[host]";

/// How far up the stack a place is looked for.
const MAX_FRAMES: usize = 64;

/// Returns the fault that an error is.
pub(super) fn of(error: &mlua::Error, file: &str) -> StrategyFault {
    let text = error.to_string();
    let kind = kind(error, &text);
    let (found, message) = split(message(error));
    let (file, line) = found.or_else(|| place_in(&text)).unwrap_or_else(|| (file.to_owned(), 0));
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
fn split(text: String) -> (Option<(String, u32)>, String) {
    let text = text.split("\nstack traceback:").next().unwrap_or_default();
    let found = place_of(text).filter(|(place, _)| place.0 != PRELUDE);
    match found {
        Some((place, rest)) => (Some(place), rest.to_owned()),
        None => (None, text.trim_start_matches(&format!("{PRELUDE}:")).to_owned()),
    }
}

/// Returns the first place in a trace that is not the host's.
fn place_in(trace: &str) -> Option<(String, u32)> {
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
        let (place, rest) = split("ema.luau:12: attempt to index nil\nstack traceback:\nx".into());
        assert_eq!(place, Some(("ema.luau".to_owned(), 12)));
        assert_eq!(rest, "attempt to index nil");
        let trace = "oops\nstack traceback:\n[C] in ?\n[host]:3: in f\nlib/a.luau:7: in on_book";
        assert_eq!(place_in(trace), Some(("lib/a.luau".to_owned(), 7)));
        assert_eq!(split("no place: here".into()), (None, "no place: here".to_owned()));
    }
}
