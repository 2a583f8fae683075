use serde::Deserialize;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[telemetry]`: logs, traces, metrics.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// How log lines look.
    pub format: LogFormat,
    /// Which are written.
    pub level: String,
    otlp_endpoint: String,
}

impl Telemetry {
    /// The collector that traces and metrics go to, if any.
    pub fn otlp_endpoint(&self) -> Option<String> {
        (!self.otlp_endpoint.is_empty()).then(|| self.otlp_endpoint.clone())
    }
}
