//! How long what is kept.

use diesel::prelude::*;
use reeve_domain::{Retention, RetentionCategory, Timestamp};

use crate::{
    Connection, StoreError,
    column::Column,
    connection::on_backend,
    schema::{retention_horizon, retention_report, retention_rule},
};

/// How long each category is kept, in their order.
pub fn rules(c: &mut Connection) -> Result<Vec<Retention>, StoreError> {
    let rows: Vec<(String, i64, Option<i64>)> = retention_rule::table.load(c)?;
    let column = |name| Column("retention_rule", name);
    let days = |name, days: i64| {
        u32::try_from(days).map_err(|why| column(name).corrupt(&days.to_string(), why))
    };
    let mut rules: Vec<Retention> =
        RetentionCategory::ALL.iter().map(|category| Retention::default_of(*category)).collect();
    for (category, floor, ceiling) in rows {
        let rule = Retention {
            category: column("category").parse(&category)?,
            floor_days: days("floor_days", floor)?,
            ceiling_days: ceiling.map(|ceiling| days("ceiling_days", ceiling)).transpose()?,
        };
        if let Some(known) = rules.iter_mut().find(|known| known.category == rule.category) {
            *known = rule;
        }
    }
    Ok(rules)
}

/// Changes how long a category is kept.
pub fn set(c: &mut Connection, rule: &Retention) -> Result<(), StoreError> {
    let change = (
        retention_rule::floor_days.eq(i64::from(rule.floor_days)),
        retention_rule::ceiling_days.eq(rule.ceiling_days.map(i64::from)),
    );
    let row = (retention_rule::category.eq(rule.category.as_str()), change);
    on_backend!(c, inner => diesel::insert_into(retention_rule::table)
        .values(row)
        .on_conflict(retention_rule::category)
        .do_update()
        .set(change)
        .execute(inner))?;
    Ok(())
}

/// Keeps what a look at all records found, as JSON, in the place of the last.
pub fn set_report(c: &mut Connection, at: Timestamp, document: &str) -> Result<(), StoreError> {
    let change = (retention_report::at.eq(at.as_micros()), retention_report::document.eq(document));
    on_backend!(c, inner => diesel::insert_into(retention_report::table)
        .values((retention_report::id.eq(1), change))
        .on_conflict(retention_report::id)
        .do_update()
        .set(change)
        .execute(inner))?;
    Ok(())
}

/// What the last look found, and when it was.
pub fn report(c: &mut Connection) -> Result<Option<(Timestamp, String)>, StoreError> {
    let row: Option<(i64, String)> = retention_report::table
        .find(1)
        .select((retention_report::at, retention_report::document))
        .first(c)
        .optional()?;
    Ok(row.map(|(at, document)| (Timestamp::from_micros(at), document)))
}

/// Up to which day records have been deleted; up to then the sums of use are closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Horizon {
    /// Records of any kind.
    pub any: Option<String>,
    /// Records of calls, which make the sums of a month.
    pub calls: Option<String>,
}

const ANY: i64 = 1;
const CALLS: i64 = 2;

/// The horizon.
pub fn horizon(c: &mut Connection) -> Result<Horizon, StoreError> {
    let rows: Vec<(i64, String)> = retention_horizon::table.load(c)?;
    let of = |id| rows.iter().find(|row| row.0 == id).map(|row| row.1.clone());
    Ok(Horizon { any: of(ANY), calls: of(CALLS) })
}

/// Moves the horizon to a day, if it is not behind it already.
pub(crate) fn move_horizon(c: &mut Connection, day: &str, is_call: bool) -> Result<(), StoreError> {
    let before = horizon(c)?;
    for (id, before) in [(ANY, before.any), (CALLS, before.calls)] {
        if (id == CALLS && !is_call) || before.is_some_and(|before| before.as_str() >= day) {
            continue;
        }
        let change = retention_horizon::day.eq(day);
        on_backend!(c, inner => diesel::insert_into(retention_horizon::table)
            .values((retention_horizon::id.eq(id), change))
            .on_conflict(retention_horizon::id)
            .do_update()
            .set(change)
            .execute(inner))?;
    }
    Ok(())
}
