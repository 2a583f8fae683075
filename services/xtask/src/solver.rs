//! `./x solver`: cvc5, which proves what drafts of policy change, from its Python package.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::Context as _;

use crate::{
    place,
    step::{command, quietly},
};

fn home() -> PathBuf {
    place::target().join("solver")
}

/// The program, if it is installed.
pub(crate) fn installed() -> Option<PathBuf> {
    let program = home().join("bin/cvc5");
    let asked = |program: &PathBuf| {
        let mut ask = Command::new(program);
        ask.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        ask.status().is_ok_and(|status| status.success())
    };
    Some(program).filter(asked)
}

/// Installs it beside the build, unless it is there. Gives the program.
pub(crate) fn install() -> anyhow::Result<PathBuf> {
    if let Some(program) = installed() {
        return Ok(program);
    }
    let (home, folder) = (home(), place::root().join("deploy/solver"));
    let log = place::target().join("x-logs/solver.log");
    let mut create = command("python3", &["-m", "venv"]);
    create.arg(&home);
    quietly(create, &log)?;
    let mut install = Command::new(home.join("bin/pip"));
    install.args(["install", "-q", "-r"]).arg(folder.join("requirements.txt"));
    quietly(install, &log)?;
    let script = fs::read_to_string(folder.join("cvc5"))?;
    let (_, script) = script.split_once('\n').context("the script is empty")?;
    let program = home.join("bin/cvc5");
    fs::write(&program, format!("#!{}\n{script}", home.join("bin/python").display()))?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    installed().context("cvc5 was installed and does not run")
}

/// `./x solver`.
pub(crate) fn run() -> anyhow::Result<()> {
    println!("{}", install()?.display());
    Ok(())
}
