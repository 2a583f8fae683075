//! Any recogniser over any text: it is refused, or its values lie in the text, and it ends.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use reeve_domain::Kind;
use reeve_privacy::{Checksum, Confidence, Detector, RecogniserSpec};

fuzz_target!(|input: (String, String, String, u8)| {
    let (pattern, word, text, choice) = input;
    let spec = RecogniserSpec {
        kind: Kind::of("MINE"),
        tenants: BTreeSet::new(),
        patterns: vec![pattern],
        words: if choice & 1 == 0 { vec![word.clone()] } else { Vec::new() },
        checksum: match choice >> 1 & 7 {
            0 => Some(Checksum::Luhn),
            1 => Some(Checksum::Verhoeff),
            2 => Some(Checksum::Mod1110),
            3 => Some(Checksum::Mod9710),
            _ => None,
        },
        context: if choice & 16 == 0 { vec![word] } else { Vec::new() },
        confidence: Confidence::ACTED_UPON,
    };
    let Ok(detector) = Detector::new(&BTreeSet::new()).with(&[spec], None) else { return };
    let Ok(findings) = detector.scan_str(&text) else { return };
    for finding in findings {
        assert!(text.get(finding.range).is_some_and(|value| !value.is_empty()));
    }
});
