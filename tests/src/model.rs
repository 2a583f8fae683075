use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};

use crate::program::binary;

/// The sample model's bundle, trained on the project's own corpus.
pub fn sample_bundle() -> anyhow::Result<PathBuf> {
    trained("sample", |trainer, home, bundle| {
        let corpus = home.join("sample.csv");
        run(Command::new(trainer).args(["sample", "--out"]).arg(&corpus))?;
        let mut fit = Command::new(trainer);
        fit.arg("fit").arg("--data").arg(&corpus).arg("--out").arg(bundle);
        run(fit.args(["--name", "sample", "--version", "1"]))
    })
}

/// The sample model as another version, trained on the same corpus.
pub fn sample_version(version: &str) -> anyhow::Result<PathBuf> {
    trained(&format!("sample-{version}"), |trainer, home, bundle| {
        let corpus = home.join(format!("sample-{version}.csv"));
        run(Command::new(trainer).args(["sample", "--out"]).arg(&corpus))?;
        let mut fit = Command::new(trainer);
        fit.arg("fit").arg("--data").arg(&corpus).arg("--out").arg(bundle);
        run(fit.args(["--name", "sample", "--version", version]))
    })
}

/// The bundle `names`, which finds names and addresses, trained on texts that are made up.
pub(crate) fn names_bundle() -> anyhow::Result<PathBuf> {
    trained("names", |trainer, home, bundle| {
        let corpus = home.join("names.jsonl");
        run(Command::new(trainer).args(["tag", "sample", "--out"]).arg(&corpus))?;
        let mut fit = Command::new(trainer);
        fit.args(["tag", "fit", "--name", "names", "--version", "1", "--data"]).arg(&corpus);
        run(fit.arg("--out").arg(bundle))
    })
}

/// A bundle that is trained once and kept beside the build's other products until the training
/// program changes.
fn trained(
    name: &str,
    train: impl FnOnce(&Path, &Path, &Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let trainer = binary("reeve-train")?;
    let home = trainer.parent().context("the build has no folder")?.join("reeve-tests");
    fs::create_dir_all(&home)?;
    let bundle = home.join(name);
    // Tests run in processes of their own: the first one trains, the others wait.
    let guard = File::create(home.join(format!("{name}.lock")))?;
    guard.lock()?;
    if !is_newer(&bundle.join("bundle.json"), &trainer) {
        if bundle.exists() {
            fs::remove_dir_all(&bundle)?;
        }
        train(&trainer, &home, &bundle)?;
    }
    Ok(bundle)
}

fn is_newer(file: &Path, than: &Path) -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
    matches!((changed(file), changed(than)), (Some(file), Some(than)) if file >= than)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
