use crate::{
    category::Category,
    checksum::{mod_11_10, weighted},
    code::Code,
    rule::{LIKELY, NO, Rule, SHAPE, STRONG, WEAK},
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        kind: "DE_BSNR",
        category: Category::Health,
        shapes: &["999999999"],
        between: b"",
        check: bsnr,
        why: "the regional code of a German medical practice number",
        context: &[
            "bsnr",
            "betriebsstättennummer",
            "betriebsstätte",
            "praxisnummer",
            "praxis",
            "arztpraxis",
            "kv-nummer",
        ],
    },
    Rule {
        kind: "DE_LANR",
        category: Category::Health,
        shapes: &["999999999"],
        between: b"",
        check: lanr,
        why: "the check digit of a German physician number",
        context: &[
            "lanr",
            "arztnummer",
            "arzt-nr",
            "arzt nr",
            "vertragsarzt",
            "hausarzt",
            "rezept",
        ],
    },
    Rule {
        kind: "DE_HEALTH_INSURANCE",
        category: Category::Health,
        shapes: &["A999999999"],
        between: b"",
        check: health_insurance,
        why: "a letter, nine digits and the check digit of a German health insurance number",
        context: &[
            "kvnr",
            "krankenversicherungsnummer",
            "versichertennummer",
            "krankenkasse",
            "gesundheitskarte",
            "egk",
            "egk-nummer",
            "krankenversicherung",
        ],
    },
    Rule {
        kind: "DE_ID_CARD",
        category: Category::Document,
        shapes: &["AXXXXXXX9", "AXXXXXXX9-9"],
        between: b" ",
        check: id_card,
        why: "nine characters with the check digit of a German identity card",
        context: &[
            "personalausweis",
            "ausweis",
            "ausweisnummer",
            "personalausweisnummer",
            "seriennummer",
            "identity card",
            "national id",
        ],
    },
    Rule {
        kind: "DE_PASSPORT",
        category: Category::Document,
        shapes: &["AXXXXXXX9"],
        between: b"",
        check: passport,
        why: "nine characters with the check digit of a German passport",
        context: &["reisepass", "passnummer", "pass", "passport", "pass-nr", "reisepassnummer"],
    },
    Rule {
        kind: "DE_SOCIAL_SECURITY",
        category: Category::NationalId,
        shapes: &["99999999A999", "99-999999-A-999", "99-999999-A-99-9"],
        between: b" ",
        check: social_security,
        why: "an area, a date of birth, an initial and the check digit of a German pension number",
        context: &[
            "rentenversicherungsnummer",
            "sozialversicherungsnummer",
            "versicherungsnummer",
            "rvnr",
            "svnr",
            "sv-nummer",
            "rentenversicherung",
            "sozialversicherung",
        ],
    },
    Rule {
        kind: "DE_TAX_ID",
        category: Category::Tax,
        shapes: &["99999999999", "99-999-999-999"],
        between: b" ",
        check: tax_id,
        why: "eleven digits with the check digit of a German tax identification number",
        context: &[
            "steuer-id",
            "steuerid",
            "steueridentifikationsnummer",
            "idnr",
            "steuer-idnr",
            "steuernummer",
            "identifikationsnummer",
        ],
    },
    Rule {
        kind: "DE_TAX_NUMBER",
        category: Category::Tax,
        shapes: &[
            "9999999999999",
            "999/999/99999",
            "99/999/99999",
            "99/9999/9999",
            "999/9999/9999",
        ],
        between: b"",
        check: tax_number,
        why: "the parts of a German tax office's number",
        context: &["steuernummer", "steuer-nr", "steuer nr", "st.-nr", "st-nr", "finanzamt"],
    },
    Rule {
        kind: "DE_VAT_ID",
        category: Category::Tax,
        shapes: &["AA999999999", "AA-999999999", "AA-999-999-999", "AA999-999-999"],
        between: b" -.",
        check: vat_id,
        why: "`DE`, nine digits and the check digit of a German VAT number",
        context: &["ust-idnr", "ust-id", "ustidnr", "umsatzsteuer", "vat", "vat-id", "vat id"],
    },
    Rule {
        kind: "DE_PLZ",
        category: Category::Location,
        shapes: &["99999"],
        between: b"",
        check: |code| if (1001..=99998).contains(&code.number(0..5)) { WEAK } else { NO },
        why: "five digits as in German postal codes",
        context: &["plz", "postleitzahl", "postanschrift", "lieferadresse", "wohnort"],
    },
    Rule {
        kind: "DE_KFZ",
        category: Category::Document,
        shapes: &[
            "A-A-9",
            "A-A-99",
            "A-A-999",
            "A-A-9999",
            "A-AA-9",
            "A-AA-99",
            "A-AA-999",
            "A-AA-9999",
            "AA-A-9",
            "AA-A-99",
            "AA-A-999",
            "AA-A-9999",
            "AA-AA-9",
            "AA-AA-99",
            "AA-AA-999",
            "AA-AA-9999",
            "AAA-A-9",
            "AAA-A-99",
            "AAA-A-999",
            "AAA-A-9999",
            "AAA-AA-9",
            "AAA-AA-99",
            "AAA-AA-999",
        ],
        between: b" -",
        check: |code| if code.at(code.len() - 1) == 0 && code.len() < 4 { NO } else { 0.15 },
        why: "a district, letters and digits as on German number plates",
        context: &["kennzeichen", "kfz", "nummernschild", "fahrzeug", "auto", "pkw", "lkw"],
    },
    Rule {
        kind: "DE_HANDELSREGISTER",
        category: Category::Tax,
        shapes: &[
            "AAA-9",
            "AAA-99",
            "AAA-999",
            "AAA-9999",
            "AAA-99999",
            "AAA-999999",
            "AAA9999",
            "AAA99999",
            "AAA999999",
        ],
        between: b" ",
        check: |code| match code.text() {
            [b'H', b'R', b'A' | b'B', ..] => LIKELY,
            _ => NO,
        },
        why: "`HRA` or `HRB` and a number, as in the German commercial register",
        context: &["handelsregister", "amtsgericht", "registergericht", "handelsregisternummer"],
    },
    Rule {
        kind: "DE_FUEHRERSCHEIN",
        category: Category::Document,
        shapes: &["XX99999999X"],
        between: b"",
        check: |code| {
            if code.at(0) >= 10 || code.at(1) >= 10 { SHAPE } else { NO }
        },
        why: "an authority, eight digits and a check character as in German driving licences",
        context: &["führerschein", "führerscheinnummer", "fahrerlaubnis", "driving licence"],
    },
];

/// The regions of the associations of statutory health insurance physicians.
fn bsnr(code: &Code) -> f32 {
    let region = matches!(
        code.number(0..2),
        1..=3 | 17 | 20 | 35 | 38 | 46..=52 | 55 | 60..=63 | 71..=74 | 78 | 83 | 85 | 88 | 93..=99
    );
    if region { WEAK } else { NO }
}

fn lanr(code: &Code) -> f32 {
    let sum = weighted(code.values(), &[4, 9, 4, 9, 4, 9]);
    if (10 - sum % 10) % 10 == u32::from(code.at(6)) { 0.25 } else { NO }
}

/// The sum of the digits of products with 1 and 2 in turn.
fn crossed(digits: impl Iterator<Item = u8>, weights: &[u32]) -> u32 {
    digits
        .zip(weights)
        .map(|(digit, weight)| {
            let product = u32::from(digit) * weight;
            product / 10 + product % 10
        })
        .sum()
}

/// Letters count with their place in the alphabet, as two digits.
fn spelled(code: &Code) -> impl Iterator<Item = u8> {
    code.values()
        .iter()
        .flat_map(|value| match value {
            digit @ 0..=9 => [Some(*digit), None],
            letter => [Some((letter - 9) / 10), Some((letter - 9) % 10)],
        })
        .flatten()
}

fn health_insurance(code: &Code) -> f32 {
    let sum = crossed(spelled(code), &[1, 2, 1, 2, 1, 2, 1, 2, 1, 2]);
    if sum % 10 == u32::from(code.at(9)) { LIKELY } else { NO }
}

/// ICAO 9303: weights 7, 3, 1 over digits and letters from 10 on.
fn icao(code: &Code) -> bool {
    let sum = weighted(code.part(0..8), &[7, 3, 1, 7, 3, 1, 7, 3]);
    sum % 10 == u32::from(code.at(8))
}

/// No vowels and nothing that looks like another.
fn serial(code: &Code) -> bool {
    code.text().iter().all(|byte| byte.is_ascii_digit() || b"CFGHJKLMNPRTVWXYZ".contains(byte))
}

fn id_card(code: &Code) -> f32 {
    let old = code.text().first() == Some(&b'T') && code.digits.count_ones() == 8;
    match (serial(code) && icao(code), old) {
        (true, _) => LIKELY,
        (false, true) => SHAPE,
        _ => NO,
    }
}

fn passport(code: &Code) -> f32 {
    if serial(code) && icao(code) { LIKELY } else { NO }
}

fn social_security(code: &Code) -> f32 {
    let (day, month) = (code.number(2..4), code.number(4..6));
    let sum = crossed(spelled(code), &[2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1]);
    let ok = matches!(day, 1..=31 | 51..=81)
        && matches!(month, 1..=12)
        && sum % 10 == u32::from(code.at(11));
    if ok { STRONG } else { NO }
}

fn tax_id(code: &Code) -> f32 {
    let most = (0..=9_u8)
        .map(|digit| code.part(0..10).iter().filter(|other| **other == digit).count())
        .max();
    if code.at(0) != 0 && most <= Some(3) && mod_11_10(code.values()) { LIKELY } else { NO }
}

fn tax_number(code: &Code) -> f32 {
    match code.count {
        1 if (1..=32).contains(&code.number(0..2)) => WEAK,
        1 => NO,
        _ => SHAPE,
    }
}

fn vat_id(code: &Code) -> f32 {
    let ok = code.text().starts_with(b"DE") && code.at(2) != 0 && mod_11_10(code.part(2..11));
    if ok { STRONG } else { NO }
}
