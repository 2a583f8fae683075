use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use reeve_classifier::{Backend, Device, Serving};
use reeve_domain::Clock;

use crate::{batch::Shape, cores::Cores, metrics::Metrics};

/// What all models of a pod run on, and how.
pub(crate) struct Runtime {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) cores: Cores,
    pub(crate) device: Device,
    /// Computes what the classifier has no loop of its own for.
    pub(crate) backend: Arc<dyn Backend>,
    /// How precisely models compute, and how far that may be from fp32.
    pub(crate) serving: Serving,
    /// Worker threads of each model.
    pub(crate) workers: NonZeroUsize,
    /// What a batch may be; whether rows are padded is the model's to say.
    pub(crate) shape: Shape,
    /// Most texts that wait for each model.
    pub(crate) queue: NonZeroUsize,
    /// Nothing waits longer.
    pub(crate) deadline: Duration,
}
