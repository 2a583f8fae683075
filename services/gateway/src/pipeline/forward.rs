use std::{collections::HashSet, ops::Range, time::Duration};

use actix_web::web::Bytes;
use reeve_domain::{Action, Code, PodId, Region};
use reeve_privacy::CleanText;
use reeve_protocol::{
    explanation::TokenScore,
    plain,
    text::{LABEL, TextMalformed, TextRequest, TextResponse},
};

use super::{
    ask::{Answered, ask},
    names::Named,
};
use crate::{
    Gate,
    pods::{Errand, Speaks},
};

/// What came of a recorded call: a pod's answer, or the reason why there is none.
pub struct Answer {
    pub(super) named: Named,
    pub(super) result: Result<Inferred, Failure>,
    pub(super) forwarded: Duration,
}

pub(super) type Inferred = Answered<TextResponse>;

/// Why no answer came, and the pod that was asked last.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) code: Code,
    pub(super) asked: Option<(Region, PodId)>,
}

/// Sends a recorded call to a healthy pod in a permitted region, or to none. What was redacted
/// cannot be undone here: only clean texts are left.
#[tracing::instrument(level = "debug", name = "forward", skip_all)]
pub async fn forward(gate: &Gate, named: Named) -> Answer {
    let result = match &named.failed {
        None => classify(gate, &named).await,
        Some(failure) => Err(failure.clone()),
    };
    Answer { named, result, forwarded: gate.clock.monotonic() }
}

/// A pod's answer is never larger than this for each text.
pub(super) const ANSWER_LIMIT_PER_TEXT: usize = 64 * 1024;

async fn classify(gate: &Gate, named: &Named) -> Result<Inferred, Failure> {
    let clean = &named.entry.clean;
    let texts: Vec<&str> = clean.texts.iter().map(|text| text.as_str()).collect();
    let (items, top_k) = (texts.len(), clean.top_k);
    let request = TextRequest { texts, top_k };
    // Places in a text, of which none has more.
    let lengths: Option<Vec<usize>> = (clean.input.action == Action::Explain)
        .then(|| request.texts.iter().map(|text| text.chars().count()).collect());
    let outputs: &[&str] =
        if lengths.is_some() { &TextResponse::EXPLAINED } else { &TextResponse::OUTPUTS };
    let body = Bytes::from(request.asking_for(outputs));
    let errand = Errand {
        model: clean.model.facts.name.as_str(),
        decision: clean.from.head.id.to_string(),
        // Other servers of the protocol explain nothing.
        plain_too: lengths.is_none(),
        body: &|speaks| match speaks {
            Speaks::Reeve => Some(body.clone()),
            Speaks::Plain => lengths.is_none().then(|| Bytes::from(plain::request(&request))),
        },
        read: &|speaks, bytes| match speaks {
            Speaks::Reeve => lengths
                .as_ref()
                .map_or_else(
                    || TextResponse::parse(bytes, items),
                    |lengths| TextResponse::parse_explained(bytes, lengths),
                )
                .and_then(|answer| with_known_labels(answer, &clean.model.labels, top_k)),
            Speaks::Plain => plain::parse(bytes, items, top_k, &clean.model.labels),
        },
        most: ANSWER_LIMIT_PER_TEXT.saturating_mul(items.max(1)),
    };
    let mut answered = ask(gate, clean, &clean.model.facts, &errand).await?;
    for (explanation, text) in answered.response.explanations.iter_mut().zip(&clean.texts) {
        explanation.tokens = as_it_came(text, &explanation.tokens);
    }
    Ok(answered)
}

/// Tokens by their places in the text as it came. Those of what stands in a redacted value's place
/// become one.
fn as_it_came(text: &CleanText, tokens: &[TokenScore]) -> Vec<TokenScore> {
    let mut all: Vec<TokenScore> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let Range { start, end } = text.origin(token.range());
        match all.last_mut() {
            Some(last) if last.start == start && last.end == end => last.score += token.score,
            _ => all.push(TokenScore { start, end, score: token.score }),
        }
    }
    all
}

/// A pod that answers with labels that the model does not have, or with more than were asked for,
/// serves something else.
pub(super) fn with_known_labels(
    answer: TextResponse,
    known: &[String],
    top_k: u32,
) -> Result<TextResponse, TextMalformed> {
    let wrong = |problem: &str| {
        Err(TextMalformed::Tensor { name: LABEL.into(), problem: problem.to_owned() })
    };
    let set: HashSet<&str> = known.iter().map(String::as_str).collect();
    let most = usize::try_from(top_k).unwrap_or(usize::MAX);
    if answer.results.iter().any(|labels| labels.len() > most) {
        return wrong("holds more labels than were asked for");
    }
    if answer.results.iter().flatten().any(|(label, _)| !set.contains(label.as_str())) {
        return wrong("holds a label that the model does not have");
    }
    Ok(answer)
}
