use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use reeve_domain::{ModelName, Region, Stop, StopTarget};
use reeve_store::stop;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    problem::{Problem, Refused},
    sent::Sent,
    signed_in::{OverviewReader, SignedIn, Stopper},
    state::{Control, Deed},
};

/// What can be stopped.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StopKind {
    /// All versions of a model.
    Model,
    /// Every pod of a region.
    Region,
}

/// Something that is stopped.
#[derive(Serialize, ToSchema)]
#[schema(as = Stop)]
pub(crate) struct StopView {
    kind: StopKind,
    name: String,
    reason: String,
    by: String,
    at: String,
}

/// Everything that is stopped.
#[derive(Serialize, ToSchema)]
pub(crate) struct StopList {
    items: Vec<StopView>,
}

/// Something to be stopped.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewStop {
    kind: StopKind,
    name: String,
    /// Why.
    reason: String,
}

/// List what is stopped.
#[utoipa::path(
    get, path = "/api/v1/stops", tag = "operations", operation_id = "listStops",
    responses(
        (status = 200, description = "What is stopped", body = StopList),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn list(
    control: web::Data<Control>,
    _: SignedIn<OverviewReader>,
) -> Result<HttpResponse, Refused> {
    let items = control.read(stop::list).await?.into_iter().map(view).collect();
    Ok(HttpResponse::Ok().json(StopList { items }))
}

/// Stop a model or a region for everybody, at once.
#[utoipa::path(
    post, path = "/api/v1/stops", tag = "operations", operation_id = "createStop",
    request_body = NewStop,
    responses(
        (status = 201, description = "Stopped", body = StopView),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn create(
    control: web::Data<Control>,
    signed_in: SignedIn<Stopper>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let asked: NewStop = sent.json()?;
    let reason = asked.reason.trim().to_owned();
    if reason.is_empty() || reason.chars().count() > 500 {
        return Err(Refused::field("reason", "must have 1 to 500 characters"));
    }
    let new = Stop {
        target: target(asked.kind, &asked.name)?,
        reason,
        by: signed_in.user.id.clone(),
        at: control.clock.now(),
    };
    let details = BTreeMap::from([("reason".to_owned(), new.reason.clone())]);
    let deed = deed(&signed_in, "stop.create", &new.target, details);
    let row = new.clone();
    control.change(&deed, move |c| stop::insert(c, &row)).await?;
    Ok(HttpResponse::Created().json(view(new)))
}

/// Let a model or a region go on.
#[utoipa::path(
    delete, path = "/api/v1/stops/{kind}/{name}", tag = "operations", operation_id = "deleteStop",
    params(
        ("kind" = StopKind, Path, description = "What kind of thing it is"),
        ("name" = String, Path, description = "The model or the region"),
    ),
    responses(
        (status = 204, description = "It goes on"),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found: it is not stopped", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn delete(
    control: web::Data<Control>,
    signed_in: SignedIn<Stopper>,
    path: web::Path<(StopKind, String)>,
) -> Result<HttpResponse, Refused> {
    let (kind, name) = path.into_inner();
    let target = target(kind, &name)?;
    let deed = deed(&signed_in, "stop.delete", &target, BTreeMap::new());
    control.change(&deed, move |c| stop::delete(c, &target)).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn target(kind: StopKind, name: &str) -> Result<StopTarget, Refused> {
    match kind {
        StopKind::Model => ModelName::new(name).map(StopTarget::Model),
        StopKind::Region => Region::new(name).map(StopTarget::Region),
    }
    .map_err(|why| Refused::field("name", why))
}

fn words(target: &StopTarget) -> (StopKind, &str) {
    match target {
        StopTarget::Model(name) => (StopKind::Model, name.as_str()),
        StopTarget::Region(name) => (StopKind::Region, name.as_str()),
    }
}

fn deed<R>(
    signed_in: &SignedIn<R>,
    action: &'static str,
    target: &StopTarget,
    details: BTreeMap<String, String>,
) -> Deed {
    let target = match words(target) {
        (StopKind::Model, name) => format!("model/{name}"),
        (StopKind::Region, name) => format!("region/{name}"),
    };
    Deed { actor: signed_in.actor(), action, target, tenant: None, details }
}

fn view(stop: Stop) -> StopView {
    let (kind, name) = words(&stop.target);
    StopView {
        kind,
        name: name.to_owned(),
        reason: stop.reason,
        by: stop.by.to_string(),
        at: stop.at.to_string(),
    }
}
