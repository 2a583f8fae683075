use actix_web::{HttpResponse, web};
use reeve_domain::{Code, Digest, Model, ModelName, Route, VersionState};
use reeve_store::{
    Connection, StoreError,
    catalog::{self, Assigned},
    model::{self, VersionRow},
    placement::{self, Placement},
    pod,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    by, deed, known, reason,
    routing::{Because, production},
};
use crate::{
    problem::{Problem, Refused},
    promotion,
    sent::Sent,
    signed_in::{ModelApprover, SignedIn},
    state::Control,
};

/// What was withdrawn, and what answers in its place.
#[derive(Serialize, ToSchema)]
pub(crate) struct Withdrawal {
    digest: String,
    /// What answers in production then, if it was in production: null if nothing can.
    production: Option<String>,
}

/// Withdraw a version for everybody, at once: nothing is sent to it any more, calls under way are
/// answered, and pods unload it. What answered before answers in its place.
#[utoipa::path(
    post, path = "/api/v1/models/{digest}/withdrawal", tag = "models", operation_id = "withdrawModel",
    params(("digest" = String, Path, description = "The version's digest")),
    request_body = Because,
    responses(
        (status = 200, description = "It is withdrawn", body = Withdrawal),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn create(
    control: web::Data<Control>,
    signed_in: SignedIn<ModelApprover>,
    digest: web::Path<String>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let asked: Because = sent.json()?;
    let reason = reason(&asked.reason)?;
    let digest: Digest = digest.parse().map_err(|_| Code::NotFound)?;
    let row = control.read(move |c| model::get(c, &digest)).await?.ok_or(Code::NotFound)?;
    let name = row.version.facts.name;
    let details = [("reason", reason), ("model", name.to_string())];
    let deed = deed(&signed_in, "model.withdraw", digest, None, details);
    let (at, by) = (control.clock.now(), by(&deed));
    let in_production = control
        .change(&deed, move |c| {
            let (model, rows) = known(c, &name)?;
            model::set_state(c, &digest, VersionState::Withdrawn)?;
            let how = Assigned { at, by: &by, kind: "withdraw", change: None };
            let now = leave_routes(c, &model, &rows, &digest, &how)?;
            leave_pods(c, &digest, &how)?;
            Ok(now)
        })
        .await?;
    let production = in_production.map(|digest| digest.to_string());
    Ok(HttpResponse::Ok().json(Withdrawal { digest: digest.to_string(), production }))
}

/// Takes a version out of every route. Gives what is in production then.
fn leave_routes(
    c: &mut Connection,
    model: &Model,
    rows: &[VersionRow],
    digest: &Digest,
    how: &Assigned<'_>,
) -> Result<Option<Digest>, StoreError> {
    let name: &ModelName = &model.name;
    for (alias, route) in &model.routes {
        let canary = route.canary.clone().filter(|canary| canary.digest != *digest);
        let mirror = route.mirror.clone().filter(|mirror| mirror.digest != *digest);
        let left = Route { digest: route.digest, canary, mirror };
        if route.digest != *digest {
            if left != *route {
                catalog::set_route(c, name, alias, &left, how)?;
            }
        } else if alias.is_production() {
            let history = catalog::history(c, name, alias)?;
            let others = rows.iter().map(|row| &row.version);
            let others = others.filter(|version| version.facts.digest != *digest);
            // Where nothing can take its place the route stays, so that callers are told why.
            if let Some(before) = promotion::before(*digest, &history, others) {
                let route = Route { digest: before, canary: None, mirror: None };
                catalog::set_route(c, name, alias, &route, how)?;
            }
        } else {
            catalog::remove_route(c, name, alias)?;
        }
    }
    let now = catalog::get(c, name)?;
    let now = now.and_then(|model| model.routes.get(&production().ok()?).map(|it| it.digest));
    Ok(now.filter(|now| now != digest))
}

/// Wants it in no region any more, and has every pod that serves it unload it.
fn leave_pods(c: &mut Connection, digest: &Digest, how: &Assigned<'_>) -> Result<(), StoreError> {
    let mut regions: std::collections::BTreeSet<_> = placement::list(c)?
        .into_iter()
        .filter(|placement| placement.digest == *digest)
        .map(|placement| placement.region)
        .collect();
    let pods = pod::list(c)?.into_iter().filter(|pod| pod.models.contains(digest));
    regions.extend(pods.map(|pod| pod.region));
    for region in regions {
        let unwanted = Placement {
            digest: *digest,
            region,
            wanted: false,
            changed_at: how.at,
            changed_by: how.by.to_owned(),
        };
        placement::set(c, &unwanted)?;
    }
    Ok(())
}
