//! The control plane's addresses, one file each.

mod audit;
mod change_actions;
mod changes;
mod check;
mod comparison;
mod console;
mod decision;
mod emergencies;
mod erasures;
mod evidence;
mod explanation;
mod health;
mod holds;
mod keys;
mod legal;
mod logs;
mod models;
mod openapi;
mod overview;
mod pods;
mod policy;
mod preview;
mod proofs;
mod retention;
mod session;
mod shadow;
mod simulations;
mod stops;
mod tenants;
mod tokens;
mod transfers;
mod usage;
mod versions;

use actix_web::{
    Resource, ResponseError as _,
    http::header::{self, HeaderValue},
    web,
};
use reeve_domain::Code;

pub(crate) use change_actions::activate;
pub(crate) use console::StaticDir;
pub use openapi::openapi;

use crate::problem::Refused;

/// The largest bundle that is read, in bytes.
const BUNDLE_LIMIT: usize = 1024 * 1024;

/// An address that answers other methods than its own with a problem.
fn at(path: &str, allowed: &'static str) -> Resource {
    web::resource(path).default_service(web::to(move || async move {
        let mut response = Refused::from(Code::MethodNotAllowed).error_response();
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
        response
    }))
}

fn configure_models(app: &mut web::ServiceConfig) {
    use models::{
        alerts, changes, detail, observations, offer, placement, routing, upload, withdrawal,
    };

    app.service(
        at("/api/v1/models", "GET, POST")
            .route(web::get().to(models::list))
            .route(web::post().to(upload::create)),
    )
    .service(at("/api/v1/models/{digest}/papers", "PUT").route(web::put().to(models::set_papers)))
    .service(
        at("/api/v1/models/{digest}/withdrawal", "POST").route(web::post().to(withdrawal::create)),
    )
    .service(at("/api/v1/models/{digest}/placement", "PUT").route(web::put().to(placement::set)))
    .service(at("/api/v1/models/{name}", "GET").route(web::get().to(detail::read)))
    .service(at("/api/v1/models/{name}/offer", "PUT").route(web::put().to(offer::set)))
    .service(at("/api/v1/models/{name}/changes", "POST").route(web::post().to(changes::create)))
    .service(
        at("/api/v1/models/{name}/changes/{id}/actions", "POST")
            .route(web::post().to(changes::act)),
    )
    .service(
        at("/api/v1/models/{name}/aliases/{alias}", "PUT, DELETE")
            .route(web::put().to(routing::set_alias))
            .route(web::delete().to(routing::delete_alias)),
    )
    .service(
        at("/api/v1/models/{name}/canary", "DELETE").route(web::delete().to(routing::end_canary)),
    )
    .service(
        at("/api/v1/models/{name}/shadow", "PUT, DELETE")
            .route(web::put().to(routing::set_shadow))
            .route(web::delete().to(routing::end_shadow)),
    )
    .service(at("/api/v1/models/{name}/rollback", "POST").route(web::post().to(routing::roll_back)))
    .service(
        at("/api/v1/models/{name}/observations", "GET").route(web::get().to(observations::read)),
    )
    .service(
        at("/api/v1/models/{name}/thresholds/{measure}", "PUT")
            .route(web::put().to(observations::set_threshold)),
    )
    .service(at("/api/v1/alerts", "GET").route(web::get().to(alerts::list)));
}

pub(crate) fn configure(app: &mut web::ServiceConfig) {
    app.service(
        at("/api/v1/session", "GET, POST, DELETE")
            .route(web::post().to(session::create))
            .route(web::get().to(session::read))
            .route(web::delete().to(session::delete)),
    )
    .service(at("/api/v1/overview", "GET").route(web::get().to(overview::read)))
    .service(at("/api/v1/audit", "GET").route(web::get().to(audit::search)))
    .service(at("/api/v1/decisions/{id}", "GET").route(web::get().to(decision::read)))
    .service(at("/api/v1/logs", "GET").route(web::get().to(logs::list)))
    .service(at("/api/v1/logs/verify", "POST").route(web::post().to(logs::verify)))
    .service(
        at("/api/v1/tenants", "GET, POST")
            .route(web::get().to(tenants::list))
            .route(web::post().to(tenants::create)),
    )
    .service(at("/api/v1/tenants/{id}", "GET").route(web::get().to(tenants::read)))
    .service(at("/api/v1/tenants/{id}/status", "PUT").route(web::put().to(tenants::set_status)))
    .service(
        at("/api/v1/tenants/{id}/keys", "GET, POST")
            .route(web::get().to(keys::list))
            .route(web::post().to(keys::create)),
    )
    .service(at("/api/v1/keys/{id}", "DELETE").route(web::delete().to(keys::revoke)))
    .service(at("/api/v1/policy", "GET").route(web::get().to(policy::read)))
    .service(at("/api/v1/policy/preview", "POST").route(web::post().to(preview::create)))
    .service(
        at("/api/v1/policy/check", "POST")
            .app_data(web::PayloadConfig::new(BUNDLE_LIMIT))
            .route(web::post().to(check::create)),
    )
    .service(at("/api/v1/policy/versions", "GET").route(web::get().to(versions::list)))
    .service(at("/api/v1/policy/packs", "GET").route(web::get().to(versions::packs)))
    .service(at("/api/v1/policy/bundles/{digest}", "GET").route(web::get().to(versions::bundle)))
    .service(at("/api/v1/policy/rollback", "POST").route(web::post().to(versions::roll_back)))
    .service(
        at("/api/v1/policy/changes", "GET, POST")
            .app_data(web::PayloadConfig::new(BUNDLE_LIMIT))
            .route(web::get().to(changes::list))
            .route(web::post().to(changes::create)),
    )
    .service(
        at("/api/v1/policy/changes/{id}", "GET, PUT")
            .app_data(web::PayloadConfig::new(BUNDLE_LIMIT))
            .route(web::get().to(changes::read))
            .route(web::put().to(changes::edit)),
    )
    .service(
        at("/api/v1/policy/changes/{id}/actions", "POST")
            .route(web::post().to(change_actions::act)),
    )
    .service(
        at("/api/v1/policy/changes/{id}/simulations", "POST")
            .route(web::post().to(simulations::create)),
    )
    .service(at("/api/v1/policy/changes/{id}/proofs", "POST").route(web::post().to(proofs::create)))
    .service(at("/api/v1/logs/keys", "GET").route(web::get().to(erasures::keys)))
    .service(
        at("/api/v1/holds", "GET, POST")
            .route(web::get().to(holds::list))
            .route(web::post().to(holds::create)),
    )
    .service(at("/api/v1/holds/{id}", "DELETE").route(web::delete().to(holds::release)))
    .service(
        at("/api/v1/erasures", "GET, POST")
            .route(web::get().to(erasures::list))
            .route(web::post().to(erasures::create)),
    )
    .service(
        at("/api/v1/erasures/{id}/certificate", "GET").route(web::get().to(erasures::certificate)),
    )
    .service(at("/api/v1/retention", "GET").route(web::get().to(retention::read)))
    .service(at("/api/v1/retention/run", "POST").route(web::post().to(retention::run)))
    .service(at("/api/v1/retention/{category}", "PUT").route(web::put().to(retention::set)))
    .service(at("/api/v1/evidence", "POST").route(web::post().to(evidence::create)))
    .service(at("/api/v1/evidence/articles", "GET").route(web::get().to(evidence::articles)))
    .service(at("/api/v1/transfers", "GET").route(web::get().to(transfers::list)))
    .configure(configure_models)
    .service(
        at("/api/v1/policy/changes/{id}/comparison", "GET").route(web::get().to(comparison::read)),
    )
    .service(at("/api/v1/policy/simulations/{id}", "GET").route(web::get().to(simulations::read)))
    .service(
        at("/api/v1/policy/shadow", "GET, PUT, DELETE")
            .route(web::get().to(shadow::read))
            .route(web::put().to(shadow::set))
            .route(web::delete().to(shadow::end)),
    )
    .service(
        at("/api/v1/decisions/{id}/explanation", "GET").route(web::get().to(explanation::read)),
    )
    .service(
        at("/api/v1/stops", "GET, POST")
            .route(web::get().to(stops::list))
            .route(web::post().to(stops::create)),
    )
    .service(at("/api/v1/stops/{kind}/{name}", "DELETE").route(web::delete().to(stops::delete)))
    .service(at("/api/v1/emergencies", "GET").route(web::get().to(emergencies::list)))
    .service(
        at("/api/v1/emergencies/{id}/review", "POST").route(web::post().to(emergencies::review)),
    )
    .service(
        at("/api/v1/tenants/{id}/emergencies", "POST").route(web::post().to(emergencies::create)),
    )
    .service(
        at("/api/v1/tenants/{id}/legal", "GET, PUT")
            .route(web::get().to(legal::read))
            .route(web::put().to(legal::set)),
    )
    .service(
        at("/api/v1/tokens", "GET, POST")
            .route(web::get().to(tokens::list))
            .route(web::post().to(tokens::create)),
    )
    .service(at("/api/v1/tokens/{id}", "DELETE").route(web::delete().to(tokens::delete)))
    .service(at("/api/v1/usage", "GET").route(web::get().to(usage::read)))
    .service(at("/api/v1/pods", "GET").route(web::get().to(pods::list)))
    .service(at("/api/openapi.json", "GET").route(web::get().to(openapi::document)))
    .service(at("/metrics", "GET").route(web::get().to(health::measured)))
    .service(at("/health/live", "GET").route(web::get().to(health::live)))
    .service(at("/health/ready", "GET").route(web::get().to(health::ready)))
    .default_service(web::to(console::file));
}
