//! The Open Inference Protocol v2 over gRPC: the same calls as over HTTP.

use std::{pin::Pin, sync::Arc, time::Duration};

use actix_web::http::StatusCode;
use futures_util::{Stream, StreamExt as _};
use reeve_grpc::{
    convert::{self, Malformed},
    inference::{
        InferBatchStatistics, InferStatistics, ModelInferRequest, ModelInferResponse,
        ModelMetadataRequest, ModelMetadataResponse, ModelReadyRequest, ModelReadyResponse,
        ModelStatistics, ModelStatisticsRequest, ModelStatisticsResponse, ModelStreamInferResponse,
        RepositoryIndexRequest, RepositoryIndexResponse, RepositoryModelLoadRequest,
        RepositoryModelLoadResponse, RepositoryModelUnloadRequest, RepositoryModelUnloadResponse,
        ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest, ServerMetadataResponse,
        ServerReadyRequest, ServerReadyResponse, StatisticDuration,
        grpc_inference_service_server::GrpcInferenceService,
        model_metadata_response::TensorMetadata, repository_index_response::ModelIndex,
    },
};
use reeve_protocol::{
    oip,
    order::ORDER_HEADER,
    warrant::{DEADLINE_HEADER, WARRANT_HEADER},
};
use tonic::{Code, Request, Response, Status, Streaming, metadata::MetadataMap};
use tracing::{Instrument as _, field::Empty};

use crate::{
    infer::{Body, Head, infer},
    models::Asked,
    pod::Pod,
    problem::Problem,
    repository, routes,
    stats::{ModelStats, Sum},
};

/// The service over one pod.
pub(crate) struct Service(pub(crate) Arc<Pod>);

type Answer<T> = Result<Response<T>, Status>;

fn done<T>(message: T) -> Answer<T> {
    Ok(Response::new(message))
}

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        let code = match problem.status() {
            StatusCode::NOT_FOUND => Code::NotFound,
            StatusCode::FORBIDDEN => Code::PermissionDenied,
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::BAD_REQUEST => Code::InvalidArgument,
            StatusCode::TOO_MANY_REQUESTS => Code::ResourceExhausted,
            StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
            StatusCode::GATEWAY_TIMEOUT => Code::DeadlineExceeded,
            _ => Code::Internal,
        };
        let mut metadata = MetadataMap::new();
        if let Some(seconds) = problem.retry_after() {
            metadata.insert("retry-after", seconds.into());
        }
        Self::with_metadata(code, problem.to_string(), metadata)
    }
}

fn malformed(Malformed(what): Malformed) -> Status {
    Status::invalid_argument(what)
}

fn value(metadata: &MetadataMap, name: &str) -> Option<String> {
    metadata.get(name.to_ascii_lowercase()).and_then(|v| v.to_str().ok()).map(str::to_owned)
}

/// How long the caller still waits: what it says to us, or to gRPC.
fn wait(metadata: &MetadataMap) -> Option<Duration> {
    let own = value(metadata, DEADLINE_HEADER).and_then(|ms| ms.parse().ok());
    let own = own.map(Duration::from_millis);
    let grpc = value(metadata, "grpc-timeout").and_then(|text| timeout(&text));
    own.into_iter().chain(grpc).min()
}

/// A number and a unit, as gRPC writes it over HTTP/2.
fn timeout(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = number.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number.saturating_mul(3600)),
        "M" => Duration::from_secs(number.saturating_mul(60)),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

/// An empty version means any.
fn asked<'a>(name: &'a str, version: &'a str) -> Asked<'a> {
    Asked { name, version: Some(version).filter(|text| !text.is_empty()), digest: None }
}

async fn answer(
    pod: &Arc<Pod>,
    metadata: &MetadataMap,
    message: ModelInferRequest,
) -> Result<ModelInferResponse, Status> {
    let head = Head {
        model: message.model_name.clone(),
        version: Some(message.model_version.clone()).filter(|version| !version.is_empty()),
        warrant: value(metadata, WARRANT_HEADER),
        wait: wait(metadata),
    };
    let span = tracing::info_span!(
        "infer",
        decision = value(metadata, "Reeve-Decision"),
        texts = Empty,
        queue_us = Empty,
        compute_us = Empty
    );
    if let Some(traceparent) = value(metadata, "traceparent") {
        reeve_telemetry::trace::join(&span, &traceparent);
    }
    let (request, raw) = convert::request(message).map_err(malformed)?;
    let answered = infer(pod, head, Body::Message(request, raw)).instrument(span).await?;
    let (model, id) = (&answered.model, answered.id.as_deref());
    Ok(convert::response(&model.name, &model.version, id, &answered.outputs))
}

fn sum(sum: Sum) -> Option<StatisticDuration> {
    Some(StatisticDuration { count: sum.count, ns: sum.ns })
}

fn statistics(stats: ModelStats) -> ModelStatistics {
    let sums = stats.inference_stats;
    let none = Some(StatisticDuration::default());
    ModelStatistics {
        name: stats.name,
        version: stats.version,
        last_inference: stats.last_inference,
        inference_count: stats.inference_count,
        execution_count: stats.execution_count,
        inference_stats: Some(InferStatistics {
            success: sum(sums.success),
            fail: sum(sums.fail),
            queue: sum(sums.queue),
            compute_input: sum(sums.compute_input),
            compute_infer: sum(sums.compute_infer),
            compute_output: sum(sums.compute_output),
            cache_hit: none,
            cache_miss: none,
        }),
        batch_stats: stats
            .batch_stats
            .into_iter()
            .map(|batch| InferBatchStatistics {
                batch_size: batch.batch_size,
                compute_infer: sum(batch.compute_infer),
                ..InferBatchStatistics::default()
            })
            .collect(),
    }
}

#[tonic::async_trait]
impl GrpcInferenceService for Service {
    type ModelStreamInferStream =
        Pin<Box<dyn Stream<Item = Result<ModelStreamInferResponse, Status>> + Send>>;

    async fn server_live(&self, _: Request<ServerLiveRequest>) -> Answer<ServerLiveResponse> {
        done(ServerLiveResponse { live: true })
    }

    async fn server_ready(&self, _: Request<ServerReadyRequest>) -> Answer<ServerReadyResponse> {
        done(ServerReadyResponse { ready: self.0.is_ready() })
    }

    async fn model_ready(&self, request: Request<ModelReadyRequest>) -> Answer<ModelReadyResponse> {
        let ModelReadyRequest { name, version } = request.into_inner();
        let model = self.0.models.find(asked(&name, &version));
        done(ModelReadyResponse { ready: model.is_ok_and(|model| model.is_ready()) })
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Answer<ServerMetadataResponse> {
        let oip::ServerMetadata { name, version, extensions } = routes::server_metadata();
        done(ServerMetadataResponse { name, version, extensions })
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Answer<ModelMetadataResponse> {
        let ModelMetadataRequest { name, version } = request.into_inner();
        let model = self.0.models.find(asked(&name, &version))?;
        let described = routes::describe(&self.0.models, &model);
        let tensors = |all: Vec<oip::TensorMetadata>| {
            let tensor = |oip::TensorMetadata { name, datatype, shape }| TensorMetadata {
                name,
                datatype,
                shape,
            };
            all.into_iter().map(tensor).collect()
        };
        done(ModelMetadataResponse {
            name: described.name,
            versions: described.versions,
            platform: described.platform,
            inputs: tensors(described.inputs),
            outputs: tensors(described.outputs),
            properties: [("digest".to_owned(), model.digest.to_string())].into(),
        })
    }

    async fn model_infer(&self, request: Request<ModelInferRequest>) -> Answer<ModelInferResponse> {
        let (metadata, _, message) = request.into_parts();
        done(answer(&self.0, &metadata, message).await?)
    }

    async fn model_stream_infer(
        &self,
        request: Request<Streaming<ModelInferRequest>>,
    ) -> Answer<Self::ModelStreamInferStream> {
        let (metadata, _, stream) = request.into_parts();
        let (pod, metadata) = (self.0.clone(), Arc::new(metadata));
        // One after the other, so that the answers come in the requests' order. A fault of one
        // ends that one, not the stream.
        let answers = stream.then(move |message| {
            let (pod, metadata) = (pod.clone(), metadata.clone());
            async move {
                match answer(&pod, &metadata, message?).await {
                    Ok(response) => Ok(ModelStreamInferResponse {
                        error_message: String::new(),
                        infer_response: Some(response),
                    }),
                    Err(status) => Ok(ModelStreamInferResponse {
                        error_message: status.message().to_owned(),
                        infer_response: None,
                    }),
                }
            }
        });
        done(Box::pin(answers))
    }

    async fn model_statistics(
        &self,
        request: Request<ModelStatisticsRequest>,
    ) -> Answer<ModelStatisticsResponse> {
        let ModelStatisticsRequest { name, version } = request.into_inner();
        let all = self.0.models.loaded();
        if !name.is_empty() {
            self.0.models.find(asked(&name, &version))?;
        }
        let of = all.iter().filter(|model| {
            (name.is_empty() || model.name == name)
                && (version.is_empty() || model.version == version)
        });
        let model_stats = of.map(|model| statistics(model.stats())).collect();
        done(ModelStatisticsResponse { model_stats })
    }

    async fn repository_index(
        &self,
        request: Request<RepositoryIndexRequest>,
    ) -> Answer<RepositoryIndexResponse> {
        let ready = request.into_inner().ready;
        let listed = self.0.models.list().into_iter();
        let models = listed.filter(|model| !ready || model.state == "READY").map(|model| {
            let (name, version, reason) = (model.name, model.version, model.reason);
            ModelIndex { name, version, state: model.state.to_owned(), reason }
        });
        done(RepositoryIndexResponse { models: models.collect() })
    }

    async fn repository_model_load(
        &self,
        request: Request<RepositoryModelLoadRequest>,
    ) -> Answer<RepositoryModelLoadResponse> {
        let order = value(request.metadata(), ORDER_HEADER);
        repository::load(&self.0, &request.into_inner().model_name, order.as_deref()).await?;
        done(RepositoryModelLoadResponse {})
    }

    async fn repository_model_unload(
        &self,
        request: Request<RepositoryModelUnloadRequest>,
    ) -> Answer<RepositoryModelUnloadResponse> {
        let order = value(request.metadata(), ORDER_HEADER);
        repository::unload(&self.0, &request.into_inner().model_name, order.as_deref()).await?;
        done(RepositoryModelUnloadResponse {})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_read_as_grpc_writes_it() {
        assert_eq!(timeout("250m"), Some(Duration::from_millis(250)));
        assert_eq!(timeout("2S"), Some(Duration::from_secs(2)));
        for bad in ["", "S", "2", "2x", "é"] {
            assert_eq!(timeout(bad), None, "{bad}");
        }
    }
}
