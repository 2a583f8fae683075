use std::collections::{BTreeSet, HashMap};

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use reeve_domain::{JwtIssuer, Scope, TenantId, Timestamp};
use serde::Deserialize;

/// The audience that a token must name.
const AUDIENCE: &str = "reeve";
/// Clocks of an issuer and a gateway may differ by this many seconds.
const LEEWAY: i64 = 30;
/// Longer than any token is that is worth reading.
const LONGEST: usize = 8 * 1024;

/// A caller that a token speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtCaller {
    /// The issuer's tenant, whatever the token says.
    pub tenant: TenantId,
    /// The `iss` claim.
    pub issuer: String,
    /// The `sub` claim. May be personal data: keep only its keyed hash.
    pub subject: String,
    /// The `scope` claim, split at spaces.
    pub scopes: BTreeSet<Scope>,
}

/// Why a token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefused {
    /// It is not a JSON Web Token, or lacks a claim.
    #[error("not a token with `iss`, `sub`, `aud`, `exp` and `scope`")]
    Malformed,
    /// No tenant trusts the issuer.
    #[error("unknown issuer")]
    Issuer,
    /// The signature does not hold, or is by another algorithm than the issuer's.
    #[error("the signature does not hold")]
    Signature,
    /// It is for somebody else.
    #[error("the audience is not `{AUDIENCE}`")]
    Audience,
    /// Its time is over, or has not come.
    #[error("expired, or not valid yet")]
    Time,
}

/// An issuer that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuerRefused {
    /// Its algorithm is not one of those that are accepted.
    #[error("the algorithm `{0}` is not one of EdDSA, ES256 and RS256")]
    Algorithm(String),
    /// Its key is not a public key for its algorithm.
    #[error("the key of `{0}` is not a public key as PEM for its algorithm")]
    Key(String),
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    aud: Audience,
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    scope: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

struct Issuer {
    tenant: TenantId,
    key: DecodingKey,
    validation: Validation,
}

/// Verifies tokens of the issuers that tenants have registered.
#[derive(Default)]
pub struct JwtVerifier(HashMap<String, Issuer>);

impl JwtVerifier {
    /// Reads every issuer's key once.
    pub fn new(issuers: &[JwtIssuer]) -> Result<Self, IssuerRefused> {
        issuers
            .iter()
            .map(|issuer| Ok((issuer.issuer.clone(), Issuer::new(issuer)?)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Verifies a token as of `now`. The algorithm is the issuer's own, never the one that the
    /// token's header asks for.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<JwtCaller, TokenRefused> {
        let name = claimed_issuer(token).ok_or(TokenRefused::Malformed)?;
        let issuer = self.0.get(&name).ok_or(TokenRefused::Issuer)?;
        let claims = jsonwebtoken::decode::<Claims>(token, &issuer.key, &issuer.validation)
            .map_err(|refused| match refused.kind() {
                jsonwebtoken::errors::ErrorKind::Json(_) => TokenRefused::Malformed,
                _ => TokenRefused::Signature,
            })?
            .claims;
        let for_us = match &claims.aud {
            Audience::One(one) => one == AUDIENCE,
            Audience::Many(many) => many.iter().any(|one| one == AUDIENCE),
        };
        if !for_us {
            return Err(TokenRefused::Audience);
        }
        let now = now.as_seconds();
        if claims.exp.saturating_add(LEEWAY) <= now
            || claims.nbf.is_some_and(|begin| begin.saturating_sub(LEEWAY) > now)
        {
            return Err(TokenRefused::Time);
        }
        let scopes = claims
            .scope
            .split_ascii_whitespace()
            .map(Scope::new)
            .collect::<Result<_, _>>()
            .map_err(|_| TokenRefused::Malformed)?;
        Ok(JwtCaller { tenant: issuer.tenant.clone(), issuer: name, subject: claims.sub, scopes })
    }
}

impl Issuer {
    fn new(issuer: &JwtIssuer) -> Result<Self, IssuerRefused> {
        let pem = issuer.public_key.as_bytes();
        let (algorithm, key) = match issuer.algorithm.as_str() {
            "EdDSA" => (Algorithm::EdDSA, DecodingKey::from_ed_pem(pem)),
            "ES256" => (Algorithm::ES256, DecodingKey::from_ec_pem(pem)),
            "RS256" => (Algorithm::RS256, DecodingKey::from_rsa_pem(pem)),
            other => return Err(IssuerRefused::Algorithm(other.to_owned())),
        };
        let key = key.map_err(|_| IssuerRefused::Key(issuer.issuer.clone()))?;
        let mut validation = Validation::new(algorithm);
        // Time and audience are checked here, against the clock that is given.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        Ok(Self { tenant: issuer.tenant.clone(), key, validation })
    }
}

/// The issuer that an unverified token names: only to find the key to verify it with.
fn claimed_issuer(token: &str) -> Option<String> {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    #[derive(Deserialize)]
    struct Named {
        iss: String,
    }
    if token.len() > LONGEST {
        return None;
    }
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Named>(&payload).ok().map(|named| named.iss)
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{
        SigningKey,
        pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, spki::der::pem::LineEnding},
    };
    use jsonwebtoken::{EncodingKey, Header};
    use serde_json::{Value, json};

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
    const ISSUER: &str = "https://id.acme.example";

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn verifier() -> JwtVerifier {
        JwtVerifier::new(&[JwtIssuer {
            issuer: ISSUER.to_owned(),
            tenant: TenantId::new("acme").unwrap(),
            algorithm: "EdDSA".to_owned(),
            public_key: key(1).verifying_key().to_public_key_pem(LineEnding::LF).unwrap(),
        }])
        .unwrap()
    }

    fn claims() -> Value {
        let now = NOW.as_seconds();
        json!({ "iss": ISSUER, "sub": "u1", "aud": "reeve", "exp": now + 60, "scope": "classify read" })
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = claims();
        claims[name] = value;
        claims
    }

    fn token(seed: u8, claims: &Value) -> String {
        let pem = key(seed).to_pkcs8_pem(LineEnding::LF).unwrap();
        let key = EncodingKey::from_ed_pem(pem.as_bytes()).unwrap();
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), claims, &key).unwrap()
    }

    #[test]
    fn a_token_of_a_known_issuer_speaks_for_its_tenant() {
        let caller = verifier().verify(&token(1, &claims()), NOW).unwrap();
        assert_eq!(caller.tenant.as_str(), "acme");
        assert_eq!(caller.subject, "u1");
        assert_eq!(caller.scopes.len(), 2);
        let several = with("aud", json!(["other", "reeve"]));
        assert!(verifier().verify(&token(1, &several), NOW).is_ok());
        let pretends = with("tenant", json!("globex"));
        assert_eq!(verifier().verify(&token(1, &pretends), NOW).unwrap().tenant.as_str(), "acme");
    }

    #[test]
    fn every_other_is_refused() {
        let now = NOW.as_seconds();
        let of =
            |seed: u8, claims: &Value| verifier().verify(&token(seed, claims), NOW).unwrap_err();
        assert_eq!(of(2, &claims()), TokenRefused::Signature);
        assert_eq!(of(1, &with("iss", json!("https://elsewhere.example"))), TokenRefused::Issuer);
        assert_eq!(of(1, &with("aud", json!("other"))), TokenRefused::Audience);
        assert_eq!(of(1, &with("exp", json!(now - 31))), TokenRefused::Time);
        assert_eq!(of(1, &with("nbf", json!(now + 31))), TokenRefused::Time);
        assert_eq!(of(1, &with("scope", json!("a/b"))), TokenRefused::Malformed);
        for bad in ["", "a.b", "a.b.c"] {
            assert_eq!(verifier().verify(bad, NOW), Err(TokenRefused::Malformed));
        }
    }

    #[test]
    fn another_algorithm_than_the_issuers_is_refused() {
        // Signed with the public key as if it were a shared secret: the classic confusion.
        let public = key(1).verifying_key().to_public_key_pem(LineEnding::LF).unwrap();
        let confused = jsonwebtoken::encode(
            &Header::new(Algorithm::HS256),
            &claims(),
            &EncodingKey::from_secret(public.as_bytes()),
        )
        .unwrap();
        assert_eq!(verifier().verify(&confused, NOW), Err(TokenRefused::Signature));
        let unsigned = {
            let signed = token(1, &claims());
            let payload = signed.split('.').nth(1).unwrap().to_owned();
            format!("eyJhbGciOiJub25lIn0.{payload}.")
        };
        assert!(verifier().verify(&unsigned, NOW).is_err());
    }

    #[test]
    fn an_issuer_with_a_key_that_is_none_is_refused() {
        let issuer = |algorithm: &str| JwtIssuer {
            issuer: ISSUER.to_owned(),
            tenant: TenantId::new("acme").unwrap(),
            algorithm: algorithm.to_owned(),
            public_key: "not a key".to_owned(),
        };
        assert!(matches!(JwtVerifier::new(&[issuer("EdDSA")]), Err(IssuerRefused::Key(_))));
        assert!(matches!(JwtVerifier::new(&[issuer("HS256")]), Err(IssuerRefused::Algorithm(_))));
    }
}
