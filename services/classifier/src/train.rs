use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use serde::{Deserialize, Serialize};
use tch::{
    Device, Kind, Reduction, TchError, Tensor,
    nn::{self, OptimizerConfig as _},
};

use crate::{
    Activation, Architecture, Card, Dataset, DatasetError, EncodeError, Encoder, InvalidTokenizer,
    Metrics, Parts, Readout, TaggedText, TokenizerSettings, Weight, Weights, WeightsError,
    network::{Network, row},
    tagging, vocabulary,
};

/// How to train. Two runs with the same recipe and data, on the same kind of device with one
/// intra-op thread, give the same weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Times that every text is seen.
    pub epochs: u32,
    /// The step at the start; it falls to zero along half a cosine.
    pub learning_rate: f64,
    /// Of [`Optimizer::Sgd`].
    pub momentum: f64,
    /// Rule of the steps.
    pub optimizer: Optimizer,
    /// What the steps make smaller.
    pub loss: Loss,
    /// Between LSTM and output.
    pub activation: Activation,
    /// Width of the embedding.
    pub embedding: u32,
    /// Width of the hidden state.
    pub hidden: u32,
    /// Texts a step.
    pub batch: usize,
    /// Tokens of a text that are read.
    pub max_tokens: u32,
    /// The vocabulary's limit.
    pub vocabulary: usize,
    /// Share of training tokens that are shown as unknown, so that unknown ones say nothing.
    pub unknown_share: f64,
    /// Of initial weights, split, order and unknown tokens.
    pub seed: u64,
}

/// The rule of the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Optimizer {
    /// Stochastic gradient descent with momentum.
    Sgd,
    /// Adam with PyTorch's defaults.
    Adam,
    /// Adam with decoupled weight decay of 0.01.
    Adamw,
}

/// What training makes smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Negative log of the right label's probability.
    CrossEntropy,
    /// Squared distance of the probabilities from the one-hot right answer (Brier's score), so
    /// that probabilities are what is learned and served under either loss.
    Mse,
}

/// Where training is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// From 1.
    pub epoch: u32,
    /// In all.
    pub epochs: u32,
    /// Texts learned from so far, over all epochs.
    pub texts: u64,
    /// Texts to learn from in all.
    pub texts_total: u64,
    /// Mean loss of the epoch so far.
    pub loss: f64,
    /// Of the validation texts, at an epoch's end.
    pub accuracy: Option<f64>,
}

/// A trained network with all that a bundle needs of it.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// The network's shape.
    pub architecture: Architecture,
    /// In the order of the output's rows.
    pub labels: Vec<String>,
    /// As `tokenizer.json`.
    pub tokenizer: Vec<u8>,
    /// How texts become tokens.
    pub settings: TokenizerSettings,
    /// What was learned.
    pub weights: Weights,
    /// On the texts held out.
    pub metrics: Metrics,
    /// Texts learned from.
    pub trained_on: usize,
}

impl Fitted {
    /// What a bundle is made of, with a card that says what the model is for.
    pub fn into_parts(self, card: Card) -> Parts {
        Parts {
            architecture: self.architecture,
            labels: self.labels,
            settings: self.settings,
            tokenizer: self.tokenizer,
            weights: self.weights,
            card,
        }
    }
}

/// Training that could not be done.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// The data cannot be learned from.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// No tokenizer could be made.
    #[error("no tokenizer can be made from these texts: {0}")]
    Vocabulary(#[from] tokenizers::Error),
    /// The tokenizer does not fit.
    #[error(transparent)]
    Tokenizer(#[from] InvalidTokenizer),
    /// A text has no tokens.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The recipe asks for the impossible.
    #[error("{0}")]
    Recipe(String),
    /// The device failed.
    #[error("a training step failed: {0}")]
    Device(#[from] TchError),
    /// The steps were too large.
    #[error("training diverged in epoch {0}: try a smaller learning rate")]
    Diverged(u32),
    /// The weights came out unusable.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

/// One text in so many is held out to judge by.
const VALIDATION_EVERY: usize = 10;
/// A gradient longer than this is shortened to it: an LSTM's explode now and then.
const GRADIENT_NORM_MAX: f64 = 1.0;
/// Batches that are sorted by length together, so that little is padded.
const WINDOW: usize = 16;

impl Recipe {
    fn check(&self) -> Result<(), FitError> {
        if self.batch == 0 || self.epochs == 0 {
            return Err(FitError::Recipe("`batch` and `epochs` must be at least 1".to_owned()));
        }
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return Err(FitError::Recipe("`learning-rate` must be above 0".to_owned()));
        }
        Ok(())
    }
}

/// A text's tokens and its label.
type Row = (Vec<i64>, usize);

/// Trains a network from scratch: tokenizer, initial weights, steps, metrics.
pub fn fit(
    data: &Dataset,
    recipe: &Recipe,
    device: Device,
    progress: impl FnMut(Progress),
) -> Result<Fitted, FitError> {
    recipe.check()?;
    let mut random = StdRng::seed_from_u64(recipe.seed);
    let (learned, judged) = data.split(VALIDATION_EVERY, &mut random)?;
    let texts = learned.iter().map(|example| example.text.as_str());
    let tokenizer = vocabulary::learn_tokenizer(texts, recipe.vocabulary, 2)?;
    let settings = TokenizerSettings {
        max_tokens: recipe.max_tokens,
        empty_token: vocabulary::UNKNOWN.to_owned(),
    };
    let size = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let architecture = Architecture {
        vocabulary: size(vocabulary::vocabulary_size(&tokenizer)?),
        embedding: recipe.embedding,
        hidden: recipe.hidden,
        layers: 1,
        bidirectional: false,
        classes: size(data.labels.len()),
        activation: recipe.activation,
        readout: Readout::LastReal,
    };
    architecture.check().map_err(FitError::Recipe)?;
    let encoder = Encoder::new(&tokenizer, &settings, architecture.vocabulary)?;
    let rows = |examples: &[&crate::Example]| -> Result<Vec<Row>, EncodeError> {
        let encode = |e: &&crate::Example| Ok((encoder.encode(&e.text)?.ids, e.label));
        examples.iter().map(encode).collect()
    };
    let (learned, judged) = (rows(&learned)?, rows(&judged)?);

    let network = Network::new(&architecture, &initial(&architecture, &mut random), device)?;
    let metrics = learn(
        &network,
        recipe,
        &learned,
        &mut random,
        |ids, labels| loss(&network, recipe.loss, ids, labels),
        || Ok(judge(&network, &judged, &data.labels, recipe.batch)?),
        progress,
    )?;
    let weights = network.weights()?;
    weights.check(&architecture)?;
    let labels = data.labels.clone();
    let trained_on = learned.len();
    Ok(Fitted { architecture, labels, tokenizer, settings, weights, metrics, trained_on })
}

/// Trains a network that labels every token, both ways through the text.
pub fn fit_tagger(
    data: &[TaggedText],
    kinds: &[String],
    recipe: &Recipe,
    device: Device,
    progress: impl FnMut(Progress),
) -> Result<Fitted, FitError> {
    recipe.check()?;
    let mut random = StdRng::seed_from_u64(recipe.seed);
    let mut order: Vec<&TaggedText> = data.iter().collect();
    order.shuffle(&mut random);
    let (judged, learned) = order.split_at(order.len() / VALIDATION_EVERY);
    let texts = learned.iter().map(|one| one.text.as_str());
    let tokenizer = vocabulary::learn_word_parts(texts, recipe.vocabulary)?;
    let settings = TokenizerSettings {
        max_tokens: recipe.max_tokens,
        empty_token: vocabulary::UNKNOWN.to_owned(),
    };
    let labels = tagging::tag_labels(kinds);
    let size = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let architecture = Architecture {
        vocabulary: size(vocabulary::vocabulary_size(&tokenizer)?),
        embedding: recipe.embedding,
        hidden: recipe.hidden,
        layers: 1,
        bidirectional: true,
        classes: size(labels.len()),
        activation: recipe.activation,
        readout: Readout::EveryToken,
    };
    architecture.check().map_err(FitError::Recipe)?;
    let encoder = Encoder::new(&tokenizer, &settings, architecture.vocabulary)?;
    let mut rows: Vec<(Vec<i64>, Vec<i64>)> = Vec::new();
    for text in learned {
        for part in encoder.parts(&text.text)? {
            let truth = tagging::truth(&part, &text.spans, &labels);
            let truth = truth.into_iter().map(|label| i64::try_from(label).unwrap_or(0));
            rows.push((part.encoded.ids.clone(), truth.collect()));
        }
    }
    let network = Network::new(&architecture, &initial(&architecture, &mut random), device)?;
    let metrics = learn(
        &network,
        recipe,
        &rows,
        &mut random,
        |ids, truth| tag_loss(&network, ids, truth),
        || judge_tags(&network, &encoder, judged, kinds, &labels),
        progress,
    )?;
    let weights = network.weights()?;
    weights.check(&architecture)?;
    let trained_on = learned.len();
    Ok(Fitted { architecture, labels, tokenizer, settings, weights, metrics, trained_on })
}

/// All epochs, each with a look at what was learned. The caller says what the loss of a batch is,
/// and how well the network does.
fn learn<T>(
    network: &Network,
    recipe: &Recipe,
    rows: &[(Vec<i64>, T)],
    random: &mut StdRng,
    loss: impl Fn(&[Vec<i64>], &[&T]) -> Result<Tensor, TchError>,
    judge: impl Fn() -> Result<Metrics, FitError>,
    mut progress: impl FnMut(Progress),
) -> Result<Metrics, FitError> {
    let mut optimizer = optimizer(recipe, network.store())?;
    let per_epoch = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    let texts_total = per_epoch.saturating_mul(recipe.epochs.into());
    let mut texts = 0_u64;
    let mut metrics = None;
    for epoch in 1..=recipe.epochs {
        let epochs = recipe.epochs;
        let (mut sum, mut seen) = (0.0, 0_u32);
        for batch in batches(rows, recipe.batch, random) {
            optimizer.set_lr(recipe.learning_rate * cosine(texts, texts_total));
            let ids: Vec<Vec<i64>> = batch
                .iter()
                .map(|(ids, _)| with_unknown(ids, recipe.unknown_share, random))
                .collect();
            let truth: Vec<&T> = batch.iter().map(|(_, truth)| truth).collect();
            let loss = step(&mut optimizer, &loss(&ids, &truth)?)?;
            if !loss.is_finite() {
                return Err(FitError::Diverged(epoch));
            }
            let count = u32::try_from(batch.len()).unwrap_or(u32::MAX);
            sum += loss * f64::from(count);
            seen = seen.saturating_add(count);
            texts = texts.saturating_add(count.into());
            let loss = sum / f64::from(seen);
            progress(Progress { epoch, epochs, texts, texts_total, loss, accuracy: None });
        }
        let judgement = judge()?;
        let loss = sum / f64::from(seen.max(1));
        let accuracy = Some(judgement.accuracy);
        progress(Progress { epoch, epochs, texts, texts_total, loss, accuracy });
        metrics = Some(judgement);
    }
    metrics.ok_or_else(|| FitError::Recipe("no epochs".to_owned()))
}

/// One step down the gradient; the loss before it.
fn step(optimizer: &mut nn::Optimizer, loss: &Tensor) -> Result<f64, TchError> {
    optimizer.zero_grad();
    loss.f_backward()?;
    optimizer.clip_grad_norm(GRADIENT_NORM_MAX);
    optimizer.step();
    loss.f_double_value(&[])
}

fn tag_loss(network: &Network, ids: &[Vec<i64>], truth: &[&Vec<i64>]) -> Result<Tensor, TchError> {
    /// What stands for padding, and is not judged.
    const NOTHING: i64 = -100;
    let rows: Vec<&[i64]> = ids.iter().map(Vec::as_slice).collect();
    let (ids, lengths) = network.batch(&rows)?;
    let steps = rows.iter().map(|row| row.len()).max().unwrap_or(0);
    let padded: Vec<i64> = truth
        .iter()
        .flat_map(|row| {
            row.iter().copied().chain(std::iter::repeat_n(NOTHING, steps.saturating_sub(row.len())))
        })
        .collect();
    let truth = Tensor::f_from_slice(&padded)?.f_to_device(ids.device())?;
    let logits = network.forward(&ids, &lengths, true)?;
    let classes = logits.size().last().copied().unwrap_or(0);
    let logits = logits.f_view([-1, classes])?;
    logits.f_cross_entropy_loss::<Tensor>(&truth, None, Reduction::Mean, NOTHING, 0.0)
}

fn judge_tags(
    network: &Network,
    encoder: &Encoder,
    texts: &[&TaggedText],
    kinds: &[String],
    labels: &[String],
) -> Result<Metrics, FitError> {
    let mut pairs = Vec::with_capacity(texts.len());
    for text in texts {
        let mut found = Vec::new();
        for part in encoder.parts(&text.text)? {
            let logits = tch::no_grad(|| {
                let (ids, lengths) = network.batch(&[&part.encoded.ids])?;
                network.forward(&ids, &lengths, false)
            })?;
            found.extend(tagging::spans(&part, &row(&logits, 0)?, labels, 0.5));
        }
        pairs.push(((*text).clone(), found));
    }
    Ok(tagging::span_metrics(kinds, &pairs))
}

fn optimizer(recipe: &Recipe, store: &nn::VarStore) -> Result<nn::Optimizer, TchError> {
    let rate = recipe.learning_rate;
    match recipe.optimizer {
        Optimizer::Sgd => nn::sgd(recipe.momentum, 0.0, 0.0, false).build(store, rate),
        Optimizer::Adam => nn::adam(0.9, 0.999, 0.0).build(store, rate),
        Optimizer::Adamw => nn::adamw(0.9, 0.999, 0.01).build(store, rate),
    }
}

fn loss(
    network: &Network,
    loss: Loss,
    ids: &[Vec<i64>],
    labels: &[&usize],
) -> Result<Tensor, TchError> {
    let rows: Vec<&[i64]> = ids.iter().map(Vec::as_slice).collect();
    let (ids, lengths) = network.batch(&rows)?;
    let labels: Vec<i64> = labels.iter().map(|&&l| i64::try_from(l).unwrap_or(-1)).collect();
    let truth = Tensor::f_from_slice(&labels)?.f_to_device(ids.device())?;
    let logits = network.forward(&ids, &lengths, true)?;
    match loss {
        Loss::CrossEntropy => {
            logits.f_cross_entropy_loss::<Tensor>(&truth, None, Reduction::Mean, -100, 0.0)
        }
        Loss::Mse => {
            let classes = logits.size().last().copied().unwrap_or(0);
            let truth = truth.f_one_hot(classes)?.f_to_kind(Kind::Float)?;
            let probabilities = logits.f_softmax(-1, Kind::Float)?;
            // Summed over the labels: a mean would shrink the steps with every label added.
            (probabilities - truth)
                .f_square()?
                .f_sum_dim_intlist([-1_i64].as_slice(), false, Kind::Float)?
                .f_mean(Kind::Float)
        }
    }
}

fn judge(
    network: &Network,
    rows: &[Row],
    labels: &[String],
    batch: usize,
) -> Result<Metrics, TchError> {
    let mut pairs = Vec::with_capacity(rows.len());
    for batch in rows.chunks(batch.max(1)) {
        let ids: Vec<&[i64]> = batch.iter().map(|(ids, _)| ids.as_slice()).collect();
        let logits = tch::no_grad(|| {
            let (ids, lengths) = network.batch(&ids)?;
            network.forward(&ids, &lengths, false)
        })?;
        for (index, (_, label)) in batch.iter().enumerate() {
            pairs.push((*label, largest(&row(&logits, index)?)));
        }
    }
    Ok(Metrics::of(labels, &pairs))
}

/// Which number is largest, the first of equals.
pub(crate) fn largest(numbers: &[f32]) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (index, &number) in numbers.iter().enumerate() {
        if number > best.1 {
            best = (index, number);
        }
    }
    best.0
}

/// PyTorch's initial weights: N(0, 1) for the embedding, U(−1/√H, 1/√H) for all of the LSTM and,
/// as its input is H wide, for the linear layer too.
pub(crate) fn initial(architecture: &Architecture, random: &mut StdRng) -> Weights {
    let bound = f32::from(u16::try_from(architecture.hidden).unwrap_or(u16::MAX)).sqrt().recip();
    let mut weights = Weights::default();
    for (name, shape) in architecture.weights() {
        let count = shape.iter().copied().fold(1, usize::saturating_mul);
        let values = if name.starts_with("embedding.") {
            (0..count).map(|_| normal(random)).collect()
        } else {
            (0..count).map(|_| random.random_range(-bound..bound)).collect()
        };
        weights.0.insert(name, Weight { shape, values });
    }
    weights
}

/// Box and Muller's transform of two uniform numbers.
fn normal(random: &mut StdRng) -> f32 {
    let radius = (-2.0 * (1.0 - random.random::<f32>()).ln()).sqrt();
    radius * (std::f32::consts::TAU * random.random::<f32>()).cos()
}

fn batches<'a, T>(
    rows: &'a [(Vec<i64>, T)],
    size: usize,
    random: &mut StdRng,
) -> Vec<Vec<&'a (Vec<i64>, T)>> {
    let mut order: Vec<&(Vec<i64>, T)> = rows.iter().collect();
    order.shuffle(random);
    let mut batches: Vec<Vec<&(Vec<i64>, T)>> = Vec::new();
    for window in order.chunks_mut(size.saturating_mul(WINDOW).max(1)) {
        window.sort_by_key(|(ids, _)| ids.len());
        batches.extend(window.chunks(size.max(1)).map(<[_]>::to_vec));
    }
    batches.shuffle(random);
    batches
}

fn with_unknown(ids: &[i64], share: f64, random: &mut StdRng) -> Vec<i64> {
    let share = share.clamp(0.0, 1.0);
    // The learned tokenizers have [PAD] at 0 and [UNK] at 1.
    ids.iter().map(|&id| if random.random_bool(share) { 1 } else { id }).collect()
}

/// From 1 at the start to 0 at the end.
fn cosine(done: u64, total: u64) -> f64 {
    let small = |n: u64| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    let share = small(done) / small(total).max(1.0);
    f64::midpoint(1.0, (std::f64::consts::PI * share).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initial_weights_have_pytorchs_distributions() {
        let architecture = Architecture {
            vocabulary: 500,
            embedding: 40,
            hidden: 16,
            layers: 1,
            bidirectional: false,
            classes: 3,
            activation: Activation::None,
            readout: Readout::LastReal,
        };
        let weights = initial(&architecture, &mut StdRng::seed_from_u64(1));
        let embedding = &weights.0["embedding.weight"].values;
        let mean = embedding.iter().sum::<f32>() / 20_000.0;
        let variance = embedding.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
        for (name, weight) in weights.0.iter().filter(|(name, _)| !name.starts_with("emb")) {
            let largest = weight.values.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
            assert!(largest <= 0.25, "{name}: {largest}");
        }
        let gates = &weights.0["lstm.weight_ih_l0"].values;
        let largest = gates.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        assert!(largest > 0.24, "spread over the whole interval: {largest}");
    }

    #[test]
    fn the_learning_rate_falls_from_all_to_nothing() {
        assert!((cosine(0, 10) - 1.0).abs() < 1e-12);
        assert!((cosine(5, 10) - 0.5).abs() < 1e-12);
        assert!(cosine(10, 10).abs() < 1e-12);
    }
}
