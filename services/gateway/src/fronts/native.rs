//! Reeve's own shape, `POST /v1/classify`.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web, web::Bytes};
use reeve_domain::Money;
use reeve_protocol::{
    explanation::{Explanation, TokenScore},
    text::{Labels, Standing},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Classification, Form, Front, Misread, Question, Target, Wanted, Written, texts::Texts,
};
use crate::{gate::Gate, problem::Problem};

/// Reeve's own shape.
#[derive(Debug)]
pub(crate) struct Native;

/// The body of `POST /v1/classify`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClassifyRequest {
    /// The model: `support` for what is in production, `support:staging` for what an alias leads
    /// to, `support@3` for a version, `support@sha256:…` for a bundle.
    model: String,
    /// One text, or up to 1,000, answered in the same order.
    #[schema(value_type = Input)]
    input: Texts,
    /// How many labels to return for each text, best first.
    #[serde(default = "one")]
    #[schema(default = 1, minimum = 1, maximum = 1000)]
    top_k: u32,
    /// Whether to say which parts of each text spoke for its best label. It takes the scope
    /// `explain`, has a price of its own, and is done for at most 16 texts in one call.
    #[serde(default)]
    explain: bool,
}

const fn one() -> u32 {
    1
}

/// One text or several.
#[derive(ToSchema)]
#[schema(as = Input)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what `Texts` reads")]
pub(crate) enum Input {
    /// One text.
    One(String),
    /// Several texts, answered in the same order.
    Many(Vec<String>),
}

/// The answer of `POST /v1/classify`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Classified {
    /// The call's id, `dec_` and 32 hexadecimal digits.
    pub id: String,
    /// The model that answered.
    pub model: ModelUsed,
    /// One for each text, in the order of the request.
    pub results: Vec<ResultView>,
    /// What the call consumed and costs.
    pub usage: UsageView,
    /// How the call was governed.
    pub governance: Governance,
}

/// A model version.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelUsed {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The digest of its bundle.
    pub digest: String,
}

/// The labels of one text.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ResultView {
    /// The best label.
    pub label: String,
    /// Its probability.
    pub score: f32,
    /// The best `top_k` labels, best first.
    pub labels: Vec<LabelScore>,
    /// Whether to believe the best label: `sure`; `unsure`, if it is less probable than the model's
    /// card asks for; `out-of-scope`, if the text is of nothing that the model knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standing: Option<&'static str>,
    /// Why the text got its best label, where `explain` was true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<ExplanationView>,
}

/// What each token of a text adds to the logit of its best label.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExplanationView {
    /// `integrated-gradients` (Sundararajan et al. 2017), or `occlusion` where a model has no
    /// gradients: how far the logit falls when the token is left out.
    pub method: String,
    /// The tokens that the model read, in order.
    pub tokens: Vec<TokenView>,
    /// What belongs to no token.
    pub rest: f32,
    /// The label's logit for the text.
    pub logit: f32,
    /// Its logit for nothing.
    pub baseline: f32,
    /// How far the sum of all scores is from `logit - baseline`, as a share of it; 0 is complete.
    pub error: f32,
}

/// What a token adds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenView {
    /// Its first character, in Unicode code points of the text as it was sent. What was redacted
    /// is one token, from its first character to its last.
    pub start: usize,
    /// Behind its last.
    pub end: usize,
    /// Above 0 speaks for the label, below against it.
    pub score: f32,
}

/// A label and its probability.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LabelScore {
    /// The label.
    pub label: String,
    /// Its probability, from 0 to 1.
    pub score: f32,
}

/// What a call consumed and costs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageView {
    /// Texts.
    pub items: u64,
    /// Unicode code points.
    pub characters: u64,
    /// Tokens that the model read.
    pub tokens: u64,
    /// Texts whose label was explained.
    pub explained: u64,
    /// The price.
    #[schema(value_type = Object)]
    pub cost: Money,
}

/// How a call was governed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Governance {
    /// Where it was processed.
    pub region: String,
    /// The digest of the policy bundle that decided.
    pub policy: String,
    /// How many values of each kind were redacted before the text left the gateway.
    pub redactions: BTreeMap<String, u32>,
    /// What policy obliged to.
    pub obligations: Vec<String>,
    /// Where the record stands.
    pub receipt: ReceiptView,
}

/// Where a call's two records stand in the log, and the signed checkpoint that covers them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReceiptView {
    /// The log's origin.
    pub origin: String,
    /// Index of the intent's leaf.
    pub intent: u64,
    /// Index of the outcome's leaf.
    pub index: u64,
    /// RFC 6962 hash of the outcome's leaf, hexadecimal.
    pub leaf_hash: String,
    /// The tree's size in the checkpoint.
    pub tree_size: u64,
    /// The signed checkpoint (C2SP tlog-checkpoint).
    pub checkpoint: String,
}

/// Classify texts.
#[utoipa::path(
    post, path = "/v1/classify", tag = "classify", operation_id = "classify",
    request_body = ClassifyRequest,
    params(
        ("Reeve-Purpose" = Option<String>, Header, description = "Why the text is processed"),
        ("Reeve-Subject" = Option<String>, Header, description = "An opaque id of the person the text is about; only its keyed hash is kept"),
        ("Reeve-Subject-Country" = Option<String>, Header, description = "Where that person is"),
        ("Reeve-Consents" = Option<String>, Header, description = "Consents on file, joined by commas"),
    ),
    responses(
        (status = 200, description = "Labels, usage, governance and receipt", body = Classified),
        (status = 400, description = "malformed-json, invalid-header", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "missing-scope, tenant-suspended, denied-by-policy", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "model-not-found", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "payload-too-large", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "unsupported-media-type", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "rate-limited, concurrency-limited, quota-exhausted, budget-exhausted", body = Problem, content_type = "application/problem+json"),
        (status = 502, description = "pod-failed", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "no-pod-in-permitted-region, audit-unavailable, overloaded, detector-failed, not-ready", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "deadline-exceeded", body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn classify(
    gate: web::Data<Gate>,
    request: HttpRequest,
    body: web::Payload,
) -> HttpResponse {
    super::ask(&Native, "/v1/classify", &gate, &request, body).await
}

impl Front for Native {
    fn read(&self, _: &Target, body: Bytes) -> Result<Question, Misread> {
        let request: ClassifyRequest = serde_json::from_slice(&body).map_err(|fault| {
            if fault.is_data() {
                let (field, message) = field_of(&body);
                Misread::field(field, message)
            } else {
                Misread::syntax(&fault)
            }
        })?;
        if !(1..=1_000).contains(&request.top_k) {
            return Err(Misread::field("top_k", "must be a number from 1 to 1000"));
        }
        Ok(Question {
            model: Some(request.model),
            version: None,
            texts: request.input.into_vec(),
            field: "input",
            wanted: Wanted::Best(request.top_k),
            explain: request.explain,
            form: Box::new(Native),
        })
    }

    fn refusal(&self, problem: &Problem) -> Written {
        Written::json_as("application/problem+json", problem)
    }
}

impl Form for Native {
    fn write(&self, answer: Classification<'_>) -> Written {
        let facts = &answer.model.facts;
        Written::json(&Classified {
            id: answer.id.to_string(),
            model: ModelUsed {
                name: facts.name.to_string(),
                version: facts.version.clone(),
                digest: facts.digest.to_string(),
            },
            results: results(answer.results, answer.standings, answer.explanations),
            usage: UsageView {
                items: answer.usage.items,
                characters: answer.usage.characters,
                tokens: answer.usage.tokens,
                explained: answer.usage.explained,
                cost: answer.cost,
            },
            governance: (answer.governance)(),
        })
    }
}

fn results(
    results: Vec<Labels>,
    standings: &[Standing],
    explanations: Vec<Explanation>,
) -> Vec<ResultView> {
    let mut explanations = explanations.into_iter();
    let one = |(index, labels): (usize, Labels)| {
        let labels: Vec<_> =
            labels.into_iter().map(|(label, score)| LabelScore { label, score }).collect();
        let (label, score) =
            labels.first().map(|best| (best.label.clone(), best.score)).unwrap_or_default();
        let standing = standings.get(index).copied().map(Standing::as_str);
        ResultView { label, score, labels, standing, explanation: explanations.next().map(view) }
    };
    results.into_iter().enumerate().map(one).collect()
}

fn view(of: Explanation) -> ExplanationView {
    let token =
        |token: TokenScore| TokenView { start: token.start, end: token.end, score: token.score };
    ExplanationView {
        method: of.method,
        tokens: of.tokens.into_iter().map(token).collect(),
        rest: of.rest,
        logit: of.logit,
        baseline: of.baseline,
        error: of.error,
    }
}

/// Names the field that kept a well-formed JSON body from being a request.
fn field_of(body: &[u8]) -> (&'static str, &'static str) {
    let Ok(serde_json::Value::Object(fields)) = serde_json::from_slice(body) else {
        return ("", "the body must be an object with `model` and `input`");
    };
    let is_text_list = |value: &serde_json::Value| {
        value.as_array().is_some_and(|texts| texts.iter().all(serde_json::Value::is_string))
    };
    if !fields.get("model").is_some_and(serde_json::Value::is_string) {
        return ("model", "is required and must be a text");
    }
    if !fields.get("input").is_some_and(|value| value.is_string() || is_text_list(value)) {
        return ("input", "is required and must be a text or a list of texts");
    }
    if fields.get("top_k").is_some_and(|value| value.as_u64().is_none_or(|k| k > 1_000)) {
        return ("top_k", "must be a number from 1 to 1000");
    }
    if fields.get("explain").is_some_and(|value| !value.is_boolean()) {
        return ("explain", "must be true or false");
    }
    ("", "only `model`, `input`, `top_k` and `explain` are known here")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_at_fault_is_named() {
        for (body, field) in [
            (&br#"[]"#[..], ""),
            (br#"{"input":"a"}"#, "model"),
            (br#"{"model":1,"input":"a"}"#, "model"),
            (br#"{"model":"m"}"#, "input"),
            (br#"{"model":"m","input":[1]}"#, "input"),
            (br#"{"model":"m","input":"a","top_k":-1}"#, "top_k"),
            (br#"{"model":"m","input":"a","explain":1}"#, "explain"),
            (br#"{"model":"m","input":"a","colour":1}"#, ""),
        ] {
            assert!(serde_json::from_slice::<ClassifyRequest>(body).is_err());
            assert_eq!(field_of(body).0, field, "{}", String::from_utf8_lossy(body));
        }
    }
}
