//! Running other programs to their end, their output kept for when they fail.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};

use crate::{place, say, signals};

/// A command of the checkout's root.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(place::root()).stdin(Stdio::null());
    // What `cargo run` says of this program is nothing to a cargo that it starts: build scripts that
    // look at it, as ring's does, would build all anew whenever somebody calls cargo by hand.
    for (name, _) in std::env::vars_os() {
        let said = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        });
        if said {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command with its output in `log`; shows the end of it if the command fails.
pub(crate) fn quietly(mut command: Command, log: &Path) -> anyhow::Result<()> {
    if let Some(dir) = log.parent() {
        fs::create_dir_all(dir)?;
    }
    let output = File::create(log).with_context(|| format!("{}", log.display()))?;
    let status = command
        .env("NO_COLOR", "1")
        .stdout(output.try_clone()?)
        .stderr(output)
        .status()
        .with_context(|| format!("`{}` cannot be run", shown(&command)))?;
    if signals::asked_to_stop() {
        bail!("stopped");
    }
    if status.success() {
        return Ok(());
    }
    bail!("`{}` failed ({status}):\n{}", shown(&command), tail(log, 200))
}

/// Runs a command with its output shown.
pub(crate) fn openly(mut command: Command) -> anyhow::Result<()> {
    say::flush();
    let status =
        command.status().with_context(|| format!("`{}` cannot be run", shown(&command)))?;
    if status.success() { Ok(()) } else { bail!("`{}` failed ({status})", shown(&command)) }
}

/// Runs a command and returns what it printed; if it fails, what it said.
pub(crate) fn output(mut command: Command) -> anyhow::Result<String> {
    let output = command
        .stderr(Stdio::piped())
        .output()
        .with_context(|| format!("`{}` cannot be run", shown(&command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed ({}): {}", shown(&command), output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The last lines of a file.
pub(crate) fn tail(file: &Path, lines: usize) -> String {
    let bytes = fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    let from = all.len().saturating_sub(lines);
    all.get(from..).unwrap_or_default().join("\n")
}

/// The words of a command.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
