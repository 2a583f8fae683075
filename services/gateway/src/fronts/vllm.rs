//! vLLM's and SGLang's classification. They ask with `{"model", "input"}` at `/v1/classify`, which
//! is word for word what Reeve's own clients send there, so nothing in the request could tell which
//! answer is wanted. It has a path of its own instead: a client's base address is `HOST/vllm`, and
//! it then asks at `/vllm/v1/classify`.

use actix_web::{HttpRequest, HttpResponse, web, web::Bytes};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Classification, Form, Front, Misread, Question, Target, Wanted, Written, json, openai,
    texts::Texts,
};
use crate::{gate::Gate, problem::Problem};

#[derive(Debug)]
pub(crate) struct Vllm;

/// The body of `POST /vllm/v1/classify`.
#[derive(Deserialize, ToSchema)]
pub(crate) struct VllmRequest {
    /// The model; the only one that you may use, if there is no more than one, if absent.
    model: Option<String>,
    /// One text or several.
    #[schema(value_type = super::native::Input)]
    input: Texts,
}

/// The answer of `POST /vllm/v1/classify`.
#[derive(Serialize, ToSchema)]
pub(crate) struct VllmClassification {
    id: String,
    object: &'static str,
    /// Seconds since the Unix epoch.
    created: i64,
    model: String,
    data: Vec<VllmItem>,
    usage: VllmUsage,
}

/// One text.
#[derive(Serialize, ToSchema)]
struct VllmItem {
    index: usize,
    /// The best label.
    label: String,
    /// The probability of every label, in the order of the model's labels.
    probs: Vec<f32>,
    num_classes: usize,
}

/// Tokens.
#[derive(Serialize, ToSchema)]
struct VllmUsage {
    prompt_tokens: u64,
    total_tokens: u64,
    completion_tokens: u64,
    prompt_tokens_details: Option<u64>,
}

/// A failure, as this client reads it.
#[derive(Serialize, ToSchema)]
pub(crate) struct VllmError {
    error: VllmFault,
}

/// What went wrong; `code` is the HTTP status there, and `reason` is Reeve's.
#[derive(Serialize, ToSchema)]
struct VllmFault {
    message: String,
    r#type: &'static str,
    param: Option<String>,
    code: u16,
    reason: &'static str,
    decision_id: String,
}

/// Classify texts, as clients of vLLM and SGLang ask.
#[utoipa::path(
    post, path = "/vllm/v1/classify", tag = "compatible", operation_id = "vllmClassify",
    request_body = VllmRequest,
    responses(
        (status = 200, description = "The label and all probabilities of each text", body = VllmClassification),
        (status = "default", description = "Refused or failed; `reason` is the code as everywhere", body = VllmError),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn classify(
    gate: web::Data<Gate>,
    request: HttpRequest,
    body: web::Payload,
) -> HttpResponse {
    super::ask(&Vllm, "/vllm/v1/classify", &gate, &request, body).await
}

impl Front for Vllm {
    fn read(&self, _: &Target, body: Bytes) -> Result<Question, Misread> {
        let request: VllmRequest = json(
            &body,
            "the body must be an object with `input`, a text or a list of texts, and `model`",
        )?;
        Ok(Question {
            model: request.model,
            version: None,
            texts: request.input.into_vec(),
            field: "input",
            wanted: Wanted::All,
            explain: false,
            form: Box::new(Vllm),
        })
    }

    fn refusal(&self, problem: &Problem) -> Written {
        Written::json(&VllmError {
            error: VllmFault {
                message: problem.sentence(),
                r#type: openai::kind(problem.status),
                param: problem
                    .errors
                    .first()
                    .map(|at| at.field.clone())
                    .filter(|at| !at.is_empty()),
                code: problem.status,
                reason: problem.code,
                decision_id: problem.decision_id.clone(),
            },
        })
    }
}

impl Form for Vllm {
    fn write(&self, answer: Classification<'_>) -> Written {
        let labels = &answer.model.labels;
        let data = answer.results.iter().enumerate().map(|(index, of)| VllmItem {
            index,
            label: of.first().map(|(label, _)| label.clone()).unwrap_or_default(),
            probs: labels
                .iter()
                .map(|label| of.iter().find(|(name, _)| name == label).map_or(0.0, |(_, p)| *p))
                .collect(),
            num_classes: labels.len(),
        });
        Written::json(&VllmClassification {
            id: format!("classify-{}", answer.id),
            object: "list",
            created: answer.at.as_seconds(),
            model: answer.model.facts.name.to_string(),
            data: data.collect(),
            usage: VllmUsage {
                prompt_tokens: answer.usage.tokens,
                total_tokens: answer.usage.tokens,
                completion_tokens: 0,
                prompt_tokens_details: None,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use reeve_domain::Code;
    use serde_json::json;

    use super::super::testing::{answered, labels, misread, problem, read, value};
    use super::*;

    #[test]
    fn probabilities_stand_in_the_order_of_the_models_labels() {
        let question = read(&Vllm, &Target::default(), r#"{"model":"support","input":["a"]}"#);
        let results = vec![labels(&[("ok", 0.5), ("billing", 0.375), ("delivery", 0.125)])];
        let answer = value(&answered(&question, results));
        let expected =
            json!([{ "index": 0, "label": "ok", "probs": [0.375, 0.125, 0.5], "num_classes": 3 }]);
        assert_eq!(answer["data"], expected);
        assert_eq!(answer["created"], 1_700_000_000);
        assert_eq!(answer["usage"]["prompt_tokens"], 3);
        assert_eq!(misread(&Vllm, r#"{"input":7}"#).0, Code::InvalidRequest);
        let refused = value(&Vllm.refusal(&problem(Code::ModelNotFound)));
        assert_eq!(
            (&refused["error"]["code"], &refused["error"]["reason"]),
            (&json!(404), &json!("model-not-found"))
        );
    }
}
