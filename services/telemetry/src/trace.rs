//! W3C trace context: joining the caller's trace and passing ours on to a pod.

use std::collections::HashMap;

use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

const HEADER: &str = "traceparent";

/// Makes `span` a child of the span that a `traceparent` header names; one that cannot be read is
/// ignored, as the specification asks.
pub fn join(span: &Span, traceparent: &str) {
    let carrier = HashMap::from([(HEADER.to_owned(), traceparent.to_owned())]);
    // Without a collector there is no trace to join.
    drop(span.set_parent(TraceContextPropagator::new().extract(&carrier)));
}

/// The `traceparent` header for a request that is made inside `span`; none if nothing is traced.
pub fn outgoing(span: &Span) -> Option<String> {
    let mut carrier: HashMap<String, String> = HashMap::new();
    TraceContextPropagator::new().inject_context(&span.context(), &mut carrier);
    carrier.remove(HEADER)
}
