use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Record, Timestamp};

/// What is kept for a time of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetentionCategory {
    /// Records of calls: intents, outcomes, refusals of known callers; what second versions said,
    /// and counts of answers.
    Calls,
    /// Counted refusals of unknown callers.
    Strangers,
    /// Records of what was done to the platform.
    Control,
    /// Sealed payloads.
    Payloads,
}

/// The text is no category.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not one of `calls`, `strangers`, `control`, `payloads`")]
pub struct UnknownCategory(String);

impl RetentionCategory {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Calls, Self::Strangers, Self::Control, Self::Payloads];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Strangers => "strangers",
            Self::Control => "control",
            Self::Payloads => "payloads",
        }
    }

    /// The least that law asks for, in days, and where it does.
    pub const fn law(self) -> (u32, &'static str) {
        match self {
            Self::Calls => (183, "Regulation (EU) 2024/1689 Art. 19, 26(6)"),
            Self::Control => (1095, "PIPL Art. 56"),
            Self::Strangers | Self::Payloads => (2, "the sums of a day are closed after it"),
        }
    }
}

impl std::fmt::Display for RetentionCategory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for RetentionCategory {
    type Err = UnknownCategory;

    fn from_str(text: &str) -> Result<Self, UnknownCategory> {
        let found = Self::ALL.iter().find(|category| category.as_str() == text);
        found.copied().ok_or_else(|| UnknownCategory(text.to_owned()))
    }
}

/// How long a category is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Of what.
    pub category: RetentionCategory,
    /// Never deleted earlier.
    pub floor_days: u32,
    /// Deleted then; none: not for its age.
    pub ceiling_days: Option<u32>,
}

impl Retention {
    /// How long a category is kept where nobody said otherwise.
    pub const fn default_of(category: RetentionCategory) -> Self {
        Self { category, floor_days: category.law().0, ceiling_days: None }
    }

    /// When something of this moment is due to be deleted, if ever: at the lowest ceiling, but not
    /// before the highest floor, its own (of the policy that decided about it) included.
    pub fn due(
        &self,
        at: Timestamp,
        floor: Option<u32>,
        ceiling: Option<u32>,
    ) -> Option<Timestamp> {
        let ceiling = match (self.ceiling_days, ceiling) {
            (Some(a), Some(b)) => a.min(b),
            (a, b) => a.or(b)?,
        };
        let days = ceiling.max(self.floor_days).max(floor.unwrap_or(0));
        Some(at.after(Duration::from_secs(u64::from(days).saturating_mul(24 * 60 * 60))))
    }
}

impl Record {
    /// The category that decides how long the record is kept.
    pub const fn retention(&self) -> RetentionCategory {
        match self {
            Self::Intent(_)
            | Self::Outcome(_)
            | Self::Refusal(_)
            | Self::Comparison(_)
            | Self::Observation(_) => RetentionCategory::Calls,
            Self::RefusalAggregate(_) => RetentionCategory::Strangers,
            Self::Control(_) => RetentionCategory::Control,
        }
    }
}
