//! How much a venue lets one do.

/// A budget that a venue grants.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Limit {
    /// Of what.
    pub kind: LimitKind,
    /// To whom.
    pub scope: LimitScope,
    /// In which span, in milliseconds.
    pub interval_ms: u64,
    /// How much.
    pub max: u32,
}

/// What a budget is counted in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LimitKind {
    /// Weight of requests.
    Weight,
    /// Requests, whatever they weigh.
    Requests,
    /// Orders placed.
    Orders,
    /// WebSocket connections opened.
    Connections,
}

/// Whose budget it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LimitScope {
    /// Shared by all that comes from one address.
    Address,
    /// One account's.
    Account,
}

/// How much of a budget the venue says is used up.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Usage {
    /// Of what.
    pub kind: LimitKind,
    /// In which span, in milliseconds.
    pub interval_ms: u64,
    /// How much of it.
    pub used: u32,
}
