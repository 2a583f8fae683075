//! E-mail addresses: the dot-atom form of RFC 5322 with a domain name.

use reeve_domain::Kind;

use crate::finding::Finding;

const LONGEST_LOCAL: usize = 64;
const LONGEST_DOMAIN: usize = 253;

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~.-".contains(&byte)
}

/// An address around the `@` at `at`.
pub(crate) fn at(bytes: &[u8], at: usize) -> Option<Finding> {
    let before = bytes.get(..at)?;
    let local = before.iter().rev().take(LONGEST_LOCAL).take_while(|byte| is_local(**byte)).count();
    let mut start = at.checked_sub(local)?;
    // Quotes and signs before an address belong to the sentence.
    while bytes.get(start).is_some_and(|byte| !byte.is_ascii_alphanumeric()) && start < at {
        start = start.saturating_add(1);
    }
    if start == at || bytes.get(at.checked_sub(1)?) == Some(&b'.') {
        return None;
    }
    let after = bytes.get(at.saturating_add(1)..)?;
    let is_domain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let run = after.iter().take(LONGEST_DOMAIN).take_while(|byte| is_domain(byte)).count();
    let mut domain = after.get(..run)?;
    while let [rest @ .., b'.' | b'-'] = domain {
        domain = rest;
    }
    let labels: Vec<&[u8]> = domain.split(|byte| *byte == b'.').collect();
    let top = labels.last()?;
    let ok = labels.len() >= 2
        && labels.iter().all(|label| {
            (1..=63).contains(&label.len())
                && label.first() != Some(&b'-')
                && label.last() != Some(&b'-')
        })
        && top.len() >= 2
        && top.first().is_some_and(u8::is_ascii_alphabetic);
    let end = at.saturating_add(1).saturating_add(domain.len());
    ok.then(|| Finding::new(Kind::EMAIL_ADDRESS, start..end, 0.99))
}
