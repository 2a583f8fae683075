//! How well networks from scratch do on three public data sets, beside the article's plain one and
//! the linear baseline that the trainer fits anyway. Recipes: `deploy/training/recipes`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use super::median;
use crate::{
    build, place, say,
    step::{command, output},
};

/// One network on one data set.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub(super) data: &'static str,
    pub(super) recipe: &'static str,
    /// Of each seed, on the test split.
    pub(super) runs: Vec<Run>,
}

/// The part of `report.json` that is read.
#[derive(Deserialize)]
struct Report {
    test: Run,
}

/// One training's judgement on the test split, as `report.json` has it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Run {
    accuracy: f64,
    macro_f1: f64,
    calibration_error: f64,
    out_of_scope: Option<Foreign>,
    baseline: Baseline,
}

#[derive(Debug, Serialize, Deserialize)]
struct Foreign {
    recall: f64,
    in_scope_accuracy: f64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Baseline {
    accuracy: f64,
    p: f64,
}

/// A data set as the trainer's arguments.
struct Set {
    name: &'static str,
    /// The one that the article's plain network stands beside.
    recipe: &'static str,
    arguments: Vec<String>,
}

/// Seeds that no setting was chosen by.
const SEEDS: [&str; 3] = ["11", "12", "13"];

/// Measures; nothing where the data are not beside the checkout.
pub(super) fn measure(scratch: &Path, quick: bool) -> anyhow::Result<Vec<Figures>> {
    let Some(data) = data() else {
        println!("quality: skipped, the data sets are not at ../shared/data nor in REEVE_DATA");
        return Ok(Vec::new());
    };
    let seeds = if quick { &SEEDS[..1] } else { &SEEDS[..] };
    let trainer = build::Profile::Release.program("reeve-train");
    let mut all = Vec::new();
    for set in sets(&data.join("text"), scratch)? {
        for recipe in ["article", set.recipe] {
            let work = say::begin(&format!("quality: {}, {recipe}", set.name));
            let mut runs = Vec::new();
            for seed in seeds {
                let dir = scratch.join(format!("{}-{recipe}-{seed}", set.name));
                let recipe = format!("deploy/training/recipes/{recipe}.json");
                let mut fit = command(&trainer.to_string_lossy(), &["--threads", "2", "fit"]);
                fit.args(["--recipe", &recipe, "--seed", seed]).args(&set.arguments);
                fit.arg("--out").arg(&dir).arg("--report").arg(dir.join("report"));
                output(fit)?;
                let report = fs::read(dir.join("report/report.json"))?;
                let report: Report = serde_json::from_slice(&report)?;
                runs.push(report.test);
            }
            work.done();
            all.push(Figures { data: set.name, recipe, runs });
        }
    }
    Ok(all)
}

/// A table, a line a network.
pub(super) fn table(figures: &[Figures]) -> String {
    let mut text = "## Quality\n\n| data | recipe | accuracy, by seed | macro-F1 | calibration \
                    error | out-of-scope recall | accuracy lost to it | baseline | McNemar's p |\n\
                    |---|---|---|---:|---:|---:|---:|---:|---:|\n"
        .to_owned();
    for one in figures {
        let middle = |of: &dyn Fn(&Run) -> f64| median(one.runs.iter().map(of).collect());
        let each: Vec<String> =
            one.runs.iter().map(|run| format!("{:.1}", run.accuracy * 100.0)).collect();
        let foreign = |of: fn(&Run, &Foreign) -> f64| {
            let values: Vec<f64> = one
                .runs
                .iter()
                .filter_map(|run| run.out_of_scope.as_ref().map(|f| of(run, f)))
                .collect();
            if values.is_empty() { String::new() } else { format!("{:.1}", median(values) * 100.0) }
        };
        text += &format!(
            "| {} | {} | {} | {:.1} | {:.3} | {} | {} | {:.1} | {:.4} |\n",
            one.data,
            one.recipe,
            each.join(", "),
            middle(&|run| run.macro_f1) * 100.0,
            middle(&|run| run.calibration_error),
            foreign(|_, f| f.recall),
            foreign(|run, f| run.accuracy - f.in_scope_accuracy),
            middle(&|run| run.baseline.accuracy) * 100.0,
            middle(&|run| run.baseline.p),
        );
    }
    text
}

/// Where the data sets are.
fn data() -> Option<PathBuf> {
    let named = std::env::var_os("REEVE_DATA").map(PathBuf::from);
    let dir = named.unwrap_or_else(|| place::root().join("../shared/data"));
    dir.join("text").is_dir().then_some(dir)
}

fn sets(data: &Path, scratch: &Path) -> anyhow::Result<Vec<Set>> {
    let clinc = clinc(&data.join("clinc150/data_full.json"), scratch)?;
    let file = |name: &str| data.join(name).to_string_lossy().into_owned();
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let mut banking = words("--text-column text --label-column category --data");
    banking.extend([file("banking77/train.csv"), "--test".to_owned(), file("banking77/test.csv")]);
    // Its test split is not like what is trained and validated on; of what kind it is, nobody says.
    let mut cold = words("--text-column TEXT --label-column label --calibrate-across topic --data");
    cold.push(file("cold-zh/train.csv"));
    for (option, name) in [("--validation", "cold-zh/dev.csv"), ("--test", "cold-zh/test.csv")] {
        cold.extend([option.to_owned(), file(name)]);
    }
    Ok(vec![
        Set { name: "CLINC150", recipe: "intents", arguments: clinc },
        Set { name: "Banking77", recipe: "intents", arguments: banking },
        Set { name: "COLD", recipe: "cold", arguments: cold },
    ])
}

/// CLINC150 is one JSON file of splits; the trainer reads a file a split.
fn clinc(file: &Path, scratch: &Path) -> anyhow::Result<Vec<String>> {
    let all: BTreeMap<String, Vec<(String, String)>> = serde_json::from_slice(&fs::read(file)?)?;
    // What may be lost is a point on the test split; a threshold from the validation split has a
    // spread, so less of it is spent there.
    let rule = "--out-of-scope-label oos --outlier-weight 0.5 --in-scope-loss 0.008";
    let mut arguments: Vec<String> = rule.split(' ').map(str::to_owned).collect();
    for (split, option) in [("train", "--data"), ("val", "--validation"), ("test", "--test")] {
        let mut lines = String::new();
        for name in [split.to_owned(), format!("oos_{split}")] {
            for (text, label) in all.get(&name).context("a split of CLINC150 is missing")? {
                lines += &serde_json::json!({"text": text, "label": label}).to_string();
                lines.push('\n');
            }
        }
        ensure!(!lines.is_empty(), "`{split}` of CLINC150 is empty");
        let path = scratch.join(format!("clinc150-{split}.jsonl"));
        fs::write(&path, lines)?;
        arguments.extend([option.to_owned(), path.to_string_lossy().into_owned()]);
    }
    Ok(arguments)
}
