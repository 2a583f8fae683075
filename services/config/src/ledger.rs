use std::path::PathBuf;

use reeve_domain::Origin;
use serde::Deserialize;

/// `[ledger]`: how logs are written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// How long a record may take to become durable, in milliseconds.
    pub commit_deadline_ms: u64,
    /// Calls are refused below this many free bytes.
    pub headroom_bytes: u64,
    /// Who cosigns the logs' checkpoints.
    pub witnesses: Vec<WitnessAddress>,
}

/// One of `ledger.witnesses`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessAddress {
    /// Where it is: `http://HOST:PORT/witness`.
    pub url: String,
    /// Its public key, as `reeve ledger keys` shows it.
    pub key: String,
}

/// `[witness]`: the witness that this process is for other logs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Witness {
    /// Its name, as it stands in its cosignatures.
    pub name: Origin,
    /// Its signing key.
    pub key: PathBuf,
    /// Where it keeps what it has seen.
    pub dir: PathBuf,
}
