//! Payment card numbers: ISO/IEC 7812 with the Luhn checksum.

use reeve_domain::Kind;

use crate::finding::Finding;

const LONGEST: usize = 19;

/// Digits from `at` on, with single spaces or dashes between groups, and where each group ends.
pub(crate) fn digits(bytes: &[u8], at: usize, longest: usize) -> (Vec<u8>, Vec<(usize, usize)>) {
    let (mut digits, mut ends) = (Vec::with_capacity(longest), Vec::new());
    let mut here = at;
    while let Some(byte) = bytes.get(here) {
        let next = bytes.get(here.saturating_add(1));
        match byte {
            b'0'..=b'9' => {
                if digits.len() > longest {
                    break;
                }
                digits.push(byte.wrapping_sub(b'0'));
                if !next.is_some_and(u8::is_ascii_digit) {
                    ends.push((here.saturating_add(1), digits.len()));
                }
            }
            b' ' | b'-' if next.is_some_and(u8::is_ascii_digit) => {}
            _ => break,
        }
        here = here.saturating_add(1);
    }
    (digits, ends)
}

/// A card number that begins at `at`.
pub(crate) fn at(bytes: &[u8], at: usize) -> Option<Finding> {
    let (digits, ends) = digits(bytes, at, LONGEST);
    // The longest first: a number is not cut short.
    ends.iter().rev().find_map(|(end, count)| {
        let number = digits.get(..*count)?;
        let alone = !bytes.get(*end).is_some_and(u8::is_ascii_alphanumeric);
        let groups = ends.iter().filter(|(_, upto)| upto <= count).count();
        // Sixteen digits in five or more groups are a list of numbers.
        let shape = groups <= 5 && number.len() >= groups.saturating_mul(3);
        (alone && shape && network(number) && luhn(number))
            .then(|| Finding::new(Kind::CREDIT_CARD, at..*end, 0.95))
    })
}

/// The number has a prefix and a length of a network.
fn network(number: &[u8]) -> bool {
    let prefix = |n: usize| {
        number
            .iter()
            .take(n)
            .fold(0_u32, |all, digit| all.saturating_mul(10).saturating_add(u32::from(*digit)))
    };
    let length = number.len();
    match (prefix(1), prefix(2)) {
        (4, _) => matches!(length, 13 | 16 | 19),
        (_, 51..=55) => length == 16,
        (_, 22..=27) => length == 16 && (2221..=2720).contains(&prefix(4)),
        (_, 34 | 37) => length == 15,
        (_, 36 | 38 | 39) => (14..=19).contains(&length),
        (_, 30) => (14..=19).contains(&length) && (300..=305).contains(&prefix(3)),
        // JCB's old numbers.
        (_, 18 | 21) => length == 15 && matches!(prefix(4), 1800 | 2131),
        (_, 35) => (16..=19).contains(&length),
        (_, 60 | 62 | 64 | 65) => (16..=19).contains(&length),
        (_, 50 | 56..=69) => (12..=19).contains(&length),
        _ => false,
    }
}

/// ISO/IEC 7812-1, annex B.
pub(crate) fn luhn(number: &[u8]) -> bool {
    let sum: u32 = number
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(*digit);
            match (place % 2 == 1, digit) {
                (false, _) => digit,
                (true, 0..=4) => digit.saturating_mul(2),
                (true, _) => digit.saturating_mul(2).saturating_sub(9),
            }
        })
        .sum();
    // A row of zeros passes the sum and is no card.
    sum > 0 && sum.is_multiple_of(10)
}
