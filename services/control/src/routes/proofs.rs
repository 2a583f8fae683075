use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use reeve_store::{
    proof::{self, Proof},
    simulation::SimulationState,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::changes::policy_change_of;
use crate::{
    problem::{Problem, Refused},
    signed_in::{PolicyWriter, SignedIn},
    state::{Control, Deed},
};

/// What a solver says a change allows and denies that the bundle it was begun on does not.
#[derive(Serialize, ToSchema)]
#[schema(as = Proof)]
pub(crate) struct ProofView {
    id: String,
    draft: String,
    base: String,
    /// `queued`, `running`, `done`, `failed`.
    state: &'static str,
    /// `newly_allowed` and `newly_denied`, each with `answer` `never`, which is proven, or
    /// `sometimes` and a `sample` call; and `may_fail`, rules that fail on some calls.
    #[schema(value_type = Option<Object>)]
    report: Option<Value>,
    /// Why there is no proof; then two persons must approve the change.
    failure: Option<String>,
    requested_by: String,
    created_at: String,
    finished_at: Option<String>,
}

impl From<Proof> for ProofView {
    fn from(from: Proof) -> Self {
        Self {
            id: from.id,
            draft: from.draft.to_string(),
            base: from.base.to_string(),
            state: from.state.as_str(),
            report: from.report.and_then(|report| serde_json::from_str(&report).ok()),
            failure: from.failure,
            requested_by: from.requested_by,
            created_at: from.created_at.to_string(),
            finished_at: from.finished_at.map(|at| at.to_string()),
        }
    }
}

/// Ask a solver whether a change newly allows or denies anything. A worker asks it; the answer is in
/// the change.
#[utoipa::path(
    post, path = "/api/v1/policy/changes/{id}/proofs", tag = "policy", operation_id = "proveChange",
    params(("id" = String, Path, description = "The change")),
    responses(
        (status = 202, description = "In the queue", body = ProofView),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn create(
    control: web::Data<Control>,
    signed_in: SignedIn<PolicyWriter>,
    id: web::Path<String>,
) -> Result<HttpResponse, Refused> {
    let change = policy_change_of(&control, &id).await?;
    let now = control.clock.now();
    let new = Proof {
        id: format!("prf_{}", control.entropy.uuid(now).simple()),
        draft: change.digest,
        base: change.base,
        state: SimulationState::Queued,
        report: None,
        failure: None,
        requested_by: signed_in.user.id.to_string(),
        created_at: now,
        finished_at: None,
    };
    let deed = Deed {
        actor: signed_in.actor(),
        action: "policy.prove",
        target: change.id,
        tenant: None,
        details: BTreeMap::from([("digest".to_owned(), change.digest.to_string())]),
    };
    let row = new.clone();
    control.change(&deed, move |c| proof::insert(c, &row)).await?;
    Ok(HttpResponse::Accepted().json(ProofView::from(new)))
}
