use std::path::PathBuf;

use serde::Deserialize;

/// `[keys]`: files with secrets.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// 32 bytes for keyed hashes.
    pub pepper: PathBuf,
    /// The key that signs warrants; its public half lies beside it with the ending `pub`.
    pub warrant: PathBuf,
    /// The key that signs which policy is in force; its public half, which is all that a gateway
    /// needs, lies beside it with the ending `pub`.
    pub policy: PathBuf,
}
