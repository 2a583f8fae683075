//! MAC addresses: IEEE 802 in the forms with colons and dashes.

use crate::{catalog::SpecialKind, scan::Scan};

/// An address whose first separator is at `at`.
pub(crate) fn mac(scan: &mut Scan<'_>, at: usize) {
    const LENGTH: usize = 17;
    let Some(start) = at.checked_sub(2) else { return };
    let Some(text) = scan.bytes.get(start..start + LENGTH) else { return };
    let separator = text.get(2).copied().unwrap_or_default();
    let shaped = text.chunks(3).all(|part| match part {
        [a, b, gap] => a.is_ascii_hexdigit() && b.is_ascii_hexdigit() && *gap == separator,
        [a, b] => a.is_ascii_hexdigit() && b.is_ascii_hexdigit(),
        _ => false,
    });
    if !shaped {
        return;
    }
    let edge = |byte: Option<&u8>| {
        byte.is_none_or(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b':' | b'-'))
    };
    let before = start.checked_sub(1).and_then(|before| scan.bytes.get(before));
    let digits = || text.iter().filter(|byte| **byte != separator).map(u8::to_ascii_uppercase);
    // Everybody's and nobody's address.
    let reserved = digits().all(|byte| byte == b'F') || digits().all(|byte| byte == b'0');
    if edge(before) && edge(scan.bytes.get(start + LENGTH)) && !reserved {
        scan.add(SpecialKind::MAC_ADDRESS, start..start + LENGTH, 0.85);
    }
}
