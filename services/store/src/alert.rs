//! What somebody wants to be told about models, and what there was to tell.

use std::collections::BTreeMap;

use diesel::prelude::*;
use reeve_domain::{Digest, ModelName, Timestamp};

use crate::{
    Connection, StoreError,
    column::{Column, page},
    connection::on_backend,
    schema::{model_alert, model_threshold},
};

/// That a measure of a version passed its threshold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Its id.
    pub id: String,
    /// The model.
    pub model: ModelName,
    /// The version.
    pub digest: Digest,
    /// What was measured.
    pub measure: String,
    /// Its value, in thousandths.
    pub value_permille: i64,
    /// What it passed, in thousandths.
    pub threshold_permille: i64,
    /// Since when.
    pub raised_at: Timestamp,
    /// Until when; none: still.
    pub cleared_at: Option<Timestamp>,
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = model_alert, treat_none_as_default_value = false)]
struct Row {
    id: String,
    model: String,
    digest: String,
    measure: String,
    value_permille: i64,
    threshold_permille: i64,
    raised_at: i64,
    cleared_at: Option<i64>,
}

impl Row {
    fn read(self) -> Result<Alert, StoreError> {
        let column = |name| Column("model_alert", name);
        Ok(Alert {
            id: self.id,
            model: column("model").parse(&self.model)?,
            digest: column("digest").parse(&self.digest)?,
            measure: self.measure,
            value_permille: self.value_permille,
            threshold_permille: self.threshold_permille,
            raised_at: Timestamp::from_micros(self.raised_at),
            cleared_at: self.cleared_at.map(Timestamp::from_micros),
        })
    }
}

/// Raises an alert.
pub fn raise(c: &mut Connection, new: &Alert) -> Result<(), StoreError> {
    let row = Row {
        id: new.id.clone(),
        model: new.model.to_string(),
        digest: new.digest.to_string(),
        measure: new.measure.clone(),
        value_permille: new.value_permille,
        threshold_permille: new.threshold_permille,
        raised_at: new.raised_at.as_micros(),
        cleared_at: new.cleared_at.map(Timestamp::as_micros),
    };
    on_backend!(c, inner => diesel::insert_into(model_alert::table).values(&row).execute(inner))?;
    Ok(())
}

/// Writes down the newest value of an alert that is open.
pub fn update(c: &mut Connection, id: &str, value_permille: i64) -> Result<(), StoreError> {
    diesel::update(model_alert::table.find(id))
        .set(model_alert::value_permille.eq(value_permille))
        .execute(c)?;
    Ok(())
}

/// Clears an alert.
pub fn clear(c: &mut Connection, id: &str, at: Timestamp) -> Result<(), StoreError> {
    diesel::update(model_alert::table.find(id))
        .set(model_alert::cleared_at.eq(at.as_micros()))
        .execute(c)?;
    Ok(())
}

/// Alerts that are open.
pub fn open(c: &mut Connection) -> Result<Vec<Alert>, StoreError> {
    let rows: Vec<Row> = model_alert::table
        .filter(model_alert::cleared_at.is_null())
        .order((model_alert::raised_at.desc(), model_alert::id.desc()))
        .load(c)?;
    rows.into_iter().map(Row::read).collect()
}

/// Up to `limit` alerts, the newest first.
pub fn list(c: &mut Connection, limit: usize) -> Result<Vec<Alert>, StoreError> {
    let rows: Vec<Row> = model_alert::table
        .order((model_alert::raised_at.desc(), model_alert::id.desc()))
        .limit(page(limit))
        .load(c)?;
    rows.into_iter().map(Row::read).collect()
}

/// Sets from where on somebody wants to know; in thousandths.
pub fn set_threshold(
    c: &mut Connection,
    model: &ModelName,
    measure: &str,
    permille: i64,
) -> Result<(), StoreError> {
    let row = (
        model_threshold::model.eq(model.as_str()),
        model_threshold::measure.eq(measure),
        model_threshold::permille.eq(permille),
    );
    on_backend!(c, inner => diesel::insert_into(model_threshold::table)
        .values(row)
        .on_conflict((model_threshold::model, model_threshold::measure))
        .do_update()
        .set(model_threshold::permille.eq(permille))
        .execute(inner))?;
    Ok(())
}

/// What was set, by model and measure.
pub fn thresholds(c: &mut Connection) -> Result<BTreeMap<(String, String), i64>, StoreError> {
    let rows: Vec<(String, String, i64)> = model_threshold::table.load(c)?;
    Ok(rows.into_iter().map(|(model, measure, permille)| ((model, measure), permille)).collect())
}
