use reeve_classifier::{Activation, LongInput, Readout, TokenizerKind, Wide};
use serde::{Deserialize, Serialize};

use super::FitError;

/// How to train. Two runs with the same recipe and data, on the same kind of device with one
/// intra-op thread, give the same weights, whether or not they were interrupted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// Times that every text is seen.
    pub epochs: u32,
    /// The step's size; [`Schedule`] says how it changes.
    pub learning_rate: f64,
    /// Of [`Optimizer::Momentum`] and [`Optimizer::Nesterov`].
    pub momentum: f64,
    /// Share of a weight that is taken off for each learning rate: decoupled with AdamW, added to
    /// the gradient with the others.
    pub weight_decay: f64,
    /// Rule of the steps.
    pub optimizer: Optimizer,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// Share of all steps in which the learning rate rises from nothing.
    pub warm_up: f64,
    /// A gradient longer than this is shortened to it: an LSTM's explode now and then. 0 for never.
    pub clip: f64,
    /// Ends after so many epochs without a better one, and keeps the best; 0 for never.
    pub patience: u32,
    /// What the steps make smaller.
    pub loss: Loss,
    /// How much each label counts.
    pub class_weights: ClassWeights,
    /// Share of the right answer's probability that is spread over all labels.
    pub label_smoothing: f64,
    /// What reads the embeddings.
    pub body: BodyKind,
    /// Between readout and output.
    pub activation: Activation,
    /// What stands for the text.
    pub readout: Readout,
    /// Width of the embedding.
    pub embedding: u32,
    /// Width of the hidden state.
    pub hidden: u32,
    /// Layers of the body.
    pub layers: u32,
    /// Whether an LSTM reads from both ends.
    pub bidirectional: bool,
    /// N-grams beside the body.
    pub wide: Option<WideRecipe>,
    /// Shares that are dropped while learning.
    pub dropout: Dropouts,
    /// Texts a step.
    pub batch: usize,
    /// Tokens of a text that are read at once.
    pub max_tokens: u32,
    /// What becomes of longer texts.
    pub long: LongInput,
    /// What a learned tokenizer makes tokens of.
    pub tokenizer: TokenizerKind,
    /// The vocabulary's limit.
    pub vocabulary: usize,
    /// A word in fewer places is unknown.
    pub least_frequency: u64,
    /// Share of training tokens that are shown as unknown, so that unknown ones say nothing.
    pub unknown_share: f64,
    /// How much texts about none of the labels count, which should get the same probability for
    /// all (Hendrycks et al. 2019); 0 for nothing.
    pub outlier_weight: f64,
    /// Arithmetic of the steps.
    pub precision: Precision,
    /// Of initial weights, split, order, dropout and unknown tokens.
    pub seed: u64,
}

/// Shares of values that are dropped while learning.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Dropouts {
    /// Of the embeddings.
    pub embedding: f64,
    /// Between layers.
    pub between: f64,
    /// Of what is read out.
    pub readout: f64,
    /// Of the n-grams.
    pub grams: f64,
}

/// N-grams beside the body, and how they learn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WideRecipe {
    /// Which n-grams.
    pub shape: Wide,
    /// An n-gram in fewer texts is left out.
    pub least: u32,
    /// Their own learning rate: what is rare wants larger steps.
    pub learning_rate: f64,
    /// Their own weight decay.
    pub weight_decay: f64,
    /// How much the loss of each part alone counts beside the whole's, so that neither part rests
    /// because the other already knows.
    pub own_loss: f64,
}

/// The rule of the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Optimizer {
    /// Stochastic gradient descent.
    Sgd,
    /// With momentum.
    Momentum,
    /// With Nesterov's momentum.
    Nesterov,
    /// Adam with PyTorch's defaults.
    Adam,
    /// Adam with decoupled weight decay.
    Adamw,
}

/// How the learning rate changes over a training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// It does not.
    Constant,
    /// It falls to zero along a line.
    Linear,
    /// It falls to zero along half a cosine.
    Cosine,
    /// A tenth after half of the steps, and a tenth of that after three quarters.
    Step,
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

/// How much each label counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassWeights {
    /// Each text the same.
    None,
    /// Each label the same: a text counts as its label is rare.
    Balanced,
}

/// What reads the embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BodyKind {
    /// An LSTM.
    Lstm,
    /// A Transformer encoder.
    Transformer {
        /// Heads of attention.
        heads: u32,
    },
}

/// Arithmetic of the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 32-bit floats.
    Full,
    /// The body in bfloat16; weights, readout, loss and steps in 32-bit floats.
    Mixed,
}

impl Default for Recipe {
    /// The article's network: an embedding, one LSTM, its last real step, a linear layer.
    fn default() -> Self {
        Self {
            epochs: 12,
            learning_rate: 0.3,
            momentum: 0.9,
            weight_decay: 0.0,
            optimizer: Optimizer::Momentum,
            schedule: Schedule::Cosine,
            warm_up: 0.0,
            clip: 1.0,
            patience: 0,
            loss: Loss::CrossEntropy,
            class_weights: ClassWeights::None,
            label_smoothing: 0.0,
            body: BodyKind::Lstm,
            activation: Activation::None,
            readout: Readout::LastReal,
            embedding: 48,
            hidden: 64,
            layers: 1,
            bidirectional: false,
            wide: None,
            dropout: Dropouts::default(),
            batch: 32,
            max_tokens: 128,
            long: LongInput::Cut,
            tokenizer: TokenizerKind::Word,
            vocabulary: 20_000,
            least_frequency: 2,
            unknown_share: 0.03,
            outlier_weight: 0.0,
            precision: Precision::Full,
            seed: 1,
        }
    }
}

impl Recipe {
    pub(super) fn check(&self) -> Result<(), FitError> {
        let wrong = |detail: &str| Err(FitError::Recipe(detail.to_owned()));
        if self.batch == 0 || self.epochs == 0 {
            return wrong("`batch` and `epochs` must be at least 1");
        }
        let wide = self.wide.map_or(1.0, |wide| wide.learning_rate);
        if [self.learning_rate, wide].iter().any(|rate| !(*rate > 0.0 && rate.is_finite())) {
            return wrong("`learning-rate` must be above 0");
        }
        let Dropouts { embedding, between, readout, grams } = self.dropout;
        let shares = [embedding, between, readout, grams, self.label_smoothing, self.unknown_share];
        if shares.iter().any(|share| !(0.0..1.0).contains(share)) {
            return wrong("shares of dropout, smoothing and unknown tokens are from 0 to below 1");
        }
        if !(0.0..=1.0).contains(&self.warm_up) || !(0.0..1.0).contains(&self.momentum) {
            return wrong("`warm-up` is from 0 to 1, `momentum` from 0 to below 1");
        }
        if self.readout == Readout::EveryToken {
            return wrong("`every-token` is for networks that find names");
        }
        Ok(())
    }

    /// The type that the body computes in.
    pub(super) const fn kind(&self) -> tch::Kind {
        match self.precision {
            Precision::Full => tch::Kind::Float,
            Precision::Mixed => tch::Kind::BFloat16,
        }
    }

    /// What the learning rate is multiplied with when a share of all steps is done.
    pub(super) fn rate(&self, share: f64) -> f64 {
        let rising = if share < self.warm_up { share / self.warm_up } else { 1.0 };
        // A first step of nothing would be lost.
        let rising = rising.max(1e-3);
        rising
            * match self.schedule {
                Schedule::Constant => 1.0,
                Schedule::Linear => 1.0 - share,
                Schedule::Cosine => f64::midpoint(1.0, (std::f64::consts::PI * share).cos()),
                Schedule::Step if share < 0.5 => 1.0,
                Schedule::Step if share < 0.75 => 0.1,
                Schedule::Step => 0.01,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_learning_rate_rises_and_falls_as_the_schedule_says() {
        let rate = |schedule, share| Recipe { schedule, ..Recipe::default() }.rate(share);
        for (schedule, share, expected) in [
            (Schedule::Cosine, 0.0, 1.0),
            (Schedule::Cosine, 0.5, 0.5),
            (Schedule::Cosine, 1.0, 0.0),
            (Schedule::Linear, 0.25, 0.75),
            (Schedule::Constant, 0.9, 1.0),
            (Schedule::Step, 0.6, 0.1),
            (Schedule::Step, 0.8, 0.01),
        ] {
            assert!((rate(schedule, share) - expected).abs() < 1e-9, "{schedule:?} {share}");
        }
        let warm = Recipe { schedule: Schedule::Constant, warm_up: 0.1, ..Recipe::default() };
        assert!((warm.rate(0.05) - 0.5).abs() < 1e-9 && (warm.rate(0.1) - 1.0).abs() < 1e-9);
    }
}
