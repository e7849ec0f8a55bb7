//! The reference for people: `scripts/README.md`.

use std::fmt::Write as _;

use super::{Group, Item, Kind, Param, Type, table};

const GROUPS: [Group; 9] = [
    Group::Hooks,
    Group::Declaration,
    Group::Market,
    Group::Bars,
    Group::Account,
    Group::Orders,
    Group::Time,
    Group::Keeping,
    Group::Indicators,
];

/// Returns the reference as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut text = include_str!("reference.md").to_owned();
    let items = table();
    for group in GROUPS {
        push(&mut text, format_args!("\n## {}\n", group.title()));
        if let Some(note) = note(group) {
            push(&mut text, format_args!("\n{note}\n"));
        }
        push(&mut text, format_args!("\n| | |\n|---|---|\n"));
        for item in items.iter().filter(|item| item.group == group) {
            push(&mut text, format_args!("| `{}` | {} |\n", signature(item), item.doc));
        }
    }
    text
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.write_fmt(line).expect("a string takes whatever is written to it");
}

fn signature(item: &Item) -> String {
    let params: Vec<_> = item.params.iter().map(parameter).collect();
    let params = params.join(", ");
    match (item.kind, item.returns) {
        (Kind::Constant, _) => item.name.to_owned(),
        (_, Type::Nothing) => format!("{}({params})", item.name),
        (_, returns) => format!("{}({params}) → {}", item.name, name(returns)),
    }
}

fn parameter(param: &Param) -> String {
    if param.optional { format!("{}?", param.name) } else { param.name.to_owned() }
}

const fn name(ty: Type) -> &'static str {
    match ty {
        Type::Nothing => "nothing",
        Type::Number => "number",
        Type::MaybeNumber => "number or nothing",
        Type::Boolean => "boolean",
        Type::Text => "text",
        Type::MaybeText => "text or nothing",
        Type::Numbers => "list of numbers",
        Type::Value => "value",
        Type::ParamValue => "value",
        Type::Declaration => "declaration",
        Type::Options => "options",
        Type::Memory => "values by key",
        Type::Indicator => "indicator",
    }
}

const fn note(group: Group) -> Option<&'static str> {
    match group {
        Group::Hooks => Some(
            "A script defines at least one. They are its only way in: the host calls them, one at a \
             time.",
        ),
        Group::Market => Some(
            "`instrument` is a handle from `instrument(symbol)`; without it a function means the \
             instrument of the event. `side` is `BUY` (bids) or `SELL` (asks).",
        ),
        Group::Orders => Some(
            "`options` are words parted by spaces (`\"post_only\"`, `\"reduce_only\"`, `\"ioc\"`, \
             `\"fok\"`) or a table with any of `post_only`, `reduce_only`, `ioc`, `fok` (booleans), \
             `until` (time in milliseconds), `stop` (trigger price), `instrument` (handle). Words \
             cost less than a table.",
        ),
        Group::Indicators => Some(
            "Make indicators at the top of the script and feed them in hooks. Parameters may be left \
             out. What each one's values equal stands at its end.",
        ),
        Group::Declaration | Group::Bars | Group::Account | Group::Time | Group::Keeping => None,
    }
}
