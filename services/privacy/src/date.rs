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
    let Some((length, confidence)) = scan.bytes.get(piece.start..).and_then(date) else { return };
    let range = piece.start..piece.start + length;
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
    if !(1..=2).contains(&first) || !(1..=31).contains(&value(bytes, 0, first)) || letters > 9 {
        return None;
    }
    let year = if bytes.get(end) == Some(&gap) { digits(bytes, end + 1) } else { 0 };
    match (year, gap) {
        (2 | 4, _) => Some((end + 1 + year, 0.6)),
        (0, b'-') => Some((end, 0.6)),
        _ => Some((end, 0.2)),
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
