//! Names in texts: a label for every token, and the spans that labels make.
//!
//! Labels are `O` for what is nothing, and `B-KIND` and `I-KIND` for the first and for further
//! words of a value (Ramshaw and Marcus 1995, in the variant IOB2).

use std::{collections::BTreeMap, ops::Range};

use serde::{Deserialize, Serialize};

use crate::{LabelMetrics, Metrics, Part, softmax};

/// What is nothing.
const OUTSIDE: &str = "O";

/// A value that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Its kind.
    pub kind: String,
    /// Where it stands, in Unicode code points.
    pub range: Range<usize>,
    /// The mean probability of its words, 0 to 1.
    pub score: f32,
}

/// A text and the values that it is known to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaggedText {
    /// The text.
    pub text: String,
    /// Kinds, and places in Unicode code points.
    pub spans: Vec<(String, Range<usize>)>,
}

/// Texts that cannot be learned from.
#[derive(Debug, thiserror::Error)]
pub enum TaggedTextError {
    /// A line is not what it must be.
    #[error("line {line}: {detail}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong.
        detail: String,
    },
    /// There is nothing to learn from.
    #[error("no text has a value of any of the kinds")]
    Empty,
}

#[derive(Deserialize, Serialize)]
struct Line {
    text: String,
    spans: Vec<LineSpan>,
}

#[derive(Deserialize, Serialize)]
struct LineSpan {
    #[serde(rename = "type")]
    kind: String,
    start: usize,
    end: usize,
}

impl TaggedText {
    /// Reads lines of JSON, `{"text": "…", "spans": [{"type": "PERSON", "start": 0, "end": 8}]}`,
    /// with places in Unicode code points. Spans of other kinds are passed over.
    pub fn parse(lines: &str, kinds: &[String]) -> Result<Vec<Self>, TaggedTextError> {
        let mut texts = Vec::new();
        for (at, line) in lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let wrong =
                |detail: String| TaggedTextError::Line { line: at.saturating_add(1), detail };
            let line: Line = serde_json::from_str(line).map_err(|why| wrong(why.to_string()))?;
            let length = line.text.chars().count();
            let mut spans = Vec::new();
            for span in line.spans.into_iter().filter(|span| kinds.contains(&span.kind)) {
                if span.start >= span.end || span.end > length {
                    return Err(wrong(format!("{}..{} is not in the text", span.start, span.end)));
                }
                spans.push((span.kind, span.start..span.end));
            }
            spans.sort_by_key(|(_, range)| range.start);
            texts.push(Self { text: line.text, spans });
        }
        if texts.iter().all(|text| text.spans.is_empty()) {
            return Err(TaggedTextError::Empty);
        }
        Ok(texts)
    }

    /// The same as a line.
    pub fn to_line(&self) -> String {
        let spans = self.spans.iter().map(|(kind, range)| LineSpan {
            kind: kind.clone(),
            start: range.start,
            end: range.end,
        });
        let line = Line { text: self.text.clone(), spans: spans.collect() };
        // Texts and numbers always have a JSON form.
        serde_json::to_string(&line).unwrap_or_default()
    }
}

/// All labels of these kinds, `O` first.
pub fn tag_labels(kinds: &[String]) -> Vec<String> {
    let of = kinds.iter().flat_map(|kind| [format!("B-{kind}"), format!("I-{kind}")]);
    std::iter::once(OUTSIDE.to_owned()).chain(of).collect()
}

/// The numbers of the labels of a part's tokens. A token belongs to the value that it lies in, or
/// reaches into.
pub fn truth(part: &Part, spans: &[(String, Range<usize>)], labels: &[String]) -> Vec<usize> {
    let mut last = None;
    part.places
        .iter()
        .map(|place| {
            let inside = |range: &Range<usize>| place.start < range.end && range.start < place.end;
            let Some(at) = spans.iter().position(|(_, range)| inside(range)) else {
                last = None;
                return 0;
            };
            let prefix = if last.replace(at) == Some(at) { "I-" } else { "B-" };
            let kind = spans.get(at).map_or("", |(kind, _)| kind.as_str());
            let is = |label: &String| label.strip_prefix(prefix) == Some(kind);
            labels.iter().position(is).unwrap_or(0)
        })
        .collect()
}

/// The spans that a part's logits say, a row of one number a label for each token. All tokens of a
/// word are one; it is of the likeliest kind that has at least the probability `minimum`.
pub fn spans(part: &Part, logits: &[f32], labels: &[String], minimum: f32) -> Vec<Span> {
    let rows: Vec<Vec<f32>> = logits.chunks(labels.len().max(1)).map(softmax).collect();
    let mut spans: Vec<Span> = Vec::new();
    let mut words_in_last = 0_u16;
    let mut open = false;
    let mut at = 0;
    while let Some(first) = part.places.get(at) {
        let rest = part.places.get(at..).unwrap_or_default();
        let count = rest.iter().take_while(|place| place.word == first.word).count().max(1);
        let word = rows.get(at..at.saturating_add(count)).unwrap_or_default();
        let end = rest.get(count.saturating_sub(1)).map_or(first.end, |place| place.end);
        match likeliest(word, labels).filter(|(_, score, _)| *score >= minimum) {
            Some((kind, score, begins)) => {
                match spans.last_mut().filter(|last| open && !begins && last.kind == kind) {
                    Some(last) => {
                        last.range.end = end;
                        // The mean over the words so far, and this one.
                        let before = f32::from(words_in_last);
                        last.score = (last.score * before + score) / (before + 1.0);
                        words_in_last = words_in_last.saturating_add(1);
                    }
                    None => {
                        let kind = kind.to_owned();
                        spans.push(Span { kind, range: first.start..end, score });
                        words_in_last = 1;
                    }
                }
                open = true;
            }
            None => open = false,
        }
        at = at.saturating_add(count);
    }
    spans
}

/// The likeliest kind of a word, how likely it is, and whether a value begins with it.
fn likeliest<'a>(word: &[Vec<f32>], labels: &'a [String]) -> Option<(&'a str, f32, bool)> {
    let mut by_kind: BTreeMap<&str, f32> = BTreeMap::new();
    let tokens = f32::from(u16::try_from(word.len()).unwrap_or(u16::MAX)).max(1.0);
    for row in word {
        for (label, probability) in labels.iter().zip(row) {
            if let Some((_, kind)) = label.split_once('-') {
                *by_kind.entry(kind).or_default() += probability / tokens;
            }
        }
    }
    let (kind, score) = by_kind.into_iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let of = |prefix: &str| {
        let place = labels.iter().position(|label| label.strip_prefix(prefix) == Some(kind));
        place.and_then(|place| word.first()?.get(place)).copied().unwrap_or_default()
    };
    Some((kind, score, of("B-") > of("I-")))
}

/// How well spans agree with the truth: one is right if kind and place are exactly so.
pub fn span_metrics(kinds: &[String], pairs: &[(TaggedText, Vec<Span>)]) -> Metrics {
    let ratio = |part: u32, whole: u32| {
        if whole == 0 { 0.0 } else { f64::from(part) / f64::from(whole) }
    };
    let mut labels = BTreeMap::new();
    let (mut all_right, mut all_known, mut f1_sum) = (0_u32, 0_u32, 0.0);
    for kind in kinds {
        let (mut right, mut known, mut said) = (0_u32, 0_u32, 0_u32);
        for (truth, found) in pairs {
            for (_, range) in truth.spans.iter().filter(|(of, _)| of == kind) {
                known = known.saturating_add(1);
                let is_it = |span: &Span| span.kind == *kind && span.range == *range;
                right = right.saturating_add(u32::from(found.iter().any(is_it)));
            }
            let of_kind = found.iter().filter(|span| span.kind == *kind).count();
            said = said.saturating_add(u32::try_from(of_kind).unwrap_or(u32::MAX));
        }
        let (precision, recall) = (ratio(right, said), ratio(right, known));
        let sum = precision + recall;
        let f1 = if sum == 0.0 { 0.0 } else { 2.0 * precision * recall / sum };
        f1_sum += f1;
        all_right = all_right.saturating_add(right);
        all_known = all_known.saturating_add(known);
        let support = u64::from(known);
        labels.insert(kind.clone(), LabelMetrics { precision, recall, f1, support });
    }
    let count = u32::try_from(kinds.len()).unwrap_or(u32::MAX);
    Metrics {
        texts: u64::try_from(pairs.len()).unwrap_or(u64::MAX),
        accuracy: ratio(all_right, all_known),
        macro_f1: if count == 0 { 0.0 } else { f1_sum / f64::from(count) },
        labels,
        calibration_error: None,
    }
}
