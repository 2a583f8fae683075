use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use reeve_domain::{Clock, Origin, Record};
use reeve_ledger::{Finding, FindingKind, Reader, expired, seen_by_witness, verify_witnessed};
use reeve_store::{Store, StoreError, log};

/// What is compared with what.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// Where this installation's witness keeps what it has seen.
    pub witness: PathBuf,
    /// The control plane's log, which says what was deleted of the others.
    pub control: PathBuf,
}

/// Verifies every registered log and keeps what was found. Blocks for as long as reading the logs
/// takes.
pub(crate) fn verify_all(
    store: &Store,
    clock: &dyn Clock,
    evidence: &Evidence,
) -> Result<(), StoreError> {
    for log in store.read(log::list)? {
        if Path::new(&log.dir).exists() {
            verify_log(store, clock, &log, evidence)?;
        }
    }
    Ok(())
}

fn verify_log(
    store: &Store,
    clock: &dyn Clock,
    log: &log::Log,
    evidence: &Evidence,
) -> Result<(), StoreError> {
    let (origin, dir) = (&log.origin, Path::new(&log.dir));
    // The registered key and not the one beside the log, which whoever replaces a log replaces too.
    let key = log.vkey.parse().ok();
    let seen = seen_by_witness(&evidence.witness, origin);
    let report = verify_witnessed(dir, key.as_ref(), seen.as_slice());
    let mut findings = report.findings;
    if !report.expired.is_empty() {
        findings.extend(unaccounted(dir, origin, &evidence.control));
    }
    if !findings.is_empty() {
        tracing::error!(%origin, findings = findings.len(), "a log does not verify");
    }
    let findings = serde_json::to_string(&findings)
        .map_err(|why| StoreError::Conflict(format!("findings cannot be written: {why}")))?;
    store.write(|c| log::set_verified(c, origin, clock.now(), report.size, &findings))
}

/// Entries that are missing from a log although no record in `control`, the control plane's log,
/// says that they were to be deleted.
pub fn unaccounted(dir: &Path, origin: &Origin, control: &Path) -> Vec<Finding> {
    let find = |file: String, index, detail: String| Finding {
        kind: FindingKind::Deletion,
        file,
        index,
        detail,
    };
    let missing = match expired(dir, origin) {
        Ok(missing) => missing,
        Err(fault) => return vec![find("segments".to_owned(), None, fault.to_string())],
    };
    let recorded = match deletions(control, origin) {
        Ok(recorded) => recorded,
        Err(why) => {
            let detail = format!("entries are missing, and the records of deletions: {why}");
            return vec![find("segments".to_owned(), None, detail)];
        }
    };
    missing
        .into_iter()
        .filter(|(segment, _, digest)| {
            recorded.get(segment).is_none_or(|recorded| !recorded.contains(&digest.to_string()))
        })
        .map(|(segment, gone, _)| {
            let count = gone.len();
            let detail = format!("{count} entries are missing that no record of a deletion covers");
            find(format!("segments/{segment:020}.log"), gone.first().copied(), detail)
        })
        .collect()
}

/// The digests that records of deletions give for each segment of a log.
fn deletions(control: &Path, origin: &Origin) -> Result<BTreeMap<u64, Vec<String>>, String> {
    let reader = Reader::open(control).map_err(|fault| fault.to_string())?;
    let mut digests: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for entry in reader.entries(0) {
        let (_, entry) = entry.map_err(|fault| fault.to_string())?;
        let Ok(Record::Control(event)) = serde_json::from_slice(&entry) else { continue };
        if event.action != "retention.delete" || event.target != origin.as_str() {
            continue;
        }
        let segment = event.details.get("segment").and_then(|segment| segment.parse().ok());
        if let (Some(segment), Some(digest)) = (segment, event.details.get("digest")) {
            digests.entry(segment).or_default().push(digest.clone());
        }
    }
    Ok(digests)
}
