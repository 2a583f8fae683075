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
    /// Texts whose label was explained.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub explained: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}
