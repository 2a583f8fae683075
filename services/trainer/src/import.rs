use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use reeve_classifier::{Architecture, Bundle, Card, Parts, TokenizerSettings, pytorch};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The state dict: `torch.save(model.state_dict(), "model.pth")`, with PyTorch's names of
    /// modules called `embedding`, `lstm` and `fc`.
    #[arg(long)]
    weights: PathBuf,
    /// JSON: `{"vocabulary","embedding","hidden","classes","layers"?,"activation"?}`.
    #[arg(long)]
    config: PathBuf,
    /// The tokenizer that the model was trained with, as `tokenizer.json` of the tokenizers
    /// library.
    #[arg(long)]
    tokenizer: PathBuf,
    /// A text file with one label a line, in the order of the output's rows.
    #[arg(long)]
    labels: PathBuf,
    /// Directory of the bundle.
    #[arg(long)]
    out: PathBuf,
    /// The model's name.
    #[arg(long)]
    name: String,
    /// The model's version.
    #[arg(long, default_value = "1.0.0")]
    version: String,
    /// Tokens of a text that are read.
    #[arg(long, default_value_t = 128)]
    max_tokens: u32,
    /// The token that stands for an empty text.
    #[arg(long, default_value = "[UNK]")]
    empty_token: String,
    /// What the model may be used for, for its card.
    #[arg(long)]
    intended_use: String,
    /// Languages of its training data (BCP 47), for its card.
    #[arg(long, value_delimiter = ',')]
    languages: Vec<String>,
    /// SPDX expression, for its card.
    #[arg(long)]
    license: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<String> {
    let read = |path: &PathBuf| fs::read(path).with_context(|| format!("`{}`", path.display()));
    let architecture: Architecture = serde_json::from_slice(&read(&arguments.config)?)
        .with_context(|| format!("`{}`", arguments.config.display()))?;
    let labels = String::from_utf8(read(&arguments.labels)?).context("labels are not UTF-8")?;
    let weights = pytorch::read_state_dict(&arguments.weights)
        .with_context(|| format!("`{}`", arguments.weights.display()))?;
    weights.check(&architecture)?;
    let parts = Parts {
        architecture,
        labels: labels.lines().map(str::trim).filter(|l| !l.is_empty()).map(Into::into).collect(),
        settings: TokenizerSettings {
            max_tokens: arguments.max_tokens,
            empty_token: arguments.empty_token.clone(),
            ..TokenizerSettings::default()
        },
        tokenizer: read(&arguments.tokenizer)?,
        weights,
        script: None,
        confidence: None,
        card: Card {
            name: arguments.name.clone(),
            version: arguments.version.clone(),
            intended_use: arguments.intended_use.clone(),
            languages: arguments.languages.clone(),
            license: arguments.license.clone(),
            limits: vec!["It was trained elsewhere: its quality is not measured here.".to_owned()],
            risk_class: "minimal".to_owned(),
            generative: false,
            training_data: None,
            metrics: None,
            ..Card::default()
        },
    };
    let bundle = Bundle::write(&arguments.out, parts)?;
    Ok(format!(
        "{} {} written to {}\n{}",
        bundle.name(),
        bundle.version(),
        arguments.out.display(),
        bundle.digest()
    ))
}
