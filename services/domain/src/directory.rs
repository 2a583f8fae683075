use serde::{Deserialize, Serialize};

use crate::{
    Digest, KeyId, Model, ModelName, ModelVersion, PlanName, PodId, Region, Scope, TenantFacts,
    TenantId, Timestamp, UserId,
};
use std::collections::BTreeSet;

/// Everything that a gateway needs from the store to serve, at one revision. A gateway works from
/// the newest one it could read and keeps it on disk for the time when the store is away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    /// Grows with every change in the store that a gateway must see.
    pub revision: i64,
    /// All tenants, suspended ones included.
    pub tenants: Vec<Tenant>,
    /// API keys that are not revoked.
    pub keys: Vec<ApiKey>,
    /// Token issuers of tenants.
    pub issuers: Vec<JwtIssuer>,
    /// Versions of models.
    pub models: Vec<ModelVersion>,
    /// To whom the models are offered, and which version answers under which alias.
    #[serde(default)]
    pub catalog: Vec<Model>,
    /// Pods that are registered.
    pub pods: Vec<Pod>,
    /// The active policy bundle.
    pub bundle: BundleDocument,
    /// The signed statement that put it in force.
    #[serde(default)]
    pub activation: String,
    /// A bundle that decides beside it without effect.
    #[serde(default)]
    pub shadow: Option<BundleDocument>,
    /// What is stopped.
    #[serde(default)]
    pub stops: Vec<Stop>,
}

/// What can be stopped at once for everybody, besides a tenant, which is suspended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "name")]
pub enum StopTarget {
    /// All versions of a model.
    Model(ModelName),
    /// Every pod of a region.
    Region(Region),
}

/// Something that was stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// What.
    pub target: StopTarget,
    /// Why, for people.
    pub reason: String,
    /// By whom.
    pub by: UserId,
    /// When.
    pub at: Timestamp,
}

/// Whether a tenant may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TenantStatus {
    /// May call.
    Active,
    /// Stopped by an operator; every call is refused with `tenant-suspended`.
    Suspended,
}

/// A customer of the platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// What policy may know: id, residency, purposes, labels.
    #[serde(flatten)]
    pub facts: TenantFacts,
    /// The name for people.
    pub display_name: String,
    /// Which limits and prices of the policy bundle apply.
    pub plan: PlanName,
    /// Whether the tenant may call.
    pub status: TenantStatus,
    /// When the tenant was created.
    pub created_at: Timestamp,
}

/// An API key as it is stored: never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// The key's public name.
    pub id: KeyId,
    /// Whose key it is.
    pub tenant: TenantId,
    /// The name for people.
    pub name: String,
    /// The part of the key that is looked up by: its first characters, not secret.
    pub prefix: String,
    /// HMAC-SHA-256 of the whole key under the installation's pepper.
    pub hash: Digest,
    /// What the key may be used for.
    pub scopes: BTreeSet<Scope>,
    /// The one person or system that uses it; none: it is shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it stops working by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// An issuer of JSON Web Tokens that a tenant trusts. A token's `iss` names exactly one tenant, so
/// that no issuer can speak for another tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JwtIssuer {
    /// The `iss` claim.
    pub issuer: String,
    /// The tenant that it speaks for.
    pub tenant: TenantId,
    /// `EdDSA`, `ES256` or `RS256`.
    pub algorithm: String,
    /// The public key as PEM.
    pub public_key: String,
}

/// A process that runs models.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// The pod's name.
    pub id: PodId,
    /// Where it processes.
    pub region: Region,
    /// Its base address, `http://127.0.0.1:9001`.
    pub url: String,
    /// Digests of the model bundles that it serves.
    pub models: Vec<Digest>,
    /// Whether an operator has taken it out of service.
    pub draining: bool,
}

/// A policy bundle as it is stored: the canonical JSON and the digest of exactly those bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleDocument {
    /// SHA-256 of `document`.
    pub digest: Digest,
    /// The bundle as canonical JSON; `reeve_policy::Bundle` reads it.
    pub document: String,
}
