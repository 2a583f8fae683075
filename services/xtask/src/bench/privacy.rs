//! How fast texts are searched for personal data.

use serde::{Deserialize, Serialize};

use super::Window;
use crate::{
    say,
    step::{command, output},
};

/// One core, all kinds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Figures {
    /// Texts in English and Chinese, one in eight with values.
    pub(super) megabytes_per_second: f64,
    /// The median for a text of 80 bytes without a value.
    pub(super) short_text_us: f64,
    /// The same with one.
    pub(super) short_text_with_a_value_us: f64,
}

/// Measures.
pub(super) fn measure(window: Window) -> anyhow::Result<Figures> {
    let work = say::begin("privacy: all kinds, one core");
    let mut throughput = command(
        "cargo",
        &["run", "-q", "--release", "-p", "reeve-privacy", "--example", "throughput", "--"],
    );
    throughput.arg(window.measured_s.to_string());
    let figures = serde_json::from_str(output(throughput)?.trim())?;
    work.done();
    Ok(figures)
}
