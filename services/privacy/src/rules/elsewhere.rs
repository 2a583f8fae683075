use crate::{
    category::Category,
    checksum::{is_constant, luhn},
    code::Code,
    rule::{NO, Rule, SHAPE, STRONG, WEAK},
};

/// Numbers of any length that institutions give out: only the words beside them tell.
const ANY_NUMBER: &[&str] = &[
    "99999",
    "999999",
    "9999999",
    "99999999",
    "999999999",
    "9999999999",
    "99999999999",
    "999999999999",
    "99-99-99",
    "999-999-999",
    "999-99-9999",
    "999-9999",
    "9999-9999",
    "9999-9999-9999",
    "A99999",
    "A999999",
    "A9999999",
    "A99999999",
    "A999999999",
    "AA999999",
    "AA9999999",
    "AA99999999",
    "AA-999999",
    "AA-9999999",
    "AAA999999",
    "AAA999999999",
    "AAA-999999",
    "AAA-9999999",
];

pub(super) const RULES: &[Rule] = &[
    Rule {
        kind: "MEDICAL_RECORD_NUMBER",
        category: Category::Health,
        shapes: ANY_NUMBER,
        between: b"- ",
        check: |_| WEAK,
        why: "a number beside a word for medical records",
        context: &[
            "mrn",
            "mrn#",
            "medical record",
            "patient id",
            "patient number",
            "patient no",
            "chart number",
            "health record",
            "病历号",
            "住院号",
            "patientennummer",
        ],
    },
    Rule {
        kind: "HEALTH_PLAN_NUMBER",
        category: Category::Health,
        shapes: ANY_NUMBER,
        between: b"- ",
        check: |_| WEAK,
        why: "a number beside a word for health insurance",
        context: &[
            "member id",
            "member number",
            "subscriber id",
            "policy number",
            "health plan",
            "insurance id",
            "insurance number",
            "group number",
            "beneficiary",
            "医保号",
            "社保号",
        ],
    },
    Rule {
        kind: "ACCOUNT_NUMBER",
        category: Category::Financial,
        shapes: ANY_NUMBER,
        between: b"- ",
        check: |_| WEAK,
        why: "a number beside a word for accounts",
        context: &[
            "account number",
            "account no",
            "account #",
            "acct",
            "a/c",
            "customer number",
            "customer id",
            "kontonummer",
            "账号",
            "账户",
            "帐号",
            "客户号",
        ],
    },
    Rule {
        kind: "LICENSE_NUMBER",
        category: Category::Document,
        shapes: ANY_NUMBER,
        between: b"- ",
        check: |_| WEAK,
        why: "a number beside a word for certificates and licences",
        context: &[
            "professional license",
            "certificate number",
            "certificate no",
            "permit number",
            "registration number",
            "证书号",
            "执照号",
        ],
    },
    Rule {
        kind: "DEVICE_NUMBER",
        category: Category::Document,
        shapes: ANY_NUMBER,
        between: b"- ",
        check: |_| WEAK,
        why: "a number beside a word for devices",
        context: &[
            "serial number",
            "serial no",
            "s/n",
            "device id",
            "device identifier",
            "pacemaker",
            "implant",
            "udi",
            "序列号",
            "设备号",
        ],
    },
    Rule {
        kind: "IMEI",
        category: Category::Network,
        shapes: &["999999999999999", "99-999999-999999-9"],
        between: b"- ",
        check: imei,
        why: "fifteen digits whose Luhn checksum holds (3GPP TS 23.003)",
        context: &["imei", "handset", "串号"],
    },
    Rule {
        kind: "VIN",
        category: Category::Document,
        shapes: &["XXXXXXXXXXXXXXXXX"],
        between: b"",
        check: vin,
        why: "the characters of a vehicle identification number (ISO 3779)",
        context: &["vin", "vehicle identification", "chassis", "车架号", "fahrgestellnummer"],
    },
];

fn imei(code: &Code) -> f32 {
    let digits = code.values();
    if luhn(digits) && !is_constant(digits) { SHAPE } else { NO }
}

/// 49 CFR 565.15: the ninth character checks the others, in North America.
fn vin(code: &Code) -> f32 {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let text = code.text();
    let value = |byte: u8| match byte {
        b'0'..=b'9' => Some(u32::from(byte - b'0')),
        b'A'..=b'H' => Some(u32::from(byte - b'A') + 1),
        b'J'..=b'N' => Some(u32::from(byte - b'J') + 1),
        b'P' => Some(7),
        b'R' => Some(9),
        b'S'..=b'Z' => Some(u32::from(byte - b'S') + 2),
        _ => None,
    };
    let sum = text
        .iter()
        .zip(WEIGHTS)
        .try_fold(0, |sum, (byte, weight)| value(*byte).map(|value| sum + value * weight));
    let letters = text.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    let serial = text.get(13..).is_some_and(|last| last.iter().all(u8::is_ascii_digit));
    let Some(sum) = sum.filter(|_| serial && (2..=13).contains(&letters)) else { return NO };
    let check = if sum % 11 == 10 { b'X' } else { b'0' + u8::try_from(sum % 11).unwrap_or(0) };
    if text.get(8) == Some(&check) { STRONG } else { SHAPE }
}
