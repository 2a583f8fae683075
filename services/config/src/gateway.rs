use std::{net::SocketAddr, path::PathBuf};

use reeve_domain::Origin;
use serde::Deserialize;

/// `[gateway]`: where tenants call.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Worker threads; 0: one a core.
    pub workers: usize,
    /// The log's name.
    pub origin: Origin,
    /// The log's directory.
    pub ledger_dir: PathBuf,
    /// The log's signing key.
    pub ledger_key: PathBuf,
    /// The last snapshot.
    pub snapshot_file: PathBuf,
    /// The largest body, in bytes.
    pub body_limit_bytes: usize,
    /// How long a call may take, in milliseconds.
    pub deadline_ms: u64,
    /// How long one pod may take, in milliseconds.
    pub pod_timeout_ms: u64,
    /// How often counts of answers are written down, in seconds.
    pub observe_every_s: u64,
}
