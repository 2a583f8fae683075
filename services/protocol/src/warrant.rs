//! The warrant: a short-lived signed token that a pod asks for with every call. It names the
//! decision, the tenant, the model's digest and the region, so that a call can be processed
//! nowhere else and under no other model than policy permitted.
//!
//! A compact JWS (RFC 7515) with `EdDSA` over Ed25519 (RFC 8037); its claims follow RFC 7519.

use std::{sync::Arc, time::Duration};

use ed25519_dalek::{SigningKey, VerifyingKey};
use reeve_domain::{Clock, DecisionId, Digest, Region, TenantId};
use serde::{Deserialize, Serialize};

use crate::jws::Jws;

/// The request header that carries the warrant.
pub const WARRANT_HEADER: &str = "Reeve-Warrant";

const TYPE: &str = "reeve-warrant+jwt";
/// Clocks of a gateway and a pod may differ by this much.
const LEEWAY: Duration = Duration::from_secs(30);

/// What a warrant says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Which gateway signed.
    pub iss: String,
    /// The call.
    pub dec: DecisionId,
    /// Whose call it is.
    pub tenant: TenantId,
    /// The bundle that may process it.
    pub model: Digest,
    /// The region where it may be processed.
    pub region: Region,
    /// When it was signed, in seconds since the Unix epoch.
    pub iat: i64,
    /// When it ends, in seconds since the Unix epoch.
    pub exp: i64,
    /// The tenant's share of a pod against the others that wait there: one of twice the weight gets
    /// twice the tokens.
    #[serde(default = "usual_weight")]
    pub weight: u16,
    /// Who goes first at a pod.
    #[serde(default)]
    pub priority: Priority,
}

/// A tenant's weight where its plan names none, so that both less and more can be given.
pub const USUAL_WEIGHT: u16 = 100;

const fn usual_weight() -> u16 {
    USUAL_WEIGHT
}

/// Whether somebody waits for the answer.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// Somebody does.
    #[default]
    Interactive,
    /// Nobody does: it is computed when a pod has nothing else, or a small share of the time.
    Batch,
}

/// The request header that says how many milliseconds a caller still waits; a pod gives the call up
/// after that.
pub const DEADLINE_HEADER: &str = "Reeve-Deadline-Ms";

/// Why a warrant was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WarrantRefusal {
    /// None was sent.
    #[error("a warrant is required in `{WARRANT_HEADER}`")]
    Missing,
    /// It is not a warrant, or its signature does not hold.
    #[error("warrant refused: not signed by a known gateway")]
    Signature,
    /// Its time is over.
    #[error("warrant refused: expired")]
    Expired,
    /// Its time has not come.
    #[error("warrant refused: not valid yet")]
    NotYet,
    /// It is for another region.
    #[error("warrant refused: wrong region, it is for `{0}`")]
    Region(Region),
    /// It is for another model.
    #[error("warrant refused: wrong model, it is for `{0}`")]
    Model(Digest),
}

/// Signs warrants.
pub struct WarrantSigner {
    key: SigningKey,
    issuer: String,
    jws: Jws,
}

impl WarrantSigner {
    /// A signer that speaks as `issuer`.
    pub fn new(key: SigningKey, issuer: impl Into<String>) -> Self {
        Self { key, issuer: issuer.into(), jws: Jws::new(TYPE) }
    }

    /// The warrant for `claims`; the issuer is the signer's own, whatever they say.
    pub fn sign(&self, claims: &Claims) -> String {
        let claims = Claims { iss: self.issuer.clone(), ..claims.clone() };
        self.jws.sign(&self.key, &claims)
    }
}

/// Checks warrants for one region.
#[derive(Clone)]
pub struct WarrantVerifier {
    key: VerifyingKey,
    region: Region,
    clock: Arc<dyn Clock>,
    jws: Jws,
}

impl WarrantVerifier {
    /// A verifier for a pod in `region`.
    pub fn new(key: VerifyingKey, region: Region, clock: Arc<dyn Clock>) -> Self {
        Self { key, region, clock, jws: Jws::new(TYPE) }
    }

    /// Checks that `token` permits this pod to process a call with the bundle `model` now.
    pub fn verify(&self, token: &str, model: &Digest) -> Result<Claims, WarrantRefusal> {
        let claims = self.open(token)?;
        if claims.model == *model { Ok(claims) } else { Err(WarrantRefusal::Model(claims.model)) }
    }

    /// Checks that `token` permits this pod to process a call now, with the bundle that it names.
    pub fn open(&self, token: &str) -> Result<Claims, WarrantRefusal> {
        let claims: Claims = self.jws.open(&self.key, token).ok_or(WarrantRefusal::Signature)?;
        let now = self.clock.now();
        let leeway = i64::try_from(LEEWAY.as_secs()).unwrap_or(0);
        if claims.exp < now.as_seconds() {
            return Err(WarrantRefusal::Expired);
        }
        if claims.iat.saturating_sub(leeway) > now.as_seconds() {
            return Err(WarrantRefusal::NotYet);
        }
        if claims.region != self.region {
            return Err(WarrantRefusal::Region(claims.region));
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use reeve_domain::{Entropy as _, FixedClock, SeededEntropy, Timestamp};

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn claims() -> Claims {
        Claims {
            iss: "reeve.local/gateway-1".to_owned(),
            dec: SeededEntropy::new(1).decision_id(NOW),
            tenant: TenantId::new("acme").unwrap(),
            model: Digest::of(b"model"),
            region: Region::new("eu-west").unwrap(),
            iat: NOW.as_seconds(),
            exp: NOW.as_seconds() + 10,
            weight: USUAL_WEIGHT,
            priority: Priority::default(),
        }
    }

    fn signer(seed: u8) -> WarrantSigner {
        WarrantSigner::new(SigningKey::from_bytes(&[seed; 32]), "reeve.local/gateway-1")
    }

    fn verifier() -> WarrantVerifier {
        let key = SigningKey::from_bytes(&[1; 32]).verifying_key();
        let region = Region::new("eu-west").unwrap();
        WarrantVerifier::new(key, region, Arc::new(FixedClock::new(NOW)))
    }

    fn check(claims: &Claims) -> Result<Claims, WarrantRefusal> {
        verifier().verify(&signer(1).sign(claims), &Digest::of(b"model"))
    }

    #[test]
    fn a_warrant_for_this_call_is_accepted() {
        assert_eq!(check(&claims()).unwrap(), claims());
    }

    #[test]
    fn a_gateway_that_names_no_weight_means_the_usual_one() {
        let mut plain = serde_json::to_value(claims()).unwrap();
        for name in ["weight", "priority"] {
            plain.as_object_mut().unwrap().remove(name);
        }
        assert_eq!(serde_json::from_value::<Claims>(plain).unwrap(), claims());
    }

    #[test]
    fn every_other_is_refused() {
        let elsewhere = Region::new("us-east").unwrap();
        let other = Digest::of(b"other");
        assert_eq!(
            check(&Claims { region: elsewhere.clone(), ..claims() }),
            Err(WarrantRefusal::Region(elsewhere))
        );
        assert_eq!(check(&Claims { model: other, ..claims() }), Err(WarrantRefusal::Model(other)));
        let past = NOW.as_seconds() - 1;
        assert_eq!(check(&Claims { exp: past, ..claims() }), Err(WarrantRefusal::Expired));
        let soon = NOW.as_seconds() + 60;
        assert_eq!(check(&Claims { iat: soon, ..claims() }), Err(WarrantRefusal::NotYet));
        let forged = signer(2).sign(&claims());
        let model = Digest::of(b"model");
        assert_eq!(verifier().verify(&forged, &model), Err(WarrantRefusal::Signature));
    }

    #[test]
    fn every_changed_character_is_refused() {
        let token = signer(1).sign(&claims());
        let model = Digest::of(b"model");
        for place in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(verifier().verify(&changed, &model).is_err(), "at {place}");
        }
        for bad in ["", ".", "..", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
            assert_eq!(verifier().verify(bad, &model), Err(WarrantRefusal::Signature));
        }
    }
}
