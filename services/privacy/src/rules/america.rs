use crate::{
    category::Category,
    checksum::{is_constant, luhn, mod_11, weighted},
    code::Code,
    rule::{LIKELY, NO, Rule, SHAPE, STRONG, WEAK},
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        kind: "US_SSN",
        category: Category::NationalId,
        shapes: &["999-99-9999", "999999999", "99999-9999", "999-999999"],
        between: b"- .",
        check: us_ssn,
        why: "the groups of a US social security number, none of them zero",
        context: &[
            "social security",
            "ssn",
            "ssns",
            "ssid",
            "ss#",
            "soc sec",
            "social",
            "security number",
        ],
    },
    Rule {
        kind: "US_ITIN",
        category: Category::Tax,
        shapes: &["999-99-9999", "999999999", "99999-9999", "999-999999"],
        between: b"- ",
        check: us_itin,
        why: "nine digits that begin with 9 and a group that the IRS gives out",
        context: &[
            "itin",
            "taxpayer",
            "tax id",
            "taxid",
            "tin",
            "individual taxpayer",
            "tax payer",
        ],
    },
    Rule {
        kind: "US_PASSPORT",
        category: Category::Document,
        shapes: &["999999999", "A99999999"],
        between: b"",
        check: |_| WEAK,
        why: "nine characters as in US passports",
        context: &["passport", "travel document", "passport#"],
    },
    Rule {
        kind: "US_DRIVER_LICENSE",
        category: Category::Document,
        shapes: &[
            // Written with groups, or digits alone: only where the words around say what it is.
            "9999-99-9999",
            "999-999-999",
            "999-99-9999",
            "99-999-999",
            "99-99-9999",
            "A999-9999-9999",
            "A999-999-99-999-9",
            "A9999-99999-99999",
            "9999999",
            "99999999",
            "999999999",
            "9999999999",
            "999999999999",
            "A999",
            "A9999",
            "A99999",
            "A999999",
            "A9999999",
            "A99999999",
            "A999999999",
            "A9999999999",
            "A99999999999",
            "A999999999999",
            "A9999999999999",
            "A99999999999999",
            "A999999999999999999",
            "AA99999",
            "AA999999",
            "AA9999999",
            "AA999999A",
            "AAA999999",
            "99AAA99999",
            "99AAA999999",
            "9999999A",
            "99999999A",
            "999999999A",
            "99999999AA",
            "999AA9999",
            "A9A9A",
            "A999999A",
        ],
        between: b"- ",
        check: us_driver_license,
        why: "a form that US states give driving licences",
        context: &[
            "driver license",
            "drivers license",
            "driver's license",
            "driver’s license",
            "drivers",
            "driver",
            "license",
            "license number",
            "permit",
            "lic",
            "lic#",
            "dl",
            "dls",
            "cdl",
            "cdls",
            "dmv",
            "driving",
            "driver licence",
            "driver's licence",
        ],
    },
    Rule {
        kind: "US_NPI",
        category: Category::Health,
        shapes: &["9999999999", "9999-999-999"],
        between: b"- ",
        check: us_npi,
        why: "ten digits with the Luhn check digit of the national provider system",
        context: &[
            "npi",
            "national provider",
            "provider",
            "provider id",
            "provider identifier",
            "taxonomy",
        ],
    },
    Rule {
        kind: "US_MBI",
        category: Category::Health,
        shapes: &["9AX9AX9AA99", "9AX9-AX9-AA99"],
        between: b"- ",
        check: us_mbi,
        why: "the places of letters and digits in a Medicare beneficiary identifier",
        context: &["medicare", "mbi", "beneficiary", "cms", "medicaid", "hic", "hicn"],
    },
    Rule {
        kind: "ABA_ROUTING_NUMBER",
        category: Category::Financial,
        shapes: &["999999999", "9999-9999-9"],
        between: b"-",
        check: aba_routing,
        why: "a Federal Reserve district and the check digit of a bank's routing number",
        context: &["aba", "routing", "abarouting", "bankrouting", "rtn", "routing number"],
    },
    Rule {
        kind: "US_BANK_NUMBER",
        category: Category::Financial,
        shapes: &[
            "99999999",
            "999999999",
            "9999999999",
            "99999999999",
            "999999999999",
            "9999999999999",
            "99999999999999",
            "999999999999999",
            "9999999999999999",
            "99999999999999999",
        ],
        between: b"",
        check: |_| WEAK / 2.0,
        why: "as many digits as a US bank account has",
        context: &[
            "bank account",
            "account number",
            "account#",
            "account no",
            "acct",
            "checking",
            "savings account",
            "bank",
            "account",
            "debit",
        ],
    },
    Rule {
        kind: "MEDICAL_LICENSE",
        category: Category::Health,
        shapes: &["AA9999999", "A99999999"],
        between: b"",
        check: dea,
        why: "the check digit of a DEA registration",
        context: &["dea", "medical", "certificate", "dea number", "prescriber"],
    },
    Rule {
        kind: "CA_SIN",
        category: Category::NationalId,
        shapes: &["999-999-999", "999999999"],
        between: b"- ",
        check: ca_sin,
        why: "nine digits with the Luhn check digit of a Canadian social insurance number",
        context: &[
            "sin",
            "sin number",
            "social insurance",
            "canada",
            "nas",
            "numéro nas",
            "assurance sociale",
        ],
    },
    Rule {
        kind: "ZIP_CODE",
        category: Category::Location,
        shapes: &[
            "9999",
            "99999",
            "999999",
            "999-99",
            "9999-AA",
            "9999AA",
            "99999-999",
            "99999-9999",
            "99-999",
            "999-9999",
            "A9A-9A9",
            "A9A9A9",
        ],
        between: b" -",
        // Anything could be one: only the word for it tells.
        check: |_| 0.05,
        why: "the digits of a postal code beside the word for it",
        context: &["zip", "zip code", "zipcode", "postal code", "postcode", "邮编", "邮政编码"],
    },
    Rule {
        kind: "BR_CPF",
        category: Category::NationalId,
        shapes: &["99999999999", "999.999.999_99"],
        between: b"",
        check: br_cpf,
        why: "two check digits modulo 11 of a Brazilian taxpayer number",
        context: &["cpf", "cadastro de pessoas", "contribuinte"],
    },
    Rule {
        kind: "BR_CNPJ",
        category: Category::Tax,
        shapes: &["99999999999999", "99.999.999/9999_99"],
        between: b"",
        check: br_cnpj,
        why: "two check digits modulo 11 of a Brazilian company number",
        context: &["cnpj", "cadastro nacional", "empresa"],
    },
];

fn us_ssn(code: &Code) -> f32 {
    const SAMPLES: [&[u8]; 3] = [b"123456789", b"078051120", b"987654321"];
    let (area, group, serial) = (code.number(0..3), code.number(3..5), code.number(5..9));
    let given = area != 0 && area != 666 && area < 900 && group != 0 && serial != 0;
    let sample = SAMPLES.contains(&code.text());
    if !given || sample || is_constant(code.values()) {
        return NO;
    }
    match (code.count, code.gaps()) {
        (3, [b'-', ..]) => 0.6,
        (3, _) => LIKELY,
        _ => WEAK,
    }
}

fn us_itin(code: &Code) -> f32 {
    let group = code.number(3..5);
    let given = code.at(0) == 9 && matches!(group, 50..=65 | 70..=88 | 90..=92 | 94..=99);
    match (given, code.count) {
        (false, _) => NO,
        (true, 3) => LIKELY,
        (true, _) => SHAPE,
    }
}

fn us_driver_license(code: &Code) -> f32 {
    // Digits alone say nothing at all.
    if code.is_digits() || code.count > 1 { 0.01 } else { WEAK }
}

fn us_npi(code: &Code) -> f32 {
    // CMS: the Luhn sum is taken with the prefix 80840 of US health identifiers.
    let with_prefix: Vec<u8> = [8, 0, 8, 4, 0].iter().chain(code.values()).copied().collect();
    let ok = matches!(code.at(0), 1 | 2) && !is_constant(code.part(1..10)) && luhn(&with_prefix);
    if ok { LIKELY } else { NO }
}

fn us_mbi(code: &Code) -> f32 {
    // CMS: no S, L, O, I, B, Z, and the first digit is not 0.
    let letters = code.text().iter().all(|byte| !b"SLOIBZ".contains(byte));
    match (code.at(0) != 0 && letters, code.count) {
        (false, _) => NO,
        (true, 1) => LIKELY,
        (true, _) => STRONG,
    }
}

fn aba_routing(code: &Code) -> f32 {
    let district = matches!(code.number(0..2), 1..=12 | 21..=32 | 61..=72 | 80);
    let sum = weighted(code.values(), &[3, 7, 1, 3, 7, 1, 3, 7, 1]);
    if district && sum.is_multiple_of(10) { 0.4 } else { NO }
}

fn dea(code: &Code) -> f32 {
    let first = b"ABCDEFGHJKLMPRSTUX".contains(code.text().first().unwrap_or(&0));
    let second = code.at(1) >= 10 || code.at(1) == 9;
    let digits = code.part(2..9);
    let sum = weighted(digits, &[1, 2, 1, 2, 1, 2]);
    if first && second && digits.last().is_some_and(|check| sum % 10 == u32::from(*check)) {
        LIKELY
    } else {
        NO
    }
}

fn ca_sin(code: &Code) -> f32 {
    // 0 and 8 are not given out to people.
    let ok = !matches!(code.at(0), 0 | 8) && !is_constant(code.values()) && luhn(code.values());
    match (ok, code.count) {
        (false, _) => NO,
        (true, 3) => LIKELY,
        (true, _) => 0.2,
    }
}

fn br_cpf(code: &Code) -> f32 {
    let first = mod_11(code.part(0..9), &[10, 9, 8, 7, 6, 5, 4, 3, 2]);
    let second = mod_11(code.part(0..10), &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
    let ok = code.at(9) == first && code.at(10) == second && !is_constant(code.values());
    if ok { STRONG } else { NO }
}

fn br_cnpj(code: &Code) -> f32 {
    let first = mod_11(code.part(0..12), &[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]);
    let second = mod_11(code.part(0..13), &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]);
    let ok = code.at(12) == first && code.at(13) == second && !is_constant(code.values());
    if ok { STRONG } else { NO }
}
