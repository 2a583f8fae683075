//! The repositories on a real SQLite file and a real PostgreSQL.

#![expect(
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]
#![allow(missing_docs, unreachable_pub)]

mod audit;
mod backends;
mod outage;
mod registry;
mod repositories;
mod rows;
mod schema;
