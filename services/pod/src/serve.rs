//! From the arguments to a pod that serves, and to its end.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, thread, time::Duration};

use actix_web::{
    App, HttpServer,
    web::{Data, PayloadConfig},
};
use anyhow::Context as _;
use reeve_domain::{SystemClock, SystemEntropy};
use reeve_grpc::inference::grpc_inference_service_server::GrpcInferenceServiceServer;
use reeve_protocol::{
    keys::read_verifying_key, order::OrderVerifier, signature::Vouchers, warrant::WarrantVerifier,
};
use reeve_registry::{Cache, Registry};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

use crate::{
    arguments::Arguments,
    cores::Cores,
    grpc::Service,
    metrics::Metrics,
    models::Models,
    pod::{Pod, State},
    recorder::Recorder,
    remote::Remote,
    routes,
    runtime::Runtime,
    source::{Folder, Source},
};

/// Connections that stay open without a call are cut after this when the pod stops.
const IDLE_AT_STOP: Duration = Duration::from_secs(2);

/// Serves until it is told to stop, and finishes what it accepted.
pub(crate) async fn serve(arguments: Arguments) -> anyhow::Result<()> {
    // Before anything is ready, so that no signal finds its default action.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let pod = Arc::new(make(&arguments)?);
    let app = Data::from(pod.clone());
    let server = HttpServer::new(move || {
        // Made by each thread that reads calls.
        reeve_threads::interrupt_nobody();
        App::new()
            .app_data(app.clone())
            .app_data(PayloadConfig::new(app.body_limit))
            .configure(routes::configure)
    })
    // A client that hangs up ends its call, so that nothing is computed for nobody.
    .h1_allow_half_closed(false)
    .disable_signals()
    .shutdown_timeout(IDLE_AT_STOP.as_secs())
    .bind(arguments.listen)
    .with_context(|| format!("cannot listen on `{}`", arguments.listen))?
    .run();
    let handle = server.handle();
    let server = actix_web::rt::spawn(server);
    let grpc =
        arguments.grpc_listen.map(|address| Grpc::start(pod.clone(), address)).transpose()?;

    // Live at once, ready when every worker has its network.
    for dir in &arguments.bundle {
        let model = pod.models.load(dir, None).await;
        let model = model.with_context(|| format!("`{}` cannot be served", dir.display()))?;
        tracing::info!(
            model = model.name, version = model.version, digest = %model.digest,
            bytes = model.bytes(), "serves"
        );
    }
    pod.state.started();
    tracing::info!(
        address = %arguments.listen, grpc = ?arguments.grpc_listen, region = %arguments.region,
        device = ?pod.runtime.device, workers = pod.runtime.workers, "ready"
    );

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: what was accepted is finished");
    pod.drain().await;
    if let Some(grpc) = grpc {
        grpc.stop().await?;
    }
    handle.stop(true).await;
    server.await??;
    tracing::info!("stopped");
    Ok(())
}

fn make(arguments: &Arguments) -> anyhow::Result<Pod> {
    let clock = Arc::new(SystemClock::default());
    let key = read_verifying_key(&arguments.warrant_key)?;
    let order_key = match &arguments.order_key {
        Some(path) => read_verifying_key(path)?,
        None => key,
    };
    let region = arguments.region.clone();
    let library = arguments.library()?;
    let device = arguments.device(&library)?;
    let workers = arguments.workers(device);
    let recorder = match &arguments.record_inputs {
        None => None,
        Some(path) => {
            tracing::warn!(
                file = %path.display(),
                "EVERY RECEIVED TEXT IS WRITTEN DOWN IN THE CLEAR; never use this on real data"
            );
            Some(Recorder::open(path).context("the file of `--record-inputs` cannot be opened")?)
        }
    };
    let runtime = Arc::new(Runtime {
        clock: clock.clone(),
        metrics: Metrics::new()?,
        cores: Cores::new(workers.get()),
        device,
        backend: Arc::new(library),
        serving: arguments.serving(),
        workers,
        shape: arguments.shape(device),
        queue: arguments.queue,
        deadline: Duration::from_millis(arguments.deadline_ms.get()),
    });
    let memory = arguments.memory_mb.get().saturating_mul(1 << 20);
    Ok(Pod {
        models: Models::new(runtime.clone(), memory, Vouchers::read(&arguments.model_key)?),
        runtime,
        warrants: WarrantVerifier::new(key, region.clone(), clock.clone(), &SystemEntropy),
        orders: OrderVerifier::new(order_key, region, clock),
        source: source(arguments)?,
        recorder,
        body_limit: arguments.max_body.get(),
        state: State::default(),
    })
}

/// Where bundles come from that are ordered.
fn source(arguments: &Arguments) -> anyhow::Result<Option<Box<dyn Source>>> {
    if let (Some(store), Some(cache)) = (&arguments.store, &arguments.cache) {
        let cache = Cache::open(cache, arguments.cache_mb.saturating_mul(1 << 20))?;
        return Ok(Some(Box::new(Remote::new(Registry::open(store)?, cache))));
    }
    let folder = |dir: &PathBuf| -> Box<dyn Source> { Box::new(Folder(dir.clone())) };
    Ok(arguments.model_store.as_ref().map(folder))
}

/// The gRPC server, on threads of its own: the others belong to HTTP.
struct Grpc {
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<Result<(), tonic::transport::Error>>,
}

impl Grpc {
    fn start(pod: Arc<Pod>, address: SocketAddr) -> anyhow::Result<Self> {
        let listener = std::net::TcpListener::bind(address)
            .with_context(|| format!("cannot listen on `{address}`"))?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(thread::available_parallelism().map_or(1, usize::from))
            .thread_name("grpc")
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        let limit = pod.body_limit;
        let service =
            GrpcInferenceServiceServer::new(Service(pod)).max_decoding_message_size(limit);
        thread::Builder::new().name("grpc".to_owned()).spawn(move || {
            let served = runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener);
                let incoming = match listener {
                    Ok(listener) => tonic::transport::server::TcpIncoming::from(listener),
                    Err(error) => {
                        tracing::error!(%error, "gRPC cannot be served");
                        return Ok(());
                    }
                };
                tonic::transport::Server::builder()
                    .add_service(service)
                    .serve_with_incoming_shutdown(incoming.with_nodelay(Some(true)), async {
                        // A sender that is gone means the same.
                        drop(stopped.await);
                    })
                    .await
            });
            // Nobody asks any more.
            drop(end.send(served));
        })?;
        Ok(Self { stop, ended })
    }

    /// Takes no more connections and waits for the calls under way.
    async fn stop(self) -> anyhow::Result<()> {
        // A server that has ended by itself needs no word.
        let _ended = self.stop.send(());
        // Clients may hold streams open without asking anything.
        match tokio::time::timeout(IDLE_AT_STOP, self.ended).await {
            Ok(ended) => Ok(ended.unwrap_or(Ok(()))?),
            Err(_) => Ok(()),
        }
    }
}
