use std::time::Duration;

use reeve_domain::{Code, Intent, Record};
use reeve_ledger::{AppendError, Receipt};

use super::{redact::Clean, refuse::Refused};
use crate::Gate;

/// A call whose intent is durable. Only this can be forwarded, and only [`record`] makes it.
pub struct Recorded {
    pub(super) clean: Clean,
    pub(super) receipt: Receipt,
    pub(super) decided: Duration,
    pub(super) recorded: Duration,
}

/// Writes the intent: who, what, why permitted, what was redacted. Without it the call ends here.
#[tracing::instrument(name = "record", skip_all)]
pub async fn record(gate: &Gate, clean: Clean) -> Result<Recorded, Box<Refused>> {
    let decided = gate.clock.monotonic();
    let parts: Vec<&[u8]> = clean.texts.iter().map(|text| text.as_str().as_bytes()).collect();
    let head = &clean.from.head;
    let intent = Record::Intent(Box::new(Intent {
        decision_id: head.id,
        at: head.at,
        caller: clean.from.caller.clone(),
        subject: head.subject.clone(),
        input: clean.input.clone(),
        decision: clean.decision.clone(),
        redactions: clean.redactions.clone(),
        payload: gate.pepper.payload(&parts),
        shadow: clean.shadow.clone(),
    }));
    match append(gate, &intent).await {
        Ok(receipt) => Ok(Recorded { clean, receipt, decided, recorded: gate.clock.monotonic() }),
        Err(unavailable) => {
            let mut refused = clean.from.refused(Code::AuditUnavailable);
            refused.recorded = true;
            tracing::error!(error = %unavailable, "a call's intent could not be recorded");
            Err(refused)
        }
    }
}

/// Appends one record to this gateway's log and waits until it is durable.
pub(crate) async fn append(gate: &Gate, record: &Record) -> Result<Receipt, AppendError> {
    let bytes = serde_json::to_vec(record).map_err(|_| AppendError::Unavailable)?;
    let begun = gate.clock.monotonic();
    let receipt = gate.ledger.append(bytes).await;
    reeve_telemetry::metrics::ledger_commit(gate.clock.monotonic().saturating_sub(begun));
    receipt
}
