//! Issuers of JSON Web Tokens that tenants trust.

use diesel::prelude::*;
use reeve_domain::JwtIssuer;

use crate::{
    Connection, StoreError, column::Column, connection::on_backend, revision, schema::jwt_issuer,
};

#[derive(Queryable, Insertable, AsChangeset)]
#[diesel(table_name = jwt_issuer, treat_none_as_default_value = false)]
struct Row {
    issuer: String,
    tenant: String,
    algorithm: String,
    public_key: String,
}

/// Adds an issuer or replaces what is known of it. `Conflict` if it speaks for another tenant
/// already: an issuer names exactly one.
pub fn upsert(c: &mut Connection, issuer: &JwtIssuer) -> Result<(), StoreError> {
    let owner: Option<String> =
        jwt_issuer::table.find(&issuer.issuer).select(jwt_issuer::tenant).first(c).optional()?;
    if owner.is_some_and(|owner| owner != issuer.tenant.as_str()) {
        return Err(StoreError::Conflict(format!(
            "issuer `{}` speaks for another tenant",
            issuer.issuer
        )));
    }
    let row = Row {
        issuer: issuer.issuer.clone(),
        tenant: issuer.tenant.to_string(),
        algorithm: issuer.algorithm.clone(),
        public_key: issuer.public_key.clone(),
    };
    on_backend!(c, inner => diesel::insert_into(jwt_issuer::table)
        .values(&row)
        .on_conflict(jwt_issuer::issuer)
        .do_update()
        .set(&row)
        .execute(inner))?;
    revision::bump(c)
}

/// All issuers.
pub fn list(c: &mut Connection) -> Result<Vec<JwtIssuer>, StoreError> {
    let rows: Vec<Row> = jwt_issuer::table.order(jwt_issuer::issuer.asc()).load(c)?;
    rows.into_iter()
        .map(|row| {
            Ok(JwtIssuer {
                issuer: row.issuer,
                tenant: Column("jwt_issuer", "tenant").parse(&row.tenant)?,
                algorithm: row.algorithm,
                public_key: row.public_key,
            })
        })
        .collect()
}

/// Ends the trust in an issuer. False if there was none.
pub fn delete(c: &mut Connection, issuer: &str) -> Result<bool, StoreError> {
    if diesel::delete(jwt_issuer::table.find(issuer)).execute(c)? == 0 {
        return Ok(false);
    }
    revision::bump(c)?;
    Ok(true)
}
