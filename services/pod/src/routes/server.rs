use actix_web::{HttpRequest, HttpResponse, http::header::CONTENT_TYPE, web::Data};
use reeve_protocol::{
    agreement::{INTRODUCTION_HEADER, POD_KEY_HEADER},
    oip::ServerMetadata,
};
use serde_json::json;

use crate::{pod::Pod, problem::Problem};

/// What this server can do beyond the protocol.
const EXTENSIONS: [&str; 4] =
    ["binary_tensor_data", "classification", "model_repository", "statistics"];

/// This server as clients see it.
pub(crate) fn describe() -> ServerMetadata {
    ServerMetadata {
        name: "reeve-pod".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        extensions: EXTENSIONS.map(str::to_owned).to_vec(),
    }
}

/// `GET /v2`
pub(super) async fn metadata() -> HttpResponse {
    HttpResponse::Ok().json(describe())
}

/// `GET /v2/health/live`
pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "live": true }))
}

/// `GET /v2/health/ready`: also where gateways introduce themselves, and learn whom to.
pub(super) async fn ready(pod: Data<Pod>, request: HttpRequest) -> HttpResponse {
    if let Err(problem) = pod.check_ready() {
        return problem.response();
    }
    let introduction = request.headers().get(INTRODUCTION_HEADER).and_then(|it| it.to_str().ok());
    if let Some(Err(refused)) = introduction.map(|token| pod.warrants.accept(token)) {
        // It may be meant for the process that was here before; warrants can be signed all the same.
        tracing::debug!(%refused, "an introduction is refused");
    }
    let key = (POD_KEY_HEADER, pod.warrants.public_key());
    HttpResponse::Ok().insert_header(key).json(json!({ "ready": true }))
}

/// `GET /v2/health/startup`: whether it has come up, also while it stops.
pub(super) async fn startup(pod: Data<Pod>) -> HttpResponse {
    if pod.state.has_started() {
        HttpResponse::Ok().json(json!({ "started": true }))
    } else {
        Problem::NotReady.response()
    }
}

/// `GET /metrics`
pub(super) async fn metrics(pod: Data<Pod>) -> HttpResponse {
    // What waits in a queue that nobody works at would stay as it was at the last batch.
    for model in pod.models.loaded() {
        model.metrics.waiting(&model.queue);
    }
    match pod.runtime.metrics.encode() {
        Ok(text) => {
            HttpResponse::Ok().insert_header((CONTENT_TYPE, "text/plain; version=0.0.4")).body(text)
        }
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            Problem::Failed.response()
        }
    }
}
