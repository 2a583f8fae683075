use serde::Deserialize;

/// `[worker]`: indexing and verification.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worker {
    /// How often the logs are indexed, in milliseconds.
    pub index_ms: u64,
    /// How often they are verified, in seconds.
    pub verify_every_s: u64,
}
