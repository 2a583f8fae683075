//! The Open Inference Protocol v2 over REST, with the extensions that Triton's and KServe's clients
//! use: tensors as raw bytes behind the JSON, and `classification`. Input and outputs are those of
//! the pods, so that a client of a pod finds the same here.

pub(crate) mod info;

use actix_web::{HttpRequest, HttpResponse, web, web::Bytes};
use reeve_protocol::{
    oip::ErrorBody,
    tensor::{self, BINARY_HEADER},
    text::{OwnedTextRequest, TextMalformed},
    wanted::Told,
};
use serde::Serialize;

pub(crate) use info::{
    Described, describe, described, health_live, health_ready, index, metadata, model_ready, server,
};

use super::{Classification, Form, Front, Misread, Question, Target, Wanted, Written};
use crate::{gate::Gate, problem::Problem};

#[derive(Debug)]
pub(crate) struct OpenInference;

/// Classify texts, as clients of the Open Inference Protocol v2 ask.
#[utoipa::path(
    post, path = "/v2/models/{model}/infer", tag = "open-inference-protocol", operation_id = "oipInfer",
    request_body(content = Object, description = "One input `text`, `BYTES` [n] or [n, 1]; parameter `top_k`, all labels if absent; raw elements behind the JSON with `Inference-Header-Content-Length`"),
    params(("model" = String, Path, description = "The model's name")),
    responses(
        (status = 200, description = "Outputs `label`, `BYTES` [n, k]; `score`, `FP32` [n, k]; `tokens`, `UINT32` [n]", body = Object),
        (status = "default", description = "`{\"error\": \"…\"}` with `code` and `decision_id`", body = Object),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn infer(
    gate: web::Data<Gate>,
    request: HttpRequest,
    body: web::Payload,
) -> HttpResponse {
    super::ask(&OpenInference, "/v2/models/{model}/infer", &gate, &request, body).await
}

impl Front for OpenInference {
    /// tritonclient names no type at all, and a body with raw tensors is no JSON.
    fn takes(&self, media_type: Option<&str>) -> bool {
        matches!(media_type, None | Some("application/json" | "application/octet-stream"))
    }

    fn read(&self, target: &Target, body: Bytes) -> Result<Question, Misread> {
        let (json, raw) = match &target.json_length {
            None => (body.as_ref(), &[][..]),
            Some(length) => tensor::split(&body, length).map_err(misread)?,
        };
        let request = OwnedTextRequest::parse_binary(json, raw).map_err(misread)?;
        question(target, request, |request| Box::new(Rest(request)))
    }

    fn refusal(&self, problem: &Problem) -> Written {
        #[derive(Serialize)]
        struct Refusal<'a> {
            #[serde(flatten)]
            body: ErrorBody,
            code: &'a str,
            decision_id: &'a str,
        }
        Written::json(&Refusal {
            body: ErrorBody { error: problem.sentence() },
            code: problem.code,
            decision_id: &problem.decision_id,
        })
    }
}

/// Why a request of the protocol cannot be read.
pub(crate) fn misread(fault: TextMalformed) -> Misread {
    match fault {
        TextMalformed::Header => Misread::header(fault.to_string()),
        TextMalformed::Json { .. } => Misread::unreadable(fault.to_string()),
        TextMalformed::Tensor { name, problem } => Misread::field(name, problem),
        TextMalformed::Parameter { name, expected } => {
            Misread::field(format!("parameters.{name}"), format!("must be {expected}"))
        }
    }
}

/// The question that the pipeline knows. Outputs that there are not are refused now, and not when
/// the answer is there and paid for.
pub(crate) fn question(
    target: &Target,
    mut request: OwnedTextRequest,
    form: impl FnOnce(OwnedTextRequest) -> Box<dyn Form>,
) -> Result<Question, Misread> {
    request.wanted.classified(&[], Told::default(), &[]).map_err(misread)?;
    if request.top_k.is_some_and(|k| k > 1_000) {
        return Err(Misread::field("parameters.top_k", "must be a number from 1 to 1000"));
    }
    Ok(Question {
        model: target.model.clone(),
        version: target.version.clone(),
        texts: std::mem::take(&mut request.texts),
        field: "inputs",
        wanted: request.top_k.map_or(Wanted::All, Wanted::Best),
        explain: false,
        form: form(request),
    })
}

/// An answer over REST.
struct Rest(OwnedTextRequest);

impl Form for Rest {
    fn write(&self, answer: Classification<'_>) -> Written {
        let (asked, model) = (&self.0, answer.model);
        // What is not there was refused before.
        let told = Told { tokens: answer.tokens, ..Told::default() };
        let outputs =
            asked.wanted.classified(&answer.results, told, &model.labels).unwrap_or_default();
        let (name, version) = (model.facts.name.as_str(), &model.facts.version);
        let (body, json) = tensor::body(name, version, asked.id.as_deref(), &outputs);
        let written = Written { content_type: "application/json", body, headers: Vec::new() };
        match json {
            None => written,
            Some(length) => Written { content_type: "application/octet-stream", ..written }
                .header(BINARY_HEADER, length),
        }
    }
}

#[cfg(test)]
mod tests {
    use reeve_domain::Code;
    use serde_json::{Value, json};

    use super::super::testing::{answered, labels, misread, problem, read, value};
    use super::*;

    fn target() -> Target {
        Target { model: Some("support".to_owned()), ..Target::default() }
    }

    fn rows() -> Vec<reeve_protocol::text::Labels> {
        vec![labels(&[("ok", 0.75), ("billing", 0.25)]), labels(&[("billing", 0.5), ("ok", 0.5)])]
    }

    #[test]
    fn json_in_and_out() {
        let body = r#"{"id":"7","parameters":{"top_k":2},"inputs":[
            {"name":"text","shape":[2,1],"datatype":"BYTES","data":[["退款"],["b"]]}]}"#;
        let question = read(&OpenInference, &target(), body);
        assert_eq!(question.texts, ["退款", "b"]);
        assert_eq!(question.wanted, Wanted::Best(2));
        let answer = value(&answered(&question, rows()));
        assert_eq!(answer["id"], "7");
        assert_eq!(answer["model_version"], "2");
        assert_eq!(
            answer["outputs"],
            json!([
                { "name": "label", "datatype": "BYTES", "shape": [2, 2], "data": ["ok", "billing", "billing", "ok"] },
                { "name": "score", "datatype": "FP32", "shape": [2, 2], "data": [0.75, 0.25, 0.5, 0.5] },
                { "name": "tokens", "datatype": "UINT32", "shape": [2], "data": [3, 3] },
            ])
        );
    }

    #[test]
    fn raw_tensors_in_and_out() {
        let raw = tensor::Elements::Bytes(["a", "退款"].map(str::to_owned).to_vec()).raw();
        let head = format!(
            r#"{{"parameters":{{"binary_data_output":true}},"inputs":[{{"name":"text","shape":[2],"datatype":"BYTES","parameters":{{"binary_data_size":{}}}}}]}}"#,
            raw.len()
        );
        let target = Target { json_length: Some(head.len().to_string()), ..target() };
        let mut body = head.into_bytes();
        body.extend(&raw);
        let question = OpenInference.read(&target, Bytes::from(body.clone())).ok().unwrap();
        assert_eq!(question.texts, ["a", "退款"]);
        let answer = answered(&question, rows());
        assert_eq!(answer.content_type, "application/octet-stream");
        let length: usize = answer.headers[0].1.parse().unwrap();
        let head: Value = serde_json::from_slice(&answer.body[..length]).unwrap();
        let size = |at: usize| {
            assert!(head["outputs"][at].get("data").is_none());
            usize::try_from(head["outputs"][at]["parameters"]["binary_data_size"].as_u64().unwrap())
                .unwrap()
        };
        let raw = &answer.body[length..];
        assert_eq!(raw.len(), size(0) + size(1) + size(2));
        assert_eq!(tensor::texts(&raw[..size(0)]).unwrap(), ["ok", "billing", "billing", "ok"]);
        assert_eq!(&raw[size(0)..size(0) + 4], 0.75_f32.to_le_bytes());

        body.pop();
        assert!(OpenInference.read(&target, Bytes::from(body)).is_err());
        let longer = Target { json_length: Some("9999".to_owned()), ..target };
        let misread = OpenInference.read(&longer, Bytes::from_static(b"{}")).err().unwrap();
        assert_eq!(misread.code, Code::InvalidHeader);
    }

    #[test]
    fn classes_and_chosen_outputs() {
        let body = r#"{"inputs":[{"name":"text","shape":[2],"datatype":"BYTES","data":["a","b"]}],
            "outputs":[{"name":"score","parameters":{"classification":1}},{"name":"tokens","parameters":{"binary_data":true}}]}"#;
        let question = read(&OpenInference, &target(), body);
        let answer = answered(&question, rows());
        let length: usize = answer.headers[0].1.parse().unwrap();
        let head: Value = serde_json::from_slice(&answer.body[..length]).unwrap();
        assert_eq!(
            head["outputs"][0],
            json!({
                "name": "score", "datatype": "BYTES", "shape": [2, 1], "data": ["0.750000:2:ok", "0.500000:0:billing"]
            })
        );
        assert_eq!(head["outputs"][1]["parameters"]["binary_data_size"], 8);
        assert_eq!(head["outputs"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let of = |inputs: &str, rest: &str| {
            misread(&OpenInference, &format!(r#"{{"inputs":{inputs}{rest}}}"#))
        };
        let good = r#"[{"name":"text","shape":[1],"datatype":"BYTES","data":["a"]}]"#;
        for (inputs, rest, field) in [
            ("[]", "", "text"),
            (r#"[{"name":"ids","shape":[1],"datatype":"BYTES","data":["a"]}]"#, "", "ids"),
            (r#"[{"name":"text","shape":[1],"datatype":"FP32","data":[1]}]"#, "", "text"),
            (r#"[{"name":"text","shape":[2],"datatype":"BYTES","data":["a"]}]"#, "", "text"),
            (r#"[{"name":"text","shape":[1],"datatype":"BYTES","data":[1]}]"#, "", "text"),
            (good, r#","parameters":{"top_k":0}"#, "parameters.top_k"),
            (good, r#","parameters":{"top_k":5000}"#, "parameters.top_k"),
            (good, r#","outputs":[{"name":"colour"}]"#, "colour"),
            (good, r#","outputs":[{"name":"standing"}]"#, "standing"),
            (
                good,
                r#","outputs":[{"name":"score","parameters":{"classification":0}}]"#,
                "parameters.classification",
            ),
        ] {
            assert_eq!(
                of(inputs, rest),
                (Code::InvalidRequest, field.to_owned()),
                "{inputs} {rest}"
            );
        }
        assert_eq!(misread(&OpenInference, "nothing").0, Code::MalformedJson);
        let refused = value(&OpenInference.refusal(&problem(Code::DeniedByPolicy)));
        assert_eq!(refused["error"], "Policy does not permit this call. the detail");
        assert_eq!(refused["code"], "denied-by-policy");
        assert!(OpenInference.takes(None) && !OpenInference.takes(Some("text/plain")));
    }
}
