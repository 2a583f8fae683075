//! `reeve-train tag`: networks that find names and addresses in texts.

mod phrases;
mod sample;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use clap::Subcommand;
use reeve_classifier::{Bundle, Card, Metrics, TaggedText, Tagger, TrainingData, span_metrics};
use reeve_domain::{Digest, SystemClock};
use reeve_torch::{Optimizer, Recipe};

use crate::lines::Lines;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train on labelled texts: lines of `{"text": "…", "spans": [{"type", "start", "end"}]}`,
    /// places in Unicode code points.
    Fit(Box<Fit>),
    /// Judge a bundle by labelled texts: a span is right if its kind and place are exactly so.
    Evaluate(Evaluate),
    /// Print what is found in texts.
    Find(Find),
    /// Write labelled texts that are made up, in English and Chinese.
    Sample(Sample),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Fit {
    /// Files of labelled texts.
    #[arg(long, required = true)]
    data: Vec<PathBuf>,
    /// Directory of the bundle.
    #[arg(long)]
    out: PathBuf,
    /// The model's name.
    #[arg(long, default_value = "names")]
    name: String,
    /// The model's version.
    #[arg(long, default_value = "1.0.0")]
    version: String,
    /// Kinds to find; others in the data are passed over.
    #[arg(long, value_delimiter = ',', default_value = "GPE,ORGANIZATION,PERSON,STREET_ADDRESS")]
    kinds: Vec<String>,
    /// Times that every text is seen.
    #[arg(long, default_value_t = 8)]
    epochs: u32,
    /// The step at the start, of Adam.
    #[arg(long, default_value_t = 0.003)]
    learning_rate: f64,
    /// Width of the embedding.
    #[arg(long, default_value_t = 64)]
    embedding: u32,
    /// Width of the hidden state, in each direction.
    #[arg(long, default_value_t = 64)]
    hidden: u32,
    /// Texts a step.
    #[arg(long, default_value_t = 32)]
    batch: usize,
    /// Tokens that are read at once; longer texts are read in parts.
    #[arg(long, default_value_t = 256)]
    max_tokens: u32,
    /// Most tokens of the vocabulary.
    #[arg(long, default_value_t = 6_000)]
    vocabulary: usize,
    /// Share of tokens that are hidden while training, so that what stands around them is learned.
    #[arg(long, default_value_t = 0.1)]
    hidden_share: f64,
    /// Another seed, another split and other weights.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Languages of the data (BCP 47), for its card.
    #[arg(long, value_delimiter = ',', default_value = "en,zh")]
    languages: Vec<String>,
    /// SPDX expression, for its card.
    #[arg(long, default_value = "Apache-2.0")]
    license: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Evaluate {
    /// Directory of the bundle.
    #[arg(long)]
    bundle: PathBuf,
    /// File of labelled texts.
    #[arg(long)]
    data: PathBuf,
    /// The least probability of a name.
    #[arg(long, default_value_t = 0.5)]
    minimum: f32,
    /// Print the metrics as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Find {
    /// Directory of the bundle.
    #[arg(long)]
    bundle: PathBuf,
    /// The least probability of a name.
    #[arg(long, default_value_t = 0.5)]
    minimum: f32,
    /// The texts.
    #[arg(required = true)]
    texts: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Sample {
    /// The file to write.
    #[arg(long)]
    out: PathBuf,
    /// How many texts.
    #[arg(long, default_value_t = 9_000)]
    texts: usize,
    /// Another seed, other texts.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(crate) fn run(command: &Command) -> Result<String> {
    match command {
        Command::Fit(arguments) => fit(arguments),
        Command::Evaluate(arguments) => evaluate(arguments),
        Command::Find(arguments) => find(arguments),
        Command::Sample(arguments) => {
            let texts = sample::texts(arguments.texts, arguments.seed)?;
            let lines: String = texts.iter().map(|text| text.to_line() + "\n").collect();
            fs::write(&arguments.out, lines)
                .with_context(|| format!("`{}`", arguments.out.display()))?;
            Ok(format!("{} texts written to {}", texts.len(), arguments.out.display()))
        }
    }
}

fn read(file: &Path, kinds: &[String]) -> Result<(String, Vec<TaggedText>)> {
    let text = fs::read_to_string(file).with_context(|| format!("`{}`", file.display()))?;
    let texts = TaggedText::parse(&text, kinds).with_context(|| format!("`{}`", file.display()))?;
    Ok((text, texts))
}

fn fit(arguments: &Fit) -> Result<String> {
    let (mut all, mut data) = (String::new(), Vec::new());
    for file in &arguments.data {
        let (text, texts) = read(file, &arguments.kinds)?;
        all.push_str(&text);
        data.extend(texts);
    }
    let recipe = Recipe {
        epochs: arguments.epochs,
        learning_rate: arguments.learning_rate,
        optimizer: Optimizer::Adam,
        embedding: arguments.embedding,
        hidden: arguments.hidden,
        batch: arguments.batch,
        max_tokens: arguments.max_tokens,
        vocabulary: arguments.vocabulary,
        unknown_share: arguments.hidden_share,
        seed: arguments.seed,
        ..Recipe::default()
    };
    let clock = SystemClock::default();
    let mut lines = Lines::new(&clock);
    let device = reeve_torch::device();
    let fitted = reeve_torch::fit_tagger(&data, &arguments.kinds, &recipe, device, |progress| {
        lines.show(progress, &clock);
    })?;
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let card = Card {
        name: arguments.name.clone(),
        version: arguments.version.clone(),
        intended_use: "Taking names and addresses out of texts before they are sent on.".to_owned(),
        languages: arguments.languages.clone(),
        license: arguments.license.clone(),
        limits: vec![
            "It misses names, and takes other words for names: see the metrics.".to_owned(),
            "It has not been tested on languages other than those named.".to_owned(),
            "Its scores are not calibrated probabilities.".to_owned(),
        ],
        risk_class: "minimal".to_owned(),
        generative: false,
        training_data: Some(TrainingData {
            digest: Digest::of(all.as_bytes()).to_string(),
            texts: count(data.len()),
            trained_on: count(fitted.trained_on),
            validated_on: fitted.metrics.texts,
        }),
        metrics: Some(fitted.metrics.clone()),
        ..Card::default()
    };
    let bundle = Bundle::write(&arguments.out, fitted.into_parts(card))?;
    let metrics = bundle.card().metrics.as_ref().context("no metrics")?;
    Ok(format!(
        "{} {} written to {}\n{}\n{}",
        bundle.name(),
        bundle.version(),
        arguments.out.display(),
        table(metrics)?,
        bundle.digest()
    ))
}

fn table(metrics: &Metrics) -> Result<String> {
    let mut table = format!(
        "macro-F1 {:.3} on {} texts\n{:<20} {:>9} {:>9} {:>9} {:>7}",
        metrics.macro_f1, metrics.texts, "kind", "precision", "recall", "F1", "values"
    );
    for (kind, m) in &metrics.labels {
        write!(
            table,
            "\n{kind:<20} {:>9.3} {:>9.3} {:>9.3} {:>7}",
            m.precision, m.recall, m.f1, m.support
        )?;
    }
    Ok(table)
}

fn open(bundle: &Path) -> Result<(Tagger, Vec<String>)> {
    let bundle = Bundle::open(bundle)?;
    let kinds: Vec<String> = bundle
        .labels()
        .iter()
        .filter_map(|label| label.strip_prefix("B-").map(str::to_owned))
        .collect();
    ensure!(!kinds.is_empty(), "`{}` is a classifier: it labels no tokens", bundle.name());
    Ok((reeve_torch::load_tagger(&bundle, reeve_torch::device())?, kinds))
}

fn evaluate(arguments: &Evaluate) -> Result<String> {
    let (tagger, kinds) = open(&arguments.bundle)?;
    let (_, texts) = read(&arguments.data, &kinds)?;
    let pairs = texts
        .into_iter()
        .map(|text| {
            let found = tagger.tag(&text.text, arguments.minimum)?;
            Ok((text, found))
        })
        .collect::<Result<Vec<_>>>()?;
    let metrics = span_metrics(&kinds, &pairs);
    if arguments.json { Ok(serde_json::to_string_pretty(&metrics)?) } else { table(&metrics) }
}

fn find(arguments: &Find) -> Result<String> {
    let (tagger, _) = open(&arguments.bundle)?;
    let mut lines = Vec::new();
    for text in &arguments.texts {
        let spans = tagger.tag(text, arguments.minimum)?;
        let found = spans.iter().map(|span| {
            let value = text.chars().skip(span.range.start).take(span.range.len());
            format!("{} `{}` {:.2}", span.kind, value.collect::<String>(), span.score)
        });
        lines.push(found.collect::<Vec<_>>().join(", "));
    }
    Ok(lines.join("\n"))
}
