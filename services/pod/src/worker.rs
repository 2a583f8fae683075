use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use reeve_classifier::{Classifier, Encoded, ForwardError};
use reeve_domain::Clock;

use crate::{batch::Shape, call::Item, cores::Cores, metrics::ModelMetrics, queue::Queue};

/// What computes logits: a network on a device, owned by one worker.
pub(crate) trait Forward {
    /// One row of logits a text, in order.
    fn logits(&self, batch: &[&Encoded]) -> Result<Vec<Vec<f32>>, ForwardError>;
}

impl Forward for Classifier {
    fn logits(&self, batch: &[&Encoded]) -> Result<Vec<Vec<f32>>, ForwardError> {
        Self::logits(self, batch)
    }
}

/// A worker that lost its network and could not get another.
#[derive(Debug, thiserror::Error)]
#[error("the network panicked and cannot be loaded again: {0}")]
pub(crate) struct Lost(String);

/// A forward pass that gave no rows.
enum Broken {
    /// The network said so; it can go on.
    Refused(ForwardError),
    /// It panicked or answered nonsense; it is not trusted any more.
    Panicked,
}

/// Where a worker works.
pub(crate) struct Bench<'a> {
    pub(crate) queue: &'a Queue,
    pub(crate) cores: &'a Cores,
    pub(crate) shape: Shape,
    /// How many work at this queue.
    pub(crate) workers: usize,
    pub(crate) metrics: &'a ModelMetrics,
    pub(crate) clock: &'a dyn Clock,
}

/// Works until the queue is closed and empty. A network that panics is replaced by a new one from
/// `load`, and its calls fail; they never hang.
pub(crate) fn work<F: Forward, E: std::fmt::Display>(
    bench: &Bench<'_>,
    mut forward: F,
    load: impl Fn() -> Result<F, E>,
) -> Result<(), Lost> {
    while bench.queue.wait() {
        // The core first: what comes while it is waited for shares the batch.
        let core = bench.cores.take();
        let Some(batch) = bench.queue.take(bench.shape) else { continue };
        let (texts, tokens) = (batch.items.len(), batch.tokens);
        let begun = bench.clock.monotonic();
        bench.metrics.begin(&batch, begun, bench.shape.pads);
        let healthy = run(bench.clock, &forward, batch.items, begun);
        let took = bench.clock.monotonic().saturating_sub(begun);
        bench.queue.computed(tokens, took, bench.workers);
        bench.metrics.end(texts, took, bench.queue);
        if !healthy {
            tracing::error!(texts, "the network panicked; loading it again");
            forward = load().map_err(|error| Lost(error.to_string()))?;
        }
        drop(core);
    }
    Ok(())
}

/// Computes texts and hands their logits over. Says whether the network is to be trusted still.
fn run<F: Forward>(clock: &dyn Clock, forward: &F, items: Vec<Item>, begun: Duration) -> bool {
    match compute(forward, &items) {
        Ok(rows) => {
            let computed = clock.monotonic().saturating_sub(begun);
            for (item, row) in items.into_iter().zip(rows) {
                let waited = begun.saturating_sub(item.came);
                item.call.answer(item.index, row, (waited, computed));
            }
            true
        }
        // One bad text must not fail those that happen to share its batch.
        Err(Broken::Refused(_)) if items.len() > 1 => {
            let mut healthy = true;
            for item in items {
                healthy = run(clock, forward, vec![item], begun) && healthy;
            }
            healthy
        }
        Err(Broken::Refused(error)) => {
            tracing::error!(%error, "a text cannot be computed");
            fail(&items);
            true
        }
        Err(Broken::Panicked) => {
            fail(&items);
            false
        }
    }
}

fn fail(items: &[Item]) {
    for item in items {
        item.call.fail();
    }
}

fn compute<F: Forward>(forward: &F, items: &[Item]) -> Result<Vec<Vec<f32>>, Broken> {
    let texts: Vec<&Encoded> = items.iter().map(|item| &item.text).collect();
    match catch_unwind(AssertUnwindSafe(|| forward.logits(&texts))) {
        Ok(Ok(rows)) if rows.len() == items.len() => Ok(rows),
        Ok(Err(error)) => Err(Broken::Refused(error)),
        Ok(Ok(_)) | Err(_) => Err(Broken::Panicked),
    }
}
