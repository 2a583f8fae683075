use actix_web::HttpResponse;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{ApiKey, ApiKeyValue, SecurityScheme},
};

use super::{
    audit, decision, keys, logs, models, overview, pods, policy, preview, session, tenants, usage,
};
use crate::signed_in::COOKIE;

#[derive(OpenApi)]
#[openapi(
    info(title = "Reeve control plane", description = "Everything that the console can do."),
    paths(
        session::create, session::read, session::delete,
        overview::read,
        audit::search, decision::read,
        logs::list, logs::verify,
        tenants::list, tenants::create, tenants::read, tenants::set_status,
        keys::list, keys::create, keys::revoke,
        policy::read, preview::create, usage::read, pods::list, models::list,
    ),
    modifiers(&SessionCookie)
)]
struct Document;

struct SessionCookie;

impl Modify for SessionCookie {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(COOKIE)));
        components.add_security_scheme("session", cookie);
    }
}

/// The control plane's OpenAPI document, made from the code.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

pub(crate) async fn document() -> HttpResponse {
    HttpResponse::Ok().json(openapi())
}
