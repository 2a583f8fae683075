use std::time::Duration;

use actix_web::web::Bytes;
use reeve_domain::{Code, PodId, Region};
use reeve_protocol::{
    text::{TextRequest, TextResponse},
    warrant::{Claims, WARRANT_HEADER},
};

use super::record::Recorded;
use crate::{
    Gate,
    pods::{self, PodHealth, PodState},
};

/// How many pods are asked before the call fails. Inference changes nothing, so asking another
/// pod is safe.
const ATTEMPTS: usize = 2;

/// A pod's answer is never larger than this for each text.
const ANSWER_LIMIT_PER_TEXT: usize = 64 * 1024;

/// A warrant outlives the call's deadline by this much, for clocks that differ.
const WARRANT_LEEWAY: Duration = Duration::from_secs(5);

/// What came of a recorded call: a pod's answer, or the reason why there is none.
pub struct Answer {
    pub(super) entry: Recorded,
    pub(super) result: Result<Inferred, Failure>,
    pub(super) forwarded: Duration,
}

pub(super) struct Inferred {
    pub(super) region: Region,
    pub(super) pod: PodId,
    pub(super) response: TextResponse,
}

/// Why no answer came, and the pod that was asked last.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: Code,
    pub(super) asked: Option<(Region, PodId)>,
}

/// Sends a recorded call to a healthy pod in a permitted region, or to none. What was redacted
/// cannot be undone here: only clean texts are left.
#[tracing::instrument(name = "forward", skip_all)]
pub async fn forward(gate: &Gate, entry: Recorded) -> Answer {
    let result = ask(gate, &entry).await;
    Answer { entry, result, forwarded: gate.clock.monotonic() }
}

async fn ask(gate: &Gate, entry: &Recorded) -> Result<Inferred, Failure> {
    let clean = &entry.clean;
    let texts: Vec<&str> = clean.texts.iter().map(|text| text.as_str()).collect();
    let body = Bytes::from(TextRequest { texts, top_k: clean.top_k }.to_json());
    let snapshot = &clean.from.snapshot;
    let mut tried: Vec<PodId> = Vec::new();
    let mut failure = Failure { code: Code::NoPodInPermittedRegion, asked: None };
    while tried.len() < ATTEMPTS {
        let digest = &clean.model.facts.digest;
        let permitted = &clean.decision.permitted;
        let Some(pod) = pods::choose(&snapshot.pods, digest, permitted, &tried) else {
            return Err(failure);
        };
        let spent = gate.clock.monotonic().saturating_sub(clean.from.head.started);
        let left = gate.deadline.saturating_sub(spent);
        let asked = Some((pod.pod.region.clone(), pod.pod.id.clone()));
        if left.is_zero() {
            return Err(Failure { code: Code::DeadlineExceeded, asked: failure.asked });
        }
        match ask_pod(gate, entry, &pod, body.clone(), left).await {
            Ok(response) => {
                reeve_telemetry::metrics::pod_request(&pod.pod.id, &pod.pod.region, "ok");
                let (region, pod) = (pod.pod.region.clone(), pod.pod.id.clone());
                return Ok(Inferred { region, pod, response });
            }
            Err(Unanswered::NotReached) => {
                // It never got the call: the same as if it had been known to be down.
                reeve_telemetry::metrics::pod_request(&pod.pod.id, &pod.pod.region, "unreachable");
                if pod.note(PodHealth::Unhealthy) {
                    tracing::warn!(pod = %pod.pod.id, "a pod cannot be reached");
                }
            }
            Err(Unanswered::Failed(code)) => {
                reeve_telemetry::metrics::pod_request(&pod.pod.id, &pod.pod.region, code.as_str());
                failure = Failure { code, asked };
            }
        }
        tried.push(pod.pod.id.clone());
    }
    Err(failure)
}

enum Unanswered {
    NotReached,
    Failed(Code),
}

async fn ask_pod(
    gate: &Gate,
    entry: &Recorded,
    pod: &std::sync::Arc<PodState>,
    body: Bytes,
    left: Duration,
) -> Result<TextResponse, Unanswered> {
    let clean = &entry.clean;
    let facts = &clean.model.facts;
    let issued = gate.clock.now();
    let warrant = gate.signer.sign(&Claims {
        iss: String::new(),
        dec: clean.from.head.id,
        tenant: clean.from.tenant.facts.id.clone(),
        model: facts.digest,
        region: pod.pod.region.clone(),
        iat: issued.as_seconds(),
        exp: issued.after(left.saturating_add(WARRANT_LEEWAY)).as_seconds(),
    });
    let under_way = pod.begin();
    let wait = left.min(gate.pod_timeout);
    let mut request = gate
        .client
        .post(format!("{}/v2/models/{}/infer", pod.pod.url, facts.name))
        .timeout(wait)
        .insert_header((WARRANT_HEADER, warrant))
        .insert_header(("Content-Type", "application/json"))
        .insert_header(("Reeve-Decision", clean.from.head.id.to_string()));
    if let Some(traceparent) = reeve_telemetry::trace::outgoing(&tracing::Span::current()) {
        request = request.insert_header(("traceparent", traceparent));
    }
    let mut answer = request.send_body(body).await.map_err(|fault| match fault {
        awc::error::SendRequestError::Connect(_) => Unanswered::NotReached,
        awc::error::SendRequestError::Timeout => Unanswered::Failed(Code::DeadlineExceeded),
        _ => Unanswered::Failed(Code::PodFailed),
    })?;
    let items = clean.texts.len();
    let limit = ANSWER_LIMIT_PER_TEXT.saturating_mul(items.max(1));
    let bytes =
        answer.body().limit(limit).await.map_err(|_| Unanswered::Failed(Code::PodFailed))?;
    drop(under_way);
    match answer.status().as_u16() {
        200 => TextResponse::parse(&bytes, items).map_err(|fault| {
            tracing::error!(pod = %pod.pod.id, error = %fault, "a pod's answer cannot be read");
            Unanswered::Failed(Code::PodFailed)
        }),
        429 | 503 => Err(Unanswered::Failed(Code::Overloaded)),
        status => {
            tracing::error!(pod = %pod.pod.id, status, "a pod refused a call");
            Err(Unanswered::Failed(Code::PodFailed))
        }
    }
}
