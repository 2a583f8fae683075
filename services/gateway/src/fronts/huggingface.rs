//! The Hugging Face client's `text_classification`, `POST /models/{model}`:
//! `{"inputs": "…", "parameters": {"top_k", "function_to_apply"}}`, answered by one list of labels
//! for each text, a list in a list even for one.

use actix_web::{HttpRequest, HttpResponse, web, web::Bytes};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Classification, Form, Front, Misread, Question, Target, Wanted, Written, json,
    native::LabelScore, texts::Texts,
};
use crate::{gate::Gate, problem::Problem};

#[derive(Debug)]
pub(crate) struct HuggingFace;

/// The body of `POST /models/{model}`.
#[derive(Deserialize, ToSchema)]
pub(crate) struct HuggingFaceRequest {
    /// One text or several.
    #[schema(value_type = super::native::Input)]
    inputs: Texts,
    #[serde(default)]
    parameters: Parameters,
}

/// How the labels are wanted.
#[derive(Default, Deserialize, ToSchema)]
struct Parameters {
    /// How many labels; all if absent.
    top_k: Option<u32>,
    /// `softmax`, which is what a classifier's scores are here.
    function_to_apply: Option<String>,
}

/// A failure, as this client reads it.
#[derive(Serialize, ToSchema)]
pub(crate) struct HuggingFaceError {
    error: String,
    code: &'static str,
    decision_id: String,
}

/// Classify texts, as the Hugging Face client asks.
#[utoipa::path(
    post, path = "/models/{model}", tag = "compatible", operation_id = "huggingFaceTextClassification",
    request_body = HuggingFaceRequest,
    params(("model" = String, Path, description = "The model's name")),
    responses(
        (status = 200, description = "The labels of each text", body = Vec<Vec<LabelScore>>),
        (status = "default", description = "Refused or failed; `code` as everywhere", body = HuggingFaceError),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn text_classification(
    gate: web::Data<Gate>,
    request: HttpRequest,
    body: web::Payload,
) -> HttpResponse {
    super::ask(&HuggingFace, "/models/{model}", &gate, &request, body).await
}

impl Front for HuggingFace {
    fn read(&self, target: &Target, body: Bytes) -> Result<Question, Misread> {
        let request: HuggingFaceRequest = json(
            &body,
            "the body must be an object with `inputs`, a text or a list of texts, and \
             `parameters` with `top_k` and `function_to_apply`",
        )?;
        let function = request.parameters.function_to_apply.as_deref();
        if function.is_some_and(|function| function != "softmax") {
            let message = "must be `softmax`: the scores are probabilities";
            return Err(Misread::field("parameters.function_to_apply", message));
        }
        let wanted = match request.parameters.top_k {
            None => Wanted::All,
            Some(k @ 1..=1_000) => Wanted::Best(k),
            Some(_) => {
                let message = "must be a number from 1 to 1000";
                return Err(Misread::field("parameters.top_k", message));
            }
        };
        Ok(Question {
            model: target.model.clone(),
            version: None,
            texts: request.inputs.into_vec(),
            field: "inputs",
            wanted,
            explain: false,
            form: Box::new(HuggingFace),
        })
    }

    fn refusal(&self, problem: &Problem) -> Written {
        Written::json(&HuggingFaceError {
            error: problem.sentence(),
            code: problem.code,
            decision_id: problem.decision_id.clone(),
        })
    }
}

impl Form for HuggingFace {
    fn write(&self, answer: Classification<'_>) -> Written {
        Written::json(&super::scores(answer.results))
    }
}

#[cfg(test)]
mod tests {
    use reeve_domain::Code;
    use serde_json::json;

    use super::super::testing::{answered, labels, misread, problem, read, value};
    use super::*;

    #[test]
    fn one_text_is_answered_by_a_list_in_a_list() {
        let target = Target { model: Some("support".to_owned()), ..Target::default() };
        let question = read(&HuggingFace, &target, r#"{"inputs":"我要退款","parameters":{}}"#);
        assert_eq!(question.texts, ["我要退款"]);
        assert_eq!(question.model.as_deref(), Some("support"));
        assert_eq!(question.wanted, Wanted::All);
        let answer = answered(&question, vec![labels(&[("billing", 0.75), ("ok", 0.25)])]);
        let expected =
            json!([[{ "label": "billing", "score": 0.75 }, { "label": "ok", "score": 0.25 }]]);
        assert_eq!(value(&answer), expected);
    }

    #[test]
    fn what_cannot_be_done_is_named() {
        let of = |body| misread(&HuggingFace, body);
        assert_eq!(of("{"), (Code::MalformedJson, String::new()));
        assert_eq!(of(r#"{"inputs":1}"#), (Code::InvalidRequest, String::new()));
        let sigmoid = r#"{"inputs":"a","parameters":{"function_to_apply":"sigmoid"}}"#;
        assert_eq!(of(sigmoid).1, "parameters.function_to_apply");
        assert_eq!(of(r#"{"inputs":"a","parameters":{"top_k":0}}"#).1, "parameters.top_k");
        let refused = value(&HuggingFace.refusal(&problem(Code::RateLimited)));
        assert_eq!(refused["error"], "Too many requests. the detail");
        assert_eq!(refused["code"], "rate-limited");
    }
}
