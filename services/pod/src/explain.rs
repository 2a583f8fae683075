//! Explanations: what costs some hundred passes a text, one call after the other, beside the queue
//! that labels go through.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use reeve_classifier::{Classifier, ExplainSettings, Method};
use reeve_protocol::{
    explanation::{Explanation, TokenScore},
    text::Labels,
};
use tokio::sync::Semaphore;

use crate::{
    model::{Accepted, Model},
    problem::Problem,
};

/// A model's copy that has gradients, made when it is asked for first.
pub(crate) struct Explainer {
    classifier: Mutex<Option<Classifier>>,
    /// One at a time.
    turn: Semaphore,
    /// So many wait for their turn at most.
    room: Arc<Semaphore>,
}

/// Calls that wait to be explained, besides the one that is.
const WAITING: usize = 16;
/// What an explanation costs at most: so many points of the integral.
const SETTINGS: ExplainSettings =
    ExplainSettings { tolerance: 0.01, steps_max: 128, occlusion: false };
/// Somebody who finds no room may come back after this.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Default for Explainer {
    fn default() -> Self {
        let room = Arc::new(Semaphore::new(WAITING + 1));
        Self { classifier: Mutex::default(), turn: Semaphore::new(1), room }
    }
}

impl Explainer {
    /// Whether there is a copy; one that is being used is there.
    pub(crate) fn is_made(&self) -> bool {
        self.classifier.try_lock().is_none_or(|classifier| classifier.is_some())
    }
}

/// Explains each text's best label, until `until` by the monotonic clock.
pub(crate) async fn explain(
    model: &Accepted,
    texts: &[String],
    results: &[Labels],
    until: Duration,
) -> Result<Vec<Explanation>, Problem> {
    let explainer = &model.explainer;
    let full = |_| Problem::Full { retry_after: RETRY_AFTER };
    let room = Arc::clone(&explainer.room).try_acquire_owned().map_err(full)?;
    let left = until.saturating_sub(model.runtime.clock.monotonic());
    let turn = tokio::time::timeout(left, explainer.turn.acquire());
    let _turn = turn.await.map_err(|_| Problem::Deadline)?.map_err(|_| Problem::NotReady)?;
    let labels = results.iter().map(|labels| labels.first().map_or("", |(label, _)| label));
    let asked: Vec<(String, String)> =
        texts.iter().cloned().zip(labels.map(str::to_owned)).collect();
    let model = Arc::clone(model);
    let work = tokio::task::spawn_blocking(move || {
        let _room = room;
        model.explain_here(&asked, until)
    });
    work.await.map_err(|_| Problem::Failed)?
}

impl Model {
    fn explain_here(
        &self,
        asked: &[(String, String)],
        until: Duration,
    ) -> Result<Vec<Explanation>, Problem> {
        let failed = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, "a text cannot be explained");
            Problem::Failed
        };
        let mut classifier = self.explainer.classifier.lock();
        let classifier = match &mut *classifier {
            Some(classifier) => classifier,
            none => none.insert(self.explaining().map_err(|error| failed(&error))?),
        };
        let mut all = Vec::with_capacity(asked.len());
        for (text, best) in asked {
            if self.runtime.clock.monotonic() >= until {
                return Err(Problem::Deadline);
            }
            let _core = self.runtime.cores.take();
            let label = self.labels.iter().position(|label| label == best);
            let found =
                classifier.explain(text, label, SETTINGS).map_err(|error| failed(&error))?;
            let score = |token: &reeve_classifier::Attribution| TokenScore {
                start: token.start,
                end: token.end,
                score: token.score,
            };
            all.push(Explanation {
                label: best.clone(),
                method: match found.method {
                    Method::IntegratedGradients => "integrated-gradients".to_owned(),
                    Method::Occlusion => "occlusion".to_owned(),
                },
                tokens: found.tokens.iter().map(score).collect(),
                rest: found.rest,
                logit: found.logit,
                baseline: found.baseline,
                error: found.error,
                steps: found.steps,
            });
        }
        Ok(all)
    }
}
