use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use reeve_classifier::{
    Activation, Architecture, Body, Bundle, LongInput, Parts, Readout, TokenizerSettings, Weights,
    pytorch, vocabulary_size,
};

use crate::{
    card::{CardArguments, Defaults, long_texts},
    fit::{long_input, named},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The weights: a state dict of PyTorch (`torch.save(model.state_dict(), "model.pth")`, of any
    /// release, also within a checkpoint) or a safetensors file (`.safetensors`).
    #[arg(long, required_unless_present = "script", conflicts_with = "script")]
    weights: Option<PathBuf>,
    /// Instead, a TorchScript module that maps ids [texts, steps] to logits [texts, labels]. Its
    /// code is run when it is served: import only what you trust.
    #[arg(long)]
    script: Option<PathBuf>,
    /// JSON: `{"vocabulary","embedding","hidden","classes","layers"?,"activation"?,…}`; without, an
    /// embedding, an LSTM and a linear layer are recognised by their shapes.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Before the output: none, sigmoid, tanh or relu. No file of weights says so.
    #[arg(long, value_parser = named::<Activation>)]
    activation: Option<Activation>,
    /// What stands for the text: last-real, max or mean. No file of weights says so.
    #[arg(long, value_parser = named::<Readout>)]
    readout: Option<Readout>,
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
    /// Tokens of a text that are read at once.
    #[arg(long, default_value_t = 128)]
    max_tokens: u32,
    /// What becomes of longer texts: cut, refuse, or split=N for windows that overlap by N.
    #[arg(long, default_value = "cut", value_parser = long_input)]
    long: LongInput,
    /// The token that stands for an empty text.
    #[arg(long, default_value = "[UNK]")]
    empty_token: String,
    #[command(flatten)]
    card: CardArguments,
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("`{}`", path.display()))
}

impl Arguments {
    fn weights(&self, path: &Path) -> Result<Weights> {
        let safetensors = path.extension().is_some_and(|extension| extension == "safetensors");
        let weights = if safetensors {
            Weights::read(&read(path)?).map_err(anyhow::Error::from)
        } else {
            pytorch::read_state_dict(path).map_err(anyhow::Error::from)
        };
        weights.with_context(|| format!("`{}`", path.display()))
    }

    /// The network and its weights, or the module.
    fn network(
        &self,
        labels: usize,
        tokenizer: &[u8],
    ) -> Result<(Architecture, Weights, Option<Vec<u8>>)> {
        let config: Option<Architecture> = self
            .config
            .as_ref()
            .map(|path| {
                let parsed = serde_json::from_slice(&read(path)?);
                parsed.with_context(|| format!("`{}`", path.display()))
            })
            .transpose()?;
        let size = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (mut architecture, weights, script) = match (&self.weights, &self.script, config) {
            (_, Some(path), None) => {
                let vocabulary = vocabulary_size(tokenizer)
                    .map_err(|error| anyhow::anyhow!("the tokenizer cannot be read: {error}"))?;
                let architecture = Architecture {
                    body: Body::Script,
                    vocabulary: size(vocabulary),
                    embedding: 0,
                    hidden: 0,
                    layers: 1,
                    bidirectional: false,
                    classes: size(labels),
                    activation: Activation::None,
                    readout: Readout::LastReal,
                    wide: None,
                };
                (architecture, Weights::default(), Some(read(path)?))
            }
            (_, Some(_), Some(_)) => bail!("a TorchScript module needs no `--config`"),
            (Some(path), None, Some(architecture)) => {
                let weights = self.weights(path)?;
                (architecture, weights, None)
            }
            (Some(path), None, None) => {
                let (architecture, weights) = self.weights(path)?.recognise()?;
                (architecture, weights, None)
            }
            (None, None, _) => bail!("`--weights` or `--script` is needed"),
        };
        if script.is_none() {
            architecture.activation = self.activation.unwrap_or(architecture.activation);
            architecture.readout = self.readout.unwrap_or(architecture.readout);
            weights.check(&architecture)?;
        } else {
            ensure!(
                self.activation.is_none() && self.readout.is_none(),
                "a TorchScript module has its own activation and readout"
            );
        }
        Ok((architecture, weights, script))
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<String> {
    let labels = String::from_utf8(read(&arguments.labels)?).context("labels are not UTF-8")?;
    let labels: Vec<String> =
        labels.lines().map(str::trim).filter(|l| !l.is_empty()).map(Into::into).collect();
    let tokenizer = read(&arguments.tokenizer)?;
    let (architecture, weights, script) = arguments.network(labels.len(), &tokenizer)?;
    let defaults = Defaults { name: None, intended_use: None, languages: &[], license: None };
    let limits = vec!["It was trained elsewhere: its quality is not measured here.".to_owned()];
    let mut card = arguments.card.card(&defaults, limits)?;
    card.long_texts = long_texts(arguments.long, arguments.max_tokens);
    let parts = Parts {
        architecture,
        labels,
        settings: TokenizerSettings {
            max_tokens: arguments.max_tokens,
            empty_token: arguments.empty_token.clone(),
            long: arguments.long,
        },
        tokenizer,
        weights,
        script,
        confidence: None,
        card,
    };
    let bundle = Bundle::write(&arguments.out, parts)?;
    // What cannot be loaded was not imported.
    reeve_torch::load(&bundle, reeve_classifier::Device::Cpu)?;
    Ok(format!(
        "{} {} written to {}\n{}",
        bundle.name(),
        bundle.version(),
        arguments.out.display(),
        bundle.digest()
    ))
}
