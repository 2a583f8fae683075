use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    Country, Digest, EntityName, Kind, KindCounts, ModelName, Purpose, Region, RuleId, Scope,
    SubjectHash, TenantId, Timestamp,
};

/// What a caller wants to do with a model; a Cedar action of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Classify texts.
    Classify,
    /// Classify texts and say which tokens mattered.
    Explain,
}

impl Action {
    /// The action's name on the wire and in Cedar.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Classify => "classify",
            Self::Explain => "explain",
        }
    }
}

/// What policy may know of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantFacts {
    /// The tenant.
    pub id: TenantId,
    /// Regions where the tenant's data may be processed. Empty: nowhere.
    pub residency: BTreeSet<Region>,
    /// Purposes that the tenant has registered.
    pub purposes: BTreeSet<Purpose>,
    /// Free labels, such as `sector` → `health`, `jurisdiction` → `EU`.
    pub labels: BTreeMap<String, String>,
    /// What is on file for the tenant that law asks for.
    #[serde(default, skip_serializing_if = "LegalFacts::is_empty")]
    pub legal: LegalFacts,
}

/// Until when something holds; none: until it is taken back.
pub type Until = Option<Timestamp>;

/// Whether something that holds `until` then holds `at` a moment.
pub fn in_force(until: Until, at: Timestamp) -> bool {
    until.is_none_or(|until| at < until)
}

/// What is on file for a tenant: agreements, instruments of transfer, bases, overseers. Names of
/// persons are not among it, so that it may be recorded with every decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LegalFacts {
    /// The legal entity that the tenant belongs to. Siblings are counted together where law counts
    /// entities; none: the tenant stands alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity: Option<EntityName>,
    /// Agreements by name, `dpa` (GDPR Art. 28), `baa` (45 CFR 164.504(e)).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub agreements: BTreeMap<String, Until>,
    /// Instruments of transfer by the jurisdiction that data may go to, `US` → `scc`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub instruments: BTreeMap<String, Instrument>,
    /// Bases for processing categories of data, `health` → `9(2)(h)`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub bases: BTreeMap<String, String>,
    /// Purposes that a named person oversees (Regulation (EU) 2024/1689 Art. 26(2)).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub overseen: BTreeMap<Purpose, Until>,
    /// Until when rules that yield in an emergency yield for this tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<Timestamp>,
}

impl LegalFacts {
    /// Whether nothing is on file.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What permits a transfer of personal data to another jurisdiction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instrument {
    /// Its kind: `scc`, `bcr`, `security-assessment`, `standard-contract`, `certification`.
    pub kind: String,
    /// Until when it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Until,
}

/// How old the person is that a text is about, as the caller states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgeGroup {
    /// Under 14 years: PIPL Art. 31.
    #[serde(rename = "under-14")]
    Under14,
    /// 14 to 17 years.
    Minor,
    /// 18 years or older.
    Adult,
}

impl AgeGroup {
    /// Every group.
    pub const ALL: [Self; 3] = [Self::Under14, Self::Minor, Self::Adult];

    /// The name on the wire and in Cedar.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Under14 => "under-14",
            Self::Minor => "minor",
            Self::Adult => "adult",
        }
    }
}

/// What the caller does with the result, as it states it (GDPR Art. 22).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResultUse {
    /// It informs; nothing is decided about a person.
    Advisory,
    /// Something is decided about a person, and a human reviews it.
    Reviewed,
    /// Something is decided about a person by machine alone.
    Automated,
}

impl ResultUse {
    /// Every use.
    pub const ALL: [Self; 3] = [Self::Advisory, Self::Reviewed, Self::Automated];

    /// The name on the wire and in Cedar.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Advisory => "advisory",
            Self::Reviewed => "reviewed",
            Self::Automated => "automated",
        }
    }
}

/// How many persons' data a legal entity has sent out of a jurisdiction since 1 January, this
/// call's person included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TransferCount {
    /// Distinct persons.
    pub subjects: u64,
    /// Distinct persons with sensitive data among it.
    pub sensitive: u64,
}

/// A person whose data a legal entity sends out of the jurisdiction that protects them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// The legal entity: its name, or `tenant:` and the id of a tenant that stands alone.
    pub entity: String,
    /// The jurisdiction that protects the person.
    pub law: String,
    /// The calendar year there.
    pub year: i64,
    /// The person, or what stands for one who was not named.
    pub subject: SubjectHash,
    /// Whether with sensitive data.
    pub sensitive: bool,
}

/// What policy may know of a model version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFacts {
    /// The model's name.
    pub name: ModelName,
    /// The version, `1` or `2026-11-24`.
    pub version: String,
    /// The bundle's digest.
    pub digest: Digest,
    /// Whether the model generates content, as opposed to classifying it.
    pub generative: bool,
    /// Risk class under Regulation (EU) 2024/1689: `minimal`, `limited`, `high`.
    pub risk_class: String,
    /// Whether a declaration of conformity is on file (Art. 47).
    #[serde(default, skip_serializing_if = "is_false")]
    pub conformity: bool,
    /// Whether instructions for use are on file (Art. 13).
    #[serde(default, skip_serializing_if = "is_false")]
    pub instructions: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Everything that a decision depends on, features and never payloads, so that a recorded
/// decision can be replayed through another policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionInput {
    /// When the call came.
    pub at: Timestamp,
    /// Who calls.
    pub tenant: TenantFacts,
    /// What the credential may be used for.
    pub scopes: BTreeSet<Scope>,
    /// What is asked.
    pub action: Action,
    /// Of which model version.
    pub model: ModelFacts,
    /// Why, as the caller stated it.
    pub purpose: Option<Purpose>,
    /// Where the data subject is, as the caller stated it.
    pub subject_country: Option<Country>,
    /// Consents that the caller states for the subject, such as `general`, `transfer`.
    pub consents: BTreeSet<String>,
    /// Categories of data that the caller states, such as `health`, `important-data`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub data_categories: BTreeSet<String>,
    /// How old the subject is, as the caller stated it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_age: Option<AgeGroup>,
    /// What is done with the result, as the caller stated it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_use: Option<ResultUse>,
    /// Whether the credential is not one person's or one system's own.
    #[serde(default, skip_serializing_if = "is_false")]
    pub shared_key: bool,
    /// How many subjects' data would have left their jurisdiction with this call; none if it is not
    /// known, which counts as more than any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transferred: Option<TransferCount>,
    /// Kinds of personal data found in the texts, and how many values of each.
    pub found: KindCounts,
    /// Number of texts.
    pub items: u64,
    /// Unicode code points in all texts.
    pub characters: u64,
    /// Regions where the model is served, sorted; the decision is asked once for each.
    pub candidates: Vec<Region>,
}

/// How much of a call the ledger keeps. Ordered: the larger wins when obligations join.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// Features and digests only.
    #[default]
    Metadata,
    /// The payload too, sealed under a key of its tenant and subject.
    Sealed,
}

/// How a value is taken out of a text. Ordered by how little of it is left: where rules ask for
/// several, the last of them is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Redaction {
    /// Told less exactly: a date as its year, a ZIP code as its first three digits.
    Generalise,
    /// Letters and digits become `*`; of twelve or more the last four stay.
    Mask,
    /// A stand-in that is the same for the same value of the same tenant.
    Pseudonymise,
    /// Its kind in brackets, `[EMAIL_ADDRESS]`.
    Replace,
    /// `…`, which does not even tell what stood there.
    Remove,
}

impl Redaction {
    /// Every way, the one that leaves most of a value first.
    pub const ALL: [Self; 5] =
        [Self::Generalise, Self::Mask, Self::Pseudonymise, Self::Replace, Self::Remove];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generalise => "generalise",
            Self::Mask => "mask",
            Self::Pseudonymise => "pseudonymise",
            Self::Replace => "replace",
            Self::Remove => "remove",
        }
    }
}

/// What must be done for the call to be allowed. Obligations of several rules join: redactions
/// and notices unite, the log level and the retention floor take the maximum.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obligations {
    /// Kinds that must be taken out before the text leaves the gateway, and how.
    #[serde(deserialize_with = "redactions")]
    pub redact: BTreeMap<Kind, Redaction>,
    /// How much the ledger keeps.
    pub log: LogLevel,
    /// Days that the record must be kept at least.
    pub retain_days: Option<u32>,
    /// Days after which the record must be gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retain_at_most_days: Option<u32>,
    /// Notices that the answer must carry, by name.
    pub notices: BTreeSet<String>,
    /// Whether a person must review the result before it is acted upon.
    pub human_review: bool,
}

/// Records of before there were several ways hold a list of kinds, which were replaced.
fn redactions<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<Kind, Redaction>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Ways(BTreeMap<Kind, Redaction>),
        Kinds(BTreeSet<Kind>),
    }
    Ok(match Form::deserialize(deserializer)? {
        Form::Ways(ways) => ways,
        Form::Kinds(kinds) => kinds.into_iter().map(|kind| (kind, Redaction::Replace)).collect(),
    })
}

/// A rule that took part in a decision, with what the tenant may be told of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RuleRef {
    /// The rule's `@id`.
    pub id: RuleId,
    /// The rule's `@reason`, written for the tenant.
    pub reason: String,
}

/// Why one region was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionRefusal {
    /// The region.
    pub region: Region,
    /// The rules that forbid it; empty if no rule permits it.
    pub rules: Vec<RuleRef>,
    /// Whether a rule could not be evaluated, which denies.
    pub failed: bool,
}

/// The answer of policy to a [`DecisionInput`]. The call is allowed if a region is permitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The digest of the bundle that decided.
    pub policy: Digest,
    /// Regions that are permitted, in the order of the candidates.
    pub permitted: Vec<Region>,
    /// Regions that are not, and why.
    pub refused: Vec<RegionRefusal>,
    /// The rules that permitted.
    pub rules: Vec<RuleRef>,
    /// What must be done, joined over the permitted regions.
    pub obligations: Obligations,
}

impl Decision {
    /// Whether any region is permitted.
    pub fn is_allowed(&self) -> bool {
        !self.permitted.is_empty()
    }
}

/// In which way a call would be treated otherwise by another policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flip {
    /// It was allowed and would be denied.
    Denied,
    /// It was denied and would be allowed.
    Allowed,
    /// Something that is in its texts would be taken out, or more of it.
    Redacted,
    /// Something that is in its texts would be left, or more of it.
    Exposed,
    /// The region that processed it would no longer be permitted.
    Rerouted,
}

impl Flip {
    /// Every flip.
    pub const ALL: [Self; 5] =
        [Self::Denied, Self::Allowed, Self::Redacted, Self::Exposed, Self::Rerouted];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Allowed => "allowed",
            Self::Redacted => "redacted",
            Self::Exposed => "exposed",
            Self::Rerouted => "rerouted",
        }
    }
}

/// How a policy that decides beside the active one, without effect, would have treated a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowDifference {
    /// The other policy.
    pub policy: Digest,
    /// What would have been otherwise, and by which rules.
    pub flips: BTreeMap<Flip, BTreeSet<RuleId>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn obligations_of_earlier_records_are_read() {
        let text = r#"{"redact":["EMAIL_ADDRESS"],"log":"metadata","retain_days":null,
            "notices":[],"human_review":false}"#;
        let obligations: Obligations = serde_json::from_str(text).unwrap();
        let expected = BTreeMap::from([(Kind::EMAIL_ADDRESS, Redaction::Replace)]);
        assert_eq!(obligations.redact, expected);
        let again = serde_json::to_string(&obligations).unwrap();
        assert_eq!(serde_json::from_str::<Obligations>(&again).unwrap(), obligations);
    }
}
