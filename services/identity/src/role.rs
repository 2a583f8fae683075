use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What a person may do in the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Tenants, keys, models and pods.
    Operator,
    /// Writes policies.
    PolicyAuthor,
    /// Approves policies that others wrote.
    PolicyApprover,
    /// Reads everything and changes nothing; the reading is recorded.
    Auditor,
    /// Its own tenant only.
    TenantAdmin,
}

/// The text is not a role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not one of operator, policy-author, policy-approver, auditor, tenant-admin")]
pub struct UnknownRole(String);

impl Role {
    /// All roles.
    pub const ALL: [Self; 5] = [
        Self::Operator,
        Self::PolicyAuthor,
        Self::PolicyApprover,
        Self::Auditor,
        Self::TenantAdmin,
    ];

    /// The role's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::PolicyAuthor => "policy-author",
            Self::PolicyApprover => "policy-approver",
            Self::Auditor => "auditor",
            Self::TenantAdmin => "tenant-admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| UnknownRole(text.to_owned()))
    }
}
