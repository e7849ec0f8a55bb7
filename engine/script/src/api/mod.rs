//! The scripting interface as data: the one source of the reference, of the editor definitions and
//! of the tests that compare each language with it.

mod functions;
mod hooks;
mod indicators;
mod item;
mod reference;
mod types;

pub use self::item::{Group, Item, Kind, Param, Type};
pub use self::reference::reference;
pub use self::types::luau_types;

/// The side of a buyer, as scripts see it.
pub const BUY: f64 = 1.0;
/// The side of a seller, as scripts see it.
pub const SELL: f64 = -1.0;

/// Returns everything that a script may define or use, by group, in the order of the reference.
#[must_use]
pub fn table() -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    items.extend_from_slice(hooks::HOOKS);
    items.extend_from_slice(functions::FUNCTIONS);
    items.extend(indicators::items());
    items
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::hook::Hook;

    #[test]
    fn names_are_unique_and_snake_case() {
        let mut seen = BTreeSet::new();
        for item in table() {
            assert!(seen.insert((item.kind, item.name)), "{} is there twice", item.name);
            let constant = item.kind == Kind::Constant;
            let plain =
                |c: char| c == '_' || c.is_ascii_digit() || c.is_ascii_lowercase() != constant;
            assert!(item.name.chars().all(plain), "{}", item.name);
            assert!(item.doc.ends_with('.'), "{}: the documentation is a sentence", item.name);
        }
    }

    #[test]
    fn every_hook_is_in_the_table() {
        let table: Vec<_> = table();
        let hooks: Vec<_> =
            table.iter().filter(|item| item.kind == Kind::Hook).map(|item| item.name).collect();
        assert_eq!(hooks, Hook::ALL.map(Hook::name));
    }

    #[test]
    fn optional_parameters_come_last() {
        for item in table() {
            let optional: Vec<_> = item.params.iter().map(|param| param.optional).collect();
            assert!(optional.is_sorted(), "{}", item.name);
        }
    }
}
