use std::path::Path;

use reeve_domain::Clock;
use reeve_store::{Store, StoreError, log};

/// Verifies every registered log and keeps what was found. Blocks for as long as reading the logs
/// takes.
pub(crate) fn verify_all(store: &Store, clock: &dyn Clock) -> Result<(), StoreError> {
    for log in store.read(log::list)? {
        if Path::new(&log.dir).exists() {
            verify_log(store, clock, &log)?;
        }
    }
    Ok(())
}

fn verify_log(store: &Store, clock: &dyn Clock, log: &log::Log) -> Result<(), StoreError> {
    let origin = &log.origin;
    // The registered key and not the one beside the log, which whoever replaces a log replaces too.
    let key = log.vkey.parse().ok();
    let report = reeve_ledger::verify(Path::new(&log.dir), key.as_ref());
    let findings = &report.findings;
    if !findings.is_empty() {
        tracing::error!(%origin, findings = findings.len(), "a log does not verify");
    }
    let findings = serde_json::to_string(findings)
        .map_err(|why| StoreError::Conflict(format!("findings cannot be written: {why}")))?;
    store.write(|c| log::set_verified(c, origin, clock.now(), report.size, &findings))
}
