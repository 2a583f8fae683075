//! Serves model bundles over the Open Inference Protocol v2, in one region, to those who bring a
//! warrant for it. Texts of all calls share forward passes: a free worker takes what waits, in an
//! order that is fair between tenants.
//!
//! Of a tenant it knows the name and the weight that a warrant says, of policy and prices nothing,
//! and it keeps no text.

mod arguments;
mod batch;
mod call;
mod cores;
mod explain;
mod grpc;
mod infer;
mod metrics;
mod model;
mod models;
mod order;
mod pod;
mod problem;
mod queue;
mod recorder;
mod remote;
mod repository;
mod routes;
mod runtime;
mod serve;
mod source;
mod stats;
mod turns;
mod worker;

#[cfg(test)]
mod batching_tests;

use clap::Parser as _;
use reeve_telemetry::{Format, TelemetryOptions};

use crate::arguments::Arguments;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let _guard = reeve_telemetry::init(&TelemetryOptions {
        service: "reeve-pod",
        format: if arguments.log_json { Format::Json } else { Format::Text },
        level: arguments.log.clone(),
        otlp_endpoint: arguments.otlp_endpoint.clone(),
    })?;
    serve::serve(arguments).await
}
