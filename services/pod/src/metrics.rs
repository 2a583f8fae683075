//! What the pod counts: for each model, tenant and batch. No label holds anything of a text.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use prometheus::{
    Encoder as _, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder, core::Collector,
};
use reeve_domain::TenantId;

use crate::{batch::Batch, queue::Queue};

/// Tenants that are counted by name; the others together are `other`, so that a pod that serves
/// very many does not hold a counter for each for ever.
const TENANTS: usize = 1_000;

/// What all models share.
pub(crate) struct Metrics {
    registry: Registry,
    answers: IntCounterVec,
    /// Of those, the ones with 200.
    well: prometheus::IntCounter,
    texts: IntCounterVec,
    tokens: IntCounterVec,
    tenant_texts: IntCounterVec,
    tenant_refused: IntCounterVec,
    batch_texts: HistogramVec,
    batch_wait: HistogramVec,
    forward: HistogramVec,
    padding: IntCounterVec,
    closed: IntCounterVec,
    queued: IntGaugeVec,
    backlog: GaugeVec,
    workers: IntGaugeVec,
    loaded: IntGauge,
    memory: IntGauge,
    tenants: Mutex<BTreeSet<TenantId>>,
}

fn registered<C: Collector + Clone + 'static>(
    registry: &Registry,
    made: Result<C, prometheus::Error>,
) -> Result<C, prometheus::Error> {
    let collector = made?;
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

impl Metrics {
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name, help, labels: &[&str]| {
            registered(&registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        let gauge =
            |name, help| registered(&registry, IntGaugeVec::new(Opts::new(name, help), &["model"]));
        let histogram = |name, help, buckets| {
            let options = HistogramOpts::new(name, help).buckets(buckets);
            registered(&registry, HistogramVec::new(options, &["model"]))
        };
        let times = prometheus::exponential_buckets(0.000_1, 2.0, 17)?;
        let sizes = vec![1.0, 2.0, 4.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0, 96.0, 128.0];
        let answers = counter(
            "reeve_pod_answers_total",
            "Answers to infer calls by status: of HTTP, or what it would be over gRPC.",
            &["status"],
        )?;
        Ok(Self {
            well: answers.with_label_values(&["200"]),
            answers,
            texts: counter("reeve_pod_texts_total", "Texts that a forward pass took.", &["model"])?,
            tokens: counter("reeve_pod_tokens_total", "Their tokens.", &["model"])?,
            tenant_texts: counter(
                "reeve_pod_tenant_texts_total",
                "Texts answered by tenant.",
                &["model", "tenant"],
            )?,
            tenant_refused: counter(
                "reeve_pod_tenant_refused_total",
                "Calls refused by tenant for want of room or time.",
                &["model", "tenant", "why"],
            )?,
            batch_texts: histogram("reeve_pod_batch_texts", "Texts in a forward pass.", sizes)?,
            batch_wait: histogram(
                "reeve_pod_queue_wait_seconds",
                "How long the longest waiting text of a batch had waited.",
                times.clone(),
            )?,
            forward: histogram("reeve_pod_forward_seconds", "Duration of a forward pass.", times)?,
            padding: counter(
                "reeve_pod_padding_tokens_total",
                "Steps computed for padding; to be held against the tokens.",
                &["model"],
            )?,
            closed: counter(
                "reeve_pod_batch_closed_total",
                "Why batches got no more texts: texts, tokens, padding, shared, drained, let-in.",
                &["model", "why"],
            )?,
            queued: gauge("reeve_pod_queued_texts", "Texts that wait for a worker.")?,
            backlog: registered(
                &registry,
                GaugeVec::new(
                    Opts::new(
                        "reeve_pod_backlog_seconds",
                        "How long what waits will take at the rate of late: what to scale by.",
                    ),
                    &["model"],
                ),
            )?,
            workers: gauge("reeve_pod_workers", "Workers that have a network.")?,
            loaded: registered(
                &registry,
                IntGauge::new("reeve_pod_models", "Models that are loaded."),
            )?,
            memory: registered(
                &registry,
                IntGauge::new("reeve_pod_models_bytes", "What they are reckoned to take."),
            )?,
            registry,
            tenants: Mutex::default(),
        })
    }

    pub(crate) fn answer(&self, status: u16) {
        match status {
            200 => self.well.inc(),
            _ => self.answers.with_label_values(&[status.to_string().as_str()]).inc(),
        }
    }

    pub(crate) fn models(&self, loaded: usize, bytes: u64) {
        self.loaded.set(i64::try_from(loaded).unwrap_or(i64::MAX));
        self.memory.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    fn tenant<'a>(&self, tenant: &'a TenantId) -> &'a str {
        let mut known = self.tenants.lock();
        if known.len() >= TENANTS && !known.contains(tenant) {
            return "other";
        }
        if !known.contains(tenant) {
            known.insert(tenant.clone());
        }
        tenant.as_str()
    }

    pub(crate) fn answered(&self, model: &str, tenant: &TenantId, texts: usize) {
        let counter = self.tenant_texts.with_label_values(&[model, self.tenant(tenant)]);
        counter.inc_by(u64::try_from(texts).unwrap_or(u64::MAX));
    }

    pub(crate) fn refused(&self, model: &str, tenant: &TenantId, why: &str) {
        self.tenant_refused.with_label_values(&[model, self.tenant(tenant), why]).inc();
    }

    /// The counters of one model.
    pub(crate) fn model(&self, name: &str) -> ModelMetrics {
        let label = &[name];
        ModelMetrics {
            name: name.to_owned(),
            texts: self.texts.with_label_values(label),
            tokens: self.tokens.with_label_values(label),
            batch_texts: self.batch_texts.with_label_values(label),
            batch_wait: self.batch_wait.with_label_values(label),
            forward: self.forward.with_label_values(label),
            padding: self.padding.with_label_values(label),
            closed: self.closed.clone(),
            queued: self.queued.with_label_values(label),
            backlog: self.backlog.with_label_values(label),
            workers: self.workers.with_label_values(label),
            executions: AtomicU64::new(0),
            sizes: Mutex::default(),
        }
    }

    /// In the text format of Prometheus.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

/// What is counted of one model.
pub(crate) struct ModelMetrics {
    name: String,
    texts: prometheus::IntCounter,
    tokens: prometheus::IntCounter,
    batch_texts: prometheus::Histogram,
    batch_wait: prometheus::Histogram,
    forward: prometheus::Histogram,
    padding: prometheus::IntCounter,
    closed: IntCounterVec,
    queued: IntGauge,
    backlog: prometheus::Gauge,
    workers: IntGauge,
    executions: AtomicU64,
    /// For each size of a batch how many there were and how long they took.
    sizes: Mutex<BTreeMap<usize, (u64, Duration)>>,
}

fn number(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

impl ModelMetrics {
    /// A batch goes to the network.
    pub(crate) fn begin(&self, batch: &Batch, now: Duration, pads: bool) {
        self.texts.inc_by(count(batch.items.len()));
        self.tokens.inc_by(count(batch.tokens));
        self.batch_texts.observe(number(batch.items.len()));
        let waited = batch.items.iter().map(|item| now.saturating_sub(item.came)).max();
        self.batch_wait.observe(waited.unwrap_or_default().as_secs_f64());
        if pads {
            let steps = batch.items.len().saturating_mul(batch.longest);
            self.padding.inc_by(count(steps.saturating_sub(batch.tokens)));
        }
        self.closed.with_label_values(&[self.name.as_str(), batch.closed.name()]).inc();
    }

    /// It is back.
    pub(crate) fn end(&self, texts: usize, took: Duration, queue: &Queue) {
        self.forward.observe(took.as_secs_f64());
        self.executions.fetch_add(1, Ordering::Relaxed);
        let mut sizes = self.sizes.lock();
        let (times, sum) = sizes.entry(texts).or_default();
        *times = times.saturating_add(1);
        *sum = sum.saturating_add(took);
        drop(sizes);
        self.waiting(queue);
    }

    /// What waits now.
    pub(crate) fn waiting(&self, queue: &Queue) {
        self.queued.set(i64::try_from(queue.len()).unwrap_or(i64::MAX));
        self.backlog.set(queue.backlog().as_secs_f64());
    }

    pub(crate) fn worker_started(&self) {
        self.workers.inc();
    }

    pub(crate) fn worker_ended(&self) {
        self.workers.dec();
    }

    /// Forward passes so far.
    pub(crate) fn executions(&self) -> u64 {
        self.executions.load(Ordering::Relaxed)
    }

    /// By size of the batch: how many there were, and how long they took together.
    pub(crate) fn sizes(&self) -> BTreeMap<usize, (u64, Duration)> {
        self.sizes.lock().clone()
    }
}
