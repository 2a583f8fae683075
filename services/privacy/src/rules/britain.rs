use crate::{
    category::Category,
    checksum::{is_constant, weighted},
    code::Code,
    rule::{LIKELY, NO, Rule, SHAPE, WEAK},
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        kind: "UK_NHS",
        category: Category::Health,
        shapes: &["9999999999", "999-999-9999"],
        between: b"- ",
        check: nhs,
        why: "ten digits with the check digit modulo 11 of an NHS number",
        context: &[
            "nhs",
            "national health service",
            "health authority",
            "health services authority",
        ],
    },
    Rule {
        kind: "UK_NINO",
        category: Category::NationalId,
        shapes: &["AA999999A", "AA-99-99-99-A", "AA-999999-A"],
        between: b" -",
        check: nino,
        why: "a prefix, six digits and a suffix from A to D as in national insurance numbers",
        context: &["national insurance", "ni number", "nino", "insurance number"],
    },
    Rule {
        kind: "UK_PASSPORT",
        category: Category::Document,
        shapes: &["AA9999999"],
        between: b"",
        check: |_| WEAK,
        why: "two letters and seven digits as in British passports",
        context: &["passport", "travel document", "hmpo", "his majesty", "her majesty"],
    },
    Rule {
        kind: "UK_POSTCODE",
        category: Category::Location,
        shapes: &[
            "A9-9AA", "A99-9AA", "AA9-9AA", "AA99-9AA", "A9A-9AA", "AA9A-9AA", "AAA-9AA", "A99AA",
            "A999AA", "AA99AA", "AA999AA", "A9A9AA", "AA9A9AA", "AAA9AA",
        ],
        between: b" ",
        check: postcode,
        why: "an outward and an inward code with the letters that Royal Mail uses",
        context: &[
            "postcode",
            "post code",
            "postal code",
            "zip",
            "address",
            "delivery",
            "mailing",
            "shipping",
            "correspondence",
        ],
    },
    Rule {
        kind: "UK_DRIVING_LICENCE",
        category: Category::Document,
        shapes: &["XXXXX999999XXXXX", "XXXXX-999999-XXXXX"],
        between: b" -",
        check: driving_licence,
        why: "surname, date of birth and initials in the order of a DVLA driver number",
        context: &[
            "driving licence",
            "driving license",
            "driver's licence",
            "driver's license",
            "dvla",
            "dl number",
            "licence number",
            "license number",
            "licence",
        ],
    },
    Rule {
        kind: "UK_VEHICLE_REGISTRATION",
        category: Category::Document,
        shapes: &[
            "AA99-AAA", "AA99AAA", "A9-AAA", "A99-AAA", "A999-AAA", "A9AAA", "A99AAA", "A999AAA",
            "AAA-9A", "AAA-99A", "AAA-999A", "AAA9A", "AAA99A", "AAA999A",
        ],
        between: b" -",
        check: vehicle,
        why: "the letters and digits of a DVLA registration mark",
        context: &[
            "vehicle",
            "registration",
            "number plate",
            "licence plate",
            "license plate",
            "reg",
            "vrn",
            "dvla",
            "v5c",
            "logbook",
            "mot",
            "car",
            "insured vehicle",
        ],
    },
];

fn nhs(code: &Code) -> f32 {
    let sum = weighted(code.values(), &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
    if sum.is_multiple_of(11) && !is_constant(code.values()) { LIKELY } else { NO }
}

/// HMRC's manual NIM39110.
fn nino(code: &Code) -> f32 {
    let [a, b, .., suffix] = code.text() else { return NO };
    let prefix = [*a, *b];
    let banned = [*b"BG", *b"GB", *b"NK", *b"KN", *b"TN", *b"NT", *b"ZZ"].contains(&prefix);
    let ok = !b"DFIQUV".contains(a)
        && !b"DFIQUVO".contains(b)
        && !banned
        && (b'A'..=b'D').contains(suffix);
    if ok { LIKELY } else { NO }
}

/// BS 7666 as Royal Mail's programmers' guide puts it.
fn postcode(code: &Code) -> f32 {
    let text = code.text();
    let Some((outward, inward)) = text.split_at_checked(text.len().saturating_sub(3)) else {
        return NO;
    };
    if inward.iter().skip(1).any(|byte| b"CIKMOV".contains(byte)) {
        return NO;
    }
    let area = |a: &u8| !b"QVX".contains(a);
    let second = |b: &u8| !b"IJZ".contains(b);
    let ok = match outward {
        b"GIR" => inward == b"0AA",
        [a, b'0'..=b'9'] | [a, b'0'..=b'9', b'0'..=b'9'] => area(a),
        [a, b'0'..=b'9', c] => area(a) && b"ABCDEFGHJKPSTUW".contains(c),
        [a, b, b'0'..=b'9'] | [a, b, b'0'..=b'9', b'0'..=b'9'] => area(a) && second(b),
        [a, b, b'0'..=b'9', d] => area(a) && second(b) && b"ABEHMNPRVWXY".contains(d),
        _ => false,
    };
    match (ok, code.count) {
        (false, _) => NO,
        (true, 1) => WEAK,
        (true, _) => SHAPE,
    }
}

fn driving_licence(code: &Code) -> f32 {
    let (name, rest) = code.text().split_at_checked(5).unwrap_or_default();
    let letters = name.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    // A short surname is filled with nines.
    let filled = letters > 0 && name.iter().skip(letters).all(|byte| *byte == b'9');
    let month = matches!(code.number(6..8), 1..=12 | 51..=62);
    let day = (1..=31).contains(&code.number(8..10));
    let [_, _, _, _, _, _, first, second, _, x, y] = rest else { return NO };
    let initial = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'9';
    let last = x.is_ascii_uppercase() && y.is_ascii_uppercase();
    if filled && month && day && initial(first) && initial(second) && last { LIKELY } else { NO }
}

fn vehicle(code: &Code) -> f32 {
    let text = code.text();
    match text {
        // Since 2001: memory tag, age identifier, three letters.
        [a, b, b'0'..=b'9', b'0'..=b'9', x, y, z] => {
            let tag = !b"IQZ".contains(a) && !b"IQZ".contains(b);
            let age = matches!(code.number(2..4), 2..=29 | 51..=79);
            let last = [x, y, z].iter().all(|byte| !b"IQ".contains(byte));
            if tag && age && last { LIKELY } else { NO }
        }
        // 1983 to 2001: a year letter first.
        [year, b'0'..=b'9', .., x, y, z] if x.is_ascii_uppercase() => {
            let last = [x, y, z].iter().all(|byte| !b"IQZ".contains(byte));
            if !b"IOQUZ".contains(year) && last { 0.2 } else { NO }
        }
        // 1963 to 1982: a year letter last.
        [x, y, z, b'0'..=b'9', .., year] => {
            let first = [x, y, z].iter().all(|byte| !b"IQZ".contains(byte));
            if !b"IOQUZ".contains(year) && first { 0.15 } else { NO }
        }
        _ => NO,
    }
}
