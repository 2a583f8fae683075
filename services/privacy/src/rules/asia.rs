use crate::{
    category::Category,
    checksum::{is_constant, is_short_date, verhoeff, weighted},
    code::Code,
    rule::{LIKELY, NO, Rule, SHAPE, STRONG, WEAK},
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        kind: "IN_AADHAAR",
        category: Category::NationalId,
        shapes: &["999999999999", "9999-9999-9999"],
        between: b"- :",
        check: |code| {
            let palindrome = code.values().iter().eq(code.values().iter().rev());
            if code.at(0) >= 2 && !palindrome && verhoeff(code.values()) { LIKELY } else { NO }
        },
        why: "twelve digits with the Verhoeff check digit of an Aadhaar number",
        context: &["aadhaar", "aadhar", "uidai", "uid"],
    },
    Rule {
        kind: "IN_PAN",
        category: Category::Tax,
        shapes: &["AAAAA9999A"],
        between: b"",
        check: |code| {
            let holder = b"ABCFGHJLPT".contains(code.text().get(3).unwrap_or(&0));
            if holder { LIKELY } else { 0.2 }
        },
        why: "five letters, four digits and a letter as in Indian permanent account numbers",
        context: &["pan", "permanent account number", "pan number"],
    },
    Rule {
        kind: "IN_GSTIN",
        category: Category::Tax,
        shapes: &["99AAAAA9999AXAX"],
        between: b"",
        check: |code| {
            let state = (1..=37).contains(&code.number(0..2));
            let fixed = code.text().get(13) == Some(&b'Z') && code.at(12) != 0;
            if state && fixed { STRONG } else { NO }
        },
        why: "a state, a permanent account number and the letter Z of an Indian GSTIN",
        context: &["gstin", "gst", "gst number", "goods and services tax", "tax identification"],
    },
    Rule {
        kind: "IN_PASSPORT",
        category: Category::Document,
        shapes: &["A9999999"],
        between: b"",
        check: |code| {
            let series = !b"QXZ".contains(code.text().first().unwrap_or(&b'Q'));
            if series && code.at(1) > 0 && code.at(7) > 0 { WEAK } else { NO }
        },
        why: "a series letter and seven digits as in Indian passports",
        context: &["passport", "indian passport", "passport number"],
    },
    Rule {
        kind: "IN_VOTER",
        category: Category::Document,
        shapes: &["AAA9999999"],
        between: b"",
        check: |_| SHAPE,
        why: "three letters and seven digits as in Indian voter cards",
        context: &["voter", "epic", "elector", "vote"],
    },
    Rule {
        kind: "IN_VEHICLE_REGISTRATION",
        category: Category::Document,
        shapes: &[
            "AA99AA9999",
            "AA99A9999",
            "AA99AAA9999",
            "AA9AAA9999",
            "AA9AA9999",
            "AA9999",
            "AA99-AA-9999",
            "AA-99-AA-9999",
            "AA-99-A-9999",
            "AA99-A-9999",
            "AA-9-AA-9999",
            "AA-99-9999",
        ],
        between: b" -",
        check: in_vehicle,
        why: "the code of a state, a district and the number of an Indian plate",
        context: &["rto", "vehicle", "plate", "registration", "car number"],
    },
    Rule {
        kind: "JP_MY_NUMBER",
        category: Category::NationalId,
        shapes: &["999999999999", "9999-9999-9999"],
        between: b"- ",
        check: |code| {
            let rest = weighted(code.part(0..11), &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
            let check = if rest <= 1 { 0 } else { 11 - rest };
            if check == u32::from(code.at(11)) && !is_constant(code.values()) { 0.25 } else { NO }
        },
        why: "twelve digits with the check digit modulo 11 of a Japanese individual number",
        context: &["my number", "マイナンバー", "個人番号", "individual number"],
    },
    Rule {
        kind: "KR_RRN",
        category: Category::NationalId,
        shapes: &["9999999999999", "999999-9999999"],
        between: b"-",
        check: |code| kr_person(code, 1..=4),
        why: "a date of birth and a digit for sex and century as in Korean resident numbers",
        context: &["rrn", "resident registration", "주민등록번호", "주민번호"],
    },
    Rule {
        kind: "KR_FRN",
        category: Category::NationalId,
        shapes: &["9999999999999", "999999-9999999"],
        between: b"-",
        check: |code| kr_person(code, 5..=8),
        why: "a date of birth and a digit for sex and century as in Korean foreigner numbers",
        context: &["frn", "foreigner registration", "외국인등록번호", "외국인번호"],
    },
    Rule {
        kind: "KR_BRN",
        category: Category::Tax,
        shapes: &["999-99-99999", "9999999999"],
        between: b"-",
        check: |code| {
            let tens = u32::from(code.at(8)) * 5 / 10;
            let sum = weighted(code.part(0..9), &[1, 3, 7, 1, 3, 7, 1, 3, 5]) + tens;
            match ((10 - sum % 10) % 10 == u32::from(code.at(9)), code.count) {
                (false, _) => NO,
                (true, 3) => STRONG,
                (true, _) => 0.25,
            }
        },
        why: "ten digits with the check digit of a Korean business number",
        context: &["brn", "business registration number", "사업자등록번호", "사업자번호", "사업자"],
    },
    Rule {
        kind: "KR_PASSPORT",
        category: Category::Document,
        shapes: &["A999A9999", "A99999999"],
        between: b"",
        check: |code| {
            let series = b"MSROD".contains(code.text().first().unwrap_or(&0));
            match (series, code.at(4) >= 10) {
                (false, _) => NO,
                (true, true) => SHAPE,
                (true, false) => WEAK,
            }
        },
        why: "a series letter and eight characters as in Korean passports",
        context: &["passport", "여권", "여권번호", "korean passport"],
    },
    Rule {
        kind: "KR_DRIVER_LICENSE",
        category: Category::Document,
        shapes: &["99-99-999999-99", "999999999999"],
        between: b"-",
        check: |code| match (code.number(0..2), code.count) {
            (11..=28, 4) => LIKELY,
            (11..=28, _) => WEAK,
            _ => NO,
        },
        why: "a region from 11 to 28 and the groups of a Korean driving licence",
        context: &["driver license", "운전면허", "운전면허번호", "면허번호"],
    },
    Rule {
        kind: "SG_NRIC_FIN",
        category: Category::NationalId,
        shapes: &["A9999999A"],
        between: b"",
        check: sg_nric,
        why: "a series letter, seven digits and a letter as in Singapore's NRIC and FIN",
        context: &["nric", "fin", "nric#", "fin#"],
    },
    Rule {
        kind: "SG_UEN",
        category: Category::Tax,
        shapes: &["99999999A", "999999999A", "A99AA9999A", "A99AAX999A"],
        between: b"",
        check: sg_uen,
        why: "the form and check letter of a Singapore entity number",
        context: &["uen", "unique entity number", "acra", "business registration"],
    },
    Rule {
        kind: "TH_TNIN",
        category: Category::NationalId,
        shapes: &["9999999999999", "9-9999-99999-99-9"],
        between: b"- ",
        check: th_tnin,
        why: "a district and the check digit modulo 11 of a Thai identity number",
        context: &["tnin", "thai national id", "thai id", "เลขประจำตัวประชาชน", "เลขบัตรประชาชน"],
    },
    Rule {
        kind: "PH_TIN",
        category: Category::Tax,
        shapes: &[
            "999-999-999",
            "999-999-999-999",
            "999-999-999-99999",
            "999999999",
            "999999999999",
        ],
        between: b"-",
        check: |code| if code.count > 1 { 0.05 } else { 0.01 },
        why: "the groups of a Philippine taxpayer number",
        context: &["tin", "bir", "taxpayer identification", "rdo"],
    },
];

fn in_vehicle(code: &Code) -> f32 {
    const STATES: &[u8] =
        b"ANAPARASBRCGCHDDDLDNGAGJHPHRJHJKKAKLLALDMHMLMNMPMZNLODORPBPYRJSKTGTNTRTSUAUKUPWB";
    let state = code.text().get(..2).unwrap_or_default();
    let known = STATES.chunks(2).any(|known| known == state);
    match (known, code.len()) {
        (false, _) => NO,
        (true, 6) => 0.02,
        (true, _) => LIKELY,
    }
}

fn kr_person(code: &Code, sex: std::ops::RangeInclusive<u8>) -> f32 {
    let date = is_short_date(code.number(0..2), code.number(2..4), code.number(4..6));
    // Numbers given out since October 2020 have no check digit and no region.
    let sum = weighted(code.part(0..12), &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]) % 11;
    let base = if *sex.start() == 5 { 13 } else { 11 };
    let check = (base - sum) % 10 == u32::from(code.at(12));
    let region = code.number(7..9) <= 95;
    match (date && sex.contains(&code.at(6)) && region, check) {
        (false, _) => NO,
        (true, true) => STRONG,
        (true, false) => LIKELY,
    }
}

fn sg_nric(code: &Code) -> f32 {
    let Some(series) = code.text().first() else { return NO };
    let sum = weighted(code.part(1..8), &[2, 7, 6, 5, 4, 3, 2]);
    let (offset, letters): (u32, &[u8; 11]) = match series {
        b'S' => (0, b"JZIHGFEDCBA"),
        b'T' => (4, b"JZIHGFEDCBA"),
        b'F' => (0, b"XWUTRQPNMLK"),
        b'G' => (4, b"XWUTRQPNMLK"),
        b'M' => (3, b"XWUTRQPNJLK"),
        _ => return NO,
    };
    let expected = usize::try_from((sum + offset) % 11).ok().and_then(|place| letters.get(place));
    if expected == code.text().last() { STRONG } else { LIKELY }
}

fn sg_uen(code: &Code) -> f32 {
    let check = |letters: &[u8], rest: u32| {
        usize::try_from(rest).ok().and_then(|place| letters.get(place)) == code.text().last()
    };
    let ok = match code.text().first() {
        Some(b'0'..=b'9') if code.len() == 9 => {
            let sum = weighted(code.part(0..8), &[10, 4, 9, 3, 8, 2, 7, 1]);
            check(b"XMKECAWLJDB", sum % 11)
        }
        Some(b'0'..=b'9') => {
            let sum = weighted(code.part(0..9), &[10, 8, 6, 4, 9, 7, 5, 3, 1]);
            (1900..=2100).contains(&code.number(0..4)) && check(b"ZKCMDNERGWH", sum % 11)
        }
        // The rest of the alphabet of entity types has no published check.
        Some(b'T' | b'S' | b'R') => true,
        _ => false,
    };
    if ok { LIKELY } else { NO }
}

fn th_tnin(code: &Code) -> f32 {
    let province = matches!(code.number(1..3),
        10..=19 | 20..=28 | 30..=49 | 50..=58 | 60..=67 | 70..=77 | 80..=86 | 90..=96);
    let sum = weighted(code.part(0..12), &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
    let ok = code.at(0) != 0 && province && (11 - sum % 11) % 10 == u32::from(code.at(12));
    if ok { LIKELY } else { NO }
}
