//! International bank account numbers: ISO 13616, checked by country format and modulo 97.

use std::ops::Range;

use iban::IbanLike as _;

use crate::{catalog::SpecialKind, scan::Scan};

const LONGEST: usize = 34;
const SHORTEST: usize = 15;

/// An IBAN whose country and check digits are this piece, or begin it; some write `DE 89 …`.
pub(crate) fn at(scan: &mut Scan<'_>, piece: &Range<usize>) {
    let bytes = scan.bytes;
    let start = match bytes.get(piece.clone()) {
        Some([a, b, c, d, ..])
            if a.is_ascii_alphabetic()
                && b.is_ascii_alphabetic()
                && c.is_ascii_digit()
                && d.is_ascii_digit() =>
        {
            piece.start
        }
        Some([a, b, ..]) if a.is_ascii_digit() && b.is_ascii_digit() => {
            let country = piece.start.checked_sub(3).and_then(|at| bytes.get(at..piece.start));
            match country {
                Some([a, b, b' ' | b'-']) if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                    piece.start - 3
                }
                _ => return,
            }
        }
        _ => return,
    };
    let before = start.checked_sub(1).and_then(|before| bytes.get(before));
    if before.is_some_and(u8::is_ascii_alphanumeric) {
        return;
    }
    let mut text = String::with_capacity(LONGEST);
    let mut ends = Vec::new();
    let mut here = start;
    while let Some(byte) = bytes.get(here) {
        let next = bytes.get(here + 1);
        match byte {
            byte if byte.is_ascii_alphanumeric() => {
                if text.len() >= LONGEST {
                    break;
                }
                text.push(char::from(byte.to_ascii_uppercase()));
                if !next.is_some_and(u8::is_ascii_alphanumeric) {
                    ends.push((here + 1, text.len()));
                }
            }
            b' ' | b'-' | b'.' if next.is_some_and(u8::is_ascii_alphanumeric) => {}
            _ => break,
        }
        here += 1;
    }
    for (end, length) in ends.into_iter().rev().filter(|(_, length)| *length >= SHORTEST) {
        let parsed = text.get(..length).and_then(|text| text.parse::<iban::Iban>().ok());
        if parsed.is_some_and(|iban| iban.electronic_str().len() == length) {
            scan.add(SpecialKind::IBAN_CODE, start..end, 0.99);
            if scan.wants(SpecialKind::IBAN_CODE) {
                scan.accounts_to = end;
            }
            return;
        }
    }
}
