//! The gateway's addresses. Those of protocols that are not Reeve's own are in [`crate::fronts`].

mod decision;
mod health;
mod models;
mod openapi;
mod receipt;
mod unknown;
mod usage;

use actix_web::{Handler, HttpRequest, HttpResponse, Resource, web};

pub use openapi::openapi;

use crate::{
    fronts::{huggingface, kserve, native, oip, openai, tei, vllm},
    gate::Gate,
};

pub(crate) fn configure(app: &mut web::ServiceConfig) {
    app.service(ask("/v1/classify", native::classify))
        .service(ask("/v1/moderations", openai::moderations))
        .service(ask("/models/{model}", huggingface::text_classification))
        .service(ask("/predict", tei::predict))
        .service(ask("/tei/{model}/predict", tei::predict))
        .service(ask("/vllm/v1/classify", vllm::classify))
        .service(ask("/v1/models/{model}:predict", kserve::predict))
        .service(web::resource("/v1/models/{model}").get(kserve::ready))
        .service(web::resource("/").get(kserve::alive))
        .service(web::resource("/v2").get(oip::server))
        .service(web::resource("/v2/health/live").get(oip::health_live))
        .service(web::resource("/v2/health/ready").get(oip::health_ready))
        .service(web::resource("/v2/repository/index").post(oip::index));
    for model in ["/v2/models/{model}", "/v2/models/{model}/versions/{version}"] {
        app.service(web::resource(model).get(oip::metadata))
            .service(web::resource(format!("{model}/ready")).get(oip::model_ready))
            .service(ask(&format!("{model}/infer"), oip::infer));
    }
    app.service(web::resource("/v1/models").get(models::models))
        .service(web::resource("/v1/usage").get(usage::usage))
        .service(web::resource("/v1/decisions/{id}").get(decision::decision))
        .service(web::resource("/v1/receipts/{id}").get(receipt::receipt))
        .service(web::resource("/health/live").get(health::live))
        .service(web::resource("/health/ready").get(health::ready))
        .service(web::resource("/metrics").get(health::metrics))
        .service(web::resource("/openapi.json").get(openapi::document))
        .default_service(web::to(unknown::route));
}

/// An address where texts are classified.
fn ask<H>(path: &str, handler: H) -> Resource
where
    H: Handler<(web::Data<Gate>, HttpRequest, web::Payload), Output = HttpResponse>,
{
    web::resource(path.to_owned()).post(handler).default_service(web::to(unknown::method))
}
