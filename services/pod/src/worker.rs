use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use reeve_classifier::{Classifier, Encoded, ForwardError};
use reeve_domain::Clock;

use crate::{call::Item, metrics::Metrics, queue::Queue};

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

/// Works until the queue is closed and empty. A network that panics is replaced by a new one from
/// `load`, and its calls fail; they never hang.
pub(crate) fn work<F: Forward, E: std::fmt::Display>(
    queue: &Queue,
    mut forward: F,
    load: impl Fn() -> Result<F, E>,
    most: usize,
    (metrics, clock): (&Metrics, &dyn Clock),
) -> Result<(), Lost> {
    while let Some(batch) = queue.take(most) {
        let begun = clock.monotonic();
        let healthy = run(&forward, batch);
        let took = clock.monotonic().saturating_sub(begun);
        metrics.batch(healthy.texts, took, queue.len());
        if !healthy.network {
            tracing::error!(texts = healthy.texts, "the network panicked; loading it again");
            forward = load().map_err(|error| Lost(error.to_string()))?;
        }
    }
    Ok(())
}

struct Ran {
    texts: usize,
    network: bool,
}

fn run<F: Forward>(forward: &F, batch: Vec<Item>) -> Ran {
    let texts = batch.len();
    match compute(forward, &batch) {
        Ok(rows) => {
            for (item, row) in batch.into_iter().zip(rows) {
                item.call.answer(item.index, row);
            }
        }
        // One bad text must not fail those that happen to share its batch.
        Err(Broken::Refused(_)) if texts > 1 => {
            let mut network = true;
            for item in batch {
                network &= network && run(forward, vec![item]).network;
            }
            return Ran { texts, network };
        }
        Err(Broken::Refused(error)) => {
            tracing::error!(%error, "a text cannot be computed");
            fail(&batch);
        }
        Err(Broken::Panicked) => {
            fail(&batch);
            return Ran { texts, network: false };
        }
    }
    Ran { texts, network: true }
}

fn fail(batch: &[Item]) {
    for item in batch {
        item.call.fail();
    }
}

fn compute<F: Forward>(forward: &F, batch: &[Item]) -> Result<Vec<Vec<f32>>, Broken> {
    let texts: Vec<&Encoded> = batch.iter().map(|item| &item.text).collect();
    match catch_unwind(AssertUnwindSafe(|| forward.logits(&texts))) {
        Ok(Ok(rows)) if rows.len() == batch.len() => Ok(rows),
        Ok(Err(error)) => Err(Broken::Refused(error)),
        Ok(Ok(_)) | Err(_) => Err(Broken::Panicked),
    }
}

/// How long a client should wait before it asks an overloaded pod again.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);
