use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reeve_domain::{Digest, Entropy};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// The secret in a console user's cookie: 32 random bytes as base64url. The store keeps only its
/// digest; a random value of that length cannot be guessed from it.
pub struct SessionToken(Zeroizing<String>);

impl SessionToken {
    /// A new session's token.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self(Zeroizing::new(random(entropy)))
    }

    /// Takes a token from a cookie.
    pub fn presented(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// The token, for the cookie.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What the store keeps and finds the session by.
    pub fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }
}

/// A token against cross-site request forgery, tied to one session.
pub fn new_csrf_token(entropy: &dyn Entropy) -> String {
    random(entropy)
}

/// Whether a request's token is the session's, in constant time.
pub fn csrf_matches(presented: &str, session: &str) -> bool {
    bool::from(presented.as_bytes().ct_eq(session.as_bytes()))
}

fn random(entropy: &dyn Entropy) -> String {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    entropy.fill(bytes.as_mut_slice());
    URL_SAFE_NO_PAD.encode(bytes.as_slice())
}

#[cfg(test)]
mod tests {
    use reeve_domain::SeededEntropy;

    use super::*;

    #[test]
    fn a_session_is_found_by_its_tokens_digest() {
        let token = SessionToken::generate(&SeededEntropy::new(1));
        assert_eq!(SessionToken::presented(token.reveal()).digest(), token.digest());
        assert_ne!(SessionToken::generate(&SeededEntropy::new(2)).digest(), token.digest());
        assert!(
            csrf_matches("abc", "abc") && !csrf_matches("abc", "abd") && !csrf_matches("", "a")
        );
    }
}
