use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

use crate::{
    Code, Decision, DecisionId, DecisionInput, Digest, KeyId, KindCounts, Money, Observation,
    PodId, Region, Routed, ShadowDifference, SubjectHash, TenantId, Timestamp, Transfer,
    TransferCount, Usage, UserId,
};

/// One leaf of a log, as JSON. It holds no payload and no personal data: ids, digests, kinds and
/// counts, the decision and every input of it, usage, price and timings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Record {
    /// A call was decided and is about to leave for a pod.
    Intent(Box<Intent>),
    /// What became of an intent.
    Outcome(Box<Outcome>),
    /// A call by a known caller was refused before it left.
    Refusal(Box<Refusal>),
    /// Calls by unknown callers that were refused, counted.
    RefusalAggregate(RefusalAggregate),
    /// What a second version said of a call, beside the one that answered.
    Comparison(Box<Comparison>),
    /// What a version of a model answered to a tenant over some time, counted.
    Observation(Box<Observation>),
    /// Something that a person or a program did to the platform.
    Control(Box<ControlEvent>),
}

impl Record {
    /// Reads a leaf, as `serde_json::from_slice` does, but a frequent one faster: of a record whose
    /// `type` may stand anywhere, serde keeps all fields before it looks which they should be. What
    /// writes records puts it in front.
    pub fn from_json(bytes: &[u8]) -> serde_json::Result<Self> {
        // What nobody asks for is passed over unread, hence the look at all of it.
        let Ok(text) = std::str::from_utf8(bytes) else { return serde_json::from_slice(bytes) };
        // A record of two types is of none; the second may hide behind an escape.
        let one = text.match_indices("\"type\"").nth(1).is_none() && !text.contains('\\');
        match serde_json::from_str(text) {
            Ok(TypeFirst(record)) if one => Ok(record),
            _ => serde_json::from_str(text),
        }
    }

    /// The record's `type`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Intent(_) => "intent",
            Self::Outcome(_) => "outcome",
            Self::Refusal(_) => "refusal",
            Self::RefusalAggregate(_) => "refusal-aggregate",
            Self::Comparison(_) => "comparison",
            Self::Observation(_) => "observation",
            Self::Control(_) => "control",
        }
    }
}

/// One of the frequent records, its `type` in front.
struct TypeFirst(Record);

impl<'de> Deserialize<'de> for TypeFirst {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = TypeFirst;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a frequent record with its type in front")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<TypeFirst, A::Error> {
                let kind: Option<(&str, &str)> = fields.next_entry()?;
                let rest = MapAccessDeserializer::new(fields);
                Ok(TypeFirst(match kind {
                    Some(("type", "intent")) => Record::Intent(Deserialize::deserialize(rest)?),
                    Some(("type", "outcome")) => Record::Outcome(Deserialize::deserialize(rest)?),
                    Some(("type", "refusal")) => Record::Refusal(Deserialize::deserialize(rest)?),
                    _ => return Err(de::Error::custom("it is another")),
                }))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// What a caller proved itself with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Credential {
    /// An API key.
    ApiKey(KeyId),
    /// A token: the issuer, and the subject under a keyed hash.
    Jwt {
        /// The `iss` claim.
        issuer: String,
        /// The `sub` claim under the installation's keyed hash.
        subject: SubjectHash,
    },
}

/// Who makes a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The tenant.
    pub tenant: TenantId,
    /// The credential.
    pub credential: Credential,
}

/// A payload that is kept beside the log, encrypted. The record commits to the ciphertext.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Names the key of tenant and subject that opens it.
    pub key: Digest,
    /// SHA-256 of nonce and ciphertext.
    pub digest: Digest,
    /// Their length.
    pub bytes: u64,
}

/// Written before anything leaves the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The call.
    pub decision_id: DecisionId,
    /// When it came.
    pub at: Timestamp,
    /// Who calls.
    pub caller: Caller,
    /// Whom the text is about, under a keyed hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<SubjectHash>,
    /// Everything that the decision depended on.
    pub input: DecisionInput,
    /// The decision.
    pub decision: Decision,
    /// What was redacted.
    pub redactions: KindCounts,
    /// HMAC-SHA-256 of the redacted texts under a key of the gateway: proves sameness, tells
    /// nothing.
    pub payload: Digest,
    /// The redacted texts, where policy wants them kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
    /// What a policy in shadow would have decided otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowDifference>,
    /// The alias that the version was chosen by; none if the caller named the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routed: Option<Routed>,
    /// A second version that is asked besides, without effect, where policy permits as much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Digest>,
}

/// What a second version said of a call. No answer of either is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// The call.
    pub decision_id: DecisionId,
    /// When the second version had answered.
    pub at: Timestamp,
    /// Whose call it was.
    pub tenant: TenantId,
    /// The version that answered the call.
    pub model: Digest,
    /// The second one.
    pub mirror: Digest,
    /// Where it was asked: the region that processed the call.
    pub region: Region,
    /// The pod that was asked, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodId>,
    /// Why there was no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// Texts.
    pub items: u64,
    /// Texts with another best label.
    pub differing: u64,
    /// The largest difference of a best label's probability, in thousandths.
    pub widest_permille: u16,
    /// How long the second version took, in microseconds.
    pub took_us: u64,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutcomeStatus {
    /// A pod answered, and the answer is about to be returned.
    Completed,
    /// No usable answer came; the code says why.
    Failed,
    /// The gateway stopped between intent and outcome; found at its restart.
    Unknown,
}

/// How long each part of a call took, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timings {
    /// From the request's head to the decision's end.
    pub decide_us: u64,
    /// Until the intent was durable.
    pub record_us: u64,
    /// Until the pod had answered.
    pub forward_us: u64,
}

/// Written before the answer leaves the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The call.
    pub decision_id: DecisionId,
    /// When it ended.
    pub at: Timestamp,
    /// Whose call it was.
    pub tenant: TenantId,
    /// How it ended.
    pub status: OutcomeStatus,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// The region that processed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// The pod that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodId>,
    /// Other pods that the texts were sent to: before it, where one failed, or beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Recipient>,
    /// What a model took out of the texts before they were forwarded, where policy asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<NamesTaken>,
    /// The transfer that it was, where law counts them, and what the count was with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer: Option<(Transfer, TransferCount)>,
    /// What it consumed. Zero unless completed.
    pub usage: Usage,
    /// What it costs. Zero unless completed.
    pub cost: Money,
    /// The answer, where policy wants it kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
    /// How long it took.
    pub timings: Timings,
}

/// A pod that texts were sent to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Recipient {
    /// Where it processes.
    pub region: Region,
    /// Which.
    pub pod: PodId,
}

/// Names and addresses that a model found, and that were then taken out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamesTaken {
    /// The model's digest.
    pub model: Digest,
    /// The region where they were looked for.
    pub region: Region,
    /// The pod that looked.
    pub pod: PodId,
    /// How many values of each kind were taken out, besides those that the intent counts.
    pub redactions: KindCounts,
    /// The texts that were then forwarded, under the installation's keyed hash.
    pub payload: Digest,
}

/// A call by a known caller that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The call.
    pub decision_id: DecisionId,
    /// When it came.
    pub at: Timestamp,
    /// Who called.
    pub caller: Caller,
    /// Why it was refused.
    pub code: Code,
    /// The route, `/v1/classify`.
    pub route: String,
    /// What the decision depended on, if the call came that far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Box<DecisionInput>>,
    /// The decision, if the call came that far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Box<Decision>>,
    /// What a policy in shadow would have decided otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowDifference>,
}

/// Refusals of callers that did not prove who they are, counted over a short time, so that a
/// flood cannot fill the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalAggregate {
    /// The first of them.
    pub from: Timestamp,
    /// The last of them.
    pub until: Timestamp,
    /// How many for each code.
    pub counts: BTreeMap<Code, u64>,
}

/// Who changed something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// A person signed in to the console.
    User(UserId),
    /// A command run on the machine by its operator.
    Operator,
    /// The platform itself.
    System,
    /// Somebody who did not prove who they are.
    Anonymous,
}

/// Something that was done to the platform, or read by an auditor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlEvent {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub actor: Actor,
    /// What: `tenant.create`, `key.revoke`, `session.create`, `audit.read`.
    pub action: String,
    /// To what: an id.
    pub target: String,
    /// The tenant that it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// Whether it was refused, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// Parameters, none of them secret or personal.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
}
