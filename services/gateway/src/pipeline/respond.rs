use actix_web::{
    HttpResponse,
    body::{BoxBody, MessageBody as _},
};
use reeve_domain::{Obligations, Redaction};

use super::settle::Settled;
use crate::{
    Gate,
    fronts::{
        Classification,
        native::{Governance, ReceiptView},
    },
    idempotency::{Claim, Kept},
};

/// Has its front put a settled call into words, and keeps the words if the call has an idempotency
/// key.
pub fn respond(gate: &Gate, mut settled: Settled) -> HttpResponse {
    let results = std::mem::take(&mut settled.inferred.response.results);
    let explanations = std::mem::take(&mut settled.inferred.response.explanations);
    let claim = settled.claim.take();
    let head = &settled.from.head;
    let written = settled.form.write(Classification {
        id: head.id,
        at: head.at,
        model: &settled.model,
        results,
        tokens: &settled.inferred.response.tokens,
        standings: &settled.inferred.response.standings,
        explanations,
        usage: &settled.usage,
        cost: settled.cost,
        took: settled.took,
        governance: &|| governance(&settled),
    });
    let mut response = HttpResponse::Ok();
    response
        .content_type(written.content_type)
        .insert_header(("Reeve-Decision", head.id.to_string()))
        .insert_header(("Reeve-Region", settled.inferred.region.to_string()))
        .insert_header(("Reeve-Policy", settled.decision.policy.to_string()))
        .insert_header(("RateLimit-Policy", settled.limits.policy_header()))
        .insert_header(("RateLimit", settled.limits.state_header()));
    for header in written.headers {
        response.insert_header(header);
    }
    let response = response.body(written.body);
    match claim {
        None => response,
        Some(claim) => keep(gate, claim, response),
    }
}

fn governance(settled: &Settled) -> Governance {
    let (intent, outcome) = (&settled.intent, &settled.outcome);
    Governance {
        region: settled.inferred.region.to_string(),
        policy: settled.decision.policy.to_string(),
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
