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
mod preview;
mod session;
mod tenants;
mod usage;

use actix_web::{
    Resource, ResponseError as _,
    http::header::{self, HeaderValue},
    web,
};
use reeve_domain::Code;

pub(crate) use console::StaticDir;
pub use openapi::openapi;

use crate::problem::Refused;

/// An address that answers other methods than its own with a problem.
fn at(path: &str, allowed: &'static str) -> Resource {
    web::resource(path).default_service(web::to(move || async move {
        let mut response = Refused::from(Code::MethodNotAllowed).error_response();
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
        response
    }))
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
    .service(at("/api/v1/usage", "GET").route(web::get().to(usage::read)))
    .service(at("/api/v1/pods", "GET").route(web::get().to(pods::list)))
    .service(at("/api/v1/models", "GET").route(web::get().to(models::list)))
    .service(at("/api/openapi.json", "GET").route(web::get().to(openapi::document)))
    .service(at("/metrics", "GET").route(web::get().to(health::measured)))
    .service(at("/health/live", "GET").route(web::get().to(health::live)))
    .service(at("/health/ready", "GET").route(web::get().to(health::ready)))
    .default_service(web::to(console::file));
}
