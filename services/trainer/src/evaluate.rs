use std::{fmt::Write as _, path::PathBuf};

use anyhow::Result;
use reeve_classifier::{Bundle, ExplainSettings, Explanation, Standing};

use crate::{
    data::DataArguments,
    judge::{Judgement, logits},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Directory of the bundle.
    #[arg(long)]
    bundle: PathBuf,
    /// Labelled texts: CSV or TSV with a header, JSON lines, or Parquet, by the file's extension.
    #[arg(long)]
    data: PathBuf,
    #[command(flatten)]
    files: DataArguments,
    /// Print the metrics as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ClassifyArguments {
    /// Directory of the bundle.
    #[arg(long)]
    bundle: PathBuf,
    /// Also print what each token adds to the label's logit.
    #[arg(long)]
    explain: bool,
    /// Explain by leaving tokens out instead of by gradients.
    #[arg(long, requires = "explain")]
    occlusion: bool,
    /// The texts.
    #[arg(required = true)]
    texts: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<String> {
    let bundle = Bundle::open(&arguments.bundle)?;
    let (data, foreign) = arguments.files.read_for(&arguments.data, bundle.labels())?;
    let judgement = Judgement::of(&bundle, &data, &foreign)?;
    if arguments.json {
        return Ok(serde_json::to_string_pretty(&judgement)?);
    }
    let mut table = judgement.summary();
    write!(
        table,
        "\n{:<20} {:>9} {:>9} {:>9} {:>7}",
        "label", "precision", "recall", "F1", "texts"
    )?;
    for (label, m) in &judgement.metrics.labels {
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
    let classifier = reeve_torch::load(&bundle, reeve_torch::device())?;
    let texts: Vec<&str> = arguments.texts.iter().map(String::as_str).collect();
    let mut lines = Vec::new();
    for (text, row) in texts.iter().zip(logits(&classifier, &texts)?) {
        let answer = classifier.answer(&row);
        let best: Vec<String> = ranked(&answer.scores)
            .iter()
            .take(3)
            .filter_map(|(index, score)| {
                Some(format!("{} {score:.3}", bundle.labels().get(*index)?))
            })
            .collect();
        let doubt = match answer.standing {
            Standing::Sure => "",
            Standing::Unsure => " (unsure)",
            Standing::OutOfScope => " (out of scope)",
        };
        lines.push(format!("{}{doubt}  {text}", best.join(", ")));
        if arguments.explain {
            let settings =
                ExplainSettings { occlusion: arguments.occlusion, ..ExplainSettings::default() };
            let explanation = classifier.explain(text, Some(answer.label), settings)?;
            lines.push(explained(text, &explanation)?);
        }
    }
    Ok(lines.join("\n"))
}

fn explained(text: &str, explanation: &Explanation) -> Result<String> {
    let mut lines = format!(
        "  logit {:.3}, of nothing {:.3}; {} steps, error {:.4}",
        explanation.logit, explanation.baseline, explanation.steps, explanation.error
    );
    for token in &explanation.tokens {
        let width = token.end.saturating_sub(token.start);
        let characters: String = text.chars().skip(token.start).take(width).collect();
        write!(lines, "\n  {:>8.3}  {characters}", token.score)?;
    }
    Ok(lines)
}

/// Label numbers with their probabilities, the most likely first.
fn ranked(row: &[f32]) -> Vec<(usize, f32)> {
    let mut ranked: Vec<(usize, f32)> = row.iter().copied().enumerate().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked
}
