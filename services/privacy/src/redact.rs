use std::collections::BTreeSet;

use reeve_domain::{Kind, KindCounts};

use crate::{
    finding::Finding,
    text::{CleanText, RawText},
};

/// Replaces what was found of `kinds` by the kind in brackets, `[EMAIL_ADDRESS]`, and counts it.
/// `findings` are the detector's for this very text. Where findings overlap, all that they cover
/// is taken out as one value, named by the surest.
pub fn redact(
    text: RawText,
    findings: &[Finding],
    kinds: &BTreeSet<Kind>,
) -> (CleanText, KindCounts) {
    let mut counts = KindCounts::new();
    let text = text.into_inner();
    let mut wanted = findings.iter().filter(|finding| kinds.contains(&finding.kind)).peekable();
    if wanted.peek().is_none() {
        return (CleanText::new(text), counts);
    }
    let mut clean = String::with_capacity(text.len());
    let mut edge = 0;
    while let Some(first) = wanted.next() {
        let (mut surest, mut end) = (first, first.range.end);
        while let Some(more) = wanted.next_if(|more| more.range.start < end) {
            end = end.max(more.range.end);
            if more.confidence > surest.confidence {
                surest = more;
            }
        }
        // A place that does not fit the text takes everything behind it out: too much is safe.
        let before = text.get(edge..first.range.start);
        clean.push_str(before.unwrap_or_default());
        clean.push('[');
        clean.push_str(surest.kind.as_str());
        clean.push(']');
        edge = if before.is_some() { end } else { text.len() };
        let count = counts.entry(surest.kind.clone()).or_default();
        *count = count.saturating_add(1);
    }
    clean.push_str(text.get(edge..).unwrap_or_default());
    (CleanText::new(clean), counts)
}
