//! The few requests that are made here.

use std::time::Duration;

use serde_json::Value;

/// A status and a body; null if it was not JSON.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

fn agent(timeout: Duration) -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(timeout))
        .build();
    config.into()
}

/// Whether a `GET` is answered with 200.
pub(crate) fn is_ok(url: &str) -> bool {
    let answer = agent(Duration::from_secs(2)).get(url).call();
    answer.is_ok_and(|answer| answer.status() == 200)
}

/// A header of the answer to a `GET`, if it is 200.
pub(crate) fn header(url: &str, headers: &[(&str, &str)], wanted: &str) -> Option<String> {
    let mut request = agent(Duration::from_secs(2)).get(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.call().ok().filter(|answer| answer.status() == 200)?;
    Some(answer.headers().get(wanted)?.to_str().ok()?.to_owned())
}

/// Posts JSON with a bearer credential.
pub(crate) fn post(url: &str, bearer: &str, body: &Value) -> anyhow::Result<Answer> {
    let response = agent(Duration::from_secs(20))
        .post(url)
        .header("Authorization", format!("Bearer {bearer}"))
        .header("Content-Type", "application/json")
        .send(body.to_string())?;
    let status = response.status().as_u16();
    let text = response.into_body().read_to_string()?;
    Ok(Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::Null) })
}

/// Posts a body with headers; what is answered with 200.
pub(crate) fn ask(url: &str, headers: &[(&str, &str)], body: &str) -> Option<String> {
    let mut request = agent(Duration::from_secs(20)).post(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send(body).ok()?;
    let good = answer.status() == 200;
    answer.into_body().read_to_string().ok().filter(|_| good)
}
