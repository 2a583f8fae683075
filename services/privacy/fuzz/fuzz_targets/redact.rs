//! Any text: every place found lies in it, on its characters, and what is left when values are
//! taken out has none that would be taken out again.
#![no_main]

use std::{collections::BTreeMap, sync::LazyLock};

use libfuzzer_sys::{Corpus, fuzz_target};
use reeve_domain::{Kind, Redaction};
use reeve_privacy::{Detector, Pseudonyms, RawText, Redactor};

static DETECTOR: LazyLock<Detector> =
    LazyLock::new(|| Detector::new(&Detector::known_kinds()));
static PSEUDONYMS: LazyLock<Pseudonyms> = LazyLock::new(|| Pseudonyms::new([7; 32]));
static WAYS: LazyLock<[BTreeMap<Kind, Redaction>; 5]> = LazyLock::new(|| {
    Redaction::ALL
        .map(|how| Detector::known_kinds().into_iter().map(|kind| (kind, how)).collect())
});

fn redacted(how: &BTreeMap<Kind, Redaction>, text: &str) -> Option<String> {
    // A text that cannot be searched is refused, not forwarded: that is no fault.
    let findings = DETECTOR.scan_str(text).ok()?;
    let mut before = 0;
    for finding in &findings {
        assert!(finding.range.start >= before, "places are sorted");
        assert!(finding.range.start < finding.range.end, "a value is not empty");
        assert!(text.get(finding.range.clone()).is_some(), "a value is of whole characters");
        assert!((0.0..=1.0).contains(&finding.confidence));
        before = finding.range.start;
    }
    let redactor = Redactor { detector: &DETECTOR, how, pseudonyms: &PSEUDONYMS, year: 2026 };
    let (clean, _) = redactor.redact(RawText::new(text.to_owned()), &findings).ok()?;
    Some(clean.as_str().to_owned())
}

fuzz_target!(|text: &str| -> Corpus {
    for how in WAYS.iter() {
        let Some(once) = redacted(how, text) else { continue };
        assert_eq!(redacted(how, &once).as_deref(), Some(once.as_str()), "{how:?}");
    }
    Corpus::Keep
});
