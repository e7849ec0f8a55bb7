//! The definitions for editors: `scripts/types/tercel.d.luau`, for luau-lsp.

use std::fmt::Write as _;

use super::{Item, Kind, Type, table};

/// Returns the definitions of all that the host offers to Luau.
#[must_use]
pub fn luau_types() -> String {
    let mut text = include_str!("types.luau").to_owned();
    for item in table() {
        let declaration = match item.kind {
            Kind::Hook => continue,
            Kind::Constant => format!("declare {}: number", item.name),
            Kind::Function | Kind::Indicator => function(&item),
        };
        write!(text, "\n--- {}\n{declaration}\n", item.doc)
            .expect("a string takes whatever is written to it");
    }
    text
}

fn function(item: &Item) -> String {
    let params: Vec<_> = item
        .params
        .iter()
        .map(|param| {
            let optional = if param.optional { "?" } else { "" };
            format!("{}: {}{optional}", param.name, name(param.ty))
        })
        .collect();
    format!("declare function {}({}): {}", item.name, params.join(", "), name(item.returns))
}

const fn name(ty: Type) -> &'static str {
    match ty {
        Type::Nothing => "()",
        Type::Number => "number",
        Type::MaybeNumber => "number?",
        Type::Boolean => "boolean",
        Type::Text => "string",
        Type::MaybeText => "string?",
        Type::Numbers => "{ number }",
        Type::Value => "Value",
        Type::ParamValue => "any",
        Type::Declaration => "Declaration",
        Type::Options => "OrderOptions",
        Type::Memory => "{ [string]: Value }",
        Type::Indicator => "Indicator",
    }
}
