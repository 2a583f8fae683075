//! The gRPC port. Messages come in on the threads of their connections; there the pipeline runs for
//! them as it does for HTTP, and what it answers is put into a status or a message.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    pin::Pin,
    sync::Arc,
};

use actix_rt::Arbiter;
use actix_web::{
    HttpResponse,
    body::MessageBody as _,
    dev::Payload,
    http::header::{HeaderMap, HeaderName, HeaderValue},
    rt,
    web::Bytes,
};
use futures_util::{Stream, StreamExt as _, future, stream};
use prost::Message as _;
use reeve_grpc::inference::{
    ModelInferRequest, ModelInferResponse, ModelMetadataRequest, ModelMetadataResponse,
    ModelReadyRequest, ModelReadyResponse, ModelStatisticsRequest, ModelStatisticsResponse,
    ModelStreamInferResponse, RepositoryIndexRequest, RepositoryIndexResponse,
    RepositoryModelLoadRequest, RepositoryModelLoadResponse, RepositoryModelUnloadRequest,
    RepositoryModelUnloadResponse, ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest,
    ServerMetadataResponse, ServerReadyRequest, ServerReadyResponse,
    grpc_inference_service_server::{GrpcInferenceService, GrpcInferenceServiceServer},
    model_metadata_response::TensorMetadata,
    repository_index_response::ModelIndex,
};
use reeve_protocol::oip;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code, Request, Response, Status, Streaming,
    metadata::{KeyAndValueRef, MetadataMap, MetadataValue},
    transport::Server,
};

use crate::{
    fronts::{
        Target,
        grpc::Grpc,
        oip::{Described, describe, described},
    },
    gate::{Gate, Shared},
    pipeline::{self, Call},
};

/// Calls that wait on one thread for the pipeline to begin with them; more are refused.
const MOST_WAITING: usize = 1_024;

/// The running port.
pub(crate) struct GrpcServer {
    stop: watch::Sender<bool>,
    stopped: Vec<oneshot::Receiver<()>>,
    pub(crate) address: SocketAddr,
}

impl GrpcServer {
    /// Listens, on as many threads as are named.
    pub(crate) fn start(
        address: SocketAddr,
        threads: usize,
        shared: &Arc<Shared>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopping) = watch::channel(false);
        let mut stopped = Vec::new();
        for _ in 0..threads.max(1) {
            let (listener, stopping) = (listener.try_clone()?, stopping.clone());
            let (done, end) = oneshot::channel();
            let shared = Arc::clone(shared);
            let serve = move || {
                rt::spawn(async move {
                    if let Err(fault) = serve(listener, shared, stopping).await {
                        tracing::error!(error = %fault, "the gRPC port failed");
                    }
                    // Nobody may wait for it any more.
                    done.send(()).ok();
                });
            };
            if !Arbiter::new().spawn_fn(serve) {
                return Err(io::Error::other("a thread of the gRPC port does not run"));
            }
            stopped.push(end);
        }
        tracing::info!(%address, "the gateway listens for gRPC");
        Ok(Self { stop, stopped, address })
    }

    /// Takes no more calls and waits for those that are under way.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        future::join_all(self.stopped).await;
    }
}

async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    mut stopping: watch::Receiver<bool>,
) -> Result<(), Box<dyn std::error::Error>> {
    let (calls, mut waiting) = mpsc::channel::<Job>(MOST_WAITING);
    let most = shared.body_limit;
    let gate = Gate::new(Arc::clone(&shared));
    rt::spawn(async move {
        while let Some(job) = waiting.recv().await {
            let gate = gate.clone();
            rt::spawn(async move {
                let answer = answer(&gate, job.asked, &job.metadata, job.target, job.body).await;
                // A client that is gone needs no answer.
                drop(job.reply.send(answer));
            });
        }
    });
    let service = GrpcInferenceServiceServer::new(Service { calls, shared })
        // What is around the texts takes room too.
        .max_decoding_message_size(most.saturating_add(64 * 1024));
    let connections = TcpListenerStream::new(tokio::net::TcpListener::from_std(listener)?);
    let until = async move { drop(stopping.wait_for(|stop| *stop).await) };
    Server::builder()
        .tcp_nodelay(true)
        .add_service(service)
        .serve_with_incoming_shutdown(connections, until)
        .await?;
    Ok(())
}

/// What a message asks.
#[derive(Clone, Copy)]
enum Asked {
    Infer,
    Of(Described),
}

impl Asked {
    /// The method's path, as it stands in records and metrics.
    const fn route(self) -> &'static str {
        match self {
            Self::Infer => "/inference.GRPCInferenceService/ModelInfer",
            Self::Of(Described::Metadata) => "/inference.GRPCInferenceService/ModelMetadata",
            Self::Of(Described::Ready) => "/inference.GRPCInferenceService/ModelReady",
            Self::Of(Described::Index) => "/inference.GRPCInferenceService/RepositoryIndex",
        }
    }
}

/// A message on its way to the pipeline, whose parts do not leave their thread.
struct Job {
    asked: Asked,
    metadata: MetadataMap,
    target: Target,
    body: Bytes,
    reply: oneshot::Sender<Result<Bytes, Status>>,
}

async fn answer(
    gate: &Gate,
    asked: Asked,
    metadata: &MetadataMap,
    target: Target,
    body: Bytes,
) -> Result<Bytes, Status> {
    let body = stream::once(future::ready(Ok(body))).boxed_local();
    let body = Payload::from(body);
    let headers = headers(metadata);
    let call = Call::told(gate, &headers, target.clone(), body, asked.route(), &Grpc);
    let response = match asked {
        Asked::Infer => pipeline::run(gate, call).await,
        Asked::Of(what) => describe(gate, call, &target, what).await,
    };
    told(response)
}

/// A call's metadata as the pipeline reads it.
fn headers(metadata: &MetadataMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for entry in metadata.iter() {
        let KeyAndValueRef::Ascii(name, value) = entry else { continue };
        let name = HeaderName::from_bytes(name.as_str().as_bytes());
        let value = HeaderValue::from_bytes(value.as_encoded_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.insert(name, value);
        }
    }
    // gRPC has a header of its own for how long a caller waits.
    let patience = metadata.get("grpc-timeout").and_then(|value| millis(value.to_str().ok()?));
    if let Some(millis) = patience {
        headers.insert(HeaderName::from_static("reeve-deadline-ms"), HeaderValue::from(millis));
    }
    headers
}

/// A number and a unit, as gRPC writes it over HTTP/2.
fn millis(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = number.parse().ok()?;
    match unit {
        "H" => number.checked_mul(3_600_000),
        "M" => number.checked_mul(60_000),
        "S" => number.checked_mul(1_000),
        "m" => Some(number),
        "u" => number.checked_div(1_000),
        "n" => number.checked_div(1_000_000),
        _ => None,
    }
}

/// The pipeline's answer as a message, or as a status with what HTTP's headers would say.
fn told(response: HttpResponse) -> Result<Bytes, Status> {
    let (head, body) = response.into_parts();
    let body = body.try_into_bytes().unwrap_or_default();
    if head.status().is_success() {
        return Ok(body);
    }
    let mut metadata = MetadataMap::new();
    for name in ["reeve-code", "reeve-decision", "reeve-policy", "retry-after"] {
        let value = head.headers().get(name).and_then(|value| value.to_str().ok());
        if let Some(Ok(value)) = value.map(MetadataValue::try_from) {
            metadata.insert(name, value);
        }
    }
    let code = match head.status().as_u16() {
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        409 => Code::Aborted,
        429 => Code::ResourceExhausted,
        400..=499 => Code::InvalidArgument,
        503 => Code::Unavailable,
        504 => Code::DeadlineExceeded,
        _ => Code::Internal,
    };
    Err(Status::with_metadata(code, String::from_utf8_lossy(&body), metadata))
}

struct Service {
    calls: mpsc::Sender<Job>,
    shared: Arc<Shared>,
}

type Answer<T> = Result<Response<T>, Status>;

fn target(model: &str, version: &str) -> Target {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Target { model: some(model), version: some(version), json_length: None }
}

async fn ask(
    calls: &mpsc::Sender<Job>,
    asked: Asked,
    metadata: MetadataMap,
    target: Target,
    body: Bytes,
) -> Result<Bytes, Status> {
    let (reply, answer) = oneshot::channel();
    calls
        .try_send(Job { asked, metadata, target, body, reply })
        .map_err(|_| Status::unavailable("too many calls wait here"))?;
    answer.await.map_err(|_| Status::internal("the call was cut off"))?
}

async fn infer(
    calls: &mpsc::Sender<Job>,
    metadata: MetadataMap,
    message: ModelInferRequest,
) -> Result<ModelInferResponse, Status> {
    let target = target(&message.model_name, &message.model_version);
    let body = message.encode_to_vec().into();
    let answer = ask(calls, Asked::Infer, metadata, target, body).await?;
    ModelInferResponse::decode(answer).map_err(|_| Status::internal("the answer cannot be read"))
}

impl Service {
    async fn described<T: DeserializeOwned>(
        &self,
        what: Described,
        metadata: MetadataMap,
        target: Target,
    ) -> Result<T, Status> {
        let told = ask(&self.calls, Asked::Of(what), metadata, target, Bytes::new()).await?;
        serde_json::from_slice(&told).map_err(|_| Status::internal("the answer cannot be read"))
    }
}

#[tonic::async_trait]
impl GrpcInferenceService for Service {
    type ModelStreamInferStream =
        Pin<Box<dyn Stream<Item = Result<ModelStreamInferResponse, Status>> + Send>>;

    async fn server_live(&self, _: Request<ServerLiveRequest>) -> Answer<ServerLiveResponse> {
        Ok(Response::new(ServerLiveResponse { live: true }))
    }

    async fn server_ready(&self, _: Request<ServerReadyRequest>) -> Answer<ServerReadyResponse> {
        Ok(Response::new(ServerReadyResponse { ready: self.shared.is_ready() }))
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Answer<ServerMetadataResponse> {
        let oip::ServerMetadata { name, version, extensions } = described();
        Ok(Response::new(ServerMetadataResponse { name, version, extensions }))
    }

    async fn model_ready(&self, request: Request<ModelReadyRequest>) -> Answer<ModelReadyResponse> {
        let (metadata, _, ModelReadyRequest { name, version }) = request.into_parts();
        let told: Result<serde_json::Value, _> =
            self.described(Described::Ready, metadata, target(&name, &version)).await;
        match told {
            Ok(_) => Ok(Response::new(ModelReadyResponse { ready: true })),
            Err(status) if status.code() == Code::Unavailable => {
                Ok(Response::new(ModelReadyResponse { ready: false }))
            }
            Err(status) => Err(status),
        }
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Answer<ModelMetadataResponse> {
        let (metadata, _, ModelMetadataRequest { name, version }) = request.into_parts();
        let told: oip::ModelMetadata =
            self.described(Described::Metadata, metadata, target(&name, &version)).await?;
        let tensors = |all: Vec<oip::TensorMetadata>| {
            let tensor = |oip::TensorMetadata { name, datatype, shape }| TensorMetadata {
                name,
                datatype,
                shape,
            };
            all.into_iter().map(tensor).collect()
        };
        let digest = told.parameters.get("digest").and_then(serde_json::Value::as_str);
        Ok(Response::new(ModelMetadataResponse {
            properties: digest
                .map(|digest| ("digest".to_owned(), digest.to_owned()))
                .into_iter()
                .collect(),
            name: told.name,
            versions: told.versions,
            platform: told.platform,
            inputs: tensors(told.inputs),
            outputs: tensors(told.outputs),
        }))
    }

    async fn model_infer(&self, request: Request<ModelInferRequest>) -> Answer<ModelInferResponse> {
        let (metadata, _, message) = request.into_parts();
        infer(&self.calls, metadata, message).await.map(Response::new)
    }

    async fn model_stream_infer(
        &self,
        request: Request<Streaming<ModelInferRequest>>,
    ) -> Answer<Self::ModelStreamInferStream> {
        let (metadata, _, messages) = request.into_parts();
        let calls = self.calls.clone();
        // One after the other, so that the answers come in the requests' order. A refusal of one
        // ends that one, not the stream.
        let answers = messages.then(move |message| {
            let (calls, metadata) = (calls.clone(), metadata.clone());
            async move {
                let answered = infer(&calls, metadata, message?).await;
                Ok(match answered {
                    Ok(response) => ModelStreamInferResponse {
                        error_message: String::new(),
                        infer_response: Some(response),
                    },
                    Err(status) => ModelStreamInferResponse {
                        error_message: status.message().to_owned(),
                        infer_response: None,
                    },
                })
            }
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn repository_index(
        &self,
        request: Request<RepositoryIndexRequest>,
    ) -> Answer<RepositoryIndexResponse> {
        let (metadata, _, RepositoryIndexRequest { ready, .. }) = request.into_parts();
        let told: Vec<serde_json::Value> =
            self.described(Described::Index, metadata, target("", "")).await?;
        let models = told.into_iter().map(|model| {
            let text = |name: &str| model.get(name).and_then(serde_json::Value::as_str);
            let of = |name: &str| text(name).unwrap_or_default().to_owned();
            let (name, version) = (of("name"), of("version"));
            ModelIndex { name, version, state: of("state"), reason: of("reason") }
        });
        let models = models.filter(|model| !ready || model.state == "READY").collect();
        Ok(Response::new(RepositoryIndexResponse { models }))
    }

    async fn model_statistics(
        &self,
        _: Request<ModelStatisticsRequest>,
    ) -> Answer<ModelStatisticsResponse> {
        Err(Status::unimplemented("ask `GET /v1/usage` for what you used"))
    }

    async fn repository_model_load(
        &self,
        _: Request<RepositoryModelLoadRequest>,
    ) -> Answer<RepositoryModelLoadResponse> {
        Err(Status::unimplemented("models are loaded by operators, not by tenants"))
    }

    async fn repository_model_unload(
        &self,
        _: Request<RepositoryModelUnloadRequest>,
    ) -> Answer<RepositoryModelUnloadResponse> {
        Err(Status::unimplemented("models are unloaded by operators, not by tenants"))
    }
}

#[cfg(test)]
mod tests {
    use reeve_protocol::warrant::DEADLINE_HEADER;

    use super::*;

    #[test]
    fn what_a_caller_says_is_read_as_headers() {
        let mut metadata = MetadataMap::new();
        metadata.insert("authorization", MetadataValue::from_static("Bearer x"));
        metadata.insert("grpc-timeout", MetadataValue::from_static("2S"));
        metadata.insert_bin("trace-bin", MetadataValue::from_bytes(b"\x01"));
        let headers = headers(&metadata);
        assert_eq!(headers.get("Authorization").unwrap(), "Bearer x");
        assert_eq!(headers.get(DEADLINE_HEADER).unwrap(), "2000");
        assert_eq!(headers.get("trace-bin"), None);
    }

    #[test]
    fn a_timeout_is_read_as_grpc_writes_it() {
        assert_eq!(millis("250m"), Some(250));
        assert_eq!(millis("1H"), Some(3_600_000));
        for bad in ["", "S", "2", "2x", "é"] {
            assert_eq!(millis(bad), None, "{bad}");
        }
    }
}
