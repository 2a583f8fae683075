use actix_web::{HttpRequest, HttpResponse, web};
use reeve_domain::{Code, DecisionId, Record};
use reeve_policy::{Engine, explain::explain};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    fronts::native::Native,
    gate::Gate,
    pipeline::{Authenticated, Call, authenticate, refuse},
    problem::{Problem, RuleReason},
};

/// One of the caller's own decisions, explained.
#[derive(Serialize, ToSchema)]
pub(crate) struct DecisionView {
    id: String,
    /// When the call came, RFC 3339.
    at: String,
    /// `pending`, `completed`, `failed`, `unknown` or `refused`.
    status: String,
    /// Why it failed or was refused.
    code: Option<String>,
    /// The digest of the policy bundle that decided, if the call came so far.
    policy: Option<String>,
    /// Regions that were permitted.
    permitted: Vec<String>,
    /// Regions that were refused, each with the rules that say why.
    refused: Vec<RefusedRegion>,
    /// The rules that permitted.
    rules: Vec<RuleReason>,
    /// How many values of each kind were redacted.
    #[schema(value_type = Object)]
    redactions: reeve_domain::KindCounts,
    /// Where it was processed.
    region: Option<String>,
    /// Regions, the rules that took part with their text at that version and what they read, and
    /// ways in which the call would have been allowed; none if policy was not asked.
    #[schema(value_type = Option<Object>)]
    explanation: Option<serde_json::Value>,
}

/// A region that policy refused.
#[derive(Serialize, ToSchema)]
pub(crate) struct RefusedRegion {
    region: String,
    rules: Vec<RuleReason>,
}

/// Explain one of your decisions.
#[utoipa::path(
    get, path = "/v1/decisions/{id}", tag = "decisions", operation_id = "getDecision",
    params(("id" = String, Path, description = "`Reeve-Decision` of the call")),
    responses(
        (status = 200, description = "The decision", body = DecisionView),
        (status = 404, description = "not-found: unknown, another tenant's, or not indexed yet", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "store-unavailable", body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn decision(
    gate: web::Data<Gate>,
    request: HttpRequest,
    id: web::Path<String>,
    body: web::Payload,
) -> HttpResponse {
    let call = Call::new(&gate, &request, body.into_inner(), "/v1/decisions/{id}", &Native);
    let caller = match authenticate(&gate, call).and_then(|caller| caller.needs("read")) {
        Ok(caller) => caller,
        Err(refused) => return refuse(&gate, *refused).await,
    };
    match rows_of(&gate, &caller, &id).await {
        Ok(rows) => {
            let explanation = match explained(&gate, &rows).await {
                Ok(explanation) => explanation,
                Err(code) => return refuse(&gate, *caller.refused(code)).await,
            };
            HttpResponse::Ok().json(DecisionView { explanation, ..view(&id, rows) })
        }
        Err(code) => refuse(&gate, *caller.refused(code)).await,
    }
}

/// The rows of a decision of the caller's own tenant; what belongs to others does not exist.
pub(super) async fn rows_of(
    gate: &Gate,
    caller: &Authenticated,
    id: &str,
) -> Result<Vec<reeve_store::audit::AuditRow>, Code> {
    let id: DecisionId = id.parse().map_err(|_| Code::NotFound)?;
    let store = gate.store.clone();
    let rows = web::block(move || store.read(|c| reeve_store::audit::get_by_decision(c, &id)))
        .await
        .map_err(|_| Code::StoreUnavailable)?
        .map_err(|_| Code::StoreUnavailable)?;
    let tenant = &caller.tenant().facts.id;
    if rows.is_empty() || rows.iter().any(|row| row.tenant.as_ref() != Some(tenant)) {
        return Err(Code::NotFound);
    }
    Ok(rows)
}

/// Why the call was decided so, by the bundle that decided it.
async fn explained(
    gate: &Gate,
    rows: &[reeve_store::audit::AuditRow],
) -> Result<Option<serde_json::Value>, Code> {
    let decided = rows.iter().find_map(|row| match &row.record {
        Record::Intent(intent) => Some((intent.input.clone(), intent.decision.policy)),
        Record::Refusal(refusal) => {
            let digest = refusal.decision.as_ref()?.policy;
            Some((refusal.input.as_deref()?.clone(), digest))
        }
        _ => None,
    });
    let Some((input, digest)) = decided else { return Ok(None) };
    let serving = gate.snapshot()?.engine.clone();
    let store = gate.store.clone();
    let made = web::block(move || {
        if serving.digest() == digest {
            return Ok(serde_json::to_value(explain(&serving, &input)).ok());
        }
        let document = store.read(|c| reeve_store::policy::bundle(c, &digest));
        let document = document.map_err(|_| Code::StoreUnavailable)?;
        // A bundle of before that can no longer be enforced explains nothing.
        let engine = document.and_then(|document| Engine::compile(&document).ok());
        Ok(engine.and_then(|engine| serde_json::to_value(explain(&engine, &input)).ok()))
    });
    made.await.map_err(|_| Code::Internal)?
}

fn view(id: &str, rows: Vec<reeve_store::audit::AuditRow>) -> DecisionView {
    let mut view = DecisionView {
        id: id.to_owned(),
        at: rows.first().map(|row| row.at.to_string()).unwrap_or_default(),
        status: "pending".to_owned(),
        code: None,
        policy: None,
        permitted: Vec::new(),
        refused: Vec::new(),
        rules: Vec::new(),
        redactions: reeve_domain::KindCounts::new(),
        region: None,
        explanation: None,
    };
    for row in rows {
        match row.record {
            Record::Intent(intent) => {
                view.at = intent.at.to_string();
                view.explain(&intent.decision);
                view.redactions = intent.redactions;
            }
            Record::Outcome(outcome) => {
                view.status = match outcome.status {
                    reeve_domain::OutcomeStatus::Completed => "completed",
                    reeve_domain::OutcomeStatus::Failed => "failed",
                    reeve_domain::OutcomeStatus::Unknown => "unknown",
                }
                .to_owned();
                view.code = outcome.code.map(|code| code.to_string());
                view.region = outcome.region.map(|region| region.to_string());
            }
            Record::Refusal(refusal) => {
                view.status = "refused".to_owned();
                view.code = Some(refusal.code.to_string());
                if let Some(decision) = &refusal.decision {
                    view.explain(decision);
                }
            }
            Record::RefusalAggregate(_)
            | Record::Comparison(_)
            | Record::Observation(_)
            | Record::Control(_) => {}
        }
    }
    view
}

impl DecisionView {
    fn explain(&mut self, decision: &reeve_domain::Decision) {
        self.policy = Some(decision.policy.to_string());
        self.permitted = decision.permitted.iter().map(ToString::to_string).collect();
        self.rules = decision.rules.iter().map(Into::into).collect();
        self.refused = decision
            .refused
            .iter()
            .map(|refusal| RefusedRegion {
                region: refusal.region.to_string(),
                rules: refusal.rules.iter().map(Into::into).collect(),
            })
            .collect();
    }
}
