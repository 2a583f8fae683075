//! URLs (RFC 3986) and bare domain names.

use crate::{catalog::SpecialKind, email, scan::Scan};

/// Top-level domains that make two bare words with a dot a domain name. Those that are also the
/// endings of files are left out.
const TOPS: [&str; 58] = [
    "com", "org", "net", "edu", "gov", "mil", "int", "info", "biz", "io", "co", "ai", "app", "dev",
    "cn", "de", "uk", "eu", "fr", "it", "es", "nl", "pl", "se", "fi", "be", "pt", "at", "ch", "dk",
    "no", "ie", "cz", "hu", "gr", "ro", "ru", "ua", "tr", "us", "ca", "mx", "br", "ar", "cl", "au",
    "nz", "jp", "kr", "in", "sg", "hk", "tw", "za", "ng", "cy", "site", "online",
];

fn is_url(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"'<>[]{}|\\^`".contains(&byte)
}

/// A URL whose scheme ends with the colon at `at`.
pub(crate) fn with_scheme(scan: &mut Scan<'_>, at: usize) {
    let bytes = scan.bytes;
    let Some(rest) = bytes.get(at..).and_then(|rest| rest.strip_prefix(b"://")) else { return };
    if at < scan.urls_to {
        return;
    }
    let before = bytes.get(..at).unwrap_or_default();
    let scheme = before.iter().rev().take(12).take_while(|b| b.is_ascii_alphanumeric()).count();
    if scheme == 0 {
        return;
    }
    let start = at - scheme;
    let mut length = rest.iter().take_while(|byte| is_url(**byte)).count();
    scan.urls_to = at + 3 + length;
    // What ends a sentence does not end a URL.
    while length > 0 && rest.get(length - 1).is_some_and(|byte| b".,;:!?)".contains(byte)) {
        length -= 1;
    }
    let Some(body) = rest.get(..length) else { return };
    let authority = body.split(|byte| b"/?#".contains(byte)).next().unwrap_or_default();
    let range = start..at + 3 + length;
    let host = match authority.iter().rposition(|byte| *byte == b'@') {
        Some(place) => {
            if authority.get(..place).is_some_and(|user| user.contains(&b':')) {
                scan.add(SpecialKind::URL_WITH_CREDENTIALS, range.clone(), 0.99);
            }
            authority.get(place + 1..).unwrap_or_default()
        }
        None => authority,
    };
    if email::domain(host).is_some() {
        scan.add(SpecialKind::URL, range, 0.6);
    }
}

/// A domain name whose first dot is at `at`, with what follows it.
pub(crate) fn domain(scan: &mut Scan<'_>, at: usize) {
    let bytes = scan.bytes;
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    if at < scan.urls_to || !bytes.get(at + 1).is_some_and(u8::is_ascii_alphabetic) {
        return;
    }
    let before = bytes.get(..at).unwrap_or_default();
    let label = before.iter().rev().take(64).take_while(|byte| inner(byte)).count();
    let start = at - label;
    let far = start.checked_sub(1).and_then(|far| bytes.get(far));
    if label == 0 || far.is_some_and(|byte| matches!(byte, b'.' | b'@' | b'/' | b'_')) {
        return;
    }
    let rest = bytes.get(start..).unwrap_or_default();
    let Some(host) = email::domain(rest.get(..rest.len().min(253)).unwrap_or_default()) else {
        return;
    };
    let top = rest.get(..host).and_then(|host| host.rsplit(|byte| *byte == b'.').next());
    if !top.is_some_and(|top| TOPS.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(top))) {
        return;
    }
    let mut end = host;
    match rest.get(host) {
        Some(b'/' | b'?' | b'#') => {
            let path = rest.get(host..).unwrap_or_default();
            end += path.iter().take_while(|byte| is_url(**byte)).count();
            scan.urls_to = start + end;
            while rest.get(end - 1).is_some_and(|byte| b".,;:!?)".contains(byte)) {
                end -= 1;
            }
        }
        Some(b'@' | b'_') => return,
        _ => {}
    }
    scan.add(SpecialKind::URL, start..start + end, 0.5);
}
