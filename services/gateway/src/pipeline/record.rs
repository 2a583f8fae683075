use std::time::Duration;

use reeve_domain::{Code, Intent, Record};
use reeve_ledger::{AppendError, Receipt, SealedPayload};
use reeve_privacy::CleanText;

use super::{
    redact::Clean,
    refuse::Refused,
    seal::{Part, seal},
};
use crate::Gate;

/// A call whose intent is durable. Only this can be forwarded, and only [`record`] makes it.
pub struct Recorded {
    pub(super) clean: Box<Clean>,
    pub(super) receipt: Receipt,
    pub(super) decided: Duration,
    pub(super) recorded: Duration,
}

/// Writes the intent: who, what, why permitted, what was redacted. Without it the call ends here.
#[tracing::instrument(level = "debug", name = "record", skip_all)]
pub async fn record(gate: &Gate, clean: Box<Clean>) -> Result<Recorded, Box<Refused>> {
    let decided = gate.clock.monotonic();
    let parts: Vec<&[u8]> = clean.texts.iter().map(|text| text.as_str().as_bytes()).collect();
    let head = &clean.from.head;
    let unavailable = |error: &dyn std::fmt::Display| {
        let mut refused = clean.from.refused(Code::AuditUnavailable);
        refused.recorded = true;
        tracing::error!(%error, "a call's intent could not be recorded");
        refused
    };
    let texts: Vec<&str> = clean.texts.iter().map(CleanText::as_str).collect();
    let sealed = seal(gate, &clean, Part::Input, || serde_json::json!({ "texts": texts }))
        .await
        .map_err(|unsealed| unavailable(&unsealed))?;
    let intent = Record::Intent(Box::new(Intent {
        decision_id: head.id,
        at: head.at,
        caller: clean.from.caller.clone(),
        subject: head.subject.clone(),
        input: clean.input.clone(),
        decision: clean.decision.clone(),
        redactions: clean.redactions.clone(),
        payload: gate.pepper.payload(&parts),
        sealed: sealed.as_ref().map(SealedPayload::commitment),
        shadow: clean.shadow.clone(),
        routed: clean.routed.clone(),
        mirror: clean.mirror.as_ref().map(|mirror| mirror.version.facts.digest),
    }));
    match append_with(gate, &intent, sealed).await {
        Ok(receipt) => Ok(Recorded { clean, receipt, decided, recorded: gate.clock.monotonic() }),
        Err(failed) => Err(unavailable(&failed)),
    }
}

/// Appends one record to this gateway's log and waits until it is durable.
pub(crate) async fn append(gate: &Gate, record: &Record) -> Result<Receipt, AppendError> {
    append_with(gate, record, None).await
}

/// The same with the payload that the record commits to.
pub(super) async fn append_with(
    gate: &Gate,
    record: &Record,
    sealed: Option<SealedPayload>,
) -> Result<Receipt, AppendError> {
    let bytes = serde_json::to_vec(record).map_err(|_| AppendError::Unavailable)?;
    let begun = gate.clock.monotonic();
    let receipt = gate.ledger.append_with(bytes, sealed).await;
    reeve_telemetry::metrics::ledger_commit(gate.clock.monotonic().saturating_sub(begun));
    receipt
}
