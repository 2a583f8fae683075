//! E-mail addresses: the dot-atom form of RFC 5322 with a domain name.

use crate::{catalog::SpecialKind, scan::Scan};

const LONGEST_LOCAL: usize = 64;
const LONGEST_DOMAIN: usize = 253;

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~.-".contains(&byte)
}

/// An address around the `@` at `at`.
pub(crate) fn at(scan: &mut Scan<'_>, at: usize) {
    if let Some(range) = address(scan.bytes, at) {
        scan.add(SpecialKind::EMAIL_ADDRESS, range, 0.99);
    }
}

fn address(bytes: &[u8], at: usize) -> Option<std::ops::Range<usize>> {
    let before = bytes.get(..at)?;
    let local = before.iter().rev().take(LONGEST_LOCAL).take_while(|byte| is_local(**byte)).count();
    let mut start = at.checked_sub(local)?;
    // Quotes and signs before an address belong to the sentence.
    while bytes.get(start).is_some_and(|byte| !byte.is_ascii_alphanumeric()) && start < at {
        start += 1;
    }
    if start == at || bytes.get(at.checked_sub(1)?) == Some(&b'.') {
        return None;
    }
    let after = bytes.get(at + 1..)?;
    let domain = domain(after.get(..after.len().min(LONGEST_DOMAIN))?)?;
    Some(start..at + 1 + domain)
}

/// The length of the domain name with at least two labels that `bytes` begin with.
pub(crate) fn domain(bytes: &[u8]) -> Option<usize> {
    let is_domain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let run = bytes.iter().take_while(|byte| is_domain(byte)).count();
    let mut domain = bytes.get(..run)?;
    while let [rest @ .., b'.' | b'-'] = domain {
        domain = rest;
    }
    // `example.com..rest` ends before the gap.
    if let Some(gap) = memchr::memmem::find(domain, b"..") {
        domain = domain.get(..gap)?;
    }
    let mut labels = domain.split(|byte| *byte == b'.');
    let sound = |label: &[u8]| {
        (1..=63).contains(&label.len())
            && label.first() != Some(&b'-')
            && label.last() != Some(&b'-')
    };
    let top = domain.rsplit(|byte| *byte == b'.').next()?;
    let named = top.len() >= 2 && top.first().is_some_and(u8::is_ascii_alphabetic);
    (labels.clone().count() >= 2 && labels.all(sound) && named).then_some(domain.len())
}
