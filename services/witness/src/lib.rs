//! Witnesses over HTTP (C2SP tlog-witness): the route that cosigns other logs' checkpoints, and the
//! errand that takes a log's checkpoints to the witnesses it was given.

mod errand;
mod host;

pub use errand::{Errand, Peer, RolledBack};
pub use host::{Host, configure};
