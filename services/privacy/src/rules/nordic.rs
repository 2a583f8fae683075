use crate::{
    category::Category,
    checksum::{is_date, is_short_date, luhn},
    code::Code,
    rule::{CERTAIN, LIKELY, NO, Rule, STRONG},
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        kind: "FI_PERSONAL_IDENTITY_CODE",
        category: Category::NationalId,
        // The sign of the century may be a letter or a sign of its own.
        shapes: &["999999A999X", "999999_999X"],
        between: b"",
        check: fi_code,
        why: "a date of birth, a sign of the century and the check character modulo 31",
        context: &["hetu", "henkilötunnus", "personbeteckning", "personal identity code"],
    },
    Rule {
        kind: "SE_PERSONNUMMER",
        category: Category::NationalId,
        shapes: &[
            "9999999999",
            "999999999999",
            "999999_9999",
            "99999999_9999",
            "999999+9999",
            "99999999+9999",
        ],
        between: b"",
        check: se_person,
        why: "a date of birth and the Luhn check digit of a Swedish personal number",
        context: &[
            "personnummer",
            "svensk id",
            "ssn",
            "personal identity number",
            "samordningsnummer",
            "pnr",
            "swedish id",
        ],
    },
    Rule {
        kind: "SE_ORGANISATIONSNUMMER",
        category: Category::Tax,
        shapes: &["999999_9999", "9999999999"],
        between: b"",
        check: se_organisation,
        why: "a group from 20 on and the Luhn check digit of a Swedish organisation number",
        context: &[
            "organisationsnummer",
            "orgnr",
            "org nr",
            "orgnummer",
            "företagsnummer",
            "company",
        ],
    },
];

/// The Digital and Population Data Services Agency: the check character is the remainder modulo 31
/// of date and number read as one.
fn fi_code(code: &Code) -> f32 {
    const CHECKS: &[u8; 31] = b"0123456789ABCDEFHJKLMNPRSTUVWXY";
    let century = code.count == 2 || b"ABCDEFYXWVU".contains(code.text().get(6).unwrap_or(&0));
    let serial = if code.count == 2 { code.number(6..9) } else { code.number(7..10) };
    let check = code.text().last();
    let place = u64::from(code.number(0..6)) * 1000 + u64::from(serial);
    let expected = usize::try_from(place % 31).ok().and_then(|place| CHECKS.get(place));
    let date = is_short_date(code.number(4..6), code.number(2..4), code.number(0..2));
    if century && date && serial >= 2 && check == expected { CERTAIN } else { NO }
}

fn se_person(code: &Code) -> f32 {
    let long = code.len() == 12;
    let short = code.part(code.len() - 10..code.len());
    let [y1, y2, m1, m2, d1, d2, ..] = short else { return NO };
    let two = |a: &u8, b: &u8| u32::from(*a) * 10 + u32::from(*b);
    let (year, month, day) = (two(y1, y2), two(m1, m2), two(d1, d2));
    // A coordination number adds sixty to the day.
    let day = if day > 60 { day - 60 } else { day };
    let date = if long {
        let century = code.number(0..2);
        matches!(century, 18..=20) && is_date(century * 100 + year, month, day)
    } else {
        is_short_date(year, month, day)
    };
    match (date && luhn(short), long || code.count == 2) {
        (false, _) => NO,
        (true, true) => STRONG,
        (true, false) => LIKELY,
    }
}

fn se_organisation(code: &Code) -> f32 {
    // The third digit is at least 2, which no month is.
    let ok = code.at(2) >= 2 && code.at(0) != 0 && luhn(code.values());
    match (ok, code.count) {
        (false, _) => NO,
        (true, 2) => 0.6,
        (true, _) => 0.2,
    }
}
