//! What a venue can do natively, what is done in its stead, and what is not to be had.

/// How a thing is to be had.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Support {
    /// The venue does it.
    Native,
    /// It is made of what the venue does.
    Emulated,
    /// It is not to be had.
    Absent,
}

impl Support {
    /// Returns the word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Emulated => "emulated",
            Self::Absent => "absent",
        }
    }
}

/// What a venue can do: rows of a table, in the order in which they are shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Capabilities {
    /// Name of the venue or of its product.
    pub name: &'static str,
    /// What and how.
    pub rows: &'static [(&'static str, Support)],
}
