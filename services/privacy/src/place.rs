//! Coordinates: latitude and longitude in decimal degrees with at least four places, which is
//! eleven metres.

use crate::{catalog::SpecialKind, scan::Scan};

/// Coordinates that begin with the digit at `at`.
pub(crate) fn coordinates(scan: &mut Scan<'_>, at: usize) {
    let bytes = scan.bytes;
    let start = match at.checked_sub(1).and_then(|before| bytes.get(before)) {
        Some(b'-' | b'+') => at - 1,
        _ => at,
    };
    if start
        .checked_sub(1)
        .and_then(|before| bytes.get(before))
        .is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
    {
        return;
    }
    let rest = bytes.get(start..).unwrap_or_default();
    let Some((latitude, first)) = degrees(rest) else { return };
    let behind = rest.get(first..).unwrap_or_default();
    let gap = behind.iter().take(3).take_while(|byte| b", ;/".contains(byte)).count();
    let Some((longitude, second)) = behind.get(gap..).and_then(degrees) else { return };
    let length = first + gap + second;
    let ends = !rest.get(length).is_some_and(u8::is_ascii_alphanumeric);
    if gap > 0 && ends && latitude.abs() <= 90.0 && longitude.abs() <= 180.0 {
        scan.add(SpecialKind::COORDINATES, start..start + length, 0.7);
    }
}

/// A number with a sign, at most three digits and at least four places, and its length.
fn degrees(bytes: &[u8]) -> Option<(f64, usize)> {
    let sign = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
    let digits = |from: usize| {
        bytes
            .get(from..)
            .unwrap_or_default()
            .iter()
            .take(12)
            .take_while(|b| b.is_ascii_digit())
            .count()
    };
    let whole = digits(sign);
    if !(1..=3).contains(&whole) || bytes.get(sign + whole) != Some(&b'.') {
        return None;
    }
    let places = digits(sign + whole + 1);
    let length = sign + whole + 1 + places;
    let number = std::str::from_utf8(bytes.get(..length)?).ok()?.parse().ok()?;
    (4..=9).contains(&places).then_some((number, length))
}
