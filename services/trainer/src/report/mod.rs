//! A training's report: `report.json` for machines, `report.md` with pictures for people.

mod pictures;

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, Result};
use reeve_classifier::{Bundle, Calibration};
use reeve_torch::{Epoch, Recipe};
use serde_json::json;

use crate::judge::Judgement;

/// What is reported.
pub(crate) struct Report<'a> {
    pub(crate) bundle: &'a Bundle,
    pub(crate) recipe: Recipe,
    pub(crate) history: Vec<Epoch>,
    pub(crate) calibration: Option<Calibration>,
    /// Temperatures by the group that was left out, where there were such.
    pub(crate) across: Option<BTreeMap<String, f32>>,
    pub(crate) validation: Judgement,
    pub(crate) test: Option<Judgement>,
}

/// Pairs of labels that the report spells out.
const CONFUSIONS: usize = 20;

pub(crate) fn write(dir: &Path, report: &Report<'_>) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("`{}`", dir.display()))?;
    let put = |name: &str, contents: String| {
        let path = dir.join(name);
        fs::write(&path, contents).with_context(|| format!("`{}`", path.display()))
    };
    let machine = json!({
        "model": report.bundle.name(),
        "version": report.bundle.version(),
        "digest": report.bundle.digest(),
        "training_data": report.bundle.card().training_data,
        "recipe": report.recipe,
        "architecture": report.bundle.architecture(),
        "confidence": report.bundle.confidence(),
        "calibration_held": report.calibration.as_ref().map(|found| found.held),
        "calibrated_across": report.across,
        "history": report.history,
        "validation": report.validation,
        "test": report.test,
    });
    put("report.json", serde_json::to_string_pretty(&machine)? + "\n")?;
    let judged = report.test.as_ref().unwrap_or(&report.validation);
    put("loss.svg", pictures::curve("loss", &report.history, |epoch| epoch.loss)?)?;
    let accuracy = |epoch: &Epoch| epoch.accuracy;
    put("accuracy.svg", pictures::curve("accuracy, held out", &report.history, accuracy)?)?;
    put("reliability.svg", pictures::reliability(&judged.bins)?)?;
    put("report.md", text(report, judged)?)
}

fn text(report: &Report<'_>, judged: &Judgement) -> Result<String> {
    let bundle = report.bundle;
    let mut page = format!("# {} {}\n\n`{}`\n", bundle.name(), bundle.version(), bundle.digest());
    for (title, judgement) in
        [("Held out", Some(&report.validation)), ("Test", report.test.as_ref())]
    {
        if let Some(judgement) = judgement {
            let lines = judgement.summary().replace('\n', "\n* ");
            write!(page, "\n## {title}\n\n* {lines}\n")?;
        }
    }
    page += "\n## Curves\n\n![loss](loss.svg)\n![accuracy](accuracy.svg)\n\
             ![reliability](reliability.svg)\n";
    page +=
        "\n## Labels\n\n| label | precision | recall | F1 | texts |\n|---|---:|---:|---:|---:|\n";
    for (label, m) in &judged.metrics.labels {
        let label = label.replace('|', "\\|");
        writeln!(
            page,
            "| {label} | {:.3} | {:.3} | {:.3} | {} |",
            m.precision, m.recall, m.f1, m.support
        )?;
    }
    page += "\n## What is taken for what\n\n| label | taken for | texts |\n|---|---|---:|\n";
    for confusion in judged.confusions.iter().take(CONFUSIONS) {
        let [label, other] =
            [&confusion.label, &confusion.taken_for].map(|l| l.replace('|', "\\|"));
        writeln!(page, "| {label} | {other} | {} |", confusion.texts)?;
    }
    write!(
        page,
        "\n## Recipe\n\n```json\n{}\n```\n",
        serde_json::to_string_pretty(&report.recipe)?
    )?;
    Ok(page)
}
