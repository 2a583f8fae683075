//! The real program with a real bundle.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test reads the clock, and fails where it is surprised"
)]

mod changing;
mod fairness;
mod pod;
mod serving;
mod torch;
