//! International bank account numbers: ISO 13616, checked by country format and modulo 97.

use iban::IbanLike as _;
use reeve_domain::Kind;

use crate::finding::Finding;

const LONGEST: usize = 34;
const SHORTEST: usize = 15;

/// An IBAN that begins at `at`.
pub(crate) fn at(bytes: &[u8], at: usize) -> Option<Finding> {
    let [a, b, c, d] = bytes.get(at..)?.first_chunk::<4>()?;
    if !(a.is_ascii_alphabetic() && b.is_ascii_alphabetic()) {
        return None;
    }
    // Some write `DE 89 …` or `DE-89…`; the checksum's digits follow the country all the same.
    let follows =
        c.is_ascii_digit() && d.is_ascii_digit() || matches!(c, b' ' | b'-') && d.is_ascii_digit();
    if !follows {
        return None;
    }
    let mut text = String::with_capacity(LONGEST);
    let mut ends = Vec::new();
    let mut here = at;
    while let Some(byte) = bytes.get(here) {
        let next = bytes.get(here.saturating_add(1));
        match byte {
            byte if byte.is_ascii_alphanumeric() => {
                if text.len() >= LONGEST {
                    break;
                }
                text.push(char::from(byte.to_ascii_uppercase()));
                if !next.is_some_and(u8::is_ascii_alphanumeric) {
                    ends.push((here.saturating_add(1), text.len()));
                }
            }
            b' ' | b'-' if next.is_some_and(u8::is_ascii_alphanumeric) => {}
            _ => break,
        }
        here = here.saturating_add(1);
    }
    ends.iter().rev().filter(|(_, length)| *length >= SHORTEST).find_map(|(end, length)| {
        let parsed: iban::Iban = text.get(..*length)?.parse().ok()?;
        (parsed.electronic_str().len() == *length)
            .then(|| Finding::new(Kind::IBAN_CODE, at..*end, 0.99))
    })
}
