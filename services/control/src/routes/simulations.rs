use std::{collections::BTreeMap, time::Duration};

use actix_web::{HttpResponse, web};
use reeve_domain::{Code, Timestamp};
use reeve_store::{
    policy_change::ChangeState,
    simulation::{self, Simulation, SimulationState},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::changes::policy_change_of;
use crate::{
    page,
    problem::{Problem, Refused},
    sent::Sent,
    signed_in::{PolicyReader, PolicyWriter, SignedIn},
    state::{Control, Deed},
};

/// The traffic that is replayed if nothing else is asked for.
const USUAL: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What a change would have done to recorded traffic.
#[derive(Serialize, ToSchema)]
#[schema(as = Simulation)]
pub(crate) struct SimulationView {
    id: String,
    /// The bundle.
    draft: String,
    /// RFC 3339.
    from: String,
    until: String,
    /// `queued`, `running`, `done`, `failed`.
    state: &'static str,
    /// Calls that were replayed, of `total`.
    done: u64,
    total: u64,
    /// What was found.
    #[schema(value_type = Option<Object>)]
    report: Option<Value>,
    /// SHA-256 of the report, to be named in an approval.
    report_digest: Option<String>,
    failure: Option<String>,
    requested_by: String,
    created_at: String,
    finished_at: Option<String>,
}

impl From<Simulation> for SimulationView {
    fn from(from: Simulation) -> Self {
        Self {
            id: from.id,
            draft: from.draft.to_string(),
            from: from.from.to_string(),
            until: from.until.to_string(),
            state: from.state.as_str(),
            done: from.done,
            total: from.total,
            report: from.report.and_then(|report| serde_json::from_str(&report).ok()),
            report_digest: from.report_digest.map(|digest| digest.to_string()),
            failure: from.failure,
            requested_by: from.requested_by,
            created_at: from.created_at.to_string(),
            finished_at: from.finished_at.map(|at| at.to_string()),
        }
    }
}

/// The traffic to be replayed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSimulation {
    /// RFC 3339; none: seven days before `until`, or since the change is in force.
    #[serde(default)]
    from: Option<String>,
    /// RFC 3339; none: now.
    #[serde(default)]
    until: Option<String>,
}

/// Ask what a change would have done to recorded traffic. A worker finds out.
#[utoipa::path(
    post, path = "/api/v1/policy/changes/{id}/simulations", tag = "policy", operation_id = "simulateChange",
    params(("id" = String, Path, description = "The change")),
    request_body = NewSimulation,
    responses(
        (status = 202, description = "In the queue", body = SimulationView),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn create(
    control: web::Data<Control>,
    signed_in: SignedIn<PolicyWriter>,
    id: web::Path<String>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let asked: NewSimulation = sent.json()?;
    let change = policy_change_of(&control, &id).await?;
    let now = control.clock.now();
    let until = page::moment("until", asked.until.as_deref())?.unwrap_or(now);
    let usual = i64::try_from(USUAL.as_micros()).unwrap_or(i64::MAX);
    // Of a change that is in force, the policy before it is asked about the traffic since then:
    // what that would decide otherwise is what the change has done.
    let in_force = change.state == ChangeState::Activated;
    let usual = Timestamp::from_micros(until.as_micros().saturating_sub(usual));
    let usual = if in_force { change.updated_at } else { usual };
    let from = page::moment("from", asked.from.as_deref())?.unwrap_or(usual);
    if from >= until {
        return Err(Refused::field("from", "must lie before `until`"));
    }
    let new = Simulation {
        id: format!("sim_{}", control.entropy.uuid(now).simple()),
        draft: if in_force { change.base } else { change.digest },
        from,
        until,
        state: SimulationState::Queued,
        done: 0,
        total: 0,
        report: None,
        report_digest: None,
        failure: None,
        requested_by: signed_in.user.id.to_string(),
        created_at: now,
        finished_at: None,
    };
    let deed = Deed {
        actor: signed_in.actor(),
        action: "policy.simulate",
        target: change.id,
        tenant: None,
        details: BTreeMap::from([
            ("digest".to_owned(), change.digest.to_string()),
            ("from".to_owned(), from.to_string()),
            ("until".to_owned(), until.to_string()),
        ]),
    };
    let row = new.clone();
    control.change(&deed, move |c| simulation::insert(c, &row)).await?;
    Ok(HttpResponse::Accepted().json(SimulationView::from(new)))
}

/// One simulation.
#[utoipa::path(
    get, path = "/api/v1/policy/simulations/{id}", tag = "policy", operation_id = "getSimulation",
    params(("id" = String, Path, description = "The simulation")),
    responses(
        (status = 200, description = "The simulation", body = SimulationView),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn read(
    control: web::Data<Control>,
    _: SignedIn<PolicyReader>,
    id: web::Path<String>,
) -> Result<HttpResponse, Refused> {
    let found = control.read(move |c| simulation::get(c, &id)).await?.ok_or(Code::NotFound)?;
    Ok(HttpResponse::Ok().json(SimulationView::from(found)))
}
