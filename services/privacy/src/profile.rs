//! What a law asks to be taken out, as a whole.

use std::collections::BTreeMap;

use reeve_domain::{Kind, Redaction};

use crate::{catalog::Catalog, category::Category};

/// A law's list of what must be taken out, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// The eighteen identifiers of 45 CFR 164.514(b)(2)(i), as a text can carry them: dates become
    /// their year, ZIP codes their first three digits, ages above 89 one group.
    HipaaSafeHarbor,
    /// What tells who somebody is, or is sensitive (Art. 4 and 28), under the Personal Information
    /// Protection Law of China, in the forms used there.
    Pipl,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 2] = [Self::HipaaSafeHarbor, Self::Pipl];

    /// The name in a policy's `@redact_profile`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HipaaSafeHarbor => "hipaa-safe-harbor",
            Self::Pipl => "pipl",
        }
    }

    /// The profile of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// What is taken out, and how.
    pub fn redactions(self) -> BTreeMap<Kind, Redaction> {
        let all = Catalog::get().kinds().map(|(_, name)| name);
        match self {
            // (R) is any other unique number, so that every kind is taken out: those of other
            // countries, and secrets, with the ones that are named.
            Self::HipaaSafeHarbor => all
                .chain(crate::NAMES)
                .map(|kind| {
                    let how = match kind {
                        "AGE" | "DATE_OF_BIRTH" | "DATE_TIME" | "ZIP_CODE" => Redaction::Generalise,
                        _ => Redaction::Replace,
                    };
                    (Kind::of(kind), how)
                })
                .collect(),
            Self::Pipl => all
                .filter(|kind| {
                    let category = Catalog::get().about(kind).map(|(category, _)| category);
                    kind.starts_with("CN_")
                        || matches!(
                            category,
                            Some(
                                Category::Contact
                                    | Category::Financial
                                    | Category::Secret
                                    | Category::Location
                                    | Category::Health
                            )
                        )
                        || matches!(*kind, "DATE_OF_BIRTH" | "IP_ADDRESS" | "MAC_ADDRESS" | "IMEI")
                })
                .filter(|kind| kind.starts_with("CN_") || !is_of_another_country(kind))
                .chain(["PERSON", "STREET_ADDRESS"])
                .map(|kind| (Kind::of(kind), Redaction::Replace))
                .collect(),
        }
    }
}

/// Whether a kind's name begins with a country's code.
fn is_of_another_country(kind: &str) -> bool {
    kind.as_bytes().get(2) == Some(&b'_')
}
