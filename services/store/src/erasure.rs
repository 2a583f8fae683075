//! Requests to erase what is kept of a person, and what became of them.

use diesel::prelude::*;
use reeve_domain::{SubjectHash, TenantId, Timestamp, UserId};

use crate::{
    Connection, StoreError,
    column::{Column, page, signed},
    schema::erasure,
};

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// Its id.
    pub id: String,
    /// Whose records.
    pub tenant: TenantId,
    /// Whom they are about.
    pub subject: SubjectHash,
    /// Why.
    pub reason: String,
    /// Who asked.
    pub by: UserId,
    /// When.
    pub at: Timestamp,
    /// What was done, once it is done.
    pub done: Option<Erased>,
}

/// What was erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erased {
    /// When.
    pub at: Timestamp,
    /// Keys that were destroyed: one for each log that had one.
    pub keys: u64,
    /// Ciphertexts that were destroyed.
    pub payloads: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The certificate's place in the control plane's log.
    pub certificate: u64,
}

/// Asks for an erasure.
pub fn insert(c: &mut Connection, new: &Erasure) -> Result<(), StoreError> {
    let row = (
        erasure::id.eq(&new.id),
        erasure::tenant.eq(new.tenant.as_str()),
        erasure::subject.eq(new.subject.as_str()),
        erasure::reason.eq(&new.reason),
        erasure::requested_by.eq(new.by.as_str()),
        erasure::requested_at.eq(new.at.as_micros()),
        erasure::key_count.eq(0),
        erasure::payload_count.eq(0),
        erasure::byte_count.eq(0),
    );
    diesel::insert_into(erasure::table).values(row).execute(c)?;
    Ok(())
}

/// Writes down what was done. What is done already stays as it is.
pub fn finish(c: &mut Connection, id: &str, done: &Erased) -> Result<(), StoreError> {
    diesel::update(erasure::table.find(id).filter(erasure::finished_at.is_null()))
        .set((
            erasure::finished_at.eq(done.at.as_micros()),
            erasure::key_count.eq(signed(done.keys)?),
            erasure::payload_count.eq(signed(done.payloads)?),
            erasure::byte_count.eq(signed(done.bytes)?),
            erasure::certificate.eq(signed(done.certificate)?),
        ))
        .execute(c)?;
    Ok(())
}

type Row = (String, String, String, String, String, i64, Option<i64>, i64, i64, i64, Option<i64>);

fn read(row: Row) -> Result<Erasure, StoreError> {
    let (id, tenant, subject, reason, by, at, finished, keys, payloads, bytes, certificate) = row;
    let column = |name| Column("erasure", name);
    let done = match finished.zip(certificate) {
        None => None,
        Some((at, certificate)) => Some(Erased {
            at: Timestamp::from_micros(at),
            keys: column("key_count").count(keys)?,
            payloads: column("payload_count").count(payloads)?,
            bytes: column("byte_count").count(bytes)?,
            certificate: column("certificate").count(certificate)?,
        }),
    };
    Ok(Erasure {
        id,
        tenant: column("tenant").parse(&tenant)?,
        subject: column("subject").parse(&subject)?,
        reason,
        by: column("requested_by").parse(&by)?,
        at: Timestamp::from_micros(at),
        done,
    })
}

/// The newest requests.
pub fn list(c: &mut Connection, limit: usize) -> Result<Vec<Erasure>, StoreError> {
    let rows: Vec<Row> =
        erasure::table.order(erasure::requested_at.desc()).limit(page(limit)).load(c)?;
    rows.into_iter().map(read).collect()
}

/// Requests that are not done yet, the oldest first.
pub fn pending(c: &mut Connection) -> Result<Vec<Erasure>, StoreError> {
    let rows: Vec<Row> = erasure::table
        .filter(erasure::finished_at.is_null())
        .order(erasure::requested_at.asc())
        .load(c)?;
    rows.into_iter().map(read).collect()
}

/// One request; `NotFound` if there is none.
pub fn get(c: &mut Connection, id: &str) -> Result<Erasure, StoreError> {
    let row: Option<Row> = erasure::table.find(id).first(c).optional()?;
    row.map_or(Err(StoreError::NotFound("erasure")), read)
}
