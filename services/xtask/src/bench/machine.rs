//! What the figures were measured on.

use std::fs;

use serde::Serialize;

use crate::step::{command, output};

/// A machine and a day.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(super) processor: String,
    pub(super) cores: usize,
    pub(super) memory_gb: u64,
    pub(super) system: String,
    pub(super) date: String,
    pub(super) commit: String,
    /// Load of the last minute when it began: a busy machine measures others' work.
    pub(super) load: String,
}

impl Machine {
    /// The one that this runs on.
    pub(super) fn this() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let (processor, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let kb = field(&memory, "MemTotal").and_then(|kb| kb.split(' ').next()?.parse().ok());
        let release = read("/etc/os-release");
        let system = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
        let said = |program: &str, arguments: &[&str]| {
            output(command(program, arguments)).map_or_else(|_| String::new(), |s| s.trim().into())
        };
        Self {
            processor: field(&processor, "model name").unwrap_or_default(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gb: kb.unwrap_or(0_u64) / (1024 * 1024),
            system: system.unwrap_or_default().trim_matches('"').to_owned(),
            date: said("date", &["-u", "+%Y-%m-%d"]),
            commit: said("git", &["rev-parse", "--short", "HEAD"]),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        }
    }
}
