use crate::{
    category::Category,
    checksum::is_date,
    code::Code,
    rule::{CERTAIN, NO, Rule, STRONG, WEAK},
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        kind: "CN_RESIDENT_ID",
        category: Category::NationalId,
        shapes: &["99999999999999999X", "999999-99999999-999X"],
        between: b" -",
        check: resident_id,
        why: "a province, a date of birth and a GB 11643 check digit that holds",
        context: &["身份证", "公民身份", "证件号", "resident id", "identity card"],
    },
    Rule {
        kind: "CN_PASSPORT",
        category: Category::Document,
        shapes: &["A99999999", "AA9999999"],
        between: b"",
        check: |code| match code.text() {
            [b'E', second, ..] if second.is_ascii_digit() || !b"IO".contains(second) => WEAK,
            [b'G' | b'D' | b'S' | b'P' | b'H', b'0'..=b'9', ..] => WEAK,
            _ => NO,
        },
        why: "a series and digits as in Chinese passports",
        context: &["护照", "护照号", "passport", "通行证"],
    },
    Rule {
        kind: "CN_USCC",
        category: Category::Tax,
        shapes: &["XXXXXXXXXXXXXXXXXX"],
        between: b"",
        check: uscc,
        why: "an authority, a district and a GB 32100 check character that holds",
        context: &["统一社会信用代码", "信用代码", "营业执照", "uscc"],
    },
];

/// GB 11643-1999 with provinces of GB/T 2260 and the check of ISO 7064, MOD 11-2.
fn resident_id(code: &Code) -> f32 {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    const CHECKS: &[u8; 11] = b"10X98765432";
    let province = matches!(
        code.number(0..2),
        11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81..=83
    );
    let (year, month, day) = (code.number(6..10), code.number(10..12), code.number(12..14));
    let born = (1850..=2100).contains(&year) && is_date(year, month, day);
    let sum = crate::checksum::weighted(code.part(0..17), &WEIGHTS);
    let expected = usize::try_from(sum % 11).ok().and_then(|place| CHECKS.get(place));
    if province && born && expected == code.text().last() { CERTAIN } else { NO }
}

/// GB 32100-2015: base 31 without I, O, S, V, Z, weights the powers of three.
fn uscc(code: &Code) -> f32 {
    const ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
    let value = |byte: &u8| ALPHABET.iter().position(|known| known == byte);
    let authority = b"159AY".contains(code.text().first().unwrap_or(&0));
    let district = code.part(2..8).iter().all(|value| *value <= 9);
    let mut weight = 1_usize;
    let sum = code.text().iter().take(17).try_fold(0_usize, |sum, byte| {
        let sum = sum + value(byte)? * weight;
        weight = weight * 3 % 31;
        Some(sum)
    });
    let check = sum.map(|sum| (31 - sum % 31) % 31);
    let last = code.text().last().and_then(value);
    if authority && district && check.is_some() && check == last { STRONG } else { NO }
}
