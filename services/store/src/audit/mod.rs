//! The logs of the ledger as rows that can be searched: a view, keyed by origin and index, that
//! can be built anew from nothing.

mod index;
mod replay;
mod row;
mod search;

use std::{borrow::Cow, fmt, str::FromStr};

use reeve_domain::{
    Actor, Code, Credential, Currency, DecisionId, Digest, KeyId, KindCounts, Origin, Record,
    Region, TenantId, Timestamp,
};

pub use index::{clear, cursor, forget, index};
pub use replay::{Shadowed, count_decided, count_shadowed, decided, policies, regions, shadowed};
pub(crate) use search::NO_OUTCOME;
pub use search::{get_by_decision, search};

/// The text is not one of the words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not one of {known}")]
pub struct UnknownWord {
    /// The text.
    pub value: String,
    /// What would be right.
    pub known: String,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word, as it is stored and stands on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;
            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                Self::ALL.iter().find(|word| word.as_str() == text).copied().ok_or_else(|| {
                    UnknownWord {
                        value: text.to_owned(),
                        known: [$(concat!("`", $text, "`"),)*].join(", "),
                    }
                })
            }
        }
    };
}

words! {
    /// What a leaf is.
    EventKind {
        /// A call that was decided and left for a pod.
        Intent = "intent",
        /// How such a call ended.
        Outcome = "outcome",
        /// A call that was refused.
        Refusal = "refusal",
        /// Refusals of unknown callers, counted.
        RefusalAggregate = "refusal-aggregate",
        /// What a second version of a model said of a call.
        Comparison = "comparison",
        /// What a version of a model answered to a tenant over some time, counted.
        Observation = "observation",
        /// Something that was done to the platform.
        Control = "control",
        /// A leaf that this version cannot read. It is never passed over in silence.
        Malformed = "malformed",
    }
}

words! {
    /// How a call stands.
    CallStatus {
        /// It left for a pod, and no outcome is indexed yet.
        Pending = "pending",
        /// A pod answered.
        Completed = "completed",
        /// No usable answer came.
        Failed = "failed",
        /// The gateway stopped before the outcome.
        Unknown = "unknown",
        /// It was refused before it left.
        Refused = "refused",
    }
}

/// One leaf of a log, to be indexed.
#[derive(Clone, Debug)]
pub struct Leaf {
    pub(crate) index: u64,
    pub(crate) hash: [u8; 32],
    /// The leaves before it were deleted from the log.
    pub(crate) follows_deleted: bool,
    pub(crate) document: String,
    /// The reason, if it cannot be read.
    pub(crate) record: Result<Record, String>,
}

/// How much of an unreadable leaf is shown, in characters; the log has all of it.
const MALFORMED_EXCERPT: usize = 4096;

impl Leaf {
    /// Reads a leaf from its bytes. One that cannot be read is indexed as
    /// [`EventKind::Malformed`], with the reason and the beginning of its text.
    pub fn parse(index: u64, hash: [u8; 32], bytes: &[u8]) -> Self {
        // The lossy way looks at bytes one by one, and nearly all leaves are text.
        let text = std::str::from_utf8(bytes)
            .map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed);
        match Record::from_json(bytes) {
            Ok(record) => Self {
                index,
                hash,
                follows_deleted: false,
                document: text.into_owned(),
                record: Ok(record),
            },
            Err(why) => {
                let excerpt: String = text.chars().take(MALFORMED_EXCERPT).collect();
                let reason = why.to_string();
                let document = serde_json::json!({
                    "type": EventKind::Malformed.as_str(),
                    "reason": reason,
                    "bytes": bytes.len(),
                    "text": excerpt,
                });
                Self {
                    index,
                    hash,
                    follows_deleted: false,
                    document: document.to_string(),
                    record: Err(reason),
                }
            }
        }
    }

    /// Says that the leaves between the one indexed before and this one were deleted from the log.
    pub fn after_deleted(mut self) -> Self {
        self.follows_deleted = true;
        self
    }

    /// Whether it cannot be read.
    pub const fn is_malformed(&self) -> bool {
        self.record.is_err()
    }
}

/// What to search for; what is `None` or empty does not matter.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Whose calls.
    pub tenant: Option<TenantId>,
    /// Not before this moment.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    /// Any of these kinds. One row a call: [`EventKind::Outcome`] and [`EventKind::Refusal`].
    pub kinds: Vec<EventKind>,
    /// How the call stands. An intent has its outcome's status as soon as that is indexed.
    pub status: Option<CallStatus>,
    /// Why it failed or was refused.
    pub code: Option<Code>,
    /// Where it was processed.
    pub region: Option<Region>,
    /// The call.
    pub decision_id: Option<DecisionId>,
}

/// The place of a row in the order of a search, which is by time, origin and index, the newest
/// first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The row's time.
    pub at: Timestamp,
    /// The row's log.
    pub origin: Origin,
    /// The row's index in it.
    pub index: u64,
}

/// One leaf, indexed. An outcome has the model, action, policy, redactions and credential of its
/// intent, so that it tells the whole call.
#[derive(Clone, Debug)]
pub struct AuditRow {
    /// The log.
    pub origin: Origin,
    /// The leaf's index in it.
    pub index: u64,
    /// The leaf's hash (RFC 6962).
    pub leaf_hash: [u8; 32],
    /// When it happened; of an unreadable leaf, the time of the leaf before it.
    pub at: Timestamp,
    /// What it is.
    pub kind: EventKind,
    /// The call.
    pub decision_id: Option<DecisionId>,
    /// Whose call, or the tenant that a control event concerns.
    pub tenant: Option<TenantId>,
    /// `key:` and the key's id, `jwt:` and issuer and hashed subject, or for control events
    /// `user:` and the id, `operator`, `system`, `anonymous`.
    pub credential: Option<String>,
    /// The model's name.
    pub model: Option<String>,
    /// `classify`, `explain`, or what a control event did.
    pub action: Option<String>,
    /// The region that processed it.
    pub region: Option<Region>,
    /// How the call stands.
    pub status: Option<CallStatus>,
    /// Why it failed or was refused.
    pub code: Option<Code>,
    /// The bundle that decided.
    pub policy: Option<Digest>,
    /// Texts: of an outcome those that were billed, else those that were sent.
    pub items: u64,
    /// Unicode code points, likewise.
    pub characters: u64,
    /// Tokens.
    pub tokens: u64,
    /// The price in millionths of the currency's unit.
    pub cost_micros: i64,
    /// The price's currency.
    pub currency: Option<Currency>,
    /// What was redacted.
    pub redactions: KindCounts,
    /// The record. For an unreadable leaf, whose `kind` is [`EventKind::Malformed`], an event
    /// `ledger.malformed` stands here with the reason and the beginning of the leaf's text.
    pub record: Record,
    /// The leaf's own JSON; of an unreadable one the reason and the beginning of its text.
    pub document: String,
}

impl AuditRow {
    /// Where the next page goes on, if this is the last row of one.
    pub fn cursor(&self) -> Cursor {
        Cursor { at: self.at, origin: self.origin.clone(), index: self.index }
    }
}

/// How a call with this key stands in `credential`.
pub(crate) fn key_credential(id: &KeyId) -> String {
    format!("key:{id}")
}

fn credential_text(credential: &Credential) -> String {
    match credential {
        Credential::ApiKey(id) => key_credential(id),
        Credential::Jwt { issuer, subject } => storable(&format!("jwt:{issuer}:{subject}")),
    }
}

fn actor_text(actor: &Actor) -> String {
    match actor {
        Actor::User(id) => format!("user:{id}"),
        Actor::Operator => "operator".to_owned(),
        Actor::System => "system".to_owned(),
        Actor::Anonymous => "anonymous".to_owned(),
    }
}

/// PostgreSQL's text cannot hold the character NUL, which JSON can.
pub(crate) fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
