//! The ledger by number of writers, beside bare writes with an `fsync` each.

use std::{collections::BTreeMap, fs, path::Path};

use serde::{Deserialize, Serialize};

use super::Window;
use crate::{
    say,
    step::{command, output},
};

/// Records a second and how long one waits.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Figures {
    pub(super) per_second: f64,
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
}

/// Measures; `bare` and the numbers of writers are the keys.
pub(super) fn measure(scratch: &Path, window: Window) -> anyhow::Result<BTreeMap<String, Figures>> {
    let home = scratch.join("ledger");
    fs::create_dir_all(&home)?;
    let build = ["build", "-q", "--release", "-p", "reeve-ledger", "--example", "throughput"];
    output(command("cargo", &build))?;
    let work = say::begin("ledger: 1, 8, 64, 256 writers");
    let mut throughput = command(
        "cargo",
        &["run", "-q", "--release", "-p", "reeve-ledger", "--example", "throughput", "--"],
    );
    throughput.arg(&home).arg(window.measured_s.to_string());
    let figures = serde_json::from_str(output(throughput)?.trim())?;
    work.done();
    Ok(figures)
}
