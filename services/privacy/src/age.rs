//! How old somebody is, or in which year they were born, beside a word that says so.

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

/// What stands before a year of birth without a day, up to the space.
const BORN: [&str; 6] = ["born", "born in", "year of birth", "year of birth:", "geboren", "出生于"];

/// Whether a text ends with one of the words, which begins there.
fn ends_with(text: &[u8], words: &[&str]) -> bool {
    words.iter().any(|word| {
        let Some(start) = text.len().checked_sub(word.len()) else { return false };
        let alone = start
            .checked_sub(1)
            .and_then(|near| text.get(near))
            .is_none_or(|byte| !byte.is_ascii_alphanumeric());
        alone && text.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(word.as_bytes()))
    })
}

/// An age of one to three digits, or a year of birth.
pub(crate) fn at(scan: &mut Scan<'_>, piece: &Range<usize>) {
    let bytes = scan.bytes;
    let rest = bytes.get(piece.start..).unwrap_or_default();
    let digits = rest.iter().take(5).take_while(|byte| byte.is_ascii_digit()).count();
    let age = rest
        .get(..digits)
        .unwrap_or_default()
        .iter()
        .fold(0, |all, digit| all * 10 + u32::from(digit - b'0'));
    let range = piece.start..piece.start + digits;
    if digits == 4 && (1880..=2100).contains(&age) && piece.len() == 4 {
        let before = bytes.get(..piece.start).unwrap_or_default();
        let before = before.strip_suffix(b" ").unwrap_or(before);
        let may_precede = matches!(before.last(), Some(b'n' | b'N' | b'h' | b'H' | b':' | 0x8E));
        if may_precede && ends_with(before, &BORN) && scan.stands_alone(&range, b"-", false) {
            scan.add(SpecialKind::DATE_OF_BIRTH, range, 0.6);
        }
        return;
    }
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
    let said_before = may_precede && ends_with(before, &BEFORE);
    let near = piece.start.checked_sub(1).and_then(|near| bytes.get(near));
    let cut = near.is_some_and(|byte| byte.is_ascii_alphanumeric() || b".,-/".contains(byte));
    let alone = scan.stands_alone(&range, &[], false);
    if said_behind && !cut || said_before && alone {
        scan.add(SpecialKind::AGE, range, 0.7);
    }
}
