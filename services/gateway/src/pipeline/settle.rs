use std::{sync::Arc, time::Duration};

use reeve_domain::{
    Code, Decision, KindCounts, ModelVersion, Money, Outcome, OutcomeStatus, Record, TenantStatus,
    Timings, Usage,
};
use reeve_ledger::{Receipt, SealedPayload};
use reeve_limits::LimitState;

use super::{
    authenticate::Authenticated,
    forward::{Answer, Failure, Inferred},
    mirror::{self, Besides},
    names::Named,
    redact::Clean,
    refuse::Refused,
    seal::{Part, seal},
};
use crate::{Gate, fronts::Form, idempotency::Claim};

/// A call whose outcome is durable and whose usage is counted. Only this can be answered.
pub struct Settled {
    pub(super) from: Authenticated,
    pub(super) model: Arc<ModelVersion>,
    pub(super) decision: Decision,
    pub(super) redactions: KindCounts,
    pub(super) claim: Option<Claim>,
    pub(super) inferred: Inferred,
    pub(super) usage: Usage,
    pub(super) cost: Money,
    pub(super) intent: Receipt,
    pub(super) outcome: Receipt,
    pub(super) limits: LimitState,
    /// What a second version is asked, once the answer is settled.
    besides: Option<Besides>,
    pub(super) form: Box<dyn Form>,
    pub(super) took: Duration,
}

/// Writes the outcome, then counts what was used. A call that no pod answered is written too,
/// costs nothing and gives back what it reserved.
#[tracing::instrument(level = "debug", name = "settle", skip_all)]
pub async fn settle(gate: &Gate, answer: Answer) -> Result<Settled, Box<Refused>> {
    let Answer { named, result, forwarded } = answer;
    let Named { entry, taken, .. } = named;
    let clean = entry.clean;
    // What was stopped meanwhile is not answered any more, however long the pod took.
    let result = result.and_then(|got| match stopped(gate, &clean, &got) {
        Some(code) => Err(Failure { code, asked: Some((got.region, got.pod)) }),
        None => Ok(got),
    });
    // An answer that policy wants kept and that cannot be kept is not given.
    let (result, sealed) = sealed(gate, &clean, result).await;
    let usage = result.as_ref().map_or_else(|_| Usage::default(), |got| used(&clean, got));
    let plan = clean.from.snapshot.engine.plan(&clean.from.tenant.plan);
    let price = plan.map(|plan| plan.prices.cost(&usage)).unwrap_or_default();
    let (place, code) = match &result {
        Ok(got) => (Some((got.region.clone(), got.pod.clone())), None),
        Err(failure) => (failure.asked.clone(), Some(failure.code)),
    };
    let (region, pod) = place.unzip();
    let sent_to = clean.sent_to.take().into_iter();
    let finder = taken.as_ref().map(|taken| &taken.pod);
    let told = [pod.as_ref(), finder];
    let others = sent_to.filter(|to| !told.contains(&Some(&to.pod))).collect();
    let started = clean.from.head.started;
    let micros = |from: Duration, to: Duration| {
        u64::try_from(to.saturating_sub(from).as_micros()).unwrap_or(u64::MAX)
    };
    let outcome = Record::Outcome(Box::new(Outcome {
        decision_id: clean.from.head.id,
        at: gate.clock.now(),
        tenant: clean.from.tenant.facts.id.clone(),
        status: if code.is_none() { OutcomeStatus::Completed } else { OutcomeStatus::Failed },
        code,
        region,
        pod,
        others,
        names: taken,
        transfer: clean.transferred.take(),
        usage,
        cost: price,
        sealed: sealed.as_ref().map(SealedPayload::commitment),
        timings: Timings {
            decide_us: micros(started, entry.decided),
            record_us: micros(entry.decided, entry.recorded),
            forward_us: micros(entry.recorded, forwarded),
        },
    }));
    let written = super::record::append_with(gate, &outcome, sealed).await;
    let limits = clean.reservation.state();
    let refused = |clean: &Clean, code: Code| {
        let mut refused = clean.from.refused(code);
        // The intent stands in the log, and with it the outcome unless the log is at fault.
        refused.recorded = true;
        refused.limits = Some(limits.clone());
        refused
    };
    let outcome = match written {
        Ok(receipt) => receipt,
        Err(unavailable) => {
            tracing::error!(error = %unavailable, "a call's outcome could not be recorded");
            return Err(refused(&clean, Code::AuditUnavailable));
        }
    };
    let inferred = match result {
        Ok(inferred) => inferred,
        Err(failure) => return Err(refused(&clean, failure.code)),
    };
    let besides = mirror::besides(&clean, &inferred);
    let tenant = &clean.from.tenant.facts.id;
    gate.observations.count(tenant, &clean.model, &inferred.response, gate.clock.now());
    let Clean { from, reservation, model, decision, redactions, claim, form, .. } = *clean;
    reservation.settle(usage.items, price.micros);
    let took = gate.clock.monotonic().saturating_sub(started);
    reeve_telemetry::metrics::request_completed(from.head.route, took);
    let (intent, cost) = (entry.receipt, price);
    Ok(Settled {
        from,
        model,
        decision,
        redactions,
        claim,
        inferred,
        usage,
        cost,
        intent,
        outcome,
        limits,
        besides,
        form,
        took,
    })
}

/// Asks a second version what was asked, where there is one; nobody waits for it.
pub fn ask_mirror(gate: &Gate, mut settled: Settled) -> Settled {
    if let Some(besides) = settled.besides.take() {
        mirror::ask_besides(gate, besides);
    }
    settled
}

async fn sealed(
    gate: &Gate,
    clean: &Clean,
    result: Result<Inferred, Failure>,
) -> (Result<Inferred, Failure>, Option<SealedPayload>) {
    let got = match result {
        Ok(got) => got,
        Err(failure) => return (Err(failure), None),
    };
    let results = || serde_json::json!({ "results": got.response.results });
    match seal(gate, clean, Part::Output, results).await {
        Ok(sealed) => (Ok(got), sealed),
        Err(unsealed) => {
            tracing::error!(error = %unsealed, "an answer could not be kept");
            let asked = Some((got.region, got.pod));
            (Err(Failure { code: Code::AuditUnavailable, asked }), None)
        }
    }
}

/// Whether tenant, model or region were stopped after the call was let in.
fn stopped(gate: &Gate, clean: &Clean, got: &Inferred) -> Option<Code> {
    let newest = gate.snapshot().ok()?;
    let tenant = newest.tenants.get(&clean.from.tenant.facts.id);
    if tenant.is_none_or(|tenant| tenant.status == TenantStatus::Suspended) {
        return Some(Code::TenantSuspended);
    }
    newest
        .is_model_stopped(&clean.model.facts.name)
        .then_some(Code::ModelStopped)
        .or_else(|| newest.is_region_stopped(&got.region).then_some(Code::RegionStopped))
}

fn used(clean: &Clean, inferred: &Inferred) -> Usage {
    Usage {
        items: clean.input.items,
        characters: clean.input.characters,
        tokens: inferred.response.tokens.iter().map(|tokens| u64::from(*tokens)).sum(),
        explained: u64::try_from(inferred.response.explanations.len()).unwrap_or(u64::MAX),
    }
}
