use diesel::{
    dsl::sql,
    prelude::*,
    sql_types::{Bool, Nullable},
};
use reeve_domain::DecisionId;

use super::{AuditFilter, AuditRow, CallStatus, Cursor, EventKind, row::Row};
use crate::{
    Connection, StoreError,
    column::{page, signed},
    connection::MultiBackend,
    schema::audit_event::{self, dsl},
};

/// Conditions of indexes that do not hold all rows, in the words of the migration: engines use such an
/// index where a query says them.
const RARE_STATUS: &str = "status <> 'completed'";
const RARE_KIND: &str = "kind NOT IN ('intent', 'outcome')";
pub(crate) const NO_OUTCOME: &str = "kind <> 'outcome'";

/// Up to `limit` rows, the newest first, behind `after`. Rows that arrive meanwhile shift
/// nothing: a page goes on at a row and not at a number.
pub fn search(
    c: &mut Connection,
    filter: &AuditFilter,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Vec<AuditRow>, StoreError> {
    let mut query = audit_event::table.into_boxed::<MultiBackend>();
    if let Some(tenant) = &filter.tenant {
        query = query.filter(dsl::tenant.eq(tenant.to_string()));
    }
    if let Some(from) = filter.from {
        query = query.filter(dsl::at.ge(from.as_micros()));
    }
    if let Some(until) = filter.until {
        query = query.filter(dsl::at.lt(until.as_micros()));
    }
    if let Some(status) = filter.status {
        query = query.filter(dsl::status.eq(status.as_str()));
        if status != CallStatus::Completed {
            query = query.filter(sql::<Nullable<Bool>>(RARE_STATUS));
        }
    }
    if let Some(code) = filter.code {
        query = query.filter(dsl::code.eq(code.as_str()));
    }
    if let Some(region) = &filter.region {
        query = query.filter(dsl::region.eq(region.to_string()));
    }
    if let Some(id) = filter.decision_id {
        query = query.filter(dsl::decision_id.eq(id.to_string()));
    }
    if let [first, others @ ..] = filter.kinds.as_slice() {
        // `eq_any` is one of the things that differ between the backends; a few `OR` do not.
        type Condition =
            Box<dyn BoxableExpression<audit_event::table, MultiBackend, SqlType = Bool>>;
        let mut any: Condition = Box::new(dsl::kind.eq(first.as_str()));
        for kind in others {
            any = Box::new(any.or(dsl::kind.eq(kind.as_str())));
        }
        query = query.filter(any);
        if !filter.kinds.iter().any(|kind| matches!(kind, EventKind::Intent | EventKind::Outcome)) {
            query = query.filter(sql::<Bool>(RARE_KIND));
        }
    }
    if let Some(after) = after {
        let (at, origin) = (after.at.as_micros(), after.origin.to_string());
        // The first condition follows from the second; it lets an index begin at the right place.
        query = query.filter(dsl::at.le(at)).filter(
            dsl::at.lt(at).or(dsl::at.eq(at).and(
                dsl::origin
                    .lt(origin.clone())
                    .or(dsl::origin.eq(origin).and(dsl::log_index.lt(signed(after.index)?))),
            )),
        );
    }
    let rows: Vec<Row> = query
        .order((dsl::at.desc(), dsl::origin.desc(), dsl::log_index.desc()))
        .limit(page(limit))
        .load(c)?;
    rows.into_iter().map(Row::read).collect()
}

/// All rows of one call, in the order of the log: intent and outcome, or the refusal.
pub fn get_by_decision(c: &mut Connection, id: &DecisionId) -> Result<Vec<AuditRow>, StoreError> {
    let rows: Vec<Row> = audit_event::table
        .filter(dsl::decision_id.eq(id.to_string()))
        .order((dsl::origin.asc(), dsl::log_index.asc()))
        .load(c)?;
    rows.into_iter().map(Row::read).collect()
}

#[cfg(test)]
mod tests {
    use diesel::{prelude::*, sql_types::Text};

    use super::{NO_OUTCOME, RARE_KIND, RARE_STATUS};
    use crate::{Connection, Store, StoreError};

    #[derive(QueryableByName)]
    struct Step {
        #[diesel(sql_type = Text)]
        detail: String,
    }

    #[test]
    fn what_is_rare_is_found_by_an_index_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("store.sqlite").display());
        let store = Store::connect(&url).unwrap();
        store.migrate().unwrap();
        let plan = |condition: &str| -> Vec<String> {
            let explain =
                format!("EXPLAIN QUERY PLAN SELECT document FROM audit_event WHERE {condition}");
            let steps = store.read(|c| match c {
                Connection::Sqlite(inner) => {
                    diesel::sql_query(&explain).load::<Step>(inner).map_err(StoreError::from)
                }
                Connection::Postgres(_) => unreachable!("it is SQLite"),
            });
            steps.unwrap().into_iter().map(|step| step.detail).collect()
        };
        let uses = |condition: &str, index: &str| {
            let steps = plan(condition);
            let found = steps.iter().any(|step| step.contains(&format!("INDEX {index} ")));
            assert!(found, "{condition}: {steps:?}");
        };
        let (tenant, status, kind) = ("tenant = 'acme'", "status = 'failed'", "kind = 'refusal'");
        uses(&format!("{status} AND {RARE_STATUS}"), "audit_event_by_status");
        uses(&format!("{tenant} AND {status} AND {RARE_STATUS}"), "audit_event_by_tenant_status");
        uses(&format!("{kind} AND {RARE_KIND}"), "audit_event_by_kind");
        uses(&format!("{tenant} AND {kind} AND {RARE_KIND}"), "audit_event_by_tenant_kind");
        uses(&format!("credential = 'key:a' AND {NO_OUTCOME}"), "audit_event_by_credential");
        uses(tenant, "audit_event_by_tenant");
        let steps = plan(&format!("{status} AND {tenant}"));
        assert!(!steps.iter().any(|step| step.contains("by_tenant_status")), "{steps:?}");
    }
}
