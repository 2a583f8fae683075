//! Secrets: keys and tokens by the prefixes that their providers document, and private keys.

use std::ops::Range;

use crate::{catalog::SpecialKind, scan::Scan};

/// A provider's prefix, and how many characters at least follow it.
const PREFIXES: [(&[u8], usize); 26] = [
    (b"AKIA", 16),
    (b"ASIA", 16),
    (b"ghp_", 36),
    (b"gho_", 36),
    (b"ghu_", 36),
    (b"ghs_", 36),
    (b"ghr_", 36),
    (b"github_pat_", 22),
    (b"glpat-", 20),
    (b"xoxb-", 20),
    (b"xoxp-", 20),
    (b"xoxa-", 20),
    (b"xoxs-", 20),
    (b"sk_live_", 16),
    (b"sk_test_", 16),
    (b"rk_live_", 16),
    (b"sk-proj-", 20),
    (b"sk-ant-", 20),
    (b"sk-", 32),
    (b"AIza", 35),
    (b"ya29.", 20),
    (b"hf_", 30),
    (b"npm_", 36),
    (b"pypi-", 50),
    (b"SG.", 40),
    (b"LTAI", 12),
];

/// Tokens are not longer than this; a longer one is cut, and so is still found by its prefix.
const LONGEST: usize = 8192;

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// A token that holds a piece.
pub(crate) fn token(scan: &mut Scan<'_>, piece: &Range<usize>) {
    if piece.start < scan.secrets_to {
        return;
    }
    let bytes = scan.bytes;
    let before = bytes.get(scan.secrets_to..piece.start).unwrap_or_default();
    let left = before.iter().rev().take(512).take_while(|byte| is_token(**byte)).count();
    let start = piece.start - left;
    let rest = bytes.get(start..).unwrap_or_default();
    let length = rest.iter().take(LONGEST).take_while(|byte| is_token(**byte)).count();
    scan.secrets_to = start + length;
    let token = rest.get(..length).unwrap_or_default();
    if length < 16 {
        return;
    }
    if token.starts_with(b"eyJ") {
        let parts = token.split(|byte| *byte == b'.').filter(|part| part.len() >= 4).count();
        if parts >= 2 && token.len() >= 24 {
            let end = token.iter().rposition(|byte| *byte != b'.').map_or(0, |last| last + 1);
            scan.add(SpecialKind::JWT, start..start + end, 0.97);
            return;
        }
    }
    let known = PREFIXES.iter().any(|(prefix, least)| {
        token.strip_prefix(*prefix).is_some_and(|rest| rest.len() >= *least)
    });
    if known {
        let end = token.iter().rposition(|byte| *byte != b'.').map_or(0, |last| last + 1);
        scan.add(SpecialKind::API_KEY, start..start + end, 0.95);
    }
}

/// A private key in PEM (RFC 7468) that begins with the dash at `at`.
pub(crate) fn pem(scan: &mut Scan<'_>, at: usize) {
    if at < scan.keys_to {
        return;
    }
    let Some(rest) = scan.bytes.get(at..) else { return };
    let Some(label) = rest.strip_prefix(b"-----BEGIN ") else { return };
    let head = label.get(..label.len().min(40)).unwrap_or_default();
    if memchr::memmem::find(head, b"PRIVATE KEY-----").is_none() {
        return;
    }
    // Cut off before its end, it is a key all the same.
    let end = memchr::memmem::find(rest, b"-----END ")
        .and_then(|end| {
            let tail = rest.get(end + 9..)?;
            Some(end + 9 + memchr::memmem::find(tail, b"-----")? + 5)
        })
        .unwrap_or(rest.len());
    scan.keys_to = at + end;
    scan.add(SpecialKind::PRIVATE_KEY, at..at + end, 0.99);
}
