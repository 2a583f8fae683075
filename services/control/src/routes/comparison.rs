use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use reeve_domain::{Code, Flip};
use reeve_policy::replay::Impact;
use reeve_store::{
    policy_change::ChangeState,
    simulation::{self, SimulationState},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::changes::policy_change_of;
use crate::{
    problem::{Problem, Refused},
    signed_in::{PolicyReader, SignedIn},
    state::Control,
};

/// What was predicted of a change, and what happened since it is in force.
#[derive(Serialize, ToSchema)]
pub(crate) struct Comparison {
    /// The simulation that it was approved with.
    predicted: String,
    /// The simulation of the policy before it on the traffic since then; none: ask for one by
    /// simulating the change again.
    happened: Option<String>,
    rows: Vec<ComparisonRow>,
}

/// One tenant's calls that one rule makes a difference to.
#[derive(Serialize, ToSchema)]
pub(crate) struct ComparisonRow {
    tenant: String,
    rule: String,
    /// `denied`, `allowed`, `redacted`, `exposed`, `rerouted`.
    flip: &'static str,
    predicted_calls: u64,
    /// Of the tenant's calls, 0 to 1.
    predicted_share: f64,
    happened_calls: u64,
    happened_share: f64,
}

/// Calls and shares by tenant, rule and flip.
type Counts = BTreeMap<(String, String, Flip), (u64, f64)>;

/// Compare what was predicted of a change with what happened.
#[utoipa::path(
    get, path = "/api/v1/policy/changes/{id}/comparison", tag = "policy", operation_id = "compareChange",
    params(("id" = String, Path, description = "The change")),
    responses(
        (status = 200, description = "The comparison", body = Comparison),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "wrong-state: it is not in force yet", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn read(
    control: web::Data<Control>,
    _: SignedIn<PolicyReader>,
    id: web::Path<String>,
) -> Result<HttpResponse, Refused> {
    let change = policy_change_of(&control, &id).await?;
    if change.state != ChangeState::Activated {
        return Err(Code::WrongState.into());
    }
    let since = change.updated_at;
    let (predicted, happened) = control
        .read(move |c| {
            let named = change.simulation.as_deref();
            let predicted = named.map(|id| simulation::get(c, id)).transpose()?.flatten();
            Ok((predicted, simulation::newest_of(c, &change.base)?))
        })
        .await?;
    let predicted = predicted.ok_or(Code::NotFound)?;
    let happened = happened.filter(|it| it.state == SimulationState::Done && it.from >= since);
    let report = |text: Option<&str>| -> Result<Impact, Refused> {
        serde_json::from_str(text.unwrap_or_default()).map_err(|why| Refused::internal(&why))
    };
    let before = counts(&report(predicted.report.as_deref())?, |flip| flip);
    let after = match &happened {
        // The policy before decides the traffic of after: what it would take back has happened.
        Some(made) => counts(&report(made.report.as_deref())?, backwards),
        None => Counts::new(),
    };
    let keys: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let rows = keys.into_iter().map(|key| {
        let (predicted_calls, predicted_share) = before.get(key).copied().unwrap_or_default();
        let (happened_calls, happened_share) = after.get(key).copied().unwrap_or_default();
        ComparisonRow {
            tenant: key.0.clone(),
            rule: key.1.clone(),
            flip: key.2.as_str(),
            predicted_calls,
            predicted_share,
            happened_calls,
            happened_share,
        }
    });
    Ok(HttpResponse::Ok().json(Comparison {
        predicted: predicted.id,
        happened: happened.map(|made| made.id),
        rows: rows.collect(),
    }))
}

const fn backwards(flip: Flip) -> Flip {
    match flip {
        Flip::Denied => Flip::Allowed,
        Flip::Allowed => Flip::Denied,
        Flip::Redacted => Flip::Exposed,
        Flip::Exposed => Flip::Redacted,
        Flip::Rerouted => Flip::Rerouted,
    }
}

fn counts(impact: &Impact, turned: fn(Flip) -> Flip) -> Counts {
    let mut counts = Counts::new();
    for (tenant, rules) in &impact.by_tenant_and_rule {
        let calls = impact.by_tenant.get(tenant).map_or(0, |of_tenant| of_tenant.calls);
        for (rule, flips) in rules {
            for (flip, count) in flips {
                let key = (tenant.to_string(), rule.clone(), turned(*flip));
                counts.insert(key, (*count, share(*count, calls)));
            }
        }
    }
    counts
}

#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a share, to be shown")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
