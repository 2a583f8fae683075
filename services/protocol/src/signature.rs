//! The statement with which somebody vouches for a model bundle: a file beside the bundle's own,
//! which its digest does not cover.
//!
//! A compact JWS (RFC 7515) with `EdDSA` over Ed25519 (RFC 8037).

use ed25519_dalek::{SigningKey, VerifyingKey};
use reeve_domain::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::jws::Jws;

/// Where the statement lies in a bundle's directory.
pub const SIGNATURE_FILE: &str = "bundle.jws";

const TYPE: &str = "reeve-model+jwt";

/// What the statement says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelSignature {
    /// The model's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The bundle, all of it.
    pub digest: Digest,
    /// When, in seconds since the Unix epoch.
    pub iat: i64,
}

impl ModelSignature {
    /// The statement that a bundle is the model that it says it is.
    pub fn sign(
        key: &SigningKey,
        name: &str,
        version: &str,
        digest: Digest,
        at: Timestamp,
    ) -> String {
        let (name, version, iat) = (name.to_owned(), version.to_owned(), at.as_seconds());
        Jws::new(TYPE).sign(key, &Self { name, version, digest, iat })
    }

    /// What a statement says, if the key signed it and it is about the bundle `digest`.
    pub fn verify(key: &VerifyingKey, statement: &str, digest: &Digest) -> Option<Self> {
        let said: Self = Jws::new(TYPE).open(key, statement.trim())?;
        (said.digest == *digest).then_some(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_key_signed_for_the_bundle_is_accepted() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        let at = Timestamp::from_micros(5_000_000);
        let statement = ModelSignature::sign(&key, "support", "1", one, at);
        let said = ModelSignature::verify(&key.verifying_key(), &statement, &one).unwrap();
        assert_eq!((said.name.as_str(), said.version.as_str(), said.iat), ("support", "1", 5));
        assert_eq!(ModelSignature::verify(&key.verifying_key(), &statement, &other), None);
        let stranger = SigningKey::from_bytes(&[2; 32]).verifying_key();
        assert_eq!(ModelSignature::verify(&stranger, &statement, &one), None);
        let other_kind = Jws::new("reeve-activation+jwt").sign(&key, &said);
        assert_eq!(ModelSignature::verify(&key.verifying_key(), &other_kind, &one), None);
    }
}
