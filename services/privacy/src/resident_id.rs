//! Chinese resident identity numbers: GB 11643-1999.

use reeve_domain::Kind;

use crate::finding::Finding;

const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const CHECKS: &[u8; 11] = b"10X98765432";

/// A number that begins at `at`: eighteen characters, spaces or dashes between its parts.
pub(crate) fn at(bytes: &[u8], at: usize) -> Option<Finding> {
    let mut number = [0_u8; 18];
    let (mut filled, mut here) = (0_usize, at);
    while filled < 18 {
        let byte = *bytes.get(here)?;
        match byte {
            b'0'..=b'9' => *number.get_mut(filled)? = byte,
            b'x' | b'X' if filled == 17 => *number.get_mut(filled)? = b'X',
            b' ' | b'-'
                if matches!(filled, 6 | 14) && bytes.get(here.wrapping_sub(1)) != Some(&byte) =>
            {
                here = here.saturating_add(1);
                continue;
            }
            _ => return None,
        }
        filled = filled.saturating_add(1);
        here = here.saturating_add(1);
    }
    let alone = !bytes.get(here).is_some_and(u8::is_ascii_alphanumeric);
    (alone && province(&number) && born(&number) && check(&number))
        .then(|| Finding::new(Kind::CN_RESIDENT_ID, at..here, 0.99))
}

fn number(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |all, digit| {
        all.saturating_mul(10).saturating_add(u32::from(digit.wrapping_sub(b'0')))
    })
}

/// GB/T 2260: the first two digits.
fn province(id: &[u8; 18]) -> bool {
    let [a, b, ..] = *id;
    matches!(
        number(&[a, b]),
        11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81..=83
    )
}

fn born(id: &[u8; 18]) -> bool {
    let [_, _, _, _, _, _, a, b, c, d, m1, m2, d1, d2, ..] = *id;
    let (year, month, day) = (number(&[a, b, c, d]), number(&[m1, m2]), number(&[d1, d2]));
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    };
    (1850..=2100).contains(&year) && (1..=days).contains(&day)
}

/// ISO 7064, MOD 11-2.
fn check(id: &[u8; 18]) -> bool {
    let sum: u32 = id
        .iter()
        .zip(WEIGHTS)
        .map(|(digit, weight)| u32::from(digit.wrapping_sub(b'0')).saturating_mul(weight))
        .sum();
    let expected = usize::try_from(sum % 11).ok().and_then(|place| CHECKS.get(place));
    expected == id.last()
}
