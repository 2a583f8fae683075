//! Every metric: its name, its unit, and the one function that records it. The same instruments are
//! read by Prometheus at `/metrics` and exported by OTLP.

use std::{
    sync::{LazyLock, OnceLock},
    time::Duration,
};

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge, Histogram, Meter, MeterProvider as _},
};
use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::{
    Resource,
    metrics::{PeriodicReader, SdkMeterProvider},
};
use prometheus::{Encoder as _, Registry, TextEncoder};
use reeve_domain::{Code, Kind, ModelName, Origin, PodId, Region};

static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::new);
static PROVIDER: OnceLock<SdkMeterProvider> = OnceLock::new();
static INSTRUMENTS: LazyLock<Instruments> = LazyLock::new(|| {
    let provider = PROVIDER.get_or_init(|| provider(Resource::builder().build(), None));
    Instruments::new(&provider.meter("reeve"))
});

fn provider(resource: Resource, exporter: Option<MetricExporter>) -> SdkMeterProvider {
    let mut builder = SdkMeterProvider::builder().with_resource(resource);
    let prometheus = opentelemetry_prometheus::exporter()
        .with_registry(REGISTRY.clone())
        .scope_info_enabled(false)
        .without_target_info()
        .build();
    if let Ok(prometheus) = prometheus {
        builder = builder.with_reader(prometheus);
    }
    if let Some(exporter) = exporter {
        builder = builder.with_reader(PeriodicReader::builder(exporter).build());
    }
    builder.build()
}

pub(crate) fn install(resource: Resource, exporter: Option<MetricExporter>) -> SdkMeterProvider {
    // The first one stays: there is one in a program.
    PROVIDER.get_or_init(|| provider(resource, exporter)).clone()
}

struct Instruments {
    requests: Counter<u64>,
    request_seconds: Histogram<f64>,
    decisions: Counter<u64>,
    redactions: Counter<u64>,
    commit_seconds: Histogram<f64>,
    pod_requests: Counter<u64>,
    pod_hedges: Counter<u64>,
    pod_healthy: Gauge<u64>,
    revision: Gauge<i64>,
    indexed: Counter<u64>,
    control_requests: Counter<u64>,
    comparisons: Counter<u64>,
    model_alerts: Gauge<u64>,
}

/// Upper bounds in seconds: half a millisecond to ten seconds.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

impl Instruments {
    fn new(meter: &Meter) -> Self {
        let seconds = |name, description| {
            meter
                .f64_histogram(name)
                .with_description(description)
                .with_boundaries(SECONDS.to_vec())
                .build()
        };
        let counter =
            |name, description| meter.u64_counter(name).with_description(description).build();
        Self {
            requests: counter(
                "reeve_requests",
                "Calls of tenants by route and code; `ok` if answered.",
            ),
            request_seconds: seconds(
                "reeve_request_duration_seconds",
                "Time from a call's head to its settled outcome.",
            ),
            decisions: counter("reeve_decisions", "Decisions of policy."),
            redactions: counter("reeve_redactions", "Values redacted, by kind."),
            commit_seconds: seconds(
                "reeve_ledger_commit_duration_seconds",
                "Time until a record was durable.",
            ),
            pod_requests: counter("reeve_pod_requests", "Calls to pods by what became of them."),
            pod_hedges: counter(
                "reeve_pod_hedges",
                "Calls that were sent to a second pod since the first was slow.",
            ),
            pod_healthy: meter
                .u64_gauge("reeve_pod_healthy")
                .with_description("1 if a pod answered its last probe.")
                .build(),
            revision: meter
                .i64_gauge("reeve_snapshot_revision")
                .with_description("The store's revision that is served.")
                .build(),
            indexed: counter("reeve_indexed_entries", "Ledger entries indexed into the store."),
            control_requests: counter("reeve_control_requests", "Requests to the control plane."),
            comparisons: counter(
                "reeve_model_comparisons",
                "Calls that a second version was asked about besides, by what came of it.",
            ),
            model_alerts: meter
                .u64_gauge("reeve_model_alert")
                .with_description("1 while a measure of a model's version passes its threshold.")
                .build(),
        }
    }
}

/// A call was answered.
pub fn request_completed(route: &'static str, took: Duration) {
    INSTRUMENTS.requests.add(1, &[KeyValue::new("route", route), KeyValue::new("code", "ok")]);
    INSTRUMENTS.request_seconds.record(took.as_secs_f64(), &[KeyValue::new("route", route)]);
}

/// A call was refused.
pub fn request_refused(route: &'static str, code: Code) {
    INSTRUMENTS
        .requests
        .add(1, &[KeyValue::new("route", route), KeyValue::new("code", code.as_str())]);
}

/// Policy decided.
pub fn decision(allowed: bool) {
    let decision = if allowed { "allow" } else { "deny" };
    INSTRUMENTS.decisions.add(1, &[KeyValue::new("decision", decision)]);
}

/// Values were redacted.
pub fn redacted(kind: &Kind, count: u32) {
    INSTRUMENTS.redactions.add(count.into(), &[KeyValue::new("kind", kind.as_str().to_owned())]);
}

/// A record became durable, or was refused.
pub fn ledger_commit(took: Duration) {
    INSTRUMENTS.commit_seconds.record(took.as_secs_f64(), &[]);
}

/// A pod was asked: `ok`, `unreachable`, or the code of the failure.
pub fn pod_request(pod: &PodId, region: &Region, outcome: &'static str) {
    INSTRUMENTS.pod_requests.add(
        1,
        &[
            KeyValue::new("pod", pod.to_string()),
            KeyValue::new("region", region.to_string()),
            KeyValue::new("outcome", outcome),
        ],
    );
}

/// A second version was asked besides: `same`, `differs`, `failed`, or `skipped` for too many at once.
pub fn comparison(outcome: &'static str) {
    INSTRUMENTS.comparisons.add(1, &[KeyValue::new("outcome", outcome)]);
}

/// An alert about a model was raised or cleared.
pub fn model_alert(model: &ModelName, measure: &str, raised: bool) {
    INSTRUMENTS.model_alerts.record(
        u64::from(raised),
        &[KeyValue::new("model", model.to_string()), KeyValue::new("measure", measure.to_owned())],
    );
}

/// A call was sent to a second pod as well, since the first was slow.
pub fn pod_hedged(region: &Region) {
    INSTRUMENTS.pod_hedges.add(1, &[KeyValue::new("region", region.to_string())]);
}

/// A pod was probed.
pub fn pod_health(pod: &PodId, region: &Region, healthy: bool) {
    INSTRUMENTS.pod_healthy.record(
        healthy.into(),
        &[KeyValue::new("pod", pod.to_string()), KeyValue::new("region", region.to_string())],
    );
}

/// A snapshot came into force.
pub fn snapshot_revision(revision: i64) {
    INSTRUMENTS.revision.record(revision, &[]);
}

/// Entries of a log were indexed.
pub fn indexed(origin: &Origin, entries: u64) {
    INSTRUMENTS.indexed.add(entries, &[KeyValue::new("origin", origin.to_string())]);
}

/// A request to the control plane was answered with a status.
pub fn control_request(status: u16) {
    INSTRUMENTS.control_requests.add(1, &[KeyValue::new("status", i64::from(status))]);
}

/// All metrics in Prometheus' text format 0.0.4.
pub fn encode_prometheus() -> String {
    let mut text = Vec::new();
    if let Err(fault) = TextEncoder::new().encode(&REGISTRY.gather(), &mut text) {
        tracing::error!(error = %fault, "metrics cannot be encoded");
    }
    String::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_shown() {
        request_completed("/v1/classify", Duration::from_millis(3));
        request_refused("/v1/classify", Code::RateLimited);
        redacted(&Kind::EMAIL_ADDRESS, 2);
        let text = encode_prometheus();
        for line in [
            r#"reeve_requests_total{code="ok",route="/v1/classify"} 1"#,
            r#"reeve_requests_total{code="rate-limited",route="/v1/classify"} 1"#,
            r#"reeve_redactions_total{kind="EMAIL_ADDRESS"} 2"#,
            r#"reeve_request_duration_seconds_bucket{route="/v1/classify",le="0.005"} 1"#,
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
