use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use reeve_classifier::{Classifier, Encoded, ForwardError};
use reeve_domain::{Clock, TenantId};

use crate::{
    batch::{Batch, Closed, Shape},
    call::Item,
    cores::Cores,
    metrics::ModelMetrics,
    queue::Queue,
    turns::Turns,
};

/// What computes logits: a network on a device, owned by one worker.
pub(crate) trait Forward {
    /// One row of logits a text, in order; `between` is called whenever the pass can lie still.
    fn logits(&self, batch: &[&Encoded], between: &dyn Fn())
    -> Result<Vec<Vec<f32>>, ForwardError>;
}

impl Forward for Classifier {
    fn logits(
        &self,
        batch: &[&Encoded],
        between: &dyn Fn(),
    ) -> Result<Vec<Vec<f32>>, ForwardError> {
        self.logits_between(batch, between)
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
    let turns = Turns::new(bench.clock);
    while bench.queue.wait() {
        // The core first: what comes while it is waited for shares the batch.
        let core = bench.cores.take();
        let seen = Cell::new(bench.queue.urgent());
        let Some(batch) = bench.queue.take(bench.shape) else { continue };
        let (hosts, texts, tokens) = (batch.hosts(), batch.items.len(), batch.tokens);
        // Few that go before a full batch have nobody let in.
        let few = (batch.closed == Closed::LetIn).then(|| tokens_of(&batch));
        let (healthy, others) = (Cell::new(true), Cell::new(Duration::ZERO));
        let let_in = || {
            turns.give();
            let urgent = bench.queue.urgent();
            if seen.replace(urgent) == urgent {
                return;
            }
            while let Some(batch) = bench.queue.let_in(&hosts, bench.shape) {
                let tenants = tokens_of(&batch);
                let (well, took) = bench.pass(&forward, batch, &|| ());
                bench.queue.let_in_computed(&tenants, took, bench.workers);
                healthy.set(healthy.get() && well);
                others.set(others.get().saturating_add(took));
                turns.give_now();
            }
        };
        let between: &dyn Fn() = if few.is_some() { &|| () } else { &let_in };
        let (well, took) = bench.pass(&forward, batch, between);
        if let Some(tenants) = &few {
            bench.queue.let_in_computed(tenants, took, bench.workers);
        }
        let usual = few.is_none().then_some(tokens);
        bench.queue.computed(usual, took.saturating_sub(others.get()), bench.workers);
        if !(well && healthy.get()) {
            tracing::error!(texts, "the network panicked; loading it again");
            forward = load().map_err(|error| Lost(error.to_string()))?;
        }
        drop(core);
        // The answers go out before the next batch is begun.
        turns.give_now();
    }
    Ok(())
}

/// Whose tokens a batch has, and how many of each.
fn tokens_of(batch: &Batch) -> Vec<(TenantId, usize)> {
    let mut tenants: Vec<(TenantId, usize)> = Vec::new();
    for item in &batch.items {
        let tenant = &item.call.share.tenant;
        match tenants.iter_mut().find(|(other, _)| other == tenant) {
            Some((_, tokens)) => *tokens = tokens.saturating_add(item.tokens()),
            None => tenants.push((tenant.clone(), item.tokens())),
        }
    }
    tenants
}

impl Bench<'_> {
    /// Computes a batch and answers its calls. Says whether the network is to be trusted still, and
    /// how long it took, with what was computed in between.
    fn pass<F: Forward>(&self, forward: &F, batch: Batch, between: &dyn Fn()) -> (bool, Duration) {
        let texts = batch.items.len();
        let begun = self.clock.monotonic();
        self.metrics.begin(&batch, begun, self.shape.pads);
        let healthy = run(self.clock, forward, batch.items, begun, between);
        let took = self.clock.monotonic().saturating_sub(begun);
        self.metrics.end(texts, took, self.queue);
        (healthy, took)
    }
}

/// Computes texts and hands their logits over. Says whether the network is to be trusted still.
fn run<F: Forward>(
    clock: &dyn Clock,
    forward: &F,
    items: Vec<Item>,
    begun: Duration,
    between: &dyn Fn(),
) -> bool {
    match compute(forward, &items, between) {
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
                healthy = run(clock, forward, vec![item], begun, between) && healthy;
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

fn compute<F: Forward>(
    forward: &F,
    items: &[Item],
    between: &dyn Fn(),
) -> Result<Vec<Vec<f32>>, Broken> {
    let texts: Vec<&Encoded> = items.iter().map(|item| &item.text).collect();
    match catch_unwind(AssertUnwindSafe(|| forward.logits(&texts, between))) {
        Ok(Ok(rows)) if rows.len() == items.len() => Ok(rows),
        Ok(Err(error)) => Err(Broken::Refused(error)),
        Ok(Ok(_)) | Err(_) => Err(Broken::Panicked),
    }
}
