//! Metrics of a server for Prometheus: a page of text made from its status, served on the loopback.

pub(crate) mod endpoint;
mod page;
pub(crate) mod status;
