use std::collections::BTreeMap;

use actix_web::{
    HttpResponse,
    body::{BoxBody, MessageBody as _},
};
use reeve_domain::{Money, Obligations, Redaction};
use serde::Serialize;
use utoipa::ToSchema;

use super::settle::Settled;
use crate::{
    Gate,
    idempotency::{Claim, Kept},
};

/// The answer of `POST /v1/classify`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Classified {
    /// The call's id, `dec_` and 32 hexadecimal digits.
    pub id: String,
    /// The model that answered.
    pub model: ModelUsed,
    /// One for each text, in the order of the request.
    pub results: Vec<ResultView>,
    /// What the call consumed and costs.
    pub usage: UsageView,
    /// How the call was governed.
    pub governance: Governance,
}

/// A model version.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelUsed {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The digest of its bundle.
    pub digest: String,
}

/// The labels of one text.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResultView {
    /// The best label.
    pub label: String,
    /// Its probability.
    pub score: f32,
    /// The best `top_k` labels, best first.
    pub labels: Vec<LabelScore>,
}

/// A label and its probability.
#[derive(Debug, Serialize, ToSchema)]
pub struct LabelScore {
    /// The label.
    pub label: String,
    /// Its probability, from 0 to 1.
    pub score: f32,
}

/// What a call consumed and costs.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageView {
    /// Texts.
    pub items: u64,
    /// Unicode code points.
    pub characters: u64,
    /// Tokens that the model read.
    pub tokens: u64,
    /// The price.
    #[schema(value_type = Object)]
    pub cost: Money,
}

/// How a call was governed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Governance {
    /// Where it was processed.
    pub region: String,
    /// The digest of the policy bundle that decided.
    pub policy: String,
    /// How many values of each kind were redacted before the text left the gateway.
    pub redactions: BTreeMap<String, u32>,
    /// What policy obliged to.
    pub obligations: Vec<String>,
    /// Where the record stands.
    pub receipt: ReceiptView,
}

/// Where a call's two records stand in the log, and the signed checkpoint that covers them.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReceiptView {
    /// The log's origin.
    pub origin: String,
    /// Index of the intent's leaf.
    pub intent: u64,
    /// Index of the outcome's leaf.
    pub index: u64,
    /// RFC 6962 hash of the outcome's leaf, hexadecimal.
    pub leaf_hash: String,
    /// The tree's size in the checkpoint.
    pub tree_size: u64,
    /// The signed checkpoint (C2SP tlog-checkpoint).
    pub checkpoint: String,
}

/// Puts a settled call into words, and keeps the words if the call has an idempotency key.
pub fn respond(gate: &Gate, settled: Settled) -> HttpResponse {
    let Settled { inferred, usage, cost, intent, outcome, limits, claim, .. } = settled;
    let facts = &settled.model.facts;
    let id = settled.from.head.id.to_string();
    let region = inferred.region.to_string();
    let policy = settled.decision.policy.to_string();
    let mut response = HttpResponse::Ok();
    response
        .insert_header(("Reeve-Decision", id.as_str()))
        .insert_header(("Reeve-Region", region.as_str()))
        .insert_header(("Reeve-Policy", policy.as_str()))
        .insert_header(("RateLimit-Policy", limits.policy_header()))
        .insert_header(("RateLimit", limits.state_header()));
    let response = response.json(Classified {
        id,
        model: ModelUsed {
            name: facts.name.to_string(),
            version: facts.version.clone(),
            digest: facts.digest.to_string(),
        },
        results: inferred.response.results.into_iter().map(result).collect(),
        usage: UsageView {
            items: usage.items,
            characters: usage.characters,
            tokens: usage.tokens,
            cost,
        },
        governance: Governance {
            region,
            policy,
            redactions: settled
                .redactions
                .iter()
                .map(|(kind, count)| (kind.to_string(), *count))
                .collect(),
            obligations: in_words(&settled.decision.obligations),
            receipt: ReceiptView {
                origin: outcome.origin.to_string(),
                intent: intent.index,
                index: outcome.index,
                leaf_hash: hex::encode(outcome.leaf_hash),
                tree_size: outcome.size,
                checkpoint: outcome.checkpoint.to_string(),
            },
        },
    });
    match claim {
        None => response,
        Some(claim) => keep(gate, claim, response),
    }
}

fn keep(gate: &Gate, claim: Claim, response: HttpResponse) -> HttpResponse {
    let (head, body) = response.into_parts();
    match body.try_into_bytes() {
        Ok(body) => {
            let headers =
                head.headers().iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            let kept = Kept { status: head.status(), headers, body: body.clone() };
            claim.answer(kept, gate.clock.now());
            head.set_body(BoxBody::new(body))
        }
        Err(body) => head.set_body(body),
    }
}

fn result(labels: Vec<(String, f32)>) -> ResultView {
    let labels: Vec<_> =
        labels.into_iter().map(|(label, score)| LabelScore { label, score }).collect();
    let (label, score) =
        labels.first().map(|best| (best.label.clone(), best.score)).unwrap_or_default();
    ResultView { label, score, labels }
}

/// `redact:EMAIL_ADDRESS`, `mask:CREDIT_CARD`, `log:sealed`, `retain:183d`, `notice:…`, `human-review`.
fn in_words(obligations: &Obligations) -> Vec<String> {
    let way = |how: &Redaction| match how {
        Redaction::Replace => "redact",
        other => other.as_str(),
    };
    let mut words: Vec<String> =
        obligations.redact.iter().map(|(kind, how)| format!("{}:{kind}", way(how))).collect();
    if obligations.log == reeve_domain::LogLevel::Sealed {
        words.push("log:sealed".to_owned());
    }
    words.extend(obligations.retain_days.map(|days| format!("retain:{days}d")));
    words.extend(obligations.notices.iter().map(|notice| format!("notice:{notice}")));
    if obligations.human_review {
        words.push("human-review".to_owned());
    }
    words
}
