use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use reeve_domain::{KindCounts, Origin, Timestamp};

use super::{
    EventKind, Leaf,
    row::{Row, column},
};
use crate::{
    Connection, StoreError,
    column::{Column, signed},
    connection::on_backend,
    observation, retention,
    schema::{audit_event, ledger_cursor},
    usage,
};

/// Rows in one statement: 22 columns each, and SQLite takes 32,766 parameters at most.
const ROWS_IN_A_STATEMENT: usize = 500;

/// The index of the first leaf of a log that is not indexed yet.
pub fn cursor(c: &mut Connection, origin: &Origin) -> Result<u64, StoreError> {
    let next: Option<i64> = ledger_cursor::table
        .find(origin.as_str())
        .select(ledger_cursor::next_index)
        .first(c)
        .optional()?;
    Column("ledger_cursor", "next_index").count(next.unwrap_or(0))
}

/// Indexes leaves that stand in the log one after the other, with their part in usage and
/// activity, and moves the cursor: all of it in the transaction of the caller's
/// [`crate::Store::write`]. Leaves that are indexed already change nothing. Gives how many were
/// new. `Gap` if leaves between the cursor and these are missing, `Diverged` if an indexed leaf
/// is offered with another hash.
pub fn index(c: &mut Connection, origin: &Origin, leaves: &[Leaf]) -> Result<usize, StoreError> {
    let next = lock_cursor(c, origin)?;
    let mut expected = leaves.first().map_or(next, |first| first.index.min(next));
    for leaf in leaves {
        // Leaves that were deleted from the log are passed over; whoever reads it knows which.
        let skipped = leaf.index > expected && !leaf.follows_deleted;
        if leaf.index < expected || skipped {
            let (origin, offered) = (origin.to_string(), leaf.index);
            return Err(StoreError::Gap { origin, expected, offered });
        }
        expected = leaf.index.saturating_add(1);
    }
    let known = leaves.partition_point(|leaf| leaf.index < next);
    let (old, new) = leaves.split_at_checked(known).unwrap_or((leaves, &[]));
    compare_indexed(c, origin, old)?;
    if new.is_empty() {
        return Ok(0);
    }

    let mut previous_at = time_before(c, origin, next)?;
    let mut rows = Vec::with_capacity(new.len());
    for leaf in new {
        let row = Row::of(origin, leaf, previous_at)?;
        previous_at = row.at;
        rows.push(row);
    }
    join_calls(c, origin, &mut rows)?;
    insert(c, &rows)?;
    usage::roll_up(c, &rows_of_usage(&rows, new))?;
    observation::roll_up(c, new.iter().filter_map(|leaf| leaf.record.as_ref().ok()))?;
    diesel::update(ledger_cursor::table.find(origin.as_str()))
        .set(ledger_cursor::next_index.eq(signed(expected)?))
        .execute(c)?;
    Ok(new.len())
}

/// SQLite is here, so that a statement that is prepared once and run for each row costs less than a new
/// one of many rows; PostgreSQL is far.
fn insert(c: &mut Connection, rows: &[Row]) -> Result<(), StoreError> {
    match c {
        Connection::Sqlite(inner) => {
            for row in rows {
                diesel::insert_into(audit_event::table).values(row).execute(inner)?;
            }
        }
        Connection::Postgres(inner) => {
            for chunk in rows.chunks(ROWS_IN_A_STATEMENT) {
                diesel::insert_into(audit_event::table).values(chunk).execute(inner)?;
            }
        }
    }
    Ok(())
}

/// Makes two indexers of one log wait for each other, and reads where it stands.
fn lock_cursor(c: &mut Connection, origin: &Origin) -> Result<u64, StoreError> {
    let first = (ledger_cursor::origin.eq(origin.as_str()), ledger_cursor::next_index.eq(0));
    on_backend!(c, inner => diesel::insert_into(ledger_cursor::table)
        .values(first)
        .on_conflict_do_nothing()
        .execute(inner))?;
    diesel::update(ledger_cursor::table.find(origin.as_str()))
        .set(ledger_cursor::next_index.eq(ledger_cursor::next_index))
        .execute(c)?;
    cursor(c, origin)
}

/// A log that says something else than it said before was rolled back or replaced.
fn compare_indexed(c: &mut Connection, origin: &Origin, old: &[Leaf]) -> Result<(), StoreError> {
    let (Some(first), Some(last)) = (old.first(), old.last()) else { return Ok(()) };
    let stored: Vec<(i64, Vec<u8>)> = audit_event::table
        .filter(audit_event::origin.eq(origin.as_str()))
        .filter(audit_event::log_index.ge(signed(first.index)?))
        .filter(audit_event::log_index.le(signed(last.index)?))
        .select((audit_event::log_index, audit_event::leaf_hash))
        .load(c)?;
    let stored: BTreeMap<i64, Vec<u8>> = stored.into_iter().collect();
    for leaf in old {
        if stored.get(&signed(leaf.index)?).is_none_or(|hash| hash.as_slice() != leaf.hash) {
            return Err(StoreError::Diverged { origin: origin.to_string(), index: leaf.index });
        }
    }
    Ok(())
}

/// The time of the leaf before `index`; the epoch if it is the first.
fn time_before(c: &mut Connection, origin: &Origin, index: u64) -> Result<i64, StoreError> {
    let Some(before) = index.checked_sub(1) else { return Ok(0) };
    let at: Option<i64> = audit_event::table
        .find((origin.as_str(), signed(before)?))
        .select(audit_event::at)
        .first(c)
        .optional()?;
    Ok(at.unwrap_or(0))
}

/// What an outcome takes over from its intent.
#[derive(Clone, Queryable)]
struct FromIntent {
    decision_id: Option<String>,
    credential: Option<String>,
    model: Option<String>,
    action: Option<String>,
    policy: Option<String>,
    redactions: String,
}

impl FromIntent {
    fn of(row: &Row) -> Self {
        Self {
            decision_id: row.decision_id.clone(),
            credential: row.credential.clone(),
            model: row.model.clone(),
            action: row.action.clone(),
            policy: row.policy.clone(),
            redactions: row.redactions.clone(),
        }
    }
}

/// Gives outcomes what their intents say, and intents the status of their outcomes. An intent
/// stands earlier in the same log: in these rows, or in the table.
fn join_calls(c: &mut Connection, origin: &Origin, rows: &mut [Row]) -> Result<(), StoreError> {
    let mut intents: BTreeMap<String, FromIntent> = BTreeMap::new();
    let mut ended: BTreeMap<String, Option<String>> = BTreeMap::new();
    for row in rows.iter() {
        let Some(id) = &row.decision_id else { continue };
        if row.kind == EventKind::Intent.as_str() {
            intents.insert(id.clone(), FromIntent::of(row));
        } else if row.kind == EventKind::Outcome.as_str() {
            ended.insert(id.clone(), row.status.clone());
        }
    }
    let earlier: Vec<String> =
        ended.keys().filter(|id| !intents.contains_key(*id)).cloned().collect();
    let mut by_status: BTreeMap<&Option<String>, BTreeSet<i64>> = BTreeMap::new();
    for ids in earlier.chunks(ROWS_IN_A_STATEMENT) {
        for (log_index, found) in earlier_intents(c, origin, ids)? {
            let Some(id) = found.decision_id.clone() else { continue };
            if let Some(status) = ended.get(&id) {
                by_status.entry(status).or_default().insert(log_index);
            }
            intents.insert(id, found);
        }
    }
    for (status, indexes) in by_status {
        let indexes: Vec<i64> = indexes.into_iter().collect();
        for indexes in indexes.chunks(ROWS_IN_A_STATEMENT) {
            set_intent_status(c, origin, indexes, status.as_deref())?;
        }
    }
    for row in rows.iter_mut() {
        let Some(id) = &row.decision_id else { continue };
        if row.kind == EventKind::Outcome.as_str() {
            let Some(intent) = intents.get(id) else { continue };
            row.credential.clone_from(&intent.credential);
            row.model.clone_from(&intent.model);
            row.action.clone_from(&intent.action);
            row.policy.clone_from(&intent.policy);
            row.redactions = both(&intent.redactions, &row.redactions)?;
        } else if row.kind == EventKind::Intent.as_str()
            && let Some(status) = ended.get(id)
        {
            row.status.clone_from(status);
        }
    }
    Ok(())
}

/// The redactions of an intent, and those that a model added to them.
fn both(intent: &str, outcome: &str) -> Result<String, StoreError> {
    if outcome == "{}" {
        return Ok(intent.to_owned());
    }
    let mut all: KindCounts = column("redactions").json(intent)?;
    let more: KindCounts = column("redactions").json(outcome)?;
    for (kind, count) in more {
        let sum = all.entry(kind).or_default();
        *sum = sum.saturating_add(count);
    }
    column("redactions").to_json(&all)
}

/// Intents of these calls that are in the table, with their places in the log. Only the calls' ids
/// are left to the engine: SQLite, told of the log as well, reads all of it for every batch.
fn earlier_intents(
    c: &mut Connection,
    origin: &Origin,
    ids: &[String],
) -> Result<Vec<(i64, FromIntent)>, StoreError> {
    let found: Vec<(String, String, i64, FromIntent)> = on_backend!(c, inner => audit_event::table
            .filter(audit_event::decision_id.eq_any(ids))
            .select((
                audit_event::kind,
                audit_event::origin,
                audit_event::log_index,
                (
                    audit_event::decision_id,
                    audit_event::credential,
                    audit_event::model,
                    audit_event::action,
                    audit_event::policy,
                    audit_event::redactions,
                ),
            ))
            .load(inner))?;
    let is_one = |(kind, of, ..): &(String, String, i64, FromIntent)| {
        kind == EventKind::Intent.as_str() && of == origin.as_str()
    };
    Ok(found.into_iter().filter(is_one).map(|(_, _, index, intent)| (index, intent)).collect())
}

fn set_intent_status(
    c: &mut Connection,
    origin: &Origin,
    indexes: &[i64],
    status: Option<&str>,
) -> Result<(), StoreError> {
    on_backend!(c, inner => diesel::update(
        audit_event::table
            .filter(audit_event::origin.eq(origin.as_str()))
            .filter(audit_event::log_index.eq_any(indexes.iter().copied())),
    )
    .set(audit_event::status.eq(status))
    .execute(inner))?;
    Ok(())
}

/// What usage and activity need of each row, and of the records that count several calls.
fn rows_of_usage<'a>(rows: &'a [Row], leaves: &'a [Leaf]) -> Vec<usage::Counted<'a>> {
    rows.iter()
        .zip(leaves)
        .filter_map(|(row, leaf)| {
            Some(usage::Counted {
                record: leaf.record.as_ref().ok()?,
                model: row.model.as_deref().unwrap_or_default(),
                redacted: row.redactions != "{}",
            })
        })
        .collect()
}

/// Takes the rows of leaves out that were deleted from their log when their time was over. Sums of
/// use stay, and are closed up to the last day of these rows.
pub fn forget(c: &mut Connection, origin: &Origin, indices: &[u64]) -> Result<(), StoreError> {
    for some in indices.chunks(ROWS_IN_A_STATEMENT) {
        let some: Vec<i64> = some.iter().map(|index| signed(*index)).collect::<Result<_, _>>()?;
        let (Some(first), Some(last)) = (some.iter().min(), some.iter().max()) else { continue };
        // By the primary key's range and not one by one; what is not to go is left out below.
        let rows: Vec<(i64, i64, String)> = audit_event::table
            .filter(audit_event::origin.eq(origin.as_str()))
            .filter(audit_event::log_index.between(*first, *last))
            .select((audit_event::log_index, audit_event::at, audit_event::kind))
            .load(c)?;
        let calls = [
            EventKind::Intent,
            EventKind::Outcome,
            EventKind::Refusal,
            EventKind::Comparison,
            EventKind::Observation,
        ];
        for (index, at, kind) in rows {
            if some.binary_search(&index).is_err() {
                continue;
            }
            let is_call = calls.iter().any(|call| call.as_str() == kind);
            retention::move_horizon(c, &Timestamp::from_micros(at).day(), is_call)?;
        }
        on_backend!(c, inner => diesel::delete(
            audit_event::table
                .filter(audit_event::origin.eq(origin.as_str()))
                .filter(audit_event::log_index.eq_any(&some)),
        )
        .execute(inner))?;
    }
    Ok(())
}

/// Takes everything out that was indexed, so that it can be indexed anew, but for the sums of use
/// of days whose records are deleted.
pub fn clear(c: &mut Connection) -> Result<(), StoreError> {
    diesel::delete(audit_event::table).execute(c)?;
    diesel::delete(ledger_cursor::table).execute(c)?;
    observation::clear(c)?;
    usage::clear(c)
}
