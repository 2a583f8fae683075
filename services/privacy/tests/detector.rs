//! What is found, what is not, and what is left when it is taken out.
#![expect(
    clippy::as_conversions,
    clippy::unwrap_used,
    reason = "a test says what it expects by failing"
)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use reeve_domain::Kind;
use reeve_domain::{KindCounts, Redaction, TenantId};
use reeve_privacy::{
    Checksum, Confidence, Detector, Pseudonyms, RawText, RecogniserSpec, Redactor,
};

/// Takes every kind of `kinds` out in one way.
fn redacted(
    detector: &Detector,
    kinds: &BTreeSet<Kind>,
    how: Redaction,
    text: &str,
) -> (String, KindCounts) {
    let findings = detector.scan_str(text).unwrap();
    let how = kinds.iter().map(|kind| (kind.clone(), how)).collect();
    let pseudonyms = Pseudonyms::new([7; 32]);
    let redactor = Redactor { detector, how: &how, pseudonyms: &pseudonyms, year: 2026 };
    let (clean, counts) = redactor.redact(RawText::new(text.to_owned()), &findings).unwrap();
    (clean.as_str().to_owned(), counts)
}

/// The surest reading of each value.
fn found(text: &str) -> Vec<(String, String)> {
    let mut surest: Vec<reeve_privacy::Finding> = Vec::new();
    for finding in Detector::new(&Detector::known_kinds()).scan_str(text).unwrap() {
        match surest.last_mut() {
            Some(last) if finding.range.start < last.range.end => {
                if finding.confidence > last.confidence {
                    *last = finding;
                }
            }
            _ => surest.push(finding),
        }
    }
    surest
        .into_iter()
        .map(|finding| (finding.kind.to_string(), text[finding.range].to_owned()))
        .collect()
}

#[test]
fn values_are_found_whole() {
    for (text, kind, value) in [
        (
            "write to jo.smith+x@mail.example.co.uk.",
            "EMAIL_ADDRESS",
            "jo.smith+x@mail.example.co.uk",
        ),
        ("请联系zhang@example.cn谢谢", "EMAIL_ADDRESS", "zhang@example.cn"),
        ("13800138000@qq.example.com", "EMAIL_ADDRESS", "13800138000@qq.example.com"),
        ("ｊｏ＠ｅｘａｍｐｌｅ．ｃｏｍ", "EMAIL_ADDRESS", "ｊｏ＠ｅｘａｍｐｌｅ．ｃｏｍ"),
        ("jo@exam\u{200B}ple.com", "EMAIL_ADDRESS", "jo@exam\u{200B}ple.com"),
        ("IBAN DE89 3704 0044 0532 0130 00 please", "IBAN_CODE", "DE89 3704 0044 0532 0130 00"),
        ("GB82WEST12345698765432", "IBAN_CODE", "GB82WEST12345698765432"),
        ("账号NL91ABNA0417164300。", "IBAN_CODE", "NL91ABNA0417164300"),
        ("card 4111 1111 1111 1111.", "CREDIT_CARD", "4111 1111 1111 1111"),
        ("card 4111-1111-1111-1111", "CREDIT_CARD", "4111-1111-1111-1111"),
        (
            "卡号４１１１１１１１１１１１１１１１，",
            "CREDIT_CARD",
            "４１１１１１１１１１１１１１１１",
        ),
        ("amex 378282246310005", "CREDIT_CARD", "378282246310005"),
        ("from 192.168.1.254, again", "IP_ADDRESS", "192.168.1.254"),
        ("at 10.0.0.1:8080", "IP_ADDRESS", "10.0.0.1"),
        ("2001:db8::ff00:42:8329 is down", "IP_ADDRESS", "2001:db8::ff00:42:8329"),
        ("fe80::1ff:fe23:4567:890a", "IP_ADDRESS", "fe80::1ff:fe23:4567:890a"),
        ("she is 93 years old", "AGE", "93"),
        ("病人年龄：91，男", "AGE", "91"),
        ("my 4-year-old", "AGE", "4"),
        ("he was born in 1931.", "DATE_OF_BIRTH", "1931"),
        ("王奶奶出生于1931年", "DATE_OF_BIRTH", "1931"),
        ("admitted on March 3, 1984.", "DATE_TIME", "March 3, 1984"),
        ("seen on Mar. 3rd by", "DATE_TIME", "Mar. 3rd"),
        ("on the 3rd of March 1984", "DATE_TIME", "3rd of March 1984"),
        ("21 May 2021", "DATE_TIME", "21 May 2021"),
        ("MRN: 00482913", "MEDICAL_RECORD_NUMBER", "00482913"),
        ("VIN 1M8GDM9AXKP042788", "VIN", "1M8GDM9AXKP042788"),
        ("IMEI 490154203237518", "IMEI", "490154203237518"),
        ("member ID AAA123456789", "HEALTH_PLAN_NUMBER", "AAA123456789"),
        ("serial number AB-1234567", "DEVICE_NUMBER", "AB-1234567"),
        ("certificate number 123456", "LICENSE_NUMBER", "123456"),
        ("account number 4471102", "ACCOUNT_NUMBER", "4471102"),
        ("身份证11010519491231002X，", "CN_RESIDENT_ID", "11010519491231002X"),
        ("id 440308199901101512", "CN_RESIDENT_ID", "440308199901101512"),
        ("call +44 20 7946 0958 now", "PHONE_NUMBER", "+44 20 7946 0958"),
        ("+1 (415) 555-2671", "PHONE_NUMBER", "+1 (415) 555-2671"),
        ("(415) 555-2671", "PHONE_NUMBER", "(415) 555-2671"),
        ("415-555-2671", "PHONE_NUMBER", "415-555-2671"),
        ("手机13800138000。", "PHONE_NUMBER", "13800138000"),
        ("138 0013 8000", "PHONE_NUMBER", "138 0013 8000"),
        ("030 1234 5678", "PHONE_NUMBER", "030 1234 5678"),
        ("my phone 0301234567", "PHONE_NUMBER", "0301234567"),
    ] {
        assert_eq!(found(text), [(kind.to_owned(), value.to_owned())], "{text}");
    }
}

#[test]
fn what_only_looks_like_a_value_is_left() {
    for text in [
        "order 4111 1111 1111 1112",
        "order 10482231, paid at 10:30",
        "version 1.2.3 of build 24",
        "the 2 may differ, 5 marbles, 3 decisions",
        "the idea was born 3 times, in room 1931",
        "page 12, chapter 4, on average 45",
        "DE89 3704 0044 0532 0130 01",
        "11010519491231002Y",
        "110105194913310025",
        "990105194912310025",
        "a@b",
        "@home and @work",
        "300.1.1.1",
        "12345678901234567890123456789012345678",
        "the ratio is 3:4:5",
        "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12",
        "",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn several_values_in_one_text_are_all_found() {
    let text = "a@b.example,4111111111111111;11010519491231002X和13800138000 or 10.1.2.3";
    let kinds: Vec<String> = found(text).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(
        kinds,
        ["EMAIL_ADDRESS", "CREDIT_CARD", "CN_RESIDENT_ID", "PHONE_NUMBER", "IP_ADDRESS"]
    );
}

#[test]
fn only_the_chosen_kinds_are_taken_out() {
    let text = "a@b.example paid with 4111111111111111";
    let detector = Detector::new(&Detector::known_kinds());
    let (clean, counts) =
        redacted(&detector, &[Kind::CREDIT_CARD].into(), Redaction::Replace, text);
    assert_eq!(clean, "a@b.example paid with [CREDIT_CARD]");
    assert_eq!(counts, BTreeMap::from([(Kind::CREDIT_CARD, 1)]));
}

#[test]
fn each_way_of_redaction_leaves_what_it_says() {
    let text = "Jo (jo@b.example, 4111 1111 1111 1111) called on 2024-03-15 from 192.0.2.7";
    let kinds = Detector::known_kinds();
    let detector = Detector::new(&kinds);
    for (how, expected) in [
        (
            Redaction::Generalise,
            "Jo ([EMAIL_ADDRESS], [CREDIT_CARD]) called on 2024 from 192.0.2.*",
        ),
        (
            Redaction::Mask,
            "Jo (**@*.*******, **** **** **** 1111) called on ****-**-** from ***.*.*.*",
        ),
        (
            Redaction::Replace,
            "Jo ([EMAIL_ADDRESS], [CREDIT_CARD]) called on [DATE_TIME] from [IP_ADDRESS]",
        ),
        (Redaction::Remove, "Jo (…, …) called on … from …"),
    ] {
        assert_eq!(redacted(&detector, &kinds, how, text).0, expected);
    }
    let (clean, counts) = redacted(&detector, &kinds, Redaction::Pseudonymise, text);
    assert!(clean.contains("@pseudonym.invalid, [CREDIT_CARD-"), "{clean}");
    assert!(clean.contains("from 2001:db8:"), "{clean}");
    assert_eq!(counts.len(), 4);
}

fn spec(kind: &str, patterns: &[&str]) -> RecogniserSpec {
    RecogniserSpec {
        kind: Kind::named(kind),
        tenants: BTreeSet::new(),
        patterns: patterns.iter().map(|&text| text.to_owned()).collect(),
        words: Vec::new(),
        checksum: None,
        context: Vec::new(),
        confidence: Confidence::new(0.6).unwrap(),
    }
}

fn own(specs: &[RecogniserSpec], tenant: Option<&TenantId>) -> Result<Detector, String> {
    Detector::new(&BTreeSet::new()).with(specs, tenant).map_err(|refused| refused.to_string())
}

fn values(detector: &Detector, text: &str) -> Vec<String> {
    let findings = detector.scan_str(text).unwrap();
    findings.into_iter().map(|finding| text[finding.range].to_owned()).collect()
}

#[test]
fn recognisers_of_a_policy_find_their_values() {
    let patterns =
        own(&[spec("EMPLOYEE_NUMBER", &[r"\bE-\d{6}\b", "员工[0-9]{4}"])], None).unwrap();
    let text = "E-123456, E-1234567, xE-123456, Ｅ－６５４３２１ 和员工0042";
    assert_eq!(values(&patterns, text), ["E-123456", "Ｅ－６５４３２１", "员工0042"]);

    let mut luhn = spec("MEMBER_NUMBER", &[r"\b\d{4} \d{4}\b"]);
    luhn.checksum = Some(Checksum::Luhn);
    let luhn = own(&[luhn], None).unwrap();
    assert_eq!(values(&luhn, "1234 5674 and 1234 5675"), ["1234 5674"]);

    let mut words = spec("PROJECT", &[]);
    words.words = vec!["Blue Heron".to_owned(), "苍鹭".to_owned()];
    let words = own(&[words], None).unwrap();
    assert_eq!(values(&words, "blue heron, Blue Herons, 项目苍鹭启动"), ["blue heron", "苍鹭"]);

    let mut context = spec("TICKET", &[r"\b\d{6}\b"]);
    context.confidence = Confidence::new(0.1).unwrap();
    context.context = vec!["ticket".to_owned(), "工单".to_owned()];
    let context = own(&[context], None).unwrap();
    assert_eq!(values(&context, "ticket 123456"), ["123456"]);
    assert_eq!(values(&context, "工单123456"), ["123456"]);
    assert_eq!(values(&context, "I paid 123456 for it"), [""; 0]);
}

#[test]
fn a_tenants_recogniser_looks_at_its_texts_only() {
    let (acme, other) = (TenantId::new("acme").unwrap(), TenantId::new("other").unwrap());
    let mut mine = spec("EMPLOYEE_NUMBER", &[r"E\d{6}"]);
    mine.tenants = [acme.clone()].into();
    let specs = [mine];
    assert_eq!(values(&own(&specs, Some(&acme)).unwrap(), "E123456"), ["E123456"]);
    assert_eq!(values(&own(&specs, Some(&other)).unwrap(), "E123456"), [""; 0]);
    assert_eq!(values(&own(&specs, None).unwrap(), "E123456"), [""; 0]);
}

#[test]
fn values_are_found_wherever_they_stand_in_a_long_text() {
    let detector = own(&[spec("LONG", &[r"<[a-z]{1,126}>"])], None).unwrap();
    for before in 0..1_100 {
        let text = format!("{}<{}>tail", "x".repeat(before), "a".repeat(126));
        let found = values(&detector, &text);
        assert_eq!(found.len(), 1, "behind {before} bytes");
        assert_eq!(found[0].len(), 128, "behind {before} bytes");
    }
}

#[test]
fn what_is_taken_out_by_own_recognisers_is_not_found_again() {
    let detector =
        own(&[spec("SHOUT", &[r"[A-Z_]{3,}\]?"]), spec("DIGITS", &[r"\d{3}"])], None).unwrap();
    let kinds: BTreeSet<Kind> = [Kind::named("SHOUT"), Kind::named("DIGITS")].into();
    for text in ["HELLO there", "[SHOUT] ABC", "123456ABC7", "[EMAIL_ADDRESS] 1234 [SHOUT"] {
        let (clean, _) = redacted(&detector, &kinds, Redaction::Replace, text);
        assert_eq!(redacted(&detector, &kinds, Redaction::Replace, &clean).0, clean);
    }
}

#[test]
fn recognisers_that_cost_too_much_are_refused() {
    for (patterns, part) in [
        (&["("][..], "unclosed"),
        (&[r"(a)\1"], "backreference"),
        (&["x*"], "less than two bytes"),
        (&[r"(?u:\w){60}"], "cannot be used"),
        (&["(a|b)*a(a|b){18}"], "cannot be used"),
        (&[r"[a-z]{100}{100}"], "cannot be used"),
        (&[&"a".repeat(600)], "512 bytes"),
        (&[], "needs"),
    ] {
        let refused = own(&[spec("MINE", patterns)], None).unwrap_err();
        assert!(refused.contains(part), "{patterns:?}: {refused}");
    }
    assert!(own(&[spec("EMAIL_ADDRESS", &["abc"])], None).unwrap_err().contains("built in"));
    assert!(own(&[spec("small", &["abc"])], None).unwrap_err().contains("capital"));
    let many: Vec<RecogniserSpec> = (0..40).map(|n| spec(&format!("K{n}"), &["abc"])).collect();
    assert!(own(&many, None).unwrap_err().contains("patterns"));
}

#[test]
fn hostile_patterns_end_soon() {
    let text = "a".repeat(200_000);
    for pattern in ["(a+)+b", ".*.*=.*x", "a{2,}b", "aa", "(?s:.{2,})x", "(aa|aaa)+$"] {
        let detector = own(&vec![spec("HOSTILE", &[pattern]); 8], None).unwrap();
        // Either all of it is searched or the text counts as not searched; it does not hang.
        let _ended = detector.scan_str(&text);
    }
}

#[test]
fn hostile_texts_take_linear_time() {
    for pattern in [
        "1",
        "@",
        ".",
        "a@",
        "1 ",
        "1.1.1.",
        "DE89 ",
        "::",
        "4111-",
        "+",
        "(1)",
        "a.b@c.de",
        "a://",
        "a://b.com/",
        "a.com?",
        "b.com/x.",
        "-----BEGIN PRIVATE KEY-----",
        "eyJ1",
        "0x1",
        "a1_",
        "A1 ",
        "AB 1 ",
        "1/1/",
        "BIC ",
        "phone 1 ",
        "1.2345,",
        "京A1",
        "\u{200B}1",
    ] {
        let text = pattern.repeat(200_000 / pattern.len());
        // Quadratic work on that much would not end within the test run's limit.
        let _findings = Detector::new(&Detector::known_kinds()).scan_str(&text);
    }
}

fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        ".{0,8}",
        "[0-9 .-]{1,20}",
        Just("a@b.example".to_owned()),
        Just("4111111111111111".to_owned()),
        Just("13800138000".to_owned()),
        Just("DE89370400440532013000".to_owned()),
        Just("１３８００１３８０００".to_owned()),
        Just("10.0.0.1".to_owned()),
        Just("11010519491231002X".to_owned()),
        Just("\u{200B}".to_owned()),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn places_are_sorted_whole_characters_and_redaction_is_final(text in pieces()) {
        let kinds = Detector::known_kinds();
        let detector = Detector::new(&kinds);
        let findings = detector.scan_str(&text).unwrap();
        let (mut start, mut edge, mut values) = (0, 0, 0);
        for finding in &findings {
            prop_assert!(finding.range.start >= start && finding.range.start < finding.range.end);
            prop_assert!(text.get(finding.range.clone()).is_some());
            // Readings that overlap are one value.
            values += usize::from(finding.range.start >= edge);
            start = finding.range.start;
            edge = edge.max(finding.range.end);
        }
        for how in Redaction::ALL {
            let (clean, counts) = redacted(&detector, &kinds, how, &text);
            if how == Redaction::Replace {
                prop_assert_eq!(counts.values().sum::<u32>() as usize, values);
                let again = detector.scan_str(&clean).unwrap();
                prop_assert!(again.is_empty(), "{:?} -> {:?}: {:?}", text, clean, again);
            }
            let (twice, counts) = redacted(&detector, &kinds, how, &clean);
            prop_assert_eq!(&twice, &clean, "{:?} {:?}", how, text);
            prop_assert!(counts.is_empty());
        }
    }
}

/// A number of each Chinese kind, and the same with one thing wrong.
#[test]
fn chinese_numbers_are_told_from_near_ones() {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let resident = |body: &str| {
        let sum: u32 = body.bytes().zip(WEIGHTS).map(|(b, w)| u32::from(b - b'0') * w).sum();
        format!("{body}{}", char::from(b"10X98765432"[(sum % 11) as usize]))
    };
    let kinds: std::collections::BTreeSet<Kind> = [Kind::CN_RESIDENT_ID].into();
    let detector = Detector::new(&kinds).at_least(0.0);
    let is_found = |text: &str| !detector.scan_str(text).unwrap().is_empty();
    for province in ["11", "31", "44", "51", "65", "81"] {
        for (year, month, day) in [(1949, 10, 1), (1996, 2, 29), (2008, 12, 31)] {
            for serial in [1, 12, 123, 999] {
                let valid = resident(&format!("{province}0105{year}{month:02}{day:02}{serial:03}"));
                assert!(is_found(&format!("身份证号{valid}，请核对")), "{valid}");
                assert!(is_found(&valid.to_lowercase()), "{valid}");
                // One digit off, at each place.
                for place in 0..17 {
                    let mut wrong = valid.clone().into_bytes();
                    wrong[place] = b'0' + (wrong[place] - b'0' + 1) % 10;
                    let wrong = String::from_utf8(wrong).unwrap();
                    assert!(!is_found(&wrong), "{valid} -> {wrong}");
                }
                let elsewhere = resident(&format!("990105{year}{month:02}{day:02}{serial:03}"));
                assert!(!is_found(&elsewhere), "{elsewhere}");
                let never = resident(&format!("{province}0105{year}0230{serial:03}"));
                assert!(!is_found(&never), "{never}");
            }
        }
    }
    for (text, kind) in [
        ("车牌京A12345在此", "CN_VEHICLE_PLATE"),
        ("粤B·D12345", "CN_VEHICLE_PLATE"),
        ("统一社会信用代码91350100M000100Y43", "CN_USCC"),
        ("护照E12345678", "CN_PASSPORT"),
        ("银行卡6222021234567890128", "CREDIT_CARD"),
        ("１３８　００１３　８０００", "PHONE_NUMBER"),
        ("手机1 3 8 0 0 1 3 8 0 0 0", "PHONE_NUMBER"),
    ] {
        assert_eq!(found(text).first().map(|(kind, _)| kind.as_str()), Some(kind), "{text}");
    }
}

/// Numbers of the other Chinese kinds, and the same with one thing wrong: the valid ones are all
/// found, and the others never surely as what they are not.
#[test]
fn other_chinese_numbers_are_told_from_near_ones() {
    let detector = Detector::new(&Detector::known_kinds()).at_least(0.0);
    let surest = |kind: &str, text: &str, value: &str| {
        let begin = text.find(value).unwrap();
        let found = detector.scan_str(text).unwrap().into_iter();
        found
            .filter(|one| one.kind.as_str() == kind && one.range == (begin..begin + value.len()))
            .map(|one| one.confidence)
            .fold(0.0, f32::max)
    };
    let check = |kind: &str, before: &str, valid: &str, wrong: &[String]| {
        let text = format!("{before}{valid}，请核对");
        assert!(surest(kind, &text, valid) >= 0.4, "{kind} {valid}");
        for wrong in wrong {
            // Alone, so that no word says what it would be.
            let text = format!("见{wrong}，请核对");
            let confidence = surest(kind, &text, wrong);
            assert!(confidence < 0.85, "{kind} {valid} -> {wrong}: {confidence}");
        }
    };
    for n in 0..300_u64 {
        let many = n * 2_654_435_761 % 100_000_000;
        // Mobile: 1, then 3 to 9; a network that does not exist, a digit too many or too few.
        let prefix = [130, 135, 138, 147, 150, 159, 166, 177, 186, 199][(n % 10) as usize];
        let mobile = format!("{prefix}{many:08}");
        let wrong = [format!("12{}", &mobile[2..]), format!("{mobile}7"), mobile[..10].to_owned()];
        check("PHONE_NUMBER", "手机", &mobile, &wrong);
        // Bank card: UnionPay's 62 and a Luhn digit; every other last digit.
        let body = format!("622202{many:08}{:04}", n * 37 % 10_000);
        let sum = |digits: &str| -> u32 {
            let values = digits.bytes().rev().map(|digit| u32::from(digit - b'0'));
            values
                .enumerate()
                .map(|(at, v)| if at % 2 == 0 { v * 2 / 10 + v * 2 % 10 } else { v })
                .sum()
        };
        let luhn = (10 - sum(&body) % 10) % 10;
        let card = format!("{body}{luhn}");
        let wrong: Vec<String> =
            (1..10).map(|off| format!("{body}{}", (luhn + off) % 10)).collect();
        check("CREDIT_CARD", "银行卡", &card, &wrong);
        // Unified social credit code: GB 32100, modulo 31.
        const ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
        let body = format!(
            "91{}0{many:08}{}",
            11_010 + n % 9,
            ["M", "T", "X", "1", "9"][(n % 5) as usize]
        );
        let mut weight = 1;
        let mut sum = 0;
        for byte in body.bytes() {
            sum += ALPHABET.iter().position(|known| *known == byte).unwrap() * weight;
            weight = weight * 3 % 31;
        }
        let last = (31 - sum % 31) % 31;
        let uscc = format!("{body}{}", char::from(ALPHABET[last]));
        let wrong: Vec<String> = (1..31)
            .map(|off| format!("{body}{}", char::from(ALPHABET[(last + off) % 31])))
            .collect();
        check("CN_USCC", "统一社会信用代码", &uscc, &wrong);
        // Passport: E, or E and a letter, and digits; without a checksum, a digit less is none.
        let passport =
            if n % 2 == 0 { format!("E{many:08}") } else { format!("EA{:07}", many / 10) };
        let wrong = [passport[..8].to_owned(), format!("{passport}1"), passport.replace('E', "I")];
        check("CN_PASSPORT", "护照", &passport, &wrong);
        // Plate: a province, a letter without I and O, five characters, six for electric cars.
        let province = ["京", "沪", "粤", "川", "藏"][(n % 5) as usize];
        let serial = format!("{:05}", many % 100_000);
        let plate = format!("{province}B{serial}");
        let wrong = [
            format!("{province}I{serial}"),
            format!("中B{serial}"),
            format!("{province}B{}", &serial[1..]),
        ];
        check("CN_VEHICLE_PLATE", "车牌", &plate, &wrong);
        check("CN_VEHICLE_PLATE", "车牌", &format!("{province}AD{serial}"), &[]);
    }
}

#[test]
fn secrets_and_addresses_of_the_network_are_found() {
    for (text, kind) in [
        ("key AKIAIOSFODNN7EXAMPLE in use", "API_KEY"),
        ("ghp_0123456789abcdefghijABCDEFGHIJ012345", "API_KEY"),
        ("Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "JWT"),
        ("-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----", "PRIVATE_KEY"),
        ("postgres://jo:hunter2@db.example.com/x", "URL_WITH_CREDENTIALS"),
        ("at 00:1A:2B:3C:4D:5E", "MAC_ADDRESS"),
        ("BIC: DEUTDEFF500", "SWIFT_CODE"),
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "CRYPTO"),
        ("48.85837, 2.29448", "COORDINATES"),
        ("born 12.03.1984", "DATE_OF_BIRTH"),
        ("CPF 529.982.247-25", "BR_CPF"),
        ("NIR 2 69 05 49 588 157 80", "FR_NIR"),
        ("BSN 111222333", "NL_BSN"),
        ("My Number 123456789018", "JP_MY_NUMBER"),
    ] {
        let found = found(text);
        assert!(found.iter().any(|(found, _)| found == kind), "{text}: {found:?}");
    }
}
