use actix_web::{HttpResponse, web};
use reeve_store::revision;

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
