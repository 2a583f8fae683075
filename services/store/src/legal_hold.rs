//! What must not be deleted, whoever asks.

use diesel::prelude::*;
use reeve_domain::{SubjectHash, TenantId, Timestamp, UserId};

use crate::{Connection, StoreError, column::Column, schema::legal_hold};

/// One hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Its id.
    pub id: String,
    /// Whose records.
    pub tenant: TenantId,
    /// Only what is about this person; none: everything of the tenant's.
    pub subject: Option<SubjectHash>,
    /// Why.
    pub reason: String,
    /// Who placed it.
    pub by: UserId,
    /// When.
    pub at: Timestamp,
    /// Who released it, and when.
    pub released: Option<(UserId, Timestamp)>,
}

impl Hold {
    /// Whether it keeps what is about this person of this tenant from being deleted.
    pub fn covers(&self, tenant: &TenantId, subject: Option<&SubjectHash>) -> bool {
        self.released.is_none()
            && self.tenant == *tenant
            && self.subject.as_ref().is_none_or(|held| Some(held) == subject)
    }
}

/// Places a hold.
pub fn insert(c: &mut Connection, new: &Hold) -> Result<(), StoreError> {
    let row = (
        legal_hold::id.eq(&new.id),
        legal_hold::tenant.eq(new.tenant.as_str()),
        legal_hold::subject.eq(new.subject.as_ref().map(SubjectHash::as_str)),
        legal_hold::reason.eq(&new.reason),
        legal_hold::placed_by.eq(new.by.as_str()),
        legal_hold::placed_at.eq(new.at.as_micros()),
    );
    diesel::insert_into(legal_hold::table).values(row).execute(c)?;
    Ok(())
}

/// Releases a hold; `NotFound` if there is none that is in force.
pub fn release(c: &mut Connection, id: &str, by: &UserId, at: Timestamp) -> Result<(), StoreError> {
    let held = legal_hold::table.find(id).filter(legal_hold::released_at.is_null());
    let changed = diesel::update(held)
        .set((legal_hold::released_by.eq(by.as_str()), legal_hold::released_at.eq(at.as_micros())))
        .execute(c)?;
    if changed == 0 { Err(StoreError::NotFound("legal hold")) } else { Ok(()) }
}

/// All holds, those in force first, then the newest first.
pub fn list(c: &mut Connection) -> Result<Vec<Hold>, StoreError> {
    type Row = (String, String, Option<String>, String, String, i64, Option<String>, Option<i64>);
    let column = |name| Column("legal_hold", name);
    let rows: Vec<Row> = legal_hold::table.order(legal_hold::placed_at.desc()).load(c)?;
    let mut holds = rows
        .into_iter()
        .map(|(id, tenant, subject, reason, by, at, released_by, released_at)| {
            let released_by = column("released_by").parse_some(released_by.as_deref())?;
            Ok(Hold {
                id,
                tenant: column("tenant").parse(&tenant)?,
                subject: column("subject").parse_some(subject.as_deref())?,
                reason,
                by: column("placed_by").parse(&by)?,
                at: Timestamp::from_micros(at),
                released: released_by.zip(released_at.map(Timestamp::from_micros)),
            })
        })
        .collect::<Result<Vec<_>, StoreError>>()?;
    holds.sort_by_key(|hold| hold.released.is_some());
    Ok(holds)
}
