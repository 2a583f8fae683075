use diesel::prelude::*;
use reeve_domain::DecisionId;

use super::{AuditFilter, AuditRow, Cursor, row::Row};
use crate::{
    Connection, StoreError,
    column::{page, signed},
    connection::MultiBackend,
    schema::audit_event::{self, dsl},
};

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
        type Condition = Box<
            dyn BoxableExpression<
                    audit_event::table,
                    MultiBackend,
                    SqlType = diesel::sql_types::Bool,
                >,
        >;
        let mut any: Condition = Box::new(dsl::kind.eq(first.as_str()));
        for kind in others {
            any = Box::new(any.or(dsl::kind.eq(kind.as_str())));
        }
        query = query.filter(any);
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
