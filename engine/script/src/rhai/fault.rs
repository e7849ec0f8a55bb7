//! Errors of the engine as faults with file and line.

use rhai::{EvalAltResult, ParseError, Position};
use tercel_core::{FaultKind, StrategyFault};

/// Returns the fault that a failed compilation is.
pub(super) fn of_parse(error: &ParseError, file: &str) -> StrategyFault {
    let message = error.err_type().to_string();
    fault(FaultKind::Error, message, file, error.position())
}

/// Returns the fault that a failed call is.
pub(super) fn of(error: &EvalAltResult, file: &str) -> StrategyFault {
    let (inner, position) = innermost(error, error.position());
    let kind = match inner {
        EvalAltResult::ErrorTooManyOperations(_) | EvalAltResult::ErrorTerminated(..) => {
            FaultKind::Fuel
        }
        EvalAltResult::ErrorStackOverflow(_) => FaultKind::Depth,
        EvalAltResult::ErrorDataTooLarge(..) | EvalAltResult::ErrorTooManyVariables(_) => {
            FaultKind::Memory
        }
        _ => FaultKind::Error,
    };
    let message = match inner {
        EvalAltResult::ErrorRuntime(value, _) if !value.is_unit() => value.to_string(),
        EvalAltResult::ErrorTerminated(why, _) => why.to_string(),
        other => without_place(&other.to_string()).to_owned(),
    };
    fault(kind, message, file, position)
}

/// Returns the error that was raised first, and the last place that is known on the way to it.
fn innermost(error: &EvalAltResult, known: Position) -> (&EvalAltResult, Position) {
    let place = if error.position().is_none() { known } else { error.position() };
    match error {
        EvalAltResult::ErrorInFunctionCall(_, _, inner, _)
        | EvalAltResult::ErrorInModule(_, inner, _) => innermost(inner, place),
        _ => (error, place),
    }
}

fn without_place(message: &str) -> &str {
    message.rsplit_once(" (line ").map_or(message, |(message, _)| message)
}

fn fault(kind: FaultKind, mut message: String, file: &str, position: Position) -> StrategyFault {
    const MAX_BYTES: usize = 1_000;
    if message.len() > MAX_BYTES {
        let end = (0..=MAX_BYTES).rfind(|at| message.is_char_boundary(*at)).unwrap_or(0);
        message.truncate(end);
        message.push('…');
    }
    let line = position.line().and_then(|line| u32::try_from(line).ok()).unwrap_or(1);
    StrategyFault { kind, message, file: file.to_owned(), line }
}
