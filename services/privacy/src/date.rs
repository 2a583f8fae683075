//! Dates written in numbers, and with the English names of months.

use std::ops::Range;

use crate::{
    catalog::SpecialKind,
    checksum::{is_date, is_short_date},
    scan::Scan,
};

const MONTHS: [&[u8]; 12] = [
    b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec",
];

/// A date that begins with a piece of digits.
pub(crate) fn at(scan: &mut Scan<'_>, piece: &Range<usize>) {
    if piece.len() > 8 {
        return;
    }
    let rest = scan.bytes.get(piece.start..).unwrap_or_default();
    let found = date(rest)
        .or_else(|| ordinal(rest))
        .map(|(length, confidence)| (piece.start..piece.start + length, confidence));
    let Some((range, confidence)) = found.or_else(|| month_first(scan.bytes, piece.start)) else {
        return;
    };
    if !scan.stands_alone(&range, &[], false) {
        return;
    }
    if scan.means(SpecialKind::DATE_OF_BIRTH, &range) {
        scan.add(SpecialKind::DATE_OF_BIRTH, range.clone(), confidence);
    }
    scan.add(SpecialKind::DATE_TIME, range, confidence);
}

fn digits(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    rest.iter().take(9).take_while(|byte| byte.is_ascii_digit()).count()
}

fn value(bytes: &[u8], from: usize, length: usize) -> u32 {
    bytes
        .get(from..from + length)
        .unwrap_or_default()
        .iter()
        .fold(0, |all, digit| all * 10 + u32::from(digit.wrapping_sub(b'0')))
}

/// The length of a date at the beginning, and how sure it is one.
fn date(bytes: &[u8]) -> Option<(usize, f32)> {
    let first = digits(bytes, 0);
    let gap = *bytes.get(first)?;
    // 2024年3月15日
    if first == 4 && bytes.get(first..)?.starts_with("年".as_bytes()) {
        let month = digits(bytes, 7);
        let behind = 7 + month;
        if !bytes.get(behind..)?.starts_with("月".as_bytes()) {
            return None;
        }
        let day = digits(bytes, behind + 3);
        let end = behind + 3 + day;
        let whole = bytes.get(end..)?.starts_with("日".as_bytes());
        let sound =
            is_date(value(bytes, 0, 4), value(bytes, 7, month), value(bytes, behind + 3, day));
        return (whole && sound).then_some((end + 3, 0.6));
    }
    if !matches!(gap, b'-' | b'/' | b'.' | b' ') {
        return None;
    }
    if let Some(month) = bytes.get(first + 1..first + 4)
        && MONTHS.iter().any(|known| known.eq_ignore_ascii_case(month))
    {
        return named(bytes, first, gap);
    }
    if gap == b' ' {
        return None;
    }
    let second = digits(bytes, first + 1);
    let after = first + 1 + second;
    if !(1..=2).contains(&second) {
        return None;
    }
    let (a, b) = (value(bytes, 0, first), value(bytes, first + 1, second));
    let third = if bytes.get(after) == Some(&gap) { digits(bytes, after + 1) } else { 0 };
    let c = value(bytes, after + 1, third);
    let length = after + 1 + third;
    match (first, third) {
        (4, 1 | 2) if (1000..=2200).contains(&a) && is_date(a, b, c) => {
            Some((time(bytes, length), 0.6))
        }
        (1 | 2, 4) if (1000..=2200).contains(&c) && (is_date(c, a, b) || is_date(c, b, a)) => {
            Some((length, 0.6))
        }
        // Two digits for the year: only with another separator than a version's dot, or a day
        // that is no month.
        (1 | 2, 2) if is_short_date(c, a, b) || is_short_date(c, b, a) => Some((length, 0.6)),
        (2, 2) if is_short_date(a, b, c) => Some((length, 0.5)),
        (1 | 2, 0) if gap == b'/' && (is_date(2000, a, b) || is_date(2000, b, a)) => {
            Some((after, 0.1))
        }
        (1 | 2, 0) if gap == b'/' => None,
        _ => None,
    }
}

/// `21-May`, `21 May 2021`, `21-May-21`.
fn named(bytes: &[u8], first: usize, gap: u8) -> Option<(usize, f32)> {
    let letters = bytes.get(first + 1..)?.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    let end = first + 1 + letters;
    let month = bytes.get(first + 1..end)?;
    if !(1..=2).contains(&first) || !(1..=31).contains(&value(bytes, 0, first)) || !is_month(month)
    {
        return None;
    }
    let year = if bytes.get(end) == Some(&gap) { digits(bytes, end + 1) } else { 0 };
    match (year, gap) {
        (2 | 4, _) => Some((end + 1 + year, 0.6)),
        (0, b'-') => Some((end, 0.6)),
        // `2 may` may be anything; months have capitals.
        _ => month.first().is_some_and(u8::is_ascii_uppercase).then_some((end, 0.4)),
    }
}

/// Whether a word is the English name of a month, or its first three letters.
fn is_month(word: &[u8]) -> bool {
    const NAMES: [&[u8]; 13] = [
        b"january",
        b"february",
        b"march",
        b"april",
        b"may",
        b"june",
        b"july",
        b"august",
        b"september",
        b"october",
        b"november",
        b"december",
        b"sept",
    ];
    let is = |known: &[u8]| known.eq_ignore_ascii_case(word);
    MONTHS.iter().copied().any(is) || NAMES.iter().copied().any(is)
}

/// The day of a month at the beginning, and where it ends, `st` or `th` included.
fn day(bytes: &[u8]) -> Option<usize> {
    let length = digits(bytes, 0);
    if !(1..=2).contains(&length) || !(1..=31).contains(&value(bytes, 0, length)) {
        return None;
    }
    let suffix = bytes.get(length..length + 2).unwrap_or_default();
    let ordinal = [b"st", b"nd", b"rd", b"th"].iter().any(|known| suffix == known.as_slice());
    let end = if ordinal { length + 2 } else { length };
    bytes.get(end).is_none_or(|byte| !byte.is_ascii_alphanumeric()).then_some(end)
}

/// Where a year behind a day and a month ends: `, 1984` or ` 1984`.
fn year(bytes: &[u8], from: usize) -> Option<usize> {
    let comma = usize::from(bytes.get(from) == Some(&b','));
    let space = usize::from(bytes.get(from + comma) == Some(&b' '));
    let start = from + comma + space;
    let is_year = digits(bytes, start) == 4 && (1000..=2200).contains(&value(bytes, start, 4));
    (comma + space > 0 && is_year).then_some(start + 4)
}

/// `3rd of March 1984`, `3rd March`.
fn ordinal(bytes: &[u8]) -> Option<(usize, f32)> {
    let after = day(bytes)?;
    let mut start = after + 1;
    if bytes.get(after) != Some(&b' ') {
        return None;
    }
    if bytes.get(start..start + 3) == Some(b"of ") {
        start += 3;
    }
    let letters = bytes.get(start..)?.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    let end = start + letters;
    let month = bytes.get(start..end).filter(|word| is_month(word))?;
    match year(bytes, end) {
        Some(end) => Some((end, 0.6)),
        None => month.first().is_some_and(u8::is_ascii_uppercase).then_some((end, 0.4)),
    }
}

/// `March 3, 1984`, `Mar. 3rd`, with the day at `at`.
fn month_first(bytes: &[u8], at: usize) -> Option<(Range<usize>, f32)> {
    let after = day(bytes.get(at..)?)? + at;
    let before = bytes.get(..at)?.strip_suffix(b" ")?;
    let before = before.strip_suffix(b".").unwrap_or(before);
    let letters = before.iter().rev().take(10).take_while(|b| b.is_ascii_alphabetic()).count();
    let start = before.len() - letters;
    let month = before.get(start..)?;
    let alone = start.checked_sub(1).and_then(|near| before.get(near));
    if !is_month(month) || alone.is_some_and(u8::is_ascii_digit) {
        return None;
    }
    match year(bytes, after) {
        Some(end) => Some((start..end, 0.6)),
        // `may 3` may be anything; months have capitals.
        None if month.first().is_some_and(u8::is_ascii_uppercase) => Some((start..after, 0.4)),
        None => None,
    }
}

/// The end of a time of day (ISO 8601) behind a date that ends at `end`, or that.
fn time(bytes: &[u8], end: usize) -> usize {
    let two = |at: usize| digits(bytes, at) == 2;
    if !(bytes.get(end) == Some(&b'T')
        && two(end + 1)
        && bytes.get(end + 3) == Some(&b':')
        && two(end + 4))
    {
        return end;
    }
    let mut here = end + 6;
    if bytes.get(here) == Some(&b':') && two(here + 1) {
        here += 3;
        if bytes.get(here) == Some(&b'.') {
            here += 1 + digits(bytes, here + 1);
        }
    }
    match bytes.get(here) {
        Some(b'Z') => here + 1,
        Some(b'+' | b'-') if two(here + 1) && bytes.get(here + 3) == Some(&b':') => here + 6,
        _ => here,
    }
}
