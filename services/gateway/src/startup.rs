//! What a gateway does once before it serves: close what a crash left open, and count what the
//! month has used so far.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use reeve_domain::{
    Actor, Clock, ControlEvent, DecisionId, Money, Outcome, OutcomeStatus, Record, TenantId,
    Timestamp, Timings, Usage,
};
use reeve_ledger::{Ledger, Reader};
use reeve_limits::{Limits, PlanLimits};
use reeve_policy::Plan;

/// The log could not be read or written at the start.
#[derive(Debug, thiserror::Error)]
#[error("the log cannot be read or written at the start: {0}")]
pub(crate) struct LogUnusable(String);

/// What one pass over the log found.
#[derive(Default)]
pub(crate) struct Past {
    /// Intents without outcome, in the order of the log.
    orphans: Vec<(DecisionId, TenantId)>,
    /// Items and price in micro-units of completed calls since the month began.
    month: HashMap<TenantId, (u64, i64)>,
}

/// Reads the log once from its beginning.
///
/// The log and not the store is asked for the month's usage: it is local, and it is ahead of the
/// store by what was not indexed yet.
pub(crate) fn read_past(dir: &Path, month_start: Timestamp) -> Result<Past, LogUnusable> {
    let reader = Reader::open(dir).map_err(|fault| LogUnusable(fault.to_string()))?;
    let mut open: Vec<(DecisionId, TenantId)> = Vec::new();
    let mut closed: HashSet<DecisionId> = HashSet::new();
    let mut past = Past::default();
    for entry in reader.entries(0) {
        let (_, bytes) = entry.map_err(|fault| LogUnusable(fault.to_string()))?;
        match serde_json::from_slice(&bytes) {
            Ok(Record::Intent(intent)) => open.push((intent.decision_id, intent.caller.tenant)),
            Ok(Record::Outcome(outcome)) => {
                closed.insert(outcome.decision_id);
                if outcome.status == OutcomeStatus::Completed && outcome.at >= month_start {
                    let (items, micros) = past.month.entry(outcome.tenant).or_default();
                    *items = items.saturating_add(outcome.usage.items);
                    *micros = micros.saturating_add(outcome.cost.micros);
                }
            }
            // Most intents are closed soon: let what is known to be closed not pile up.
            Ok(Record::Control(event)) if event.action == STARTED => {
                open.clear();
                closed.clear();
            }
            Ok(_) => {}
            Err(fault) => tracing::error!(error = %fault, "a record of the log cannot be read"),
        }
    }
    past.orphans = open.into_iter().filter(|(id, _)| !closed.contains(id)).collect();
    Ok(past)
}

/// The action of the control event that every start appends after it has closed the orphans.
const STARTED: &str = "gateway.start";

/// Closes every intent that a crash left open as `unknown`, and says that the gateway started.
pub(crate) async fn close_orphans(
    ledger: &Ledger,
    past: &Past,
    clock: &dyn Clock,
) -> Result<(), LogUnusable> {
    for (decision_id, tenant) in &past.orphans {
        let outcome = Record::Outcome(Box::new(Outcome {
            decision_id: *decision_id,
            at: clock.now(),
            tenant: tenant.clone(),
            status: OutcomeStatus::Unknown,
            code: None,
            region: None,
            pod: None,
            others: Vec::new(),
            transfer: None,
            names: None,
            usage: Usage::default(),
            cost: Money::default(),
            sealed: None,
            timings: Timings::default(),
        }));
        append(ledger, &outcome).await?;
    }
    if !past.orphans.is_empty() {
        tracing::warn!(count = past.orphans.len(), "calls left open by a crash: closed as unknown");
    }
    let started = ControlEvent {
        at: clock.now(),
        actor: Actor::System,
        action: STARTED.to_owned(),
        target: "gateway".to_owned(),
        tenant: None,
        code: None,
        details: [("orphans".to_owned(), past.orphans.len().to_string())].into(),
    };
    append(ledger, &Record::Control(Box::new(started))).await
}

pub(crate) fn seed_month(limits: &Limits, past: &Past, month_start: Timestamp) {
    for (tenant, (items, micros)) in &past.month {
        limits.seed_month(tenant, month_start, *items, *micros);
    }
}

pub(crate) fn limits_of(plan: &Plan) -> PlanLimits {
    PlanLimits {
        requests_per_second: plan.requests_per_second,
        burst: plan.burst,
        concurrency: plan.concurrency,
        monthly_items: plan.monthly_items,
        item_price_micros: plan.prices.per_item.micros,
        monthly_budget_micros: plan.monthly_budget.map(|budget| budget.micros),
    }
}

async fn append(ledger: &Ledger, record: &Record) -> Result<(), LogUnusable> {
    let bytes = serde_json::to_vec(record).map_err(|fault| LogUnusable(fault.to_string()))?;
    ledger.append(bytes).await.map(drop).map_err(|fault| LogUnusable(fault.to_string()))
}
