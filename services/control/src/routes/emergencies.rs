use std::{collections::BTreeMap, time::Duration};

use actix_web::{HttpResponse, web};
use reeve_domain::{Code, Timestamp};
use reeve_store::{
    emergency::{self, Emergency, Review},
    tenant,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::tenants::existing;
use crate::{
    problem::{Problem, Refused},
    sent::Sent,
    signed_in::{OverviewReader, SignedIn, Stopper},
    state::{Control, Deed},
};

/// For how long rules may yield at most.
const MOST_MINUTES: u32 = 240;

/// An emergency in which somebody broke the glass for a tenant.
#[derive(Serialize, ToSchema)]
#[schema(as = Emergency)]
pub(crate) struct EmergencyView {
    id: String,
    tenant: String,
    reason: String,
    by: String,
    at: String,
    /// Until when rules yield that say so.
    until: String,
    /// Whether somebody else still has to review it.
    open: bool,
    reviewed_by: Option<String>,
    reviewed_at: Option<String>,
    findings: Option<String>,
}

/// All emergencies, the newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct EmergencyList {
    items: Vec<EmergencyView>,
}

/// Rules shall yield for a tenant.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewEmergency {
    /// Why; a second person will review it.
    reason: String,
    /// 1 to 240.
    minutes: u32,
}

/// What a review found.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewReview {
    findings: String,
}

/// List emergencies.
#[utoipa::path(
    get, path = "/api/v1/emergencies", tag = "operations", operation_id = "listEmergencies",
    responses(
        (status = 200, description = "Emergencies", body = EmergencyList),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn list(
    control: web::Data<Control>,
    _: SignedIn<OverviewReader>,
) -> Result<HttpResponse, Refused> {
    let items = control.read(emergency::list).await?.into_iter().map(view).collect();
    Ok(HttpResponse::Ok().json(EmergencyList { items }))
}

/// Break the glass: for a time, rules that say so yield for a tenant. Prohibited practices and the
/// ledger never yield. A review is opened.
#[utoipa::path(
    post, path = "/api/v1/tenants/{id}/emergencies", tag = "operations", operation_id = "createEmergency",
    params(("id" = String, Path, description = "The tenant")),
    request_body = NewEmergency,
    responses(
        (status = 201, description = "Rules yield", body = EmergencyView),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn create(
    control: web::Data<Control>,
    signed_in: SignedIn<Stopper>,
    id: web::Path<String>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let asked: NewEmergency = sent.json()?;
    let found = existing(&control, &id).await?;
    let at = control.clock.now();
    let reason = asked.reason.trim().to_owned();
    let mut deed = Deed {
        actor: signed_in.actor(),
        action: "emergency.create",
        target: found.facts.id.to_string(),
        tenant: Some(found.facts.id.clone()),
        details: BTreeMap::new(),
    };
    let wrong = if reason.is_empty() || reason.chars().count() > 500 {
        Some(Refused::field("reason", "must have 1 to 500 characters"))
    } else if !(1..=MOST_MINUTES).contains(&asked.minutes) {
        Some(Refused::field("minutes", format!("must be 1 to {MOST_MINUTES}")))
    } else {
        None
    };
    if let Some(refused) = wrong {
        control.record(&deed, Some(refused.code())).await?;
        return Err(refused);
    }
    let time = Duration::from_secs(u64::from(asked.minutes).saturating_mul(60));
    let until = at.as_micros().saturating_add(i64::try_from(time.as_micros()).unwrap_or(0));
    let new = Emergency {
        id: format!("emg_{}", control.entropy.uuid(at).simple()),
        tenant: found.facts.id.clone(),
        reason: reason.clone(),
        by: signed_in.user.id.clone(),
        at,
        until: Timestamp::from_micros(until),
        review: None,
    };
    deed.details = BTreeMap::from([
        ("reason".to_owned(), reason),
        ("until".to_owned(), new.until.to_string()),
        ("emergency".to_owned(), new.id.clone()),
    ]);
    let mut legal = found.facts.legal.clone();
    legal.break_glass = legal.break_glass.max(Some(new.until));
    let (row, tenant) = (new.clone(), found.facts.id);
    control
        .change(&deed, move |c| {
            emergency::insert(c, &row)?;
            tenant::set_legal(c, &tenant, &legal)
        })
        .await?;
    Ok(HttpResponse::Created().json(view(new)))
}

/// Review an emergency. Whoever broke the glass may not.
#[utoipa::path(
    post, path = "/api/v1/emergencies/{id}/review", tag = "operations", operation_id = "reviewEmergency",
    params(("id" = String, Path, description = "The emergency")),
    request_body = NewReview,
    responses(
        (status = 200, description = "Reviewed", body = EmergencyView),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch, four-eyes-required", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "conflict: reviewed already", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn review(
    control: web::Data<Control>,
    signed_in: SignedIn<Stopper>,
    id: web::Path<String>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let asked: NewReview = sent.json()?;
    let findings = asked.findings.trim().to_owned();
    if findings.is_empty() || findings.chars().count() > 2000 {
        return Err(Refused::field("findings", "must have 1 to 2000 characters"));
    }
    let wanted = id.clone();
    let found = control.read(move |c| emergency::get(c, &wanted)).await?.ok_or(Code::NotFound)?;
    let deed = Deed {
        actor: signed_in.actor(),
        action: "emergency.review",
        target: id.clone(),
        tenant: Some(found.tenant.clone()),
        details: BTreeMap::from([("findings".to_owned(), findings.clone())]),
    };
    if found.by == signed_in.user.id {
        control.record(&deed, Some(Code::FourEyesRequired)).await?;
        return Err(Refused::from(Code::FourEyesRequired).because("you broke the glass"));
    }
    let review = Review { by: signed_in.user.id.clone(), at: control.clock.now(), findings };
    let row = review.clone();
    control.change(&deed, move |c| emergency::review(c, &id, &row)).await?;
    Ok(HttpResponse::Ok().json(view(Emergency { review: Some(review), ..found })))
}

fn view(from: Emergency) -> EmergencyView {
    EmergencyView {
        id: from.id,
        tenant: from.tenant.to_string(),
        reason: from.reason,
        by: from.by.to_string(),
        at: from.at.to_string(),
        until: from.until.to_string(),
        open: from.review.is_none(),
        reviewed_by: from.review.as_ref().map(|review| review.by.to_string()),
        reviewed_at: from.review.as_ref().map(|review| review.at.to_string()),
        findings: from.review.map(|review| review.findings),
    }
}
