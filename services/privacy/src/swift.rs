//! Bank identifiers: ISO 9362. Eight letters could be any word, so only beside `BIC` or `SWIFT`.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use crate::{catalog::SpecialKind, scan::Scan};

#[expect(clippy::expect_used, reason = "built from constants, and by every test")]
static WORDS: LazyLock<AhoCorasick> =
    LazyLock::new(|| AhoCorasick::new(["BIC", "SWIFT", "Swift", "swift"]).expect("four words"));

/// Whether such a word may be there.
pub(crate) fn is_announced(bytes: &[u8]) -> bool {
    WORDS.is_match(bytes)
}

/// Looks behind each word that announces one.
pub(crate) fn near_its_word(scan: &mut Scan<'_>) {
    let bytes = scan.bytes;
    for found in WORDS.find_iter(bytes) {
        let (found, end) = (found.start(), found.end());
        let before = found.checked_sub(1).and_then(|before| bytes.get(before));
        let inside = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'[');
        if before.is_some_and(inside) || bytes.get(end).is_some_and(inside) {
            continue;
        }
        let behind = bytes.get(end..(end + 48).min(bytes.len())).unwrap_or_default();
        let mut place = end;
        for word in behind.split(|byte| !byte.is_ascii_alphanumeric()) {
            let whole = place + word.len() < end + 48 || end + 48 >= bytes.len();
            // Words of a kind's name in brackets are none: a value was taken out there.
            let joined = |at: Option<usize>| at.and_then(|at| bytes.get(at)) == Some(&b'_');
            let of_a_name = joined(place.checked_sub(1)) || joined(Some(place + word.len()));
            if whole && is_bic(word) && !of_a_name {
                scan.add(SpecialKind::SWIFT_CODE, place..place + word.len(), 0.8);
            }
            place += word.len() + 1;
        }
    }
}

fn is_bic(word: &[u8]) -> bool {
    let bank = word.get(..6).unwrap_or_default();
    matches!(word.len(), 8 | 11)
        && bank.iter().all(u8::is_ascii_uppercase)
        && word.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        && !matches!(word, b"TRANSFER" | b"PAYMENTS" | b"ACCOUNTS" | b"BANKCODE" | b"COORDINATES")
}
