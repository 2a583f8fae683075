//! The course of a training: epochs of steps, a look at what was learned after each, and a
//! checkpoint now and then. What is learned is a [`Lesson`]'s business.

use rand::{SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use reeve_classifier::{Metrics, Weights};
use serde::{Deserialize, Serialize};
use tch::{TchError, Tensor};

use super::{FitError, Progress, Recipe, checkpoint::Checkpoints, optimizer::Steps};
use crate::network::Network;

/// Something that a network can learn.
pub(super) trait Lesson {
    /// Texts in an epoch.
    fn texts(&self) -> usize;
    /// Tokens of a text, to put like ones together.
    fn tokens(&self, index: usize) -> usize;
    /// The loss of a batch of texts, by their numbers.
    fn loss(&self, batch: &[usize], random: StdRng) -> Result<Tensor, TchError>;
    /// How well the network does on texts held out.
    fn judge(&self) -> Result<Metrics, FitError>;
}

/// What one epoch came to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// From 1.
    pub epoch: u32,
    /// Mean loss over the epoch's texts.
    pub loss: f64,
    /// Of the texts held out.
    pub accuracy: f64,
    /// Of the texts held out.
    pub macro_f1: f64,
}

/// Where a training stands; with the weights and moments, all that it needs to go on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Standing {
    /// Epochs that are over.
    pub(super) epochs: u32,
    /// Batches of the next one that are.
    pub(super) batches: usize,
    pub(super) texts: u64,
    /// Of the losses of the epoch under way, times their texts.
    pub(super) loss_sum: f64,
    pub(super) texts_in_epoch: u32,
    pub(super) history: Vec<Epoch>,
    /// The epoch whose weights are kept as the best.
    pub(super) best: Option<u32>,
}

/// Batches that are sorted by length together, so that little is padded.
const WINDOW: usize = 16;

/// All epochs. Ends with the weights that are to be used in the network.
pub(super) fn run(
    network: &Network,
    recipe: &Recipe,
    lesson: &impl Lesson,
    checkpoints: Option<&Checkpoints>,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Metrics, Vec<Epoch>), FitError> {
    let mut steps = Steps::new(recipe, network.parameters())?;
    let (mut standing, mut best_weights) = (Standing::default(), None);
    if let Some(checkpoints) = checkpoints
        && let Some(saved) = checkpoints.load()?
    {
        super::checkpoint::put(network, &saved.weights)?;
        steps.restore(&saved.moments, saved.steps)?;
        (standing, best_weights) = (saved.standing, saved.best);
    }
    let per_epoch = u64::try_from(lesson.texts()).unwrap_or(u64::MAX);
    let texts_total = per_epoch.saturating_mul(recipe.epochs.into());
    while standing.epochs < recipe.epochs {
        let epoch = standing.epochs.saturating_add(1);
        let all = batches(lesson, recipe, epoch);
        for (number, batch) in all.iter().enumerate().skip(standing.batches) {
            let rate = recipe.learning_rate * recipe.rate(ratio(standing.texts, texts_total));
            let loss = lesson.loss(batch, random(recipe.seed, epoch, number))?;
            let loss = steps.step(&loss, rate)?;
            if !loss.is_finite() {
                return Err(FitError::Diverged(epoch));
            }
            let count = u32::try_from(batch.len()).unwrap_or(u32::MAX);
            standing.loss_sum += loss * f64::from(count);
            standing.texts_in_epoch = standing.texts_in_epoch.saturating_add(count);
            standing.texts = standing.texts.saturating_add(count.into());
            standing.batches = number.saturating_add(1);
            progress(tell(&standing, recipe, texts_total, epoch, None));
            if let Some(checkpoints) = checkpoints
                && checkpoints.is_due(steps.count())
            {
                checkpoints.save(network, &steps, &standing, best_weights.as_ref())?;
            }
        }
        let judgement = lesson.judge()?;
        let loss = standing.loss_sum / f64::from(standing.texts_in_epoch.max(1));
        let (accuracy, macro_f1) = (judgement.accuracy, judgement.macro_f1);
        progress(tell(&standing, recipe, texts_total, epoch, Some(accuracy)));
        let before = standing.history.iter().map(|past| past.accuracy).fold(-1.0, f64::max);
        standing.history.push(Epoch { epoch, loss, accuracy, macro_f1 });
        (standing.epochs, standing.batches) = (epoch, 0);
        (standing.loss_sum, standing.texts_in_epoch) = (0.0, 0);
        if recipe.patience > 0 && accuracy > before {
            standing.best = Some(epoch);
            best_weights = Some(network.weights()?);
        }
        if let Some(checkpoints) = checkpoints {
            checkpoints.save(network, &steps, &standing, best_weights.as_ref())?;
        }
        let since = epoch.saturating_sub(standing.best.unwrap_or(epoch));
        if recipe.patience > 0 && since >= recipe.patience {
            break;
        }
    }
    if let Some(weights) = &best_weights {
        super::checkpoint::put(network, weights)?;
    }
    Ok((lesson.judge()?, standing.history))
}

/// The weights, moments and standing of an interrupted training.
pub(super) struct Saved {
    pub(super) standing: Standing,
    pub(super) weights: Weights,
    pub(super) moments: Weights,
    pub(super) steps: u64,
    pub(super) best: Option<Weights>,
}

fn tell(
    standing: &Standing,
    recipe: &Recipe,
    texts_total: u64,
    epoch: u32,
    accuracy: Option<f64>,
) -> Progress {
    Progress {
        epoch,
        epochs: recipe.epochs,
        texts: standing.texts,
        texts_total,
        loss: standing.loss_sum / f64::from(standing.texts_in_epoch.max(1)),
        accuracy,
    }
}

/// The order of an epoch depends on seed and epoch alone, so that it can be made again.
fn batches(lesson: &impl Lesson, recipe: &Recipe, epoch: u32) -> Vec<Vec<usize>> {
    let mut random = random(recipe.seed, epoch, usize::MAX);
    let mut order: Vec<usize> = (0..lesson.texts()).collect();
    order.shuffle(&mut random);
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for window in order.chunks_mut(recipe.batch.saturating_mul(WINDOW).max(1)) {
        window.sort_by_key(|index| lesson.tokens(*index));
        batches.extend(window.chunks(recipe.batch.max(1)).map(<[_]>::to_vec));
    }
    batches.shuffle(&mut random);
    batches
}

/// A generator of its own for each step: whoever goes on in the middle draws the same numbers.
fn random(seed: u64, epoch: u32, step: usize) -> StdRng {
    let mut bytes = [0; 32];
    let step = u64::try_from(step).unwrap_or(u64::MAX);
    for (to, from) in bytes.iter_mut().zip(
        seed.to_le_bytes()
            .into_iter()
            .chain(u64::from(epoch).to_le_bytes())
            .chain(step.to_le_bytes()),
    ) {
        *to = from;
    }
    StdRng::from_seed(bytes)
}

fn ratio(done: u64, total: u64) -> f64 {
    let small = |n: u64| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    small(done) / small(total).max(1.0)
}
