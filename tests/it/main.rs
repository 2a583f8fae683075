//! End to end: the real programs, from outside.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test says what it expects by failing"
)]

mod canaries;
mod changes;
mod clients;
mod crash;
mod explained;
mod faults;
mod governed;
mod keeping;
mod names;
mod outage;
mod pod_clients;
mod pods;
mod policy;
mod refusals;
mod registry;
mod residency;
mod secrecy;
mod vouched;
