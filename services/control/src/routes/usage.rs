use actix_web::{HttpResponse, web};
use reeve_domain::{TenantId, Timestamp};
use reeve_store::usage::{self, UsageRow};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    page::{self, Amount},
    problem::{Problem, Refused},
    sent::Sent,
    signed_in::{OperationsReader, SignedIn},
    state::Control,
};

/// Whose usage, and which days.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct UsageQuery {
    /// One tenant's; everyone's if absent.
    #[param(nullable)]
    tenant: Option<String>,
    /// The first day in UTC, `2026-11-01`; the first of this month if absent.
    #[param(nullable)]
    from: Option<String>,
    /// The last day in UTC; today if absent.
    #[param(nullable)]
    until: Option<String>,
}

/// Usage by day, tenant, model and region.
#[derive(Serialize, ToSchema)]
pub(crate) struct UsageReport {
    rows: Vec<UsageDay>,
}

/// One day's usage by one tenant of one model in one region.
#[derive(Serialize, ToSchema)]
pub(crate) struct UsageDay {
    day: String,
    tenant: String,
    /// Null for calls that were refused before it was known.
    #[schema(required = true)]
    model: Option<String>,
    /// Null for refused calls.
    #[schema(required = true)]
    region: Option<String>,
    calls: u64,
    refusals: u64,
    items: u64,
    characters: u64,
    tokens: u64,
    cost: Amount,
}

impl From<UsageRow> for UsageDay {
    fn from(row: UsageRow) -> Self {
        Self {
            day: row.day,
            tenant: row.tenant.to_string(),
            model: row.model,
            region: row.region.map(|region| region.to_string()),
            calls: row.calls,
            refusals: row.refusals,
            items: row.items,
            characters: row.characters,
            tokens: row.tokens,
            cost: row.cost.into(),
        }
    }
}

/// Usage by day.
#[utoipa::path(
    get, path = "/api/v1/usage", tag = "usage", operation_id = "getUsage", params(UsageQuery),
    responses(
        (status = 200, description = "Usage", body = UsageReport),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub(crate) async fn read(
    control: web::Data<Control>,
    _: SignedIn<OperationsReader>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let query: UsageQuery = sent.query()?;
    let tenant: Option<TenantId> = page::parse("tenant", query.tenant.as_deref())?;
    let now = control.clock.now();
    let from = day("from", query.from.as_deref(), now.month_start())?;
    let until = day("until", query.until.as_deref(), now)?;
    let rows = control.read(move |c| usage::by_day(c, tenant.as_ref(), &from, &until)).await?;
    let rows = rows.into_iter().map(UsageDay::from).collect();
    Ok(HttpResponse::Ok().json(UsageReport { rows }))
}

fn day(field: &str, text: Option<&str>, default: Timestamp) -> Result<String, Refused> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(default.day()) };
    Timestamp::parse(&format!("{text}T00:00:00Z"))
        .map(|at| at.day())
        .map_err(|_| Refused::field(field, format!("`{text}` is not a day such as 2026-11-24")))
}
