//! The control plane: the API behind the console ([`openapi`]) and the console's static files.
//!
//! Every change is recorded in the control plane's own log before it is made, and what auditors
//! read is recorded too. It must not know the gateway, nor how a log keeps its leaves: it is given
//! a log to append to, and [`LogDirs`] to prove, verify, and delete with.

mod dossier;
mod files;
mod keeping;
mod lifecycle;
mod page;
mod placing;
mod problem;
mod promotion;
mod routes;
mod scheduled;
mod sent;
mod server;
mod signed_in;
mod state;
mod throttle;

pub use files::{Inclusion, LogDirs, LogFault, LogKey, Verified};
pub use problem::{FieldFault, Problem};
pub use routes::openapi;
pub use server::{ControlOptions, ModelOptions, server};
