//! Persons whose data legal entities have sent out of the jurisdictions that protect them, each
//! counted once a year.

use diesel::prelude::*;
use reeve_domain::{DecisionId, Timestamp, Transfer, TransferCount};

use crate::{
    Connection, StoreError,
    column::{Column, signed},
    connection::on_backend,
    schema::{transfer, transfer_total},
};

/// What an entity has sent out in a year.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
    /// The legal entity.
    pub entity: String,
    /// The jurisdiction whose law counts.
    pub law: String,
    /// The calendar year there.
    pub year: i64,
    /// Distinct persons.
    pub count: TransferCount,
}

const fn column(name: &'static str) -> Column {
    Column("transfer_total", name)
}

/// What the count is with this transfer, whether or not it was counted before.
pub fn with(c: &mut Connection, new: &Transfer) -> Result<TransferCount, StoreError> {
    let known = known(c, new)?;
    Ok(added(count(c, new)?, known, new))
}

/// Counts a transfer unless its person is counted already. `permits` is asked for the count with it
/// and says whether it may be; if it may not, nothing is counted and the answer is none. No other
/// transfer of the same entity is counted meanwhile, so that no limit is passed by two at once.
pub fn claim(
    c: &mut Connection,
    new: &Transfer,
    by: &DecisionId,
    at: Timestamp,
    permits: &mut dyn FnMut(TransferCount) -> bool,
) -> Result<Option<TransferCount>, StoreError> {
    lock(c, new)?;
    let known = known(c, new)?;
    let count = added(count(c, new)?, known, new);
    if !permits(count) {
        return Ok(None);
    }
    if known.is_none_or(|sensitive| new.sensitive && !sensitive) {
        let row = (
            transfer::entity.eq(&new.entity),
            transfer::law.eq(&new.law),
            transfer::year.eq(new.year),
            transfer::subject.eq(new.subject.as_str()),
            transfer::sensitive.eq(new.sensitive),
            transfer::decision_id.eq(by.to_string()),
            transfer::at.eq(at.as_micros()),
        );
        on_backend!(c, inner => diesel::insert_into(transfer::table)
            .values(row)
            .on_conflict((transfer::entity, transfer::law, transfer::year, transfer::subject))
            .do_update()
            .set(transfer::sensitive.eq(true))
            .execute(inner))?;
        let (subjects, sensitive) = (signed(count.subjects)?, signed(count.sensitive)?);
        diesel::update(transfer_total::table.find((&new.entity, &new.law, new.year)))
            .set((transfer_total::subjects.eq(subjects), transfer_total::sensitive.eq(sensitive)))
            .execute(c)?;
    }
    Ok(Some(count))
}

/// Every total, the newest year first.
pub fn totals(c: &mut Connection) -> Result<Vec<Total>, StoreError> {
    let rows: Vec<(String, String, i64, i64, i64)> = transfer_total::table
        .order((
            transfer_total::year.desc(),
            transfer_total::entity.asc(),
            transfer_total::law.asc(),
        ))
        .load(c)?;
    rows.into_iter()
        .map(|(entity, law, year, subjects, sensitive)| {
            let subjects = column("subjects").count(subjects)?;
            let sensitive = column("sensitive").count(sensitive)?;
            Ok(Total { entity, law, year, count: TransferCount { subjects, sensitive } })
        })
        .collect()
}

/// Makes the row of the total if there is none, and keeps others from it until the end of the
/// transaction.
fn lock(c: &mut Connection, new: &Transfer) -> Result<(), StoreError> {
    let row = (
        transfer_total::entity.eq(&new.entity),
        transfer_total::law.eq(&new.law),
        transfer_total::year.eq(new.year),
        transfer_total::subjects.eq(0),
        transfer_total::sensitive.eq(0),
    );
    on_backend!(c, inner => diesel::insert_into(transfer_total::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(inner))?;
    diesel::update(transfer_total::table.find((&new.entity, &new.law, new.year)))
        .set(transfer_total::subjects.eq(transfer_total::subjects))
        .execute(c)?;
    Ok(())
}

/// Whether the person is counted, and whether with sensitive data.
fn known(c: &mut Connection, new: &Transfer) -> Result<Option<bool>, StoreError> {
    let subject = new.subject.as_str();
    Ok(transfer::table
        .find((&new.entity, &new.law, new.year, subject))
        .select(transfer::sensitive)
        .first(c)
        .optional()?)
}

fn count(c: &mut Connection, new: &Transfer) -> Result<TransferCount, StoreError> {
    let row: Option<(i64, i64)> = transfer_total::table
        .find((&new.entity, &new.law, new.year))
        .select((transfer_total::subjects, transfer_total::sensitive))
        .first(c)
        .optional()?;
    let (subjects, sensitive) = row.unwrap_or_default();
    Ok(TransferCount {
        subjects: column("subjects").count(subjects)?,
        sensitive: column("sensitive").count(sensitive)?,
    })
}

fn added(count: TransferCount, known: Option<bool>, new: &Transfer) -> TransferCount {
    let newly_sensitive = new.sensitive && known != Some(true);
    TransferCount {
        subjects: count.subjects.saturating_add(u64::from(known.is_none())),
        sensitive: count.sensitive.saturating_add(u64::from(newly_sensitive)),
    }
}
