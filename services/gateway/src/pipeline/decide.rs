use reeve_domain::{Code, Decision, DecisionInput, ShadowDifference};

use super::{
    inspect::Seen,
    mirror::{self, Mirrored},
    refuse::Refused,
    transfer,
};
use crate::{Gate, snapshot::Snapshot};

/// A call that policy permits, with what it obliges to.
pub struct Permit {
    pub(super) seen: Seen,
    pub(super) input: DecisionInput,
    pub(super) decision: Decision,
    /// What a policy in shadow would have decided otherwise. Nothing follows from it.
    pub(super) shadow: Option<ShadowDifference>,
    /// A second version that may be asked besides.
    pub(super) mirror: Option<Mirrored>,
}

/// Asks policy, once for each region where the model is served.
pub async fn decide(gate: &Gate, seen: Seen) -> Result<Permit, Box<Refused>> {
    let call = &seen.admitted.call;
    let head = &call.from.head;
    let snapshot = &call.from.snapshot;
    let mut input = DecisionInput {
        at: head.at,
        tenant: call.from.tenant.facts.clone(),
        scopes: call.from.scopes.clone(),
        action: call.action,
        model: call.model.facts.clone(),
        purpose: head.purpose.clone(),
        subject_country: head.subject_country.clone(),
        consents: head.consents.clone(),
        found: seen.found.clone(),
        items: u64::try_from(call.texts.len()).unwrap_or(u64::MAX),
        characters: call.characters,
        candidates: snapshot.open_regions(&call.model.facts.digest),
        data_categories: head.data_categories.clone(),
        subject_age: head.subject_age,
        result_use: head.result_use,
        shared_key: call.from.shared_key,
        transferred: None,
    };
    if input.candidates.is_empty() {
        if !snapshot.regions(&call.model.facts.digest).is_empty() {
            return Err(call.from.refused(Code::RegionStopped));
        }
        // No pod is registered for the model at all, so there is no region to ask about.
        return Err(call.from.refused(Code::NoPodInPermittedRegion));
    }
    input.transferred = transfer::expected(gate, &call.from, &input).await;
    let decision = snapshot.engine.decide(&input);
    let shadow = snapshot.in_shadow(&input, &decision);
    reeve_telemetry::metrics::decision(decision.is_allowed());
    if decision.is_allowed() {
        let version = call.mirror.as_ref();
        let mirror = version.and_then(|it| mirror::permitted(snapshot, &input, &decision, it));
        Ok(Permit { seen, input, decision, shadow, mirror })
    } else {
        let code = if would_be_permitted(snapshot, &input) {
            Code::RegionStopped
        } else {
            Code::DeniedByPolicy
        };
        let mut refused = call.from.refused(code).decided(&input, &decision);
        refused.shadow = shadow;
        refused.limits = Some(seen.admitted.reservation.state());
        Err(refused)
    }
}

/// Whether nothing but a stop keeps the call from a region that policy permits.
fn would_be_permitted(snapshot: &Snapshot, input: &DecisionInput) -> bool {
    let all = snapshot.regions(&input.model.digest);
    let stopped: Vec<_> =
        all.iter().filter(|region| snapshot.is_region_stopped(region)).cloned().collect();
    !stopped.is_empty()
        && snapshot
            .engine
            .decide(&DecisionInput { candidates: stopped, ..input.clone() })
            .is_allowed()
}
