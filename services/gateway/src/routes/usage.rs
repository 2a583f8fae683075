use actix_web::{HttpRequest, HttpResponse, web};
use reeve_domain::{Code, Money};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    fronts::native::Native,
    gate::Gate,
    pipeline::{Call, authenticate, refuse},
    problem::Problem,
};

/// Which days.
#[derive(Deserialize, IntoParams)]
pub(crate) struct UsageQuery {
    /// The first day, `2026-11-01`; the first of this month if absent.
    from: Option<String>,
    /// The last day; today if absent.
    until: Option<String>,
}

/// Usage by day, model and region.
#[derive(Serialize, ToSchema)]
pub(crate) struct UsageReport {
    rows: Vec<UsageDay>,
}

/// One day's usage of one model in one region.
#[derive(Serialize, ToSchema)]
pub(crate) struct UsageDay {
    day: String,
    /// None for calls that were refused before a model was named.
    model: Option<String>,
    /// None for calls that no region processed.
    region: Option<String>,
    calls: u64,
    refusals: u64,
    items: u64,
    characters: u64,
    tokens: u64,
    #[schema(value_type = Object)]
    cost: Money,
}

/// Your own usage, as indexed from the ledger.
#[utoipa::path(
    get, path = "/v1/usage", tag = "usage", operation_id = "getUsage", params(UsageQuery),
    responses(
        (status = 200, description = "Usage by day", body = UsageReport),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "missing-scope", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "store-unavailable", body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn usage(
    gate: web::Data<Gate>,
    request: HttpRequest,
    query: web::Query<UsageQuery>,
    body: web::Payload,
) -> HttpResponse {
    let call = Call::new(&gate, &request, body.into_inner(), "/v1/usage", &Native);
    let caller = match authenticate(&gate, call).and_then(|caller| caller.needs("read")) {
        Ok(caller) => caller,
        Err(refused) => return refuse(&gate, *refused).await,
    };
    let now = gate.clock.now();
    let from = query.from.clone().unwrap_or_else(|| now.month_start().day());
    let until = query.until.clone().unwrap_or_else(|| now.day());
    let (store, tenant) = (gate.store.clone(), caller.tenant().facts.id.clone());
    let read = web::block(move || {
        store.read(|c| reeve_store::usage::by_day(c, Some(&tenant), &from, &until))
    })
    .await;
    let Ok(Ok(rows)) = read else {
        return refuse(&gate, *caller.refused(Code::StoreUnavailable)).await;
    };
    let rows = rows
        .into_iter()
        .map(|row| UsageDay {
            day: row.day,
            model: row.model,
            region: row.region.map(|region| region.to_string()),
            calls: row.calls,
            refusals: row.refusals,
            items: row.items,
            characters: row.characters,
            tokens: row.tokens,
            cost: row.cost,
        })
        .collect();
    HttpResponse::Ok().json(UsageReport { rows })
}
