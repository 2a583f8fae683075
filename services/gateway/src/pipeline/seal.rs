//! Payloads that policy wants kept: encrypted before they are put beside the log.

use std::sync::Arc;

use actix_web::web;
use reeve_domain::{DecisionId, LogLevel};
use reeve_ledger::SealedPayload;

use super::redact::Clean;
use crate::Gate;

/// Which payload of a call.
#[derive(Clone, Copy)]
pub(super) enum Part {
    /// The texts as they were when the intent was recorded.
    Input,
    /// The answer.
    Output,
}

/// A payload cannot be sealed. Nothing is kept in the clear instead.
#[derive(Debug, thiserror::Error)]
#[error("the payload cannot be sealed: {0}")]
pub(super) struct Unsealed(String);

/// A ciphertext can only be opened for the call and the part that it was made for.
pub(super) fn context(id: DecisionId, part: Part) -> String {
    match part {
        Part::Input => format!("{id} input"),
        Part::Output => format!("{id} output"),
    }
}

/// Seals a payload under the key of the call's tenant and subject, if policy wants it kept.
pub(super) async fn seal(
    gate: &Gate,
    clean: &Clean,
    part: Part,
    payload: impl FnOnce() -> serde_json::Value,
) -> Result<Option<SealedPayload>, Unsealed> {
    if clean.decision.obligations.log != LogLevel::Sealed {
        return Ok(None);
    }
    let text = serde_json::to_vec(&payload()).map_err(|fault| Unsealed(fault.to_string()))?;
    let keyring = Arc::clone(&gate.keyring);
    let head = &clean.from.head;
    let (tenant, subject) = (clean.from.tenant.facts.id.clone(), head.subject.clone());
    let context = context(head.id, part);
    // A new subject's key is written and synced.
    let sealed = web::block(move || keyring.seal(&tenant, subject.as_ref(), &context, &text));
    match sealed.await {
        Ok(Ok(sealed)) => Ok(Some(sealed)),
        Ok(Err(failed)) => Err(Unsealed(failed.to_string())),
        Err(cut_off) => Err(Unsealed(cut_off.to_string())),
    }
}
