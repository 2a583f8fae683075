use std::{future::Future, pin::Pin};

use actix_web::{FromRequest, HttpRequest, dev::Payload, error::PayloadError, web};
use reeve_domain::Code;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::problem::{FieldFault, Refused};

/// What a request carries besides its address: taken in before the handler, read by it. A handler
/// is only reached by who may use it, so that nobody else learns what it expects.
pub(crate) struct Sent {
    query: String,
    is_json: bool,
    body: web::Bytes,
}

impl FromRequest for Sent {
    type Error = Refused;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Refused>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let query = request.query_string().to_owned();
        let media = request.headers().get("Content-Type").and_then(|value| value.to_str().ok());
        let media = media.and_then(|media| media.split(';').next()).unwrap_or_default();
        let is_json = media.trim().eq_ignore_ascii_case("application/json");
        let body = web::Bytes::from_request(request, payload);
        Box::pin(async move {
            let body = body.await.map_err(|error| match error.as_error::<PayloadError>() {
                Some(PayloadError::Overflow) => Code::PayloadTooLarge,
                _ => Code::MalformedJson,
            })?;
            Ok(Self { query, is_json, body })
        })
    }
}

impl Sent {
    /// The body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Refused> {
        if !self.is_json {
            let wanted = "send `Content-Type: application/json`";
            return Err(Refused::from(Code::UnsupportedMediaType).because(wanted));
        }
        let body: Value = serde_json::from_slice(&self.body).map_err(|_| Code::MalformedJson)?;
        // Serde would take an array for a struct.
        let Value::Object(fields) = body else {
            let wanted = "the body must be a JSON object";
            return Err(Refused::from(Code::InvalidRequest).because(wanted));
        };
        serde_json::from_slice(&self.body).map_err(|why| {
            let mut faults: Vec<_> =
                fields.into_iter().filter_map(|(name, value)| fault::<T>(name, value)).collect();
            if let Some(fault) = fault_of(&why.to_string(), None) {
                let told = faults.iter().any(|one| one.field() == fault.field());
                faults.extend(Some(fault).filter(|_| !told));
            }
            faults.sort_by(|a, b| a.field().cmp(b.field()));
            Refused::fields(faults)
        })
    }

    /// The parameters behind the `?`.
    pub(crate) fn query<T: DeserializeOwned>(&self) -> Result<T, Refused> {
        let parse = |text: &str| web::Query::<T>::from_query(text);
        parse(&self.query).map(web::Query::into_inner).map_err(|why| {
            let alone = self.query.split('&').filter_map(|pair| {
                let name = pair.split('=').next().unwrap_or_default();
                fault_of(&parse(pair).err()?.to_string(), Some(name))
                    .filter(|it| it.field() == name)
            });
            let missing = fault_of(&why.to_string(), None);
            Refused::fields(alone.chain(missing).collect())
        })
    }
}

/// What is wrong with one field of an object, looked at alone.
fn fault<T: DeserializeOwned>(name: String, value: Value) -> Option<FieldFault> {
    let alone = Value::Object(Map::from_iter([(name.clone(), value)]));
    let why = serde_json::from_value::<T>(alone).err()?;
    fault_of(&why.to_string(), Some(&name)).filter(|fault| fault.field() == name)
}

/// Reads what serde says. Its words may repeat a value, and a value may be a password, so that only
/// names of fields and what was expected are taken over. `looked_at` is the field of a value that
/// is wrong, if it is known.
fn fault_of(words: &str, looked_at: Option<&str>) -> Option<FieldFault> {
    let named = |beginning: &str| {
        let (name, _) = words.split_once(beginning)?.1.split_once('`')?;
        Some(name).filter(|name| name.len() <= 64)
    };
    if let Some(name) = named("missing field `") {
        return Some(FieldFault::new(name, "must be given"));
    }
    if let Some(name) = named("unknown field `") {
        return Some(FieldFault::new(name, "is not a field of this request"));
    }
    if let Some(name) = named("duplicate field `") {
        return Some(FieldFault::new(name, "must be given once only"));
    }
    let name = looked_at?;
    let expected = words.rsplit_once(", expected ").map(|(_, rest)| rest);
    let message = match expected {
        Some("a sequence") => "must be a list".to_owned(),
        Some("a map") => "must be an object".to_owned(),
        Some(words) => format!("must be {words}"),
        None => "is not valid".to_owned(),
    };
    Some(FieldFault::new(name, message))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it can be read matters")]
    struct Form {
        name: String,
        list: Vec<String>,
        limit: Option<u32>,
    }

    fn of(body: &str) -> Vec<(String, String)> {
        let body = web::Bytes::copy_from_slice(body.as_bytes());
        let sent = Sent { query: String::new(), is_json: true, body };
        listed(&sent.json::<Form>().unwrap_err())
    }

    fn listed(refused: &Refused) -> Vec<(String, String)> {
        assert_eq!(refused.code(), Code::InvalidRequest);
        let fault = |one: &FieldFault| (one.field().to_owned(), one.message().to_owned());
        refused.errors().iter().map(fault).collect()
    }

    fn pair(field: &str, message: &str) -> (String, String) {
        (field.to_owned(), message.to_owned())
    }

    #[test]
    fn each_wrong_field_is_named_and_no_value_is_repeated() {
        assert_eq!(of(r#"{"list":[]}"#), [pair("name", "must be given")]);
        assert_eq!(
            of(r#"{"list":"geheim, expected x","name":7}"#),
            [pair("list", "must be a list"), pair("name", "must be a string")]
        );
        assert_eq!(
            of(r#"{"list":[],"name":"a","extra":1}"#),
            [pair("extra", "is not a field of this request")]
        );
        assert_eq!(
            of(r#"{"list":[],"name":"a","name":"b"}"#),
            [pair("name", "must be given once only")]
        );
        assert_eq!(of("[]"), []);
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        let of = |query: &str| {
            let sent =
                Sent { query: query.to_owned(), is_json: false, body: web::Bytes::default() };
            #[derive(Debug, Deserialize)]
            #[expect(dead_code, reason = "only whether it can be read matters")]
            struct Asked {
                origin: String,
                limit: Option<u32>,
            }
            listed(&sent.query::<Asked>().unwrap_err())
        };
        assert_eq!(of("limit=ten&origin=a"), [pair("limit", "is not valid")]);
        assert_eq!(of("limit=10"), [pair("origin", "must be given")]);
    }
}
