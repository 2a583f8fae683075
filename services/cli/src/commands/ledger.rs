use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use reeve_ledger::{ReceiptProof, VerifierKey, verify, verify_receipt};

use super::{complain, say};

/// Check logs and receipts offline, with public keys alone.
#[derive(clap::Subcommand)]
pub(crate) enum LedgerCommand {
    /// Check a whole log, or one receipt. Exit status 0: all holds; 1: something was found; 2: it
    /// could not be checked.
    Verify(Verify),
}

#[derive(clap::Args)]
pub(crate) struct Verify {
    /// The log's directory.
    #[arg(long, required_unless_present = "key")]
    log: Option<PathBuf>,
    /// The log's public key: a file, or the key itself (`name+hash+key`). Without it the key beside
    /// the log counts, which proves only that the log is of one piece.
    #[arg(long)]
    key: Option<String>,
    /// A receipt to check instead of the whole log.
    #[arg(long)]
    receipt: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl LedgerCommand {
    pub(crate) fn run(self) -> ExitCode {
        let Self::Verify(command) = self;
        match command.run() {
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
        let key = self.key.as_deref().map(read_key).transpose()?;
        match (&self.receipt, &self.log) {
            (Some(file), log) => {
                let key = match (key, log) {
                    (Some(key), _) => key,
                    (None, Some(log)) => read_key(&log.join("log.pub").display().to_string())?,
                    (None, None) => anyhow::bail!("a receipt needs `--key` or `--log`"),
                };
                check_receipt(file, &key, self.json)
            }
            (None, Some(log)) => {
                anyhow::ensure!(log.is_dir(), "there is no log in `{}`", log.display());
                check_log(log, key.as_ref(), self.json)
            }
            (None, None) => anyhow::bail!("name a log with `--log`, or a receipt with `--receipt`"),
        }
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

fn check_log(log: &Path, key: Option<&VerifierKey>, json: bool) -> anyhow::Result<bool> {
    let report = verify(log, key);
    if json {
        say(&serde_json::to_string_pretty(&report)?)?;
        return Ok(report.is_clean());
    }
    for finding in &report.findings {
        let kind = serde_json::to_value(finding.kind)?;
        let at = finding.index.map(|index| format!(" at entry {index}")).unwrap_or_default();
        let kind = kind.as_str().unwrap_or_default();
        say(&format!("{kind}: {}{at}: {}", finding.file, finding.detail))?;
    }
    let size = report.size;
    if report.is_clean() {
        say(&format!("{}: {size} entries hold, root {}", report.origin, report.root))?;
    } else {
        say(&format!("{} findings; {size} entries are covered", report.findings.len()))?;
    }
    Ok(report.is_clean())
}

fn check_receipt(file: &Path, key: &VerifierKey, json: bool) -> anyhow::Result<bool> {
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
        let result = verify_receipt(receipt, key);
        all_hold &= result.is_ok();
        let finding = result.err().map(|refused| refused.to_string());
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
