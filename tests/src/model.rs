use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};

use crate::program::binary;

/// The sample model's bundle, trained once on the project's own corpus and kept beside the build's
/// other products until the training program changes.
pub fn sample_bundle() -> anyhow::Result<PathBuf> {
    let trainer = binary("reeve-train")?;
    let home = trainer.parent().context("the build has no folder")?.join("reeve-tests");
    fs::create_dir_all(&home)?;
    let bundle = home.join("sample");
    // Tests run in processes of their own: the first one trains, the others wait.
    let guard = File::create(home.join("lock"))?;
    guard.lock()?;
    if !is_newer(&bundle.join("bundle.json"), &trainer) {
        let corpus = home.join("sample.csv");
        run(Command::new(&trainer).args(["sample", "--out"]).arg(&corpus))?;
        if bundle.exists() {
            fs::remove_dir_all(&bundle)?;
        }
        let mut fit = Command::new(&trainer);
        fit.arg("fit").arg("--data").arg(&corpus).arg("--out").arg(&bundle);
        run(fit.args(["--name", "sample", "--version", "1"]))?;
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
