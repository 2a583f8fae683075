//! Sessions of the console.

use diesel::prelude::*;
use reeve_domain::{Digest, Timestamp, UserId};

use crate::{
    Connection, StoreError, column::Column, connection::on_backend, schema::console_session,
};

/// A signed-in browser.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// SHA-256 of the cookie's value, which itself is not stored.
    pub token_hash: Digest,
    /// Who signed in.
    pub user: UserId,
    /// What every changing request must repeat.
    pub csrf: String,
    /// When the person signed in.
    pub created_at: Timestamp,
    /// When the session ends by itself.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("user", &self.user)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Adds a session; `Conflict` if its user does not exist.
pub fn insert(c: &mut Connection, session: &Session) -> Result<(), StoreError> {
    let row = (
        console_session::token_hash.eq(session.token_hash.to_string()),
        console_session::user_id.eq(session.user.as_str()),
        console_session::csrf.eq(&session.csrf),
        console_session::created_at.eq(session.created_at.as_micros()),
        console_session::expires_at.eq(session.expires_at.as_micros()),
    );
    on_backend!(c, inner => diesel::insert_into(console_session::table)
        .values(row)
        .execute(inner))?;
    Ok(())
}

/// One session, expired or not: the caller has the clock.
pub fn get(c: &mut Connection, token_hash: &Digest) -> Result<Option<Session>, StoreError> {
    let row: Option<(String, String, String, i64, i64)> =
        console_session::table.find(token_hash.to_string()).first(c).optional()?;
    row.map(|(_, user, csrf, created_at, expires_at)| {
        Ok(Session {
            token_hash: *token_hash,
            user: Column("console_session", "user_id").parse(&user)?,
            csrf,
            created_at: Timestamp::from_micros(created_at),
            expires_at: Timestamp::from_micros(expires_at),
        })
    })
    .transpose()
}

/// Ends a session. False if there was none.
pub fn delete(c: &mut Connection, token_hash: &Digest) -> Result<bool, StoreError> {
    Ok(diesel::delete(console_session::table.find(token_hash.to_string())).execute(c)? > 0)
}

/// Removes the sessions that ended at `now` or before. Gives how many.
pub fn delete_expired(c: &mut Connection, now: Timestamp) -> Result<usize, StoreError> {
    Ok(diesel::delete(
        console_session::table.filter(console_session::expires_at.le(now.as_micros())),
    )
    .execute(c)?)
}
