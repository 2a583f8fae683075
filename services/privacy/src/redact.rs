use std::collections::BTreeMap;

use reeve_domain::{Kind, KindCounts, Redaction};

use crate::{
    brackets,
    detector::{Detector, DetectorFailed, ROUNDS},
    finding::Finding,
    generalise,
    pseudonym::Pseudonyms,
    text::{CleanText, Edit, RawText},
};

/// Takes values out of a tenant's texts.
pub struct Redactor<'a> {
    /// What finds values in the texts.
    pub detector: &'a Detector,
    /// Which kinds, and how. What cannot be told less exactly is replaced by its kind.
    pub how: &'a BTreeMap<Kind, Redaction>,
    /// The tenant's stand-ins.
    pub pseudonyms: &'a Pseudonyms,
    /// The present year, by which ages above 89 are told.
    pub year: u16,
}

/// Whether values of a kind can be told less exactly.
pub fn can_generalise(kind: &Kind) -> bool {
    generalise::KINDS.contains(&kind.as_str())
}

impl Redactor<'_> {
    /// Takes out what was found, and counts it by kind. `findings` are the detector's, and others,
    /// for this very text, sorted by place. Where findings overlap, all that they cover is taken
    /// out as one value, named by the surest. What is left has no value that would be taken out.
    pub fn redact(
        &self,
        text: RawText,
        findings: &[Finding],
    ) -> Result<(CleanText, KindCounts), DetectorFailed> {
        self.redact_after(&[], text, findings)
    }

    /// `before` is what was put in the place of what until now.
    fn redact_after(
        &self,
        before: &[Vec<Edit>],
        text: RawText,
        findings: &[Finding],
    ) -> Result<(CleanText, KindCounts), DetectorFailed> {
        let mut counts = KindCounts::new();
        let mut edits = before.to_vec();
        let mut clean = self.once(text.into_inner(), findings, &mut counts, &mut edits);
        // A kind in brackets cannot become part of another value, as the detector made sure; what
        // else stands in a value's place may.
        let leaves_no_trace = |how: &Redaction| *how == Redaction::Replace;
        if counts.is_empty() || self.how.values().all(leaves_no_trace) {
            return Ok((CleanText::new(clean, edits), counts));
        }
        for _ in 0..ROUNDS {
            let left = self.detector.scan_str(&clean)?;
            let before = clean.clone();
            clean = self.once(clean, &left, &mut counts, &mut edits);
            if clean == before {
                return Ok((CleanText::new(clean, edits), counts));
            }
        }
        Err(DetectorFailed)
    }

    /// Takes out what a model found in a text that is clean already. Of a kind in brackets, which
    /// stands where a value was, nothing is taken; a finding that cuts one takes all of it.
    pub fn redact_further(
        &self,
        text: &CleanText,
        findings: &[Finding],
    ) -> Result<(CleanText, KindCounts), DetectorFailed> {
        let (text, before) = (text.as_str(), text.edits());
        let whole = findings.iter().filter_map(|finding| {
            let range = brackets::outside(text.as_bytes(), finding.range.clone(), &|kind| {
                brackets::is_built_in(kind) || self.how.keys().any(|known| known.as_str() == kind)
            })?;
            Some(Finding { range, ..finding.clone() })
        });
        let whole: Vec<Finding> = whole.collect();
        self.redact_after(before, RawText::new(text.to_owned()), &whole)
    }

    fn once(
        &self,
        text: String,
        findings: &[Finding],
        counts: &mut KindCounts,
        edits: &mut Vec<Vec<Edit>>,
    ) -> String {
        let mut wanted = findings
            .iter()
            .filter_map(|finding| Some((finding, *self.how.get(&finding.kind)?)))
            .peekable();
        if wanted.peek().is_none() {
            return text;
        }
        let mut clean = String::with_capacity(text.len());
        let mut here = Vec::new();
        let (mut read, mut written) = (0_usize, 0_usize);
        let mut edge = 0;
        while let Some((first, mut how)) = wanted.next() {
            let (mut surest, mut end) = (first, first.range.end);
            while let Some((more, other)) = wanted.next_if(|(more, _)| more.range.start < end) {
                end = end.max(more.range.end);
                how = how.max(other);
                if more.confidence > surest.confidence {
                    surest = more;
                }
            }
            if surest.range != (first.range.start..end) {
                // More than one value, cut at who knows where: nothing of it is told.
                how = how.max(Redaction::Replace);
            }
            // A place that does not fit the text takes everything behind it out: too much is safe.
            let before = text.get(edge..first.range.start);
            clean.push_str(before.unwrap_or_default());
            edge = if before.is_some() { end } else { text.len() };
            let value = text.get(first.range.start..end).unwrap_or_default();
            let instead = self.instead(&surest.kind, how, value);
            if instead != value {
                let count = counts.entry(surest.kind.clone()).or_default();
                *count = count.saturating_add(1);
            }
            let points = |part: &str| part.chars().count();
            let kept = points(before.unwrap_or_default());
            let from = read.saturating_add(kept);
            let to = written.saturating_add(kept);
            read = from.saturating_add(points(value));
            written = to.saturating_add(points(&instead));
            if instead != value {
                here.push(Edit { from: from..read, to: to..written });
            }
            clean.push_str(&instead);
        }
        clean.push_str(text.get(edge..).unwrap_or_default());
        if !here.is_empty() {
            edits.push(here);
        }
        clean
    }

    /// What stands in a value's place.
    fn instead(&self, kind: &Kind, how: Redaction, value: &str) -> String {
        let replaced = || format!("[{kind}]");
        match how {
            Redaction::Generalise => {
                generalise::generalise(kind.as_str(), value, self.year).unwrap_or_else(replaced)
            }
            Redaction::Mask => mask(value),
            Redaction::Pseudonymise => self.pseudonyms.of(kind, value),
            Redaction::Replace => replaced(),
            Redaction::Remove => "…".to_owned(),
        }
    }
}

/// Letters and digits become `*`; of twelve or more the last four stay.
fn mask(value: &str) -> String {
    let all = value.chars().filter(|c| c.is_alphanumeric()).count();
    let hidden = if all >= 12 { all - 4 } else { all };
    let mut seen = 0;
    value
        .chars()
        .map(|c| {
            seen += usize::from(c.is_alphanumeric());
            if c.is_alphanumeric() && seen <= hidden { '*' } else { c }
        })
        .collect()
}
