//! What Triton's statistics extension tells of a model: how often and how long each part of a
//! call took.

use std::{collections::BTreeMap, time::Duration};

use parking_lot::Mutex;
use reeve_domain::Timestamp;
use serde::Serialize;

/// How often, and how long together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Sum {
    pub(crate) count: u64,
    pub(crate) ns: u64,
}

impl Sum {
    fn add(&mut self, took: Duration) {
        self.count = self.count.saturating_add(1);
        self.ns = self.ns.saturating_add(nanoseconds(took));
    }
}

pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// How long the parts of an answered call took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Parts {
    pub(crate) input: Duration,
    pub(crate) queue: Duration,
    pub(crate) infer: Duration,
    pub(crate) output: Duration,
    pub(crate) all: Duration,
}

/// Of one model since it was loaded.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Sums {
    pub(crate) success: Sum,
    pub(crate) fail: Sum,
    pub(crate) queue: Sum,
    pub(crate) compute_input: Sum,
    pub(crate) compute_infer: Sum,
    pub(crate) compute_output: Sum,
}

/// Everything that is told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) sums: Sums,
    pub(crate) texts: u64,
    pub(crate) last_ms: u64,
}

/// Counts the calls of one model.
#[derive(Default)]
pub(crate) struct Stats(Mutex<Told>);

impl Stats {
    pub(crate) fn answered(&self, texts: usize, parts: Parts, now: Timestamp) {
        let mut told = self.0.lock();
        told.sums.success.add(parts.all);
        told.sums.queue.add(parts.queue);
        told.sums.compute_input.add(parts.input);
        told.sums.compute_infer.add(parts.infer);
        told.sums.compute_output.add(parts.output);
        told.texts = told.texts.saturating_add(u64::try_from(texts).unwrap_or(u64::MAX));
        told.last_ms = u64::try_from(now.as_micros() / 1000).unwrap_or(0);
    }

    pub(crate) fn failed(&self, took: Duration) {
        self.0.lock().sums.fail.add(took);
    }

    pub(crate) fn told(&self) -> Told {
        self.0.lock().clone()
    }
}

/// `GET /v2/models/{name}/stats`: one of its `model_stats`.
#[derive(Debug, Serialize)]
pub(crate) struct ModelStats {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Milliseconds since the epoch.
    pub(crate) last_inference: u64,
    pub(crate) inference_count: u64,
    pub(crate) execution_count: u64,
    pub(crate) inference_stats: Sums,
    pub(crate) batch_stats: Vec<BatchStats>,
}

/// Of one size of batches.
#[derive(Debug, Serialize)]
pub(crate) struct BatchStats {
    pub(crate) batch_size: u64,
    pub(crate) compute_infer: Sum,
}

/// Batches by size in Triton's form.
pub(crate) fn batches(sizes: BTreeMap<usize, (u64, Duration)>) -> Vec<BatchStats> {
    let one = |(size, (count, took))| BatchStats {
        batch_size: u64::try_from(size).unwrap_or(u64::MAX),
        compute_infer: Sum { count, ns: nanoseconds(took) },
    };
    sizes.into_iter().map(one).collect()
}
