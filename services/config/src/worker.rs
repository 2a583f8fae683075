use std::path::PathBuf;

use serde::Deserialize;

/// `[worker]`: indexing, verification and proofs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worker {
    /// How often the logs are indexed, in milliseconds.
    pub index_ms: u64,
    /// How often they are verified, in seconds.
    pub verify_every_s: u64,
    /// Where the logs are published as tiles: a directory, `s3://BUCKET/PREFIX`, or empty.
    pub publish: String,
    /// How often, in seconds.
    pub publish_every_s: u64,
    /// How often models are watched for drift, in seconds.
    pub watch_every_s: u64,
    /// Where alerts about models are posted to; empty: nowhere.
    pub alert_webhook: String,
    /// The solver that proves what drafts of policy change: a path, or a program in `PATH`.
    pub solver: PathBuf,
    /// How long it may take, in seconds; then it is killed.
    pub solver_deadline_s: u64,
}
