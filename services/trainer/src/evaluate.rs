use std::{fmt::Write as _, path::PathBuf};

use anyhow::{Context as _, Result};
use reeve_classifier::{Bundle, Classifier, Dataset, Encoded, Metrics, softmax};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Directory of the bundle.
    #[arg(long)]
    bundle: PathBuf,
    /// CSV file with the header `text,label`.
    #[arg(long)]
    data: PathBuf,
    /// Print the metrics as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ClassifyArguments {
    /// Directory of the bundle.
    #[arg(long)]
    bundle: PathBuf,
    /// The texts.
    #[arg(required = true)]
    texts: Vec<String>,
}

const BATCH: usize = 32;

pub(crate) fn run(arguments: &Arguments) -> Result<String> {
    let bundle = Bundle::open(&arguments.bundle)?;
    let data = Dataset::read(&arguments.data)
        .with_context(|| format!("`{}`", arguments.data.display()))?
        .with_labels(bundle.labels())?;
    let texts: Vec<&str> = data.examples.iter().map(|example| example.text.as_str()).collect();
    let pairs: Vec<(usize, usize)> = probabilities(&bundle, &texts)?
        .iter()
        .zip(&data.examples)
        .filter_map(|(row, example)| Some((example.label, ranked(row).first()?.0)))
        .collect();
    let metrics = Metrics::of(bundle.labels(), &pairs);
    if arguments.json {
        return Ok(serde_json::to_string_pretty(&metrics)?);
    }
    let mut table = format!(
        "accuracy {:.3}, macro-F1 {:.3} on {} texts\n{:<20} {:>9} {:>9} {:>9} {:>7}",
        metrics.accuracy,
        metrics.macro_f1,
        metrics.texts,
        "label",
        "precision",
        "recall",
        "F1",
        "texts"
    );
    for (label, m) in &metrics.labels {
        write!(
            table,
            "\n{label:<20} {:>9.3} {:>9.3} {:>9.3} {:>7}",
            m.precision, m.recall, m.f1, m.support
        )?;
    }
    Ok(table)
}

pub(crate) fn classify(arguments: &ClassifyArguments) -> Result<String> {
    let bundle = Bundle::open(&arguments.bundle)?;
    let texts: Vec<&str> = arguments.texts.iter().map(String::as_str).collect();
    let mut lines = Vec::new();
    for (text, row) in texts.iter().zip(probabilities(&bundle, &texts)?) {
        let best: Vec<String> = ranked(&row)
            .iter()
            .take(3)
            .filter_map(|(index, score)| {
                Some(format!("{} {score:.3}", bundle.labels().get(*index)?))
            })
            .collect();
        lines.push(format!("{}  {text}", best.join(", ")));
    }
    Ok(lines.join("\n"))
}

/// One row of probabilities a text, in order.
fn probabilities(bundle: &Bundle, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
    let classifier = Classifier::load(bundle, reeve_classifier::device())?;
    let encoded =
        texts.iter().map(|text| classifier.encode(text)).collect::<Result<Vec<Encoded>, _>>()?;
    let mut rows = Vec::with_capacity(texts.len());
    for batch in encoded.chunks(BATCH) {
        let batch: Vec<&Encoded> = batch.iter().collect();
        rows.extend(classifier.logits(&batch)?.iter().map(|logits| softmax(logits)));
    }
    Ok(rows)
}

/// Label numbers with their probabilities, the most likely first.
fn ranked(row: &[f32]) -> Vec<(usize, f32)> {
    let mut ranked: Vec<(usize, f32)> = row.iter().copied().enumerate().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked
}
