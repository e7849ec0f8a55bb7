//! Script values outside of any language: what declarations and options are read from.

/// A value that a script handed over.
#[derive(Clone, PartialEq, Debug)]
pub enum Tree {
    /// Nothing.
    Nil,
    /// True or false.
    Bool(bool),
    /// A number; languages with integers convert them.
    Number(f64),
    /// Text.
    Text(String),
    /// Values in order.
    List(Vec<Self>),
    /// Values by key, sorted by key.
    Map(Vec<(String, Self)>),
}

impl Tree {
    /// Returns what kind of value it is, for messages.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a table of names",
        }
    }
}
