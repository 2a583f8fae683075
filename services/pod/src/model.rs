use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::Mutex;
use reeve_classifier::{
    Bundle, BundleError, Classifier, Confidence, Encoder, Engine, LoadError, Readout,
};
use reeve_domain::Digest;
use reeve_protocol::signature::NotVouched;

use crate::{
    batch::Shape,
    explain::Explainer,
    metrics::ModelMetrics,
    problem::Problem,
    queue::Queue,
    runtime::Runtime,
    stats::{ModelStats, Stats, batches},
    worker::{Bench, work},
};

/// One loaded bundle: its queue, its workers, and whether calls are taken.
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) digest: Digest,
    pub(crate) labels: Vec<String>,
    pub(crate) max_tokens: u32,
    pub(crate) confidence: Confidence,
    /// Whether every token has a label: names are found, and texts not classified.
    pub(crate) finds_names: bool,
    /// Where it was loaded from.
    pub(crate) dir: PathBuf,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) stats: Stats,
    pub(crate) metrics: ModelMetrics,
    pub(crate) encoder: Encoder,
    pub(crate) queue: Queue,
    pub(crate) explainer: Explainer,
    engine: Engine,
    shape: Shape,
    taken: AtomicBool,
    accepted: AtomicUsize,
    alive: AtomicUsize,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// When it was last called, in microseconds of the monotonic clock.
    used: AtomicU64,
}

/// A bundle that could not be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotLoaded {
    #[error("the bundle cannot be opened: {0}")]
    Bundle(#[from] BundleError),
    #[error("the bundle's digest is {found}, {expected} was ordered")]
    Digest { found: Digest, expected: Digest },
    #[error("the bundle is of `{found}`, `{expected}` was ordered")]
    Name { found: String, expected: String },
    #[error(transparent)]
    NotVouched(#[from] NotVouched),
    #[error(transparent)]
    Engine(#[from] LoadError),
    #[error("the bundle's digest is none")]
    NoDigest,
    #[error("warming up failed: {0}")]
    WarmUp(String),
    #[error("a worker thread cannot be started: {0}")]
    Thread(std::io::Error),
    #[error("it needs {needed} bytes, models here may take {limit}")]
    Memory { needed: u64, limit: u64 },
    #[error("nothing is to be loaded under this name: {0}")]
    Unknown(String),
}

/// Counts an accepted call until its answer is handed over.
pub(crate) struct Accepted(Arc<Model>);

impl std::ops::Deref for Accepted {
    type Target = Arc<Model>;

    fn deref(&self) -> &Arc<Model> {
        &self.0
    }
}

impl Drop for Accepted {
    fn drop(&mut self) {
        self.0.accepted.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Model {
    /// Loads a bundle that was opened, starts its workers, warms them up. Blocks.
    pub(crate) fn start(
        bundle: Bundle,
        dir: &Path,
        runtime: &Arc<Runtime>,
    ) -> Result<Arc<Self>, NotLoaded> {
        let digest = bundle.digest().parse().map_err(|_| NotLoaded::NoDigest)?;
        let (name, version) = (bundle.name().to_owned(), bundle.version().to_owned());
        let labels = bundle.labels().to_vec();
        let confidence = bundle.confidence().clone();
        let (encoder, max_tokens) = (bundle.encoder(), bundle.max_tokens());
        let finds_names = bundle.architecture().readout == Readout::EveryToken;
        let engine =
            Engine::load(bundle, runtime.device, runtime.serving, runtime.backend.clone())?;
        let test = engine.test();
        tracing::info!(
            model = name, version, precision = %test.precision, native = test.native,
            difference = test.difference, "loaded"
        );
        let model = Arc::new(Self {
            metrics: runtime.metrics.model(&name),
            queue: Queue::new(runtime.queue.get(), runtime.clock.clone()),
            shape: Shape { pads: engine.pads(), ..runtime.shape },
            name,
            version,
            digest,
            labels,
            max_tokens,
            confidence,
            finds_names,
            dir: dir.to_owned(),
            runtime: runtime.clone(),
            stats: Stats::default(),
            encoder,
            explainer: Explainer::default(),
            engine,
            taken: AtomicBool::new(false),
            accepted: AtomicUsize::new(0),
            alive: AtomicUsize::new(0),
            threads: Mutex::default(),
            used: AtomicU64::new(0),
        });
        model.touch();
        if let Err(fault) = model.start_workers() {
            model.stop();
            return Err(fault);
        }
        model.taken.store(true, Ordering::SeqCst);
        Ok(model)
    }

    fn start_workers(self: &Arc<Self>) -> Result<(), NotLoaded> {
        let (report, warm) = mpsc::channel();
        let count = self.runtime.workers.get();
        for number in 0..count {
            let (model, report) = (self.clone(), report.clone());
            self.alive.fetch_add(1, Ordering::SeqCst);
            let thread = thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || model.work(&report))
                .map_err(NotLoaded::Thread)?;
            self.threads.lock().push(thread);
        }
        drop(report);
        for _ in 0..count {
            let lost = || NotLoaded::WarmUp("a worker ended".to_owned());
            warm.recv().map_err(|_| lost())??;
        }
        Ok(())
    }

    fn work(&self, report: &mpsc::Sender<Result<(), NotLoaded>>) {
        reeve_threads::give_way();
        let classifier =
            self.engine.classifier().map_err(NotLoaded::Engine).and_then(|classifier| {
                let fault = |fault: &dyn std::fmt::Display| NotLoaded::WarmUp(fault.to_string());
                self.engine.warm_up(&classifier, self.shape.texts).map_err(|e| fault(&e))?;
                Ok(classifier)
            });
        let classifier = match classifier {
            Ok(classifier) => classifier,
            Err(error) => return drop(report.send(Err(error))),
        };
        self.metrics.worker_started();
        if report.send(Ok(())).is_err() {
            return;
        }
        let bench = Bench {
            queue: &self.queue,
            cores: &self.runtime.cores,
            shape: self.shape,
            workers: self.runtime.workers.get(),
            metrics: &self.metrics,
            clock: &*self.runtime.clock,
        };
        if let Err(error) = work(&bench, classifier, || self.engine.classifier()) {
            tracing::error!(%error, "a worker ends");
        }
        self.metrics.worker_ended();
        if self.alive.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.taken.store(false, Ordering::SeqCst);
            self.queue.abandon();
        }
    }

    /// Whether calls are taken.
    pub(crate) fn is_ready(&self) -> bool {
        self.taken.load(Ordering::SeqCst)
    }

    /// Takes a call in. It is counted before the look at readiness, so that a drain either sees
    /// it or it sees the drain.
    pub(crate) fn accept(self: &Arc<Self>) -> Result<Accepted, Problem> {
        self.accepted.fetch_add(1, Ordering::SeqCst);
        let accepted = Accepted(self.clone());
        if self.is_ready() {
            self.touch();
            Ok(accepted)
        } else {
            Err(Problem::NotReady)
        }
    }

    fn touch(&self) {
        let now = self.runtime.clock.monotonic().as_micros();
        self.used.store(u64::try_from(now).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// When it was last called.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether a call is under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.accepted.load(Ordering::SeqCst) > 0
    }

    /// What it is reckoned to take of memory.
    pub(crate) fn bytes(&self) -> u64 {
        let explainer = if self.explainer.is_made() { self.engine.explaining_bytes() } else { 0 };
        self.engine.bytes(self.runtime.workers.get()).saturating_add(explainer)
    }

    /// A copy of the network that has gradients; where none is to be had, the one that is served,
    /// whose answers are explained by leaving tokens out.
    pub(crate) fn explaining(&self) -> Result<Classifier, LoadError> {
        self.engine.explaining().or_else(|error| {
            tracing::warn!(%error, "no gradients: answers are explained by leaving tokens out");
            self.engine.classifier()
        })
    }

    /// What it computes with, and how far that is from fp32.
    pub(crate) fn test(&self) -> &reeve_classifier::SelfTest {
        self.engine.test()
    }

    /// Takes no more calls, waits until those that were accepted are answered, and ends the
    /// workers. The memory is free when the last reference is gone.
    pub(crate) async fn drain(self: &Arc<Self>) {
        self.taken.store(false, Ordering::SeqCst);
        while self.is_busy() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let model = self.clone();
        drop(tokio::task::spawn_blocking(move || model.stop()).await);
    }

    /// Ends the workers after what waits is computed.
    fn stop(&self) {
        self.queue.close();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            // A worker that panicked has ended as well.
            drop(thread.join());
        }
        self.metrics.waiting(&self.queue);
    }

    /// In the form of Triton's statistics.
    pub(crate) fn stats(&self) -> ModelStats {
        let told = self.stats.told();
        ModelStats {
            name: self.name.clone(),
            version: self.version.clone(),
            last_inference: told.last_ms,
            inference_count: told.texts,
            execution_count: self.metrics.executions(),
            inference_stats: told.sums,
            batch_stats: batches(self.metrics.sizes()),
        }
    }
}
