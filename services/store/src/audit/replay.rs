//! Recorded calls in the order of their time, to be decided again.

use std::collections::HashMap;

use diesel::prelude::*;
use reeve_domain::{Digest, Region, Timestamp};

use super::{
    AuditRow, Cursor, EventKind,
    row::{Row, column},
};
use crate::{
    Connection, StoreError,
    column::{page, signed},
    connection::MultiBackend,
    schema::audit_event::{self, dsl},
};

/// How long after its intent a call's outcome is looked for.
const OUTCOME_WITHIN_MICROS: i64 = 120_000_000;

/// Intents and refusals of `[from, until)` behind `after`, the oldest first.
pub fn decided(
    c: &mut Connection,
    from: Timestamp,
    until: Timestamp,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Vec<AuditRow>, StoreError> {
    let begin = after.map_or(from, |after| after.at.max(from));
    let mut query = audit_event::table
        .filter(calls())
        .filter(dsl::at.ge(begin.as_micros()))
        .filter(dsl::at.lt(until.as_micros()))
        .into_boxed::<MultiBackend>();
    if let Some(after) = after {
        let (at, origin) = (after.at.as_micros(), after.origin.to_string());
        query = query.filter(
            dsl::at.gt(at).or(dsl::at.eq(at).and(
                dsl::origin
                    .gt(origin.clone())
                    .or(dsl::origin.eq(origin).and(dsl::log_index.gt(signed(after.index)?))),
            )),
        );
    }
    let rows: Vec<Row> = query
        .order((dsl::at.asc(), dsl::origin.asc(), dsl::log_index.asc()))
        .limit(page(limit))
        .load(c)?;
    rows.into_iter().map(Row::read).collect()
}

/// How many of them there are.
pub fn count_decided(
    c: &mut Connection,
    from: Timestamp,
    until: Timestamp,
) -> Result<u64, StoreError> {
    let count: i64 = audit_event::table
        .filter(calls())
        .filter(dsl::at.ge(from.as_micros()))
        .filter(dsl::at.lt(until.as_micros()))
        .count()
        .first(c)?;
    column("at").count(count)
}

/// Where calls that came in `[from, until]` were processed, by their ids.
pub fn regions(
    c: &mut Connection,
    from: Timestamp,
    until: Timestamp,
) -> Result<HashMap<String, Region>, StoreError> {
    let rows: Vec<(Option<String>, Option<String>)> = audit_event::table
        .filter(dsl::kind.eq(EventKind::Outcome.as_str()))
        .filter(dsl::at.ge(from.as_micros()))
        .filter(dsl::at.le(until.as_micros().saturating_add(OUTCOME_WITHIN_MICROS)))
        .filter(dsl::region.is_not_null())
        .select((dsl::decision_id, dsl::region))
        .load(c)?;
    rows.into_iter()
        .filter_map(|(id, region)| Some((id?, region?)))
        .map(|(id, region)| Ok((id, column("region").parse(&region)?)))
        .collect()
}

/// Digests of the policies that decided calls of `[from, until)`.
pub fn policies(
    c: &mut Connection,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<Digest>, StoreError> {
    let rows: Vec<Option<String>> = audit_event::table
        .filter(dsl::at.ge(from.as_micros()))
        .filter(dsl::at.lt(until.as_micros()))
        .filter(dsl::policy.is_not_null())
        .select(dsl::policy)
        .distinct()
        .load(c)?;
    rows.into_iter().flatten().map(|text| column("policy").parse(&text)).collect()
}

/// Calls since `from` that a policy in shadow would have decided otherwise, the newest first.
pub fn shadowed(
    c: &mut Connection,
    from: Timestamp,
    limit: usize,
) -> Result<Vec<AuditRow>, StoreError> {
    let rows: Vec<Row> = audit_event::table
        .filter(dsl::shadow.is_not_null())
        .filter(calls())
        .filter(dsl::at.ge(from.as_micros()))
        .order((dsl::at.desc(), dsl::origin.desc(), dsl::log_index.desc()))
        .limit(page(limit))
        .load(c)?;
    rows.into_iter().map(Row::read).collect()
}

/// Calls of one tenant that a policy in shadow would have treated in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadowed {
    /// The tenant.
    pub tenant: Option<String>,
    /// Flips, joined by commas; none where the shadow agreed.
    pub flips: Option<String>,
    /// How many.
    pub calls: u64,
}

/// How many calls since `from` there were by tenant and by the flips of the shadow; no flips where
/// it agreed.
pub fn count_shadowed(c: &mut Connection, from: Timestamp) -> Result<Vec<Shadowed>, StoreError> {
    type Row = (Option<String>, Option<String>, i64);
    let rows: Vec<Row> = audit_event::table
        .filter(calls())
        .filter(dsl::policy.is_not_null())
        .filter(dsl::at.ge(from.as_micros()))
        .group_by((dsl::tenant, dsl::shadow))
        .select((dsl::tenant, dsl::shadow, diesel::dsl::count_star()))
        .load(c)?;
    rows.into_iter()
        .map(|(tenant, flips, calls)| {
            Ok(Shadowed { tenant, flips, calls: column("shadow").count(calls)? })
        })
        .collect()
}

type Calls = diesel::dsl::Or<
    diesel::dsl::Eq<audit_event::kind, &'static str>,
    diesel::dsl::Eq<audit_event::kind, &'static str>,
>;

fn calls() -> Calls {
    dsl::kind.eq(EventKind::Intent.as_str()).or(dsl::kind.eq(EventKind::Refusal.as_str()))
}
