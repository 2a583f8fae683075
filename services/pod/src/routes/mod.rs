//! The Open Inference Protocol v2 over REST, Triton's extensions for repositories and statistics,
//! and the metrics.

mod infer;
mod model;
mod repository;
mod server;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{HeaderName, HeaderValue},
    web::{self, Path},
};
use serde::Deserialize;

pub(crate) use self::{model::describe, server::describe as server_metadata};
use crate::{models::Asked, problem::Problem};

/// The model that a path names.
#[derive(Deserialize)]
struct Named {
    model: String,
    version: Option<String>,
}

impl Named {
    fn asked(&self) -> Asked<'_> {
        Asked { name: &self.model, version: self.version.as_deref(), digest: None }
    }
}

/// Where a model is, in its newest version or in a certain one.
const MODEL: [&str; 2] = ["/v2/models/{model}", "/v2/models/{model}/versions/{version}"];

/// All routes.
pub(crate) fn configure(config: &mut web::ServiceConfig) {
    let at = |path: &str| web::resource(path.to_owned()).default_service(web::to(method));
    // Looked at in this order: what is called the most comes first.
    for model in MODEL {
        let infer = at(&format!("{model}/infer")).route(web::post().to(infer::infer));
        config.service(infer);
    }
    config
        .service(at("/v2").route(web::get().to(server::metadata)))
        .service(at("/v2/health/live").route(web::get().to(server::live)))
        .service(at("/v2/health/ready").route(web::get().to(server::ready)))
        .service(at("/v2/health/startup").route(web::get().to(server::startup)))
        .service(at("/v2/models/stats").route(web::get().to(model::all_stats)))
        .service(at("/v2/repository/index").route(web::post().to(repository::index)))
        .service(at("/v2/repository/models/{model}/load").route(web::post().to(repository::load)))
        .service(
            at("/v2/repository/models/{model}/unload").route(web::post().to(repository::unload)),
        )
        .service(at("/metrics").route(web::get().to(server::metrics)))
        .default_service(web::to(nowhere));
    for model in MODEL {
        config
            .service(at(model).route(web::get().to(model::metadata)))
            .service(at(&format!("{model}/ready")).route(web::get().to(model::ready)))
            .service(at(&format!("{model}/stats")).route(web::get().to(model::stats)));
    }
}

async fn nowhere(request: HttpRequest) -> HttpResponse {
    Problem::Route { path: request.path().chars().take(200).collect() }.response()
}

async fn method() -> HttpResponse {
    Problem::Method.response()
}

/// A header's value, if it is text.
fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    value(request, name).and_then(|value| value.to_str().ok())
}

/// A header's value. A call has few headers: making a key of a name costs more than a look at them all.
fn value<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a HeaderValue> {
    let is_it = |(known, _): &(&HeaderName, _)| known.as_str().eq_ignore_ascii_case(name);
    request.headers().iter().find(is_it).map(|(_, value)| value)
}

type InPath = Path<Named>;
