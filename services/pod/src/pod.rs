use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use reeve_protocol::{order::OrderVerifier, warrant::WarrantVerifier};

use crate::{
    models::Models, problem::Problem, recorder::Recorder, runtime::Runtime, source::Source,
};

/// The pod: its models, who may call them, and who may have them changed.
pub(crate) struct Pod {
    pub(crate) models: Models,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) warrants: WarrantVerifier,
    pub(crate) orders: OrderVerifier,
    /// Where ordered bundles come from.
    pub(crate) source: Option<Box<dyn Source>>,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) body_limit: usize,
    pub(crate) state: State,
}

/// How far the pod is on its way.
#[derive(Default)]
pub(crate) struct State {
    started: AtomicBool,
    stopping: AtomicBool,
}

impl State {
    /// Everything that it was started with is loaded.
    pub(crate) fn started(&self) {
        self.started.store(true, Ordering::SeqCst);
    }

    /// Takes no more calls.
    pub(crate) fn stopping(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// Whether it has come up, whatever became of it then.
    pub(crate) fn has_started(&self) -> bool {
        self.started.load(Ordering::SeqCst)
    }
}

impl Pod {
    /// Whether calls are taken.
    pub(crate) fn is_ready(&self) -> bool {
        self.state.has_started() && !self.state.stopping.load(Ordering::SeqCst)
    }

    /// Refuses unless calls are taken.
    pub(crate) fn check_ready(&self) -> Result<(), Problem> {
        if self.is_ready() { Ok(()) } else { Err(Problem::NotReady) }
    }

    /// Takes no more calls and waits until those that were accepted are answered.
    pub(crate) async fn drain(&self) {
        self.state.stopping();
        self.models.drain().await;
    }
}
