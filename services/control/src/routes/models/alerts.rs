use actix_web::{HttpResponse, web};
use reeve_store::alert::{self, Alert};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    problem::{Problem, Refused},
    signed_in::{ModelReader, SignedIn},
    state::Control,
};

/// Alerts that a listing shows.
const LISTED: usize = 200;

/// That a measure of a version passed its threshold.
#[derive(Serialize, ToSchema)]
#[schema(as = ModelAlert)]
pub(crate) struct AlertView {
    id: String,
    model: String,
    digest: String,
    /// `label-drift`, `length-drift`, `confidence-drift`, `unknown-tokens` or `disagreement`.
    measure: String,
    /// The newest value, in thousandths.
    value_permille: i64,
    /// What it passed, in thousandths.
    threshold_permille: i64,
    raised_at: String,
    /// Null as long as it is open.
    cleared_at: Option<String>,
}

/// Alerts, the newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct AlertList {
    items: Vec<AlertView>,
}

/// List alerts about models.
#[utoipa::path(
    get, path = "/api/v1/alerts", tag = "models", operation_id = "listAlerts",
    responses(
        (status = 200, description = "Alerts", body = AlertList),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn list(
    control: web::Data<Control>,
    _: SignedIn<ModelReader>,
) -> Result<HttpResponse, Refused> {
    let view = |alert: Alert| AlertView {
        id: alert.id,
        model: alert.model.to_string(),
        digest: alert.digest.to_string(),
        measure: alert.measure,
        value_permille: alert.value_permille,
        threshold_permille: alert.threshold_permille,
        raised_at: alert.raised_at.to_string(),
        cleared_at: alert.cleared_at.map(|at| at.to_string()),
    };
    let alerts = control.read(|c| alert::list(c, LISTED)).await?;
    Ok(HttpResponse::Ok().json(AlertList { items: alerts.into_iter().map(view).collect() }))
}
