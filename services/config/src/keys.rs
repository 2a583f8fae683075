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
    /// The key-encryption keys, which wrap the keys of sealed payloads.
    pub kek: PathBuf,
    /// The program that wraps keys with a key management service instead, and its arguments; empty:
    /// the file is used.
    pub kms: Vec<String>,
}
