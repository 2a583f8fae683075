//! What happens after a call: the worker indexes the logs of the ledger into the store, verifies
//! them, makes the simulations and proofs that were asked for, watches what models answer, and removes
//! sessions of the console that have ended.
//!
//! The ledger is the truth and the store a view of it. The worker only ever reads the logs, so
//! that it can be stopped, killed or started anew at any moment; where it stands is the store's
//! own cursor, moved in the transaction that wrote the rows.

mod indexer;
mod proof;
mod schedule;
mod shipping;
mod simulation;
mod verification;
mod watching;

pub use indexer::{IndexFailed, Indexer};
pub use proof::{prove_next, solver};
pub use reeve_prover::Solver;
pub use schedule::{Intervals, Tools, run};
pub use shipping::{ShipFailed, Shipper};
pub use simulation::{Progress, SimulationFailed, simulate, simulate_next};
pub use verification::{Evidence, unaccounted};
pub use watching::{News, Webhook, watch_models};
