//! The warrant: a short-lived signed token that a pod asks for with every call. It names the
//! decision, the tenant, the model's digest and the region, so that a call can be processed
//! nowhere else and under no other model than policy permitted.
//!
//! A compact JWS (RFC 7515) with `EdDSA` over Ed25519 (RFC 8037), or, once gateway and pod have met,
//! with HS256 under a key that only they have ([`crate::agreement`]); its claims follow RFC 7519.

use std::{collections::HashMap, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use ed25519_dalek::{SigningKey, VerifyingKey};
use parking_lot::RwLock;
use reeve_domain::{Clock, DecisionId, Digest, Entropy, Region, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    agreement::{self, Acquaintance, OwnKey, SharedKey},
    jws::Jws,
};

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
    /// It is sealed with a key that is not known here, or not any more: a signed one is taken.
    #[error("warrant refused: not sealed by a gateway that introduced itself")]
    Unknown,
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
    own: OwnKey,
}

impl WarrantSigner {
    /// A signer that speaks as `issuer`.
    pub fn new(key: SigningKey, issuer: impl Into<String>, entropy: &dyn Entropy) -> Self {
        let own = OwnKey::new(entropy);
        Self { key, issuer: issuer.into(), jws: Jws::new(TYPE), own }
    }

    /// What this gateway says to a pod in `region` that told its public key; none if it is no key.
    pub fn introduce(
        &self,
        pod_key: &str,
        region: &Region,
        now: Timestamp,
    ) -> Option<Acquaintance> {
        let signer = (&self.key, self.issuer.as_str());
        agreement::introduce(&self.own, signer, (pod_key, region), now.as_seconds(), TYPE)
    }

    /// The warrant for `claims`, for a pod that has seen the introduction and for no other.
    pub fn seal(&self, with: &Acquaintance, claims: &Claims) -> String {
        with.shared.seal(&self.spoken(claims))
    }

    fn spoken(&self, claims: &Claims) -> Claims {
        Claims { iss: self.issuer.clone(), ..claims.clone() }
    }

    /// The warrant for `claims`; the issuer is the signer's own, whatever they say.
    pub fn sign(&self, claims: &Claims) -> String {
        self.jws.sign(&self.key, &self.spoken(claims))
    }
}

/// Checks warrants for one region.
#[derive(Clone)]
pub struct WarrantVerifier {
    key: VerifyingKey,
    region: Region,
    clock: Arc<dyn Clock>,
    jws: Jws,
    own: Arc<OwnKey>,
    known: Arc<RwLock<HashMap<String, Known>>>,
}

/// A gateway that introduced itself.
struct Known {
    key: SharedKey,
    /// Until when, in seconds since the Unix epoch.
    until: i64,
}

/// More gateways than ask one pod.
const MOST_KNOWN: usize = 1024;

impl WarrantVerifier {
    /// A verifier for a pod in `region`.
    pub fn new(
        key: VerifyingKey,
        region: Region,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
    ) -> Self {
        let (own, known) = (Arc::new(OwnKey::new(entropy)), Arc::default());
        Self { key, region, clock, jws: Jws::new(TYPE), own, known }
    }

    /// The public key that gateways are told, in base64url.
    pub fn public_key(&self) -> String {
        self.own.public()
    }

    /// Takes from now on what the gateway seals that signed this introduction.
    pub fn accept(&self, introduction: &str) -> Result<(), WarrantRefusal> {
        let now = self.clock.now().as_seconds();
        let said = (introduction, &self.region);
        let (key, until) = agreement::accept(&self.own, &self.key, said, now, TYPE)
            .ok_or(WarrantRefusal::Signature)?;
        let mut known = self.known.write();
        known.retain(|_, one| one.until >= now);
        if known.len() >= MOST_KNOWN && !known.contains_key(&key.header) {
            let soonest = known.iter().min_by_key(|(_, one)| one.until);
            let soonest = soonest.map(|(header, _)| header.clone());
            known.remove(&soonest.unwrap_or_default());
        }
        known.insert(key.header.clone(), Known { key, until });
        Ok(())
    }

    /// The claims, if a gateway signed or sealed them.
    fn read(&self, token: &str) -> Result<Claims, WarrantRefusal> {
        let header = token.split('.').next().unwrap_or_default();
        if header == self.jws.header {
            return self.jws.open(&self.key, token).ok_or(WarrantRefusal::Signature);
        }
        let now = self.clock.now().as_seconds();
        match self.known.read().get(header).filter(|one| one.until >= now) {
            Some(one) => one.key.open(token).ok_or(WarrantRefusal::Signature),
            None if names_a_key(header) => Err(WarrantRefusal::Unknown),
            None => Err(WarrantRefusal::Signature),
        }
    }

    /// Checks that `token` permits this pod to process a call with the bundle `model` now.
    pub fn verify(&self, token: &str, model: &Digest) -> Result<Claims, WarrantRefusal> {
        let claims = self.open(token)?;
        if claims.model == *model { Ok(claims) } else { Err(WarrantRefusal::Model(claims.model)) }
    }

    /// Checks that `token` permits this pod to process a call now, with the bundle that it names.
    pub fn open(&self, token: &str) -> Result<Claims, WarrantRefusal> {
        let claims = self.read(token)?;
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

/// Whether it is the header of a token that a shared key sealed.
fn names_a_key(header: &str) -> bool {
    #[derive(Deserialize)]
    struct Header {
        alg: String,
        typ: String,
    }
    let bytes = BASE64.decode(header).ok();
    let header = bytes.and_then(|bytes| serde_json::from_slice::<Header>(&bytes).ok());
    header.is_some_and(|header| header.alg == "HS256" && header.typ == TYPE)
}

#[cfg(test)]
mod tests {
    use reeve_domain::{FixedClock, SeededEntropy};

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
        let key = SigningKey::from_bytes(&[seed; 32]);
        WarrantSigner::new(key, "reeve.local/gateway-1", &SeededEntropy::new(u64::from(seed)))
    }

    fn verifier() -> WarrantVerifier {
        verifier_at(Arc::new(FixedClock::new(NOW)), 7)
    }

    fn verifier_at(clock: Arc<FixedClock>, seed: u64) -> WarrantVerifier {
        let key = SigningKey::from_bytes(&[1; 32]).verifying_key();
        let region = Region::new("eu-west").unwrap();
        WarrantVerifier::new(key, region, clock, &SeededEntropy::new(seed))
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
    #[test]
    fn who_introduced_itself_need_not_sign() {
        let clock = Arc::new(FixedClock::new(NOW));
        let (gateway, pod) = (signer(1), verifier_at(clock.clone(), 7));
        let known = gateway.introduce(&pod.public_key(), &claims().region, NOW).unwrap();
        let sealed = gateway.seal(&known, &claims());
        assert_eq!(pod.open(&sealed), Err(WarrantRefusal::Unknown), "not introduced yet");
        pod.accept(known.introduction()).unwrap();
        assert_eq!(pod.open(&sealed).unwrap(), claims());
        assert_eq!(pod.open(&gateway.sign(&claims())).unwrap(), claims(), "signed as before");
        let elsewhere = Region::new("us-east").unwrap();
        let other = gateway.seal(&known, &Claims { region: elsewhere.clone(), ..claims() });
        assert_eq!(pod.open(&other), Err(WarrantRefusal::Region(elsewhere)));
        for place in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(pod.open(&changed).is_err(), "at {place}");
        }
        // Another pod, and the same one after it was started anew, know nothing of it.
        let again = verifier_at(clock.clone(), 8);
        assert_eq!(again.open(&sealed), Err(WarrantRefusal::Unknown));
        assert_eq!(again.accept(known.introduction()), Err(WarrantRefusal::Signature));
        assert!(known.is_with(&pod.public_key()) && !known.is_with(&again.public_key()));
        let later = |seconds| NOW.after(Duration::from_secs(seconds));
        assert!(known.lasts(NOW) && !known.lasts(later(1801)), "soon over");
        // An hour later it is over, for those who were introduced as well.
        clock.advance(Duration::from_secs(3601));
        assert_eq!(pod.open(&sealed), Err(WarrantRefusal::Unknown));
        assert_eq!(pod.accept(known.introduction()), Err(WarrantRefusal::Signature));
    }

    #[test]
    fn nobody_else_is_introduced() {
        let (gateway, pod) = (signer(1), verifier());
        let region = claims().region;
        let refused = |introduction: &str| {
            assert_eq!(pod.accept(introduction), Err(WarrantRefusal::Signature));
        };
        let of = |signer: &WarrantSigner, region: &Region| {
            signer.introduce(&pod.public_key(), region, NOW).unwrap()
        };
        refused(of(&signer(2), &region).introduction());
        refused(of(&gateway, &Region::new("us-east").unwrap()).introduction());
        refused(&gateway.sign(&claims()));
        refused("");
        // A warrant that names a key which the pod has, sealed with another.
        let known = of(&gateway, &region);
        pod.accept(known.introduction()).unwrap();
        let stranger = of(&signer(2), &region);
        let forged = signer(2).seal(&stranger, &claims());
        let forged = forged.replacen(&stranger.shared.header, &known.shared.header, 1);
        assert_eq!(pod.open(&forged), Err(WarrantRefusal::Signature));
        // Keys of small order would give a secret that everybody knows.
        for weak in [[0_u8; 32], {
            let mut one = [0_u8; 32];
            one[0] = 1;
            one
        }] {
            assert!(gateway.introduce(&BASE64.encode(weak), &region, NOW).is_none());
        }
        for bad in ["", "AAAA", "not base64!"] {
            assert!(gateway.introduce(bad, &region, NOW).is_none());
        }
    }
}
