use std::collections::BTreeMap;

use actix_web::web::Bytes;
use reeve_domain::{Code, Kind, KindCounts, NamesTaken, Redaction};
use reeve_privacy::{CleanText, Finding, Pseudonyms, Redactor};
use reeve_protocol::{
    names::{NameSpan, NamesResponse},
    text::TextRequest,
};

use super::{
    ask::{Answered, ask},
    forward::{ANSWER_LIMIT_PER_TEXT, Failure},
    record::Recorded,
};
use crate::{
    Gate,
    pods::{Errand, Speaks},
};

/// A recorded call without the names that policy wants out; or why they could not be looked for,
/// in which case nothing is forwarded.
pub struct Named {
    pub(super) entry: Recorded,
    pub(super) taken: Option<NamesTaken>,
    pub(super) failed: Option<Failure>,
}

/// Takes out the names and addresses that obligations name: a pod in a permitted region finds
/// them. The texts that it gets are those that the intent speaks of, from which all that has a
/// form of its own was taken out before.
#[tracing::instrument(level = "debug", name = "names", skip_all)]
pub async fn take_names_out(gate: &Gate, mut entry: Recorded) -> Named {
    let how: BTreeMap<Kind, Redaction> = entry
        .clean
        .decision
        .obligations
        .redact
        .iter()
        .filter(|(kind, _)| reeve_privacy::NAMES.contains(&kind.as_str()))
        .map(|(kind, how)| (kind.clone(), *how))
        .collect();
    if how.is_empty() {
        return Named { entry, taken: None, failed: None };
    }
    match find(gate, &entry, &how).await {
        Ok((taken, texts)) => {
            entry.clean.texts = texts;
            for (kind, count) in &taken.redactions {
                reeve_telemetry::metrics::redacted(kind, *count);
                let sum = entry.clean.redactions.entry(kind.clone()).or_default();
                *sum = sum.saturating_add(*count);
            }
            Named { entry, taken: Some(taken), failed: None }
        }
        Err(failure) => Named { entry, taken: None, failed: Some(failure) },
    }
}

async fn find(
    gate: &Gate,
    entry: &Recorded,
    how: &BTreeMap<Kind, Redaction>,
) -> Result<(NamesTaken, Vec<CleanText>), Failure> {
    let clean = &entry.clean;
    let snapshot = &clean.from.snapshot;
    let failed = || Failure { code: Code::DetectorFailed, asked: None };
    let finder = snapshot.engine.bundle().privacy.names.as_ref().ok_or_else(failed)?;
    let model = snapshot.name_finder().ok_or_else(failed)?;
    let texts: Vec<&str> = clean.texts.iter().map(CleanText::as_str).collect();
    let lengths: Vec<usize> = texts.iter().map(|text| text.chars().count()).collect();
    let body = Bytes::from(TextRequest { texts, top_k: 1 }.to_json());
    let errand = Errand {
        model: model.facts.name.as_str(),
        decision: clean.from.head.id.to_string(),
        // Other servers of the protocol find no names.
        plain_too: false,
        body: &|speaks| (speaks == Speaks::Reeve).then(|| body.clone()),
        read: &|_, bytes| NamesResponse::parse(bytes, &lengths),
        most: ANSWER_LIMIT_PER_TEXT.saturating_mul(lengths.len().max(1)),
    };
    let Answered { region, pod, response } = ask(gate, clean, &model.facts, &errand).await?;
    let tenant = &clean.from.tenant.facts.id;
    let pseudonyms = Pseudonyms::new(gate.pepper.pseudonym_key(tenant));
    let redactor = Redactor {
        detector: snapshot.engine.detector(tenant),
        how,
        pseudonyms: &pseudonyms,
        year: clean.input.at.year(),
    };
    let mut redactions = KindCounts::new();
    let mut texts = Vec::with_capacity(clean.texts.len());
    for (text, spans) in clean.texts.iter().zip(&response.spans) {
        let findings = findings(text.as_str(), spans, finder.minimum.share());
        let (without, counts) = redactor.redact_further(text, &findings).map_err(|_| failed())?;
        for (kind, count) in counts {
            let sum = redactions.entry(kind).or_default();
            *sum = sum.saturating_add(count);
        }
        texts.push(without);
    }
    let parts: Vec<&[u8]> = texts.iter().map(|text| text.as_str().as_bytes()).collect();
    let payload = gate.pepper.payload(&parts);
    Ok((NamesTaken { model: model.facts.digest, region, pod, redactions, payload }, texts))
}

/// Names that are likely enough, with their places in bytes.
fn findings(text: &str, spans: &[NameSpan], minimum: f32) -> Vec<Finding> {
    let mut places = text.char_indices().map(|(at, _)| at).chain([text.len()]).enumerate();
    let mut byte = |point: usize| places.find(|(n, _)| *n == point).map(|(_, at)| at);
    spans
        .iter()
        .filter_map(|span| {
            // In order, so that the text is walked through once.
            let (start, end) = (byte(span.start)?, byte(span.end)?);
            let kind = Kind::named(span.kind.clone());
            Some(Finding { kind, range: start..end, confidence: span.score, in_context: false })
        })
        .filter(|finding| finding.confidence >= minimum)
        .collect()
}
