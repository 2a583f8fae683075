//! The shapes in which clients ask and are answered, one file a protocol. A front reads a body into
//! the one [`Question`] that the pipeline knows, and puts the answer, or the refusal, into its
//! client's words. It decides nothing: every call goes through the same stages, whatever its shape.

pub(crate) mod grpc;
pub(crate) mod huggingface;
pub(crate) mod kserve;
pub(crate) mod native;
pub(crate) mod oip;
pub(crate) mod openai;
pub(crate) mod tei;
mod texts;
pub(crate) mod vllm;

use std::fmt::Debug;

use actix_web::{HttpRequest, HttpResponse, web, web::Bytes};
use reeve_domain::{Code, DecisionId, Money, Timestamp, Usage};
use reeve_protocol::{
    explanation::Explanation,
    text::{Labels, Standing},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    gate::Gate,
    pipeline::{self, Call},
    problem::Problem,
};

/// A protocol that clients speak.
pub(crate) trait Front: Debug + Sync {
    /// Whether bodies of this media type are read; most clients say `application/json`.
    fn takes(&self, media_type: Option<&str>) -> bool {
        media_type == Some("application/json")
    }

    /// Reads a body.
    fn read(&self, target: &Target, body: Bytes) -> Result<Question, Misread>;

    /// A refusal in the client's words. Its status and headers are the same everywhere.
    fn refusal(&self, problem: &Problem) -> Written;
}

/// What the request line and the protocol's own headers say about a call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Target {
    /// The model in the path.
    pub(crate) model: Option<String>,
    /// The version in the path.
    pub(crate) version: Option<String>,
    /// How many bytes of the body are JSON, where tensors follow it
    /// (`Inference-Header-Content-Length`).
    pub(crate) json_length: Option<String>,
}

impl Target {
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let part = |name| request.match_info().get(name).map(str::to_owned);
        let header = request.headers().get("Inference-Header-Content-Length");
        Self {
            model: part("model"),
            version: part("version"),
            json_length: header.and_then(|value| value.to_str().ok()).map(str::to_owned),
        }
    }
}

/// What a client asks, whatever its shape.
pub(crate) struct Question {
    /// The model; the only one that the tenant may use, if there is no more than one, if absent.
    pub(crate) model: Option<String>,
    /// The version; the newest if absent.
    pub(crate) version: Option<String>,
    pub(crate) texts: Vec<String>,
    /// Where the texts stood, for a refusal to name.
    pub(crate) field: &'static str,
    pub(crate) wanted: Wanted,
    /// Whether it is to be said why each text got its best label.
    pub(crate) explain: bool,
    /// What is remembered of the question to answer it.
    pub(crate) form: Box<dyn Form>,
}

/// How many labels are wanted for each text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// So many of the best.
    Best(u32),
    /// Every label.
    All,
}

/// How the answer to one question is put.
pub(crate) trait Form {
    /// Puts it into words.
    fn write(&self, answer: Classification<'_>) -> Written;
}

/// What an answer can tell.
pub(crate) struct Classification<'a> {
    pub(crate) id: DecisionId,
    pub(crate) at: Timestamp,
    pub(crate) model: &'a reeve_domain::ModelVersion,
    /// For each text its labels, best first.
    pub(crate) results: Vec<Labels>,
    /// For each text how many tokens were read.
    pub(crate) tokens: &'a [u32],
    /// For each text whether to believe its first label, where the pod tells.
    pub(crate) standings: &'a [Standing],
    /// For each text why it got its best label, where that was asked.
    pub(crate) explanations: Vec<Explanation>,
    pub(crate) usage: &'a Usage,
    pub(crate) cost: Money,
    pub(crate) took: std::time::Duration,
    /// Made only where it is told.
    pub(crate) governance: &'a dyn Fn() -> native::Governance,
}

/// A body and what must be said of it.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Written {
    /// `value` as JSON.
    pub(crate) fn json(value: &impl Serialize) -> Self {
        Self::json_as("application/json", value)
    }

    pub(crate) fn json_as(content_type: &'static str, value: &impl Serialize) -> Self {
        // Names, texts and numbers always have a JSON form.
        let body = serde_json::to_vec(value).unwrap_or_default();
        Self { content_type, body, headers: Vec::new() }
    }

    #[must_use]
    pub(crate) fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

/// Why a body cannot be read. A parser's message may quote the caller's own text, which must reach
/// no log and no stranger's screen; so only the place and the kind of fault are told.
#[derive(Debug)]
pub(crate) struct Misread {
    pub(crate) code: Code,
    pub(crate) detail: Option<String>,
    pub(crate) field: Option<(String, String)>,
}

impl Misread {
    /// Bytes that are no JSON.
    pub(crate) fn syntax(fault: &serde_json::Error) -> Self {
        let (line, column) = (fault.line(), fault.column());
        Self::unreadable(format!("not valid JSON at line {line}, column {column}"))
    }

    /// Bytes that are nothing of the protocol; the message must hold nothing of them.
    pub(crate) fn unreadable(detail: impl Into<String>) -> Self {
        Self { code: Code::MalformedJson, detail: Some(detail.into()), field: None }
    }

    /// A field that is missing, of the wrong type or out of its range.
    pub(crate) fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: Code::InvalidRequest,
            detail: None,
            field: Some((field.into(), message.into())),
        }
    }

    /// A header of the protocol that does not fit the body.
    pub(crate) fn header(detail: impl Into<String>) -> Self {
        Self { code: Code::InvalidHeader, detail: Some(detail.into()), field: None }
    }
}

/// Reads JSON; `expected` says what would be right where its syntax is and its form is not.
fn json<T: DeserializeOwned>(body: &[u8], expected: &str) -> Result<T, Misread> {
    serde_json::from_slice(body).map_err(|fault| {
        if fault.is_data() { Misread::field("", expected) } else { Misread::syntax(&fault) }
    })
}

/// The labels of each text with their probabilities.
fn scores(results: Vec<Labels>) -> Vec<Vec<native::LabelScore>> {
    let score = |(label, score)| native::LabelScore { label, score };
    results.into_iter().map(|labels| labels.into_iter().map(score).collect()).collect()
}

/// Runs a call of a front's client. `route` is the pattern of its path, as it stands in records and
/// metrics.
pub(crate) async fn ask(
    front: &'static dyn Front,
    route: &'static str,
    gate: &Gate,
    request: &HttpRequest,
    body: web::Payload,
) -> HttpResponse {
    let call = Call::new(gate, request, body.into_inner(), route, front);
    pipeline::run(gate, call).await
}

#[cfg(test)]
pub(crate) mod testing {
    use reeve_domain::{
        Digest, Entropy as _, ModelFacts, ModelName, ModelVersion, SeededEntropy, Timestamp,
    };

    use super::*;

    /// A front's answer about texts whose labels are `results`.
    pub(crate) fn answered(question: &Question, results: Vec<Labels>) -> Written {
        let facts = ModelFacts {
            name: ModelName::new("support").unwrap(),
            version: "2".to_owned(),
            digest: Digest::of(b"m"),
            generative: false,
            risk_class: "minimal".to_owned(),
            conformity: false,
            instructions: false,
        };
        let labels = ["billing", "delivery", "ok"].map(str::to_owned).to_vec();
        let model = ModelVersion::approved(facts, labels);
        let at = Timestamp::from_micros(1_700_000_000_000_000);
        let tokens = vec![3; results.len()];
        let count = u64::try_from(results.len()).unwrap();
        let usage = Usage { items: count, characters: 20, tokens: 3 * count, ..Usage::default() };
        question.form.write(Classification {
            id: SeededEntropy::new(1).decision_id(at),
            at,
            model: &model,
            results,
            tokens: &tokens,
            standings: &[],
            explanations: Vec::new(),
            usage: &usage,
            cost: Money::default(),
            took: std::time::Duration::from_millis(7),
            governance: &|| panic!("not told here"),
        })
    }

    /// Labels with their probabilities.
    pub(crate) fn labels(of: &[(&str, f32)]) -> Labels {
        of.iter().map(|(label, score)| ((*label).to_owned(), *score)).collect()
    }

    /// An answer's JSON.
    pub(crate) fn value(written: &Written) -> serde_json::Value {
        assert_eq!(written.content_type, "application/json");
        serde_json::from_slice(&written.body).unwrap()
    }

    /// A problem as every front has to put it.
    pub(crate) fn problem(code: Code) -> Problem {
        let id = SeededEntropy::new(1).decision_id(Timestamp::from_micros(0));
        Problem { detail: Some("the detail".to_owned()), ..Problem::new(code, id) }
    }

    /// Reads what must be readable.
    pub(crate) fn read(front: &dyn Front, target: &Target, body: &str) -> Question {
        match front.read(target, Bytes::from(body.to_owned())) {
            Ok(question) => question,
            Err(misread) => panic!("{misread:?}"),
        }
    }

    /// The field that a body is refused for.
    pub(crate) fn misread(front: &dyn Front, body: &str) -> (Code, String) {
        match front.read(&Target::default(), Bytes::from(body.to_owned())) {
            Ok(_) => panic!("read: {body}"),
            Err(misread) => (misread.code, misread.field.unwrap_or_default().0),
        }
    }
}
