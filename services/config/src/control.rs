use std::{net::SocketAddr, path::PathBuf};

use reeve_domain::Origin;
use serde::Deserialize;

/// `[control]`: the console and its API.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Worker threads.
    pub workers: usize,
    /// The log's name.
    pub origin: Origin,
    /// The log's directory.
    pub ledger_dir: PathBuf,
    /// The log's signing key.
    pub ledger_key: PathBuf,
    static_dir: PathBuf,
    /// Whether the session's cookie is only sent over TLS.
    pub secure_cookie: bool,
}

impl Control {
    /// The console's built files, if they are served.
    pub fn static_dir(&self) -> Option<PathBuf> {
        (!self.static_dir.as_os_str().is_empty()).then(|| self.static_dir.clone())
    }
}
