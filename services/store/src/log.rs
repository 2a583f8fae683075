//! The logs of the ledger that this installation keeps, and what their last verification found.

use diesel::prelude::*;
use reeve_domain::{Origin, Timestamp};

use crate::{
    Connection, StoreError,
    column::{Column, signed},
    connection::on_backend,
    schema::ledger_log,
};

/// One log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Its name.
    pub origin: Origin,
    /// Its public key as a C2SP signed-note verifier key.
    pub vkey: String,
    /// The directory that holds it.
    pub dir: String,
    /// When it was last verified.
    pub verified_at: Option<Timestamp>,
    /// How many leaves it had then.
    pub verified_size: Option<u64>,
    /// What was found then, as a JSON array; empty if nothing.
    pub findings: Option<String>,
}

/// Adds a log, or replaces its key and directory. What the last verification found stays.
pub fn register(
    c: &mut Connection,
    origin: &Origin,
    vkey: &str,
    dir: &str,
) -> Result<(), StoreError> {
    let row = (
        ledger_log::origin.eq(origin.as_str()),
        ledger_log::vkey.eq(vkey),
        ledger_log::dir.eq(dir),
    );
    on_backend!(c, inner => diesel::insert_into(ledger_log::table)
        .values(row)
        .on_conflict(ledger_log::origin)
        .do_update()
        .set((ledger_log::vkey.eq(vkey), ledger_log::dir.eq(dir)))
        .execute(inner))?;
    Ok(())
}

/// All logs in the order of their names.
pub fn list(c: &mut Connection) -> Result<Vec<Log>, StoreError> {
    type Row = (String, String, String, Option<i64>, Option<i64>, Option<String>);
    let rows: Vec<Row> = ledger_log::table.order(ledger_log::origin.asc()).load(c)?;
    rows.into_iter()
        .map(|(origin, vkey, dir, verified_at, verified_size, findings)| {
            Ok(Log {
                origin: Column("ledger_log", "origin").parse(&origin)?,
                vkey,
                dir,
                verified_at: verified_at.map(Timestamp::from_micros),
                verified_size: verified_size
                    .map(|size| Column("ledger_log", "verified_size").count(size))
                    .transpose()?,
                findings,
            })
        })
        .collect()
}

/// Keeps what a verification at `at` found in a log of `size` leaves: `findings` is a JSON array.
/// `NotFound` if the log is not registered.
pub fn set_verified(
    c: &mut Connection,
    origin: &Origin,
    at: Timestamp,
    size: u64,
    findings: &str,
) -> Result<(), StoreError> {
    let changed = diesel::update(ledger_log::table.find(origin.as_str()))
        .set((
            ledger_log::verified_at.eq(at.as_micros()),
            ledger_log::verified_size.eq(signed(size)?),
            ledger_log::findings.eq(findings),
        ))
        .execute(c)?;
    if changed == 0 {
        return Err(StoreError::NotFound("log"));
    }
    Ok(())
}
