use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use reeve_config::Config;
use reeve_domain::{BundleDocument, Clock as _, Digest, SystemClock, Timestamp};
use reeve_policy::{Bundle, Checked, Engine, Pack, check, replay::Impact};
use serde_json::json;

use super::{
    api::{Api, text},
    operator_log, say,
};

/// The traffic that is replayed if nothing else is asked for, in days.
const USUAL_DAYS: u32 = 7;
const ASK_AGAIN: Duration = Duration::from_millis(300);

/// Check, test, simulate, compare and propose policy bundles.
#[derive(clap::Subcommand)]
pub(crate) enum PolicyCommand {
    /// Say everything that keeps a bundle from being activated, one line each.
    Check {
        /// The directory with `bundle.toml` and Cedar files.
        dir: PathBuf,
    },
    /// Run a bundle's golden cases, and name the rules that no case needs.
    Test {
        /// The directory with `bundle.toml` and Cedar files.
        dir: PathBuf,
    },
    /// Say what a bundle would have done to recorded traffic. Changes nothing.
    Simulate {
        #[command(flatten)]
        config: crate::ConfigFile,
        /// The directory with `bundle.toml` and Cedar files.
        dir: PathBuf,
        /// How many days back.
        #[arg(long, default_value_t = USUAL_DAYS)]
        days: u32,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say what differs between two bundles, or between a bundle and the active one.
    Diff {
        #[command(flatten)]
        config: crate::ConfigFile,
        /// The directory of the one.
        dir: PathBuf,
        /// The directory of the other; the active bundle if there is none.
        other: Option<PathBuf>,
    },
    /// Propose a bundle: simulate it and submit it to a second person.
    Apply {
        /// The directory with `bundle.toml` and Cedar files.
        dir: PathBuf,
        /// The control plane.
        #[arg(long, default_value = "http://127.0.0.1:8081")]
        url: String,
        /// A file that holds an access token of a policy author.
        #[arg(long)]
        token_file: PathBuf,
        /// What it is for.
        #[arg(long)]
        title: String,
    },
    /// Write a stored bundle into a directory.
    Export {
        #[command(flatten)]
        config: crate::ConfigFile,
        /// The directory.
        dir: PathBuf,
        /// The bundle's digest; the active one if there is none.
        #[arg(long)]
        digest: Option<Digest>,
    },
    /// List the packs that a bundle can take in, with `packs = ["gdpr"]` in its `bundle.toml`.
    Packs,
    /// Put a bundle in force on this machine, past every second person. It is recorded as such.
    Force {
        #[command(flatten)]
        config: crate::ConfigFile,
        /// The directory with `bundle.toml` and Cedar files.
        dir: PathBuf,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

impl PolicyCommand {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Check { dir } => {
                let document = Bundle::from_dir(&dir)?.document();
                let engine = valid(check(&document))?;
                say(&format!("{} rules, {}", engine.rules().len(), document.digest))
            }
            Self::Test { dir } => test(&dir),
            Self::Simulate { config, dir, days, json } => {
                simulate(&Config::load(config.config.as_deref())?, &dir, days, json)
            }
            Self::Diff { config, dir, other } => {
                let one = Bundle::from_dir(&dir)?;
                let other = match other {
                    Some(dir) => Bundle::from_dir(&dir)?,
                    None => {
                        let config = Config::load(config.config.as_deref())?;
                        Bundle::parse(&stored(&config, None)?)?
                    }
                };
                diff(&other, &one)
            }
            Self::Apply { dir, url, token_file, title } => apply(&dir, &url, &token_file, &title),
            Self::Export { config, dir, digest } => {
                let config = Config::load(config.config.as_deref())?;
                let document = stored(&config, digest)?;
                Bundle::parse(&document)?.write_dir(&dir)?;
                say(&format!("{} in {}", document.digest, dir.display()))
            }
            Self::Packs => {
                for pack in Pack::ALL {
                    say(&format!("{:<10} {}", pack.name, pack.title))?;
                }
                Ok(())
            }
            Self::Force { config, dir, reason } => {
                ensure!(!reason.trim().is_empty(), "`--reason` must say why");
                let config = Config::load(config.config.as_deref())?;
                let document = Bundle::from_dir(&dir)?.document();
                valid(check(&document))?;
                let store = super::store(&config)?;
                let digest = document.digest.to_string();
                let details = BTreeMap::from([("reason".to_owned(), reason)]);
                operator_log::record(&config, "policy.force", &digest, None, details)?;
                let now = SystemClock::default().now();
                let sign = super::activation_signer(&config)?.of(document.digest, "operator", now);
                let version = store.write(|c| {
                    reeve_store::policy::insert_bundle(c, &document, "operator", now)?;
                    reeve_store::policy::activate(c, &document.digest, "operator", None, now, &sign)
                })?;
                say(&format!("version {version} is in force: {digest}"))
            }
        }
    }
}

/// The engine of a bundle that may be activated; warnings are said.
fn valid(checked: Checked) -> anyhow::Result<Engine> {
    for fault in &checked.faults {
        say(&fault.to_string())?;
    }
    for failure in &checked.failures {
        let differences = failure.differences.join("; ");
        say(&format!("cases/{}: {}: {differences}", failure.file, failure.case))?;
    }
    let may = checked.may_be_activated();
    checked.engine.filter(|_| may).context("the bundle cannot be activated")
}

fn test(dir: &Path) -> anyhow::Result<()> {
    let bundle = Bundle::from_dir(dir)?;
    let engine = valid(check(&bundle.document()))?;
    let cases: usize = bundle.cases.values().map(Vec::len).sum();
    // What packs bring along has cases of its own.
    let unproven: BTreeSet<_> = reeve_policy::cases::unproven(&bundle, &[])?
        .into_iter()
        .filter(|id| engine.rule(id).is_some_and(|rule| !rule.file.starts_with("packs/")))
        .collect();
    for rule in &unproven {
        say(&format!("no case needs `{rule}`"))?;
    }
    say(&format!("{cases} cases hold; {} rules without one", unproven.len()))
}

fn stored(config: &Config, digest: Option<Digest>) -> anyhow::Result<BundleDocument> {
    let store = super::store(config)?;
    let found = store.read(|c| match digest {
        Some(digest) => reeve_store::policy::bundle(c, &digest),
        None => Ok(reeve_store::policy::active(c)?
            .map(|active| BundleDocument { digest: active.digest, document: active.document })),
    })?;
    found.context("there is no such bundle")
}

fn simulate(config: &Config, dir: &Path, days: u32, as_json: bool) -> anyhow::Result<()> {
    let document = Bundle::from_dir(dir)?.document();
    // What golden cases or law object to can be simulated all the same.
    Engine::compile(&document)?;
    let store = super::store(config)?;
    let until = SystemClock::default().now();
    let back = i64::from(days).saturating_mul(24 * 60 * 60 * 1_000_000);
    let from = Timestamp::from_micros(until.as_micros().saturating_sub(back));
    let impact = reeve_worker::simulate(&store, &document, from, until, &mut |_, _| Ok(()))?;
    if as_json {
        return say(&serde_json::to_string_pretty(&impact)?);
    }
    tell(&impact)
}

fn tell(impact: &Impact) -> anyhow::Result<()> {
    say(&format!(
        "{} calls replayed; {} of {} reproduced by the bundles that had decided them",
        impact.replayed, impact.reproduced, impact.checked
    ))?;
    for (why, calls) in &impact.not_replayed {
        say(&format!("not replayed: {calls} ({why})"))?;
    }
    if impact.not_searched > 0 {
        let kinds: Vec<_> = impact.kinds_not_sought.iter().map(ToString::to_string).collect();
        say(&format!("{} not searched for {}", impact.not_searched, kinds.join(", ")))?;
    }
    for (tenant, rules) in &impact.by_tenant_and_rule {
        for (rule, flips) in rules {
            for (flip, calls) in flips {
                say(&format!("{}: {calls} of {tenant} by `{rule}`", flip.as_str()))?;
            }
        }
    }
    if impact.limits.limited > 0 {
        say(&format!("limited: {}", impact.limits.limited))?;
    }
    if impact.flips.is_empty() {
        say("no call would be decided otherwise")?;
    }
    Ok(())
}

fn diff(before: &Bundle, after: &Bundle) -> anyhow::Result<()> {
    let (before, after) = (before.files(), after.files());
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut differs = false;
    for name in names {
        let text = |files: &BTreeMap<String, String>| files.get(name).cloned().unwrap_or_default();
        let (old, new) = (text(&before), text(&after));
        if old == new {
            continue;
        }
        differs = true;
        let changes = similar::TextDiff::from_lines(&old, &new);
        let (a, b) = (format!("a/{name}"), format!("b/{name}"));
        say(changes.unified_diff().header(&a, &b).to_string().trim_end())?;
    }
    if !differs {
        say("the same")?;
    }
    Ok(())
}

fn apply(dir: &Path, url: &str, token_file: &Path, title: &str) -> anyhow::Result<()> {
    let bundle = Bundle::from_dir(dir)?;
    valid(check(&bundle.document()))?;
    let api = Api::open(url, token_file)?;
    let changes = "/api/v1/policy/changes";
    let body = json!({ "title": title, "files": bundle.files() });
    let change = api.post(changes, &body)?;
    let id = text(&change, "id");
    let queued = api.post(&format!("{changes}/{id}/simulations"), &json!({}))?;
    let path = format!("/api/v1/policy/simulations/{}", text(&queued, "id"));
    let made = loop {
        let now = api.get(&path)?;
        match text(&now, "state").as_str() {
            "done" => break now,
            "failed" => bail!("the simulation failed: {}", text(&now, "failure")),
            _ => std::thread::sleep(ASK_AGAIN),
        }
    };
    let report = made.get("report").cloned().unwrap_or_default();
    tell(&serde_json::from_value::<Impact>(report)?)?;
    let edition = change.get("edition").cloned().unwrap_or_default();
    let submit = json!({ "edition": edition, "action": "submit", "comment": "" });
    api.post(&format!("{changes}/{id}/actions"), &submit)?;
    say(&format!("{id} waits for a second person: {url}/changes/{id}"))
}
