//! Evidence bundles: one archive (ZIP) of receipts and files that can be checked without the
//! platform that made it.
//!
//! ```text
//! manifest.json              what the bundle is about, and the SHA-256 of every other file
//! logs/<origin>/log.pub      the log's public key as the maker knew it
//! logs/<origin>/checkpoint   the signed checkpoint that all receipts below lead to
//! logs/<origin>/receipts.jsonl  one receipt a line, each with its entry and proof
//! …                          any other files
//! ```

use std::{
    collections::BTreeMap,
    io::{self, BufRead as _, BufReader, Read as _, Seek, Write},
};

use reeve_domain::Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zip::{ZipArchive, ZipWriter, write::SimpleFileOptions};

use crate::{
    note::{Checkpoint, VerifierKey},
    receipt::{ReceiptProof, verify_receipt},
};

/// What stands in `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// `reeve-evidence 1`.
    pub format: String,
    /// What the bundle is about, in the words of whoever made it.
    pub about: BTreeMap<String, String>,
    /// How many receipts there are of each log.
    pub receipts: BTreeMap<String, u64>,
    /// The SHA-256 of each other file.
    pub files: BTreeMap<String, Digest>,
}

const FORMAT: &str = "reeve-evidence 1";

/// A bundle cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BundleFailed {
    /// The archive cannot be read or written.
    #[error("the archive cannot be read or written: {0}")]
    Archive(#[from] zip::result::ZipError),
    /// The same for what is in it.
    #[error("the archive cannot be read or written: {0}")]
    Io(#[from] io::Error),
    /// JSON that cannot be written.
    #[error("a file of the bundle cannot be written: {0}")]
    Json(#[from] serde_json::Error),
    /// It is no evidence bundle.
    #[error("not an evidence bundle: {0}")]
    Format(String),
}

/// Writes a bundle.
pub struct BundleWriter<W: Write + Seek> {
    zip: ZipWriter<W>,
    manifest: Manifest,
}

impl<W: Write + Seek> BundleWriter<W> {
    /// Begins a bundle that is about `about`.
    pub fn new(out: W, about: BTreeMap<String, String>) -> Self {
        let manifest = Manifest {
            format: FORMAT.to_owned(),
            about,
            receipts: BTreeMap::new(),
            files: BTreeMap::new(),
        };
        Self { zip: ZipWriter::new(out), manifest }
    }

    /// Adds a file.
    pub fn file(&mut self, name: &str, bytes: &[u8]) -> Result<(), BundleFailed> {
        self.zip.start_file(name, SimpleFileOptions::default())?;
        self.zip.write_all(bytes)?;
        self.manifest.files.insert(name.to_owned(), Digest::of(bytes));
        Ok(())
    }

    /// Adds the receipts of one log; all of them must be under `checkpoint`.
    pub fn receipts(
        &mut self,
        key: &VerifierKey,
        checkpoint: &str,
        receipts: impl Iterator<Item = Result<ReceiptProof, crate::ReadFailed>>,
    ) -> Result<u64, BundleFailed> {
        let log = format!("logs/{}", key.origin());
        self.file(&format!("{log}/log.pub"), format!("{key}\n").as_bytes())?;
        self.file(&format!("{log}/checkpoint"), checkpoint.as_bytes())?;
        let name = format!("{log}/receipts.jsonl");
        self.zip.start_file(&name, SimpleFileOptions::default().large_file(true))?;
        let (mut hash, mut count) = (Sha256::new(), 0_u64);
        for receipt in receipts {
            let receipt = receipt.map_err(|failed| io::Error::other(failed.to_string()))?;
            let mut line = serde_json::to_vec(&receipt)?;
            line.push(b'\n');
            self.zip.write_all(&line)?;
            hash.update(&line);
            count = count.saturating_add(1);
        }
        self.manifest.files.insert(name, Digest::from_bytes(hash.finalize().into()));
        self.manifest.receipts.insert(key.origin().to_string(), count);
        Ok(count)
    }

    /// Writes the manifest and the archive's end.
    pub fn finish(mut self) -> Result<(W, Manifest), BundleFailed> {
        let text = serde_json::to_vec_pretty(&self.manifest)?;
        self.zip.start_file("manifest.json", SimpleFileOptions::default())?;
        self.zip.write_all(&text)?;
        Ok((self.zip.finish()?, self.manifest))
    }
}

/// What checking a bundle found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BundleReport {
    /// What the bundle is about.
    pub about: BTreeMap<String, String>,
    /// Receipts that hold, for each log.
    pub receipts: BTreeMap<String, u64>,
    /// Files whose digests hold.
    pub files: u64,
    /// What is wrong, with the place; nothing if empty.
    pub findings: Vec<String>,
}

impl BundleReport {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Checks a bundle: every file against the manifest, every receipt against its log's key. Keys that
/// are not given are taken from the bundle, which proves only that it is of one piece; the report
/// says so.
pub fn verify_bundle<R: io::Read + Seek>(
    bundle: R,
    keys: &[VerifierKey],
) -> Result<BundleReport, BundleFailed> {
    let mut zip = ZipArchive::new(bundle)?;
    let mut text = Vec::new();
    zip.by_name("manifest.json")
        .map_err(|_| BundleFailed::Format("it has no `manifest.json`".to_owned()))?
        .read_to_end(&mut text)?;
    let manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|fault| BundleFailed::Format(format!("`manifest.json`: {fault}")))?;
    if manifest.format != FORMAT {
        return Err(BundleFailed::Format(format!("its format is `{}`", manifest.format)));
    }
    let mut report = BundleReport {
        about: manifest.about,
        receipts: BTreeMap::new(),
        files: 0,
        findings: Vec::new(),
    };
    let there: Vec<String> = zip
        .file_names()
        .map(|name| name.map(|name| name.into_owned()))
        .collect::<Result<_, _>>()?;
    for name in there.iter().filter(|name| *name != "manifest.json") {
        if !manifest.files.contains_key(name) {
            report.findings.push(format!("insertion: `{name}` is not in the manifest"));
        }
    }
    for (name, digest) in &manifest.files {
        let Ok(mut file) = zip.by_name(name) else {
            report.findings.push(format!("deletion: `{name}` is missing"));
            continue;
        };
        let mut hash = Sha256::new();
        if let Err(fault) = io::copy(&mut file, &mut hash) {
            report.findings.push(format!("edit: `{name}` cannot be read: {fault}"));
            continue;
        }
        if Digest::from_bytes(hash.finalize().into()) == *digest {
            report.files = report.files.saturating_add(1);
        } else {
            report.findings.push(format!("edit: `{name}` is not the file of the manifest"));
        }
    }
    for (origin, count) in &manifest.receipts {
        let held = check_log(&mut zip, origin, keys, &mut report.findings)?;
        if held != *count {
            let finding = format!("deletion: {held} of {count} receipts of `{origin}` hold");
            report.findings.push(finding);
        }
        report.receipts.insert(origin.clone(), held);
    }
    Ok(report)
}

fn check_log<R: io::Read + Seek>(
    zip: &mut ZipArchive<R>,
    origin: &str,
    keys: &[VerifierKey],
    findings: &mut Vec<String>,
) -> Result<u64, BundleFailed> {
    let mut read = |name: &str| -> Option<String> {
        let mut text = String::new();
        zip.by_name(&format!("logs/{origin}/{name}")).ok()?.read_to_string(&mut text).ok()?;
        Some(text)
    };
    let inside = read("log.pub").and_then(|text| text.trim().parse::<VerifierKey>().ok());
    let given = keys.iter().find(|key| key.origin().as_str() == origin).cloned();
    if let (Some(given), Some(inside)) = (&given, &inside)
        && given != inside
    {
        findings.push(format!("wrong-key: the bundle says {inside} for `{origin}`, not {given}"));
    }
    let Some(key) = given.or(inside) else {
        findings.push(format!("deletion: there is no key for `{origin}`"));
        return Ok(0);
    };
    let checkpoint = read("checkpoint").unwrap_or_default();
    if let Err(refused) = Checkpoint::open(&checkpoint, &key) {
        findings.push(format!("wrong-key: `logs/{origin}/checkpoint`: {refused}"));
        return Ok(0);
    }
    let name = format!("logs/{origin}/receipts.jsonl");
    let Ok(file) = zip.by_name(&name) else { return Ok(0) };
    let mut held = 0_u64;
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let at = number.saturating_add(1);
        let Ok(line) = line else {
            findings.push(format!("edit: `{name}` line {at} cannot be read"));
            break;
        };
        let wrong = match serde_json::from_str::<ReceiptProof>(&line) {
            Err(fault) => Some(format!("is no receipt: {fault}")),
            Ok(receipt) if receipt.checkpoint != checkpoint => {
                Some("is under another checkpoint".to_owned())
            }
            Ok(receipt) => {
                let refused = verify_receipt(&receipt, &key).err();
                refused.map(|refused| format!("entry {}: {refused}", receipt.index))
            }
        };
        match wrong {
            None => held = held.saturating_add(1),
            Some(wrong) => findings.push(format!("edit: `{name}` line {at}: {wrong}")),
        }
    }
    Ok(held)
}
