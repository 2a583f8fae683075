use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use reeve_config::Config;
use reeve_domain::{Origin, Record};
use reeve_ledger::{
    Checkpoint, Payload, Reader, ReceiptProof, Report, VerifierKey, WitnessKey, read_payload,
    verify_bundle, verify_range, verify_receipt, verify_witnessed,
};
use reeve_worker::{Indexer, Shipper};

use super::{complain, say};

/// Check logs and receipts offline, with public keys alone.
#[derive(clap::Subcommand)]
pub(crate) enum LedgerCommand {
    /// Check a whole log, or one receipt. Exit status 0: all holds; 1: something was found; 2: it
    /// could not be checked.
    Verify(Verify),
    /// Make the index of the logs, which the console searches, anew from nothing.
    Index(Index),
    /// Open a payload that was kept sealed, and print it.
    Payload(OpenPayload),
    /// Publish the logs once, as the worker does with `worker.publish`.
    Publish(Publish),
}

#[derive(clap::Args)]
pub(crate) struct Verify {
    /// The log's directory.
    #[arg(long, required_unless_present_any = ["key", "bundle"])]
    log: Option<PathBuf>,
    /// The log's public key: a file, or the key itself (`name+hash+key`). Without it the key beside
    /// the log counts, which proves only that the log is of one piece.
    #[arg(long)]
    key: Option<String>,
    /// A receipt to check instead of the whole log.
    #[arg(long)]
    receipt: Option<PathBuf>,
    /// An evidence bundle to check instead of the whole log.
    #[arg(long, conflicts_with_all = ["receipt", "log"])]
    bundle: Option<PathBuf>,
    /// Check only the entries from this one on, with the tiles of hashes for the rest.
    #[arg(long, requires = "log", conflicts_with = "receipt")]
    from: Option<u64>,
    /// Up to but not including this one; without it up to the end.
    #[arg(long, requires = "log", conflicts_with = "receipt")]
    until: Option<u64>,
    /// A witness's public key: a receipt must bear its cosignature.
    #[arg(long, requires = "receipt")]
    witness: Vec<WitnessKey>,
    /// A checkpoint of the log that somebody else has kept, such as the one in a receipt or in an
    /// object store: the log must still have it in its history.
    #[arg(long, requires = "log")]
    seen: Vec<PathBuf>,
    /// The control plane's log: entries that were deleted must be accounted for in it.
    #[arg(long, requires = "log")]
    deletions: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl LedgerCommand {
    pub(crate) fn run(self) -> ExitCode {
        let done = match self {
            Self::Verify(command) => command.run(),
            Self::Index(command) => command.run().map(|()| true),
            Self::Payload(command) => command.run().map(|()| true),
            Self::Publish(command) => command.run().map(|()| true),
        };
        match done {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::from(1),
            Err(fault) => {
                complain(&format!("{fault:#}"));
                ExitCode::from(2)
            }
        }
    }
}

impl Verify {
    fn run(self) -> anyhow::Result<bool> {
        let keys: Vec<VerifierKey> =
            self.key.iter().map(|key| read_key(key)).collect::<anyhow::Result<_>>()?;
        if let Some(bundle) = &self.bundle {
            return check_bundle(bundle, &keys, self.json);
        }
        anyhow::ensure!(keys.len() < 2, "several keys are only for a bundle");
        let key = keys.into_iter().next();
        match (&self.receipt, &self.log) {
            (Some(file), log) => {
                let key = match (key, log) {
                    (Some(key), _) => key,
                    (None, Some(log)) => read_key(&log.join("log.pub").display().to_string())?,
                    (None, None) => anyhow::bail!("a receipt needs `--key` or `--log`"),
                };
                check_receipt(file, &key, &self.witness, self.json)
            }
            (None, Some(log)) => {
                anyhow::ensure!(log.is_dir(), "there is no log in `{}`", log.display());
                let report = self.report(log, key.as_ref())?;
                show(&report, self.json)
            }
            (None, None) => anyhow::bail!(
                "name a log with `--log`, a receipt with `--receipt` or a bundle with `--bundle`"
            ),
        }
    }

    fn report(&self, log: &Path, key: Option<&VerifierKey>) -> anyhow::Result<Report> {
        if self.from.is_some() || self.until.is_some() {
            let end = || Reader::open(log).map(|reader| reader.size());
            let until = self.until.map_or_else(end, Ok)?;
            return Ok(verify_range(log, key, self.from.unwrap_or(0), until));
        }
        let beside = || read_key(&log.join("log.pub").display().to_string());
        let mut seen = Vec::with_capacity(self.seen.len());
        for file in &self.seen {
            let text = fs::read_to_string(file).with_context(|| format!("`{}`", file.display()))?;
            let key = key.map_or_else(beside, |key| Ok(key.clone()))?;
            let checkpoint =
                Checkpoint::open(&text, &key).with_context(|| format!("`{}`", file.display()))?;
            seen.push(checkpoint);
        }
        let mut report = verify_witnessed(log, key, &seen);
        if let Some(control) = &self.deletions {
            let origin = Origin::new(&report.origin)?;
            report.findings.extend(reeve_worker::unaccounted(log, &origin, control));
        }
        Ok(report)
    }
}

fn read_key(given: &str) -> anyhow::Result<VerifierKey> {
    let text = if Path::new(given).is_file() {
        fs::read_to_string(given).with_context(|| format!("`{given}`"))?
    } else {
        given.to_owned()
    };
    text.trim().parse().with_context(|| format!("`{given}` is not a log's public key"))
}

fn show(report: &Report, json: bool) -> anyhow::Result<bool> {
    if json {
        say(&serde_json::to_string_pretty(report)?)?;
        return Ok(report.is_clean());
    }
    for finding in &report.findings {
        let kind = serde_json::to_value(finding.kind)?;
        let at = finding.index.map(|index| format!(" at entry {index}")).unwrap_or_default();
        let kind = kind.as_str().unwrap_or_default();
        say(&format!("{kind}: {}{at}: {}", finding.file, finding.detail))?;
    }
    let size = report.size;
    let expired: u64 = report.expired.iter().map(|(first, last)| last - first + 1).sum();
    if expired > 0 {
        say(&format!("{expired} entries were deleted; their hashes hold"))?;
    }
    if report.payloads > 0 || report.destroyed > 0 {
        let (kept, gone) = (report.payloads, report.destroyed);
        say(&format!("{kept} payloads are kept, {gone} were destroyed"))?;
    }
    if report.is_clean() {
        say(&format!("{}: {size} entries hold, root {}", report.origin, report.root))?;
    } else {
        say(&format!("{} findings; {size} entries are covered", report.findings.len()))?;
    }
    Ok(report.is_clean())
}

fn check_bundle(file: &Path, keys: &[VerifierKey], json: bool) -> anyhow::Result<bool> {
    let archive = fs::File::open(file).with_context(|| format!("`{}`", file.display()))?;
    let report = verify_bundle(archive, keys)?;
    if json {
        say(&serde_json::to_string_pretty(&report)?)?;
        return Ok(report.is_clean());
    }
    for finding in &report.findings {
        say(finding)?;
    }
    for (name, value) in &report.about {
        say(&format!("{name}: {value}"))?;
    }
    for (origin, count) in &report.receipts {
        let known = keys.iter().any(|key| key.origin().as_str() == origin);
        let by = if known { "the key that was given" } else { "the key in the bundle only" };
        say(&format!("{origin}: {count} records hold under {by}"))?;
    }
    match report.findings.len() {
        0 => say(&format!("{} files hold", report.files))?,
        count => say(&format!("{count} findings"))?,
    }
    Ok(report.is_clean())
}

fn check_receipt(
    file: &Path,
    key: &VerifierKey,
    witnesses: &[WitnessKey],
    json: bool,
) -> anyhow::Result<bool> {
    let text = fs::read_to_string(file).with_context(|| format!("`{}`", file.display()))?;
    let receipts: Vec<ReceiptProof> = match serde_json::from_str(&text) {
        Ok(one) => vec![one],
        Err(_) => {
            // The gateway's answer holds all receipts of a call.
            #[derive(serde::Deserialize)]
            struct All {
                receipts: Vec<ReceiptProof>,
            }
            let all: All = serde_json::from_str(&text)
                .with_context(|| format!("`{}` is not a receipt", file.display()))?;
            all.receipts
        }
    };
    anyhow::ensure!(!receipts.is_empty(), "`{}` holds no receipt", file.display());
    let mut all_hold = true;
    for receipt in &receipts {
        let mut finding = verify_receipt(receipt, key).err().map(|refused| refused.to_string());
        for witness in witnesses {
            let refused = witness.cosigned(&receipt.checkpoint).err();
            finding = finding.or(refused.map(|refused| format!("{}: {refused}", witness.name())));
        }
        all_hold &= finding.is_none();
        if json {
            let holds = finding.is_none();
            say(
                &serde_json::json!({ "index": receipt.index, "holds": holds, "finding": finding })
                    .to_string(),
            )?;
        } else {
            let words = finding.unwrap_or_else(|| "holds".to_owned());
            say(&format!("{} entry {}: {words}", receipt.origin, receipt.index))?;
        }
    }
    Ok(all_hold)
}

/// Make the index anew.
#[derive(clap::Args)]
pub(crate) struct Index {
    #[command(flatten)]
    config: crate::ConfigFile,
    /// Take out what was indexed first; without it only what is new is indexed.
    #[arg(long)]
    rebuild: bool,
}

impl Index {
    fn run(self) -> anyhow::Result<()> {
        let config = Config::load(self.config.config.as_deref())?;
        let store = super::store(&config)?;
        store.migrate()?;
        let indexer = Indexer::new(store, super::serve::directories(&config));
        let count = if self.rebuild { indexer.rebuild()? } else { indexer.run_once()? };
        say(&format!("{count} leaves were indexed"))
    }
}

/// Open a sealed payload.
#[derive(clap::Args)]
pub(crate) struct OpenPayload {
    #[command(flatten)]
    config: crate::ConfigFile,
    /// The log's name.
    #[arg(long)]
    origin: Origin,
    /// The entry whose payload it is.
    #[arg(long)]
    index: u64,
}

impl OpenPayload {
    fn run(self) -> anyhow::Result<()> {
        let config = Config::load(self.config.config.as_deref())?;
        let (origin, dir) = super::serve::directories(&config)
            .into_iter()
            .find(|(origin, _)| *origin == self.origin)
            .with_context(|| format!("there is no log `{}` here", self.origin))?;
        let reader = Reader::open(&dir)?;
        let entry = reader.entries(self.index).next().transpose()?;
        let (_, entry) = entry
            .filter(|(index, _)| *index == self.index)
            .with_context(|| format!("there is no entry {}", self.index))?;
        let (tenant, context) = match serde_json::from_slice(&entry)? {
            Record::Intent(intent) => {
                (intent.caller.tenant, format!("{} input", intent.decision_id))
            }
            Record::Outcome(outcome) => (outcome.tenant, format!("{} output", outcome.decision_id)),
            _ => anyhow::bail!("entry {} is not of a kind that has a payload", self.index),
        };
        let payload = match read_payload(&dir, &origin, self.index)? {
            Some(Payload::Kept(payload)) => payload,
            Some(Payload::Destroyed) => anyhow::bail!("the payload was destroyed"),
            Some(Payload::Damaged) => anyhow::bail!("the payload is damaged"),
            None => anyhow::bail!("entry {} has no payload", self.index),
        };
        // Whoever opens what was sealed is on record first.
        let target = format!("{origin}/{}", self.index);
        super::operator_log::record(
            &config,
            "payload.open",
            &target,
            Some(tenant.clone()),
            std::collections::BTreeMap::new(),
        )?;
        let text = super::keyring(&config, &dir)?.open(&tenant, &context, &payload)?;
        say(&String::from_utf8_lossy(&text))
    }
}

/// Publish the logs.
#[derive(clap::Args)]
pub(crate) struct Publish {
    #[command(flatten)]
    config: crate::ConfigFile,
    /// Where to: a directory, or `s3://BUCKET/PREFIX`; without it `worker.publish`.
    #[arg(long)]
    to: Option<String>,
}

impl Publish {
    fn run(self) -> anyhow::Result<()> {
        let config = Config::load(self.config.config.as_deref())?;
        let mut shipper = Shipper::new(self.to.as_deref().unwrap_or(&config.worker.publish))?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        for (origin, dir) in super::serve::directories(&config) {
            if dir.is_dir() {
                let key = read_key(&dir.join("log.pub").display().to_string())?;
                let size = runtime.block_on(shipper.ship(&origin, &dir, &key))?;
                say(&format!("{origin}: {size} entries are published"))?;
            }
        }
        Ok(())
    }
}
