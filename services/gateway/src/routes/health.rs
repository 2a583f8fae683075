use actix_web::{HttpResponse, web};

use crate::gate::Gate;

/// The process runs.
pub(crate) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({ "live": true }))
}

/// There is a snapshot to serve from, its pods have been asked for their health, and there is a log
/// to write to.
pub(crate) async fn ready(gate: web::Data<Gate>) -> HttpResponse {
    let snapshot = gate.snapshot.load_full();
    let ledger = gate.ledger.is_available();
    let ready = gate.is_ready();
    let mut response = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(serde_json::json!({
        "ready": ready,
        "revision": snapshot.map(|snapshot| snapshot.revision),
        "ledger": ledger,
    }))
}

/// Metrics in Prometheus' text format.
pub(crate) async fn metrics() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(reeve_telemetry::metrics::encode_prometheus())
}
