//! Stand-ins that are the same for the same value, so that a text still tells who is who.

use hmac::{Hmac, Mac as _};
use reeve_domain::Kind;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::fold::Folded;

/// Letters of a stand-in: no digits, which would look like a number, and no vowels, which would
/// make words. Sixteen, four bits each.
const LETTERS: &[u8; 16] = b"bcdfghjkmnpqrstv";
/// The domain of e-mail addresses and pages that stand for others (RFC 2606: never assigned).
const DOMAIN: &str = "pseudonym.invalid";
/// What IP addresses that stand for others begin with (RFC 3849: for documentation).
const PREFIX: &str = "2001:db8:";

/// Makes the stand-ins of one tenant, under a key of its own: equal values look equal in all its
/// texts, and nobody without the key can tell which values they stand for or whether two tenants
/// have the same.
///
/// E-mail addresses, URLs and IP addresses keep their form, within names and ranges that are never
/// assigned; everything else becomes `[KIND-letters]`. A stand-in stands for itself: its last ten
/// letters prove that it was made under this key.
pub struct Pseudonyms {
    key: Zeroizing<[u8; 32]>,
}

impl Pseudonyms {
    /// Takes the tenant's key: 32 secret bytes.
    pub fn new(key: [u8; 32]) -> Self {
        Self { key: Zeroizing::new(key) }
    }

    /// What stands for a value.
    pub(crate) fn of(&self, kind: &Kind, value: &str) -> String {
        if self.is_own(kind.as_str(), value) {
            return value.to_owned();
        }
        let plain = Folded::new(value);
        // How a number is grouped and how a word is capitalised makes no other value.
        let mut meant: Vec<u8> = plain.bytes.to_ascii_lowercase();
        if kind.as_str() != "EMAIL_ADDRESS" && kind.as_str() != "URL" {
            meant.retain(|byte| !byte.is_ascii_punctuation() && *byte != b' ');
        }
        let name = letters(&self.mac(&[b"value", kind.as_str().as_bytes(), &meant]), 12);
        match kind.as_str() {
            "EMAIL_ADDRESS" | "URL" | "IP_ADDRESS" => self.proven(kind.as_str(), &name),
            kind => format!("[{kind}-{name}]"),
        }
    }

    /// A stand-in that keeps a form, from its first twelve letters.
    fn proven(&self, kind: &str, name: &str) -> String {
        let proof = self.mac(&[b"proof", kind.as_bytes(), name.as_bytes()]);
        match kind {
            "IP_ADDRESS" => {
                // Six bytes that the letters stand for, and six that prove them.
                let named = name.bytes().map(|letter| {
                    LETTERS.iter().position(|known| *known == letter).unwrap_or_default()
                });
                let named: String = named.map(|digit| format!("{digit:x}")).collect();
                let digits = named + &hex::encode(proof.get(..6).unwrap_or_default());
                let groups: Vec<&str> = (0..24)
                    .step_by(4)
                    .map(|at| digits.get(at..at + 4).unwrap_or_default())
                    .collect();
                format!("{PREFIX}{}", groups.join(":"))
            }
            "URL" => format!("https://{DOMAIN}/{name}{}", letters(&proof, 10)),
            _ => format!("p-{name}{}@{DOMAIN}", letters(&proof, 10)),
        }
    }

    /// Whether a value was made under this key.
    fn is_own(&self, kind: &str, value: &str) -> bool {
        let name = match kind {
            "EMAIL_ADDRESS" => value.strip_prefix("p-").and_then(|rest| rest.get(..12)),
            "URL" => value
                .strip_prefix("https://")
                .and_then(|rest| rest.strip_prefix(DOMAIN))
                .and_then(|rest| rest.get(1..13)),
            "IP_ADDRESS" => {
                let digits = value.strip_prefix(PREFIX).map(|rest| rest.replace(':', ""));
                let nibble = |digit: char| {
                    LETTERS.get(usize::try_from(digit.to_digit(16)?).ok()?).copied().map(char::from)
                };
                let name: Option<String> =
                    digits.map(|digits| digits.chars().take(12).filter_map(nibble).collect());
                return name.is_some_and(|name| {
                    name.len() == 12 && self.proven(kind, &name).eq_ignore_ascii_case(value)
                });
            }
            _ => None,
        };
        name.is_some_and(|name| self.proven(kind, name) == value)
    }

    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        // A key of any length is accepted.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.key.as_slice()) else {
            return [0; 32];
        };
        for part in parts {
            // The length first, so that no two lists of parts look the same.
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

/// The first letters that bytes stand for.
fn letters(bytes: &[u8], count: usize) -> String {
    let letter = |four: u8| LETTERS.get(usize::from(four)).copied().map_or('b', char::from);
    bytes.iter().flat_map(|byte| [letter(byte >> 4), letter(byte & 15)]).take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stand_ins_are_stable_keyed_and_stand_for_themselves() {
        let (mine, other) = (Pseudonyms::new([1; 32]), Pseudonyms::new([2; 32]));
        for (kind, one, same, another) in [
            ("EMAIL_ADDRESS", "Jo@example.com", "jo@example.com", "joe@example.com"),
            ("IP_ADDRESS", "192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("URL", "https://example.com/a", "https://example.com/a", "https://example.com/b"),
            ("PHONE_NUMBER", "+49 30 1234567", "+49-30-1234567", "+49 30 1234568"),
            ("PHONE_NUMBER", "１３８００１３８０００", "13800138000", "13800138001"),
        ] {
            let kind = Kind::named(kind);
            let pseudonym = mine.of(&kind, one);
            assert_eq!(pseudonym, mine.of(&kind, same));
            assert_ne!(pseudonym, mine.of(&kind, another));
            assert_ne!(pseudonym, other.of(&kind, one));
            if !pseudonym.starts_with('[') {
                assert_eq!(pseudonym, mine.of(&kind, &pseudonym), "it stands for itself");
                assert_ne!(pseudonym, other.of(&kind, &pseudonym), "but only under its key");
            }
        }
    }
}
