//! IPv4 and IPv6 addresses, as the standard library reads them.

use std::net::{Ipv4Addr, Ipv6Addr};

use reeve_domain::Kind;

use crate::finding::Finding;

/// An address that begins at `at`.
pub(crate) fn at(bytes: &[u8], at: usize) -> Option<Finding> {
    let rest = bytes.get(at..)?;
    let is_part = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
    let run = rest.iter().take(46).take_while(|byte| is_part(byte)).count();
    if run > 45 || rest.get(run).is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    let mut text = std::str::from_utf8(rest.get(..run)?).ok()?;
    // `v1.2.3.4` and the like are versions; a dot or colon behind ends the sentence.
    let end_of_sentence =
        |text: &str| text.ends_with('.') || text.ends_with(':') && !text.ends_with("::");
    while end_of_sentence(text) {
        text = text.get(..text.len().checked_sub(1)?)?;
    }
    let dots = text.bytes().filter(|byte| *byte == b'.').count();
    let colons = text.bytes().filter(|byte| *byte == b':').count();
    let length = if dots == 3 && colons == 0 {
        text.parse::<Ipv4Addr>().ok().map(|_| text.len())
    } else if colons == 1 && dots == 3 {
        // An address with a port.
        let address = text.split(':').next()?;
        address.parse::<Ipv4Addr>().ok().map(|_| address.len())
    } else if colons >= 2 && text.len() > 4 {
        text.parse::<Ipv6Addr>().ok().map(|_| text.len())
    } else {
        None
    }?;
    Some(Finding::new(Kind::IP_ADDRESS, at..at.checked_add(length)?, 0.9))
}
