use actix_web::{HttpResponse, web::Data};
use reeve_protocol::{
    names::SPANS,
    oip::{ModelMetadata, Parameters, TensorMetadata},
    text::{LABEL, SCORE, STANDING, TEXT, TOKENS},
};
use serde_json::json;

use super::InPath;
use crate::{model::Model, models::Models, pod::Pod, problem::Problem};

/// `GET /v2/models/{model}[/versions/{version}]/ready`
pub(super) async fn ready(pod: Data<Pod>, named: InPath) -> HttpResponse {
    let ready = pod.check_ready().and_then(|()| pod.models.find(named.asked()));
    match ready {
        Ok(model) if model.is_ready() => HttpResponse::Ok().json(json!({ "ready": true })),
        Ok(_) => Problem::NotReady.response(),
        Err(problem) => problem.response(),
    }
}

/// `GET /v2/models/{model}[/versions/{version}]`
pub(super) async fn metadata(pod: Data<Pod>, named: InPath) -> HttpResponse {
    match pod.models.find(named.asked()) {
        Ok(model) => HttpResponse::Ok().json(describe(&pod.models, &model)),
        Err(problem) => problem.response(),
    }
}

/// A model as clients see it.
pub(crate) fn describe(models: &Models, model: &Model) -> ModelMetadata {
    let tensor = |name: &str, datatype: &str, shape: &[i64]| TensorMetadata {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
        shape: shape.to_vec(),
    };
    let versions = models.list().into_iter().filter(|listed| listed.name == model.name);
    let test = model.test();
    ModelMetadata {
        name: model.name.clone(),
        versions: versions.map(|listed| listed.version).collect(),
        platform: "reeve-classifier".to_owned(),
        inputs: vec![tensor(TEXT, "BYTES", &[-1])],
        outputs: if model.finds_names {
            vec![tensor(SPANS, "BYTES", &[-1])]
        } else {
            vec![
                tensor(LABEL, "BYTES", &[-1, -1]),
                tensor(SCORE, "FP32", &[-1, -1]),
                tensor(TOKENS, "UINT32", &[-1]),
                tensor(STANDING, "BYTES", &[-1]),
            ]
        },
        parameters: Parameters::from_iter([
            ("digest".to_owned(), model.digest.to_string().into()),
            ("labels".to_owned(), model.labels.clone().into()),
            ("max_tokens".to_owned(), model.max_tokens.into()),
            ("precision".to_owned(), test.precision.to_string().into()),
            ("precision_difference".to_owned(), test.difference.into()),
        ]),
    }
}

/// `GET /v2/models/{model}[/versions/{version}]/stats`
pub(super) async fn stats(pod: Data<Pod>, named: InPath) -> HttpResponse {
    let asked = named.asked();
    if let Err(problem) = pod.models.find(asked) {
        return problem.response();
    }
    let all = pod.models.loaded();
    let of = all.iter().filter(|model| {
        model.name == asked.name && asked.version.is_none_or(|version| *version == model.version)
    });
    HttpResponse::Ok().json(json!({ "model_stats": of.map(|m| m.stats()).collect::<Vec<_>>() }))
}

/// `GET /v2/models/stats`
pub(super) async fn all_stats(pod: Data<Pod>) -> HttpResponse {
    let stats: Vec<_> = pod.models.loaded().iter().map(|model| model.stats()).collect();
    HttpResponse::Ok().json(json!({ "model_stats": stats }))
}
