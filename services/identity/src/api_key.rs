use reeve_domain::{ApiKey, Digest, Entropy, Timestamp};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::Pepper;

const SCHEME: &str = "rv_";
const PREFIX: usize = 8;
/// 43 characters of 62 hold 256 bits.
const SECRET: usize = 43;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A new API key: `rv_`, a public prefix of 8 characters, `_`, and a secret of 43, all base 62.
/// It is shown once and never stored; [`ApiKey`] keeps its prefix and its keyed hash.
pub struct ApiKeySecret {
    text: Zeroizing<String>,
    prefix: String,
}

impl ApiKeySecret {
    /// A new random key.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let prefix = random_text(entropy, PREFIX);
        let secret = Zeroizing::new(random_text(entropy, SECRET));
        let text = Zeroizing::new(format!("{SCHEME}{prefix}_{}", secret.as_str()));
        Self { text, prefix }
    }

    /// The whole key, to be shown to its owner once.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// The public part that the key is looked up by.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

fn random_text(entropy: &dyn Entropy, length: usize) -> String {
    let mut text = String::with_capacity(length);
    let mut byte = [0_u8; 1];
    while text.len() < length {
        entropy.fill(&mut byte);
        // 248 is the largest multiple of 62 below 256: what lies above would favour some.
        if byte[0] < 248
            && let Some(letter) = ALPHABET.get(usize::from(byte[0] % 62))
        {
            text.push(char::from(*letter));
        }
    }
    text
}

/// The public prefix of something that has the form of a key.
pub fn key_prefix(presented: &str) -> Option<&str> {
    let (prefix, secret) = presented.strip_prefix(SCHEME)?.split_once('_')?;
    let base62 = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (prefix.len() == PREFIX && secret.len() == SECRET && base62(prefix) && base62(secret))
        .then_some(prefix)
}

/// Whether `presented` is the key that is stored as `key`, and the key may still be used. The hash
/// is compared in constant time.
pub fn verify_key(key: &ApiKey, presented: &str, pepper: &Pepper, now: Timestamp) -> bool {
    let hash: Digest = pepper.hash(presented);
    let same = bool::from(hash.as_bytes().ct_eq(key.hash.as_bytes()));
    let in_force = key.revoked_at.is_none() && key.expires_at.is_none_or(|expires| now < expires);
    same && in_force
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use reeve_domain::{KeyId, SeededEntropy, TenantId};

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000);

    fn stored(secret: &ApiKeySecret, pepper: &Pepper) -> ApiKey {
        ApiKey {
            id: KeyId::new("key_1").unwrap(),
            tenant: TenantId::new("acme").unwrap(),
            name: "test".to_owned(),
            prefix: secret.prefix().to_owned(),
            hash: pepper.hash(secret.reveal()),
            scopes: BTreeSet::new(),
            created_at: NOW,
            expires_at: None,
            revoked_at: None,
            holder: None,
        }
    }

    #[test]
    fn a_key_is_found_by_its_prefix_and_verified_by_its_hash() {
        let pepper = Pepper::new([1; 32]);
        let entropy = SeededEntropy::new(1);
        let (mine, other) = (ApiKeySecret::generate(&entropy), ApiKeySecret::generate(&entropy));
        let key = stored(&mine, &pepper);
        assert_eq!(key_prefix(mine.reveal()), Some(mine.prefix()));
        assert!(verify_key(&key, mine.reveal(), &pepper, NOW));
        assert!(!verify_key(&key, other.reveal(), &pepper, NOW));
        assert!(!verify_key(&key, mine.reveal(), &Pepper::new([2; 32]), NOW));
    }

    #[test]
    fn a_key_that_expired_or_was_revoked_is_refused() {
        let pepper = Pepper::new([1; 32]);
        let secret = ApiKeySecret::generate(&SeededEntropy::new(1));
        let key = stored(&secret, &pepper);
        let expired = ApiKey { expires_at: Some(NOW), ..key.clone() };
        let revoked = ApiKey { revoked_at: Some(NOW), ..key };
        assert!(!verify_key(&expired, secret.reveal(), &pepper, NOW));
        assert!(!verify_key(&revoked, secret.reveal(), &pepper, NOW));
    }

    #[test]
    fn what_has_not_the_form_of_a_key_has_no_prefix() {
        for text in
            ["", "rv_", "rv_short_x", "sk_AAAAAAAA_x", &format!("rv_AAAAAAAA_{}", "é".repeat(43))]
        {
            assert_eq!(key_prefix(text), None, "{text}");
        }
    }
}
