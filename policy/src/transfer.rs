//! Transfers that law counts: data of persons whom the law of China protects, processed elsewhere
//! (PIPL Art. 38 and 40; Provisions on Promoting and Regulating Cross-Border Data Flows, 2024,
//! Art. 7 and 8).

use reeve_domain::{AgeGroup, DecisionInput, Region, Timestamp};

use crate::{Engine, facts};

/// The law under which transfers are counted.
pub const COUNTED_LAW: &str = "CN";

/// China Standard Time is this much ahead of UTC.
const AHEAD_MICROS: i64 = 8 * 3600 * 1_000_000;

/// Categories that are sensitive in themselves (PIPL Art. 28), as callers name them.
const SENSITIVE: [&str; 6] =
    ["biometric", "financial-account", "health", "location-track", "religion", "specific-identity"];
/// Kinds of values that are, whatever a caller says of them.
const SENSITIVE_KINDS: [&str; 3] = ["CN_PASSPORT", "CN_RESIDENT_ID", "CREDIT_CARD"];

impl Engine {
    /// Whether a call that is processed in `region` is a transfer that is counted. Never where no
    /// rule asks for the count.
    pub fn is_counted_transfer(&self, input: &DecisionInput, region: &Region) -> bool {
        let country = input.subject_country.as_ref().map(|country| country.as_str());
        self.counts_transfers()
            && facts::laws(&input.tenant, country).contains(&COUNTED_LAW)
            && self
                .bundle()
                .regions
                .get(region)
                .is_some_and(|rules| rules.jurisdiction != COUNTED_LAW)
    }
}

/// Whether what a call carries is sensitive (PIPL Art. 28): by its categories, by what was found in
/// it, or since the person is under 14.
pub fn is_sensitive(input: &DecisionInput) -> bool {
    input.subject_age == Some(AgeGroup::Under14)
        || input.found.keys().any(|kind| SENSITIVE_KINDS.contains(&kind.as_str()))
        || input.data_categories.iter().any(|category| SENSITIVE.contains(&category.as_str()))
}

/// The year in which a transfer is counted, which begins on 1 January in China.
pub fn counted_year(at: Timestamp) -> i64 {
    Timestamp::from_micros(at.as_micros().saturating_add(AHEAD_MICROS)).year().into()
}
