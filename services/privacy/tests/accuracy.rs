//! How well values are found in data that others labelled. The data stand beside the checkout
//! (`../shared/data`, or `REEVE_DATA`); without them the tests skip, saying so.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, fs, ops::Range, path::PathBuf};

use reeve_privacy::Detector;
use serde_json::Value;

/// Kinds with a form of their own, as the sentences label them.
const STRUCTURED: [&str; 7] = [
    "CREDIT_CARD",
    "EMAIL_ADDRESS",
    "IBAN_CODE",
    "IP_ADDRESS",
    "PHONE_NUMBER",
    "US_DRIVER_LICENSE",
    "US_SSN",
];

#[expect(clippy::disallowed_methods, reason = "where the data is, is said by the environment")]
fn lines(name: &str) -> Option<Vec<Value>> {
    let data = std::env::var_os("REEVE_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let Ok(text) = fs::read_to_string(data.join("pii").join(name)) else {
        eprintln!("skipped: `{name}` is not beside this checkout; set REEVE_DATA");
        return None;
    };
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// What is found, with places in Unicode code points.
fn found(detector: &Detector, text: &str) -> Vec<(String, Range<usize>, f32)> {
    let points = |at: usize| text[..at].chars().count();
    let findings = detector.scan_str(text).unwrap();
    findings
        .into_iter()
        .map(|f| (f.kind.to_string(), points(f.range.start)..points(f.range.end), f.confidence))
        .collect()
}

fn place(value: &Value, name: &str) -> usize {
    usize::try_from(value[name].as_u64().unwrap()).unwrap()
}

/// Two places of the same value: they share at least half of what they cover together.
fn same(a: &Range<usize>, b: &Range<usize>) -> bool {
    let shared = a.end.min(b.end).saturating_sub(a.start.max(b.start));
    let together = a.end.max(b.end) - a.start.min(b.start);
    shared * 2 >= together
}

#[test]
fn structured_kinds_are_found_in_sentences() {
    let Some(sentences) = lines("sentences.jsonl") else { return };
    let detector = Detector::new(&Detector::known_kinds()).at_least(0.0);
    let (mut labelled, mut hit, mut reported, mut right) = (0, 0, 0, 0);
    for sentence in &sentences {
        let text = sentence["text"].as_str().unwrap();
        let found = found(&detector, text);
        let spans: Vec<(&str, Range<usize>)> = sentence["spans"]
            .as_array()
            .unwrap()
            .iter()
            .map(|span| (span["type"].as_str().unwrap(), place(span, "start")..place(span, "end")))
            .collect();
        for (kind, range) in spans.iter().filter(|(kind, _)| STRUCTURED.contains(kind)) {
            labelled += 1;
            if found.iter().any(|(k, r, _)| k == kind && same(r, range)) {
                hit += 1;
            } else {
                eprintln!("missed {kind} {range:?} in {text:?}: {found:?}");
            }
        }
        for (kind, range, confidence) in &found {
            if STRUCTURED.contains(&kind.as_str()) {
                reported += 1;
                if spans.iter().any(|(k, r)| k == kind && same(r, range)) {
                    right += 1;
                } else {
                    eprintln!("wrong {kind} {range:?} {confidence} in {text:?}");
                }
            }
        }
    }
    eprintln!("sentences: {hit} of {labelled} found, {right} of {reported} right");
    assert!(hit * 100 >= labelled * 99, "recall: {hit} of {labelled}");
    assert!(right * 100 >= reported * 98, "precision: {right} of {reported}");
}

#[test]
fn recogniser_cases_are_exact() {
    let Some(cases) = lines("recogniser_cases.jsonl") else { return };
    let detector = Detector::new(&Detector::known_kinds()).at_least(0.0);
    let mut by_kind: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    for case in &cases {
        if case["kind"] != "detect" || case["spans_complete"] != true {
            continue;
        }
        let kind = case["entity_type"].as_str().unwrap();
        let text = case["text"].as_str().unwrap();
        let expected: Vec<Range<usize>> = case["expected_spans"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| {
                let at = |place: usize| usize::try_from(pair[place].as_u64().unwrap()).unwrap();
                at(0)..at(1)
            })
            .collect();
        let all = found(&detector, text);
        let here: Vec<Range<usize>> =
            all.iter().filter(|(k, _, _)| k == kind).map(|(_, range, _)| range.clone()).collect();
        let count = by_kind.entry(kind.to_owned()).or_default();
        count.1 += 1;
        if here == expected {
            count.0 += 1;
        } else {
            eprintln!("{kind} {text:?}: expected {expected:?}, found {all:?}");
        }
    }
    let exact: u32 = by_kind.values().map(|(exact, _)| exact).sum();
    let all: u32 = by_kind.values().map(|(_, all)| all).sum();
    eprintln!("cases: {exact} of {all} exact");
    assert!(exact * 100 >= all * 97, "{exact} of {all} cases are exact");
}
