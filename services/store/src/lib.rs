//! Persistence with Diesel: one schema, SQLite and PostgreSQL behind one [`Connection`], one file
//! a repository. What is stored are the words of `reeve-domain`; ids, times and money are made by
//! the callers.
//!
//! The repositories are free functions over a [`Connection`], to be called inside [`Store::read`]
//! and [`Store::write`], which open a transaction, so that several of them can make one change.
//! All calls block; asynchronous callers use a blocking thread.
//!
//! The store must not know HTTP, policy or the ledger's files. The audit tables are a view of the
//! ledger: [`audit::index`] can build them anew from nothing.

pub mod access_token;
pub mod alert;
pub mod api_key;
pub mod audit;
pub mod catalog;
mod column;
mod connection;
pub mod directory;
pub mod emergency;
pub mod erasure;
mod error;
pub mod jwt_issuer;
pub mod legal_hold;
pub mod log;
pub mod model;
pub mod model_change;
pub mod observation;
pub mod placement;
pub mod pod;
pub mod policy;
pub mod policy_change;
pub mod proof;
pub mod retention;
pub mod revision;
mod schema;
pub mod session;
pub mod simulation;
pub mod stop;
mod store;
pub mod tenant;
#[cfg(feature = "testing")]
pub mod testing;
pub mod transfer;
mod url;
pub mod usage;
pub mod user;

pub use connection::Connection;
pub use error::StoreError;
pub use store::Store;
