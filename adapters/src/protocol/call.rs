//! Calls over REST and what requests cost.

use tercel_core::Nanos;

/// The number that a protocol gives to a call, to know its answer by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallId(pub u64);

/// An HTTP method.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Method {
    /// Reads.
    Get,
    /// Creates.
    Post,
    /// Changes.
    Put,
    /// Changes in part.
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    /// Returns the method as it stands in a request line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// How urgent a request is when the venue's budget is short.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Priority {
    /// Withdraws risk: goes before everything.
    Cancel,
    /// Places or changes an order: refused at once rather than sent late.
    Order,
    /// Finds out what is so (an order, a snapshot): waits.
    Query,
    /// History and other bulk: waits behind everything.
    Bulk,
}

/// What a request takes from the venue's budgets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Cost {
    /// Weight of the request.
    pub weight: u32,
    /// How many orders it counts as.
    pub orders: u32,
    /// How urgent it is.
    pub priority: Priority,
}

/// A request over REST, whole: signed where it has to be.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// The protocol's number of it.
    pub id: CallId,
    /// The method.
    pub method: Method,
    /// Scheme, host, path and query.
    pub url: String,
    /// Headers, among them the key's.
    pub headers: Vec<(&'static str, String)>,
    /// Body; empty for none.
    pub body: Vec<u8>,
    /// What it costs.
    pub cost: Cost,
    /// When it is no longer worth sending: a signature or an order grows stale.
    pub expires_at: Nanos,
}

impl std::fmt::Debug for Call {
    /// Leaves out everything that holds a key or a signature.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.url.split('?').next().unwrap_or_default();
        f.debug_struct("Call")
            .field("id", &self.id)
            .field("method", &self.method)
            .field("path", &path)
            .field("cost", &self.cost)
            .finish_non_exhaustive()
    }
}

/// The answer to a [`Call`], or why there is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CallAnswer<'a> {
    /// Which call.
    pub id: CallId,
    /// What came back.
    pub outcome: CallOutcome<'a>,
}

/// What became of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CallOutcome<'a> {
    /// The venue answered.
    Answered {
        /// HTTP status.
        status: u16,
        /// The body.
        body: &'a [u8],
        /// Seconds after which to try again, where the venue said so.
        retry_after_s: Option<u32>,
    },
    /// It was never sent: no budget, no connection, or too late.
    NotSent {
        /// Which of these, with the host but nothing else of the address.
        why: &'a str,
    },
    /// It was sent, and whether the venue acted on it is not known.
    Lost,
}
