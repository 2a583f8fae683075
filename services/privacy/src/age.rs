//! How old somebody is, beside a word that says so.

use std::ops::Range;

use crate::{catalog::SpecialKind, scan::Scan};

/// What follows an age, after a space or a hyphen or neither.
const BEHIND: [&str; 17] = [
    "years old",
    "year old",
    "years-old",
    "year-old",
    "years of age",
    "yrs old",
    "yr old",
    "yo ",
    "y/o",
    "y.o.",
    "岁",
    "周岁",
    "歲",
    "jahre alt",
    "jahren",
    "ans ",
    "años",
];
/// What stands before one, up to the space.
const BEFORE: [&str; 10] =
    ["aged", "age", "age:", "age of", "ages", "age is", "年龄", "年龄：", "年龄:", "alter:"];

/// An age of one to three digits.
pub(crate) fn at(scan: &mut Scan<'_>, piece: &Range<usize>) {
    let bytes = scan.bytes;
    let rest = bytes.get(piece.start..).unwrap_or_default();
    let digits = rest.iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
    let age = rest
        .get(..digits)
        .unwrap_or_default()
        .iter()
        .fold(0, |all, digit| all * 10 + u32::from(digit - b'0'));
    let range = piece.start..piece.start + digits;
    if !(1..=3).contains(&digits) || age > 125 {
        return;
    }
    let behind = rest.get(digits..).unwrap_or_default();
    let behind = match behind.first() {
        Some(b' ' | b'-') => behind.get(1..).unwrap_or_default(),
        _ => behind,
    };
    // Most numbers are no ages, and one byte on each side tells.
    let may_follow =
        matches!(behind.first(), Some(b'y' | b'Y' | b'j' | b'J' | b'a' | b'A' | 0xE5 | 0xE6));
    let said_behind = may_follow
        && BEHIND.iter().any(|word| {
            behind.get(..word.len()).is_some_and(|text| text.eq_ignore_ascii_case(word.as_bytes()))
        });
    let before = bytes.get(..piece.start).unwrap_or_default();
    let before = before.strip_suffix(b" ").unwrap_or(before);
    let may_precede = matches!(
        before.last().map(u8::to_ascii_lowercase),
        Some(b'd' | b'e' | b'f' | b's' | b':' | 0x84 | 0x9A)
    );
    let said_before = may_precede
        && BEFORE.iter().any(|word| {
            let Some(start) = before.len().checked_sub(word.len()) else { return false };
            let fits = |text: &[u8]| text.eq_ignore_ascii_case(word.as_bytes());
            let alone = start
                .checked_sub(1)
                .and_then(|near| before.get(near))
                .is_none_or(|byte| !byte.is_ascii_alphanumeric());
            before.get(start..).is_some_and(fits) && alone
        });
    let near = piece.start.checked_sub(1).and_then(|near| bytes.get(near));
    let cut = near.is_some_and(|byte| byte.is_ascii_alphanumeric() || b".,-/".contains(byte));
    let alone = scan.stands_alone(&range, &[], false);
    if said_behind && !cut || said_before && alone {
        scan.add(SpecialKind::AGE, range, 0.7);
    }
}
