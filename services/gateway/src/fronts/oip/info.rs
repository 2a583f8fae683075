//! What the protocol says of servers and models. Whether the server lives and is ready is nobody's
//! secret; which models there are is told to those who may use them.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use reeve_domain::{Code, ModelVersion};
use reeve_protocol::{
    oip::{ModelMetadata, Parameters, ServerMetadata, TensorMetadata},
    text::{LABEL, SCORE, TEXT, TOKENS},
};

use super::{OpenInference, Target};
use crate::{
    gate::Gate,
    pipeline::{Authenticated, Call, authenticate, refuse},
};

/// What can be asked of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Described {
    /// What one takes and gives.
    Metadata,
    /// Whether one can be called now.
    Ready,
    /// Which there are.
    Index,
}

/// What the server is.
pub(crate) fn described() -> ServerMetadata {
    ServerMetadata {
        name: "reeve".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        extensions: ["binary_tensor_data", "classification"].map(str::to_owned).to_vec(),
    }
}

pub(crate) async fn server() -> HttpResponse {
    HttpResponse::Ok().json(described())
}

pub(crate) async fn health_live() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({ "live": true }))
}

pub(crate) async fn health_ready(gate: web::Data<Gate>) -> HttpResponse {
    let ready = gate.is_ready();
    let mut response = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(serde_json::json!({ "ready": ready }))
}

/// What a model takes and gives.
#[utoipa::path(
    get, path = "/v2/models/{model}", tag = "open-inference-protocol", operation_id = "oipModel",
    params(("model" = String, Path, description = "The model's name")),
    responses(
        (status = 200, description = "Versions, inputs and outputs", body = Object),
        (status = "default", description = "`{\"error\": \"…\"}` with `code` and `decision_id`", body = Object),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn metadata(
    gate: web::Data<Gate>,
    request: HttpRequest,
    body: web::Payload,
) -> HttpResponse {
    rest(&gate, &request, body, "/v2/models/{model}", Described::Metadata).await
}

/// Whether a model can be called now.
pub(crate) async fn model_ready(
    gate: web::Data<Gate>,
    request: HttpRequest,
    body: web::Payload,
) -> HttpResponse {
    rest(&gate, &request, body, "/v2/models/{model}/ready", Described::Ready).await
}

/// The models that the caller may use (`POST /v2/repository/index`).
pub(crate) async fn index(
    gate: web::Data<Gate>,
    request: HttpRequest,
    body: web::Payload,
) -> HttpResponse {
    rest(&gate, &request, body, "/v2/repository/index", Described::Index).await
}

async fn rest(
    gate: &Gate,
    request: &HttpRequest,
    body: web::Payload,
    route: &'static str,
    asked: Described,
) -> HttpResponse {
    let call = Call::new(gate, request, body.into_inner(), route, &OpenInference);
    describe(gate, call, &Target::of(request), asked).await
}

/// Answers what is asked of models, as JSON.
pub(crate) async fn describe(
    gate: &Gate,
    call: Call,
    target: &Target,
    asked: Described,
) -> HttpResponse {
    let told = authenticate(gate, call).and_then(|caller| {
        if asked == Described::Index {
            return Ok(HttpResponse::Ok().json(listed(&caller)));
        }
        let model = caller.model(target.model.as_deref(), target.version.as_deref())?;
        if asked == Described::Metadata {
            return Ok(HttpResponse::Ok().json(metadata_of(&caller, &model)));
        }
        if !caller.snapshot().is_served(&model) {
            return Err(caller.refused(Code::NoPodInPermittedRegion));
        }
        let name = model.facts.name.as_str();
        Ok(HttpResponse::Ok().json(serde_json::json!({ "name": name, "ready": true })))
    });
    match told {
        Ok(response) => response,
        Err(refused) => refuse(gate, *refused).await,
    }
}

fn listed(caller: &Authenticated) -> Vec<serde_json::Value> {
    let snapshot = caller.snapshot();
    let models = snapshot.models(&caller.tenant().facts.id).into_iter();
    models
        .map(|(model, _)| {
            let served = snapshot.is_served(model);
            serde_json::json!({
                "name": model.facts.name.as_str(),
                "version": model.facts.version,
                "state": if served { "READY" } else { "UNAVAILABLE" },
                "reason": if served { "" } else { "no pod serves it now" },
            })
        })
        .collect()
}

fn metadata_of(caller: &Authenticated, model: &Arc<ModelVersion>) -> ModelMetadata {
    let tensor = |name: &str, datatype: &str, shape: &[i64]| TensorMetadata {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
        shape: shape.to_vec(),
    };
    let all = caller.snapshot().models(&caller.tenant().facts.id);
    let versions = all.into_iter().filter(|(other, _)| other.facts.name == model.facts.name);
    ModelMetadata {
        name: model.facts.name.to_string(),
        versions: versions.map(|(version, _)| version.facts.version.clone()).collect(),
        platform: "reeve".to_owned(),
        inputs: vec![tensor(TEXT, "BYTES", &[-1])],
        outputs: vec![
            tensor(LABEL, "BYTES", &[-1, -1]),
            tensor(SCORE, "FP32", &[-1, -1]),
            tensor(TOKENS, "UINT32", &[-1]),
        ],
        parameters: Parameters::from_iter([
            ("digest".to_owned(), model.facts.digest.to_string().into()),
            ("labels".to_owned(), model.labels.clone().into()),
        ]),
    }
}
