//! The control plane's addresses, one file each.

mod audit;
mod console;
mod decision;
mod health;
mod keys;
mod logs;
mod models;
mod openapi;
mod overview;
mod pods;
mod policy;
mod session;
mod tenants;
mod usage;

use actix_web::{Resource, web};
use reeve_domain::Code;

pub(crate) use console::StaticDir;
pub use openapi::openapi;

use crate::problem::Refused;

/// An address that answers other methods than its own with a problem.
fn at(path: &str) -> Resource {
    web::resource(path).default_service(web::to(other_method))
}

async fn other_method() -> Result<actix_web::HttpResponse, Refused> {
    Err(Code::MethodNotAllowed.into())
}

pub(crate) fn configure(app: &mut web::ServiceConfig) {
    app.service(
        at("/api/v1/session")
            .route(web::post().to(session::create))
            .route(web::get().to(session::read))
            .route(web::delete().to(session::delete)),
    )
    .service(at("/api/v1/overview").route(web::get().to(overview::read)))
    .service(at("/api/v1/audit").route(web::get().to(audit::search)))
    .service(at("/api/v1/decisions/{id}").route(web::get().to(decision::read)))
    .service(at("/api/v1/logs").route(web::get().to(logs::list)))
    .service(at("/api/v1/logs/verify").route(web::post().to(logs::verify)))
    .service(
        at("/api/v1/tenants")
            .route(web::get().to(tenants::list))
            .route(web::post().to(tenants::create)),
    )
    .service(at("/api/v1/tenants/{id}").route(web::get().to(tenants::read)))
    .service(at("/api/v1/tenants/{id}/status").route(web::put().to(tenants::set_status)))
    .service(
        at("/api/v1/tenants/{id}/keys")
            .route(web::get().to(keys::list))
            .route(web::post().to(keys::create)),
    )
    .service(at("/api/v1/keys/{id}").route(web::delete().to(keys::revoke)))
    .service(at("/api/v1/policy").route(web::get().to(policy::read)))
    .service(at("/api/v1/usage").route(web::get().to(usage::read)))
    .service(at("/api/v1/pods").route(web::get().to(pods::list)))
    .service(at("/api/v1/models").route(web::get().to(models::list)))
    .service(at("/api/openapi.json").route(web::get().to(openapi::document)))
    .service(at("/health/live").route(web::get().to(health::live)))
    .service(at("/health/ready").route(web::get().to(health::ready)))
    .default_service(web::to(console::file));
}
