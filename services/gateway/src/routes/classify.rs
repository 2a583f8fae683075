use actix_web::{HttpRequest, HttpResponse, web};

use crate::{
    gate::Gate,
    pipeline::{self, Call, Classified, ClassifyRequest},
    problem::Problem,
};

/// Classify texts.
#[utoipa::path(
    post, path = "/v1/classify", tag = "classify", operation_id = "classify",
    request_body = ClassifyRequest,
    params(
        ("Reeve-Purpose" = Option<String>, Header, description = "Why the text is processed"),
        ("Reeve-Subject" = Option<String>, Header, description = "An opaque id of the person the text is about; only its keyed hash is kept"),
        ("Reeve-Subject-Country" = Option<String>, Header, description = "Where that person is"),
        ("Reeve-Consents" = Option<String>, Header, description = "Consents on file, joined by commas"),
    ),
    responses(
        (status = 200, description = "Labels, usage, governance and receipt", body = Classified),
        (status = 400, description = "malformed-json, invalid-header", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "missing-scope, tenant-suspended, denied-by-policy", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "model-not-found", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "payload-too-large", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "unsupported-media-type", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "rate-limited, concurrency-limited, quota-exhausted, budget-exhausted", body = Problem, content_type = "application/problem+json"),
        (status = 502, description = "pod-failed", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "no-pod-in-permitted-region, audit-unavailable, overloaded, detector-failed, not-ready", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "deadline-exceeded", body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn classify(
    gate: web::Data<Gate>,
    request: HttpRequest,
    body: web::Payload,
) -> HttpResponse {
    let call = Call::new(&gate, &request, body.into_inner(), "/v1/classify");
    pipeline::run(&gate, call).await
}
