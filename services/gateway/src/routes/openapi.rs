use actix_web::HttpResponse;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use super::{classify, decision, models, receipt, usage};

#[derive(OpenApi)]
#[openapi(
    info(title = "Reeve gateway", description = "Classify texts under policy, with a record of every call."),
    paths(
        classify::classify,
        models::models,
        usage::usage,
        decision::decision,
        receipt::receipt,
    ),
    modifiers(&Bearer)
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// The gateway's OpenAPI document, made from the code.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

pub(crate) async fn document() -> HttpResponse {
    HttpResponse::Ok().json(openapi())
}
