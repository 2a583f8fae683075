use actix_web::{HttpResponse, web};
use reeve_domain::{ApiKey, Code, KeyId, Scope, Timestamp};
use reeve_identity::ApiKeySecret;
use reeve_store::api_key;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

use super::tenants::existing;
use crate::{
    page,
    problem::{Problem, Refused},
    sent::Sent,
    signed_in::{OperationsReader, Operator, SignedIn},
    state::{Control, Deed},
};

/// What a key may be used for.
const SCOPES: [&str; 3] = ["classify", "explain", "read"];

/// An API key, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(crate) struct KeyView {
    id: String,
    tenant: String,
    name: String,
    /// The public part that the key begins with.
    prefix: String,
    scopes: Vec<String>,
    /// The one person or system that uses it; none: it is shared.
    #[schema(required = true)]
    holder: Option<String>,
    /// RFC 3339.
    created_at: String,
    #[schema(required = true)]
    expires_at: Option<String>,
    #[schema(required = true)]
    revoked_at: Option<String>,
    /// As far as the logs are indexed.
    #[schema(required = true)]
    last_used_at: Option<String>,
}

impl KeyView {
    fn of(key: ApiKey, last_used: Option<Timestamp>) -> Self {
        Self {
            id: key.id.to_string(),
            tenant: key.tenant.to_string(),
            name: key.name,
            prefix: key.prefix,
            scopes: key.scopes.iter().map(ToString::to_string).collect(),
            holder: key.holder,
            created_at: key.created_at.to_string(),
            expires_at: key.expires_at.map(|at| at.to_string()),
            revoked_at: key.revoked_at.map(|at| at.to_string()),
            last_used_at: last_used.map(|at| at.to_string()),
        }
    }
}

/// A tenant's keys, revoked ones too.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyPage {
    items: Vec<KeyView>,
    /// Always null: all of them are on one page.
    #[schema(required = true)]
    next: Option<String>,
}

/// A key to be created.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    name: String,
    /// `classify`, `explain`, `read`.
    scopes: Vec<String>,
    /// The one person or system that uses it; a key without is shared, as rules may ask.
    #[serde(default)]
    holder: Option<String>,
    /// RFC 3339; never if absent.
    #[serde(default)]
    expires_at: Option<String>,
}

/// A key that was created.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedKey {
    key: KeyView,
    /// The key itself: shown now and never again.
    secret: String,
}

/// List a tenant's keys.
#[utoipa::path(
    get, path = "/api/v1/tenants/{id}/keys", tag = "keys", operation_id = "listKeys",
    params(("id" = String, Path, description = "The tenant")),
    responses(
        (status = 200, description = "The keys", body = KeyPage),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub(crate) async fn list(
    control: web::Data<Control>,
    _: SignedIn<OperationsReader>,
    id: web::Path<String>,
) -> Result<HttpResponse, Refused> {
    let tenant = existing(&control, &id).await?.facts.id;
    let items = control
        .read(move |c| {
            api_key::list(c, &tenant)?
                .into_iter()
                .map(|key| {
                    let used = api_key::last_used(c, &key.id)?;
                    Ok(KeyView::of(key, used))
                })
                .collect()
        })
        .await?;
    Ok(HttpResponse::Ok().json(KeyPage { items, next: None }))
}

/// Create a key. Its secret is in the answer and nowhere else.
#[utoipa::path(
    post, path = "/api/v1/tenants/{id}/keys", tag = "keys", operation_id = "createKey",
    params(("id" = String, Path, description = "The tenant")),
    request_body = NewKey,
    responses(
        (status = 201, description = "Created", body = CreatedKey),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "audit-unavailable, store-unavailable", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub(crate) async fn create(
    control: web::Data<Control>,
    signed_in: SignedIn<Operator>,
    id: web::Path<String>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let new: NewKey = sent.json()?;
    let tenant = existing(&control, &id).await?.facts.id;
    let name = new.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > 100 {
        return Err(Refused::field("name", "must have 1 to 100 characters"));
    }
    let holder = new.holder.map(|holder| holder.trim().to_owned()).filter(|it| !it.is_empty());
    if holder.as_ref().is_some_and(|holder| holder.chars().count() > 100) {
        return Err(Refused::field("holder", "must have 100 characters at most"));
    }
    let scopes = scopes(&new.scopes)?;
    let now = control.clock.now();
    let expires_at = page::moment("expires_at", new.expires_at.as_deref())?;
    if expires_at.is_some_and(|at| at <= now) {
        return Err(Refused::field("expires_at", "must lie in the future"));
    }
    let secret = ApiKeySecret::generate(control.entropy.as_ref());
    let key = ApiKey {
        id: KeyId::new(format!("key_{}", control.entropy.uuid(now).simple()))
            .map_err(|why| Refused::internal(&why))?,
        tenant: tenant.clone(),
        name,
        prefix: secret.prefix().to_owned(),
        hash: control.pepper.hash(secret.reveal()),
        scopes,
        created_at: now,
        expires_at,
        revoked_at: None,
        holder,
    };
    let deed = Deed {
        actor: signed_in.actor(),
        action: "key.create",
        target: key.id.to_string(),
        tenant: Some(tenant),
        details: BTreeMap::from([("scopes".to_owned(), new.scopes.join(" "))]),
    };
    let row = key.clone();
    control.change(&deed, move |c| api_key::insert(c, &row)).await?;
    Ok(HttpResponse::Created()
        .insert_header(("Cache-Control", "no-store"))
        .json(CreatedKey { key: KeyView::of(key, None), secret: secret.reveal().to_owned() }))
}

fn scopes(names: &[String]) -> Result<BTreeSet<Scope>, Refused> {
    if names.is_empty() {
        return Err(Refused::field("scopes", "must name at least one scope"));
    }
    names
        .iter()
        .map(|name| {
            if !SCOPES.contains(&name.as_str()) {
                let message = format!("`{name}` is not one of classify, explain, read");
                return Err(Refused::field("scopes", message));
            }
            Scope::new(name).map_err(|why| Refused::field("scopes", why))
        })
        .collect()
}

/// Revoke a key. It stops working within a second.
#[utoipa::path(
    delete, path = "/api/v1/keys/{id}", tag = "keys", operation_id = "revokeKey",
    params(("id" = String, Path, description = "The key's id")),
    responses(
        (status = 204, description = "Revoked, now or before"),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "audit-unavailable, store-unavailable", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub(crate) async fn revoke(
    control: web::Data<Control>,
    signed_in: SignedIn<Operator>,
    id: web::Path<String>,
) -> Result<HttpResponse, Refused> {
    let id = KeyId::new(id.as_str()).map_err(|_| Code::NotFound)?;
    let wanted = id.clone();
    let key = control.read(move |c| api_key::get(c, &wanted)).await?.ok_or(Code::NotFound)?;
    let deed = Deed {
        actor: signed_in.actor(),
        action: "key.revoke",
        target: id.to_string(),
        tenant: Some(key.tenant),
        details: BTreeMap::new(),
    };
    let now = control.clock.now();
    control.change(&deed, move |c| api_key::revoke(c, &id, now)).await?;
    Ok(HttpResponse::NoContent().finish())
}
