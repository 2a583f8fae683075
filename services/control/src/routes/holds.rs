use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use reeve_domain::TenantId;
use reeve_store::{
    StoreError,
    legal_hold::{self, Hold},
    tenant,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    problem::{Problem, Refused},
    sent::Sent,
    signed_in::{OperationsReader, Operator, SignedIn},
    state::{Control, Deed},
};

/// Something that must not be deleted.
#[derive(Serialize, ToSchema)]
#[schema(as = Hold)]
pub(crate) struct HoldView {
    id: String,
    tenant: String,
    /// The person under the installation's keyed hash; null: everything of the tenant's.
    #[schema(required = true)]
    subject: Option<String>,
    reason: String,
    by: String,
    at: String,
    #[schema(required = true)]
    released_by: Option<String>,
    #[schema(required = true)]
    released_at: Option<String>,
}

/// All holds.
#[derive(Serialize, ToSchema)]
pub(crate) struct HoldList {
    items: Vec<HoldView>,
}

/// Something not to be deleted any more.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewHold {
    tenant: String,
    /// The person's id, as calls give it in `Reeve-Subject`. It is kept as a keyed hash only.
    #[serde(default)]
    subject: Option<String>,
    /// Why.
    reason: String,
}

/// List legal holds, those in force first.
#[utoipa::path(
    get, path = "/api/v1/holds", tag = "keeping", operation_id = "listHolds",
    responses(
        (status = 200, description = "All holds", body = HoldList),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn list(
    control: web::Data<Control>,
    _: SignedIn<OperationsReader>,
) -> Result<HttpResponse, Refused> {
    let items = control.read(legal_hold::list).await?.into_iter().map(view).collect();
    Ok(HttpResponse::Ok().json(HoldList { items }))
}

/// Place a legal hold: nothing that it covers is erased or deleted until it is released.
#[utoipa::path(
    post, path = "/api/v1/holds", tag = "keeping", operation_id = "createHold",
    request_body = NewHold,
    responses(
        (status = 201, description = "Placed", body = HoldView),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found: no such tenant", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn create(
    control: web::Data<Control>,
    signed_in: SignedIn<Operator>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let asked: NewHold = sent.json()?;
    let tenant = known_tenant(&control, &asked.tenant).await?;
    let subject = asked.subject.as_deref().map(|id| super::erasures::subject(&control, id));
    let hold = Hold {
        id: new_id(&control, "hold"),
        tenant: tenant.clone(),
        subject: subject.transpose()?,
        reason: reason(&asked.reason)?,
        by: signed_in.user.id.clone(),
        at: control.clock.now(),
        released: None,
    };
    let mut details = BTreeMap::from([("reason".to_owned(), hold.reason.clone())]);
    details.extend(hold.subject.iter().map(|hash| ("subject".to_owned(), hash.to_string())));
    let deed = Deed {
        actor: signed_in.actor(),
        action: "hold.create",
        target: hold.id.clone(),
        tenant: Some(tenant),
        details,
    };
    let row = hold.clone();
    control.change(&deed, move |c| legal_hold::insert(c, &row)).await?;
    Ok(HttpResponse::Created().json(view(hold)))
}

/// Release a legal hold.
#[utoipa::path(
    delete, path = "/api/v1/holds/{id}", tag = "keeping", operation_id = "releaseHold",
    params(("id" = String, Path, description = "The hold")),
    responses(
        (status = 204, description = "Released"),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found: no hold in force", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn release(
    control: web::Data<Control>,
    signed_in: SignedIn<Operator>,
    id: web::Path<String>,
) -> Result<HttpResponse, Refused> {
    let id = id.into_inner();
    let of = id.clone();
    let hold = control.read(legal_hold::list).await?.into_iter().find(|hold| hold.id == of);
    let deed = Deed {
        actor: signed_in.actor(),
        action: "hold.release",
        target: id.clone(),
        tenant: hold.map(|hold| hold.tenant),
        details: BTreeMap::new(),
    };
    let (by, at) = (signed_in.user.id.clone(), control.clock.now());
    control.change(&deed, move |c| legal_hold::release(c, &id, &by, at)).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(crate) async fn known_tenant(control: &Control, id: &str) -> Result<TenantId, Refused> {
    let id = TenantId::new(id).map_err(|why| Refused::field("tenant", why))?;
    let of = id.clone();
    let known = control.read(move |c| tenant::get(c, &of)).await?;
    known.map(|_| id).ok_or_else(|| StoreError::NotFound("tenant").into())
}

pub(crate) fn new_id(control: &Control, kind: &str) -> String {
    format!("{kind}_{}", control.entropy.uuid(control.clock.now()).simple())
}

pub(crate) fn reason(text: &str) -> Result<String, Refused> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 500 {
        return Err(Refused::field("reason", "must have 1 to 500 characters"));
    }
    Ok(text.to_owned())
}

fn view(hold: Hold) -> HoldView {
    let (released_by, released_at) = hold.released.unzip();
    HoldView {
        id: hold.id,
        tenant: hold.tenant.to_string(),
        subject: hold.subject.map(|subject| subject.to_string()),
        reason: hold.reason,
        by: hold.by.to_string(),
        at: hold.at.to_string(),
        released_by: released_by.map(|by| by.to_string()),
        released_at: released_at.map(|at| at.to_string()),
    }
}
