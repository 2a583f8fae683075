use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail};
use reeve_classifier::{Bundle, Classifier, Device, Encoded, Encoder, Part, Readout, softmax};
use reeve_domain::{Clock, Digest};
use reeve_protocol::{
    names::{NameSpan, NamesResponse},
    text::{Labels, OwnedTextRequest, TextResponse},
    warrant::WarrantVerifier,
};

use crate::{metrics::Metrics, problem::Problem, queue::Queue, recorder::Recorder, worker::work};

/// One served bundle: its queue, its workers, and whether calls are taken.
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) digest: Digest,
    pub(crate) labels: Vec<String>,
    pub(crate) max_tokens: u32,
    /// Whether every token has a label: names are found, and texts not classified.
    pub(crate) finds_names: bool,
    pub(crate) warrants: WarrantVerifier,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) body_limit: usize,
    pub(crate) deadline: Duration,
    encoder: Encoder,
    queue: Queue,
    ready: AtomicBool,
    accepted: AtomicUsize,
    workers: AtomicUsize,
}

/// What surrounds a bundle.
pub(crate) struct Setting {
    pub(crate) warrants: WarrantVerifier,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) body_limit: usize,
    pub(crate) deadline: Duration,
    pub(crate) queue: NonZeroUsize,
}

/// Counts an accepted call until its answer is handed over.
pub(crate) struct Accepted<'a>(&'a Pod);

impl Drop for Accepted<'_> {
    fn drop(&mut self) {
        self.0.accepted.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Pod {
    pub(crate) fn new(bundle: &Bundle, setting: Setting) -> anyhow::Result<Self> {
        Ok(Self {
            name: bundle.name().to_owned(),
            version: bundle.version().to_owned(),
            digest: bundle.digest().parse().context("the bundle's digest")?,
            labels: bundle.labels().to_vec(),
            max_tokens: bundle.max_tokens(),
            finds_names: bundle.architecture().readout == Readout::EveryToken,
            warrants: setting.warrants,
            recorder: setting.recorder,
            metrics: Metrics::new()?,
            clock: setting.clock,
            body_limit: setting.body_limit,
            deadline: setting.deadline,
            encoder: bundle.encoder(),
            queue: Queue::new(setting.queue.get()),
            ready: AtomicBool::new(false),
            accepted: AtomicUsize::new(0),
            workers: AtomicUsize::new(0),
        })
    }

    /// Whether calls are taken.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst)
    }

    /// Takes a call in. It is counted before the look at readiness, so that a drain either sees
    /// it or it sees the drain.
    pub(crate) fn accept(&self) -> Result<Accepted<'_>, Problem> {
        self.accepted.fetch_add(1, Ordering::SeqCst);
        let accepted = Accepted(self);
        if self.is_ready() { Ok(accepted) } else { Err(Problem::NotReady) }
    }

    /// Takes no more calls and waits until those that were accepted are answered.
    pub(crate) async fn drain(&self) {
        self.ready.store(false, Ordering::SeqCst);
        while self.accepted.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.queue.close();
    }

    /// Reads a request whose texts are looked at for names, and makes parts of them: for each,
    /// which text it is of.
    pub(crate) fn read_parts(
        &self,
        body: &[u8],
    ) -> Result<(OwnedTextRequest, Vec<(usize, Part)>), Problem> {
        let request = OwnedTextRequest::parse(body)?;
        let mut all = Vec::new();
        for (index, text) in request.texts.iter().enumerate() {
            let parts = self.encoder.parts(text).map_err(|_| Problem::Text { index })?;
            all.extend(parts.into_iter().map(|part| (index, part)));
        }
        self.check_room(all.len())?;
        Ok((request, all))
    }

    /// Finds the names in parts of `texts` texts.
    pub(crate) async fn find_names(
        &self,
        texts: usize,
        parts: Vec<(usize, Part)>,
    ) -> Result<NamesResponse, Problem> {
        let encoded = parts.iter().map(|(_, part)| part.encoded.clone()).collect();
        let rows = if parts.is_empty() { Vec::new() } else { self.compute(encoded).await? };
        let mut spans = vec![Vec::new(); texts];
        for ((index, part), row) in parts.iter().zip(rows) {
            let found = reeve_classifier::spans(part, &row, &self.labels, LEAST_LIKELY);
            if let Some(here) = spans.get_mut(*index) {
                here.extend(found.into_iter().map(|span| NameSpan {
                    kind: span.kind,
                    start: span.range.start,
                    end: span.range.end,
                    score: span.score.clamp(0.0, 1.0),
                }));
            }
        }
        Ok(NamesResponse {
            model_name: self.name.clone(),
            model_version: self.version.clone(),
            spans,
        })
    }

    /// Logits of texts or parts, in order. Nothing waits longer than the deadline; what is given
    /// up then is not computed any more.
    async fn compute(&self, texts: Vec<Encoded>) -> Result<Vec<Vec<f32>>, Problem> {
        let answer = self.queue.submit(texts)?;
        tokio::time::timeout(self.deadline, answer)
            .await
            .map_err(|_| Problem::Deadline)?
            .map_err(|_| Problem::Failed)?
            .map_err(|_| Problem::Failed)
    }

    fn check_room(&self, texts: usize) -> Result<(), Problem> {
        let most = self.queue.capacity();
        if texts > most { Err(Problem::Texts { texts, most }) } else { Ok(()) }
    }

    /// Reads a request and makes its texts into tokens.
    pub(crate) fn read(&self, body: &[u8]) -> Result<(OwnedTextRequest, Vec<Encoded>), Problem> {
        let request = OwnedTextRequest::parse(body)?;
        self.check_room(request.texts.len())?;
        let encode = |(index, text): (usize, &String)| {
            self.encoder.encode(text).map_err(|_| Problem::Text { index })
        };
        let encoded = request.texts.iter().enumerate().map(encode).collect::<Result<_, _>>()?;
        Ok((request, encoded))
    }

    /// Classifies encoded texts.
    pub(crate) async fn classify(
        &self,
        texts: Vec<Encoded>,
        top_k: Option<u32>,
    ) -> Result<TextResponse, Problem> {
        let tokens = texts.iter().map(|text| u32::try_from(text.ids.len()).unwrap_or(u32::MAX));
        let tokens = tokens.collect();
        let rows = self.compute(texts).await?;
        let most = top_k.and_then(|k| usize::try_from(k).ok()).unwrap_or(usize::MAX);
        Ok(TextResponse {
            model_name: self.name.clone(),
            model_version: self.version.clone(),
            results: rows.iter().map(|row| best(&self.labels, row, most)).collect(),
            tokens,
            unknown: Vec::new(),
        })
    }

    /// Starts the workers, each with a network of its own, warms them up, and is ready.
    pub(crate) fn start(
        self: &Arc<Self>,
        bundle: &Arc<Bundle>,
        device: Device,
        workers: NonZeroUsize,
        max_batch: NonZeroUsize,
    ) -> anyhow::Result<()> {
        let (report, warm) = mpsc::channel();
        for number in 0..workers.get() {
            let (pod, bundle, report) = (self.clone(), bundle.clone(), report.clone());
            self.workers.fetch_add(1, Ordering::SeqCst);
            thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || pod.work(&bundle, device, max_batch.get(), &report))?;
        }
        drop(report);
        for _ in 0..workers.get() {
            match warm.recv() {
                Ok(result) => result?,
                Err(_) => bail!("a worker ended while it was loading the bundle"),
            }
        }
        self.ready.store(true, Ordering::SeqCst);
        Ok(())
    }

    fn work(
        &self,
        bundle: &Bundle,
        device: Device,
        most: usize,
        report: &mpsc::Sender<anyhow::Result<()>>,
    ) {
        // Holds for the thread that says it.
        reeve_classifier::set_threads(1);
        let load = || Classifier::load(bundle, device);
        let classifier = match load().context("loading").and_then(|classifier| {
            self.warm_up(&classifier, most)?;
            Ok(classifier)
        }) {
            Ok(classifier) => classifier,
            Err(error) => return drop(report.send(Err(error))),
        };
        self.metrics.worker_started();
        if report.send(Ok(())).is_err() {
            return;
        }
        if let Err(error) = work(&self.queue, classifier, load, most, (&self.metrics, &*self.clock))
        {
            tracing::error!(%error, "a worker ends");
        }
        self.metrics.worker_ended();
        if self.workers.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.ready.store(false, Ordering::SeqCst);
            self.queue.abandon();
        }
    }

    /// The first passes allocate and choose kernels: they are made here, and not for a caller.
    fn warm_up(&self, classifier: &Classifier, most: usize) -> anyhow::Result<()> {
        let short = self.encoder.encode("warm up")?;
        let words = usize::try_from(self.max_tokens).unwrap_or(1);
        let long = self.encoder.encode(&"warm ".repeat(words))?;
        let mut size = 1;
        while size <= most.min(64) {
            classifier.logits(&vec![&short; size])?;
            classifier.logits(&vec![&long; size])?;
            size = size.saturating_mul(2);
        }
        Ok(())
    }
}

/// Names below this probability are not told; who asks may want more.
const LEAST_LIKELY: f32 = 0.2;

/// The `most` likeliest labels, likeliest first; equals in the bundle's order.
fn best(labels: &[String], logits: &[f32], most: usize) -> Labels {
    let mut all: Labels = labels.iter().cloned().zip(softmax(logits)).collect();
    all.sort_by(|left, right| right.1.total_cmp(&left.1));
    all.truncate(most.max(1));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_labels_come_first_and_equals_keep_their_order() {
        let labels = ["a", "b", "c"].map(str::to_owned);
        let all = best(&labels, &[0.0, 2.0, 0.0], 9);
        assert_eq!(
            all.iter().map(|(label, _)| label.as_str()).collect::<Vec<_>>(),
            ["b", "a", "c"]
        );
        assert!((all.iter().map(|(_, score)| score).sum::<f32>() - 1.0).abs() < 1e-6);
        assert_eq!(best(&labels, &[0.0, 2.0, 0.0], 1).len(), 1);
    }
}
