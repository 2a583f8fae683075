//! Pods.

use diesel::prelude::*;
use reeve_domain::{Digest, Pod, PodId};

use crate::{
    Connection, StoreError, column::Column, connection::on_backend, revision, schema::pod,
};

#[derive(Queryable, Insertable, AsChangeset)]
#[diesel(table_name = pod, treat_none_as_default_value = false)]
struct Row {
    id: String,
    region: String,
    url: String,
    models: String,
    draining: bool,
}

const fn column(name: &'static str) -> Column {
    Column("pod", name)
}

/// Adds a pod or replaces what is known of it.
pub fn upsert(c: &mut Connection, new: &Pod) -> Result<(), StoreError> {
    let row = Row {
        id: new.id.to_string(),
        region: new.region.to_string(),
        url: new.url.clone(),
        models: column("models").to_json(&new.models)?,
        draining: new.draining,
    };
    on_backend!(c, inner => diesel::insert_into(pod::table)
        .values(&row)
        .on_conflict(pod::id)
        .do_update()
        .set(&row)
        .execute(inner))?;
    revision::bump(c)
}

/// All pods in the order of their ids.
pub fn list(c: &mut Connection) -> Result<Vec<Pod>, StoreError> {
    let rows: Vec<Row> = pod::table.order(pod::id.asc()).load(c)?;
    rows.into_iter()
        .map(|row| {
            Ok(Pod {
                id: column("id").parse(&row.id)?,
                region: column("region").parse(&row.region)?,
                url: row.url,
                models: column("models").json(&row.models)?,
                draining: row.draining,
            })
        })
        .collect()
}

/// Takes a pod out of service or back into it; `NotFound` if there is none.
pub fn set_draining(c: &mut Connection, id: &PodId, draining: bool) -> Result<(), StoreError> {
    let changed =
        diesel::update(pod::table.find(id.as_str())).set(pod::draining.eq(draining)).execute(c)?;
    if changed == 0 {
        return Err(StoreError::NotFound("pod"));
    }
    revision::bump(c)
}

/// Notes that a pod serves a bundle, or does not; `NotFound` if there is no such pod.
pub fn set_serves(
    c: &mut Connection,
    id: &PodId,
    digest: &Digest,
    serves: bool,
) -> Result<(), StoreError> {
    let models: String = pod::table
        .find(id.as_str())
        .select(pod::models)
        .first(c)
        .optional()?
        .ok_or(StoreError::NotFound("pod"))?;
    let mut models: Vec<Digest> = column("models").json(&models)?;
    models.retain(|model| model != digest);
    if serves {
        models.push(*digest);
    }
    let models = column("models").to_json(&models)?;
    diesel::update(pod::table.find(id.as_str())).set(pod::models.eq(models)).execute(c)?;
    revision::bump(c)
}
