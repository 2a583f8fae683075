//! The words that every part of Reeve shares: who calls ([`Caller`]), what is asked of policy
//! ([`DecisionInput`]) and what it answers ([`Decision`]), what the ledger keeps ([`Record`]),
//! what a call used and costs ([`Usage`], [`Money`]), and the stable error codes ([`Code`]).
//!
//! No IO and no async. Time and randomness are parameters: [`Clock`] and [`Entropy`].

mod clock;
mod code;
mod decision;
mod digest;
mod directory;
mod drift;
mod entropy;
mod id;
mod kind;
mod model;
mod money;
mod observation;
mod record;
mod retention;
mod usage;

pub use clock::{Clock, FixedClock, SystemClock, Timestamp, TimestampOutOfRange};
pub use code::{Code, UnknownCode};
pub use decision::{
    Action, AgeGroup, Decision, DecisionInput, Flip, Instrument, LegalFacts, LogLevel, ModelFacts,
    Obligations, Redaction, RegionRefusal, ResultUse, RuleRef, ShadowDifference, TenantFacts,
    Transfer, TransferCount, Until, in_force,
};
pub use digest::{Digest, InvalidDigest};
pub use directory::{
    ApiKey, BundleDocument, Directory, JwtIssuer, Pod, Stop, StopTarget, Tenant, TenantStatus,
};
pub use drift::{LEAST_TEXTS, Measure, Measured, measure};
pub use entropy::{Entropy, SeededEntropy, SystemEntropy};
pub use id::{
    Alias, Country, DecisionId, EntityName, InvalidId, KeyId, ModelName, Origin, PlanName, PodId,
    Purpose, Region, RuleId, Scope, SubjectHash, TenantId, UserId,
};
pub use kind::{Kind, KindCounts};
pub use model::{
    Canary, CanaryBy, Mirror, Model, ModelRef, ModelVersion, Route, Routed, Selector, Share,
    TermsBroken, UnknownModelRef, VersionState,
};
pub use money::{Currency, Money, MoneyOverflow};
pub use observation::{Observation, Observed, confidence_bucket, length_bucket};
pub use record::{
    Actor, Caller, Comparison, ControlEvent, Credential, Intent, NamesTaken, Outcome,
    OutcomeStatus, Recipient, Record, Refusal, RefusalAggregate, Sealed, Timings,
};
pub use retention::{Retention, RetentionCategory, UnknownCategory};
pub use usage::Usage;
