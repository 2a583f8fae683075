use reeve_domain::{
    Code, Decision, DecisionInput, KindCounts, ModelVersion, Recipient, Routed, ShadowDifference,
    Transfer, TransferCount,
};
use reeve_limits::Reservation;
use reeve_privacy::{CleanText, Pseudonyms, Redactor};
use std::{cell::RefCell, collections::BTreeSet, sync::Arc};

use super::{authenticate::Authenticated, decide::Permit, mirror::Mirrored, refuse::Refused};
use crate::{Gate, fronts::Form, idempotency::Claim};

/// A call whose texts are what the obligations allow to leave. The raw texts are gone.
pub struct Clean {
    pub(super) from: Authenticated,
    pub(super) reservation: Reservation,
    pub(super) model: Arc<ModelVersion>,
    pub(super) routed: Option<Routed>,
    pub(super) mirror: Option<Mirrored>,
    pub(super) input: DecisionInput,
    pub(super) decision: Decision,
    pub(super) shadow: Option<ShadowDifference>,
    pub(super) texts: Vec<CleanText>,
    pub(super) redactions: KindCounts,
    pub(super) top_k: u32,
    /// The transfer that was counted before anything was sent.
    pub(super) transferred: RefCell<Option<(Transfer, TransferCount)>>,
    /// Every pod that the texts were sent to.
    pub(super) sent_to: RefCell<BTreeSet<Recipient>>,
    pub(super) claim: Option<Claim>,
    pub(super) form: Box<dyn Form>,
}

/// Takes out what must be redacted.
pub fn redact(gate: &Gate, permit: Permit) -> Result<Box<Clean>, Box<Refused>> {
    let Permit { seen, input, decision, shadow, mirror } = permit;
    let mut redactions = KindCounts::new();
    let call = seen.admitted.call;
    let tenant = &call.from.tenant.facts.id;
    let pseudonyms = Pseudonyms::new(gate.pepper.pseudonym_key(tenant));
    let redactor = Redactor {
        detector: call.from.snapshot.engine.detector(tenant),
        how: &decision.obligations.redact,
        pseudonyms: &pseudonyms,
        year: input.at.year(),
    };
    let mut texts = Vec::with_capacity(call.texts.len());
    for (text, findings) in call.texts.into_iter().zip(&seen.findings) {
        let (clean, counts) =
            redactor.redact(text, findings).map_err(|_| call.from.refused(Code::DetectorFailed))?;
        texts.push(clean);
        for (kind, count) in counts {
            reeve_telemetry::metrics::redacted(&kind, count);
            let sum = redactions.entry(kind).or_default();
            *sum = sum.saturating_add(count);
        }
    }
    Ok(Box::new(Clean {
        from: call.from,
        reservation: seen.admitted.reservation,
        model: call.model,
        routed: call.routed,
        mirror,
        input,
        decision,
        shadow,
        texts,
        redactions,
        top_k: call.top_k,
        transferred: RefCell::default(),
        sent_to: RefCell::default(),
        claim: seen.admitted.claim,
        form: call.form,
    }))
}
