use std::time::Duration;

use actix_web::web::Bytes;
use reeve_domain::{Code, PodId, Region};
use reeve_protocol::text::{TextRequest, TextResponse};

use super::{
    ask::{Answered, ask},
    names::Named,
};
use crate::Gate;

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
#[tracing::instrument(name = "forward", skip_all)]
pub async fn forward(gate: &Gate, named: Named) -> Answer {
    let result = match &named.failed {
        None => classify(gate, &named).await,
        Some(failure) => Err(failure.clone()),
    };
    Answer { named, result, forwarded: gate.clock.monotonic() }
}

async fn classify(gate: &Gate, named: &Named) -> Result<Inferred, Failure> {
    let clean = &named.entry.clean;
    let texts: Vec<&str> = clean.texts.iter().map(|text| text.as_str()).collect();
    let items = texts.len();
    let body = Bytes::from(TextRequest { texts, top_k: clean.top_k }.to_json());
    ask(gate, clean, &clean.model.facts, body, |bytes| TextResponse::parse(bytes, items)).await
}
