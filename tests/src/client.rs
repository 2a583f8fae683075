use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

/// A caller with one credential.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
    bearer: Option<String>,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body; a JSON text if it is not JSON.
    pub body: Value,
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The problem's code.
    pub fn code(&self) -> &str {
        self.body.get("code").and_then(Value::as_str).unwrap_or("")
    }

    /// The call's id, from the header.
    pub fn decision(&self) -> &str {
        self.header("reeve-decision").unwrap_or("")
    }

    /// A value inside the body by JSON pointer; null if absent.
    pub fn at(&self, pointer: &str) -> &Value {
        self.body.pointer(pointer).unwrap_or(&Value::Null)
    }
}

impl Client {
    /// A client of the server at `base`, with a bearer credential or none.
    pub fn new(base: &str, bearer: Option<&str>) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)))
            .build();
        Self { agent: config.into(), base: base.to_owned(), bearer: bearer.map(str::to_owned) }
    }

    /// `POST /v1/classify` with the sample model.
    pub fn classify(&self, input: impl Into<Value>) -> anyhow::Result<Answer> {
        self.post("/v1/classify", &json!({ "model": "sample", "input": input.into(), "top_k": 3 }))
    }

    /// `POST` of JSON.
    pub fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.post_with(path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }

    /// `POST` of any bytes with any headers.
    pub fn post_with(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> anyhow::Result<Answer> {
        let mut request = self.agent.post(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(bearer) = &self.bearer {
            request = request.header("Authorization", format!("Bearer {bearer}"));
        }
        answer(request.send(body).with_context(|| format!("POST {path}"))?)
    }

    /// `GET`.
    pub fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.get_with(path, &[])
    }

    /// `GET` with any headers.
    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> anyhow::Result<Answer> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(bearer) = &self.bearer {
            request = request.header("Authorization", format!("Bearer {bearer}"));
        }
        answer(request.call().with_context(|| format!("GET {path}"))?)
    }
}

fn answer(response: ureq::http::Response<ureq::Body>) -> anyhow::Result<Answer> {
    let status = response.status().as_u16();
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    let text = response.into_body().read_to_string()?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Answer { status, headers, body })
}
