//! Appending to a log: the queue of those who wait, the one writer, and what it finds at its start.

mod ledger;
mod newest;
mod open_segment;
mod queue;
mod recover;
mod writer;

pub use ledger::{AppendError, Ledger, OpenError, Options, Receipt, Recovery, SEGMENT_BYTES};
