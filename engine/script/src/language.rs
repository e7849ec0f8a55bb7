//! The languages that strategies are written in.

use std::fmt;
use std::path::Path;

/// A script language.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Language {
    /// Luau, files ending in `.luau` or `.lua`.
    Luau,
    /// Rhai, files ending in `.rhai`.
    Rhai,
}

impl Language {
    /// Returns the language that a file's name says, `None` for other endings.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "luau" | "lua" => Some(Self::Luau),
            "rhai" => Some(Self::Rhai),
            _ => None,
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Luau => "Luau",
            Self::Rhai => "Rhai",
        })
    }
}
