//! Chinese number plates: GA 36. A province's character, a letter, five characters (six for
//! new-energy vehicles), with a dot between or not.

use std::ops::Range;

use crate::{catalog::SpecialKind, scan::Scan};

const PROVINCES: &str = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼";

/// Five characters, two letters at most; or six for new-energy vehicles, one or two letters first
/// or one last. `I` and `O` look like digits and are not used.
fn is_serial(serial: &[u8]) -> bool {
    let letters = serial.iter().filter(|byte| byte.is_ascii_uppercase()).count();
    let used = serial.iter().all(|byte| {
        byte.is_ascii_digit() || byte.is_ascii_uppercase() && !matches!(byte, b'I' | b'O')
    });
    let is_energy = |byte: Option<&u8>| byte.is_some_and(|byte| (b'A'..=b'K').contains(byte));
    let digits = |part: Option<&[u8]>| part.is_some_and(|part| part.iter().all(u8::is_ascii_digit));
    used && match serial.len() {
        5 => letters <= 2,
        6 => {
            is_energy(serial.first()) && digits(serial.get(2..))
                || is_energy(serial.last()) && digits(serial.get(..5))
        }
        _ => false,
    }
}

/// A plate that this piece belongs to.
pub(crate) fn at(scan: &mut Scan<'_>, piece: &Range<usize>) {
    let bytes = scan.bytes;
    let start = bytes
        .get(..piece.start)
        .and_then(|before| before.strip_suffix("·".as_bytes()))
        .filter(|before| before.last().is_some_and(u8::is_ascii_uppercase))
        .map_or(piece.start, |before| before.len() - 1);
    let dotted = start != piece.start;
    let length = piece.len() + usize::from(dotted);
    let letter = bytes.get(start).is_some_and(|byte| byte.is_ascii_uppercase() && *byte != b'I');
    let province = start
        .checked_sub(3)
        .and_then(|at| std::str::from_utf8(bytes.get(at..start)?).ok())
        .is_some_and(|character| PROVINCES.contains(character));
    let serial = bytes.get(piece.end - (length - 1).min(piece.len())..piece.end);
    if letter && province && serial.is_some_and(is_serial) {
        scan.add(SpecialKind::CN_VEHICLE_PLATE, start - 3..piece.end, 0.9);
    }
}
