//! Scripts as files, and what a command line says of them.

use std::path::{Path, PathBuf};

use tercel_script::{Language, Limits, Script, Source};

use crate::exit::{Blame, Outcome, input};

/// Returns the language that a file's name tells.
pub(crate) fn language_of(path: &Path) -> Outcome<Language> {
    Language::of(path).ok_or_else(|| {
        input(format!("{}: the name must end in .luau, .lua or .rhai", path.display()))
    })
}

/// Reads and checks a script.
pub(crate) fn load(path: &Path, limits: impl Fn(Language) -> Limits) -> Outcome<Script> {
    Script::load(path, &limits(language_of(path)?)).or_input()
}

/// The strategy that trades when none is named.
const SHIPPED: (&str, &str) =
    ("imbalance_maker.luau", include_str!("../../scripts/lua/imbalance_maker.luau"));

/// Returns the strategy that trades when none is named.
pub(crate) fn shipped(limits: impl Fn(Language) -> Limits) -> Outcome<Script> {
    let (file, text) = SHIPPED;
    let source = Source {
        path: PathBuf::from(file),
        file: file.to_owned(),
        language: Language::Luau,
        text: text.to_owned(),
    };
    // It is sound: what it can fail by is a limit of the configuration.
    Script::check(source, &limits(Language::Luau)).or_input()
}

/// Returns the two parts of `NAME=VALUE`.
pub(crate) fn assignment(text: &str) -> Outcome<(&str, &str)> {
    text.split_once('=')
        .map(|(name, value)| (name.trim(), value.trim()))
        .ok_or_else(|| input(format!("--set {text}: expected NAME=VALUE, such as --set fast=8")))
}
