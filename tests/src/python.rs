use std::{
    fs::{self, File},
    path::PathBuf,
    process::Command,
};

use anyhow::{Context as _, ensure};

use crate::program::binary;

/// A Python with the packages that a list of requirements names, made beside the build's other
/// products and kept until the list changes. `name` is the environment's.
pub fn python(name: &str, requirements: &str) -> anyhow::Result<PathBuf> {
    let reeve = binary("reeve")?;
    let home = reeve.parent().context("the build has no folder")?.join("reeve-tests");
    fs::create_dir_all(&home)?;
    let environment = home.join(format!("python-{name}"));
    let (program, made) = (environment.join("bin/python"), environment.join("made-of"));
    // Tests run in processes of their own: the first one installs, the others wait.
    let guard = File::create(home.join(format!("python-{name}.lock")))?;
    guard.lock()?;
    if fs::read_to_string(&made).is_ok_and(|of| of == requirements) {
        return Ok(program);
    }
    if environment.exists() {
        fs::remove_dir_all(&environment)?;
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    let list = home.join(format!("python-{name}.txt"));
    fs::write(&list, requirements)?;
    let mut install = Command::new(environment.join("bin/pip"));
    run(install.args(["install", "-q", "-r"]).arg(&list))?;
    fs::write(&made, requirements)?;
    Ok(program)
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
