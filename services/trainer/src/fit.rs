use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use reeve_classifier::{
    Activation, Bundle, Card, Dataset, Loss, Optimizer, Progress, Recipe, TrainingData,
};
use reeve_domain::{Clock, SystemClock};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// CSV file with the header `text,label`.
    #[arg(long)]
    data: PathBuf,
    /// Directory of the bundle.
    #[arg(long)]
    out: PathBuf,
    /// The model's name.
    #[arg(long, default_value = "support")]
    name: String,
    /// The model's version.
    #[arg(long, default_value = "1.0.0")]
    version: String,
    /// Times that every text is seen.
    #[arg(long, default_value_t = 12)]
    epochs: u32,
    /// The step at the start [default: 0.3 with sgd, 0.003 with adam and adamw].
    #[arg(long)]
    learning_rate: Option<f64>,
    /// Momentum of sgd.
    #[arg(long, default_value_t = 0.9)]
    momentum: f64,
    #[arg(long, value_enum, default_value_t = OptimizerName::Sgd)]
    optimizer: OptimizerName,
    #[arg(long, value_enum, default_value_t = LossName::CrossEntropy)]
    loss: LossName,
    /// Between LSTM and output.
    #[arg(long, value_enum, default_value_t = ActivationName::None)]
    activation: ActivationName,
    /// Width of the embedding.
    #[arg(long, default_value_t = 48)]
    embedding: u32,
    /// Width of the hidden state.
    #[arg(long, default_value_t = 64)]
    hidden: u32,
    /// Texts a step.
    #[arg(long, default_value_t = 32)]
    batch: usize,
    /// Tokens of a text that are read.
    #[arg(long, default_value_t = 128)]
    max_tokens: u32,
    /// Most tokens of the vocabulary.
    #[arg(long, default_value_t = 20_000)]
    vocabulary: usize,
    /// Another seed, another split and other weights.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What the model may be used for, for its card.
    #[arg(long, default_value = "Sorting messages of customers by what they are about.")]
    intended_use: String,
    /// Languages of the data (BCP 47), for its card.
    #[arg(long, value_delimiter = ',', default_value = "en,zh")]
    languages: Vec<String>,
    /// SPDX expression, for its card.
    #[arg(long, default_value = "Apache-2.0")]
    license: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OptimizerName {
    Sgd,
    Adam,
    Adamw,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LossName {
    CrossEntropy,
    Mse,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ActivationName {
    None,
    Sigmoid,
    Tanh,
    Relu,
}

impl Arguments {
    fn recipe(&self) -> Recipe {
        let (optimizer, rate) = match self.optimizer {
            OptimizerName::Sgd => (Optimizer::Sgd, 0.3),
            OptimizerName::Adam => (Optimizer::Adam, 0.003),
            OptimizerName::Adamw => (Optimizer::Adamw, 0.003),
        };
        Recipe {
            epochs: self.epochs,
            learning_rate: self.learning_rate.unwrap_or(rate),
            momentum: self.momentum,
            optimizer,
            loss: match self.loss {
                LossName::CrossEntropy => Loss::CrossEntropy,
                LossName::Mse => Loss::Mse,
            },
            activation: match self.activation {
                ActivationName::None => Activation::None,
                ActivationName::Sigmoid => Activation::Sigmoid,
                ActivationName::Tanh => Activation::Tanh,
                ActivationName::Relu => Activation::Relu,
            },
            embedding: self.embedding,
            hidden: self.hidden,
            batch: self.batch,
            max_tokens: self.max_tokens,
            vocabulary: self.vocabulary,
            unknown_share: 0.03,
            seed: self.seed,
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<String> {
    let data = Dataset::read(&arguments.data)
        .with_context(|| format!("`{}`", arguments.data.display()))?;
    let clock = SystemClock::default();
    let mut lines = Lines::new(&clock);
    let device = reeve_classifier::device();
    let fitted =
        reeve_classifier::fit(&data, &arguments.recipe(), device, |p| lines.show(p, &clock))?;
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let card = Card {
        name: arguments.name.clone(),
        version: arguments.version.clone(),
        intended_use: arguments.intended_use.clone(),
        languages: arguments.languages.clone(),
        license: arguments.license.clone(),
        limits: vec![
            "It always answers with one of its labels, also for a text that is about none of them."
                .to_owned(),
            format!("It reads the first {} tokens of a text.", arguments.max_tokens),
            "It has not been tested on languages other than those named.".to_owned(),
            "Its scores are not calibrated probabilities.".to_owned(),
        ],
        risk_class: "minimal".to_owned(),
        generative: false,
        training_data: Some(TrainingData {
            digest: data.digest.to_string(),
            texts: count(data.examples.len()),
            trained_on: count(fitted.trained_on),
            validated_on: fitted.metrics.texts,
        }),
        metrics: Some(fitted.metrics.clone()),
    };
    let bundle = Bundle::write(&arguments.out, fitted.into_parts(card))?;
    let metrics = bundle.card().metrics.as_ref().context("no metrics")?;
    Ok(format!(
        "{} {} written to {}: accuracy {:.3}, macro-F1 {:.3} on {} texts held out\n{}",
        bundle.name(),
        bundle.version(),
        arguments.out.display(),
        metrics.accuracy,
        metrics.macro_f1,
        metrics.texts,
        bundle.digest()
    ))
}

/// Prints progress: at the end of every epoch, and every few seconds.
pub(crate) struct Lines {
    started: Duration,
    printed: Duration,
}

impl Lines {
    const EVERY: Duration = Duration::from_secs(2);

    pub(crate) fn new(clock: &dyn Clock) -> Self {
        Self { started: clock.monotonic(), printed: clock.monotonic() }
    }

    #[expect(clippy::print_stderr, reason = "progress for a person")]
    pub(crate) fn show(&mut self, progress: Progress, clock: &dyn Clock) {
        let now = clock.monotonic();
        if progress.accuracy.is_none() && now.saturating_sub(self.printed) < Self::EVERY {
            return;
        }
        self.printed = now;
        let small = |n: u64| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
        let seconds = now.saturating_sub(self.started).as_secs_f64().max(1e-3);
        let rate = small(progress.texts) / seconds;
        let left = small(progress.texts_total.saturating_sub(progress.texts)) / rate.max(1e-3);
        let accuracy =
            progress.accuracy.map_or_else(String::new, |share| format!("  accuracy {share:.3}"));
        eprintln!(
            "epoch {}/{}  {}/{} texts  loss {:.4}{accuracy}  {rate:.0} texts/s  {left:.0} s left",
            progress.epoch, progress.epochs, progress.texts, progress.texts_total, progress.loss
        );
    }
}
