//! Tokens with which a person's programs call the control plane, as that person.

use diesel::prelude::*;
use reeve_domain::{Digest, Timestamp, UserId};

use crate::{Connection, StoreError, column::Column, connection::on_backend, schema::access_token};

/// A token as it is stored: never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// Its public name.
    pub id: String,
    /// Whose it is.
    pub user: UserId,
    /// The name for people.
    pub name: String,
    /// SHA-256 of the secret, which is random.
    pub hash: Digest,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working by itself.
    pub expires_at: Timestamp,
}

type Row = (String, String, String, String, i64, i64);

fn read((id, user, name, hash, created_at, expires_at): Row) -> Result<AccessToken, StoreError> {
    Ok(AccessToken {
        id,
        user: Column("access_token", "user_id").parse(&user)?,
        name,
        hash: Column("access_token", "hash").parse(&hash)?,
        created_at: Timestamp::from_micros(created_at),
        expires_at: Timestamp::from_micros(expires_at),
    })
}

/// Adds a token.
pub fn insert(c: &mut Connection, token: &AccessToken) -> Result<(), StoreError> {
    let row = (
        access_token::id.eq(&token.id),
        access_token::user_id.eq(token.user.as_str()),
        access_token::name.eq(&token.name),
        access_token::hash.eq(token.hash.to_string()),
        access_token::created_at.eq(token.created_at.as_micros()),
        access_token::expires_at.eq(token.expires_at.as_micros()),
    );
    on_backend!(c, inner => diesel::insert_into(access_token::table).values(row).execute(inner))?;
    Ok(())
}

/// The token of a secret's hash, expired or not.
pub fn get(c: &mut Connection, hash: &Digest) -> Result<Option<AccessToken>, StoreError> {
    let row: Option<Row> =
        access_token::table.filter(access_token::hash.eq(hash.to_string())).first(c).optional()?;
    row.map(read).transpose()
}

/// A person's tokens, in the order of their making.
pub fn list(c: &mut Connection, user: &UserId) -> Result<Vec<AccessToken>, StoreError> {
    let rows: Vec<Row> = access_token::table
        .filter(access_token::user_id.eq(user.as_str()))
        .order((access_token::created_at.asc(), access_token::id.asc()))
        .load(c)?;
    rows.into_iter().map(read).collect()
}

/// Takes a person's token back; `NotFound` if it has none of that name.
pub fn delete(c: &mut Connection, user: &UserId, id: &str) -> Result<(), StoreError> {
    let own = access_token::table
        .filter(access_token::user_id.eq(user.as_str()))
        .filter(access_token::id.eq(id));
    match diesel::delete(own).execute(c)? {
        0 => Err(StoreError::NotFound("access token")),
        _ => Ok(()),
    }
}
