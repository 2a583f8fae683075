use serde::Deserialize;

/// `[ledger]`: how logs are written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// How long a record may take to become durable, in milliseconds.
    pub commit_deadline_ms: u64,
    /// Calls are refused below this many free bytes.
    pub headroom_bytes: u64,
}
