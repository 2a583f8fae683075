use std::time::Duration;

use prometheus::{
    Encoder as _, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
};

/// What the pod counts. No label holds anything of a text or of a tenant.
pub(crate) struct Metrics {
    registry: Registry,
    answers: IntCounterVec,
    texts: IntCounter,
    batches: Histogram,
    forward: Histogram,
    queued: IntGauge,
    workers: IntGauge,
}

impl Metrics {
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let answers = IntCounterVec::new(
            Opts::new("reeve_pod_answers_total", "Answers to infer calls by HTTP status."),
            &["status"],
        )?;
        let texts = IntCounter::new("reeve_pod_texts_total", "Texts that a forward pass took.")?;
        let batches = Histogram::with_opts(
            HistogramOpts::new("reeve_pod_batch_texts", "Texts in a forward pass.")
                .buckets(vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0]),
        )?;
        let forward = Histogram::with_opts(
            HistogramOpts::new("reeve_pod_forward_seconds", "Duration of a forward pass.")
                .buckets(prometheus::exponential_buckets(0.000_25, 2.0, 14)?),
        )?;
        let queued = IntGauge::new("reeve_pod_queued_texts", "Texts that wait for a worker.")?;
        let workers = IntGauge::new("reeve_pod_workers", "Workers that have a network.")?;
        registry.register(Box::new(answers.clone()))?;
        registry.register(Box::new(texts.clone()))?;
        registry.register(Box::new(batches.clone()))?;
        registry.register(Box::new(forward.clone()))?;
        registry.register(Box::new(queued.clone()))?;
        registry.register(Box::new(workers.clone()))?;
        Ok(Self { registry, answers, texts, batches, forward, queued, workers })
    }

    pub(crate) fn answer(&self, status: u16) {
        self.answers.with_label_values(&[status.to_string().as_str()]).inc();
    }

    pub(crate) fn batch(&self, texts: usize, took: Duration, queued: usize) {
        self.texts.inc_by(u64::try_from(texts).unwrap_or(u64::MAX));
        self.batches.observe(f64::from(u32::try_from(texts).unwrap_or(u32::MAX)));
        self.forward.observe(took.as_secs_f64());
        self.queued.set(i64::try_from(queued).unwrap_or(i64::MAX));
    }

    pub(crate) fn worker_started(&self) {
        self.workers.inc();
    }

    pub(crate) fn worker_ended(&self) {
        self.workers.dec();
    }

    /// In the text format of Prometheus.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}
