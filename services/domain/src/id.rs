use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A name that breaks the rule of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not a valid {what}: {rule}")]
pub struct InvalidId {
    /// What the name is for.
    pub what: &'static str,
    /// The text that was refused.
    pub value: String,
    /// What would be right.
    pub rule: &'static str,
}

fn is_slug(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
}

/// Origin names of C2SP checkpoints: `reeve.example/eu-1`.
fn is_origin(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.split('/').all(|part| is_slug(part) && part != "..")
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:ident, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            #[doc = concat!("Checks and takes a ", $what, ".")]
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidId> {
                let text = text.as_ref();
                if $check(text) {
                    Ok(Self(Arc::from(text)))
                } else {
                    Err(InvalidId { what: $what, value: text.to_owned(), rule: $rule })
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().to_owned()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

macro_rules! slug_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        text_id!(
            $(#[$doc])* $name, $what, is_slug,
            "1 to 64 ASCII letters, digits, `-`, `_` or `.`, beginning with a letter or digit"
        );
    };
}

slug_id!(/** A customer of the platform; owns keys, traffic and invoices. */ TenantId, "tenant");
slug_id!(/** A legal entity that tenants belong to. */ EntityName, "legal entity");
slug_id!(/** An API key's public name; not the secret. */ KeyId, "key id");
slug_id!(/** A person who signs in to the console. */ UserId, "user");
slug_id!(/** A place where data is processed, such as `eu-west`. */ Region, "region");
slug_id!(/** One process that runs a model. */ PodId, "pod");
slug_id!(/** A model's name, as callers write it. */ ModelName, "model name");
slug_id!(/** A name that stands for one version of a model at a time, `production`. */ Alias, "alias");
slug_id!(/** The name of a set of limits in a policy bundle. */ PlanName, "plan");
slug_id!(/** Why data is processed; registered for each tenant (GDPR Art. 5(1)(b)). */ Purpose, "purpose");
slug_id!(/** A rule of a policy bundle: the `@id` of a Cedar policy. */ RuleId, "rule");
slug_id!(/** The country or region that a data subject is in, such as `DE` or `CN`. */ Country, "country");
slug_id!(/** What a credential may be used for: `classify`, `explain`, `read`. */ Scope, "scope");
slug_id!(
    /** A data subject's opaque id under a keyed hash, as hexadecimal: never the id itself. */
    SubjectHash, "subject hash"
);
text_id!(
    /** The name of one log, as it stands in the first line of its checkpoints (C2SP tlog-checkpoint). */
    Origin, "log origin", is_origin,
    "1 to 128 characters, parts of ASCII letters, digits, `-`, `_` or `.` joined by `/`"
);

/// One governed call. UUID version 7, written `dec_` and 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DecisionId(Uuid);

impl DecisionId {
    /// Wraps a UUID that [`crate::Entropy`] made.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The UUID inside.
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dec_{}", self.0.simple())
    }
}

impl fmt::Debug for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for DecisionId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.strip_prefix("dec_")
            .filter(|hex| hex.len() == 32)
            .and_then(|hex| Uuid::try_parse(hex).ok())
            .map(Self)
            .ok_or_else(|| InvalidId {
                what: "decision id",
                value: text.to_owned(),
                rule: "`dec_` and 32 hexadecimal digits",
            })
    }
}

impl TryFrom<String> for DecisionId {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<DecisionId> for String {
    fn from(id: DecisionId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert!(TenantId::new("acme-eu").is_ok());
        for bad in ["", "-a", "a b", "a/b", "é", &"a".repeat(65)] {
            assert!(TenantId::new(bad).is_err(), "{bad}");
        }
        assert!(Origin::new("reeve.local/gateway-1").is_ok());
        assert!(Origin::new("../etc").is_err());
    }

    #[test]
    fn decision_ids_round_trip() {
        let id = DecisionId::from_uuid(Uuid::from_u128(7));
        assert_eq!(id.to_string().parse::<DecisionId>().unwrap(), id);
        assert!("dec_7".parse::<DecisionId>().is_err());
    }
}
