use std::sync::Arc;

use actix_web::web::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use reeve_domain::{Action, Code, Digest, ModelVersion, Routed};
use reeve_privacy::RawText;
use reeve_protocol::explanation::MOST_EXPLAINED;

use super::{authenticate::Authenticated, refuse::Refused};
use crate::{
    Gate,
    fronts::{Form, Question, Wanted},
    models::Chosen,
};

/// The most texts in one call.
pub(crate) const MAX_ITEMS: usize = 1_000;

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
    /// How the answer will be put.
    pub(super) form: Box<dyn Form>,
    /// The digest of what was asked, to tell a call that is sent again from another one; only where
    /// the call has an idempotency key.
    pub(super) request: Option<Digest>,
}

/// Reads and checks the body: media type, size, syntax, fields, and whether the model exists for
/// this caller. What a body must look like is its front's to say.
pub async fn receive(gate: &Gate, caller: Authenticated) -> Result<Received, Box<Refused>> {
    let mut caller = caller.needs("classify")?;
    let body = read(gate, &mut caller).await?;
    let head = &caller.head;
    let request = head.idempotency_key.is_some().then(|| asked(&caller, &body));
    let Question { model, version, texts, field, wanted, explain, form } =
        head.front.read(&head.target, body).map_err(|misread| caller.misread(misread))?;
    let (action, caller) = if explain {
        (Action::Explain, caller.needs(Action::Explain.as_str())?)
    } else {
        (Action::Classify, caller)
    };
    if texts.is_empty() || texts.len() > MAX_ITEMS {
        let message = format!("must be one text or 1 to {MAX_ITEMS} texts");
        return Err(caller.refused(Code::InvalidRequest).field(field, message));
    }
    if explain && texts.len() > MOST_EXPLAINED {
        let message = format!("may have at most {MOST_EXPLAINED} texts if they are explained");
        return Err(caller.refused(Code::InvalidRequest).field(field, message));
    }
    let Chosen { version: model, routed, mirror } =
        caller.choose(model.as_deref(), version.as_deref())?;
    let texts: Vec<RawText> = texts.into_iter().map(RawText::new).collect();
    let characters = texts
        .iter()
        .map(|text| u64::try_from(text.characters()).unwrap_or(u64::MAX))
        .fold(0, u64::saturating_add);
    let top_k = match wanted {
        Wanted::Best(k) => k,
        Wanted::All => u32::try_from(model.labels.len()).unwrap_or(u32::MAX).max(1),
    };
    Ok(Received {
        from: caller,
        action,
        model,
        routed,
        mirror,
        texts,
        characters,
        top_k,
        form,
        request,
    })
}

/// The digest of all that a call asks, the model in its path included.
fn asked(caller: &Authenticated, body: &[u8]) -> Digest {
    let (route, target) = (caller.head.route, &caller.head.target);
    let mut all = format!("{route}\n{:?}\n{:?}\n", target.model, target.version).into_bytes();
    all.extend_from_slice(body);
    Digest::of(&all)
}

async fn read(gate: &Gate, caller: &mut Authenticated) -> Result<Bytes, Box<Refused>> {
    let media_type = caller
        .head
        .content_type
        .as_deref()
        .and_then(|value| value.split(';').next())
        .map(str::trim);
    if !caller.head.front.takes(media_type) {
        return Err(caller
            .refused(Code::UnsupportedMediaType)
            .detail("`Content-Type` must be `application/json`"));
    }
    if caller.head.encoded {
        return Err(caller
            .refused(Code::UnsupportedMediaType)
            .detail("bodies are not read compressed: leave `Content-Encoding` out"));
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
    Ok(body.freeze())
}
