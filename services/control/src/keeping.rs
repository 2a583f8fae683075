//! What is done by itself about what is kept: erasures that were asked for, and the deletion of
//! what has been kept for long enough.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use actix_web::{rt, web};
use reeve_domain::{
    Actor, DecisionId, Obligations, Origin, Record, Retention, RetentionCategory, Sealed,
    SubjectHash, TenantId, Timestamp,
};
use reeve_ledger::{Expiry, key_name};
use reeve_store::{
    StoreError, audit,
    erasure::{self, Erased, Erasure},
    legal_hold::{self, Hold},
    retention,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    problem::Refused,
    state::{Control, Deed, block},
};

const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often all records are looked at for those that were kept for long enough.
const DELETE_EVERY: Duration = Duration::from_secs(60 * 60);
/// A call that had its key before the key was destroyed has written its payload by then.
const STRAGGLERS: Duration = Duration::from_secs(2);
const SOON: Duration = Duration::from_secs(30 * 24 * 60 * 60);

pub(crate) fn start(control: web::Data<Control>) {
    let of_retention = control.clone();
    rt::spawn(async move {
        loop {
            rt::time::sleep(LOOK_EVERY).await;
            if let Err(refused) = erase_pending(&control).await {
                tracing::warn!(code = %refused.code(), "an erasure waits");
            }
        }
    });
    rt::spawn(async move {
        loop {
            rt::time::sleep(DELETE_EVERY).await;
            if let Err(refused) = delete_expired(&of_retention, Actor::System).await {
                tracing::warn!(code = %refused.code(), "what is due to be deleted waits");
            }
        }
    });
}

/// Does what was asked for and is not under a legal hold, and writes a certificate for each.
async fn erase_pending(control: &Control) -> Result<(), Refused> {
    let (pending, holds) =
        control.read(|c| Ok((erasure::pending(c)?, legal_hold::list(c)?))).await?;
    let pending: Vec<Erasure> = pending
        .into_iter()
        .filter(|erasure| !is_held(&holds, &erasure.tenant, Some(&erasure.subject)))
        .collect();
    if pending.is_empty() {
        return Ok(());
    }
    let name = |erasure: &Erasure| key_name(&erasure.tenant, Some(&erasure.subject));
    let keys: Vec<_> =
        pending.iter().map(|erasure| (erasure.tenant.clone(), name(erasure))).collect();
    // Twice: the first takes the key away, the second what was written with it meanwhile.
    let mut sums = BTreeMap::new();
    for pass in 0..2 {
        if pass > 0 {
            rt::time::sleep(STRAGGLERS).await;
        }
        let (files, keys) = (Arc::clone(&control.files), keys.clone());
        let done =
            block(move || files.erase(&keys)).await?.map_err(|why| Refused::internal(&why))?;
        for (name, (keys, destroyed)) in done {
            let (key_sum, payloads, bytes) = sums.entry(name).or_insert((0_u64, 0_u64, 0_u64));
            *key_sum = key_sum.saturating_add(keys);
            *payloads = payloads.saturating_add(destroyed.payloads);
            *bytes = bytes.saturating_add(destroyed.bytes);
        }
    }
    for erasure in pending {
        let (keys, payloads, bytes) = sums.get(&name(&erasure)).copied().unwrap_or_default();
        let mut details = BTreeMap::from([
            ("subject".to_owned(), erasure.subject.to_string()),
            ("reason".to_owned(), erasure.reason.clone()),
            ("requested_by".to_owned(), erasure.by.to_string()),
            ("requested_at".to_owned(), erasure.at.to_string()),
            ("key".to_owned(), name(&erasure).to_string()),
            ("keys".to_owned(), keys.to_string()),
            ("payloads".to_owned(), payloads.to_string()),
            ("bytes".to_owned(), bytes.to_string()),
        ]);
        for origin in control.files.dirs.keys() {
            if let Some((size, _)) = control.files.head(origin) {
                details.insert(format!("log {origin}"), size.to_string());
            }
        }
        let deed = Deed {
            actor: Actor::System,
            action: "subject.erase",
            target: erasure.id.clone(),
            tenant: Some(erasure.tenant.clone()),
            details,
        };
        let certificate = control.record_at(&deed, None).await?;
        let done = Erased { at: control.clock.now(), keys, payloads, bytes, certificate };
        control.write(move |c| erasure::finish(c, &erasure.id, &done)).await?;
    }
    Ok(())
}

fn is_held(holds: &[Hold], tenant: &TenantId, subject: Option<&SubjectHash>) -> bool {
    holds.iter().any(|hold| hold.covers(tenant, subject))
}

/// What a look at all records found of one category.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct CategoryReport {
    /// Records, or payloads, that are kept.
    pub(crate) kept: u64,
    /// Were deleted now.
    pub(crate) deleted: u64,
    /// Are due, but stand in a segment that is still being written, which ends within a day.
    pub(crate) waiting: u64,
    /// Are due, but under a legal hold.
    pub(crate) held: u64,
    /// Become due within 30 days.
    pub(crate) due_within_30_days: u64,
    /// When the next of them becomes due, RFC 3339; none if none does.
    #[schema(required = true)]
    pub(crate) next_due: Option<String>,
}

/// What a look at all records found, by category.
pub(crate) type Report = BTreeMap<RetentionCategory, CategoryReport>;

/// What the policy that decided about a call says of how long its records are kept.
#[derive(Clone)]
struct OfCall {
    tenant: TenantId,
    subject: Option<SubjectHash>,
    floor: Option<u32>,
    ceiling: Option<u32>,
}

impl OfCall {
    fn new(
        tenant: &TenantId,
        subject: Option<&SubjectHash>,
        obligations: Option<&Obligations>,
    ) -> Self {
        Self {
            tenant: tenant.clone(),
            subject: subject.cloned(),
            floor: obligations.and_then(|obligations| obligations.retain_days),
            ceiling: obligations.and_then(|obligations| obligations.retain_at_most_days),
        }
    }
}

/// Decides about one log's records, one after the other.
struct Judge<'a> {
    rules: &'a [Retention],
    holds: &'a [Hold],
    now: Timestamp,
    /// Calls whose outcome is still to come.
    open: HashMap<DecisionId, OfCall>,
    /// Entries whose payloads are still there, and then those among them that are due.
    with_payload: BTreeSet<u64>,
    payloads_due: BTreeSet<u64>,
    /// Entries that are due.
    due: HashMap<u64, RetentionCategory>,
    /// The moment each next thing becomes due.
    next: BTreeMap<RetentionCategory, Timestamp>,
    report: Report,
}

impl Judge<'_> {
    /// Whether the entry is to be deleted.
    fn judge(&mut self, index: u64, entry: &[u8]) -> bool {
        // What cannot be read is kept.
        let Ok(record) = serde_json::from_slice::<Record>(entry) else { return false };
        let category = record.retention();
        let (at, of) = match &record {
            Record::Intent(intent) => {
                let obligations = Some(&intent.decision.obligations);
                let tenant = &intent.caller.tenant;
                let of = OfCall::new(tenant, intent.subject.as_ref(), obligations);
                self.open.insert(intent.decision_id, of.clone());
                (intent.at, Some(of))
            }
            Record::Outcome(outcome) => {
                let of = self.open.remove(&outcome.decision_id);
                let of = of.unwrap_or_else(|| OfCall::new(&outcome.tenant, None, None));
                (outcome.at, Some(of))
            }
            Record::Refusal(refusal) => {
                let decision = refusal.decision.as_deref();
                let obligations = decision.map(|decision| &decision.obligations);
                (refusal.at, Some(OfCall::new(&refusal.caller.tenant, None, obligations)))
            }
            Record::RefusalAggregate(aggregate) => (aggregate.until, None),
            Record::Comparison(compared) => {
                (compared.at, Some(OfCall::new(&compared.tenant, None, None)))
            }
            Record::Observation(seen) => (seen.until, Some(OfCall::new(&seen.tenant, None, None))),
            Record::Control(event) => {
                (event.at, event.tenant.as_ref().map(|tenant| OfCall::new(tenant, None, None)))
            }
        };
        let is_due = self.count(category, at, of.as_ref());
        if sealed(&record).is_some() && self.with_payload.contains(&index) {
            let is_due = self.count(RetentionCategory::Payloads, at, of.as_ref());
            if is_due {
                self.payloads_due.insert(index);
            }
        }
        if is_due {
            self.due.insert(index, category);
        }
        is_due
    }

    fn count(&mut self, category: RetentionCategory, at: Timestamp, of: Option<&OfCall>) -> bool {
        let report = self.report.entry(category).or_default();
        report.kept = report.kept.saturating_add(1);
        let Some(rule) = self.rules.iter().find(|rule| rule.category == category) else {
            return false;
        };
        let (floor, ceiling) = of.map_or((None, None), |of| (of.floor, of.ceiling));
        let Some(due) = rule.due(at, floor, ceiling) else { return false };
        if due > self.now {
            if due <= self.now.after(SOON) {
                report.due_within_30_days = report.due_within_30_days.saturating_add(1);
            }
            let next = self.next.entry(category).or_insert(due);
            *next = due.min(*next);
            return false;
        }
        if of.is_some_and(|of| is_held(self.holds, &of.tenant, of.subject.as_ref())) {
            report.held = report.held.saturating_add(1);
            return false;
        }
        true
    }
}

fn sealed(record: &Record) -> Option<&Sealed> {
    match record {
        Record::Intent(intent) => intent.sealed.as_ref(),
        Record::Outcome(outcome) => outcome.sealed.as_ref(),
        _ => None,
    }
}

/// Looks at all records of all logs, deletes what has been kept for long enough, and keeps a report.
pub(crate) async fn delete_expired(control: &Control, actor: Actor) -> Result<Report, Refused> {
    let (rules, holds) = control.read(|c| Ok((retention::rules(c)?, legal_hold::list(c)?))).await?;
    let (rules, holds): (Arc<[_]>, Arc<[_]>) = (rules.into(), holds.into());
    let now = control.clock.now();
    let mut total = Report::new();
    for category in RetentionCategory::ALL {
        total.insert(*category, CategoryReport::default());
    }
    for origin in control.files.dirs.keys() {
        let (files, of, rules, holds) =
            (Arc::clone(&control.files), origin.clone(), Arc::clone(&rules), Arc::clone(&holds));
        let found = block(move || -> std::io::Result<_> {
            let mut judge = Judge {
                rules: &rules,
                holds: &holds,
                now,
                open: HashMap::new(),
                with_payload: files.kept_payloads(&of)?,
                payloads_due: BTreeSet::new(),
                due: HashMap::new(),
                next: BTreeMap::new(),
                report: Report::new(),
            };
            let plan = files.plan(&of, &mut |index, entry| judge.judge(index, entry))?;
            let Judge { due, payloads_due, report, next, .. } = judge;
            Ok((plan, due, payloads_due, report, next))
        });
        let (plan, due, payloads, mut report, next) =
            found.await?.map_err(|why| Refused::internal(&why))?;
        for (category, due) in next {
            report.entry(category).or_default().next_due = Some(due.to_string());
        }
        let destroyed = destroy(control, &actor, origin, payloads).await?;
        let of_payloads = report.entry(RetentionCategory::Payloads).or_default();
        of_payloads.deleted = of_payloads.deleted.saturating_add(destroyed);
        for segment in plan {
            for category in segment.entries.iter().filter_map(|index| due.get(index)) {
                let report = report.entry(*category).or_default();
                let count =
                    if segment.is_closed { &mut report.deleted } else { &mut report.waiting };
                *count = count.saturating_add(1);
            }
            if segment.is_closed {
                delete(control, &actor, origin, segment).await?;
            }
        }
        for (category, found) in report {
            let sum = total.entry(category).or_default();
            sum.kept = sum.kept.saturating_add(found.kept.saturating_sub(found.deleted));
            sum.deleted = sum.deleted.saturating_add(found.deleted);
            sum.waiting = sum.waiting.saturating_add(found.waiting);
            sum.held = sum.held.saturating_add(found.held);
            sum.due_within_30_days =
                sum.due_within_30_days.saturating_add(found.due_within_30_days);
            sum.next_due = match (sum.next_due.take(), found.next_due) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
    }
    let text = serde_json::to_string(&total).map_err(|why| Refused::internal(&why))?;
    control.write(move |c| retention::set_report(c, now, &text)).await?;
    Ok(total)
}

async fn destroy(
    control: &Control,
    actor: &Actor,
    origin: &Origin,
    payloads: BTreeSet<u64>,
) -> Result<u64, Refused> {
    let (Some(first), Some(last)) = (payloads.first(), payloads.last()) else { return Ok(0) };
    let details = [
        ("payloads", payloads.len().to_string()),
        ("first", first.to_string()),
        ("last", last.to_string()),
    ];
    control.record(&deed(actor, "retention.destroy", origin, &details), None).await?;
    let (files, of) = (Arc::clone(&control.files), origin.clone());
    let done = block(move || files.destroy(&of, &payloads)).await?;
    done.map_err(|why| Refused::internal(&why))
}

/// Records what is about to be deleted of a segment, deletes it, and forgets its rows. The record's
/// digest says exactly which entries of the segment are missing from then on.
async fn delete(
    control: &Control,
    actor: &Actor,
    origin: &Origin,
    segment: Expiry,
) -> Result<(), Refused> {
    if segment.entries.is_empty() {
        return Ok(());
    }
    let details = [
        ("segment", segment.segment.to_string()),
        ("entries", segment.entries.len().to_string()),
        ("bytes", segment.bytes.to_string()),
        ("missing", segment.entries.union(&segment.before).count().to_string()),
        ("digest", segment.digest().to_string()),
    ];
    control.record(&deed(actor, "retention.delete", origin, &details), None).await?;
    let (files, of, plan) = (Arc::clone(&control.files), origin.clone(), segment.clone());
    block(move || files.expire(&of, &plan)).await?.map_err(|why| Refused::internal(&why))?;
    let of = origin.clone();
    control
        .write(move |c| -> Result<(), StoreError> {
            let indices: Vec<u64> = segment.entries.into_iter().collect();
            audit::forget(c, &of, &indices)
        })
        .await
}

fn deed(actor: &Actor, action: &'static str, origin: &Origin, details: &[(&str, String)]) -> Deed {
    Deed {
        actor: actor.clone(),
        action,
        target: origin.to_string(),
        tenant: None,
        details: details.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
    }
}
