//! The statement with which a bundle is put in force, signed by whoever may do so. A gateway
//! enforces no bundle without one, so that nobody changes policy by writing to the store.
//!
//! A compact JWS (RFC 7515) with `EdDSA` over Ed25519 (RFC 8037).

use ed25519_dalek::{SigningKey, VerifyingKey};
use reeve_domain::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::jws::Jws;

const TYPE: &str = "reeve-activation+jwt";

/// What the statement says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activation {
    /// The bundle.
    pub policy: Digest,
    /// Counts activations from 1: an older statement does not pass for a newer one.
    pub version: i64,
    /// Who put it in force.
    pub by: String,
    /// When, in seconds since the Unix epoch.
    pub iat: i64,
}

/// Signs activations.
#[derive(Clone)]
pub struct ActivationSigner {
    key: SigningKey,
    jws: Jws,
}

impl ActivationSigner {
    /// A signer with the installation's policy key.
    pub fn new(key: SigningKey) -> Self {
        Self { key, jws: Jws::new(TYPE) }
    }

    /// What signs the activation of a bundle, for whatever version it becomes.
    pub fn of(&self, policy: Digest, by: &str, at: Timestamp) -> impl Fn(i64) -> String + use<> {
        let (signer, by) = (self.clone(), by.to_owned());
        move |version| {
            let by = by.clone();
            let activation = Activation { policy, version, by, iat: at.as_seconds() };
            signer.jws.sign(&signer.key, &activation)
        }
    }
}

/// Checks activations.
#[derive(Clone)]
pub struct ActivationVerifier {
    key: VerifyingKey,
    jws: Jws,
}

impl ActivationVerifier {
    /// A verifier with the public half of the installation's policy key.
    pub fn new(key: VerifyingKey) -> Self {
        Self { key, jws: Jws::new(TYPE) }
    }

    /// What a statement says, if the key signed it and it is about the bundle `policy`.
    pub fn verify(&self, statement: &str, policy: &Digest) -> Option<Activation> {
        let said: Activation = self.jws.open(&self.key, statement)?;
        (said.policy == *policy).then_some(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_key_signed_for_the_bundle_is_accepted() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        let signer = ActivationSigner::new(key.clone());
        let statement = signer.of(one, "ann", Timestamp::from_micros(5_000_000))(3);
        let verifier = ActivationVerifier::new(key.verifying_key());
        let said = verifier.verify(&statement, &one).unwrap();
        assert_eq!(said, Activation { policy: one, version: 3, by: "ann".to_owned(), iat: 5 });
        assert_eq!(verifier.verify(&statement, &other), None);
        assert_eq!(verifier.verify("", &one), None);
        let stranger = ActivationVerifier::new(SigningKey::from_bytes(&[2; 32]).verifying_key());
        assert_eq!(stranger.verify(&statement, &one), None);
        for at in 0..statement.len() {
            let mut changed = statement.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(verifier.verify(std::str::from_utf8(&changed).unwrap(), &one), None, "{at}");
        }
    }

    #[test]
    fn a_token_of_another_kind_is_refused() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let policy = Digest::of(b"one");
        let activation = Activation { policy, version: 1, by: "ann".to_owned(), iat: 0 };
        let warrant = Jws::new("reeve-warrant+jwt").sign(&key, &activation);
        let verifier = ActivationVerifier::new(key.verifying_key());
        assert_eq!(verifier.verify(&warrant, &policy), None);
    }
}
