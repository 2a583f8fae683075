//! What decisions cost as the number of rules grows, whether the rules that are left decide as all
//! of them, and how fast recorded calls are replayed. `policy/benches/decide.rs` measures.

use serde::{Deserialize, Serialize};

use super::Window;
use crate::{
    say,
    step::{command, output},
};

/// Everything about policy.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Figures {
    pub(super) decide: Vec<Row>,
    pub(super) same: Same,
    pub(super) replay: Replay,
    /// The same, with rows of the index instead of JSON in memory, and on two cores: one reads and
    /// one decides.
    pub(super) simulate: Option<Replay>,
}

/// One number of rules, for a call with one candidate region.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) rules: u32,
    pub(super) in_force: u32,
    pub(super) compile_ms: f64,
    /// Specialising the rules for one tenant and one model.
    pub(super) prepare_ms: f64,
    pub(super) full: Times,
    /// The first time that this call is asked about.
    pub(super) first: Times,
    pub(super) again: Times,
}

/// Microseconds of one decision with its obligations.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Times {
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

/// Random calls that were decided by all rules, and twice by what is left of them.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Same {
    pub(super) calls: u64,
    pub(super) differ: u64,
    pub(super) seconds: f64,
}

/// Recorded calls that were read from JSON and replayed on one core.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Replay {
    pub(super) calls: u64,
    pub(super) reproduced: u64,
    pub(super) seconds: f64,
}

/// Measures. A million calls take several minutes; a quick look takes 20,000.
pub(super) fn measure(window: Window) -> anyhow::Result<Figures> {
    let work = say::begin("policy: decisions by number of rules, and replay");
    let bench = |package, name| {
        let mut bench = command("cargo", &["bench", "-q", "-p", package, "--bench", name]);
        if window.measured_s > 3 {
            bench.args(["--", "--million"]);
        }
        output(bench)
    };
    let mut figures: Figures = serde_json::from_str(&bench("reeve-policy", "decide")?)?;
    figures.simulate = Some(serde_json::from_str(&bench("reeve-worker", "simulate")?)?);
    work.done();
    Ok(figures)
}
