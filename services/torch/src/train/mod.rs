//! Training: a recipe and labelled texts in, a network with all that a bundle needs of it out.

mod checkpoint;
mod course;
mod initial;
mod loss;
mod optimizer;
mod recipe;
mod tags;
mod texts;

use std::{io, path::PathBuf};

use reeve_classifier::{
    Architecture, Calibration, Card, Dataset, DatasetError, Device, EncodeError, InvalidTokenizer,
    Judged, Metrics, Parts, TokenizerSettings, Weights, WeightsError, Wishes,
};
use reeve_domain::Observed;
use tch::TchError;

pub use self::{
    course::Epoch,
    recipe::{
        BodyKind, ClassWeights, Dropouts, Loss, Optimizer, Precision, Recipe, Schedule, WideRecipe,
    },
    tags::fit_tagger,
};

/// A training of a classifier, from scratch: tokenizer, initial weights, steps, calibration.
#[derive(Debug)]
pub struct Training<'a> {
    /// Texts to learn from.
    pub data: &'a Dataset,
    /// Texts to judge by and to calibrate with, their labels numbered as the data's. Without, one
    /// text in ten is held out.
    pub validation: Option<&'a Dataset>,
    /// Texts about none of the labels, to learn from with [`Recipe::outlier_weight`].
    pub outliers: &'a [String],
    /// Others, to set the out-of-scope threshold by.
    pub foreign: &'a [String],
    /// A tokenizer (`tokenizer.json`) instead of one learned from the texts.
    pub tokenizer: Option<&'a [u8]>,
    /// The token of it that stands for an empty text and for what is unknown.
    pub empty_token: Option<&'a str>,
    /// How to train.
    pub recipe: &'a Recipe,
    /// What is asked of answers.
    pub wishes: Wishes,
    /// Where to.
    pub device: Device,
    /// Where to write down how far it is.
    pub checkpoints: Option<CheckpointPlace>,
}

/// A directory for checkpoints.
#[derive(Debug, Clone)]
pub struct CheckpointPlace {
    /// The directory; made, and removed once training is done.
    pub dir: PathBuf,
    /// Steps from one checkpoint to the next; one more is made after each epoch.
    pub every: u64,
    /// Whether to go on from one that is there.
    pub resume: bool,
}

impl<'a> Training<'a> {
    /// One with nothing but data and a recipe.
    pub const fn new(data: &'a Dataset, recipe: &'a Recipe, device: Device) -> Self {
        Self {
            data,
            validation: None,
            outliers: &[],
            foreign: &[],
            tokenizer: None,
            empty_token: None,
            recipe,
            wishes: Wishes {
                accuracy: None,
                label_precision: None,
                in_scope_loss: 0.01,
                temperature: None,
            },
            device,
            checkpoints: None,
        }
    }

    /// Trains. With checkpoints, an interrupted training that is resumed comes to the same weights
    /// as one that was not interrupted.
    pub fn run(&self, mut progress: impl FnMut(Progress)) -> Result<Fitted, FitError> {
        texts::fit(self, &mut progress)
    }
}

/// Trains a classifier on one set of data.
pub fn fit(
    data: &Dataset,
    recipe: &Recipe,
    device: Device,
    progress: impl FnMut(Progress),
) -> Result<Fitted, FitError> {
    Training::new(data, recipe, device).run(progress)
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
    /// What each epoch came to.
    pub history: Vec<Epoch>,
    /// The held-out texts' logits and labels, in their order; of a classifier.
    pub judged: Vec<Judged>,
    /// What was found out about confidence; of a classifier.
    pub calibration: Option<Calibration>,
    /// What it answers to the held-out texts, counted; of a classifier.
    pub fingerprint: Option<Observed>,
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
            script: None,
            confidence: self.calibration.map(|calibration| calibration.confidence),
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
    /// A text cannot be made into tokens.
    #[error("line {row}: {source}")]
    Encode {
        /// Where it stands in its file.
        row: u64,
        /// Why.
        source: EncodeError,
    },
    /// The recipe asks for the impossible.
    #[error("{0}")]
    Recipe(String),
    /// The device's memory is too small.
    #[error(
        "the device's memory is too small for this: a smaller `batch` or `max-tokens` needs less \
         of it, a smaller network too"
    )]
    Memory,
    /// The device failed.
    #[error("a training step failed: {0}")]
    Device(TchError),
    /// The steps were too large.
    #[error("training diverged in epoch {0}: try a smaller learning rate")]
    Diverged(u32),
    /// The weights came out unusable.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A checkpoint cannot be written or read.
    #[error("the checkpoint in {}: {source}", path.display())]
    Checkpoint {
        /// Its directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A checkpoint of other data or another recipe.
    #[error(
        "the checkpoint in {} is of a training with other data or another recipe: take that \
         recipe, or train from the beginning without `--resume`",
        .0.display()
    )]
    OtherTraining(PathBuf),
}

impl From<TchError> for FitError {
    fn from(error: TchError) -> Self {
        let said = error.to_string();
        if said.contains("out of memory") || said.contains("can't allocate memory") {
            Self::Memory
        } else {
            Self::Device(error)
        }
    }
}
