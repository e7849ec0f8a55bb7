//! Between Luau's values and the host's.

use mlua::{IntoLua, Lua, Value};

use crate::error::HostError;
use crate::number;
use crate::tree::Tree;

/// Tables within tables that a declaration may have.
const MAX_DEPTH: usize = 8;
/// Values that one argument may have in all.
const MAX_VALUES: usize = 4_096;

/// Returns a value as a tree.
///
/// A table with the keys 1, 2, 3, … is a list, one with text as keys a map, sorted by key. An empty
/// table is an empty list.
pub(super) fn tree_of(value: &Value) -> Result<Tree, HostError> {
    let mut left = MAX_VALUES;
    tree(value, 0, &mut left)
}

/// Returns a tree as a value.
pub(super) fn value_of(lua: &Lua, tree: &Tree) -> mlua::Result<Value> {
    match tree {
        Tree::Nil => Ok(Value::Nil),
        Tree::Bool(value) => Ok(Value::Boolean(*value)),
        Tree::Number(value) => Ok(Value::Number(*value)),
        Tree::Text(text) => text.as_str().into_lua(lua),
        Tree::List(items) => {
            let table = lua.create_table_with_capacity(items.len(), 0)?;
            for item in items {
                table.raw_push(value_of(lua, item)?)?;
            }
            Ok(Value::Table(table))
        }
        Tree::Map(entries) => {
            let table = lua.create_table_with_capacity(0, entries.len())?;
            for (key, value) in entries {
                table.raw_set(key.as_str(), value_of(lua, value)?)?;
            }
            Ok(Value::Table(table))
        }
    }
}

fn tree(value: &Value, depth: usize, left: &mut usize) -> Result<Tree, HostError> {
    *left = left
        .checked_sub(1)
        .ok_or_else(|| HostError::wrong(format!("more than {MAX_VALUES} values in a table")))?;
    match value {
        Value::Nil => Ok(Tree::Nil),
        Value::Boolean(value) => Ok(Tree::Bool(*value)),
        Value::Integer(value) => Ok(Tree::Number(number::float(*value))),
        Value::Number(value) => Ok(Tree::Number(*value)),
        Value::String(text) => {
            let text = text.to_str().map_err(|_| HostError::wrong("text must be UTF-8"))?;
            Ok(Tree::Text(text.to_owned()))
        }
        Value::Table(table) if depth < MAX_DEPTH => of_table(table, depth, left),
        Value::Table(_) => {
            Err(HostError::wrong(format!("tables within tables deeper than {MAX_DEPTH}")))
        }
        other => Err(HostError::wrong(format!("a {} makes no sense here", other.type_name()))),
    }
}

fn of_table(table: &mlua::Table, depth: usize, left: &mut usize) -> Result<Tree, HostError> {
    let mut list = Vec::new();
    let mut map = Vec::new();
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair.map_err(|error| HostError::wrong(error.to_string()))?;
        let value = tree(&value, depth + 1, left)?;
        match key {
            Value::String(key) => {
                let key = key.to_str().map_err(|_| HostError::wrong("keys must be UTF-8"))?;
                map.push((key.to_owned(), value));
            }
            Value::Integer(_) | Value::Number(_) => list.push(value),
            other => {
                let kind = other.type_name();
                return Err(HostError::wrong(format!("a key of a table cannot be a {kind}")));
            }
        }
    }
    match (list.is_empty(), map.is_empty()) {
        (false, false) => Err(HostError::wrong("a table has either names or a list, not both")),
        (_, true) => Ok(Tree::List(list)),
        (true, false) => {
            map.sort_by(|left, right| left.0.cmp(&right.0));
            Ok(Tree::Map(map))
        }
    }
}
