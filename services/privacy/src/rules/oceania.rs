use crate::{
    category::Category,
    checksum::{is_constant, luhn, weighted},
    code::Code,
    rule::{LIKELY, NO, Rule, STRONG},
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        kind: "AU_ABN",
        category: Category::Tax,
        shapes: &["99999999999", "99-999-999-999"],
        between: b" ",
        check: abn,
        why: "eleven digits that the Australian business number's sum modulo 89 accepts",
        context: &["abn", "australian business number"],
    },
    Rule {
        kind: "AU_ACN",
        category: Category::Tax,
        shapes: &["999999999", "999-999-999"],
        between: b" ",
        check: acn,
        why: "nine digits with the check digit of an Australian company number",
        context: &["acn", "australian company number"],
    },
    Rule {
        kind: "AU_TFN",
        category: Category::Tax,
        shapes: &["999999999", "999-999-999"],
        between: b" ",
        check: tfn,
        why: "nine digits that the Australian tax file number's sum modulo 11 accepts",
        context: &["tfn", "tax file number"],
    },
    Rule {
        kind: "AU_MEDICARE",
        category: Category::Health,
        shapes: &["9999999999", "9999-99999-9"],
        between: b" ",
        check: medicare,
        why: "ten digits with the check digit of an Australian Medicare card",
        context: &["medicare"],
    },
    Rule {
        kind: "ZA_ID_NUMBER",
        category: Category::NationalId,
        shapes: &["9999999999999", "999999-9999-999", "999999-9999-9-9-9"],
        between: b" ",
        check: za_id,
        why: "a date of birth, a status and the Luhn check digit of a South African identity number",
        context: &[
            "rsa id",
            "sa id",
            "south african",
            "south africa",
            "id number",
            "permanent resident",
            "refugee",
            "identity number",
            "resident number",
        ],
    },
    Rule {
        kind: "NG_NIN",
        category: Category::NationalId,
        shapes: &["99999999999"],
        between: b"",
        check: ng_nin,
        why: "eleven digits with a Verhoeff check digit as in Nigeria",
        context: &[
            "nin",
            "national identification number",
            "national identity",
            "nimc",
            "nigeria id",
            "nigerian identification",
        ],
    },
    Rule {
        kind: "NG_VEHICLE_REGISTRATION",
        category: Category::Document,
        shapes: &["AAA-999AA", "AAA999AA"],
        between: b"- ",
        check: ng_vehicle,
        why: "the letters and digits of a Nigerian number plate",
        context: &[
            "plate number",
            "vehicle registration",
            "license plate",
            "number plate",
            "plate",
        ],
    },
];

fn abn(code: &Code) -> f32 {
    // The Australian Business Register: one is taken from the first digit.
    let sum = weighted(code.values(), &[10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
    let ok = code.at(0) != 0 && sum.checked_sub(10).is_some_and(|sum| sum.is_multiple_of(89));
    if ok { STRONG } else { NO }
}

fn acn(code: &Code) -> f32 {
    let sum = weighted(code.values(), &[8, 7, 6, 5, 4, 3, 2, 1]);
    if (10 - sum % 10) % 10 == u32::from(code.at(8)) && sum > 0 { 0.4 } else { NO }
}

fn tfn(code: &Code) -> f32 {
    let sum = weighted(code.values(), &[1, 4, 3, 7, 5, 8, 6, 9, 10]);
    if sum.is_multiple_of(11) && !is_constant(code.values()) { 0.4 } else { NO }
}

fn medicare(code: &Code) -> f32 {
    let sum = weighted(code.values(), &[1, 3, 7, 9, 1, 3, 7, 9]);
    let ok = (2..=6).contains(&code.at(0)) && sum % 10 == u32::from(code.at(8));
    if ok { 0.4 } else { NO }
}

fn za_id(code: &Code) -> f32 {
    let (year, month, day) = (code.number(0..2), code.number(2..4), code.number(4..6));
    let status = code.at(10) <= 2 && matches!(code.at(11), 8 | 9);
    let ok = crate::checksum::is_short_date(year, month, day) && status && luhn(code.values());
    if ok { STRONG } else { NO }
}

fn ng_nin(code: &Code) -> f32 {
    let ok = crate::checksum::verhoeff(code.values()) && !is_constant(code.values());
    if ok { LIKELY - 0.1 } else { NO }
}

fn ng_vehicle(code: &Code) -> f32 {
    if code.count == 2 { LIKELY } else { 0.2 }
}
