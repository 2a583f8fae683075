use actix_web::{HttpRequest, HttpResponse, web};
use reeve_domain::Code;

use crate::{
    fronts::{Front, huggingface::HuggingFace, native::Native, oip::OpenInference},
    gate::Gate,
    pipeline::{Call, authenticate, refuse},
};

/// No such address. Recorded like every refusal; the path itself is not, since it could hold
/// anything.
pub(crate) async fn route(
    gate: web::Data<Gate>,
    request: HttpRequest,
    body: web::Payload,
) -> HttpResponse {
    refused(&gate, &request, body, Code::RouteNotFound).await
}

/// The address exists for another method.
pub(crate) async fn method(
    gate: web::Data<Gate>,
    request: HttpRequest,
    body: web::Payload,
) -> HttpResponse {
    let mut response = refused(&gate, &request, body, Code::MethodNotAllowed).await;
    if response.status().as_u16() == Code::MethodNotAllowed.status() {
        response.headers_mut().insert(
            actix_web::http::header::ALLOW,
            actix_web::http::header::HeaderValue::from_static("POST"),
        );
    }
    response
}

/// Whose words are spoken below a path.
fn front(path: &str) -> &'static dyn Front {
    match path.split('/').nth(1) {
        Some("v2") => &OpenInference,
        Some("models") => &HuggingFace,
        _ => &Native,
    }
}

async fn refused(
    gate: &Gate,
    request: &HttpRequest,
    body: web::Payload,
    code: Code,
) -> HttpResponse {
    let call = Call::new(gate, request, body.into_inner(), "unknown", front(request.path()));
    match authenticate(gate, call) {
        Ok(caller) => refuse(gate, *caller.refused(code)).await,
        Err(refused) => refuse(gate, *refused).await,
    }
}
