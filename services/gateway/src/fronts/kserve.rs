//! KServe's V1 protocol, `POST /v1/models/{model}:predict`: `{"instances": ["…"]}`, or instances
//! that are objects with a `text`, answered by `{"predictions": [{"label", "score"}]}`.

use actix_web::{HttpRequest, HttpResponse, web, web::Bytes};
use reeve_domain::Code;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Classification, Form, Front, Misread, Question, Target, Wanted, Written, json,
    native::LabelScore,
};
use crate::{
    gate::Gate,
    pipeline::{Call, authenticate, refuse},
    problem::Problem,
};

#[derive(Debug)]
pub(crate) struct KServe;

/// The body of `POST /v1/models/{model}:predict`.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Instances {
    /// Up to 1,000.
    instances: Vec<Instance>,
}

/// A text, by itself or named.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
enum Instance {
    /// By itself.
    Text(String),
    /// Named.
    Named {
        /// The text.
        text: String,
    },
}

/// The answer of `POST /v1/models/{model}:predict`.
#[derive(Serialize, ToSchema)]
pub(crate) struct Predictions {
    /// The best label of each instance.
    predictions: Vec<LabelScore>,
}

/// A failure, as KServe's clients read it.
#[derive(Serialize, ToSchema)]
pub(crate) struct KServeError {
    error: String,
    code: &'static str,
    decision_id: String,
}

/// Classify texts, as KServe's V1 clients ask.
#[utoipa::path(
    post, path = "/v1/models/{model}:predict", tag = "compatible", operation_id = "kserveV1Predict",
    request_body = Instances,
    params(("model" = String, Path, description = "The model's name")),
    responses(
        (status = 200, description = "The best label of each instance", body = Predictions),
        (status = "default", description = "Refused or failed; `code` as everywhere", body = KServeError),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn predict(
    gate: web::Data<Gate>,
    request: HttpRequest,
    body: web::Payload,
) -> HttpResponse {
    super::ask(&KServe, "/v1/models/{model}:predict", &gate, &request, body).await
}

/// Whether a model can be called now.
pub(crate) async fn ready(
    gate: web::Data<Gate>,
    request: HttpRequest,
    body: web::Payload,
) -> HttpResponse {
    let target = Target::of(&request);
    let call = Call::new(&gate, &request, body.into_inner(), "/v1/models/{model}", &KServe);
    let found = authenticate(&gate, call).and_then(|caller| {
        let model = caller.model(target.model.as_deref(), None)?;
        if caller.snapshot().is_served(&model) {
            Ok(model.facts.name.to_string())
        } else {
            Err(caller.refused(Code::NoPodInPermittedRegion))
        }
    });
    match found {
        Ok(name) => HttpResponse::Ok().json(serde_json::json!({ "name": name, "ready": true })),
        Err(refused) => refuse(&gate, *refused).await,
    }
}

/// The server lives.
pub(crate) async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({ "status": "alive" }))
}

impl Front for KServe {
    fn read(&self, target: &Target, body: Bytes) -> Result<Question, Misread> {
        let request: Instances = json(
            &body,
            "the body must be an object with `instances`, a list of texts or of objects with `text`",
        )?;
        let texts = request.instances.into_iter().map(|instance| match instance {
            Instance::Text(text) | Instance::Named { text } => text,
        });
        Ok(Question {
            model: target.model.clone(),
            version: None,
            texts: texts.collect(),
            field: "instances",
            wanted: Wanted::Best(1),
            explain: false,
            form: Box::new(KServe),
        })
    }

    fn refusal(&self, problem: &Problem) -> Written {
        Written::json(&KServeError {
            error: problem.sentence(),
            code: problem.code,
            decision_id: problem.decision_id.clone(),
        })
    }
}

impl Form for KServe {
    fn write(&self, answer: Classification<'_>) -> Written {
        let best = super::scores(answer.results).into_iter().flat_map(|of| of.into_iter().next());
        Written::json(&Predictions { predictions: best.collect() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{answered, labels, misread, problem, read, value};
    use super::*;

    #[test]
    fn instances_are_texts_or_have_one() {
        let target = Target { model: Some("support".to_owned()), ..Target::default() };
        let question = read(&KServe, &target, r#"{"instances":["a",{"text":"b"}]}"#);
        assert_eq!(question.texts, ["a", "b"]);
        let results = vec![labels(&[("billing", 0.75)]), labels(&[("ok", 0.5)])];
        let expected = json!({ "predictions": [
            { "label": "billing", "score": 0.75 }, { "label": "ok", "score": 0.5 }
        ] });
        assert_eq!(value(&answered(&question, results)), expected);
        assert_eq!(misread(&KServe, r#"{"instances":[1]}"#), (Code::InvalidRequest, String::new()));
        assert_eq!(value(&KServe.refusal(&problem(Code::NotReady)))["code"], "not-ready");
    }
}
