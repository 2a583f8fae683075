use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use reeve_domain::{Code, Retention, RetentionCategory};
use reeve_store::retention;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    keeping::{CategoryReport, Report, delete_expired},
    problem::{Problem, Refused},
    sent::Sent,
    signed_in::{OperationsReader, Operator, SignedIn},
    state::{Control, Deed},
};

/// How long a category is kept, and what the last look at all records found of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct RetentionView {
    /// `calls`, `strangers`, `control`, `payloads`.
    category: String,
    /// Never deleted earlier.
    floor_days: u32,
    /// Deleted then, unless policy says earlier or later; null: not for its age.
    #[schema(required = true)]
    ceiling_days: Option<u32>,
    /// The least that `floor_days` can be, and why.
    least_days: u32,
    least_because: String,
    #[schema(required = true)]
    report: Option<CategoryReport>,
}

/// How long what is kept.
#[derive(Serialize, ToSchema)]
pub(crate) struct RetentionList {
    items: Vec<RetentionView>,
    /// When all records were last looked at, RFC 3339.
    #[schema(required = true)]
    reported_at: Option<String>,
}

/// How long a category shall be kept.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRetention {
    floor_days: u32,
    ceiling_days: Option<u32>,
}

/// Read how long what is kept, and what is deleted next.
#[utoipa::path(
    get, path = "/api/v1/retention", tag = "keeping", operation_id = "getRetention",
    responses(
        (status = 200, description = "All categories", body = RetentionList),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn read(
    control: web::Data<Control>,
    _: SignedIn<OperationsReader>,
) -> Result<HttpResponse, Refused> {
    Ok(HttpResponse::Ok().json(all(&control).await?))
}

async fn all(control: &Control) -> Result<RetentionList, Refused> {
    let (rules, report) =
        control.read(|c| Ok((retention::rules(c)?, retention::report(c)?))).await?;
    let reported_at = report.as_ref().map(|(at, _)| at.to_string());
    let report: Option<Report> =
        report.and_then(|(_, document)| serde_json::from_str(&document).ok());
    let view = |rule: Retention| {
        let (least_days, because) = rule.category.law();
        RetentionView {
            category: rule.category.to_string(),
            floor_days: rule.floor_days,
            ceiling_days: rule.ceiling_days,
            least_days,
            least_because: because.to_owned(),
            report: report.as_ref().and_then(|report| report.get(&rule.category).cloned()),
        }
    };
    Ok(RetentionList { items: rules.into_iter().map(view).collect(), reported_at })
}

/// Change how long a category is kept.
#[utoipa::path(
    put, path = "/api/v1/retention/{category}", tag = "keeping", operation_id = "setRetention",
    params(("category" = String, Path, description = "The category")),
    request_body = NewRetention,
    responses(
        (status = 200, description = "All categories", body = RetentionList),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found: no such category", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request: below what law asks for, or a floor above the ceiling", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn set(
    control: web::Data<Control>,
    signed_in: SignedIn<Operator>,
    category: web::Path<String>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let category: RetentionCategory = category.parse().map_err(|_| Code::NotFound)?;
    let NewRetention { floor_days, ceiling_days } = sent.json()?;
    let (least, because) = category.law();
    if floor_days < least {
        let why = format!("must be {least} or more ({because})");
        return Err(Refused::field("floor_days", why));
    }
    if ceiling_days.is_some_and(|ceiling| ceiling < floor_days) {
        return Err(Refused::field("ceiling_days", "must not be below the floor"));
    }
    let rule = Retention { category, floor_days, ceiling_days };
    let ceiling = ceiling_days.map_or_else(|| "none".to_owned(), |days| days.to_string());
    let deed = Deed {
        actor: signed_in.actor(),
        action: "retention.set",
        target: category.to_string(),
        tenant: None,
        details: BTreeMap::from([
            ("floor_days".to_owned(), floor_days.to_string()),
            ("ceiling_days".to_owned(), ceiling),
        ]),
    };
    control.change(&deed, move |c| retention::set(c, &rule)).await?;
    Ok(HttpResponse::Ok().json(all(&control).await?))
}

/// Look at all records now, delete what is due, and report. It is done every hour by itself.
#[utoipa::path(
    post, path = "/api/v1/retention/run", tag = "keeping", operation_id = "runRetention",
    responses(
        (status = 200, description = "All categories", body = RetentionList),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "audit-unavailable, store-unavailable", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn run(
    control: web::Data<Control>,
    signed_in: SignedIn<Operator>,
) -> Result<HttpResponse, Refused> {
    let deed = Deed {
        actor: signed_in.actor(),
        action: "retention.run",
        target: "all".to_owned(),
        tenant: None,
        details: BTreeMap::new(),
    };
    control.record(&deed, None).await?;
    delete_expired(&control, signed_in.actor()).await?;
    Ok(HttpResponse::Ok().json(all(&control).await?))
}
