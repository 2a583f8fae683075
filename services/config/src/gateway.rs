use std::{net::SocketAddr, path::PathBuf};

use reeve_domain::Origin;
use serde::Deserialize;

use crate::ConfigRefused;

/// `[gateway]`: where tenants call.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where to listen for gRPC; empty: nowhere.
    pub grpc_listen: String,
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
    /// How often pods are looked for whose address is a name, in milliseconds.
    pub discover_ms: u64,
    /// The cluster whose services pods can be.
    pub kubernetes: Kubernetes,
}

impl Gateway {
    /// Where to listen for gRPC, if anywhere.
    pub fn grpc(&self) -> Option<SocketAddr> {
        self.grpc_listen.parse().ok()
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigRefused> {
        if self.grpc_listen.is_empty() || self.grpc().is_some() {
            return Ok(());
        }
        let problem = "must be an address such as `127.0.0.1:8082`, or empty".to_owned();
        Err(ConfigRefused::Value { key: "gateway.grpc_listen", problem })
    }
}

/// `[gateway.kubernetes]`: the cluster whose services pods can be.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kubernetes {
    /// The API's address.
    pub api: String,
    /// The file with the service account's token.
    pub token: PathBuf,
    /// The file with the certificates of the cluster's authority.
    pub authority: PathBuf,
}
