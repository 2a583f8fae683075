use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};

use crate::{Alias, Digest, ModelFacts, ModelName, Purpose, TenantId, Timestamp, Until, in_force};

/// How far a version has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VersionState {
    /// It was taken in. Only who may see a model before its release can name it.
    Candidate,
    /// A second person let it answer in production.
    Approved,
    /// It answers nobody any more.
    Withdrawn,
}

impl VersionState {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Candidate => "candidate",
            Self::Approved => "approved",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// A version of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelVersion {
    /// What policy may know.
    #[serde(flatten)]
    pub facts: ModelFacts,
    /// The labels, in the order of the logits.
    pub labels: Vec<String>,
    /// How far it has come.
    #[serde(default = "approved")]
    pub state: VersionState,
}

const fn approved() -> VersionState {
    VersionState::Approved
}

/// A model: to whom it is offered, and which version answers under which alias.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// Its name.
    pub name: ModelName,
    /// The tenant whose model it is; none: the platform's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<TenantId>,
    /// Whether every tenant may use it.
    pub open: bool,
    /// The tenants that it is shared with, and on what terms.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shares: BTreeMap<TenantId, Share>,
    /// Which version answers under which alias.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub routes: BTreeMap<Alias, Route>,
}

/// The terms on which a model is shared with a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Until,
    /// Purposes that it may be used for; empty: any.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub purposes: BTreeSet<Purpose>,
    /// Whether versions may be named that are not approved yet, and aliases besides `production`.
    #[serde(default)]
    pub preview: bool,
    /// What was agreed, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub terms: String,
}

/// Terms that a call does not keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TermsBroken {
    /// The time is over.
    Ended(Timestamp),
    /// The purpose is not among these.
    Purpose(BTreeSet<Purpose>),
}

impl fmt::Display for TermsBroken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(at) => write!(f, "the model was shared with you until {at}"),
            Self::Purpose(known) => {
                let known: Vec<_> = known.iter().map(|purpose| format!("`{purpose}`")).collect();
                write!(f, "`Reeve-Purpose` must be {}", known.join(" or "))
            }
        }
    }
}

/// Which version answers under an alias.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The version.
    pub digest: Digest,
    /// Another that answers a share of the calls in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// Another that is asked besides, without effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
}

/// A version that answers a share of the calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// The version.
    pub digest: Digest,
    /// Which share, in thousandths.
    pub permille: u16,
    /// What decides whose calls these are.
    pub by: CanaryBy,
}

/// What decides which version answers a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CanaryBy {
    /// The person that the text is about, so that the same version always answers about them; where
    /// the caller names nobody, the call.
    Subject,
    /// The call itself.
    Decision,
}

impl CanaryBy {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Decision => "decision",
        }
    }
}

/// A version that is asked besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mirror {
    /// The version.
    pub digest: Digest,
    /// About which share of the calls, in thousandths.
    pub permille: u16,
}

/// How the version of a call was chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routed {
    /// The alias.
    pub alias: Alias,
    /// Whether it is the canary that answers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub canary: bool,
}

/// A place from 0 to 999 for `key`, the same at every gateway and at every time. `salt` makes the
/// places of two versions independent, so that it is not always the same who try what is new.
fn place(salt: &Digest, key: &str) -> u16 {
    let digest = Digest::of(format!("{salt} {key}").as_bytes());
    let folded =
        digest.as_bytes().iter().take(8).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    u16::try_from(folded % 1000).unwrap_or(0)
}

impl Canary {
    /// Whether this version answers: a share of `permille` of all keys.
    pub fn takes(&self, key: &str) -> bool {
        place(&self.digest, key) < self.permille
    }
}

impl Mirror {
    /// Whether this version is asked besides.
    pub fn takes(&self, key: &str) -> bool {
        place(&self.digest, key) < self.permille
    }
}

impl ModelVersion {
    /// A version that may answer in production.
    pub const fn approved(facts: ModelFacts, labels: Vec<String>) -> Self {
        Self { facts, labels, state: VersionState::Approved }
    }
}

impl Model {
    /// A model that every tenant may use, of which no version answers yet.
    pub const fn offered_to_all(name: ModelName) -> Self {
        Self { name, owner: None, open: true, shares: BTreeMap::new(), routes: BTreeMap::new() }
    }

    /// Whether a tenant may know of it.
    pub fn is_for(&self, tenant: &TenantId) -> bool {
        self.open || self.owner.as_ref() == Some(tenant) || self.shares.contains_key(tenant)
    }

    /// Whether a tenant may name what is not approved yet.
    pub fn previews(&self, tenant: &TenantId) -> bool {
        self.owner.as_ref() == Some(tenant)
            || self.shares.get(tenant).is_some_and(|share| share.preview)
    }

    /// Whether a call keeps the terms. Its owner has none; nor has who may use it with everybody.
    pub fn check_terms(
        &self,
        tenant: &TenantId,
        purpose: Option<&Purpose>,
        at: Timestamp,
    ) -> Result<(), TermsBroken> {
        let Some(share) = self.shares.get(tenant) else { return Ok(()) };
        if let Some(until) = share.until.filter(|_| !in_force(share.until, at)) {
            return if self.open { Ok(()) } else { Err(TermsBroken::Ended(until)) };
        }
        let stated = purpose.is_some_and(|purpose| share.purposes.contains(purpose));
        if share.purposes.is_empty() || stated {
            Ok(())
        } else {
            Err(TermsBroken::Purpose(share.purposes.clone()))
        }
    }

    /// Every version that some alias leads to.
    pub fn routed(&self) -> BTreeSet<Digest> {
        let of = |route: &Route| {
            let canary = route.canary.as_ref().map(|canary| canary.digest);
            let mirror = route.mirror.as_ref().map(|mirror| mirror.digest);
            [Some(route.digest), canary, mirror].into_iter().flatten()
        };
        self.routes.values().flat_map(of).collect()
    }
}

impl Alias {
    /// The alias that answers who names the model alone.
    pub const PRODUCTION: &str = "production";

    /// That alias.
    pub fn is_production(&self) -> bool {
        self.as_str() == Self::PRODUCTION
    }
}

/// A model as callers name it: `support` (what is in production), `support:staging` (an alias),
/// `support@3` (a version) or `support@sha256:…` (a bundle).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelRef<'a> {
    /// The model's name.
    pub name: &'a str,
    /// Which of its versions.
    pub selector: Selector<'a>,
}

/// Which version of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selector<'a> {
    /// The one that an alias leads to.
    Alias(&'a str),
    /// The one of this number.
    Version(&'a str),
    /// The one with this digest.
    Digest(Digest),
}

/// The text names no model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a model is named `NAME`, `NAME:ALIAS`, `NAME@VERSION` or `NAME@sha256:DIGEST`")]
pub struct UnknownModelRef;

impl<'a> ModelRef<'a> {
    /// Reads what a caller wrote.
    pub fn parse(text: &'a str) -> Result<Self, UnknownModelRef> {
        // `@` first: a digest has a colon of its own, a version may not.
        let parsed = if let Some((name, version)) = text.split_once('@') {
            let selector = match version.parse() {
                Ok(digest) => Selector::Digest(digest),
                Err(_) => Selector::Version(version),
            };
            Self { name, selector }
        } else if let Some((name, alias)) = text.split_once(':') {
            Self { name, selector: Selector::Alias(alias) }
        } else {
            Self { name: text, selector: Selector::Alias(Alias::PRODUCTION) }
        };
        let named = match parsed.selector {
            Selector::Alias(word) | Selector::Version(word) => !word.is_empty(),
            Selector::Digest(_) => true,
        };
        if parsed.name.is_empty() || !named { Err(UnknownModelRef) } else { Ok(parsed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_named_in_four_ways() {
        let digest = Digest::of(b"m");
        let pinned = format!("support@{digest}");
        for (text, selector) in [
            ("support", Selector::Alias("production")),
            ("support:staging", Selector::Alias("staging")),
            ("support@3", Selector::Version("3")),
            ("support@2026-11-24", Selector::Version("2026-11-24")),
            (&pinned, Selector::Digest(digest)),
        ] {
            assert_eq!(ModelRef::parse(text), Ok(ModelRef { name: "support", selector }), "{text}");
        }
        for bad in ["", "@1", ":staging", "support@", "support:"] {
            assert_eq!(ModelRef::parse(bad), Err(UnknownModelRef), "{bad}");
        }
    }

    #[test]
    fn a_canary_takes_its_share_of_the_same_keys_always() {
        let canary = |permille, bundle: &[u8]| Canary {
            digest: Digest::of(bundle),
            permille,
            by: CanaryBy::Subject,
        };
        let taken = |canary: &Canary| {
            (0..10_000).filter(|n| canary.takes(&n.to_string())).collect::<BTreeSet<u32>>()
        };
        assert!(taken(&canary(0, b"a")).is_empty());
        assert_eq!(taken(&canary(1000, b"a")).len(), 10_000);
        let (ten, twenty) = (taken(&canary(100, b"a")), taken(&canary(200, b"a")));
        assert!((900..1100).contains(&ten.len()), "{}", ten.len());
        assert!(ten.is_subset(&twenty), "who has tried it keeps it when the share grows");
        let other = taken(&canary(100, b"b"));
        assert!(ten.intersection(&other).count() < 200, "another version, other people");
    }

    #[test]
    fn terms_end_and_name_purposes() {
        let (acme, other) = (TenantId::new("acme").unwrap(), TenantId::new("other").unwrap());
        let care = Purpose::new("care").unwrap();
        let at = Timestamp::from_micros;
        let mut model = Model::offered_to_all(ModelName::new("m").unwrap());
        model.open = false;
        let share = Share {
            until: Some(at(10)),
            purposes: BTreeSet::from([care.clone()]),
            ..Share::default()
        };
        model.shares.insert(acme.clone(), share);
        assert!(model.is_for(&acme) && !model.is_for(&other) && !model.previews(&acme));
        assert_eq!(model.check_terms(&acme, Some(&care), at(9)), Ok(()));
        assert_eq!(
            model.check_terms(&acme, None, at(9)),
            Err(TermsBroken::Purpose(BTreeSet::from([care.clone()])))
        );
        assert_eq!(model.check_terms(&acme, Some(&care), at(10)), Err(TermsBroken::Ended(at(10))));
        model.owner = Some(other.clone());
        assert!(model.previews(&other));
        assert_eq!(model.check_terms(&other, None, at(99)), Ok(()));
    }
}
