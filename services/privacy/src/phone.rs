//! Telephone numbers: international ones with `+` or `00`, and the national forms that can be told
//! from order numbers and dates by their digits and groups.

use std::ops::Range;

use reeve_domain::Kind;

use crate::finding::Finding;

/// A number in groups of digits.
struct Number {
    digits: Vec<u8>,
    groups: Vec<usize>,
    range: Range<usize>,
    plus: bool,
}

/// ITU-T E.164: fifteen digits at most, and an exit code before them.
const MOST_DIGITS: usize = 17;

/// A number that begins at `at`, with a digit, `+` or `(`.
pub(crate) fn at(bytes: &[u8], at: usize) -> Option<Finding> {
    let before = at.checked_sub(1).and_then(|before| bytes.get(before)).copied();
    // Parts of prices, versions, dates, identifiers.
    if before.is_some_and(|byte| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'.' | b'-' | b'/' | b'_' | b'+' | b'#' | b'$')
    }) {
        return None;
    }
    // Groups of digits before it: a longer number of another kind.
    let digits_before =
        at.checked_sub(2).and_then(|two| bytes.get(two)).is_some_and(u8::is_ascii_digit);
    if before == Some(b' ') && digits_before && bytes.get(at) != Some(&b'+') {
        return None;
    }
    let number = read(bytes, at)?;
    if bytes.get(number.range.end).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    {
        return None;
    }
    let confidence = if number.plus { international(&number)? } else { national(&number, bytes)? };
    Some(Finding::new(Kind::PHONE_NUMBER, number.range, confidence))
}

fn read(bytes: &[u8], at: usize) -> Option<Number> {
    let plus = bytes.get(at) == Some(&b'+');
    let mut here = if plus { at.saturating_add(1) } else { at };
    let (mut digits, mut groups, mut end) = (Vec::with_capacity(16), Vec::new(), at);
    let (mut group, mut separators, mut open) = (0_usize, 0_usize, false);
    while let Some(byte) = bytes.get(here).copied() {
        match byte {
            b'0'..=b'9' => {
                if digits.len() >= MOST_DIGITS {
                    return None;
                }
                if group == 0 {
                    groups.push(0);
                }
                digits.push(byte.wrapping_sub(b'0'));
                group = group.saturating_add(1);
                *groups.last_mut()? = group;
                separators = 0;
                end = here.saturating_add(1);
            }
            b'(' if !open => {
                open = true;
                group = 0;
            }
            b')' if open => {
                open = false;
                group = 0;
                if bytes.get(here.saturating_sub(1)).is_some_and(u8::is_ascii_digit) {
                    end = here.saturating_add(1);
                }
            }
            b' ' | b'-' | b'.' | b'/' if separators < 2 => {
                group = 0;
                separators = separators.saturating_add(1);
            }
            _ => break,
        }
        here = here.saturating_add(1);
    }
    // A bracket that was opened behind the number does not belong to it.
    Some(Number { digits, groups, range: at..end, plus })
}

fn international(number: &Number) -> Option<f32> {
    let first = *number.digits.first()?;
    ((8..=15).contains(&number.digits.len()) && first != 0).then_some(0.9)
}

fn national(number: &Number, bytes: &[u8]) -> Option<f32> {
    let (digits, groups) = (number.digits.as_slice(), number.groups.as_slice());
    let near = || near(bytes, &number.range);
    match (digits, groups) {
        ([0, 0, rest @ ..], _) if (9..=15).contains(&rest.len()) && rest.first() != Some(&0) => {
            (groups.len() > 1 || near()).then_some(0.8)
        }
        // China's mobile numbers.
        ([1, 3..=9, ..], [11] | [3, 4, 4]) => Some(0.85),
        ([8, 6, 1, 3..=9, ..], [2, 11] | [2, 3, 4, 4] | [13]) if digits.len() == 13 => Some(0.85),
        // North America: area code and exchange begin with 2 to 9.
        ([2..=9, _, _, 2..=9, ..], [3, 3, 4]) => Some(0.85),
        ([1, 2..=9, _, _, 2..=9, ..], [1, 3, 3, 4]) => Some(0.85),
        ([2..=9, _, _, 2..=9, ..], [10]) if near() => Some(0.7),
        // Trunk prefix 0, in groups.
        ([0, 1..=9, ..], [_, _, ..]) if (9..=12).contains(&digits.len()) && first_group(groups) => {
            Some(0.75)
        }
        // Whatever is grouped like a number and called one.
        (_, [_, _, ..]) if (7..=11).contains(&digits.len()) && near() => Some(0.65),
        ([0, 1..=9, ..], [_]) if (9..=12).contains(&digits.len()) && near() => Some(0.7),
        _ => None,
    }
}

/// An area code has two to six digits.
fn first_group(groups: &[usize]) -> bool {
    groups.first().is_some_and(|first| (2..=6).contains(first)) && groups.len() <= 5
}

/// Whether words close before the number speak of a telephone. In lower case or capitalised only:
/// what redaction puts in is in capitals and must not be taken for context.
fn near(bytes: &[u8], range: &Range<usize>) -> bool {
    const WORDS: [&str; 16] = [
        "phone", "Phone", "tel", "Tel", "call", "Call", "mobile", "Mobile", "cell", "Cell", "fax",
        "Fax", "电话", "手机", "联系", "致电",
    ];
    let before = bytes.get(range.start.saturating_sub(32)..range.start).unwrap_or_default();
    WORDS.iter().any(|word| memchr::memmem::find(before, word.as_bytes()).is_some())
}
