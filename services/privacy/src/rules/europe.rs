use crate::{
    category::Category,
    checksum::{is_constant, is_short_date, long_number, luhn, mod_11, weighted},
    code::Code,
    rule::{CERTAIN, LIKELY, NO, Rule, STRONG, WEAK},
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        kind: "ES_NIF",
        category: Category::NationalId,
        shapes: &["99999999A", "9999999A", "99999999-A", "9999999-A"],
        between: b"- ",
        check: |code| es_letter(code.number(0..code.len() - 1), code),
        why: "digits with the check letter modulo 23 of a Spanish DNI",
        context: &["dni", "nif", "documento nacional", "identificación"],
    },
    Rule {
        kind: "ES_NIE",
        category: Category::NationalId,
        shapes: &["A9999999A", "A9999999-A", "A-9999999-A"],
        between: b"- ",
        check: es_nie,
        why: "X, Y or Z, seven digits and the check letter modulo 23 of a Spanish NIE",
        context: &["nie", "número de identificación de extranjero", "extranjero"],
    },
    Rule {
        kind: "ES_PASSPORT",
        category: Category::Document,
        shapes: &["AAA999999"],
        between: b"",
        check: |_| WEAK,
        why: "three letters and six digits as in Spanish passports",
        context: &["pasaporte", "passport", "número de pasaporte"],
    },
    Rule {
        kind: "FR_NIR",
        category: Category::NationalId,
        shapes: &[
            "999999999999999",
            "9-99-99-99-999-999-99",
            "9-99-99-9A-999-999-99",
            "999999A99999999",
        ],
        between: b" ",
        check: fr_nir,
        why: "sex, year, month, department and the key modulo 97 of a French social security number",
        context: &["nir", "sécurité sociale", "securite sociale", "insee", "carte vitale"],
    },
    Rule {
        kind: "IT_FISCAL_CODE",
        category: Category::Tax,
        shapes: &["AAAAAAXXAXXAXXXA"],
        between: b"",
        check: it_fiscal_code,
        why: "the places of letters and digits in an Italian fiscal code",
        context: &["codice fiscale", "cf", "fiscal code"],
    },
    Rule {
        kind: "IT_VAT_CODE",
        category: Category::Tax,
        shapes: &["99999999999"],
        between: b"",
        check: |code| if luhn(code.values()) && code.number(0..7) > 0 { LIKELY } else { NO },
        why: "eleven digits with the Luhn check digit of an Italian VAT number",
        context: &["piva", "partita iva", "p.iva"],
    },
    Rule {
        kind: "IT_DRIVER_LICENSE",
        category: Category::Document,
        shapes: &["A9XXXXXXXA", "AA9999999A"],
        between: b"",
        check: |code| match code.text() {
            [b'U', b'1', middle @ .., _]
                if middle.iter().all(|b| !b"AEIOU".contains(b) || *b == b'U') =>
            {
                0.25
            }
            [_, second, ..] if second.is_ascii_uppercase() => 0.25,
            _ => NO,
        },
        why: "the characters of an Italian driving licence",
        context: &["patente", "patente di guida", "licenza", "licenza di guida"],
    },
    Rule {
        kind: "IT_IDENTITY_CARD",
        category: Category::Document,
        shapes: &["9999999AA", "AA99999AA", "AA9999999"],
        between: b"",
        check: |_| WEAK / 2.0,
        why: "the characters of an Italian identity card",
        context: &["carta", "identità", "cie", "documento", "carta d'identità"],
    },
    Rule {
        kind: "IT_PASSPORT",
        category: Category::Document,
        shapes: &["AA9999999"],
        between: b"",
        check: |_| WEAK / 2.0,
        why: "two letters and seven digits as in Italian passports",
        context: &["passaporto", "italiano", "viaggio", "documento"],
    },
    Rule {
        kind: "NL_BSN",
        category: Category::NationalId,
        shapes: &["999999999", "9999-99-999"],
        between: b" .",
        check: nl_bsn,
        why: "nine digits that the Dutch eleven test accepts",
        context: &["bsn", "burgerservicenummer", "sofinummer", "sofi"],
    },
    Rule {
        kind: "BE_NATIONAL_NUMBER",
        category: Category::NationalId,
        shapes: &["99999999999", "99.99.99_999.99", "999999-999-99"],
        between: b"- ",
        check: be_national,
        why: "a date of birth and the check number modulo 97 of a Belgian national number",
        context: &[
            "rijksregisternummer",
            "numéro national",
            "registre national",
            "national number",
            "insz",
        ],
    },
    Rule {
        kind: "PT_NIF",
        category: Category::Tax,
        shapes: &["999999999", "999-999-999"],
        between: b" ",
        check: pt_nif,
        why: "nine digits with the check digit modulo 11 of a Portuguese taxpayer number",
        context: &["nif", "contribuinte", "número fiscal", "numero fiscal"],
    },
    Rule {
        kind: "PL_PESEL",
        category: Category::NationalId,
        shapes: &["99999999999"],
        between: b"",
        check: pl_pesel,
        why: "a date of birth and the check digit of a Polish PESEL",
        context: &["pesel"],
    },
    Rule {
        kind: "TR_NATIONAL_ID",
        category: Category::NationalId,
        shapes: &["99999999999"],
        between: b"",
        check: tr_national,
        why: "eleven digits with the two check digits of a Turkish identity number",
        context: &["tc kimlik", "kimlik no", "kimlik numarası", "tckn", "tc no", "kimlik"],
    },
    Rule {
        kind: "TR_LICENSE_PLATE",
        category: Category::Document,
        shapes: &[
            "99-A-99",
            "99-A-999",
            "99-A-9999",
            "99-AA-99",
            "99-AA-999",
            "99-AA-9999",
            "99-AAA-99",
            "99-AAA-999",
            "99-AAA-9999",
            "99A9999",
            "99AA999",
            "99AA9999",
            "99AAA99",
            "99AAA999",
        ],
        between: b" -",
        check: |code| match (code.number(0..2), code.count) {
            (1..=81, 3) => LIKELY,
            (1..=81, _) => 0.2,
            _ => NO,
        },
        why: "a province from 01 to 81, letters and digits as on Turkish number plates",
        context: &["plaka", "plakası", "plate", "license plate", "number plate"],
    },
];

const DNI: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";

fn es_letter(number: u32, code: &Code) -> f32 {
    let expected = usize::try_from(number % 23).ok().and_then(|place| DNI.get(place));
    if expected == code.text().last() { LIKELY } else { NO }
}

fn es_nie(code: &Code) -> f32 {
    let prefix = match code.text().first() {
        Some(b'X') => 0,
        Some(b'Y') => 1,
        Some(b'Z') => 2,
        _ => return NO,
    };
    es_letter(prefix * 10_000_000 + code.number(1..8), code)
}

fn fr_nir(code: &Code) -> f32 {
    let month = matches!(code.number(3..5), 1..=12 | 20..=42 | 50..=99);
    // Corsica: 2A counts as 19, 2B as 18.
    let department = match (code.at(5), code.at(6)) {
        (2, 10) => 19,
        (2, 11) => 18,
        (a, b @ 0..=9) => u64::from(a) * 10 + u64::from(b),
        _ => return NO,
    };
    let head = long_number(code.part(0..5)) * 100 + department;
    let body = head * 1_000_000 + long_number(code.part(7..13));
    let ok = matches!(code.at(0), 1..=4 | 7 | 8)
        && month
        && 97 - body % 97 == long_number(code.part(13..15));
    if ok { CERTAIN } else { NO }
}

fn it_fiscal_code(code: &Code) -> f32 {
    // Digits may be replaced by these letters where two people would share a code.
    let digit = |place: usize| {
        code.text()
            .get(place)
            .is_some_and(|byte| byte.is_ascii_digit() || b"LMNPQRSTUV".contains(byte))
    };
    let month = code.text().get(8).is_some_and(|byte| b"ABCDEHLMPRST".contains(byte));
    if !([6, 7, 9, 10, 12, 13, 14].into_iter().all(digit) && month) {
        return NO;
    }
    // Decree of 12 March 1974: odd places have values of their own.
    const ODD: [u32; 36] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3,
        6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
    ];
    let sum: u32 = code
        .part(0..15)
        .iter()
        .enumerate()
        .map(|(place, value)| {
            let even = if *value >= 10 { u32::from(*value) - 10 } else { u32::from(*value) };
            if place % 2 == 1 { even } else { ODD.get(usize::from(*value)).copied().unwrap_or(0) }
        })
        .sum();
    if sum % 26 + 10 == u32::from(code.at(15)) { CERTAIN } else { 0.4 }
}

fn nl_bsn(code: &Code) -> f32 {
    let sum = weighted(code.part(0..8), &[9, 8, 7, 6, 5, 4, 3, 2]);
    let ok = sum % 11 == u32::from(code.at(8)) && !is_constant(code.values());
    if ok { 0.25 } else { NO }
}

fn be_national(code: &Code) -> f32 {
    let date = is_short_date(code.number(0..2), code.number(2..4), code.number(4..6));
    let body = long_number(code.part(0..9));
    let check = long_number(code.part(9..11));
    // Born since 2000: a two is put before the number.
    let ok = 97 - body % 97 == check || 97 - (2_000_000_000 + body) % 97 == check;
    if date && ok { STRONG } else { NO }
}

fn pt_nif(code: &Code) -> f32 {
    let check = mod_11(code.part(0..8), &[9, 8, 7, 6, 5, 4, 3, 2]);
    if matches!(code.at(0), 1..=3 | 5..=9) && check == code.at(8) && !is_constant(code.values()) {
        0.25
    } else {
        NO
    }
}

fn pl_pesel(code: &Code) -> f32 {
    // The century is added to the month, in steps of twenty.
    let month = code.number(2..4) % 20;
    let sum = weighted(code.values(), &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]);
    let date = is_short_date(code.number(0..2), month, code.number(4..6));
    if date && sum.is_multiple_of(10) { STRONG - 0.2 } else { NO }
}

fn tr_national(code: &Code) -> f32 {
    let digits = code.values();
    let odd: i32 = digits.iter().take(9).step_by(2).map(|digit| i32::from(*digit)).sum();
    let even: i32 = digits.iter().skip(1).take(7).step_by(2).map(|digit| i32::from(*digit)).sum();
    let first = (odd * 7 - even).rem_euclid(10) == i32::from(code.at(9));
    let second = digits.iter().take(10).map(|digit| i32::from(*digit)).sum::<i32>() % 10
        == i32::from(code.at(10));
    if code.at(0) != 0 && first && second { STRONG } else { NO }
}
