use std::sync::Arc;

use actix_web::web::BytesMut;
use futures_util::StreamExt as _;
use reeve_domain::{Action, Code, Digest, ModelVersion, Routed};
use reeve_privacy::RawText;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{authenticate::Authenticated, refuse::Refused};
use crate::{
    Gate,
    models::{Asking, Chosen, NotChosen},
};

/// The most texts in one call.
pub(crate) const MAX_ITEMS: usize = 1_000;

/// The body of `POST /v1/classify`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassifyRequest {
    /// The model: `support` for what is in production, `support:staging` for what an alias leads
    /// to, `support@3` for a version, `support@sha256:…` for a bundle.
    pub(super) model: String,
    /// One text, or up to 1,000.
    pub(super) input: Input,
    /// How many labels to return for each text, best first.
    #[serde(default = "one")]
    #[schema(default = 1, minimum = 1, maximum = 1000)]
    pub(super) top_k: u32,
    /// Whether to say which parts of the text mattered.
    #[serde(default)]
    pub(super) explain: bool,
}

const fn one() -> u32 {
    1
}

/// One text or several.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Input {
    /// One text.
    One(String),
    /// Several texts, answered in the same order.
    Many(Vec<String>),
}

/// A call whose body has been read and has the right form, for a model that the caller may know.
pub struct Received {
    pub(super) from: Authenticated,
    pub(super) action: Action,
    pub(super) model: Arc<ModelVersion>,
    /// How the version was chosen, unless the caller named it.
    pub(super) routed: Option<Routed>,
    /// A version that is to be asked besides, if policy permits it.
    pub(super) mirror: Option<Arc<ModelVersion>>,
    pub(super) texts: Vec<RawText>,
    pub(super) characters: u64,
    pub(super) top_k: u32,
    /// The body's digest, to tell a call that is sent again from another one.
    pub(super) request: Digest,
}

/// Reads and checks the body: media type, size, syntax, fields, and whether the model exists for
/// this caller.
pub async fn receive(gate: &Gate, caller: Authenticated) -> Result<Received, Box<Refused>> {
    let mut caller = caller.needs("classify")?;
    let body = read(gate, &mut caller).await?;
    let digest = Digest::of(&body);
    let request = parse(&caller, &body)?;
    let texts: Vec<RawText> = match request.input {
        Input::One(text) => vec![RawText::new(text)],
        Input::Many(texts) => texts.into_iter().map(RawText::new).collect(),
    };
    if texts.is_empty() || texts.len() > MAX_ITEMS {
        return Err(caller
            .refused(Code::InvalidRequest)
            .field("input", format!("must be one text or 1 to {MAX_ITEMS} texts")));
    }
    if !(1..=1_000).contains(&request.top_k) {
        return Err(caller
            .refused(Code::InvalidRequest)
            .field("top_k", "must be a number from 1 to 1000"));
    }
    if request.explain {
        return Err(caller
            .refused(Code::InvalidRequest)
            .field("explain", "this model offers no explanations; leave it out or say false"));
    }
    let Chosen { version: model, routed, mirror } = choose(&caller, &request.model)?;
    if caller.snapshot.is_model_stopped(&model.facts.name) {
        return Err(caller.refused(Code::ModelStopped));
    }
    let characters = texts
        .iter()
        .map(|text| u64::try_from(text.characters()).unwrap_or(u64::MAX))
        .fold(0, u64::saturating_add);
    let top_k = request.top_k;
    Ok(Received {
        from: caller,
        action: Action::Classify,
        model,
        routed,
        mirror,
        texts,
        characters,
        top_k,
        request: digest,
    })
}

/// The version that the call is for.
fn choose(caller: &Authenticated, named: &str) -> Result<Chosen, Box<Refused>> {
    let head = &caller.head;
    let asking = Asking {
        tenant: &caller.tenant.facts.id,
        purpose: head.purpose.as_ref(),
        subject: head.subject.as_ref(),
        decision: head.id,
        at: head.at,
    };
    caller.snapshot.choose(named, &asking).map_err(|not| match not {
        NotChosen::Unreadable(why) => {
            caller.refused(Code::InvalidRequest).field("model", why.to_string())
        }
        NotChosen::Unknown => caller
            .refused(Code::ModelNotFound)
            .detail("`GET /v1/models` lists the models that you may use"),
        NotChosen::Withdrawn => caller
            .refused(Code::ModelWithdrawn)
            .detail("`GET /v1/models` lists the versions that you may use"),
        NotChosen::Terms(broken) => caller.refused(Code::ModelTerms).detail(broken.to_string()),
    })
}

async fn read(gate: &Gate, caller: &mut Authenticated) -> Result<BytesMut, Box<Refused>> {
    let media_type = caller
        .head
        .content_type
        .as_deref()
        .and_then(|value| value.split(';').next())
        .map(str::trim);
    if media_type != Some("application/json") {
        return Err(caller
            .refused(Code::UnsupportedMediaType)
            .detail("`Content-Type` must be `application/json`"));
    }
    let too_large = |caller: &Authenticated| {
        caller
            .refused(Code::PayloadTooLarge)
            .detail(format!("the body may have at most {} bytes", gate.body_limit))
    };
    let limit = u64::try_from(gate.body_limit).unwrap_or(u64::MAX);
    if caller.head.content_length.is_some_and(|length| length > limit) {
        return Err(too_large(caller));
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = caller.body.next().await {
        let chunk = chunk.map_err(|_| {
            caller.refused(Code::MalformedJson).detail("the body ended before it was complete")
        })?;
        if body.len().saturating_add(chunk.len()) > gate.body_limit {
            return Err(too_large(caller));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A serde message may quote the caller's own text, which must not reach a log or a stranger's
/// screen; so only the place and the kind of fault are told.
fn parse(caller: &Authenticated, body: &[u8]) -> Result<ClassifyRequest, Box<Refused>> {
    serde_json::from_slice(body).map_err(|fault| {
        let place = format!("line {}, column {}", fault.line(), fault.column());
        if fault.is_data() {
            let (field, message) = field_of(body);
            caller.refused(Code::InvalidRequest).field(field, message)
        } else {
            caller.refused(Code::MalformedJson).detail(format!("not valid JSON at {place}"))
        }
    })
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
