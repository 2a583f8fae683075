//! `./x bench`: measures on this machine, everything on the loopback address.

mod gateway;
mod governed;
mod ledger;
mod load;
mod machine;
mod peers;
mod pod;
mod policy;
mod privacy;
mod quality;
mod report;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use crate::{
    build::{self, Profile},
    place, signals,
};

/// What to measure, and how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What is measured, all but the last two if none: gateway, pod, ledger, privacy, policy, governed
    /// (of `pod`, all of Reeve only), quality (of trained networks; more than an hour).
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Write the figures to this file as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Short windows: to see that it works, not to compare.
    #[arg(long)]
    quick: bool,
    /// How often each is measured by turns, of which the median counts.
    #[arg(long, value_name = "N", default_value = "4")]
    turns: std::num::NonZeroU32,
    /// Write tests/bench/figures.md.
    #[arg(long)]
    write: bool,
}

/// How long one window lasts, and how often it is repeated.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Window {
    warm_up_s: u64,
    measured_s: u64,
    repetitions: u32,
}

/// Everything that was measured in one run.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    machine: machine::Machine,
    window: Window,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<gateway::Figures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<pod::Figures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger: Option<BTreeMap<String, ledger::Figures>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    privacy: Option<Vec<privacy::Figures>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<policy::Figures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quality: Option<Vec<quality::Figures>>,
}

/// A directory that is gone when this is.
struct Scratch(PathBuf);

impl Scratch {
    /// On the file system of the build, which is a disk where `/tmp` may be memory.
    fn new() -> anyhow::Result<Self> {
        let dir = place::target().join(format!("bench-{}", std::process::id()));
        fs::create_dir_all(&dir)?;
        Ok(Self(dir))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is in the build's folder, which may be removed at any time.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// `./x bench`.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    const NAMES: [&str; 7] =
        ["gateway", "pod", "ledger", "privacy", "policy", "governed", "quality"];
    if let Some(name) = arguments.names.iter().find(|name| !NAMES.contains(&name.as_str())) {
        bail!("there is no measurement `{name}`; they are: {}", NAMES.join(", "));
    }
    let named = |name: &str| arguments.names.iter().any(|n| n == name);
    let wanted = |name: &str| arguments.names.is_empty() || named(name);
    let repetitions = arguments.turns.get();
    let window = if arguments.quick {
        Window { warm_up_s: 1, measured_s: 2, repetitions }
    } else {
        Window { warm_up_s: 5, measured_s: 25, repetitions }
    };
    signals::listen()?;
    let (quality, governed) = (named("quality"), named("governed"));
    if quality || governed || ["gateway", "pod"].into_iter().any(wanted) {
        build::programs(Profile::Release)?;
    }
    let scratch = Scratch::new()?;
    let mut figures = Figures {
        machine: machine::Machine::this(),
        window,
        gateway: None,
        pod: None,
        ledger: None,
        privacy: None,
        policy: None,
        quality: None,
    };
    if wanted("gateway") {
        figures.gateway = Some(gateway::measure(scratch.path(), window)?);
    }
    if wanted("pod") {
        figures.pod = Some(pod::measure(scratch.path(), window)?);
    } else if governed {
        figures.pod = Some(pod::measure_governed(scratch.path(), window)?);
    }
    if wanted("ledger") {
        figures.ledger = Some(ledger::measure(scratch.path(), window)?);
    }
    if wanted("privacy") {
        figures.privacy = Some(privacy::measure(scratch.path(), window)?);
    }
    if wanted("policy") {
        figures.policy = Some(policy::measure(window)?);
    }
    if quality {
        figures.quality = Some(quality::measure(scratch.path(), arguments.quick)?);
    }
    let mut text = report::tables(&figures);
    if let Some(quality) = figures.quality.as_deref().filter(|all| !all.is_empty()) {
        text += &format!("\n{}", quality::table(quality));
    }
    println!("\n{text}");
    if let Some(file) = &arguments.json {
        fs::write(place::data(file)?, serde_json::to_vec_pretty(&figures)?)?;
    }
    if arguments.write {
        let page = place::root().join("tests/bench/figures.md");
        fs::write(page, report::page(&figures, &text)).context("tests/bench/figures.md")?;
    }
    Ok(())
}

/// Has a build answer calls of all lengths, in each precision, for a while.
pub(crate) fn answer_calls(profile: Profile) -> anyhow::Result<()> {
    let scratch = Scratch::new()?;
    for work in pod::works(scratch.path())? {
        governed::add_values(&work)?;
        for precision in pod::PRECISIONS {
            println!("calls: {}, {precision}", work.texts);
            let running = governed::start(profile, scratch.path(), &work, precision)?;
            for connections in pod::CONNECTIONS {
                running.load(connections, Duration::from_secs(3))?;
            }
        }
    }
    Ok(())
}

/// Where a bundle for measuring is kept between runs.
fn model() -> anyhow::Result<PathBuf> {
    let home = place::target().join("bench-model");
    let bundle = home.join("sample");
    build::model(Profile::Release, &bundle, &home)?;
    Ok(bundle)
}

/// The value in the middle; the mean of both if there are two.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    if values.len() % 2 == 1 {
        at(middle)
    } else {
        f64::midpoint(at(middle.wrapping_sub(1)), at(middle))
    }
}

impl Window {
    fn warm_up(self) -> Duration {
        Duration::from_secs(self.warm_up_s)
    }

    fn measured(self) -> Duration {
        Duration::from_secs(self.measured_s)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_median_is_the_middle() {
        assert!((super::median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((super::median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!(super::median(Vec::new()).is_nan());
    }
}
