use actix_web::HttpResponse;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
};

use super::{
    audit, change_actions, changes, check, comparison, decision, emergencies, erasures, evidence,
    explanation, holds, keys, legal, logs, models, overview, pods, policy, preview, proofs,
    retention, session, shadow, simulations, stops, tenants, tokens, transfers, usage, versions,
};
use crate::signed_in::COOKIE;

#[derive(OpenApi)]
#[openapi(
    info(title = "Reeve control plane", description = "Everything that the console can do."),
    paths(
        session::create, session::read, session::delete,
        overview::read,
        audit::search, decision::read,
        logs::list, logs::verify, erasures::keys,
        holds::list, holds::create, holds::release,
        erasures::list, erasures::create, erasures::certificate,
        retention::read, retention::set, retention::run,
        evidence::articles, evidence::create,
        tenants::list, tenants::create, tenants::read, tenants::set_status,
        keys::list, keys::create, keys::revoke,
        policy::read, preview::create, check::create,
        versions::list, versions::packs, versions::bundle, versions::roll_back,
        changes::list, changes::create, changes::read, changes::edit, change_actions::act,
        comparison::read,
        simulations::create, simulations::read,
        proofs::create, transfers::list,
        shadow::read, shadow::set, shadow::end,
        explanation::read,
        stops::list, stops::create, stops::delete,
        emergencies::list, emergencies::create, emergencies::review,
        legal::read, legal::set,
        tokens::list, tokens::create, tokens::delete,
        usage::read, pods::list,
        models::list, models::set_papers, models::upload::create, models::detail::read,
        models::offer::set, models::changes::create, models::changes::act,
        models::routing::set_alias, models::routing::delete_alias, models::routing::end_canary,
        models::routing::set_shadow, models::routing::end_shadow, models::routing::roll_back,
        models::withdrawal::create, models::placement::set,
        models::observations::read, models::observations::set_threshold, models::alerts::list,
    ),
    modifiers(&Credentials)
)]
struct Document;

struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(COOKIE)));
        components.add_security_scheme("session", cookie);
        let token = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("token", token);
    }
}

/// The control plane's OpenAPI document, made from the code.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

pub(crate) async fn document() -> HttpResponse {
    HttpResponse::Ok().json(openapi())
}
