//! The OpenAI client's `moderations.create`, `POST /v1/moderations`. The categories are the model's
//! own labels. A category holds where its probability is at least one half; the text is flagged
//! where one holds that is not of those which say that nothing is wrong ([`HARMLESS`]).

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web, web::Bytes};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Classification, Form, Front, Misread, Question, Target, Wanted, Written, json, texts::Texts,
};
use crate::{gate::Gate, problem::Problem};

#[derive(Debug)]
pub(crate) struct OpenAi;

/// From which probability on a category holds.
const HOLDS: f32 = 0.5;

/// Labels that flag nothing, however likely, in whatever case they are written.
const HARMLESS: [&str; 14] = [
    "acceptable",
    "benign",
    "clean",
    "harmless",
    "neutral",
    "no",
    "non-offensive",
    "non-toxic",
    "none",
    "normal",
    "not-offensive",
    "ok",
    "other",
    "safe",
];

/// The body of `POST /v1/moderations`.
#[derive(Deserialize, ToSchema)]
pub(crate) struct ModerationRequest {
    /// The model; the only one that you may use, if there is no more than one, if absent.
    model: Option<String>,
    /// A text, several texts, or one text in parts: `[{"type":"text","text":"…"}]`.
    #[schema(value_type = super::native::Input)]
    input: serde_json::Value,
}

/// The answer of `POST /v1/moderations`.
#[derive(Serialize, ToSchema)]
pub(crate) struct Moderation {
    id: String,
    model: String,
    results: Vec<Moderated>,
}

/// One text.
#[derive(Serialize, ToSchema)]
struct Moderated {
    flagged: bool,
    categories: BTreeMap<String, bool>,
    category_scores: BTreeMap<String, f32>,
    category_applied_input_types: BTreeMap<String, [&'static str; 1]>,
}

/// A failure, as this client reads it.
#[derive(Serialize, ToSchema)]
pub(crate) struct OpenAiError {
    error: OpenAiFault,
}

/// What went wrong.
#[derive(Serialize, ToSchema)]
struct OpenAiFault {
    message: String,
    r#type: &'static str,
    param: Option<String>,
    code: &'static str,
    decision_id: String,
}

/// Moderate texts, as the OpenAI client asks.
#[utoipa::path(
    post, path = "/v1/moderations", tag = "compatible", operation_id = "createModeration",
    request_body = ModerationRequest,
    responses(
        (status = 200, description = "One result for each text", body = Moderation),
        (status = "default", description = "Refused or failed; `code` as everywhere", body = OpenAiError),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn moderations(
    gate: web::Data<Gate>,
    request: HttpRequest,
    body: web::Payload,
) -> HttpResponse {
    super::ask(&OpenAi, "/v1/moderations", &gate, &request, body).await
}

impl Front for OpenAi {
    fn read(&self, _: &Target, body: Bytes) -> Result<Question, Misread> {
        let request: ModerationRequest = json(
            &body,
            "the body must be an object with `input` and, if you may use several, `model`",
        )?;
        Ok(Question {
            model: request.model,
            version: None,
            texts: texts(request.input)?,
            field: "input",
            wanted: Wanted::All,
            explain: false,
            form: Box::new(OpenAi),
        })
    }

    fn refusal(&self, problem: &Problem) -> Written {
        let written = Written::json(&OpenAiError {
            error: OpenAiFault {
                message: problem.sentence(),
                r#type: kind(problem.status),
                param: problem
                    .errors
                    .first()
                    .map(|at| at.field.clone())
                    .filter(|at| !at.is_empty()),
                code: problem.code,
                decision_id: problem.decision_id.clone(),
            },
        });
        // The client tries 409, 429 and 5xx again by itself; what a month's end must mend is not
        // worth it, and a key that was used for another request stays used.
        match problem.code {
            "quota-exhausted" | "budget-exhausted" | "idempotency-key-reused" => {
                written.header("X-Should-Retry", false)
            }
            _ => written,
        }
    }
}

/// The kind of failure in OpenAI's words.
pub(super) const fn kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}

/// Parts of one text: `{"type": "text", "text": "…"}`.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part {
    Text { text: String },
}

fn texts(input: serde_json::Value) -> Result<Vec<String>, Misread> {
    let in_parts = input.as_array().is_some_and(|all| all.iter().any(serde_json::Value::is_object));
    if in_parts {
        let parts: Vec<Part> = serde_json::from_value(input).map_err(|_| {
            Misread::field(
                "input",
                "every part must be `{\"type\":\"text\",\"text\":\"…\"}`: only text is classified",
            )
        })?;
        let parts: Vec<String> = parts.into_iter().map(|Part::Text { text }| text).collect();
        return Ok(vec![parts.join("\n")]);
    }
    serde_json::from_value(input).map(Texts::into_vec).map_err(|_| {
        Misread::field("input", "must be a text, a list of texts, or a list of parts of one text")
    })
}

impl Form for OpenAi {
    fn write(&self, answer: Classification<'_>) -> Written {
        let facts = &answer.model.facts;
        Written::json(&Moderation {
            id: answer.id.to_string(),
            model: format!("{}-{}", facts.name, facts.version),
            results: answer.results.into_iter().map(|labels| moderated(&labels)).collect(),
        })
    }
}

fn moderated(labels: &[(String, f32)]) -> Moderated {
    let harmful =
        |label: &str| !HARMLESS.contains(&label.to_ascii_lowercase().replace('_', "-").as_str());
    Moderated {
        flagged: labels.iter().any(|(label, score)| *score >= HOLDS && harmful(label)),
        categories: labels.iter().map(|(label, score)| (label.clone(), *score >= HOLDS)).collect(),
        category_scores: labels.iter().cloned().collect(),
        category_applied_input_types: labels
            .iter()
            .map(|(label, _)| (label.clone(), ["text"]))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use reeve_domain::Code;
    use serde_json::json;

    use super::super::testing::{answered, labels, misread, problem, read, value};
    use super::*;

    #[test]
    fn what_is_harmless_flags_nothing() {
        let question = read(&OpenAi, &Target::default(), r#"{"input":["a","b"]}"#);
        assert_eq!(question.model, None);
        assert_eq!(question.texts.len(), 2);
        let results = vec![
            labels(&[("billing", 0.75), ("OK", 0.25)]),
            labels(&[("OK", 0.9), ("billing", 0.1)]),
        ];
        let answer = value(&answered(&question, results));
        assert_eq!(answer["model"], "support-2");
        assert_eq!(answer["results"][0]["flagged"], true);
        assert_eq!(answer["results"][0]["categories"], json!({ "OK": false, "billing": true }));
        assert_eq!(
            answer["results"][0]["category_applied_input_types"]["billing"],
            json!(["text"])
        );
        assert_eq!(answer["results"][1]["flagged"], false);
        assert_eq!(answer["results"][1]["categories"]["OK"], true);
    }

    #[test]
    fn parts_are_one_text_and_images_are_refused() {
        let parts =
            r#"{"model":"m","input":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}"#;
        assert_eq!(read(&OpenAi, &Target::default(), parts).texts, ["a\nb"]);
        let image = r#"{"input":[{"type":"image_url","image_url":{"url":"https://a/b"}}]}"#;
        assert_eq!(misread(&OpenAi, image), (Code::InvalidRequest, "input".to_owned()));
        assert_eq!(misread(&OpenAi, r#"{"input":[1]}"#).1, "input");
        assert_eq!(misread(&OpenAi, "[]").0, Code::InvalidRequest);
    }

    #[test]
    fn a_refusal_says_whether_trying_again_helps() {
        let refused = OpenAi.refusal(&problem(Code::QuotaExhausted));
        assert_eq!(refused.headers, [("X-Should-Retry", "false".to_owned())]);
        let refused = OpenAi.refusal(&problem(Code::RateLimited));
        assert!(refused.headers.is_empty());
        assert_eq!(value(&refused)["error"]["type"], "rate_limit_error");
        assert_eq!(value(&refused)["error"]["code"], "rate-limited");
    }
}
