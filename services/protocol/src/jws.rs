//! A compact JWS (RFC 7515) with `EdDSA` over Ed25519 (RFC 8037), of one fixed header: there is no
//! algorithm to be confused about, and what was signed for one purpose is refused for another.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Serialize, de::DeserializeOwned};

/// Longer than any of them is.
pub(crate) const LONGEST: usize = 4 * 1024;

/// A kind of token.
#[derive(Clone)]
pub(crate) struct Jws {
    /// As every token of the kind begins, in base64url.
    pub(crate) header: String,
}

impl Jws {
    /// `typ` tells it from tokens for other purposes (RFC 7515, section 4.1.9).
    pub(crate) fn new(typ: &str) -> Self {
        Self { header: BASE64.encode(format!(r#"{{"alg":"EdDSA","typ":"{typ}"}}"#)) }
    }

    pub(crate) fn sign<T: Serialize>(&self, key: &SigningKey, claims: &T) -> String {
        // Names, digests and numbers always have a JSON form.
        let payload = serde_json::to_vec(claims).unwrap_or_default();
        let mut token = format!("{}.{}", self.header, BASE64.encode(payload));
        let signature = key.sign(token.as_bytes());
        token.push('.');
        token.push_str(&BASE64.encode(signature.to_bytes()));
        token
    }

    /// The claims, if the key signed them in a token of this kind.
    pub(crate) fn open<T: DeserializeOwned>(&self, key: &VerifyingKey, token: &str) -> Option<T> {
        if token.len() > LONGEST {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        if header != self.header {
            return None;
        }
        let signature = Signature::from_slice(&BASE64.decode(signature).ok()?).ok()?;
        key.verify_strict(signed.as_bytes(), &signature).ok()?;
        serde_json::from_slice(&BASE64.decode(payload).ok()?).ok()
    }
}
