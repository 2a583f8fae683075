use std::ops::Range;

use reeve_domain::Kind;

/// A value that was found: what it is and where, never the value itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// Where it stands, in bytes, on character boundaries.
    pub range: Range<usize>,
    /// How sure that is, from 0 to 1.
    pub confidence: f32,
}

impl Finding {
    pub(crate) fn new(kind: Kind, range: Range<usize>, confidence: f32) -> Self {
        Self { kind, range, confidence }
    }

    /// What speaks for it, in a few words.
    pub fn why(&self) -> &'static str {
        match self.kind.as_str() {
            "EMAIL_ADDRESS" => "a local part, `@` and a domain",
            "PHONE_NUMBER" => "the digits and groups of a telephone number",
            "IBAN_CODE" => "a country's format and a checksum modulo 97 that holds",
            "CREDIT_CARD" => "a card network's prefix and length, and a Luhn checksum that holds",
            "IP_ADDRESS" => "an IPv4 or IPv6 address",
            "CN_RESIDENT_ID" => "a province, a date of birth and a GB 11643 check digit that holds",
            _ => "a pattern",
        }
    }
}
