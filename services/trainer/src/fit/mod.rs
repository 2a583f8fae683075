//! `reeve-train fit`.

mod across;
mod recipe;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use reeve_classifier::{Bundle, Dataset, Device, Linear, TrainingData, Wishes};
use reeve_domain::SystemClock;
use reeve_torch::{CheckpointPlace, Fitted, Recipe, Training};

pub(crate) use self::recipe::{long_input, named};
use self::{across::Across, recipe::RecipeArguments};
use crate::{
    card::{CardArguments, Defaults, long_texts},
    data::DataArguments,
    judge::Judgement,
    lines::Lines,
    report::{self, Report},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Labelled texts: CSV or TSV with a header, JSON lines, or Parquet, by the file's extension.
    #[arg(long)]
    data: PathBuf,
    /// Directory of the bundle.
    #[arg(long)]
    out: PathBuf,
    /// Texts to judge and calibrate by, in the same form; without, one in ten is held out.
    #[arg(long)]
    validation: Option<PathBuf>,
    /// Texts that are only judged by when all is done, in the same form.
    #[arg(long)]
    test: Option<PathBuf>,
    /// Directory for a report: figures, curves as pictures, the recipe.
    #[arg(long)]
    report: Option<PathBuf>,
    #[command(flatten)]
    files: DataArguments,
    /// A tokenizer to use instead of a learned one: `tokenizer.json` of the tokenizers library.
    #[arg(long)]
    tokenizer_file: Option<PathBuf>,
    /// The token of it that stands for an empty text and for unknown words.
    #[arg(long, default_value = "[UNK]")]
    empty_token: String,
    /// auto, cpu or cuda.
    #[arg(long, default_value = "auto", value_parser = ["auto", "cpu", "cuda"])]
    device: String,
    /// Goes on from the checkpoint of a training that was interrupted.
    #[arg(long)]
    resume: bool,
    /// Directory of checkpoints [the bundle's, with `.training` behind it].
    #[arg(long)]
    checkpoint: Option<PathBuf>,
    /// Steps from one checkpoint to the next; 0 for one after each epoch.
    #[arg(long, default_value_t = 200)]
    checkpoint_every: u64,
    /// Does not train the linear baseline beside the network.
    #[arg(long)]
    no_baseline: bool,
    /// Answers are unsure that would make fewer than this share of the others right.
    #[arg(long)]
    sure_accuracy: Option<f64>,
    /// The same for each label by itself.
    #[arg(long)]
    label_precision: Option<f64>,
    /// Calibrates for texts that are not like those that were learned from: for each value of this
    /// column (a topic, a source, a month) a network is trained without its texts and calibrated on
    /// them, and the highest temperature is taken. One more training for each value.
    #[arg(long)]
    calibrate_across: Option<String>,
    /// Share of all texts whose right answer may be lost to finding those out of scope.
    #[arg(long, default_value_t = 0.01)]
    in_scope_loss: f64,
    #[command(flatten)]
    card: CardArguments,
    #[command(flatten)]
    recipe: RecipeArguments,
}

/// One text in so many is held out, where no others are given.
const HELD_OUT: usize = 10;

/// Everything that a training reads.
struct Texts {
    data: Dataset,
    validation: Dataset,
    test: Option<(Dataset, Vec<String>)>,
    /// Out of scope, to learn from and to set the threshold by.
    outliers: Vec<String>,
    foreign: Vec<String>,
}

impl Arguments {
    fn texts(&self, recipe: &Recipe) -> Result<Texts> {
        let (data, mut outliers) = self.files.read(&self.data)?;
        let read = |path: &PathBuf| self.files.read_for(path, &data.labels);
        let test = self.test.as_ref().map(read).transpose()?;
        let (data, validation, foreign) = match &self.validation {
            Some(path) => {
                let (validation, foreign) = read(path)?;
                (data, validation, foreign)
            }
            None => {
                let (data, validation) = data.hold_out(HELD_OUT, recipe.seed)?;
                // A threshold is set by texts that were not learned from.
                let learned = if recipe.outlier_weight > 0.0 { outliers.len() / 2 } else { 0 };
                let foreign = outliers.split_off(learned);
                (data, validation, foreign)
            }
        };
        Ok(Texts { data, validation, test, outliers, foreign })
    }

    fn device(&self) -> Result<Device> {
        match (self.device.as_str(), reeve_torch::device()) {
            ("cpu", _) => Ok(Device::Cpu),
            ("cuda", Device::Cpu) => bail!("there is no CUDA device, or no libtorch for one"),
            (_, found) => Ok(found),
        }
    }

    fn train(&self, texts: &Texts, recipe: &Recipe, across: Option<&Across>) -> Result<Fitted> {
        let tokenizer = self
            .tokenizer_file
            .as_ref()
            .map(|path| std::fs::read(path).with_context(|| format!("`{}`", path.display())))
            .transpose()?;
        let mut beside = self.out.clone().into_os_string();
        beside.push(".training");
        let clock = SystemClock::default();
        let mut lines = Lines::new(&clock);
        let training = Training {
            data: &texts.data,
            validation: Some(&texts.validation),
            outliers: &texts.outliers,
            foreign: &texts.foreign,
            tokenizer: tokenizer.as_deref(),
            empty_token: tokenizer.as_ref().map(|_| self.empty_token.as_str()),
            recipe,
            wishes: Wishes {
                accuracy: self.sure_accuracy,
                label_precision: self.label_precision,
                in_scope_loss: self.in_scope_loss,
                temperature: across.map(Across::temperature),
            },
            device: self.device()?,
            checkpoints: Some(CheckpointPlace {
                dir: self.checkpoint.clone().unwrap_or_else(|| beside.into()),
                every: self.checkpoint_every,
                resume: self.resume,
            }),
        };
        Ok(training.run(|progress| lines.show(progress, &clock))?)
    }

    fn bundle(&self, texts: &Texts, fitted: Fitted, recipe: &Recipe) -> Result<Bundle> {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let mut limits =
            vec!["It has not been tested on languages other than those named.".to_owned()];
        let calibration = fitted.calibration.as_ref();
        if calibration.is_none_or(|found| found.confidence.out_of_scope.is_none()) {
            limits.insert(
                0,
                "It always answers with one of its labels, also for a text that is \
                              about none of them."
                    .to_owned(),
            );
        }
        if calibration.is_none_or(|found| !found.held) {
            limits.push("Its scores are not calibrated probabilities.".to_owned());
        }
        let defaults = Defaults {
            name: Some("support"),
            intended_use: Some("Sorting messages of customers by what they are about."),
            languages: &["en", "zh"],
            license: Some("Apache-2.0"),
        };
        let mut card = self.card.card(&defaults, limits)?;
        let learned = count(texts.data.examples.len());
        let held_out = fitted.metrics.texts;
        card.training_data = Some(TrainingData {
            digest: texts.data.digest.to_string(),
            texts: learned.saturating_add(if self.validation.is_none() { held_out } else { 0 }),
            trained_on: count(fitted.trained_on),
            validated_on: held_out,
        });
        card.metrics = Some(fitted.metrics.clone());
        card.fingerprint.clone_from(&fitted.fingerprint);
        card.long_texts = long_texts(recipe.long, recipe.max_tokens);
        Ok(Bundle::write(&self.out, fitted.into_parts(card))?)
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<String> {
    let recipe = arguments.recipe.recipe()?;
    let texts = arguments.texts(&recipe)?;
    let across = arguments
        .calibrate_across
        .as_deref()
        .map(|column| Across::find(arguments, column, &texts, &recipe))
        .transpose()?;
    let fitted = arguments.train(&texts, &recipe, across.as_ref())?;
    let (history, calibration) = (fitted.history.clone(), fitted.calibration.clone());
    let bundle = arguments.bundle(&texts, fitted, &recipe)?;
    let baseline = (!arguments.no_baseline).then(|| Linear::fit(&texts.data, recipe.seed));
    let judge = |data: &Dataset, foreign: &[String]| -> Result<Judgement> {
        let judgement = Judgement::of(&bundle, data, foreign)?;
        Ok(match &baseline {
            Some(baseline) => judgement.beside(baseline, data),
            None => judgement,
        })
    };
    let validation = judge(&texts.validation, &texts.foreign)?;
    let test = texts.test.as_ref().map(|(data, foreign)| judge(data, foreign)).transpose()?;
    let mut said = format!(
        "{} {} written to {}\nheld out: {}",
        bundle.name(),
        bundle.version(),
        arguments.out.display(),
        validation.summary()
    );
    if let Some(across) = &across {
        said += &format!("\n{}", across.said());
    }
    if let Some(test) = &test {
        said += &format!("\ntest: {}", test.summary());
    }
    if let Some(dir) = &arguments.report {
        report::write(
            dir,
            &Report {
                bundle: &bundle,
                recipe,
                history,
                calibration,
                across: across.map(|across| across.temperatures),
                validation,
                test,
            },
        )?;
        said += &format!("\nreport: {}", dir.display());
    }
    Ok(format!("{said}\n{}", bundle.digest()))
}
