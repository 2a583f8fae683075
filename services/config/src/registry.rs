use std::path::PathBuf;

use serde::Deserialize;

/// `[registry]`: where models are kept, and how they come to the pods.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    /// A directory, `file:///…` or `s3://BUCKET/PREFIX`.
    pub store: String,
    /// Public keys of those who vouch for models. With one, no other model is taken in.
    pub model_keys: Vec<PathBuf>,
    /// The largest upload, in bytes.
    pub upload_limit_bytes: u64,
    /// How long after gateways were told to send a pod no more calls for a model it is unloaded, in
    /// milliseconds.
    pub unload_after_ms: u64,
}
