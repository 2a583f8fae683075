//! Chinese number plates: GA 36. A province's character, a letter, five characters (six for
//! new-energy vehicles), with a dot between or not.

use std::ops::Range;

use crate::{catalog::SpecialKind, scan::Scan};

const PROVINCES: &str = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼";

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
    let letter = bytes.get(start).is_some_and(u8::is_ascii_uppercase);
    let province = start
        .checked_sub(3)
        .and_then(|at| std::str::from_utf8(bytes.get(at..start)?).ok())
        .is_some_and(|character| PROVINCES.contains(character));
    let capitals = bytes.get(piece.clone()).is_some_and(|rest| {
        rest.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    });
    if letter && province && capitals && matches!(length, 6 | 7) {
        scan.add(SpecialKind::CN_VEHICLE_PLATE, start - 3..piece.end, 0.9);
    }
}
