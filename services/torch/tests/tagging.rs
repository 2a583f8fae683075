//! Names in texts: training, parts, and what stands beside a text in a batch.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use reeve_classifier::{Bundle, Card, Device, Encoded, TaggedText};
use reeve_torch::{Fitted, Optimizer, Recipe, fit_tagger};

const KINDS: [&str; 2] = ["GPE", "PERSON"];

fn kinds() -> Vec<String> {
    KINDS.map(str::to_owned).to_vec()
}

fn data() -> Vec<TaggedText> {
    let (names, places) =
        (["Anna", "Otto", "Mia Wu", "李雷"], ["Bonn", "Rome", "New York", "北京"]);
    let mut texts = Vec::new();
    for name in names {
        for place in places {
            for verb in ["lives in", "went to", "comes from"] {
                let (before, between) = ("yesterday ", format!(" {verb} "));
                let text = format!("{before}{name}{between}{place} again");
                let at = before.chars().count();
                let end = at + name.chars().count();
                let from = end + between.chars().count();
                let spans = vec![
                    ("PERSON".to_owned(), at..end),
                    ("GPE".to_owned(), from..from + place.chars().count()),
                ];
                texts.push(TaggedText { text, spans });
            }
        }
    }
    texts
}

fn recipe() -> Recipe {
    Recipe {
        epochs: 40,
        learning_rate: 0.01,
        optimizer: Optimizer::Adam,
        embedding: 16,
        hidden: 16,
        batch: 8,
        max_tokens: 16,
        vocabulary: 300,
        unknown_share: 0.0,
        ..Recipe::default()
    }
}

fn bundle(dir: &std::path::Path) -> Bundle {
    let fitted: Fitted = fit_tagger(&data(), &kinds(), &recipe(), Device::Cpu, |_| ()).unwrap();
    let card = Card {
        name: "names".to_owned(),
        version: "1".to_owned(),
        intended_use: "tests".to_owned(),
        languages: vec!["en".to_owned()],
        license: "Apache-2.0".to_owned(),
        limits: Vec::new(),
        risk_class: "minimal".to_owned(),
        generative: false,
        training_data: None,
        metrics: Some(fitted.metrics.clone()),
        ..Card::default()
    };
    Bundle::write(dir, fitted.into_parts(card)).unwrap()
}

#[test]
fn names_are_found_where_they_stand_however_long_the_text() {
    let dir = tempfile::tempdir().unwrap();
    let tagger = reeve_torch::load_tagger(&bundle(dir.path()), Device::Cpu).unwrap();
    let found = |text: &str| {
        let spans = tagger.tag(text, 0.5).unwrap();
        let value =
            |at: std::ops::Range<usize>| text.chars().skip(at.start).take(at.len()).collect();
        spans.into_iter().map(|s| (s.kind, value(s.range))).collect::<Vec<(String, String)>>()
    };
    let expected = |kind: &str, value: &str| (kind.to_owned(), value.to_owned());
    assert_eq!(
        found("yesterday Mia Wu went to New York again"),
        [expected("PERSON", "Mia Wu"), expected("GPE", "New York")]
    );
    assert_eq!(
        found("yesterday 李雷 lives in 北京 again"),
        [expected("PERSON", "李雷"), expected("GPE", "北京")]
    );
    // Sixteen tokens are read at once: the other parts are read too.
    let long = "yesterday Anna lives in Rome again. ".repeat(20);
    let names = found(&long);
    assert!(names.iter().filter(|(kind, _)| kind == "PERSON").count() >= 15, "{names:?}");
    assert_eq!(found(""), []);
}

#[test]
fn what_shares_a_batch_with_a_text_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = bundle(dir.path());
    let network = reeve_torch::load(&bundle, Device::Cpu).unwrap();
    let encoder = bundle.encoder();
    let one = |text: &str| encoder.parts(text).unwrap().remove(0).encoded;
    let texts = [one("Anna"), one("yesterday Otto went to Rome again"), one("Mia Wu in Bonn")];
    let batch: Vec<&Encoded> = texts.iter().collect();
    let together = network.logits(&batch).unwrap();
    for (text, row) in texts.iter().zip(together) {
        let alone = network.logits(&[text]).unwrap().remove(0);
        assert_eq!(alone.len(), text.ids.len() * bundle.labels().len());
        let far = alone.iter().zip(&row).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(alone.len() == row.len() && far < 1e-5, "{far}");
    }
}

#[test]
fn texts_that_cannot_be_learned_from_are_refused_by_line() {
    let refused = |text: &str| TaggedText::parse(text, &kinds()).unwrap_err().to_string();
    assert!(refused("{}").contains("line 1"));
    let outside = r#"{"text":"Anna","spans":[{"type":"PERSON","start":0,"end":9}]}"#;
    assert!(refused(outside).contains("0..9 is not in the text"));
    assert!(refused(r#"{"text":"Anna","spans":[]}"#).contains("no text has a value"));
    let texts = data();
    let lines: String = texts.iter().map(|text| text.to_line() + "\n").collect();
    assert_eq!(TaggedText::parse(&lines, &kinds()).unwrap(), texts);
}
