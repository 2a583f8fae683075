use actix_web::{HttpResponse, web};
use reeve_domain::{Alias, Code, Mirror, Model, ModelName, Route, VersionState};
use reeve_store::{
    StoreError,
    catalog::{self, Assigned},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{changes::facts, deed, detail::RouteView, digest, known, named, reason, share};
use crate::{
    lifecycle::not,
    problem::{Problem, Refused},
    promotion,
    routes::changes::or_recorded,
    sent::Sent,
    signed_in::{ModelApprover, Operator, SignedIn},
    state::{Control, Deed},
};

/// The version that an alias shall lead to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAlias {
    digest: String,
}

/// The version that shall be asked besides.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewMirror {
    digest: String,
    /// About which share of the calls, in thousandths.
    permille: u16,
}

/// Why something is done.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Because {
    pub(super) reason: String,
}

/// The alias of production.
pub(super) fn production() -> Result<Alias, StoreError> {
    Alias::new(Alias::PRODUCTION).map_err(|_| StoreError::NotFound("alias"))
}

/// Let an alias other than `production` lead to a version. Only those may name it who may see a model
/// before its release.
#[utoipa::path(
    put, path = "/api/v1/models/{name}/aliases/{alias}", tag = "models", operation_id = "setModelAlias",
    params(
        ("name" = String, Path, description = "The model"),
        ("alias" = String, Path, description = "The alias"),
    ),
    request_body = NewAlias,
    responses(
        (status = 200, description = "What the alias leads to", body = RouteView),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch, four-eyes-required: production", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "wrong-state: it was withdrawn", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn set_alias(
    control: web::Data<Control>,
    signed_in: SignedIn<Operator>,
    path: web::Path<(String, String)>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let asked: NewAlias = sent.json()?;
    let (name, alias) = path.into_inner();
    let name = named(&name)?;
    let alias = Alias::new(&alias).map_err(|why| Refused::field("alias", why))?;
    let digest = digest("digest", &asked.digest)?;
    let of = name.clone();
    let found = control.read(move |c| facts(c, &of, &digest)).await?;
    let standing = found.standing();
    let details = [("alias", alias.to_string()), ("digest", digest.to_string())];
    let deed = deed(&signed_in, "model.alias", &name, found.model.owner.as_ref(), details);
    let may = if alias.is_production() {
        let because = "what answers in production is promoted, and a second person approves it";
        Err(not(Code::FourEyesRequired, because))
    } else if standing.version.state == VersionState::Withdrawn {
        Err(not(Code::WrongState, "it was withdrawn"))
    } else {
        Ok(())
    };
    or_recorded(&control, &deed, may).await?;
    let route = Route { digest, canary: None, mirror: None };
    let view = RouteView::of(&alias, &route);
    set_route(&control, &deed, (name, alias), route, "assign").await?;
    Ok(HttpResponse::Ok().json(view))
}

/// Take an alias other than `production` away.
#[utoipa::path(
    delete, path = "/api/v1/models/{name}/aliases/{alias}", tag = "models", operation_id = "deleteModelAlias",
    params(
        ("name" = String, Path, description = "The model"),
        ("alias" = String, Path, description = "The alias"),
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch, four-eyes-required: production", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn delete_alias(
    control: web::Data<Control>,
    signed_in: SignedIn<Operator>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Refused> {
    let (name, alias) = path.into_inner();
    let (name, alias) = (named(&name)?, Alias::new(&alias).map_err(|_| Code::NotFound)?);
    let deed = deed(&signed_in, "model.alias-delete", &name, None, [("alias", alias.to_string())]);
    let may = if alias.is_production() {
        Err(not(Code::FourEyesRequired, "withdraw its version instead"))
    } else {
        Ok(())
    };
    or_recorded(&control, &deed, may).await?;
    control.change(&deed, move |c| catalog::remove_route(c, &name, &alias)).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// End the canary of production: what was there before answers all calls again.
#[utoipa::path(
    delete, path = "/api/v1/models/{name}/canary", tag = "models", operation_id = "endCanary",
    params(("name" = String, Path, description = "The model")),
    responses(
        (status = 204, description = "It has ended"),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found: there is none", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn end_canary(
    control: web::Data<Control>,
    signed_in: SignedIn<ModelApprover>,
    name: web::Path<String>,
) -> Result<HttpResponse, Refused> {
    let name = named(&name)?;
    let (model, route) = in_production(&control, &name).await?;
    let canary = route.canary.as_ref().ok_or(Code::NotFound)?;
    let details = [("digest", canary.digest.to_string())];
    let deed = deed(&signed_in, "model.canary-end", &name, model.owner.as_ref(), details);
    let route = Route { canary: None, ..route };
    set_route(&control, &deed, (name, production()?), route, "assign").await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Have a second version asked besides production, without effect. What differs is recorded.
#[utoipa::path(
    put, path = "/api/v1/models/{name}/shadow", tag = "models", operation_id = "setModelShadow",
    params(("name" = String, Path, description = "The model")),
    request_body = NewMirror,
    responses(
        (status = 200, description = "Production as it is now", body = RouteView),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "wrong-state, model-not-placed", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn set_shadow(
    control: web::Data<Control>,
    signed_in: SignedIn<Operator>,
    name: web::Path<String>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let asked: NewMirror = sent.json()?;
    let name = named(&name)?;
    let (digest, permille) = (digest("digest", &asked.digest)?, share(asked.permille, 1)?);
    let of = name.clone();
    let found = control.read(move |c| facts(c, &of, &digest)).await?;
    let standing = found.standing();
    let route = found.model.routes.get(Alias::PRODUCTION).cloned().ok_or(Code::NotFound)?;
    let details = [("digest", digest.to_string()), ("permille", permille.to_string())];
    let deed = deed(&signed_in, "model.shadow", &name, found.model.owner.as_ref(), details);
    let may = if standing.version.state == VersionState::Withdrawn {
        Err(not(Code::WrongState, "it was withdrawn"))
    } else if route.digest == digest {
        Err(not(Code::WrongState, "it is in production itself"))
    } else if !standing.is_served {
        Err(not(Code::ModelNotPlaced, "no pod serves it: place it in a region first"))
    } else {
        Ok(())
    };
    or_recorded(&control, &deed, may).await?;
    let route = Route { mirror: Some(Mirror { digest, permille }), ..route };
    let alias = production()?;
    let view = RouteView::of(&alias, &route);
    set_route(&control, &deed, (name, alias), route, "assign").await?;
    Ok(HttpResponse::Ok().json(view))
}

/// Have no second version asked any more.
#[utoipa::path(
    delete, path = "/api/v1/models/{name}/shadow", tag = "models", operation_id = "endModelShadow",
    params(("name" = String, Path, description = "The model")),
    responses(
        (status = 204, description = "It has ended"),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found: there is none", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn end_shadow(
    control: web::Data<Control>,
    signed_in: SignedIn<Operator>,
    name: web::Path<String>,
) -> Result<HttpResponse, Refused> {
    let name = named(&name)?;
    let (model, route) = in_production(&control, &name).await?;
    let mirror = route.mirror.as_ref().ok_or(Code::NotFound)?;
    let details = [("digest", mirror.digest.to_string())];
    let deed = deed(&signed_in, "model.shadow-end", &name, model.owner.as_ref(), details);
    let route = Route { mirror: None, ..route };
    set_route(&control, &deed, (name, production()?), route, "assign").await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Let answer in production again what did before, at once. It was approved then.
#[utoipa::path(
    post, path = "/api/v1/models/{name}/rollback", tag = "models", operation_id = "rollBackModel",
    params(("name" = String, Path, description = "The model")),
    request_body = Because,
    responses(
        (status = 200, description = "Production as it is now", body = RouteView),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "wrong-state: nothing answered before; model-not-placed", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn roll_back(
    control: web::Data<Control>,
    signed_in: SignedIn<ModelApprover>,
    name: web::Path<String>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let asked: Because = sent.json()?;
    let (name, reason) = (named(&name)?, reason(&asked.reason)?);
    let (alias, of) = (production()?, name.clone());
    let (model, rows, history) = control
        .read({
            let alias = alias.clone();
            move |c| {
                let (model, rows) = known(c, &of)?;
                Ok((model, rows, catalog::history(c, &of, &alias)?))
            }
        })
        .await?;
    let now = model.routes.get(&alias).ok_or(Code::NotFound)?;
    let before = promotion::before(now.digest, &history, rows.iter().map(|row| &row.version));
    let details = [
        ("reason", reason),
        ("from", now.digest.to_string()),
        ("digest", before.map_or_else(String::new, |digest| digest.to_string())),
    ];
    let deed = deed(&signed_in, "model.roll-back", &name, model.owner.as_ref(), details);
    let before = before.ok_or_else(|| not(Code::WrongState, "nothing else answered before"));
    let before = or_recorded(&control, &deed, before).await?;
    let of = name.clone();
    let there = control.read(move |c| facts(c, &of, &before)).await?;
    let served = if there.standing().is_served {
        Ok(())
    } else {
        Err(not(Code::ModelNotPlaced, "no pod serves what answered before: place it first"))
    };
    or_recorded(&control, &deed, served).await?;
    let route = Route { digest: before, canary: None, mirror: None };
    let view = RouteView::of(&alias, &route);
    set_route(&control, &deed, (name, alias), route, "roll-back").await?;
    Ok(HttpResponse::Ok().json(view))
}

async fn in_production(control: &Control, name: &ModelName) -> Result<(Model, Route), Refused> {
    let name = name.clone();
    let (model, _) = control.read(move |c| known(c, &name)).await?;
    let route = model.routes.get(Alias::PRODUCTION).cloned().ok_or(Code::NotFound)?;
    Ok((model, route))
}

async fn set_route(
    control: &Control,
    deed: &Deed,
    (name, alias): (ModelName, Alias),
    route: Route,
    kind: &'static str,
) -> Result<(), Refused> {
    let (at, by) = (control.clock.now(), super::by(deed));
    control
        .change(deed, move |c| {
            let how = Assigned { at, by: &by, kind, change: None };
            catalog::set_route(c, &name, &alias, &route, &how)
        })
        .await
}
