//! Serves one model bundle over the Open Inference Protocol v2, in one region, to those who bring
//! a warrant for it. Texts of all calls share forward passes: a free worker takes what waits.
//!
//! It knows nothing of tenants, policy or prices, and it keeps no text.

mod arguments;
mod call;
mod metrics;
mod pod;
mod problem;
mod queue;
mod recorder;
mod routes;
mod worker;

#[cfg(test)]
mod batching_tests;

use std::{sync::Arc, time::Duration};

use actix_web::{
    App, HttpServer,
    web::{Data, PayloadConfig},
};
use anyhow::Context as _;
use clap::Parser as _;
use reeve_classifier::Bundle;
use reeve_domain::SystemClock;
use reeve_protocol::{keys::read_verifying_key, warrant::WarrantVerifier};
use reeve_telemetry::{Format, TelemetryOptions};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    arguments::Arguments,
    pod::{Pod, Setting},
    recorder::Recorder,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Connections that stay open without a call are cut after this when the pod stops.
const IDLE_AT_STOP: Duration = Duration::from_secs(2);

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let _guard = reeve_telemetry::init(&TelemetryOptions {
        service: "reeve-pod",
        format: if arguments.log_json { Format::Json } else { Format::Text },
        level: arguments.log.clone(),
        otlp_endpoint: arguments.otlp_endpoint.clone(),
    })?;
    serve(arguments).await
}

async fn serve(arguments: Arguments) -> anyhow::Result<()> {
    // Before anything is ready, so that no signal finds its default action.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let clock = Arc::new(SystemClock::default());
    let key = read_verifying_key(&arguments.warrant_key)?;
    let device = arguments.device()?;
    let workers = arguments.workers(device);
    let bundle = Arc::new(Bundle::open(&arguments.bundle).context("the bundle cannot be opened")?);
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
    let setting = Setting {
        warrants: WarrantVerifier::new(key, arguments.region.clone(), clock.clone()),
        recorder,
        clock,
        body_limit: arguments.max_body.get(),
        deadline: Duration::from_millis(arguments.deadline_ms.get()),
        queue: arguments.queue,
    };
    let pod = Data::new(Pod::new(&bundle, setting)?);
    let app = pod.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(app.clone())
            .app_data(PayloadConfig::new(app.body_limit))
            .configure(routes::configure)
    })
    .disable_signals()
    .shutdown_timeout(IDLE_AT_STOP.as_secs())
    .bind(arguments.listen)
    .with_context(|| format!("cannot listen on `{}`", arguments.listen))?
    .run();
    let handle = server.handle();
    let server = actix_web::rt::spawn(server);

    // Live at once, ready when every worker has its network.
    let (starting, max_batch) = (pod.clone().into_inner(), arguments.max_batch);
    let opened = bundle.clone();
    let start = move || starting.start(&opened, device, workers, max_batch);
    tokio::task::spawn_blocking(start).await??;
    tracing::info!(
        address = %arguments.listen, region = %arguments.region, model = bundle.name(),
        version = bundle.version(), digest = bundle.digest(), ?device, workers, "ready"
    );

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: what was accepted is finished");
    pod.drain().await;
    handle.stop(true).await;
    server.await??;
    tracing::info!("stopped");
    Ok(())
}
