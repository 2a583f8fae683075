use std::collections::BTreeSet;

use reeve_domain::{Kind, KindCounts};

use crate::{
    finding::Finding,
    text::{CleanText, RawText},
};

/// Replaces what was found of `kinds` by the kind in brackets, `[EMAIL_ADDRESS]`, and counts it.
/// `findings` are the detector's for this very text.
pub fn redact(
    text: RawText,
    findings: &[Finding],
    kinds: &BTreeSet<Kind>,
) -> (CleanText, KindCounts) {
    let mut counts = KindCounts::new();
    let text = text.into_inner();
    if !findings.iter().any(|finding| kinds.contains(&finding.kind)) {
        return (CleanText::new(text), counts);
    }
    let mut clean = String::with_capacity(text.len());
    let mut edge = 0;
    for finding in findings.iter().filter(|finding| kinds.contains(&finding.kind)) {
        // A place that does not fit the text takes everything behind it out: too much is safe.
        let before = text.get(edge..finding.range.start);
        clean.push_str(before.unwrap_or_default());
        clean.push('[');
        clean.push_str(finding.kind.as_str());
        clean.push(']');
        edge = if before.is_some() { finding.range.end } else { text.len() };
        let count = counts.entry(finding.kind.clone()).or_default();
        *count = count.saturating_add(1);
    }
    clean.push_str(text.get(edge..).unwrap_or_default());
    (CleanText::new(clean), counts)
}
