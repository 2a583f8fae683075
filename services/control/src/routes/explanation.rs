use actix_web::{HttpResponse, web};
use reeve_domain::{Code, Decision, DecisionId, DecisionInput, Record};
use reeve_policy::{Engine, explain::explain};
use reeve_store::{audit, policy};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    problem::{Problem, Refused},
    signed_in::{PolicyReader, SignedIn},
    state::{Control, block},
};

/// Why a call was decided as it was.
#[derive(Serialize, ToSchema)]
#[schema(as = Explanation)]
pub(crate) struct ExplanationView {
    decision_id: String,
    /// The bundle that decided.
    policy: String,
    /// Whether the bundle decides the recorded inputs now as was recorded then.
    reproduced: bool,
    /// Regions, rules with their text at that version and what they read, and ways in which the
    /// call would have been allowed.
    #[schema(value_type = Object)]
    explanation: Value,
}

/// Explain a decision by the rules that made it.
#[utoipa::path(
    get, path = "/api/v1/decisions/{id}/explanation", tag = "audit", operation_id = "explainDecision",
    params(("id" = String, Path, description = "The decision")),
    responses(
        (status = 200, description = "The explanation", body = ExplanationView),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found: no such decision, or none by policy", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn read(
    control: web::Data<Control>,
    _: SignedIn<PolicyReader>,
    id: web::Path<String>,
) -> Result<HttpResponse, Refused> {
    let id: DecisionId = id.parse().map_err(|_| Code::NotFound)?;
    let rows = control.read(move |c| audit::get_by_decision(c, &id)).await?;
    let (input, decision) =
        rows.into_iter().find_map(|row| decided(row.record)).ok_or(Code::NotFound)?;
    let digest = decision.policy;
    let document = control.read(move |c| policy::bundle(c, &digest)).await?;
    let document = document.ok_or(Code::NotFound)?;
    let view = block(move || {
        let engine = Engine::compile(&document).map_err(|why| Refused::internal(&why))?;
        let explained = explain(&engine, &input);
        Ok::<_, Refused>(ExplanationView {
            decision_id: id.to_string(),
            policy: digest.to_string(),
            reproduced: explained.decision == decision,
            explanation: serde_json::to_value(explained).map_err(|why| Refused::internal(&why))?,
        })
    })
    .await??;
    Ok(HttpResponse::Ok().json(view))
}

fn decided(record: Record) -> Option<(DecisionInput, Decision)> {
    match record {
        Record::Intent(intent) => Some((intent.input, intent.decision)),
        Record::Refusal(refusal) => Some((*refusal.input?, *refusal.decision?)),
        _ => None,
    }
}
