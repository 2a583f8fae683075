//! Addresses of wallets: Bitcoin (Base58Check, BIP 173 and BIP 350) and Ethereum.

use std::ops::Range;

use crate::{catalog::SpecialKind, scan::Scan};

/// An address that is this piece.
pub(crate) fn at(scan: &mut Scan<'_>, piece: &Range<usize>) {
    if !scan.stands_alone(piece, &[], false) {
        return;
    }
    let Some(text) = scan.bytes.get(piece.clone()).and_then(|text| std::str::from_utf8(text).ok())
    else {
        return;
    };
    let confidence = match (text.as_bytes(), text.len()) {
        ([b'1' | b'3', ..], 26..=35) => base58(text).then_some(0.99),
        ([b'b', b'c', b'1', ..] | [b'B', b'C', b'1', ..], 42..=62) => {
            bech32::segwit::decode(text).is_ok().then_some(0.99)
        }
        ([b'0', b'x', digits @ ..], 42) => digits.iter().all(u8::is_ascii_hexdigit).then_some(0.8),
        _ => None,
    };
    if let Some(confidence) = confidence {
        scan.add(SpecialKind::CRYPTO, piece.clone(), confidence);
    }
}

fn base58(text: &str) -> bool {
    let versions = [0x00, 0x05];
    bs58::decode(text)
        .with_check(None)
        .into_vec()
        .is_ok_and(|bytes| bytes.len() == 21 && bytes.first().is_some_and(|v| versions.contains(v)))
}
