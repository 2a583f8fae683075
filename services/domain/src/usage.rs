use serde::{Deserialize, Serialize};

/// What a call consumed, in the classifier's own units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Texts classified.
    pub items: u64,
    /// Unicode code points received, before redaction.
    pub characters: u64,
    /// Tokens that the model read, as the pod counted them.
    pub tokens: u64,
}
