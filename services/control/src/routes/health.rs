use actix_web::{HttpResponse, web};
use reeve_store::revision;
use reeve_telemetry::metrics;

use crate::{problem::Refused, state::Control};

/// The process runs.
pub(crate) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({ "status": "live" }))
}

/// The store answers.
pub(crate) async fn ready(control: web::Data<Control>) -> Result<HttpResponse, Refused> {
    control.read(revision::current).await?;
    Ok(HttpResponse::Ok().json(serde_json::json!({ "status": "ready" })))
}

/// What is measured, in Prometheus' text format.
pub(crate) async fn measured() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(metrics::encode_prometheus())
}
