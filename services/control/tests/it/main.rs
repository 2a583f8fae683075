//! The control plane over HTTP: the real router on a free port, a store and logs on disk, and a
//! clock that stands still until it is told to move.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod audit;
mod calls;
mod faults;
mod files;
mod keeping;
mod keys;
mod lifecycle;
mod models;
mod placing;
mod preview;
mod reports;
mod roles;
mod session;
mod tenants;
mod world;
