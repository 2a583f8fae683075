//! Building what an instance runs, and training the sample model.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use anyhow::Context as _;

use crate::{
    guided, place, say,
    step::{command, openly, quietly, shown},
};

/// Which build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Unoptimised; what the tests run.
    Dev,
    /// Optimised; what is served and measured.
    Release,
    /// Optimised, and counting which way it goes.
    Counting,
}

impl Profile {
    /// A program of this build.
    pub(crate) fn program(self, name: &str) -> PathBuf {
        let folder = match self {
            Self::Dev => "debug",
            Self::Release => "release",
            Self::Counting => "counting/release",
        };
        place::target().join(folder).join(name)
    }
}

/// What is shipped: three programs, and libtorch for pods.
pub(crate) const SHIPPED: [&str; 8] =
    ["-p", "reeve-cli", "-p", "reeve-pod", "-p", "reeve-torch", "-p", "reeve-trainer"];

/// Builds what is shipped.
pub(crate) fn programs(profile: Profile) -> anyhow::Result<()> {
    let build = match profile {
        // As the tests build it, so that nothing is built twice.
        Profile::Dev => command("cargo", &["build", "--locked", "--workspace"]),
        Profile::Release => release(&SHIPPED)?,
        // Nothing else takes part in a call.
        Profile::Counting => guided::counting(&["-p", "reeve-cli", "-p", "reeve-pod"]),
    };
    println!("programs: {}", shown(&build));
    openly(build)
}

/// A release build, guided by what was counted of an earlier one.
pub(crate) fn release(what: &[&str]) -> anyhow::Result<Command> {
    let mut build = command("cargo", &["build", "--locked", "--release"]);
    build.args(what);
    compile_with(&mut build, &guided::flags()?);
    Ok(build)
}

/// Adds flags to those that the compiler is called with anyway, in the form that knows spaces from
/// separators.
pub(crate) fn compile_with(build: &mut Command, flags: &[String]) {
    const SEPARATOR: &str = "\u{1f}";
    if flags.is_empty() {
        return;
    }
    let anyway = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_else(|_| {
        let plain = env::var("RUSTFLAGS").unwrap_or_default();
        plain.split_whitespace().collect::<Vec<_>>().join(SEPARATOR)
    });
    let anyway = (!anyway.is_empty()).then_some(anyway);
    let all: Vec<&str> =
        anyway.as_deref().into_iter().chain(flags.iter().map(String::as_str)).collect();
    build.env("CARGO_ENCODED_RUSTFLAGS", all.join(SEPARATOR));
}

/// Builds the console if what is built is missing or older than its sources.
pub(crate) fn console() -> anyhow::Result<()> {
    let sources = place::console();
    let built = changed(&place::console_built().join("index.html"));
    if built.is_some() && built >= newest(&sources)? {
        return Ok(());
    }
    let logs = place::target().join("x-logs");
    let installed = changed(&sources.join("node_modules/.package-lock.json"));
    if installed.is_none() || installed < changed(&sources.join("package-lock.json")) {
        let work = say::begin("console: npm ci");
        let mut install = command("npm", &["ci", "--no-audit", "--no-fund"]);
        install.current_dir(&sources);
        quietly(install, &logs.join("npm-ci.log"))?;
        work.done();
    }
    let work = say::begin("console: npm run build");
    let mut build = command("npm", &["run", "build"]);
    build.current_dir(&sources);
    quietly(build, &logs.join("npm-build.log"))?;
    work.done();
    Ok(())
}

/// Trains the sample model on the project's own corpus, if `bundle` is not there.
pub(crate) fn model(profile: Profile, bundle: &Path, logs: &Path) -> anyhow::Result<()> {
    if bundle.join("bundle.json").exists() {
        return Ok(());
    }
    let home = bundle.parent().context("a bundle has a folder")?;
    fs::create_dir_all(home)?;
    // Trained beside, then renamed: a bundle is there in full or not at all.
    let (corpus, unfinished) = (home.join("sample.csv"), home.join("sample.unfinished"));
    let corpus_text = corpus.to_string_lossy();
    let trainer = profile.program("reeve-train");
    let trainer = trainer.to_string_lossy();
    let work = say::begin("sample model: writing the corpus and training");
    quietly(command(&trainer, &["sample", "--out", &corpus_text]), &logs.join("corpus.log"))?;
    for old in [bundle, &unfinished] {
        if old.exists() {
            fs::remove_dir_all(old)?;
        }
    }
    let out = unfinished.to_string_lossy();
    let fit = ["fit", "--data", &corpus_text, "--out", &out, "--name", "sample", "--version", "1"];
    quietly(command(&trainer, &fit), &logs.join("training.log"))?;
    fs::rename(&unfinished, bundle)?;
    work.done();
    Ok(())
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|data| data.modified()).ok()
}

/// When the newest of the console's sources changed.
fn newest(dir: &Path) -> anyhow::Result<Option<SystemTime>> {
    const MADE: [&str; 5] = ["node_modules", "dist", "docs", "test-results", "playwright-report"];
    let mut newest = None;
    for entry in fs::read_dir(dir).with_context(|| format!("{}", dir.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        if MADE.iter().any(|made| name == *made) {
            continue;
        }
        let file = entry.file_type()?.is_file();
        newest =
            newest.max(if file { changed(&entry.path()) } else { self::newest(&entry.path())? });
    }
    Ok(newest)
}
