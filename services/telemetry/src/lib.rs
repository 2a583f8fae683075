//! Logs, traces and metrics: how they are set up, and what every metric is called.
//!
//! Knows names and numbers. No payload, key, token or personal data may be handed to it: labels
//! are codes, ids of things and kinds.

mod logs;
pub mod metrics;
pub mod trace;

pub use logs::{Format, Guard, SetUpFailed, TelemetryOptions, init};
