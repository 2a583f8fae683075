//! The gateway's addresses, one file each.

mod classify;
mod decision;
mod health;
mod models;
mod openapi;
mod receipt;
mod unknown;
mod usage;

use actix_web::web;

pub use openapi::openapi;

pub(crate) fn configure(app: &mut web::ServiceConfig) {
    app.service(
        web::resource("/v1/classify")
            .post(classify::classify)
            .default_service(web::to(unknown::method)),
    )
    .service(web::resource("/v1/models").get(models::models))
    .service(web::resource("/v1/usage").get(usage::usage))
    .service(web::resource("/v1/decisions/{id}").get(decision::decision))
    .service(web::resource("/v1/receipts/{id}").get(receipt::receipt))
    .service(web::resource("/health/live").get(health::live))
    .service(web::resource("/health/ready").get(health::ready))
    .service(web::resource("/metrics").get(health::metrics))
    .service(web::resource("/openapi.json").get(openapi::document))
    .default_service(web::to(unknown::route));
}
