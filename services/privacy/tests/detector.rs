//! What is found, what is not, and what is left when it is taken out.
#![expect(
    clippy::as_conversions,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test says what it expects by failing"
)]

use std::{collections::BTreeMap, path::PathBuf};

use proptest::prelude::*;
use reeve_domain::Kind;
use reeve_privacy::{Detector, RawText, redact};

fn found(text: &str) -> Vec<(String, String)> {
    Detector::new(&Detector::known_kinds())
        .scan_str(text)
        .unwrap()
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
        "order 10482231, paid 2026-11-24 at 10:30",
        "version 1.2.3 of 24.11.2026",
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
    let findings = Detector::new(&Detector::known_kinds()).scan_str(text).unwrap();
    let (clean, counts) =
        redact(RawText::new(text.to_owned()), &findings, &[Kind::CREDIT_CARD].into());
    assert_eq!(clean.as_str(), "a@b.example paid with [CREDIT_CARD]");
    assert_eq!(counts, BTreeMap::from([(Kind::CREDIT_CARD, 1)]));
    assert_eq!(format!("{clean:?}"), "CleanText(35 bytes)");
}

#[test]
fn hostile_texts_take_linear_time() {
    for pattern in
        ["1", "@", ".", "a@", "1 ", "1.1.1.", "DE89 ", "::", "4111-", "+", "(1)", "a.b@c.de"]
    {
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
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn places_are_sorted_whole_characters_and_redaction_is_final(text in pieces()) {
        let kinds = Detector::known_kinds();
        let detector = Detector::new(&kinds);
        let findings = detector.scan_str(&text).unwrap();
        let mut edge = 0;
        for finding in &findings {
            prop_assert!(finding.range.start >= edge && finding.range.start < finding.range.end);
            prop_assert!(text.get(finding.range.clone()).is_some());
            edge = finding.range.end;
        }
        let (clean, counts) = redact(RawText::new(text.clone()), &findings, &kinds);
        prop_assert_eq!(counts.values().sum::<u32>() as usize, findings.len());
        let again = detector.scan_str(clean.as_str()).unwrap();
        prop_assert!(again.is_empty(), "{:?} -> {:?}: {:?}", text, clean.as_str(), again);
    }
}

#[expect(clippy::disallowed_methods, reason = "where the data is, is said by the environment")]
fn data(name: &str) -> Option<String> {
    let root = std::env::var("REEVE_DATA").map_or_else(
        |_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let text = std::fs::read_to_string(root.join(name)).ok();
    if text.is_none() {
        eprintln!("skipped: no {name} in {} (set REEVE_DATA)", root.display());
    }
    text
}

/// Structured kinds on sentences that others labelled. The bounds are what is reached; the full set
/// of kinds is wider than this.
#[test]
fn labelled_sentences_are_read_well() {
    let Some(lines) = data("pii/sentences.jsonl") else { return };
    let mut score: BTreeMap<&str, (usize, usize, usize)> = BTreeMap::new();
    let kinds = ["EMAIL_ADDRESS", "IBAN_CODE", "CREDIT_CARD", "IP_ADDRESS", "PHONE_NUMBER"];
    for line in lines.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = case["text"].as_str().unwrap();
        let findings = Detector::new(&Detector::known_kinds()).scan_str(text).unwrap();
        let spans = case["spans"].as_array().unwrap();
        for kind in kinds {
            let (hit, missed, wrong) = score.entry(kind).or_default();
            let labelled: Vec<_> = spans.iter().filter(|span| span["type"] == kind).collect();
            let here: Vec<String> = findings
                .iter()
                .filter(|finding| finding.kind.as_str() == kind)
                .map(|finding| text[finding.range.clone()].to_owned())
                .collect();
            let found = labelled
                .iter()
                .filter(|span| {
                    let value = span["value"].as_str().unwrap();
                    here.iter().any(|text| text.contains(value) || value.contains(text.as_str()))
                })
                .count();
            *hit += found;
            *missed += labelled.len() - found;
            *wrong += here.len().saturating_sub(found);
        }
    }
    eprintln!("kind: (found, missed, wrong) {score:?}");
    for kind in ["EMAIL_ADDRESS", "IBAN_CODE", "CREDIT_CARD", "IP_ADDRESS"] {
        let (hit, missed, wrong) = score[kind];
        assert!(hit * 100 >= (hit + missed) * 90, "{kind}: {hit} found, {missed} missed");
        assert!(hit * 100 >= (hit + wrong) * 90, "{kind}: {hit} found, {wrong} wrong");
    }
}
