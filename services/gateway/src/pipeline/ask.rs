//! Asking pods, whatever for: the least loaded healthy one in a permitted region, another if it
//! does not answer, under a warrant for this call.

use std::{sync::Arc, time::Duration};

use actix_web::web::Bytes;
use reeve_domain::{Code, DecisionId, ModelFacts, PodId, Region, TenantId};
use reeve_protocol::{
    text::TextMalformed,
    warrant::{Claims, Priority, USUAL_WEIGHT, WARRANT_HEADER},
};

use super::{forward::Failure, redact::Clean, transfer};
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

/// A pod's answer, and whose it is.
pub(super) struct Answered<T> {
    pub(super) region: Region,
    pub(super) pod: PodId,
    pub(super) response: T,
}

/// Sends a body about a call's texts to a pod that serves `model`, and reads its answer.
pub(super) async fn ask<T>(
    gate: &Gate,
    clean: &Clean,
    model: &ModelFacts,
    body: Bytes,
    read: impl Fn(&[u8]) -> Result<T, TextMalformed>,
) -> Result<Answered<T>, Failure> {
    let snapshot = &clean.from.snapshot;
    let mut tried: Vec<PodId> = Vec::new();
    let mut failure = Failure { code: Code::NoPodInPermittedRegion, asked: None };
    while tried.len() < ATTEMPTS {
        let permitted = &clean.decision.permitted;
        let Some(pod) = pods::choose(&snapshot.pods, &model.digest, permitted, &tried) else {
            return Err(failure);
        };
        let spent = gate.clock.monotonic().saturating_sub(clean.from.head.started);
        let left = gate.deadline.saturating_sub(spent);
        let asked = Some((pod.pod.region.clone(), pod.pod.id.clone()));
        if left.is_zero() {
            return Err(Failure { code: Code::DeadlineExceeded, asked: failure.asked });
        }
        if let Err(code) = transfer::claim(gate, clean, &pod.pod.region).await {
            // It may be no transfer where another pod is.
            failure = Failure { code, asked: failure.asked };
            tried.push(pod.pod.id.clone());
            continue;
        }
        let what = WhatFor {
            decision: clean.from.head.id,
            tenant: &clean.from.tenant.facts.id,
            model,
            items: clean.texts.len(),
        };
        let answer = post(gate, &what, &pod, body.clone(), left).await;
        let read = answer.and_then(|bytes| {
            read(&bytes).map_err(|fault| {
                tracing::error!(pod = %pod.pod.id, error = %fault, "a pod's answer cannot be read");
                Unanswered::Failed(Code::PodFailed)
            })
        });
        match read {
            Ok(response) => {
                reeve_telemetry::metrics::pod_request(&pod.pod.id, &pod.pod.region, "ok");
                let (region, pod) = (pod.pod.region.clone(), pod.pod.id.clone());
                return Ok(Answered { region, pod, response });
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

pub(super) enum Unanswered {
    NotReached,
    Failed(Code),
}

/// What a pod is asked for.
pub(super) struct WhatFor<'a> {
    pub(super) decision: DecisionId,
    pub(super) tenant: &'a TenantId,
    pub(super) model: &'a ModelFacts,
    /// Texts.
    pub(super) items: usize,
}

/// Sends a body to one pod, under a warrant for exactly this call, model and region.
pub(super) async fn post(
    gate: &Gate,
    what: &WhatFor<'_>,
    pod: &Arc<PodState>,
    body: Bytes,
    left: Duration,
) -> Result<Bytes, Unanswered> {
    let issued = gate.clock.now();
    let warrant = gate.signer.sign(&Claims {
        iss: String::new(),
        dec: what.decision,
        tenant: what.tenant.clone(),
        model: what.model.digest,
        region: pod.pod.region.clone(),
        iat: issued.as_seconds(),
        exp: issued.after(left.saturating_add(WARRANT_LEEWAY)).as_seconds(),
        weight: USUAL_WEIGHT,
        priority: Priority::default(),
    });
    let under_way = pod.begin();
    let wait = left.min(gate.pod_timeout);
    let mut request = gate
        .client
        .post(format!(
            "{}/v2/models/{}/versions/{}/infer",
            pod.pod.url, what.model.name, what.model.version
        ))
        .timeout(wait)
        .insert_header((WARRANT_HEADER, warrant))
        .insert_header(("Content-Type", "application/json"))
        .insert_header(("Reeve-Decision", what.decision.to_string()));
    if let Some(traceparent) = reeve_telemetry::trace::outgoing(&tracing::Span::current()) {
        request = request.insert_header(("traceparent", traceparent));
    }
    let mut answer = request.send_body(body).await.map_err(|fault| match fault {
        awc::error::SendRequestError::Connect(_) => Unanswered::NotReached,
        awc::error::SendRequestError::Timeout => Unanswered::Failed(Code::DeadlineExceeded),
        _ => Unanswered::Failed(Code::PodFailed),
    })?;
    let limit = ANSWER_LIMIT_PER_TEXT.saturating_mul(what.items.max(1));
    let bytes =
        answer.body().limit(limit).await.map_err(|_| Unanswered::Failed(Code::PodFailed))?;
    drop(under_way);
    match answer.status().as_u16() {
        200 => Ok(bytes),
        429 | 503 => Err(Unanswered::Failed(Code::Overloaded)),
        status => {
            tracing::error!(pod = %pod.pod.id, status, "a pod refused a call");
            Err(Unanswered::Failed(Code::PodFailed))
        }
    }
}
