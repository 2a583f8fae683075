//! How well values are found in data that others labelled; without the data the test skips,
//! saying so.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod score;

use reeve_privacy::Detector;
use score::{Found, Score};

#[test]
fn labelled_values_are_found() {
    let Some(texts) = score::labelled() else {
        eprintln!("skipped: the labelled data are not beside this checkout; set REEVE_DATA");
        return;
    };
    let detector = Detector::new(&Detector::known_kinds()).at_least(0.0);
    let mut score = Score::default();
    for labelled in &texts {
        let text = &labelled.text;
        let points = |at: usize| text[..at].chars().count();
        let findings = detector.scan_str(text).unwrap();
        let found: Vec<Found> = findings
            .into_iter()
            .map(|f| Found {
                kind: f.kind.to_string(),
                range: points(f.range.start)..points(f.range.end),
            })
            .collect();
        score.add(labelled, &found);
    }
    for difference in &score.differences {
        eprintln!("{difference}");
    }
    let Score { labelled, found, reported, right, cases, exact, .. } = score;
    eprintln!("sentences: {found} of {labelled} found, {right} of {reported} right");
    eprintln!("cases: {exact} of {cases} exact");
    assert!(found * 100 >= labelled * 99, "recall: {found} of {labelled}");
    assert!(right * 100 >= reported * 98, "precision: {right} of {reported}");
    assert!(exact * 100 >= cases * 97, "{exact} of {cases} cases are exact");
}
