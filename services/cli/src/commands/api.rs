//! The control plane, as a person whose token it is.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use serde_json::Value;

const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Large models take their time on the way.
const UPLOAD_WITHIN: Duration = Duration::from_secs(3600);

/// Where the control plane is, and who asks.
#[derive(clap::Args)]
pub(crate) struct Access {
    /// The control plane.
    #[arg(long, default_value = "http://127.0.0.1:8081")]
    url: String,
    /// A file that holds an access token of a person who may do it.
    #[arg(long)]
    token_file: PathBuf,
}

pub(crate) struct Api {
    pub(crate) base: String,
    token: String,
    agent: ureq::Agent,
}

impl Access {
    pub(crate) fn open(&self) -> anyhow::Result<Api> {
        Api::open(&self.url, &self.token_file)
    }
}

impl Api {
    pub(crate) fn open(url: &str, token_file: &Path) -> anyhow::Result<Self> {
        let token = fs::read_to_string(token_file)
            .with_context(|| format!("`{}`", token_file.display()))?
            .trim()
            .to_owned();
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        Ok(Self { base: url.trim_end_matches('/').to_owned(), token, agent })
    }

    pub(crate) fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send("GET", path, None)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send("POST", path, Some(body))
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send("PUT", path, Some(body))
    }

    pub(crate) fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.send("DELETE", path, None)
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.base);
        let bearer = format!("Bearer {}", self.token);
        let answer = match (method, body) {
            ("DELETE", _) => {
                within(self.agent.delete(&url)).header("Authorization", &bearer).call()
            }
            (_, None) => within(self.agent.get(&url)).header("Authorization", &bearer).call(),
            ("PUT", Some(body)) => {
                within(self.agent.put(&url)).header("Authorization", &bearer).send_json(body)
            }
            (_, Some(body)) => {
                within(self.agent.post(&url)).header("Authorization", &bearer).send_json(body)
            }
        };
        read(method, path, answer.with_context(|| format!("{url} cannot be reached"))?)
    }

    /// Sends a file as it is.
    pub(crate) fn upload(&self, path: &str, media: &str, file: File) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.base);
        let request = self.agent.post(&url).config().timeout_global(Some(UPLOAD_WITHIN)).build();
        let answer = request
            .header("Authorization", format!("Bearer {}", self.token))
            .header("Content-Type", media)
            .send(file)
            .with_context(|| format!("{url} cannot be reached"))?;
        read("POST", path, answer)
    }
}

fn within<B>(request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
    request.config().timeout_global(Some(ANSWER_WITHIN)).build()
}

fn read(
    method: &str,
    path: &str,
    mut answer: ureq::http::Response<ureq::Body>,
) -> anyhow::Result<Value> {
    let status = answer.status();
    let text = answer.body_mut().read_to_string()?;
    let json: Value = serde_json::from_str(&text).unwrap_or_default();
    if status.is_success() {
        return Ok(json);
    }
    let word = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default();
    let errors = json.get("errors").and_then(Value::as_array).into_iter().flatten();
    let fields: Vec<String> = errors
        .map(|one| {
            let word = |name: &str| one.get(name).and_then(Value::as_str).unwrap_or_default();
            format!("`{}` {}", word("field"), word("message"))
        })
        .collect();
    bail!(
        "{method} {path}: {status} {}: {} {} {}",
        word("code"),
        word("title"),
        word("detail"),
        fields.join("; ")
    )
}

/// A text of an answer.
pub(crate) fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}
