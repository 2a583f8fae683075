//! One call, whichever wire it came over: who may make it, what it holds, and what comes of it.

use std::{sync::Arc, time::Duration};

use actix_web::web::Bytes;
use reeve_classifier::{Encoded, Part, Standing};
use reeve_protocol::{
    explanation::{EXPLANATION, Explanation, MOST_EXPLAINED},
    names::{NameSpan, SPANS},
    oip::InferRequest,
    tensor::{self, Output},
    text::{Labels, OwnedTextRequest, TextMalformed},
    wanted::Told,
    warrant::{Claims, WarrantRefusal},
};

use crate::{
    call::Computed,
    explain::explain,
    model::{Accepted, Model},
    models::Asked,
    order::Share,
    pod::Pod,
    problem::Problem,
    stats::Parts,
};

/// What a call says besides its body.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) model: String,
    pub(crate) version: Option<String>,
    pub(crate) warrant: Option<String>,
    /// How long the caller still waits.
    pub(crate) wait: Option<Duration>,
}

/// A request as it came.
#[derive(Clone)]
pub(crate) enum Body {
    /// JSON.
    Json(Bytes),
    /// JSON and raw elements behind it; the header says where one ends.
    Binary(Bytes, String),
    /// A message of gRPC and the raw elements of its input.
    Message(InferRequest, Bytes),
}

/// Bodies above this are read on a thread of their own: their tokens take longer than the server's
/// threads may be held up.
const LARGE_BODY: usize = 64 * 1024;

impl Body {
    fn is_large(&self) -> bool {
        match self {
            Self::Json(body) | Self::Binary(body, _) | Self::Message(_, body) => {
                body.len() > LARGE_BODY
            }
        }
    }

    fn read(self) -> Result<OwnedTextRequest, TextMalformed> {
        match self {
            Self::Json(body) => OwnedTextRequest::parse(&body),
            Self::Binary(body, header) => {
                let (json, raw) = tensor::split(&body, &header)?;
                OwnedTextRequest::parse_binary(json, raw)
            }
            Self::Message(request, raw) => OwnedTextRequest::read(request, &raw),
        }
    }
}

/// What a call is answered with.
pub(crate) struct Answered {
    pub(crate) model: Arc<Model>,
    pub(crate) id: Option<String>,
    pub(crate) outputs: Vec<Output>,
}

/// Answers a call. Counts it, whatever comes of it.
pub(crate) async fn infer(pod: &Arc<Pod>, head: Head, body: Body) -> Result<Answered, Problem> {
    let answer = answer(pod, head, body).await;
    let status = answer.as_ref().map_or_else(|problem| problem.status().as_u16(), |_| 200);
    pod.runtime.metrics.answer(status);
    answer
}

async fn answer(pod: &Arc<Pod>, head: Head, body: Body) -> Result<Answered, Problem> {
    // First, so that the file shows what came even where the call is then refused.
    if let Some(recorder) = &pod.recorder
        && let Ok(request) = body.clone().read()
    {
        recorder.write(pod.runtime.clock.now(), &request.texts).map_err(|error| {
            tracing::error!(%error, "received texts cannot be recorded");
            Problem::Recorder
        })?;
    }
    pod.check_ready()?;
    let begun = pod.runtime.clock.monotonic();
    let claims = pod.warrants.open(head.warrant.as_deref().ok_or(WarrantRefusal::Missing)?)?;
    let until = begun.saturating_add(wait(pod, &head, &claims));
    let version = head.version.as_deref();
    let asked = Asked { name: &head.model, version, digest: Some(&claims.model) };
    let model = pod.models.accept(asked).await?;
    tracing::debug!(decision = %claims.dec, "a call is accepted");
    let answer = compute(pod, &model, &claims, body, (begun, until)).await;
    if let Err(problem) = &answer {
        model.stats.failed(pod.runtime.clock.monotonic().saturating_sub(begun));
        if let Some(why) = problem.shed() {
            pod.runtime.metrics.refused(&model.name, &claims.tenant, why);
        }
    }
    let (request, outputs) = answer?;
    pod.runtime.metrics.answered(&model.name, &claims.tenant, request.texts.len());
    Ok(Answered { model: (*model).clone(), id: request.id, outputs })
}

/// Until nobody waits: the pod's own bound, what the caller says, and what the warrant permits.
fn wait(pod: &Pod, head: &Head, claims: &Claims) -> Duration {
    let now = pod.runtime.clock.now();
    let micros = claims.exp.saturating_add(1).saturating_mul(1_000_000);
    let permitted = reeve_domain::Timestamp::from_micros(micros).since(now);
    let asked = head.wait.unwrap_or(Duration::MAX);
    pod.runtime.deadline.min(asked).min(permitted)
}

async fn compute(
    pod: &Arc<Pod>,
    model: &Accepted,
    claims: &Claims,
    body: Body,
    (begun, until): (Duration, Duration),
) -> Result<(OwnedTextRequest, Vec<Output>), Problem> {
    let clock = &pod.runtime.clock;
    let share = Share::from(claims);
    let (request, texts) = read(model, body).await?;
    let came = clock.monotonic();
    let computed = match &texts {
        Texts::Whole(texts) => submit(model, texts.clone(), &share, (came, until)).await?,
        Texts::Parts { parts, .. } => {
            let encoded = parts.iter().map(|(_, part)| part.encoded.clone()).collect();
            submit(model, encoded, &share, (came, until)).await?
        }
    };
    let done = clock.monotonic();
    let outputs = match &texts {
        Texts::Whole(texts) => {
            let labelled = Labelled::of(model, &request, &computed.rows);
            let explanations = if request.wanted.asks_for(EXPLANATION) {
                Some(explain(model, &request.texts, &labelled.results, until).await?)
            } else {
                None
            };
            labelled.outputs(model, &request, texts, explanations.as_deref())?
        }
        Texts::Parts { parts, .. } => names(model, &request, parts, &computed.rows)?,
    };
    let end = clock.monotonic();
    let parts = Parts {
        input: came.saturating_sub(begun),
        queue: computed.waited,
        infer: computed.computed,
        output: end.saturating_sub(done),
        all: end.saturating_sub(begun),
    };
    model.stats.answered(request.texts.len(), parts, clock.now());
    let span = tracing::Span::current();
    span.record("texts", request.texts.len());
    span.record("queue_us", micros(computed.waited));
    span.record("compute_us", micros(computed.computed));
    Ok((request, outputs))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// What a request's texts are to the network.
enum Texts {
    /// Each a row.
    Whole(Vec<Encoded>),
    /// Each some parts, which names are looked for in.
    Parts {
        /// How many texts they are of.
        texts: usize,
        /// The parts, with the text that each is of.
        parts: Vec<(usize, Part)>,
    },
}

/// Reads a body and makes its texts into tokens, here or, if it is large, on a thread where it
/// holds up nobody. Here others have their turn in between.
async fn read(model: &Accepted, body: Body) -> Result<(OwnedTextRequest, Texts), Problem> {
    if body.is_large() {
        let model = (**model).clone();
        let read = tokio::task::spawn_blocking(move || {
            let request = body.read()?;
            check(&model, &request)?;
            let mut texts = Texts::new(&model, request.texts.len());
            texts.extend(&model, &request.texts)?;
            Ok((request, texts))
        });
        return read.await.map_err(|_| Problem::Failed)?;
    }
    let request = body.read()?;
    check(model, &request)?;
    let mut texts = Texts::new(model, request.texts.len());
    for (turn, some) in request.texts.chunks(TURN).enumerate() {
        if turn > 0 {
            tokio::task::yield_now().await;
        }
        texts.extend(model, some)?;
    }
    Ok((request, texts))
}

/// So many texts are made into tokens before others have their turn on the same thread.
const TURN: usize = 8;

/// Whether a request can be answered at all.
fn check(model: &Model, request: &OwnedTextRequest) -> Result<(), Problem> {
    room(model, request.texts.len())?;
    if request.wanted.asks_for(EXPLANATION) && request.texts.len() > MOST_EXPLAINED {
        return Err(Problem::Texts { texts: request.texts.len(), most: MOST_EXPLAINED });
    }
    Ok(())
}

fn room(model: &Model, texts: usize) -> Result<(), Problem> {
    let most = model.queue.capacity();
    if texts > most { Err(Problem::Texts { texts, most }) } else { Ok(()) }
}

impl Texts {
    /// None yet of so many.
    fn new(model: &Model, count: usize) -> Self {
        if model.finds_names {
            Self::Parts { texts: 0, parts: Vec::with_capacity(count) }
        } else {
            Self::Whole(Vec::with_capacity(count))
        }
    }

    /// Makes further texts into tokens.
    fn extend(&mut self, model: &Model, more: &[String]) -> Result<(), Problem> {
        for text in more {
            match self {
                Self::Whole(all) => {
                    let encoded = model.encoder.encode(text);
                    all.push(encoded.map_err(|error| unread(all.len(), &error))?);
                }
                Self::Parts { texts, parts } => {
                    let index = *texts;
                    let found = model.encoder.parts(text).map_err(|error| unread(index, &error))?;
                    parts.extend(found.into_iter().map(|part| (index, part)));
                    room(model, parts.len())?;
                    *texts = index.saturating_add(1);
                }
            }
        }
        Ok(())
    }
}

fn unread(index: usize, error: &reeve_classifier::EncodeError) -> Problem {
    Problem::Text { index, why: error.to_string() }
}

/// Logits of texts or parts, in order. Nothing waits longer than its deadline; what is given up
/// then is not computed any more.
async fn submit(
    model: &Accepted,
    texts: Vec<Encoded>,
    share: &Share,
    (now, until): (Duration, Duration),
) -> Result<Computed, Problem> {
    if texts.is_empty() {
        return Ok(Computed::default());
    }
    let answer = model.queue.submit(texts, share, until)?;
    match tokio::time::timeout(until.saturating_sub(now), answer).await {
        Ok(Ok(answer)) => answer.map_err(|_| Problem::Failed),
        // Only what nobody waits for any more is dropped without an answer: a worker may have seen
        // that its time is over before it was seen here.
        Ok(Err(_)) | Err(_) => Err(Problem::Deadline),
    }
}

/// What the logits of texts say.
struct Labelled {
    results: Vec<Labels>,
    standings: Vec<String>,
}

impl Labelled {
    fn of(model: &Model, request: &OwnedTextRequest, rows: &[Vec<f32>]) -> Self {
        let most = request.top_k.and_then(|k| usize::try_from(k).ok()).unwrap_or(usize::MAX);
        let answers = rows.iter().map(|row| model.confidence.answer(&model.labels, row));
        let (results, standings) = answers
            .map(|answer| (best(&model.labels, &answer.scores, most), word(answer.standing)))
            .unzip();
        Self { results, standings }
    }

    fn outputs(
        &self,
        model: &Model,
        request: &OwnedTextRequest,
        texts: &[Encoded],
        explanations: Option<&[Explanation]>,
    ) -> Result<Vec<Output>, Problem> {
        let count = |text: &Encoded| u32::try_from(text.tokens()).unwrap_or(u32::MAX);
        let tokens: Vec<u32> = texts.iter().map(count).collect();
        let missed =
            |text: &Encoded| u32::try_from(model.encoder.unknown(text)).unwrap_or(u32::MAX);
        let unknown: Vec<u32> = texts.iter().map(missed).collect();
        let told = Told {
            tokens: &tokens,
            unknown: Some(&unknown),
            standings: Some(&self.standings),
            explanations,
        };
        Ok(request.wanted.classified(&self.results, told, &model.labels)?)
    }
}

fn names(
    model: &Model,
    request: &OwnedTextRequest,
    parts: &[(usize, Part)],
    rows: &[Vec<f32>],
) -> Result<Vec<Output>, Problem> {
    let mut spans = vec![Vec::new(); request.texts.len()];
    for ((index, part), row) in parts.iter().zip(rows) {
        let found = reeve_classifier::spans(part, row, &model.labels, LEAST_LIKELY);
        if let Some(here) = spans.get_mut(*index) {
            here.extend(found.into_iter().map(|span| NameSpan {
                kind: span.kind,
                start: span.range.start,
                end: span.range.end,
                score: span.score.clamp(0.0, 1.0),
            }));
        }
    }
    // Names and numbers always have a JSON form.
    let text = |all: &Vec<NameSpan>| serde_json::to_string(all).unwrap_or_default();
    Ok(request.wanted.only(SPANS, spans.iter().map(text).collect())?)
}

/// Names below this probability are not told; who asks may want more.
const LEAST_LIKELY: f32 = 0.2;

fn word(standing: Standing) -> String {
    use reeve_protocol::text::Standing as Word;
    let word = match standing {
        Standing::Sure => Word::Sure,
        Standing::Unsure => Word::Unsure,
        Standing::OutOfScope => Word::OutOfScope,
    };
    word.as_str().to_owned()
}

/// The `most` likeliest labels, likeliest first; equals in the bundle's order.
fn best(labels: &[String], scores: &[f32], most: usize) -> Labels {
    let mut all: Vec<(usize, &String, f32)> = labels
        .iter()
        .zip(scores)
        .enumerate()
        .map(|(place, (label, score))| (place, label, *score))
        .collect();
    let order = |left: &(usize, &String, f32), right: &(usize, &String, f32)| {
        right.2.total_cmp(&left.2).then(left.0.cmp(&right.0))
    };
    let most = most.max(1);
    if most < all.len() {
        all.select_nth_unstable_by(most, order);
        all.truncate(most);
    }
    all.sort_unstable_by(order);
    all.into_iter().map(|(_, label, score)| (label.clone(), score)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_labels_come_first_and_equals_keep_their_order() {
        let labels = ["a", "b", "c"].map(str::to_owned);
        let all = best(&labels, &[0.1, 0.8, 0.1], 9);
        assert_eq!(
            all.iter().map(|(label, _)| label.as_str()).collect::<Vec<_>>(),
            ["b", "a", "c"]
        );
        assert!((all.iter().map(|(_, score)| score).sum::<f32>() - 1.0).abs() < 1e-6);
        assert_eq!(best(&labels, &[0.1, 0.8, 0.1], 1).len(), 1);
    }
}
