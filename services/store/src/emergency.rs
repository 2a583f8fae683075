//! Emergencies in which somebody broke the glass for a tenant, and their reviews.

use diesel::prelude::*;
use reeve_domain::{TenantId, Timestamp, UserId};

use crate::{Connection, StoreError, column::Column, connection::on_backend, schema::emergency};

/// An emergency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emergency {
    /// Its id.
    pub id: String,
    /// For whom rules yield.
    pub tenant: TenantId,
    /// Why.
    pub reason: String,
    /// Who broke the glass.
    pub by: UserId,
    /// When.
    pub at: Timestamp,
    /// Until when rules yield.
    pub until: Timestamp,
    /// What a second person found when it was reviewed.
    pub review: Option<Review>,
}

/// The review of an emergency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// Who reviewed it; never who broke the glass.
    pub by: UserId,
    /// When.
    pub at: Timestamp,
    /// What was found.
    pub findings: String,
}

type Row = (String, String, String, String, i64, i64, Option<String>, Option<i64>, Option<String>);

const fn column(name: &'static str) -> Column {
    Column("emergency", name)
}

fn read(row: Row) -> Result<Emergency, StoreError> {
    let (id, tenant, reason, by, at, until, reviewed_by, reviewed_at, findings) = row;
    let review = match (reviewed_by, reviewed_at) {
        (Some(by), Some(at)) => Some(Review {
            by: column("reviewed_by").parse(&by)?,
            at: Timestamp::from_micros(at),
            findings: findings.unwrap_or_default(),
        }),
        _ => None,
    };
    Ok(Emergency {
        id,
        tenant: column("tenant").parse(&tenant)?,
        reason,
        by: column("by_user").parse(&by)?,
        at: Timestamp::from_micros(at),
        until: Timestamp::from_micros(until),
        review,
    })
}

/// Adds an emergency that is not reviewed yet.
pub fn insert(c: &mut Connection, new: &Emergency) -> Result<(), StoreError> {
    let row = (
        emergency::id.eq(&new.id),
        emergency::tenant.eq(new.tenant.as_str()),
        emergency::reason.eq(&new.reason),
        emergency::by_user.eq(new.by.as_str()),
        emergency::at.eq(new.at.as_micros()),
        emergency::until_at.eq(new.until.as_micros()),
    );
    on_backend!(c, inner => diesel::insert_into(emergency::table).values(row).execute(inner))?;
    Ok(())
}

/// One emergency.
pub fn get(c: &mut Connection, id: &str) -> Result<Option<Emergency>, StoreError> {
    let row: Option<Row> = emergency::table.find(id).first(c).optional()?;
    row.map(read).transpose()
}

/// All emergencies, the newest first.
pub fn list(c: &mut Connection) -> Result<Vec<Emergency>, StoreError> {
    let rows: Vec<Row> =
        emergency::table.order((emergency::at.desc(), emergency::id.desc())).load(c)?;
    rows.into_iter().map(read).collect()
}

/// Writes down a review; `Conflict` if there is one already.
pub fn review(c: &mut Connection, id: &str, review: &Review) -> Result<(), StoreError> {
    let open =
        emergency::table.filter(emergency::id.eq(id)).filter(emergency::reviewed_by.is_null());
    let done = diesel::update(open)
        .set((
            emergency::reviewed_by.eq(review.by.as_str()),
            emergency::reviewed_at.eq(review.at.as_micros()),
            emergency::findings.eq(&review.findings),
        ))
        .execute(c)?;
    match done {
        0 => Err(StoreError::Conflict("the emergency was reviewed already".to_owned())),
        _ => Ok(()),
    }
}
