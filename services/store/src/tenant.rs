//! Tenants.

use std::collections::BTreeSet;

use diesel::prelude::*;
use reeve_domain::{LegalFacts, Purpose, Tenant, TenantFacts, TenantId, TenantStatus, Timestamp};

use crate::{
    Connection, StoreError,
    column::{Column, page},
    connection::{MultiBackend, on_backend},
    revision,
    schema::tenant,
};

#[derive(Queryable, Insertable)]
#[diesel(table_name = tenant, treat_none_as_default_value = false)]
struct Row {
    id: String,
    display_name: String,
    plan: String,
    status: String,
    residency: String,
    purposes: String,
    labels: String,
    created_at: i64,
    legal: String,
}

const fn column(name: &'static str) -> Column {
    Column("tenant", name)
}

const fn status_word(status: TenantStatus) -> &'static str {
    match status {
        TenantStatus::Active => "active",
        TenantStatus::Suspended => "suspended",
    }
}

impl Row {
    fn of(tenant: &Tenant) -> Result<Self, StoreError> {
        Ok(Self {
            id: tenant.facts.id.to_string(),
            display_name: tenant.display_name.clone(),
            plan: tenant.plan.to_string(),
            status: status_word(tenant.status).to_owned(),
            residency: column("residency").to_json(&tenant.facts.residency)?,
            purposes: column("purposes").to_json(&tenant.facts.purposes)?,
            labels: column("labels").to_json(&tenant.facts.labels)?,
            created_at: tenant.created_at.as_micros(),
            legal: column("legal").to_json(&tenant.facts.legal)?,
        })
    }

    fn tenant(self) -> Result<Tenant, StoreError> {
        Ok(Tenant {
            facts: TenantFacts {
                id: column("id").parse(&self.id)?,
                residency: column("residency").json(&self.residency)?,
                purposes: column("purposes").json(&self.purposes)?,
                labels: column("labels").json(&self.labels)?,
                legal: column("legal").json(&self.legal)?,
            },
            display_name: self.display_name,
            plan: column("plan").parse(&self.plan)?,
            status: column("status").word(&self.status)?,
            created_at: Timestamp::from_micros(self.created_at),
        })
    }
}

/// Adds a tenant; `Conflict` if its id is taken.
pub fn insert(c: &mut Connection, new: &Tenant) -> Result<(), StoreError> {
    let row = Row::of(new)?;
    on_backend!(c, inner => diesel::insert_into(tenant::table).values(&row).execute(inner))?;
    revision::bump(c)
}

/// One tenant.
pub fn get(c: &mut Connection, id: &TenantId) -> Result<Option<Tenant>, StoreError> {
    let row: Option<Row> = tenant::table.find(id.as_str()).first(c).optional()?;
    row.map(Row::tenant).transpose()
}

/// Up to `limit` tenants in the order of their ids, beginning behind `after`.
pub fn list(
    c: &mut Connection,
    after: Option<&TenantId>,
    limit: usize,
) -> Result<Vec<Tenant>, StoreError> {
    let mut query = tenant::table.into_boxed::<MultiBackend>();
    if let Some(after) = after {
        query = query.filter(tenant::id.gt(after.as_str().to_owned()));
    }
    let rows: Vec<Row> = query.order(tenant::id.asc()).limit(page(limit)).load(c)?;
    rows.into_iter().map(Row::tenant).collect()
}

/// Lets a tenant call, or stops it; `NotFound` if there is none.
pub fn set_status(
    c: &mut Connection,
    id: &TenantId,
    status: TenantStatus,
) -> Result<(), StoreError> {
    let changed = diesel::update(tenant::table.find(id.as_str()))
        .set(tenant::status.eq(status_word(status)))
        .execute(c)?;
    if changed == 0 {
        return Err(StoreError::NotFound("tenant"));
    }
    revision::bump(c)
}

/// Replaces what is on file for a tenant; `NotFound` if there is none.
pub fn set_legal(c: &mut Connection, id: &TenantId, legal: &LegalFacts) -> Result<(), StoreError> {
    let done = diesel::update(tenant::table.find(id.as_str()))
        .set(tenant::legal.eq(column("legal").to_json(legal)?))
        .execute(c)?;
    if done == 0 {
        return Err(StoreError::NotFound("tenant"));
    }
    revision::bump(c)
}

/// Replaces the purposes that a tenant has registered; `NotFound` if there is no such tenant.
pub fn set_purposes(
    c: &mut Connection,
    id: &TenantId,
    purposes: &BTreeSet<Purpose>,
) -> Result<(), StoreError> {
    let done = diesel::update(tenant::table.find(id.as_str()))
        .set(tenant::purposes.eq(column("purposes").to_json(purposes)?))
        .execute(c)?;
    if done == 0 {
        return Err(StoreError::NotFound("tenant"));
    }
    revision::bump(c)
}
