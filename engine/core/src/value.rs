//! Values that a script remembers.

/// A remembered value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Value {
    /// Nothing: remembering it forgets the key.
    #[default]
    Nil,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A float, as its bits, so that equality and order are exact.
    Float(u64),
    /// Text.
    Text(String),
}
