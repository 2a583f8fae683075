//! Payment card numbers: ISO/IEC 7812 with the Luhn checksum.

use crate::{catalog::SpecialKind, checksum::luhn, scan::Scan};

const LONGEST: usize = 19;

/// A card number that begins at `at`, with single spaces, dashes or dots between its groups.
pub(crate) fn at(scan: &mut Scan<'_>, at: usize) {
    let bytes = scan.bytes;
    let (mut digits, mut ends) = ([0_u8; LONGEST + 1], Vec::new());
    let (mut count, mut here) = (0, at);
    while let Some(byte) = bytes.get(here) {
        let next = bytes.get(here + 1);
        match byte {
            b'0'..=b'9' => {
                let Some(slot) = digits.get_mut(count) else { break };
                *slot = byte - b'0';
                count += 1;
                if !next.is_some_and(u8::is_ascii_digit) && count >= 12 {
                    ends.push((here + 1, count));
                }
            }
            b' ' | b'-' | b'.' if next.is_some_and(u8::is_ascii_digit) => {}
            _ => break,
        }
        here += 1;
    }
    // The longest first: a number is not cut short.
    for (end, count) in ends.into_iter().rev() {
        let Some(number) = digits.get(..count) else { return };
        let range = at..end;
        // Sixteen digits in more than five groups are a list of numbers.
        let gaps = (end - at) - count;
        let alone = scan.stands_alone(&range, if gaps == 0 { &[] } else { b" " }, false);
        if alone && gaps <= 4 && is_card(number) {
            scan.add(SpecialKind::CREDIT_CARD, range, 0.95);
            return;
        }
    }
}

/// The number has a prefix and a length of a network, and its check digit.
pub(crate) fn is_card(number: &[u8]) -> bool {
    network(number) && luhn(number)
}

fn network(number: &[u8]) -> bool {
    let prefix =
        |n: usize| number.iter().take(n).fold(0_u32, |all, digit| all * 10 + u32::from(*digit));
    let length = number.len();
    match (prefix(1), prefix(2)) {
        // UATP, and JCB's old numbers.
        (1, _) => length == 15,
        (_, 21) => length == 15 && prefix(4) == 2131,
        // Mir.
        (_, 22) if (2200..=2204).contains(&prefix(4)) => (16..=19).contains(&length),
        (_, 22..=27) => length == 16 && (2221..=2720).contains(&prefix(4)),
        (_, 34 | 37) => length == 15,
        (_, 36 | 38 | 39) => (14..=19).contains(&length),
        (_, 30) => (14..=19).contains(&length) && (300..=305).contains(&prefix(3)),
        (_, 35) => (16..=19).contains(&length),
        (4, _) => matches!(length, 13 | 16 | 19),
        (_, 51..=55) => length == 16,
        (_, 60 | 62 | 64 | 65) => (16..=19).contains(&length),
        (_, 50 | 56..=69) => (12..=19).contains(&length),
        // Verve and Troy.
        (_, 97) => length == 16 && prefix(4) == 9792,
        _ => false,
    }
}
