use actix_web::HttpResponse;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use super::{decision, models, receipt, usage};
use crate::fronts::{huggingface, kserve, native, oip, openai, tei, vllm};

#[derive(OpenApi)]
#[openapi(
    info(title = "Reeve gateway", description = "Classify texts under policy, with a record of every call."),
    paths(
        native::classify,
        models::models,
        usage::usage,
        decision::decision,
        receipt::receipt,
        openai::moderations,
        huggingface::text_classification,
        tei::predict,
        vllm::classify,
        kserve::predict,
        oip::infer,
        oip::info::metadata,
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
