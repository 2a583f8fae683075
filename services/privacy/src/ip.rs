//! IPv4 and IPv6 addresses and networks, as the standard library reads them.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::{catalog::SpecialKind, scan::Scan};

/// The longest form: six groups, an IPv4 address, and what separates them.
const LONGEST: usize = 45;

fn is_part(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':')
}

/// An address that holds the byte at `at`, a digit or a colon.
pub(crate) fn at(scan: &mut Scan<'_>, at: usize) {
    if at < scan.addresses_to {
        return;
    }
    let bytes = scan.bytes;
    let Some(before) = bytes.get(scan.addresses_to..at) else { return };
    let left = before.iter().rev().take(LONGEST).take_while(|byte| is_part(**byte)).count();
    let start = at - left;
    let Some(rest) = bytes.get(start..) else { return };
    let run = rest.iter().take(LONGEST + 2).take_while(|byte| is_part(**byte)).count();
    let token = rest.get(..run).unwrap_or_default();
    let dots = token.iter().filter(|byte| **byte == b'.').count();
    let colons = token.iter().filter(|byte| **byte == b':').count();
    if run > LONGEST || dots < 3 && colons < 2 {
        return;
    }
    scan.addresses_to = start + run;
    let glued = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_'))
    };
    let before = start.checked_sub(1).and_then(|before| bytes.get(before));
    if glued(before) || glued(rest.get(run)) {
        return;
    }
    let Some((length, empty)) = std::str::from_utf8(token).ok().and_then(address) else { return };
    let mut end = start + length;
    if let Some(prefix) = prefix(bytes.get(end..).unwrap_or_default(), colons >= 2) {
        end += prefix;
    }
    scan.add(SpecialKind::IP_ADDRESS, start..end, if empty { 0.2 } else { 0.9 });
}

/// The length of the address that a token begins with, and whether it is only `::`.
fn address(token: &str) -> Option<(usize, bool)> {
    let mut text = token;
    while text.ends_with('.') || text.ends_with(':') && !text.ends_with("::") {
        text = text.get(..text.len() - 1)?;
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Some((text.len(), text == "::"));
    }
    // An IPv4 address, with a port or further numbers behind it.
    let (head, colon) = text.split_once(':').map_or((text, false), |(head, _)| (head, true));
    if colon && text.matches(':').count() > 1 {
        return None;
    }
    let end = head.match_indices('.').nth(3).map_or(head.len(), |(at, _)| at);
    let head = head.get(..end)?;
    head.parse::<Ipv4Addr>().ok().map(|_| (head.len(), false))
}

/// The length of `/24` behind an address.
fn prefix(bytes: &[u8], v6: bool) -> Option<usize> {
    let digits = bytes.strip_prefix(b"/")?.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number: u32 = std::str::from_utf8(bytes.get(1..=digits)?).ok()?.parse().ok()?;
    (digits <= 3 && number <= if v6 { 128 } else { 32 }).then_some(digits + 1)
}
