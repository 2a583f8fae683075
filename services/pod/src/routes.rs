use actix_web::{
    HttpRequest, HttpResponse,
    error::PayloadError,
    http::header::CONTENT_TYPE,
    web::{self, Bytes, Data, Path},
};
use reeve_domain::DecisionId;
use reeve_protocol::{
    names::SPANS,
    oip::{ModelMetadata, Parameters, ServerMetadata, TensorMetadata},
    text::{LABEL, SCORE, TEXT, TOKENS},
    warrant::{WARRANT_HEADER, WarrantRefusal},
};
use serde::Deserialize;

use tracing::Instrument as _;

use crate::{pod::Pod, problem::Problem};

/// Bodies above this are read on a thread of their own: their tokens take longer than the server's
/// threads may be held up.
const LARGE_BODY: usize = 64 * 1024;

#[derive(Deserialize)]
struct Asked {
    model: String,
    version: Option<String>,
}

/// The Open Inference Protocol v2 over REST, and the metrics.
pub(crate) fn configure(config: &mut web::ServiceConfig) {
    let get = |path: &str| web::resource(path.to_owned()).default_service(web::to(method));
    config
        .service(get("/v2").route(web::get().to(server)))
        .service(get("/v2/health/live").route(web::get().to(live)))
        .service(get("/v2/health/ready").route(web::get().to(ready)))
        .service(get("/metrics").route(web::get().to(metrics)))
        .default_service(web::to(nowhere));
    for model in ["/v2/models/{model}", "/v2/models/{model}/versions/{version}"] {
        config
            .service(get(model).route(web::get().to(metadata)))
            .service(get(&format!("{model}/ready")).route(web::get().to(model_ready)))
            .service(get(&format!("{model}/infer")).route(web::post().to(infer)));
    }
}

async fn nowhere(request: HttpRequest) -> HttpResponse {
    Problem::Route { path: request.path().chars().take(200).collect() }.response()
}

async fn method() -> HttpResponse {
    Problem::Method.response()
}

async fn server() -> HttpResponse {
    HttpResponse::Ok().json(ServerMetadata {
        name: "reeve-pod".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        extensions: Vec::new(),
    })
}

async fn live() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({ "live": true }))
}

async fn ready(pod: Data<Pod>) -> HttpResponse {
    if pod.is_ready() {
        HttpResponse::Ok().json(serde_json::json!({ "ready": true }))
    } else {
        Problem::NotReady.response()
    }
}

async fn metrics(pod: Data<Pod>) -> HttpResponse {
    match pod.metrics.encode() {
        Ok(text) => {
            HttpResponse::Ok().insert_header((CONTENT_TYPE, "text/plain; version=0.0.4")).body(text)
        }
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            Problem::Failed.response()
        }
    }
}

async fn model_ready(pod: Data<Pod>, asked: Path<Asked>) -> HttpResponse {
    match served(&pod, &asked) {
        Ok(()) => ready(pod).await,
        Err(problem) => problem.response(),
    }
}

async fn metadata(pod: Data<Pod>, asked: Path<Asked>) -> HttpResponse {
    if let Err(problem) = served(&pod, &asked) {
        return problem.response();
    }
    let tensor = |name: &str, datatype: &str, shape: &[i64]| TensorMetadata {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
        shape: shape.to_vec(),
    };
    HttpResponse::Ok().json(ModelMetadata {
        name: pod.name.clone(),
        versions: vec![pod.version.clone()],
        platform: "reeve-classifier".to_owned(),
        inputs: vec![tensor(TEXT, "BYTES", &[-1])],
        outputs: if pod.finds_names {
            vec![tensor(SPANS, "BYTES", &[-1])]
        } else {
            vec![
                tensor(LABEL, "BYTES", &[-1, -1]),
                tensor(SCORE, "FP32", &[-1, -1]),
                tensor(TOKENS, "UINT32", &[-1]),
            ]
        },
        parameters: Parameters::from_iter([
            ("digest".to_owned(), pod.digest.to_string().into()),
            ("labels".to_owned(), pod.labels.clone().into()),
            ("max_tokens".to_owned(), pod.max_tokens.into()),
        ]),
    })
}

async fn infer(
    pod: Data<Pod>,
    request: HttpRequest,
    asked: Path<Asked>,
    body: Result<Bytes, actix_web::Error>,
) -> HttpResponse {
    // The decision's id is the gateway's own, so that both write the same one.
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let decision = header("Reeve-Decision").filter(|id| id.parse::<DecisionId>().is_ok());
    let span = tracing::info_span!("infer", decision);
    if let Some(traceparent) = header("traceparent") {
        reeve_telemetry::trace::join(&span, traceparent);
    }
    let response = match answer(&pod, &request, &asked, body).instrument(span).await {
        Ok(json) => HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).body(json),
        Err(problem) => problem.response(),
    };
    pod.metrics.answer(response.status().as_u16());
    response
}

async fn answer(
    pod: &Data<Pod>,
    request: &HttpRequest,
    asked: &Asked,
    body: Result<Bytes, actix_web::Error>,
) -> Result<Vec<u8>, Problem> {
    // First, so that the file shows what came even where the call is then refused.
    if let (Some(recorder), Ok(body)) = (&pod.recorder, &body)
        && let Ok(request) = reeve_protocol::text::OwnedTextRequest::parse(body)
    {
        recorder.write(pod.clock.now(), &request.texts).map_err(|error| {
            tracing::error!(%error, "received texts cannot be recorded");
            Problem::Recorder
        })?;
    }
    let accepted = pod.accept()?;
    served(pod, asked)?;
    let warrant = request.headers().get(WARRANT_HEADER).ok_or(WarrantRefusal::Missing)?;
    let warrant = warrant.to_str().map_err(|_| WarrantRefusal::Signature)?;
    let claims = pod.warrants.verify(warrant, &pod.digest)?;
    if request.headers().contains_key("Inference-Header-Content-Length") {
        return Err(Problem::Binary);
    }
    let body = body.map_err(|error| unread(&error, pod.body_limit))?;
    if pod.finds_names {
        let (request, parts) = unless_large(pod, body, Pod::read_parts).await?;
        tracing::debug!(decision = %claims.dec, parts = parts.len(), "a call is accepted");
        let response = pod.find_names(request.texts.len(), parts).await?;
        drop(accepted);
        return Ok(response.to_json(request.id.as_deref()));
    }
    let (request, texts) = unless_large(pod, body, Pod::read).await?;
    tracing::debug!(decision = %claims.dec, texts = texts.len(), "a call is accepted");
    let response = pod.classify(texts, request.top_k).await?;
    drop(accepted);
    Ok(response.to_json(request.id.as_deref()))
}

/// Reads a body here, or, if it is large, on a thread where it holds up nobody.
async fn unless_large<T: Send + 'static>(
    pod: &Data<Pod>,
    body: Bytes,
    read: fn(&Pod, &[u8]) -> Result<T, Problem>,
) -> Result<T, Problem> {
    if body.len() <= LARGE_BODY {
        return read(pod, &body);
    }
    let pod = pod.clone();
    web::block(move || read(&pod, &body)).await.map_err(|_| Problem::Failed)?
}

fn served(pod: &Pod, asked: &Asked) -> Result<(), Problem> {
    if asked.model != pod.name {
        return Err(Problem::Model { asked: asked.model.clone(), served: pod.name.clone() });
    }
    match &asked.version {
        Some(version) if *version != pod.version => Err(Problem::Version {
            asked: version.clone(),
            model: pod.name.clone(),
            served: pod.version.clone(),
        }),
        _ => Ok(()),
    }
}

fn unread(error: &actix_web::Error, most: usize) -> Problem {
    match error.as_error::<PayloadError>() {
        Some(PayloadError::Overflow) => Problem::Body { most },
        _ => Problem::Cut,
    }
}
