//! Model versions that are served.

use diesel::prelude::*;
use reeve_domain::{Digest, ModelFacts, ModelVersion};

use crate::{
    Connection, StoreError, column::Column, connection::on_backend, revision, schema::model_version,
};

#[derive(Queryable, Insertable, AsChangeset)]
#[diesel(table_name = model_version, treat_none_as_default_value = false)]
struct Row {
    name: String,
    version: String,
    digest: String,
    generative: bool,
    risk_class: String,
    labels: String,
    shared_with: String,
    conformity: bool,
    instructions: bool,
}

const fn column(name: &'static str) -> Column {
    Column("model_version", name)
}

/// Adds a version or replaces what is known of it.
pub fn upsert(c: &mut Connection, model: &ModelVersion) -> Result<(), StoreError> {
    let row = Row {
        name: model.facts.name.to_string(),
        version: model.facts.version.clone(),
        digest: model.facts.digest.to_string(),
        generative: model.facts.generative,
        risk_class: model.facts.risk_class.clone(),
        labels: column("labels").to_json(&model.labels)?,
        shared_with: column("shared_with").to_json(&model.shared_with)?,
        conformity: model.facts.conformity,
        instructions: model.facts.instructions,
    };
    on_backend!(c, inner => diesel::insert_into(model_version::table)
        .values(&row)
        .on_conflict((model_version::name, model_version::version))
        .do_update()
        .set(&row)
        .execute(inner))?;
    revision::bump(c)
}

/// All versions, in the order of name and version.
pub fn list(c: &mut Connection) -> Result<Vec<ModelVersion>, StoreError> {
    let rows: Vec<Row> = model_version::table
        .order((model_version::name.asc(), model_version::version.asc()))
        .load(c)?;
    rows.into_iter()
        .map(|row| {
            Ok(ModelVersion {
                facts: ModelFacts {
                    name: column("name").parse(&row.name)?,
                    version: row.version,
                    digest: column("digest").parse(&row.digest)?,
                    generative: row.generative,
                    risk_class: row.risk_class,
                    conformity: row.conformity,
                    instructions: row.instructions,
                },
                labels: column("labels").json(&row.labels)?,
                shared_with: column("shared_with").json(&row.shared_with)?,
            })
        })
        .collect()
}

/// Changes what is on file for a model version; `NotFound` if it is not known.
pub fn set_papers(
    c: &mut Connection,
    digest: &Digest,
    risk_class: &str,
    conformity: bool,
    instructions: bool,
) -> Result<(), StoreError> {
    let changed =
        diesel::update(model_version::table.filter(model_version::digest.eq(digest.to_string())))
            .set((
                model_version::risk_class.eq(risk_class),
                model_version::conformity.eq(conformity),
                model_version::instructions.eq(instructions),
            ))
            .execute(c)?;
    match changed {
        0 => Err(StoreError::NotFound("model version")),
        _ => revision::bump(c),
    }
}
