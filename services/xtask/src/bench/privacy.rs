//! How fast texts are searched for personal data and how much is found, beside Presidio's pattern
//! recognisers and the crate `redact-core`. All take the commands of `services/privacy/examples/
//! measure.rs`, run on one core, and take turns.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde::{Deserialize, Serialize};

use super::{Window, median};
use crate::{
    place, say,
    step::{command, output, quietly},
};

/// One program, all its kinds.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub(super) program: &'static str,
    pub(super) speed: Speed,
    /// None where the labelled data are not beside the checkout.
    pub(super) agreement: Option<Agreement>,
    /// What is below 0.4 left out, as Reeve does before it acts.
    pub(super) agreement_acted_upon: Option<Agreement>,
}

/// On one core.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Speed {
    /// Texts in English and Chinese, one in eight with values.
    pub(super) megabytes_per_second: f64,
    /// The median for a text of 80 bytes without a value.
    pub(super) short_text_us: f64,
    /// The same with one.
    pub(super) short_text_with_a_value_us: f64,
}

/// With the labels; shares of 1.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Agreement {
    pub(super) recall: f64,
    pub(super) precision: f64,
    pub(super) cases_exact: f64,
}

/// Measures.
pub(super) fn measure(scratch: &Path, window: Window) -> anyhow::Result<Vec<Figures>> {
    let work = say::begin("privacy: all kinds, one core, three programs");
    let programs = [
        ("reeve", vec![reeve(scratch)?]),
        ("redact-core", vec![redact_core(scratch)?]),
        ("presidio", presidio(scratch)?),
    ];
    let asked = |words: &[PathBuf], arguments: &[&str]| {
        let mut asked = command("taskset", &["-c", "0"]);
        asked.args(words).args(arguments);
        asked
    };
    let texts = place::root().join("tests/bench/privacy/texts.jsonl");
    let texts = texts.to_string_lossy();
    let seconds = window.measured_s.to_string();
    let mut speeds: Vec<Vec<Speed>> = programs.iter().map(|_| Vec::new()).collect();
    for _ in 0..window.repetitions {
        for ((_, words), speeds) in programs.iter().zip(&mut speeds) {
            let speed = output(asked(words, &["time", &seconds, &texts]))?;
            speeds.push(serde_json::from_str(speed.trim())?);
        }
    }
    let [(_, reeve), ..] = &programs;
    let labelled = scratch.join("labelled.jsonl");
    let has_labels = match output(asked(reeve, &["texts"])) {
        Ok(texts) => {
            fs::write(&labelled, texts)?;
            true
        }
        Err(_) => false,
    };
    let mut figures = Vec::new();
    for ((program, words), speeds) in programs.iter().zip(speeds) {
        let found = scratch.join("found.jsonl");
        let agreement = |minimum: &str| -> anyhow::Result<Option<Agreement>> {
            if !has_labels {
                return Ok(None);
            }
            let score = output(asked(reeve, &["score", &found.to_string_lossy(), minimum]))?;
            Ok(Some(serde_json::from_str(score.trim())?))
        };
        if has_labels {
            fs::write(&found, output(asked(words, &["find", &labelled.to_string_lossy()]))?)?;
        }
        let of = |figure: fn(&Speed) -> f64| median(speeds.iter().map(figure).collect());
        figures.push(Figures {
            program,
            speed: Speed {
                megabytes_per_second: of(|speed| speed.megabytes_per_second),
                short_text_us: of(|speed| speed.short_text_us),
                short_text_with_a_value_us: of(|speed| speed.short_text_with_a_value_us),
            },
            agreement: agreement("0")?,
            agreement_acted_upon: agreement("0.4")?,
        });
    }
    work.done();
    Ok(figures)
}

fn reeve(scratch: &Path) -> anyhow::Result<PathBuf> {
    let arguments = ["build", "--release", "-p", "reeve-privacy", "--example", "scanning"];
    quietly(command("cargo", &arguments), &scratch.join("build.txt"))?;
    Ok(place::target().join("release/examples/scanning"))
}

fn redact_core(scratch: &Path) -> anyhow::Result<PathBuf> {
    let target = place::target().join("bench-redact-core");
    let manifest = "tests/bench/privacy/redact-core/Cargo.toml";
    let mut build = command("cargo", &["build", "--release", "--locked", "--manifest-path"]);
    build.arg(manifest).arg("--target-dir").arg(&target);
    quietly(build, &scratch.join("build.txt"))?;
    Ok(target.join("release/measure-redact-core"))
}

/// Presidio in a virtual environment of its own, kept between runs.
fn presidio(scratch: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let folder = place::root().join("tests/bench/privacy/presidio");
    let home = place::target().join("bench-presidio");
    let log = scratch.join("presidio.txt");
    if !home.join("bin/pip").exists() {
        let mut create = command("python3", &["-m", "venv"]);
        create.arg(&home);
        quietly(create, &log)?;
    }
    let mut install = Command::new(home.join("bin/pip"));
    install.args(["install", "-q", "-r"]).arg(folder.join("requirements.txt"));
    quietly(install, &log)?;
    Ok(vec![home.join("bin/python"), folder.join("measure.py")])
}
