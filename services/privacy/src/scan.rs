use std::collections::BTreeSet;

use reeve_domain::Kind;

use crate::{
    card, email, finding::Finding, fold::Folded, iban, ip, phone, resident_id, text::RawText,
};

/// A text could not be searched. What was not searched must not be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text could not be searched for personal data")]
pub struct DetectorFailed;

/// Finds values of chosen kinds.
#[derive(Clone, Debug)]
pub struct Detector {
    wanted: BTreeSet<Kind>,
}

/// How often what lies between findings is searched again. Values that touch each other hide each
/// other's edges; no text that people write needs more than three rounds.
const ROUNDS: usize = 8;

impl Detector {
    /// A detector of these kinds; kinds that are not known find nothing.
    pub fn new(kinds: &BTreeSet<Kind>) -> Self {
        Self { wanted: kinds.clone() }
    }

    /// All kinds that can be found.
    pub fn known_kinds() -> BTreeSet<Kind> {
        [
            Kind::EMAIL_ADDRESS,
            Kind::PHONE_NUMBER,
            Kind::IBAN_CODE,
            Kind::CREDIT_CARD,
            Kind::IP_ADDRESS,
            Kind::CN_RESIDENT_ID,
        ]
        .into()
    }

    /// Finds values, sorted by place, none overlapping another.
    pub fn scan(&self, text: &RawText) -> Result<Vec<Finding>, DetectorFailed> {
        self.scan_str(text.reveal())
    }

    /// The same for a text that may be shown, such as an operator's own file.
    pub fn scan_str(&self, text: &str) -> Result<Vec<Finding>, DetectorFailed> {
        let folded = Folded::new(text);
        let bytes = folded.bytes.as_ref();
        let mut found = Vec::new();
        let mut gaps: Vec<std::ops::Range<usize>> = std::iter::once(0..bytes.len()).collect();
        for _ in 0..ROUNDS {
            let mut next = Vec::new();
            for gap in gaps {
                let Some(part) = bytes.get(gap.clone()) else { return Err(DetectorFailed) };
                let here = self.search(part);
                if here.is_empty() {
                    continue;
                }
                let mut edge = gap.start;
                for mut finding in here {
                    finding.range.start = finding.range.start.saturating_add(gap.start);
                    finding.range.end = finding.range.end.saturating_add(gap.start);
                    next.push(edge..finding.range.start);
                    edge = finding.range.end;
                    found.push(finding);
                }
                next.push(edge..gap.end);
            }
            if next.is_empty() {
                return in_text(found, &folded, text);
            }
            gaps = next;
        }
        Err(DetectorFailed)
    }

    fn search(&self, bytes: &[u8]) -> Vec<Finding> {
        let mut candidates = Vec::new();
        let mut at = 0;
        while let Some(byte) = bytes.get(at).copied() {
            let starts_word = at
                .checked_sub(1)
                .and_then(|before| bytes.get(before))
                .is_none_or(|before| !before.is_ascii_alphanumeric());
            let finding = match byte {
                b'@' => email::at(bytes, at),
                b'+' => phone::at(bytes, at),
                b'0'..=b'9' if starts_word => resident_id::at(bytes, at)
                    .or_else(|| card::at(bytes, at))
                    .or_else(|| ip::at(bytes, at))
                    .or_else(|| phone::at(bytes, at)),
                b'(' => phone::at(bytes, at),
                b':' if starts_word => ip::at(bytes, at),
                b'a'..=b'z' | b'A'..=b'Z' if starts_word => {
                    iban::at(bytes, at).or_else(|| ip::at(bytes, at))
                }
                _ => None,
            };
            let finding = finding.filter(|finding| self.wanted.contains(&finding.kind));
            at = match &finding {
                // An e-mail address may begin before its `@`, and reach over what was found.
                Some(found) => found.range.end.max(at.saturating_add(1)),
                None => skip(bytes, at),
            };
            candidates.extend(finding);
        }
        without_overlaps(candidates)
    }
}

/// The next place where a value may begin.
fn skip(bytes: &[u8], at: usize) -> usize {
    let next = at.saturating_add(1);
    let class = |byte: u8| (byte.is_ascii_digit(), byte.is_ascii_alphabetic());
    let Some(first) = bytes.get(at).copied().filter(u8::is_ascii_alphanumeric) else { return next };
    // Inside a word nothing begins but an e-mail's `@`, which is no letter.
    let rest = bytes.get(next..).unwrap_or_default();
    let length = rest.iter().position(|byte| class(*byte) != class(first)).unwrap_or(rest.len());
    next.saturating_add(length)
}

fn without_overlaps(mut candidates: Vec<Finding>) -> Vec<Finding> {
    candidates
        .sort_by(|a, b| a.range.start.cmp(&b.range.start).then(b.range.end.cmp(&a.range.end)));
    let mut kept: Vec<Finding> = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        match kept.last_mut() {
            Some(last) if candidate.range.start < last.range.end => {
                if candidate.range.len() > last.range.len() {
                    *last = candidate;
                }
            }
            _ => kept.push(candidate),
        }
    }
    kept
}

fn in_text(
    mut found: Vec<Finding>,
    folded: &Folded<'_>,
    text: &str,
) -> Result<Vec<Finding>, DetectorFailed> {
    found.sort_by_key(|finding| finding.range.start);
    for finding in &mut found {
        finding.range = folded.original(&finding.range, text).ok_or(DetectorFailed)?;
        if !text.is_char_boundary(finding.range.start) || !text.is_char_boundary(finding.range.end)
        {
            return Err(DetectorFailed);
        }
    }
    Ok(found)
}
