//! `[KIND]` and `[KIND-letters]`, which stand where values were.

use std::ops::Range;

use crate::catalog::Catalog;

/// The longest name of a kind, with a pseudonym behind it.
const LONGEST_NAME: usize = 80;

/// Whether a kind of this name is known without any policy.
pub(crate) fn is_built_in(kind: &str) -> bool {
    Catalog::get().about(kind).is_some() || crate::NAMES.contains(&kind)
}

/// A range with the whole of each bracket that it cuts; none if it lies in one.
pub(crate) fn outside(
    bytes: &[u8],
    range: Range<usize>,
    is_kind: &dyn Fn(&str) -> bool,
) -> Option<Range<usize>> {
    let first = around(bytes, range.start, is_kind);
    let last = around(bytes, range.end.checked_sub(1)?, is_kind);
    match (first, last) {
        (Some(one), _) if one.start <= range.start && range.end <= one.end => None,
        (first, last) => {
            let start = first.map_or(range.start, |bracket| bracket.start);
            Some(start..last.map_or(range.end, |bracket| bracket.end))
        }
    }
}

fn around(bytes: &[u8], at: usize, is_kind: &dyn Fn(&str) -> bool) -> Option<Range<usize>> {
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let here = *bytes.get(at)?;
    let from = if here == b'[' {
        at
    } else {
        let first = at.saturating_sub(LONGEST_NAME);
        first + bytes.get(first..at)?.iter().rposition(|byte| *byte == b'[')?
    };
    let name = bytes.get(from + 1..)?;
    let length = name.iter().take(LONGEST_NAME).take_while(|byte| inner(byte)).count();
    let end = from + 1 + length + 1;
    let kind = name.get(..length)?.split(|byte| *byte == b'-').next()?;
    let known = std::str::from_utf8(kind).is_ok_and(is_kind);
    (known && bytes.get(end - 1) == Some(&b']') && end > at).then_some(from..end)
}
