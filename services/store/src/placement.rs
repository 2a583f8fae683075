//! In which regions which bundles are to be served, and how far the pods have come with them.

use diesel::prelude::*;
use reeve_domain::{Digest, PodId, Region, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Connection, StoreError,
    column::Column,
    connection::on_backend,
    schema::{model_placement, pod_model},
};

/// That the pods of a region shall serve a bundle, or shall not any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The bundle.
    pub digest: Digest,
    /// Where.
    pub region: Region,
    /// Whether it shall be served; if not, the row is there until every pod has unloaded it.
    pub wanted: bool,
    /// Since when.
    pub changed_at: Timestamp,
    /// Who wanted it.
    pub changed_by: String,
}

/// How far a pod has come with a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PodModelState {
    /// It was told to load it.
    Loading,
    /// It serves it.
    Ready,
    /// It could not load it.
    Failed,
    /// Gateways send it no more calls for it; it is unloaded when those under way have ended.
    Leaving,
}

impl PodModelState {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::Leaving => "leaving",
        }
    }
}

/// How far a pod has come with a bundle, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodModel {
    /// The pod.
    pub pod: PodId,
    /// The bundle.
    pub digest: Digest,
    /// How far.
    pub state: PodModelState,
    /// Why it failed.
    pub failure: Option<String>,
    /// Since when.
    pub at: Timestamp,
}

#[derive(Queryable, Insertable, AsChangeset)]
#[diesel(table_name = model_placement, treat_none_as_default_value = false)]
struct Row {
    digest: String,
    region: String,
    wanted: bool,
    changed_at: i64,
    changed_by: String,
}

#[derive(Queryable, Insertable, AsChangeset)]
#[diesel(table_name = pod_model, treat_none_as_default_value = false, treat_none_as_null = true)]
struct PodRow {
    pod: String,
    digest: String,
    state: String,
    failure: Option<String>,
    at: i64,
}

/// Wants a bundle to be served in a region, or not any more.
pub fn set(c: &mut Connection, new: &Placement) -> Result<(), StoreError> {
    let row = Row {
        digest: new.digest.to_string(),
        region: new.region.to_string(),
        wanted: new.wanted,
        changed_at: new.changed_at.as_micros(),
        changed_by: new.changed_by.clone(),
    };
    on_backend!(c, inner => diesel::insert_into(model_placement::table)
        .values(&row)
        .on_conflict((model_placement::digest, model_placement::region))
        .do_update()
        .set(&row)
        .execute(inner))?;
    Ok(())
}

/// Forgets a placement that is not wanted and that every pod has followed.
pub fn forget(c: &mut Connection, digest: &Digest, region: &Region) -> Result<(), StoreError> {
    let row = model_placement::table
        .find((digest.to_string(), region.as_str()))
        .filter(model_placement::wanted.eq(false));
    diesel::delete(row).execute(c)?;
    Ok(())
}

/// All placements in the order of bundle and region.
pub fn list(c: &mut Connection) -> Result<Vec<Placement>, StoreError> {
    let column = |name| Column("model_placement", name);
    let rows: Vec<Row> = model_placement::table
        .order((model_placement::digest.asc(), model_placement::region.asc()))
        .load(c)?;
    rows.into_iter()
        .map(|row| {
            Ok(Placement {
                digest: column("digest").parse(&row.digest)?,
                region: column("region").parse(&row.region)?,
                wanted: row.wanted,
                changed_at: Timestamp::from_micros(row.changed_at),
                changed_by: row.changed_by,
            })
        })
        .collect()
}

/// Writes down how far a pod has come.
pub fn note(c: &mut Connection, new: &PodModel) -> Result<(), StoreError> {
    let row = PodRow {
        pod: new.pod.to_string(),
        digest: new.digest.to_string(),
        state: new.state.as_str().to_owned(),
        failure: new.failure.clone(),
        at: new.at.as_micros(),
    };
    on_backend!(c, inner => diesel::insert_into(pod_model::table)
        .values(&row)
        .on_conflict((pod_model::pod, pod_model::digest))
        .do_update()
        .set(&row)
        .execute(inner))?;
    Ok(())
}

/// Forgets what a pod had of a bundle: it has it no more.
pub fn gone(c: &mut Connection, pod: &PodId, digest: &Digest) -> Result<(), StoreError> {
    diesel::delete(pod_model::table.find((pod.as_str(), digest.to_string()))).execute(c)?;
    Ok(())
}

/// How far all pods have come, in the order of pod and bundle.
pub fn progress(c: &mut Connection) -> Result<Vec<PodModel>, StoreError> {
    let column = |name| Column("pod_model", name);
    let rows: Vec<PodRow> =
        pod_model::table.order((pod_model::pod.asc(), pod_model::digest.asc())).load(c)?;
    rows.into_iter()
        .map(|row| {
            Ok(PodModel {
                pod: column("pod").parse(&row.pod)?,
                digest: column("digest").parse(&row.digest)?,
                state: column("state").word(&row.state)?,
                failure: row.failure,
                at: Timestamp::from_micros(row.at),
            })
        })
        .collect()
}
