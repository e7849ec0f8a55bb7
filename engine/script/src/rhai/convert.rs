//! Between Rhai's values and the host's.

use rhai::{Array, Dynamic, Map};

use crate::error::HostError;
use crate::host::HostResult;
use crate::number;
use crate::tree::Tree;

/// Maps and arrays within each other that a declaration may have.
const MAX_DEPTH: usize = 8;
/// Values that one argument may have in all.
const MAX_VALUES: usize = 4_096;

/// Returns a value as a tree.
pub(super) fn tree_of(value: &Dynamic) -> HostResult<Tree> {
    let mut left = MAX_VALUES;
    tree(value, 0, &mut left)
}

/// Returns a tree as a value.
pub(super) fn value_of(tree: &Tree) -> Dynamic {
    match tree {
        Tree::Nil => Dynamic::UNIT,
        Tree::Bool(value) => (*value).into(),
        Tree::Number(value) => (*value).into(),
        Tree::Text(text) => text.as_str().into(),
        Tree::List(items) => items.iter().map(value_of).collect::<Array>().into(),
        Tree::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| (key.as_str().into(), value_of(value)));
            entries.collect::<Map>().into()
        }
    }
}

/// Returns a number: whole numbers count as floats, so that both languages compute alike.
pub(super) fn float(value: &Dynamic, what: &str) -> HostResult<f64> {
    if let Ok(value) = value.as_float() {
        return Ok(value);
    }
    match value.as_int() {
        Ok(value) => Ok(number::float(value)),
        Err(kind) => Err(HostError::wrong(format!("{what} must be a number, got {kind}"))),
    }
}

/// Returns a number or nothing.
pub(super) fn optional(value: &Dynamic, what: &str) -> HostResult<Option<f64>> {
    if value.is_unit() { Ok(None) } else { float(value, what).map(Some) }
}

/// Returns a number that may be missing as a value.
pub(super) fn maybe(value: Option<f64>) -> Dynamic {
    value.map_or(Dynamic::UNIT, Dynamic::from)
}

fn tree(value: &Dynamic, depth: usize, left: &mut usize) -> HostResult<Tree> {
    *left = left
        .checked_sub(1)
        .ok_or_else(|| HostError::wrong(format!("more than {MAX_VALUES} values in a map")))?;
    if value.is_unit() {
        return Ok(Tree::Nil);
    }
    if let Ok(value) = value.as_bool() {
        return Ok(Tree::Bool(value));
    }
    if value.is_int() || value.is_float() {
        return float(value, "value").map(Tree::Number);
    }
    if value.is_string() {
        return Ok(Tree::Text(value.to_string()));
    }
    if depth >= MAX_DEPTH {
        return Err(HostError::wrong(format!("maps within maps deeper than {MAX_DEPTH}")));
    }
    if let Some(items) = value.read_lock::<Array>() {
        let items = items.iter().map(|item| tree(item, depth + 1, left));
        return items.collect::<HostResult<_>>().map(Tree::List);
    }
    if let Some(entries) = value.read_lock::<Map>() {
        // Its keys are sorted already; an empty map is an empty list, as in Luau.
        if entries.is_empty() {
            return Ok(Tree::List(Vec::new()));
        }
        let entries =
            entries.iter().map(|(key, value)| Ok((key.to_string(), tree(value, depth + 1, left)?)));
        return entries.collect::<HostResult<_>>().map(Tree::Map);
    }
    Err(HostError::wrong(format!("a {} makes no sense here", value.type_name())))
}
