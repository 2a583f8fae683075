//! Passwords of console users: Argon2id (RFC 9106) with OWASP's parameters, kept as PHC strings.

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use reeve_domain::Entropy;

/// A password that cannot be hashed.
#[derive(Debug, thiserror::Error)]
#[error("a password must have 12 to 256 characters")]
pub struct PasswordRefused;

/// 19 MiB, 2 passes, 1 lane: OWASP's password storage cheat sheet.
fn hasher() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Hashes a new password. Takes some ten milliseconds by design: never on an async thread.
pub fn hash(password: &str, entropy: &dyn Entropy) -> Result<String, PasswordRefused> {
    if !(12..=256).contains(&password.chars().count()) {
        return Err(PasswordRefused);
    }
    let mut salt = [0_u8; 16];
    entropy.fill(&mut salt);
    hasher()
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(|_| PasswordRefused)
}

/// Whether `password` is the one that `stored` was made of. With no user and so nothing stored it
/// takes the same time and says no, so that it cannot be learnt who has an account.
pub fn verify(password: &str, stored: Option<&str>) -> bool {
    /// The hash of a password that nobody knows, with the parameters of [`hasher`].
    const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$cmVldmUtbm9ib2R5LXNhbHQ$\
                          3JQ1y2yCwMbqkTGZBMQHlbXzOBsTXOeDeOjZkzWLQVk";
    let Ok(hash) = PasswordHash::new(stored.unwrap_or(NOBODY)) else { return false };
    let same = hasher().verify_password(password.as_bytes(), &hash).is_ok();
    same && stored.is_some()
}

#[cfg(test)]
mod tests {
    use reeve_domain::{Clock as _, SeededEntropy, SystemClock};

    use super::*;

    #[test]
    fn the_right_password_is_known_again() {
        let stored = hash("correct horse battery", &SeededEntropy::new(1)).unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(verify("correct horse battery", Some(&stored)));
        assert!(!verify("correct horse batterz", Some(&stored)));
        assert!(!verify("correct horse battery", Some("not a hash")));
        assert_ne!(stored, hash("correct horse battery", &SeededEntropy::new(2)).unwrap());
        assert!(hash("short", &SeededEntropy::new(1)).is_err());
    }

    #[test]
    fn somebody_unknown_costs_a_whole_hash_too() {
        let clock = SystemClock::default();
        let begun = clock.monotonic();
        assert!(!verify("whatever it may be", None));
        // A refusal before the hash would take microseconds.
        assert!(clock.monotonic().saturating_sub(begun).as_millis() >= 2);
    }
}
