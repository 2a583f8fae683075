use actix_web::{
    HttpRequest, HttpResponse,
    web::{Bytes, Data, Path},
};
use reeve_protocol::order::ORDER_HEADER;
use serde::Deserialize;
use serde_json::json;

use super::header;
use crate::{pod::Pod, problem::Problem, repository};

#[derive(Default, Deserialize)]
struct Which {
    #[serde(default)]
    ready: bool,
}

/// `POST /v2/repository/index`, with `{"ready": true}` for those only that take calls.
pub(super) async fn index(pod: Data<Pod>, body: Bytes) -> HttpResponse {
    // Clients send no body at all, or one with other fields too.
    let which: Which = serde_json::from_slice(&body).unwrap_or_default();
    let mut listed = pod.models.list();
    listed.retain(|model| !which.ready || model.state == "READY");
    HttpResponse::Ok().json(listed)
}

/// `POST /v2/repository/models/{model}/load`
pub(super) async fn load(
    pod: Data<Pod>,
    request: HttpRequest,
    model: Path<String>,
) -> HttpResponse {
    done(repository::load(&pod.into_inner(), &model, header(&request, ORDER_HEADER)).await)
}

/// `POST /v2/repository/models/{model}/unload`
pub(super) async fn unload(
    pod: Data<Pod>,
    request: HttpRequest,
    model: Path<String>,
) -> HttpResponse {
    done(repository::unload(&pod.into_inner(), &model, header(&request, ORDER_HEADER)).await)
}

fn done(result: Result<(), Problem>) -> HttpResponse {
    match result {
        Ok(()) => HttpResponse::Ok().json(json!({})),
        Err(problem) => problem.response(),
    }
}
