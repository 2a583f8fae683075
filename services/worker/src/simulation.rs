use std::{
    collections::HashMap,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use reeve_domain::{
    BundleDocument, Clock, Code, Decision, DecisionId, DecisionInput, Digest, PlanName, Record,
    Region, TenantId, Timestamp,
};
use reeve_policy::{
    Engine,
    replay::{Impact, Recorded, Replay},
};
use reeve_store::{
    Store, StoreError,
    audit::{self, AuditRow, Cursor},
    policy, simulation, tenant,
};

/// Rows that are read at once.
const PAGE: usize = 2_000;
/// Pages that wait between reading and deciding.
const PAGES_WAITING: usize = 4;

/// Why a simulation could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SimulationFailed {
    /// The store is away. The simulation stays in the queue.
    #[error("the store cannot be read: {0}")]
    Store(#[from] StoreError),
    /// The draft cannot be enforced.
    #[error("the draft cannot be enforced: {0}")]
    Draft(String),
}

/// Makes the oldest simulation that waits. False if none does. Blocks.
pub fn simulate_next(store: &Store, clock: &dyn Clock) -> Result<bool, StoreError> {
    let Some(wanted) = store.write(simulation::take)? else { return Ok(false) };
    let draft = store.read(|c| policy::bundle(c, &wanted.draft))?;
    let draft = draft.ok_or(StoreError::NotFound("draft"))?;
    let mut progress =
        |done, total| store.write(|c| simulation::progress(c, &wanted.id, done, total));
    let found = simulate(store, &draft, wanted.from, wanted.until, &mut progress);
    let found = match found {
        Ok(impact) => serde_json::to_string(&impact).map_err(|why| why.to_string()),
        Err(SimulationFailed::Store(away)) => return Err(away),
        Err(failed @ SimulationFailed::Draft(_)) => Err(failed.to_string()),
    };
    let found = found.as_deref().map_err(String::as_str);
    store.write(|c| simulation::finish(c, &wanted.id, found, clock.now()))?;
    Ok(true)
}

/// Told how many calls were replayed, of how many.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64) -> Result<(), StoreError>;

/// Replays the recorded calls of `[from, until)` through a bundle, and finds what it would have
/// done. Blocks.
pub fn simulate(
    store: &Store,
    draft: &BundleDocument,
    from: Timestamp,
    until: Timestamp,
    progress: Progress<'_>,
) -> Result<Impact, SimulationFailed> {
    let (total, tenants) = store.read(|c| {
        let total = audit::count_decided(c, from, until)?;
        Ok::<_, StoreError>((total, tenant::list(c, None, usize::MAX)?))
    })?;
    let draft = Engine::compile(draft).map_err(|why| SimulationFailed::Draft(why.to_string()))?;
    let then = engines(store, from, until)?;
    let plans: HashMap<TenantId, PlanName> =
        tenants.into_iter().map(|tenant| (tenant.facts.id, tenant.plan)).collect();
    progress(0, total)?;

    let (pages, taken) = sync_channel(PAGES_WAITING);
    let reader = store.clone();
    thread::scope(|scope| {
        // One thread reads and parses, one decides.
        let reading = scope.spawn(move || read(&reader, from, until, &pages));
        let found = replay(progress, total, Replay::new(&draft, &then, &plans), &taken);
        drop(taken);
        match reading.join() {
            Ok(read) => read?,
            Err(panic) => std::panic::resume_unwind(panic),
        }
        found
    })
}

/// The bundles that decided, as far as they can still be enforced.
fn engines(
    store: &Store,
    from: Timestamp,
    until: Timestamp,
) -> Result<HashMap<Digest, Engine>, StoreError> {
    let documents: Vec<BundleDocument> = store.read(|c| {
        let mut documents = Vec::new();
        for digest in audit::policies(c, from, until)? {
            documents.extend(policy::bundle(c, &digest)?);
        }
        Ok::<_, StoreError>(documents)
    })?;
    let compiled = documents.iter().filter_map(|document| match Engine::compile(document) {
        Ok(engine) => Some((document.digest, engine)),
        Err(why) => {
            tracing::warn!(policy = %document.digest, %why, "a policy of before cannot be enforced");
            None
        }
    });
    Ok(compiled.collect())
}

/// A recorded call, as far as it came.
enum Past {
    Decided(Box<Recorded>),
    Refused { tenant: TenantId, at: Timestamp, code: Code },
    Unreadable,
}

fn read(
    store: &Store,
    from: Timestamp,
    until: Timestamp,
    pages: &SyncSender<Vec<Past>>,
) -> Result<(), StoreError> {
    let mut after: Option<Cursor> = None;
    loop {
        let (rows, regions) = store.read(|c| {
            let rows = audit::decided(c, from, until, after.as_ref(), PAGE)?;
            let regions = match (rows.first(), rows.last()) {
                (Some(first), Some(last)) => audit::regions(c, first.at, last.at)?,
                _ => HashMap::new(),
            };
            Ok::<_, StoreError>((rows, regions))
        })?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = Some(Cursor { at: last.at, origin: last.origin.clone(), index: last.index });
        let page = rows.into_iter().map(|row| past(row, &regions)).collect();
        if pages.send(page).is_err() {
            // Nobody decides any more.
            return Ok(());
        }
    }
}

fn past(row: AuditRow, regions: &HashMap<String, Region>) -> Past {
    let decided = |id: DecisionId, input: DecisionInput, decision: Decision| {
        let region = regions.get(&id.to_string()).cloned();
        Past::Decided(Box::new(Recorded { id, input, decision, region }))
    };
    match row.record {
        Record::Intent(intent) => decided(intent.decision_id, intent.input, intent.decision),
        Record::Refusal(refusal) => match (refusal.input, refusal.decision) {
            (Some(input), Some(decision)) => decided(refusal.decision_id, *input, *decision),
            _ => {
                Past::Refused { tenant: refusal.caller.tenant, at: refusal.at, code: refusal.code }
            }
        },
        _ => Past::Unreadable,
    }
}

fn replay(
    progress: Progress<'_>,
    total: u64,
    mut replay: Replay<'_>,
    pages: &Receiver<Vec<Past>>,
) -> Result<Impact, SimulationFailed> {
    let mut done = 0_u64;
    for page in pages {
        done = done.saturating_add(u64::try_from(page.len()).unwrap_or(u64::MAX));
        for call in page {
            match call {
                Past::Decided(call) => replay.decided(&call),
                Past::Refused { tenant, at, code } => replay.refused(&tenant, at, code),
                Past::Unreadable => replay.unreadable(),
            }
        }
        progress(done, total.max(done))?;
    }
    Ok(replay.finish())
}
