//! Telephone numbers: international ones with `+` or `00`, and the national forms that can be told
//! from order numbers and dates by their digits and groups, or by the words around them.

use std::ops::Range;

use crate::{catalog::SpecialKind, scan::Scan};

/// A number in groups of digits.
struct Number {
    digits: Vec<u8>,
    groups: Vec<usize>,
    range: Range<usize>,
    plus: bool,
    /// Whether it is written with a separator other than a space.
    dotted: bool,
}

/// ITU-T E.164: fifteen digits at most, and an exit code before them.
const MOST_DIGITS: usize = 17;

/// A number that begins at `at`, with a digit, `+` or `(`.
pub(crate) fn at(scan: &mut Scan<'_>, at: usize) {
    let bytes = scan.bytes;
    let byte = |at: Option<usize>| at.and_then(|at| bytes.get(at)).copied();
    if at < scan.phones_to {
        return;
    }
    let plus = bytes.get(at) == Some(&b'+');
    let before = byte(at.checked_sub(1));
    // Parts of prices, versions, dates, identifiers.
    let part = before.is_some_and(|before| {
        before.is_ascii_alphanumeric() && !plus
            || before.is_ascii_digit()
            || matches!(before, b'.' | b'-' | b'/' | b'_' | b'+' | b'$')
    });
    // Groups of digits before it: a longer number of another kind.
    let behind_digits =
        before == Some(b' ') && byte(at.checked_sub(2)).is_some_and(|byte| byte.is_ascii_digit());
    if part || behind_digits && !plus {
        return;
    }
    // Most numbers in a text are too short: they are told before anything is set up for them.
    let ahead = bytes.get(at..(at + 24).min(bytes.len())).unwrap_or_default();
    let digits = ahead
        .iter()
        .take_while(|byte| byte.is_ascii_digit() || b" -./()+".contains(byte))
        .filter(|byte| byte.is_ascii_digit())
        .count();
    if digits < 5 {
        return;
    }
    let Some(mut number) = read(bytes, at) else { return };
    let end = extension(bytes, number.range.end);
    let next = bytes.get(end);
    if next.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'@' | b'%')) {
        return;
    }
    let range = number.range.clone();
    let near = scan.means(SpecialKind::PHONE_NUMBER, &range);
    let bare = scan.is_bare();
    turkish(scan, &number);
    philippine(scan, &number);
    let found = if number.plus { international(&number) } else { national(&number, near, bare) };
    let Some(confidence) = found else { return };
    number.range.end = end;
    scan.phones_to = number.range.end;
    scan.add(SpecialKind::PHONE_NUMBER, number.range, confidence);
}

/// A number spelled digit by digit.
pub(crate) fn spelled(scan: &mut Scan<'_>, digits: &[u8], range: Range<usize>) {
    let mobile = matches!(digits, [1, 3..=9, ..]) && digits.len() == 11;
    if mobile || (9..=12).contains(&digits.len()) && scan.means(SpecialKind::PHONE_NUMBER, &range) {
        scan.add(SpecialKind::PHONE_NUMBER, range, 0.6);
    }
}

fn read(bytes: &[u8], at: usize) -> Option<Number> {
    let plus = bytes.get(at) == Some(&b'+');
    let mut here = if plus { at + 1 } else { at };
    let (mut digits, mut groups, mut end) = (Vec::with_capacity(16), Vec::new(), at);
    let (mut group, mut separators, mut open, mut dotted) = (0_usize, 0_usize, false, false);
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
                group += 1;
                *groups.last_mut()? = group;
                separators = 0;
                end = here + 1;
            }
            b'(' if !open => {
                // A bracket belongs to the number if digits follow.
                if !bytes.get(here + 1).is_some_and(u8::is_ascii_digit) {
                    break;
                }
                open = true;
                group = 0;
            }
            b')' if open => {
                open = false;
                group = 0;
                if bytes.get(here - 1).is_some_and(u8::is_ascii_digit) {
                    end = here + 1;
                }
            }
            b' ' | b'-' | b'.' | b'/' if separators < 2 => {
                dotted |= byte != b' ';
                group = 0;
                separators += 1;
            }
            _ => break,
        }
        here += 1;
    }
    // Nothing but a bracket behind the last digit belongs to it.
    let whole = digits.len() >= 5 && bytes.get(end - 1) != Some(&b')');
    whole.then_some(Number { digits, groups, range: at..end, plus, dotted })
}

/// Where `x123` or `ext. 123` behind a number ends, or the number itself.
fn extension(bytes: &[u8], end: usize) -> usize {
    let rest = bytes.get(end..).unwrap_or_default();
    let mark = [b"x".as_slice(), b" x", b" ext. ", b" ext ", b" ext.", b"ext", b";ext="]
        .into_iter()
        .find(|mark| rest.starts_with(mark));
    let Some(mark) = mark else { return end };
    let digits = rest.iter().skip(mark.len()).take(7).take_while(|b| b.is_ascii_digit()).count();
    if (1..=6).contains(&digits) { end + mark.len() + digits } else { end }
}

fn international(number: &Number) -> Option<f32> {
    let first = *number.digits.first()?;
    ((8..=15).contains(&number.digits.len()) && first != 0).then_some(0.9)
}

fn national(number: &Number, near: bool, bare: bool) -> Option<f32> {
    let (digits, groups) = (number.digits.as_slice(), number.groups.as_slice());
    let count = digits.len();
    match (digits, groups) {
        ([0, 0, rest @ ..], _) if (9..=15).contains(&rest.len()) && rest.first() != Some(&0) => {
            (groups.len() > 1 || near || bare).then_some(0.8)
        }
        // China's mobile numbers.
        ([1, 3..=9, ..], [11] | [3, 4, 4] | [3, 3, 5]) if count == 11 => Some(0.75),
        ([8, 6, 1, 3..=9, ..], [2, 11] | [2, 3, 4, 4] | [13]) if count == 13 => Some(0.75),
        // North America: area code and exchange begin with 2 to 9.
        ([2..=9, _, _, 2..=9, ..], [3, 3, 4]) => Some(0.7),
        ([1, 2..=9, _, _, 2..=9, ..], [1, 3, 3, 4]) => Some(0.8),
        ([9, 1, 2..=9, ..], [2, 3, 3, 4] | [2, 5, 5]) => Some(0.6),
        // Trunk prefix 0, in groups.
        ([0, 1..=9, ..], [_, _, ..])
            if (9..=12).contains(&count) && first_group(groups) && groups != [3, 2, 4] =>
        {
            Some(0.6)
        }
        // Four groups of two, five of two: France, Denmark, Norway.
        ([1..=9, ..], [2, 2, 2, 2] | [3, 2, 3]) if number.dotted && bare => Some(0.4),
        // Whatever is grouped like a number and called one.
        (_, [_, _, ..]) if (7..=12).contains(&count) && near => Some(0.4),
        (_, [_]) if (7..=12).contains(&count) && near => Some(0.4),
        (_, [_, _, ..]) if (7..=11).contains(&count) && bare => Some(0.25),
        ([0, 1..=9, ..], [_]) if (10..=11).contains(&count) && bare => Some(0.3),
        ([2..=9, _, _, 2..=9, ..], [10]) if bare => Some(0.25),
        _ => None,
    }
}

/// An area code has two to six digits.
fn first_group(groups: &[usize]) -> bool {
    groups.first().is_some_and(|first| (2..=6).contains(first)) && groups.len() <= 5
}

/// Turkey: area codes begin with 2 to 5; the trunk prefix 0 or the country's code goes before.
fn turkish(scan: &mut Scan<'_>, number: &Number) {
    let groups = number.groups.as_slice();
    let confidence = match number.digits.as_slice() {
        [9, 0, 2..=5, ..] if number.plus && number.digits.len() == 12 => 0.6,
        [0, 2..=5, ..] if number.digits.len() == 11 => match groups {
            [1, 3, 3, 2, 2] | [1, 3, 7] | [4, 3, 2, 2] | [1, 3, 3, 4] | [4, 7] | [11] => 0.35,
            _ => return,
        },
        [2..=5, ..] if number.digits.len() == 10 => match groups {
            [3, 3, 2, 2] | [3, 7] => 0.25,
            [10] => 0.1,
            _ => return,
        },
        _ => return,
    };
    scan.add(SpecialKind::TR_PHONE_NUMBER, number.range.clone(), confidence);
}

/// The Philippines: mobile numbers are 9 and nine digits behind 0 or +63.
fn philippine(scan: &mut Scan<'_>, number: &Number) {
    let confidence = match number.digits.as_slice() {
        [6, 3, 9, ..] if number.plus && number.digits.len() == 12 => 0.6,
        [0, 9, ..]
            if number.digits.len() == 11
                && matches!(number.groups.as_slice(), [11] | [4, 3, 4]) =>
        {
            0.35
        }
        _ => return,
    };
    scan.add(SpecialKind::PH_MOBILE_NUMBER, number.range.clone(), confidence);
}
