//! How well findings agree with labels that others gave: for the test of accuracy, and for the
//! comparison with other programs in `./x bench privacy`.

use std::{fs, ops::Range, path::PathBuf};

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

/// A labelled sentence, or a case of a recogniser.
pub(crate) struct Labelled {
    pub(crate) text: String,
    labels: Labels,
}

enum Labels {
    /// All that is in the text, by kind.
    Sentence(Vec<(String, Range<usize>)>),
    /// All of one kind that is in the text.
    Case(String, Vec<Range<usize>>),
}

/// What a program found: a place in Unicode code points.
pub(crate) struct Found {
    pub(crate) kind: String,
    pub(crate) range: Range<usize>,
}

/// Agreement, and where there is none.
#[derive(Default)]
pub(crate) struct Score {
    /// Values that the sentences label, of kinds with a form of their own.
    pub(crate) labelled: u32,
    /// Of these, found with their kind and at their place.
    pub(crate) found: u32,
    /// What was said to be of such a kind.
    pub(crate) reported: u32,
    /// Of that, what the labels say too.
    pub(crate) right: u32,
    /// Cases of recognisers.
    pub(crate) cases: u32,
    /// Of these, with exactly the labelled places.
    pub(crate) exact: u32,
    /// What differs, for people.
    pub(crate) differences: Vec<String>,
}

/// The data stand beside the checkout (`../shared/data`, or `REEVE_DATA`).
#[expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "where the data is, is said by the environment; JSON that lacks a field is null"
)]
pub(crate) fn labelled() -> Option<Vec<Labelled>> {
    let data = std::env::var_os("REEVE_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let lines = |name: &str| {
        let text = fs::read_to_string(data.join("pii").join(name)).ok()?;
        Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>())
    };
    let sentences = lines("sentences.jsonl")?.into_iter().map(|line| {
        let spans = line["spans"].as_array().unwrap().iter();
        let spans = spans
            .map(|s| (s["type"].as_str().unwrap().to_owned(), place(&s["start"])..place(&s["end"])))
            .collect();
        Labelled { text: text(&line), labels: Labels::Sentence(spans) }
    });
    let cases = lines("recogniser_cases.jsonl")?
        .into_iter()
        .filter(|line| line["kind"] == "detect" && line["spans_complete"] == true)
        .map(|line| {
            let spans = line["expected_spans"].as_array().unwrap().iter();
            let spans = spans.map(|pair| place(&pair[0])..place(&pair[1])).collect();
            let kind = line["entity_type"].as_str().unwrap().to_owned();
            Labelled { text: text(&line), labels: Labels::Case(kind, spans) }
        });
    Some(sentences.chain(cases).collect())
}

fn text(line: &Value) -> String {
    line["text"].as_str().unwrap().to_owned()
}

fn place(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

/// Two places of the same value: they share at least half of what they cover together.
fn same(a: &Range<usize>, b: &Range<usize>) -> bool {
    let shared = a.end.min(b.end).saturating_sub(a.start.max(b.start));
    let together = a.end.max(b.end) - a.start.min(b.start);
    shared * 2 >= together
}

impl Score {
    /// Counts one text.
    pub(crate) fn add(&mut self, labelled: &Labelled, found: &[Found]) {
        let text = &labelled.text;
        match &labelled.labels {
            Labels::Sentence(spans) => {
                for (kind, range) in spans.iter().filter(|(k, _)| STRUCTURED.contains(&k.as_str()))
                {
                    self.labelled += 1;
                    if found.iter().any(|f| f.kind == *kind && same(&f.range, range)) {
                        self.found += 1;
                    } else {
                        self.differences.push(format!("missed {kind} {range:?} in {text:?}"));
                    }
                }
                for one in found.iter().filter(|f| STRUCTURED.contains(&f.kind.as_str())) {
                    self.reported += 1;
                    if spans.iter().any(|(k, range)| one.kind == *k && same(&one.range, range)) {
                        self.right += 1;
                    } else {
                        let Found { kind, range } = one;
                        self.differences.push(format!("wrong {kind} {range:?} in {text:?}"));
                    }
                }
            }
            Labels::Case(kind, expected) => {
                let here = found.iter().filter(|f| f.kind == *kind).map(|f| &f.range);
                self.cases += 1;
                if here.clone().eq(expected) {
                    self.exact += 1;
                } else {
                    let here: Vec<_> = here.collect();
                    let difference = format!("{kind} in {text:?}: {expected:?}, found {here:?}");
                    self.differences.push(difference);
                }
            }
        }
    }
}
