use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse,
    error::PayloadError,
    http::header::CONTENT_TYPE,
    web::{Bytes, Data},
};
use reeve_domain::DecisionId;
use reeve_protocol::{
    tensor::{self, BINARY_HEADER},
    warrant::{DEADLINE_HEADER, WARRANT_HEADER, WarrantRefusal},
};
use tracing::{Instrument as _, field::Empty};

use super::{InPath, header, value};
use crate::{
    infer::{Answered, Body, Head, infer as answer},
    pod::Pod,
    problem::Problem,
};

/// `POST /v2/models/{model}[/versions/{version}]/infer`. The type of the content is not looked at:
/// Triton's client sends none.
pub(super) async fn infer(
    pod: Data<Pod>,
    request: HttpRequest,
    named: InPath,
    body: Result<Bytes, actix_web::Error>,
) -> HttpResponse {
    // The decision's id is the gateway's own, so that both write the same one.
    let decision = header(&request, "Reeve-Decision").filter(|id| id.parse::<DecisionId>().is_ok());
    let span =
        tracing::info_span!("infer", decision, texts = Empty, queue_us = Empty, compute_us = Empty);
    if let Some(traceparent) = header(&request, "traceparent") {
        reeve_telemetry::trace::join(&span, traceparent);
    }
    let pod = pod.into_inner();
    let asked = async {
        let body = body.map_err(|error| unread(&error, pod.body_limit))?;
        let binary = header(&request, BINARY_HEADER).map(str::to_owned);
        let body = match binary {
            Some(header) => Body::Binary(body, header),
            None => Body::Json(body),
        };
        answer(&pod, head(&request, &named)?, body).await
    };
    match asked.instrument(span).await {
        Ok(answered) => respond(&answered),
        Err(problem) => problem.response(),
    }
}

fn head(request: &HttpRequest, named: &InPath) -> Result<Head, Problem> {
    let wait = match value(request, DEADLINE_HEADER) {
        None => None,
        Some(value) => {
            let left = value.to_str().ok().and_then(|text| text.trim().parse().ok());
            let expected = "the milliseconds that the caller still waits";
            let left = left.ok_or(Problem::Header { header: DEADLINE_HEADER, expected })?;
            Some(Duration::from_millis(left))
        }
    };
    let warrant = match value(request, WARRANT_HEADER) {
        None => None,
        Some(value) => Some(value.to_str().map_err(|_| WarrantRefusal::Signature)?.to_owned()),
    };
    Ok(Head { model: named.model.clone(), version: named.version.clone(), warrant, wait })
}

fn respond(answered: &Answered) -> HttpResponse {
    let Answered { model, id, outputs } = answered;
    let (body, json) = tensor::body(&model.name, &model.version, id.as_deref(), outputs);
    let mut response = HttpResponse::Ok();
    match json {
        None => response.insert_header((CONTENT_TYPE, "application/json")),
        Some(length) => response
            .insert_header((CONTENT_TYPE, "application/octet-stream"))
            .insert_header((BINARY_HEADER, length.to_string())),
    };
    response.body(body)
}

fn unread(error: &actix_web::Error, most: usize) -> Problem {
    match error.as_error::<PayloadError>() {
        Some(PayloadError::Overflow) => Problem::Body { most },
        _ => Problem::Cut,
    }
}
