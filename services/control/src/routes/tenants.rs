use actix_web::{HttpResponse, web};
use reeve_domain::{
    BundleDocument, Code, LegalFacts, PlanName, Purpose, Region, Tenant, TenantFacts, TenantId,
    TenantStatus,
};
use reeve_policy::Bundle;
use reeve_store::{policy, tenant};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use utoipa::{IntoParams, ToSchema};

use crate::{
    page,
    problem::{Problem, Refused},
    sent::Sent,
    signed_in::{OperationsReader, Operator, SignedIn},
    state::{Control, Deed},
};

/// Whether a tenant may call.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Standing {
    Active,
    Suspended,
}

/// A customer of the platform.
#[derive(Serialize, ToSchema)]
#[schema(as = Tenant)]
pub(crate) struct TenantView {
    id: String,
    display_name: String,
    plan: String,
    status: Standing,
    /// Regions where its data may be processed. Empty: nowhere.
    residency: Vec<String>,
    purposes: Vec<String>,
    labels: BTreeMap<String, String>,
    /// RFC 3339.
    created_at: String,
}

impl From<Tenant> for TenantView {
    fn from(tenant: Tenant) -> Self {
        Self {
            id: tenant.facts.id.to_string(),
            display_name: tenant.display_name,
            plan: tenant.plan.to_string(),
            status: match tenant.status {
                TenantStatus::Active => Standing::Active,
                TenantStatus::Suspended => Standing::Suspended,
            },
            residency: tenant.facts.residency.iter().map(ToString::to_string).collect(),
            purposes: tenant.facts.purposes.iter().map(ToString::to_string).collect(),
            labels: tenant.facts.labels,
            created_at: tenant.created_at.to_string(),
        }
    }
}

/// A page of tenants, in the order of their ids.
#[derive(Serialize, ToSchema)]
pub(crate) struct TenantPage {
    items: Vec<TenantView>,
    /// `after` of the next page.
    #[schema(required = true)]
    next: Option<String>,
}

/// Which page.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// `next` of the page before.
    #[param(nullable)]
    after: Option<String>,
    /// 1 to 200, else 50.
    #[param(nullable)]
    limit: Option<usize>,
}

/// A tenant to be created.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTenant {
    id: String,
    display_name: String,
    /// A plan of the active policy.
    plan: String,
    #[serde(default)]
    residency: Vec<String>,
    #[serde(default)]
    purposes: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// Whether a tenant may call.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewStanding {
    status: Standing,
}

/// List tenants.
#[utoipa::path(
    get, path = "/api/v1/tenants", tag = "tenants", operation_id = "listTenants", params(PageQuery),
    responses(
        (status = 200, description = "A page of tenants", body = TenantPage),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub(crate) async fn list(
    control: web::Data<Control>,
    _: SignedIn<OperationsReader>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let query: PageQuery = sent.query()?;
    let after: Option<TenantId> = page::parse("after", query.after.as_deref())?;
    let limit = page::limit(query.limit)?;
    let mut rows =
        control.read(move |c| tenant::list(c, after.as_ref(), limit.saturating_add(1))).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|last| last.facts.id.to_string());
    let items = rows.into_iter().map(TenantView::from).collect();
    Ok(HttpResponse::Ok().json(TenantPage { items, next }))
}

/// One tenant.
#[utoipa::path(
    get, path = "/api/v1/tenants/{id}", tag = "tenants", operation_id = "getTenant",
    params(("id" = String, Path, description = "The tenant")),
    responses(
        (status = 200, description = "The tenant", body = TenantView),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub(crate) async fn read(
    control: web::Data<Control>,
    _: SignedIn<OperationsReader>,
    id: web::Path<String>,
) -> Result<HttpResponse, Refused> {
    let found = existing(&control, &id).await?;
    Ok(HttpResponse::Ok().json(TenantView::from(found)))
}

/// The tenant of a path; a name that no tenant can have is one that does not exist.
pub(crate) async fn existing(control: &Control, id: &str) -> Result<Tenant, Refused> {
    let id = TenantId::new(id).map_err(|_| Code::NotFound)?;
    let found = control.read(move |c| tenant::get(c, &id)).await?;
    Ok(found.ok_or(Code::NotFound)?)
}

/// Create a tenant.
#[utoipa::path(
    post, path = "/api/v1/tenants", tag = "tenants", operation_id = "createTenant",
    request_body = NewTenant,
    responses(
        (status = 201, description = "Created", body = TenantView),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "conflict: the id is taken", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "audit-unavailable, store-unavailable", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub(crate) async fn create(
    control: web::Data<Control>,
    signed_in: SignedIn<Operator>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let new = checked(&control, sent.json()?).await?;
    let deed = Deed {
        actor: signed_in.actor(),
        action: "tenant.create",
        target: new.facts.id.to_string(),
        tenant: Some(new.facts.id.clone()),
        details: BTreeMap::from([("plan".to_owned(), new.plan.to_string())]),
    };
    let id = new.facts.id.clone();
    if control.read(move |c| tenant::get(c, &id)).await?.is_some() {
        control.record(&deed, Some(Code::Conflict)).await?;
        return Err(Code::Conflict.into());
    }
    let row = new.clone();
    control.change(&deed, move |c| tenant::insert(c, &row)).await?;
    Ok(HttpResponse::Created().json(TenantView::from(new)))
}

async fn checked(control: &Control, new: NewTenant) -> Result<Tenant, Refused> {
    let id = TenantId::new(&new.id).map_err(|why| Refused::field("id", why))?;
    let display_name = new.display_name.trim().to_owned();
    if display_name.is_empty() || display_name.chars().count() > 200 {
        return Err(Refused::field("display_name", "must have 1 to 200 characters"));
    }
    let plan = PlanName::new(&new.plan).map_err(|why| Refused::field("plan", why))?;
    let active = control.read(policy::active).await?;
    let bundle = active
        .map(|active| BundleDocument { digest: active.digest, document: active.document })
        .map(|document| Bundle::parse(&document).map_err(|why| Refused::internal(&why)))
        .transpose()?;
    if !bundle.as_ref().is_some_and(|bundle| bundle.plans.contains_key(&plan)) {
        return Err(Refused::field("plan", format!("`{plan}` is not a plan of the active policy")));
    }
    let residency = new
        .residency
        .iter()
        .map(Region::new)
        .collect::<Result<BTreeSet<_>, _>>()
        .map_err(|why| Refused::field("residency", why))?;
    let known =
        |region: &&Region| bundle.as_ref().is_some_and(|it| it.regions.contains_key(*region));
    if let Some(region) = residency.iter().find(|region| !known(region)) {
        let message = format!("`{region}` is not a region of the active policy");
        return Err(Refused::field("residency", message));
    }
    let purposes = new
        .purposes
        .iter()
        .map(Purpose::new)
        .collect::<Result<BTreeSet<_>, _>>()
        .map_err(|why| Refused::field("purposes", why))?;
    Ok(Tenant {
        facts: TenantFacts {
            id,
            residency,
            purposes,
            labels: new.labels,
            legal: LegalFacts::default(),
        },
        display_name,
        plan,
        status: TenantStatus::Active,
        created_at: control.clock.now(),
    })
}

/// Suspend a tenant, or let it call again.
#[utoipa::path(
    put, path = "/api/v1/tenants/{id}/status", tag = "tenants", operation_id = "setTenantStatus",
    params(("id" = String, Path, description = "The tenant")),
    request_body = NewStanding,
    responses(
        (status = 200, description = "The tenant as it is now", body = TenantView),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "audit-unavailable, store-unavailable", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub(crate) async fn set_status(
    control: web::Data<Control>,
    signed_in: SignedIn<Operator>,
    id: web::Path<String>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let NewStanding { status } = sent.json()?;
    let mut tenant = existing(&control, &id).await?;
    let (status, action) = match status {
        Standing::Active => (TenantStatus::Active, "tenant.activate"),
        Standing::Suspended => (TenantStatus::Suspended, "tenant.suspend"),
    };
    let id = tenant.facts.id.clone();
    let deed = Deed {
        actor: signed_in.actor(),
        action,
        target: id.to_string(),
        tenant: Some(id.clone()),
        details: BTreeMap::new(),
    };
    control.change(&deed, move |c| tenant::set_status(c, &id, status)).await?;
    tenant.status = status;
    Ok(HttpResponse::Ok().json(TenantView::from(tenant)))
}
