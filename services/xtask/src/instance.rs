//! A running instance: its processes as `DIR/run.json` names them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use crate::{http, place, process};

/// A process, in one of its roles.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// `pod`, `gateway` or `control`; the last two share one process with the worker.
    pub(crate) role: String,
    pub(crate) region: Option<String>,
    pub(crate) pid: i32,
    pub(crate) address: String,
    /// Where it says whether it is ready; `…/live` beside it says whether it lives.
    pub(crate) health: String,
    pub(crate) log: PathBuf,
    /// The words it was started with.
    pub(crate) command: Vec<String>,
}

impl Entry {
    pub(crate) fn runs(&self) -> bool {
        process::runs(self.pid, &self.command)
    }

    pub(crate) fn ready(&self) -> bool {
        http::is_ok(&self.health)
    }

    fn state(&self) -> &'static str {
        if !self.runs() {
            return "down";
        }
        if self.ready() {
            return "ready";
        }
        let live = self.health.replace("/ready", "/live");
        if http::is_ok(&live) { "live" } else { "down" }
    }

    pub(crate) fn name(&self) -> String {
        self.region.as_ref().map_or_else(|| self.role.clone(), |at| format!("{} {at}", self.role))
    }
}

fn file(data: &Path) -> PathBuf {
    data.join("run.json")
}

/// What was started in `data`, whether it still runs or not.
pub(crate) fn read(data: &Path) -> anyhow::Result<Vec<Entry>> {
    let path = file(data);
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is not what was written there", path.display())),
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(fault) => Err(fault).with_context(|| format!("{}", path.display())),
    }
}

/// Notes what was started.
pub(crate) fn write(data: &Path, entries: &[Entry]) -> anyhow::Result<()> {
    fs::write(file(data), serde_json::to_vec_pretty(entries)?)?;
    Ok(())
}

/// Forgets what was started.
pub(crate) fn forget(data: &Path) -> anyhow::Result<()> {
    match fs::remove_file(file(data)) {
        Err(fault) if fault.kind() != std::io::ErrorKind::NotFound => Err(fault.into()),
        _ => Ok(()),
    }
}

/// Stops all of `entries` that run. `reap` is called while it waits.
pub(crate) fn stop(entries: &[Entry], reap: impl FnMut()) -> anyhow::Result<Vec<i32>> {
    let mut all: Vec<(i32, Vec<String>)> =
        entries.iter().map(|entry| (entry.pid, entry.command.clone())).collect();
    all.dedup();
    process::stop(&all, reap)
}

/// `./x status`.
pub(crate) fn status(data: &Path, json: bool) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        role: &'a str,
        region: Option<&'a str>,
        pid: i32,
        address: &'a str,
        health: &'static str,
    }
    let data = place::data(data)?;
    let entries = read(&data)?;
    let lines: Vec<Line<'_>> = entries
        .iter()
        .map(|entry| Line {
            role: &entry.role,
            region: entry.region.as_deref(),
            pid: entry.pid,
            address: &entry.address,
            health: entry.state(),
        })
        .collect();
    if json {
        println!("{}", serde_json::to_string_pretty(&lines)?);
    } else if lines.is_empty() {
        println!("nothing runs in {}", data.display());
    } else {
        println!("{:<8} {:<8} {:>8} {:<22} health", "role", "region", "pid", "address");
        for line in lines {
            let region = line.region.unwrap_or("-");
            let Line { role, pid, address, health, .. } = line;
            println!("{role:<8} {region:<8} {pid:>8} {address:<22} {health}");
        }
    }
    Ok(())
}

/// `./x down`.
pub(crate) fn down(data: &Path) -> anyhow::Result<()> {
    let data = place::data(data)?;
    let entries = read(&data)?;
    if !entries.iter().any(Entry::runs) {
        forget(&data)?;
        println!("nothing runs in {}", data.display());
        return Ok(());
    }
    let killed = stop(&entries, || {})?;
    forget(&data)?;
    if !killed.is_empty() {
        bail!("these did not stop when asked and were killed: {killed:?}");
    }
    println!("stopped");
    Ok(())
}
