//! The statement with which somebody vouches for a model bundle: a file beside the bundle's own,
//! which its digest does not cover.
//!
//! A compact JWS (RFC 7515) with `EdDSA` over Ed25519 (RFC 8037).

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use ed25519_dalek::{SigningKey, VerifyingKey};
use reeve_domain::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    jws::Jws,
    keys::{KeyFile, read_verifying_key},
};

/// Where the statement lies in a bundle's directory.
pub const SIGNATURE_FILE: &str = "bundle.jws";

/// A statement is never larger, in bytes.
pub const SIGNATURE_MAX: u64 = 16 * 1024;

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

/// Whose word makes a model one that may be served. Without keys every model is.
#[derive(Clone, Debug, Default)]
pub struct Vouchers(Vec<VerifyingKey>);

/// Nobody who is trusted vouches for a model.
#[derive(Debug, thiserror::Error)]
pub enum NotVouched {
    /// There is no statement beside it.
    #[error("nobody vouches for the model: it has no `{SIGNATURE_FILE}`")]
    Missing,
    /// The statement is not one of a trusted key about this bundle.
    #[error(
        "`{SIGNATURE_FILE}` is not signed by a key that is trusted here, or not for this model"
    )]
    Refused,
    /// The statement cannot be read.
    #[error("`{SIGNATURE_FILE}` cannot be read: {0}")]
    Io(io::Error),
}

impl Vouchers {
    /// Those whose public keys are in these files, as PEM.
    pub fn read(files: &[PathBuf]) -> Result<Self, KeyFile> {
        files.iter().map(|file| read_verifying_key(file)).collect::<Result<_, _>>().map(Self)
    }

    /// Checks that one of them vouches for the bundle in a directory as the model `name`, `version`.
    /// The digest must have been compared with the files before.
    pub fn check(
        &self,
        dir: &Path,
        (name, version): (&str, &str),
        digest: &Digest,
    ) -> Result<(), NotVouched> {
        if self.0.is_empty() {
            return Ok(());
        }
        let file = File::open(dir.join(SIGNATURE_FILE)).map_err(|fault| match fault.kind() {
            io::ErrorKind::NotFound => NotVouched::Missing,
            _ => NotVouched::Io(fault),
        })?;
        let mut statement = String::new();
        file.take(SIGNATURE_MAX).read_to_string(&mut statement).map_err(NotVouched::Io)?;
        let is_about_it = |said: ModelSignature| said.name == name && said.version == version;
        let holds = |key| ModelSignature::verify(key, &statement, digest).is_some_and(is_about_it);
        if self.0.iter().any(holds) { Ok(()) } else { Err(NotVouched::Refused) }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

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
    #[test]
    fn a_model_is_trusted_for_the_word_of_a_trusted_key() {
        let dir = tempfile::tempdir().unwrap();
        let (key, digest) = (SigningKey::from_bytes(&[1; 32]), Digest::of(b"one"));
        let trusted =
            Vouchers(vec![SigningKey::from_bytes(&[2; 32]).verifying_key(), key.verifying_key()]);
        let check = |who: &Vouchers, version| who.check(dir.path(), ("support", version), &digest);
        assert!(check(&Vouchers::default(), "1").is_ok());
        assert!(matches!(check(&trusted, "1"), Err(NotVouched::Missing)));
        let at = Timestamp::from_micros(5_000_000);
        let statement = ModelSignature::sign(&key, "support", "1", digest, at);
        fs::write(dir.path().join(SIGNATURE_FILE), statement).unwrap();
        assert!(check(&trusted, "1").is_ok());
        assert!(matches!(check(&trusted, "2"), Err(NotVouched::Refused)));
        let strangers = Vouchers(vec![SigningKey::from_bytes(&[3; 32]).verifying_key()]);
        assert!(matches!(check(&strangers, "1"), Err(NotVouched::Refused)));
        fs::write(dir.path().join(SIGNATURE_FILE), b"\xff\xfe").unwrap();
        assert!(matches!(check(&trusted, "1"), Err(NotVouched::Io(_))));
    }
}
