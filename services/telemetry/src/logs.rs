use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource, metrics::SdkMeterProvider, propagation::TraceContextPropagator,
    trace::SdkTracerProvider,
};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    EnvFilter, Layer as _, filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::metrics;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How a program reports on itself.
#[derive(Clone, Debug)]
pub struct TelemetryOptions {
    /// The program's name in traces and metrics.
    pub service: &'static str,
    /// How log lines look.
    pub format: Format,
    /// Which lines are written: a level, or directives as `tracing` knows them.
    pub level: String,
    /// The base address of an OTLP collector over HTTP, `http://127.0.0.1:4318`; none: nothing is
    /// exported.
    pub otlp_endpoint: Option<String>,
}

/// Telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetUpFailed {
    /// The level cannot be read.
    #[error("`{0}` is not a log level or a list of directives such as `info,reeve_gateway=debug`")]
    Level(String),
    /// The exporter cannot be made.
    #[error("traces and metrics cannot be exported to `{endpoint}`: {fault}")]
    Export {
        /// The collector.
        endpoint: String,
        /// What is wrong with it.
        fault: String,
    },
    /// Somebody has set it up already.
    #[error("logging is set up already")]
    Twice,
}

/// Sends what is still waiting when the program ends.
pub struct Guard {
    traces: Option<SdkTracerProvider>,
    meters: SdkMeterProvider,
}

impl Drop for Guard {
    fn drop(&mut self) {
        const WAIT: Duration = Duration::from_secs(3);
        if let Some(traces) = &self.traces {
            // There is nobody left to tell.
            drop(traces.shutdown_with_timeout(WAIT));
        }
        drop(self.meters.shutdown_with_timeout(WAIT));
    }
}

/// Sets up logs, and traces and metrics to a collector if one is named. Once in a program.
pub fn init(options: &TelemetryOptions) -> Result<Guard, SetUpFailed> {
    let filter = EnvFilter::try_new(&options.level)
        .map_err(|_| SetUpFailed::Level(options.level.clone()))?;
    let resource = Resource::builder().with_service_name(options.service).build();
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let traces =
        options.otlp_endpoint.as_deref().map(|endpoint| traces(endpoint, &resource)).transpose()?;
    let metric_exporter = options.otlp_endpoint.as_deref().map(metric_exporter).transpose()?;
    let meters = metrics::install(resource, metric_exporter);

    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(true);
    let lines = match options.format {
        Format::Text => lines.with_ansi(false).boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    };
    // A call's stages are spans of the level `debug`: without a collector nobody asks for them.
    let traced =
        Targets::new().with_default(LevelFilter::INFO).with_target("reeve", LevelFilter::DEBUG);
    let spans = traces.as_ref().map(|traces| {
        tracing_opentelemetry::layer().with_tracer(traces.tracer("reeve")).with_filter(traced)
    });
    tracing_subscriber::registry()
        .with(spans)
        .with(lines.with_filter(filter))
        .try_init()
        .map_err(|_| SetUpFailed::Twice)?;
    Ok(Guard { traces, meters })
}

fn traces(endpoint: &str, resource: &Resource) -> Result<SdkTracerProvider, SetUpFailed> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .build()
        .map_err(|fault| failed(endpoint, &fault))?;
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.clone())
        .build())
}

fn metric_exporter(endpoint: &str) -> Result<MetricExporter, SetUpFailed> {
    MetricExporter::builder()
        .with_http()
        .with_endpoint(format!("{}/v1/metrics", endpoint.trim_end_matches('/')))
        .build()
        .map_err(|fault| failed(endpoint, &fault))
}

fn failed(endpoint: &str, fault: &dyn std::fmt::Display) -> SetUpFailed {
    SetUpFailed::Export { endpoint: endpoint.to_owned(), fault: fault.to_string() }
}
