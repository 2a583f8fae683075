//! text-embeddings-inference's `POST /predict`: `{"inputs": "…"}`, or `[["…"], ["…"]]` for several;
//! a flat list of two texts is a pair there, which no model here reads. One text is answered by a
//! flat list of labels. The protocol names no model: it is the only one that the tenant may use, or
//! stands in the path, `/tei/{model}/predict`.

use actix_web::{HttpRequest, HttpResponse, web, web::Bytes};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    Classification, Form, Front, Misread, Question, Target, Wanted, Written, json,
    native::LabelScore,
};
use crate::{gate::Gate, problem::Problem};

#[derive(Debug)]
pub(crate) struct Tei;

/// The body of `POST /predict`.
#[derive(Deserialize, ToSchema)]
pub(crate) struct PredictRequest {
    /// A text, or a list of lists of one text each.
    #[schema(value_type = Object)]
    inputs: Value,
    /// Must be false: what leaves a pod are probabilities.
    #[serde(default)]
    raw_scores: bool,
    /// Whether a text that is too long is cut. The model's card says what happens to it.
    #[serde(default, rename = "truncate")]
    _truncate: Option<bool>,
}

/// A failure, as this client reads it.
#[derive(Serialize, ToSchema)]
pub(crate) struct TeiError {
    error: String,
    error_type: &'static str,
    code: &'static str,
    decision_id: String,
}

/// Classify texts, as clients of text-embeddings-inference ask.
#[utoipa::path(
    post, path = "/predict", tag = "compatible", operation_id = "teiPredict",
    request_body = PredictRequest,
    responses(
        (status = 200, description = "The labels of the text; a list of such lists for several", body = Vec<LabelScore>),
        (status = "default", description = "Refused or failed; `code` as everywhere", body = TeiError),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn predict(
    gate: web::Data<Gate>,
    request: HttpRequest,
    body: web::Payload,
) -> HttpResponse {
    super::ask(&Tei, "/predict", &gate, &request, body).await
}

impl Front for Tei {
    fn read(&self, target: &Target, body: Bytes) -> Result<Question, Misread> {
        let request: PredictRequest = json(&body, "the body must be an object with `inputs`")?;
        if request.raw_scores {
            return Err(Misread::field("raw_scores", "must be false: scores are probabilities"));
        }
        let (texts, form) = match request.inputs {
            Value::String(text) => (vec![text], Answered::Flat),
            several => (batch(several)?, Answered::Nested),
        };
        Ok(Question {
            model: target.model.clone(),
            version: None,
            texts,
            field: "inputs",
            wanted: Wanted::All,
            explain: false,
            form: Box::new(form),
        })
    }

    fn refusal(&self, problem: &Problem) -> Written {
        Written::json(&TeiError {
            error: problem.sentence(),
            error_type: match problem.status {
                429 => "Overloaded",
                503 => "Unhealthy",
                500.. => "Backend",
                _ => "Validation",
            },
            code: problem.code,
            decision_id: problem.decision_id.clone(),
        })
    }
}

fn batch(inputs: Value) -> Result<Vec<String>, Misread> {
    let pair = inputs.as_array().is_some_and(|all| all.iter().any(Value::is_string));
    let rows: Vec<Vec<String>> = serde_json::from_value(inputs).map_err(|_| {
        let message = if pair {
            "a flat list is a pair, which this model does not read; for several texts say `[[\"…\"], [\"…\"]]`"
        } else {
            "must be a text, or a list of lists of one text each"
        };
        Misread::field("inputs", message)
    })?;
    rows.into_iter()
        .map(|row| match <[String; 1]>::try_from(row) {
            Ok([text]) => Ok(text),
            Err(_) => Err(Misread::field("inputs", "every inner list must hold one text")),
        })
        .collect()
}

enum Answered {
    Flat,
    Nested,
}

impl Form for Answered {
    fn write(&self, answer: Classification<'_>) -> Written {
        let (characters, tokens) = (answer.usage.characters, answer.usage.tokens);
        let mut rows = super::scores(answer.results);
        let written = match self {
            Self::Nested => Written::json(&rows),
            Self::Flat => Written::json(&rows.pop().unwrap_or_default()),
        };
        written
            .header("X-Compute-Characters", characters)
            .header("X-Compute-Tokens", tokens)
            .header("X-Total-Time", answer.took.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use reeve_domain::Code;
    use serde_json::json;

    use super::super::testing::{answered, labels, misread, problem, read, value};
    use super::*;

    #[test]
    fn one_is_flat_and_several_are_nested() {
        let row = || labels(&[("ok", 0.75), ("billing", 0.25)]);
        let flat = json!([{ "label": "ok", "score": 0.75 }, { "label": "billing", "score": 0.25 }]);
        let one = read(&Tei, &Target::default(), r#"{"inputs":"a","truncate":true}"#);
        let answer = answered(&one, vec![row()]);
        assert_eq!(value(&answer), flat);
        assert!(answer.headers.contains(&("X-Compute-Tokens", "3".to_owned())));
        let two = read(&Tei, &Target::default(), r#"{"inputs":[["a"],["b"]],"raw_scores":false}"#);
        assert_eq!(two.texts, ["a", "b"]);
        assert_eq!(value(&answered(&two, vec![row(), row()])), json!([flat, flat]));
    }

    #[test]
    fn pairs_and_raw_scores_are_refused() {
        for body in [
            r#"{"inputs":["a","b"]}"#,
            r#"{"inputs":[["a","b"]]}"#,
            r#"{"inputs":[[]]}"#,
            r#"{"inputs":{"a":1}}"#,
        ] {
            assert_eq!(misread(&Tei, body), (Code::InvalidRequest, "inputs".to_owned()), "{body}");
        }
        assert_eq!(misread(&Tei, r#"{"inputs":"a","raw_scores":true}"#).1, "raw_scores");
        let refused = value(&Tei.refusal(&problem(Code::RateLimited)));
        assert_eq!(refused["error_type"], "Overloaded");
        assert_eq!(value(&Tei.refusal(&problem(Code::InvalidRequest)))["error_type"], "Validation");
        assert_eq!(value(&Tei.refusal(&problem(Code::PodFailed)))["error_type"], "Backend");
    }
}
