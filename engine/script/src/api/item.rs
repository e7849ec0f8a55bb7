//! What is said about one name of the interface.

use std::borrow::Cow;

/// A hook, function, method or constant.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its name, the same in every language.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Where the reference lists it.
    pub group: Group,
    /// Its parameters; optional ones last.
    pub params: Cow<'static, [Param]>,
    /// What it gives back.
    pub returns: Type,
    /// What it does, in sentences.
    pub doc: Cow<'static, str>,
}

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// A function that the script defines and the host calls.
    Hook,
    /// A global function of the host.
    Function,
    /// A global value of the host.
    Constant,
    /// A global function of the host that makes an indicator.
    Indicator,
}

/// A heading of the reference.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Group {
    /// Hooks.
    Hooks,
    /// Declaration and parameters.
    Declaration,
    /// Market data.
    Market,
    /// Bar history.
    Bars,
    /// Positions and money.
    Account,
    /// Orders.
    Orders,
    /// Timers and time.
    Time,
    /// Memory, log and report.
    Keeping,
    /// Indicators.
    Indicators,
}

impl Group {
    /// Returns the heading.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Hooks => "Hooks",
            Self::Declaration => "Declaration and parameters",
            Self::Market => "Market",
            Self::Bars => "Bars",
            Self::Account => "Positions and money",
            Self::Orders => "Orders",
            Self::Time => "Time and chance",
            Self::Keeping => "Memory, log and report",
            Self::Indicators => "Indicators",
        }
    }
}

/// A parameter of a hook, function or method.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub ty: Type,
    /// Whether it may be left out.
    pub optional: bool,
}

/// A type of the interface.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Type {
    /// Nothing.
    Nothing,
    /// A number.
    Number,
    /// A number, or nothing where there is none.
    MaybeNumber,
    /// True or false.
    Boolean,
    /// Text.
    Text,
    /// Text, or nothing where there is none.
    MaybeText,
    /// A list of numbers.
    Numbers,
    /// Nothing, a boolean, a number or text.
    Value,
    /// A boolean, a number or text, as the parameter was declared.
    ParamValue,
    /// The declaration of a strategy: a table.
    Declaration,
    /// Options of an order: words parted by spaces or a table.
    Options,
    /// All remembered values by key: a table.
    Memory,
    /// An indicator.
    Indicator,
}

impl Param {
    pub(super) const fn new(name: &'static str, ty: Type) -> Self {
        Self { name, ty, optional: false }
    }

    pub(super) const fn optional(name: &'static str, ty: Type) -> Self {
        Self { name, ty, optional: true }
    }
}
