//! API keys: their keyed hashes, never the secrets.

use diesel::{
    dsl::{max, sql},
    prelude::*,
    sql_types::Bool,
};
use reeve_domain::{ApiKey, KeyId, TenantId, Timestamp};

use crate::{
    Connection, StoreError, audit,
    column::Column,
    connection::{MultiBackend, on_backend},
    revision,
    schema::{api_key, audit_event},
};

#[derive(Queryable, Insertable)]
#[diesel(table_name = api_key, treat_none_as_default_value = false)]
struct Row {
    id: String,
    tenant: String,
    name: String,
    prefix: String,
    hash: String,
    scopes: String,
    created_at: i64,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    holder: Option<String>,
}

const fn column(name: &'static str) -> Column {
    Column("api_key", name)
}

impl Row {
    fn of(key: &ApiKey) -> Result<Self, StoreError> {
        Ok(Self {
            id: key.id.to_string(),
            tenant: key.tenant.to_string(),
            name: key.name.clone(),
            prefix: key.prefix.clone(),
            hash: key.hash.to_string(),
            scopes: column("scopes").to_json(&key.scopes)?,
            created_at: key.created_at.as_micros(),
            expires_at: key.expires_at.map(Timestamp::as_micros),
            revoked_at: key.revoked_at.map(Timestamp::as_micros),
            holder: key.holder.clone(),
        })
    }

    fn key(self) -> Result<ApiKey, StoreError> {
        Ok(ApiKey {
            id: column("id").parse(&self.id)?,
            tenant: column("tenant").parse(&self.tenant)?,
            name: self.name,
            prefix: self.prefix,
            // A hash is not repeated in an error.
            hash: self.hash.parse().map_err(|_| column("hash").corrupt("…", "not a digest"))?,
            scopes: column("scopes").json(&self.scopes)?,
            created_at: Timestamp::from_micros(self.created_at),
            expires_at: self.expires_at.map(Timestamp::from_micros),
            revoked_at: self.revoked_at.map(Timestamp::from_micros),
            holder: self.holder,
        })
    }
}

/// Adds a key; `Conflict` if its id is taken or its tenant does not exist.
pub fn insert(c: &mut Connection, new: &ApiKey) -> Result<(), StoreError> {
    let row = Row::of(new)?;
    on_backend!(c, inner => diesel::insert_into(api_key::table).values(&row).execute(inner))?;
    revision::bump(c)
}

/// All keys of a tenant, revoked ones too, in the order of their creation.
pub fn list(c: &mut Connection, tenant: &TenantId) -> Result<Vec<ApiKey>, StoreError> {
    let rows: Vec<Row> = api_key::table
        .filter(api_key::tenant.eq(tenant.as_str()))
        .order((api_key::created_at.asc(), api_key::id.asc()))
        .load(c)?;
    rows.into_iter().map(Row::key).collect()
}

/// The keys of all tenants that are not revoked.
pub(crate) fn list_valid(c: &mut Connection) -> Result<Vec<ApiKey>, StoreError> {
    let rows: Vec<Row> =
        api_key::table.filter(api_key::revoked_at.is_null()).order(api_key::id.asc()).load(c)?;
    rows.into_iter().map(Row::key).collect()
}

/// One key.
pub fn get(c: &mut Connection, id: &KeyId) -> Result<Option<ApiKey>, StoreError> {
    let row: Option<Row> = api_key::table.find(id.as_str()).first(c).optional()?;
    row.map(Row::key).transpose()
}

/// Ends a key at `at`. False if there is none or it was revoked before; the first time stays.
pub fn revoke(c: &mut Connection, id: &KeyId, at: Timestamp) -> Result<bool, StoreError> {
    let changed = diesel::update(
        api_key::table.filter(api_key::id.eq(id.as_str())).filter(api_key::revoked_at.is_null()),
    )
    .set(api_key::revoked_at.eq(at.as_micros()))
    .execute(c)?;
    if changed == 0 {
        return Ok(false);
    }
    revision::bump(c)?;
    Ok(true)
}

/// When a key last made a call that was recorded, as far as the logs are indexed.
pub fn last_used(c: &mut Connection, id: &KeyId) -> Result<Option<Timestamp>, StoreError> {
    let at: Option<i64> = audit_event::table
        .into_boxed::<MultiBackend>()
        .filter(audit_event::credential.eq(audit::key_credential(id)))
        .filter(sql::<Bool>(audit::NO_OUTCOME))
        .select(max(audit_event::at))
        .first(c)?;
    Ok(at.map(Timestamp::from_micros))
}
