//! Versions of models.

use diesel::prelude::*;
use reeve_domain::{Digest, ModelFacts, ModelName, ModelVersion, Timestamp, VersionState};

use crate::{
    Connection, StoreError, catalog,
    column::{Column, signed},
    connection::on_backend,
    revision,
    schema::model_version,
};

/// A version, and what is known of it besides what a gateway needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRow {
    /// The version.
    pub version: ModelVersion,
    /// The bytes of its bundle; 0 if it was never in the registry.
    pub size: u64,
    /// Its card, as JSON.
    pub card: String,
    /// When it was taken in.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
}

impl VersionRow {
    /// A version that an operator puts in service at the machine itself.
    pub fn registered(version: ModelVersion, at: Timestamp) -> Self {
        let (card, created_by) = ("{}".to_owned(), "operator".to_owned());
        Self { version, size: 0, card, created_at: at, created_by }
    }
}

#[derive(Queryable, Insertable, AsChangeset)]
#[diesel(table_name = model_version, treat_none_as_default_value = false)]
struct Row {
    name: String,
    version: String,
    digest: String,
    generative: bool,
    risk_class: String,
    labels: String,
    conformity: bool,
    instructions: bool,
    state: String,
    size: i64,
    card: String,
    created_at: i64,
    created_by: String,
}

const fn column(name: &'static str) -> Column {
    Column("model_version", name)
}

impl Row {
    fn of(row: &VersionRow) -> Result<Self, StoreError> {
        let ModelVersion { facts, labels, state } = &row.version;
        Ok(Self {
            name: facts.name.to_string(),
            version: facts.version.clone(),
            digest: facts.digest.to_string(),
            generative: facts.generative,
            risk_class: facts.risk_class.clone(),
            labels: column("labels").to_json(labels)?,
            conformity: facts.conformity,
            instructions: facts.instructions,
            state: state.as_str().to_owned(),
            size: signed(row.size)?,
            card: row.card.clone(),
            created_at: row.created_at.as_micros(),
            created_by: row.created_by.clone(),
        })
    }

    fn read(self) -> Result<VersionRow, StoreError> {
        let facts = ModelFacts {
            name: column("name").parse(&self.name)?,
            version: self.version,
            digest: column("digest").parse(&self.digest)?,
            generative: self.generative,
            risk_class: self.risk_class,
            conformity: self.conformity,
            instructions: self.instructions,
        };
        Ok(VersionRow {
            version: ModelVersion {
                facts,
                labels: column("labels").json(&self.labels)?,
                state: column("state").word(&self.state)?,
            },
            size: column("size").count(self.size)?,
            card: self.card,
            created_at: Timestamp::from_micros(self.created_at),
            created_by: self.created_by,
        })
    }
}

/// Adds a version; `Conflict` if the model has one of that number that is another bundle. Gives
/// whether it is new.
pub fn insert(c: &mut Connection, new: &VersionRow) -> Result<bool, StoreError> {
    let facts = &new.version.facts;
    let known: Option<String> = model_version::table
        .find((facts.name.as_str(), &facts.version))
        .select(model_version::digest)
        .first(c)
        .optional()?;
    match known {
        Some(digest) if digest == facts.digest.to_string() => Ok(false),
        Some(digest) => {
            let ModelFacts { name, version, .. } = facts;
            let why = format!("`{name}` has a version `{version}` already, which is {digest}");
            Err(StoreError::Conflict(why))
        }
        None => {
            catalog::ensure(c, &facts.name, new.created_at)?;
            let row = Row::of(new)?;
            on_backend!(c, inner => diesel::insert_into(model_version::table)
                .values(&row)
                .execute(inner))?;
            revision::bump(c)?;
            Ok(true)
        }
    }
}

/// Adds a version that an operator puts in service at the machine itself, or replaces what is known
/// of it. It answers in production if nothing does yet. `Conflict` if it was withdrawn.
pub fn register(c: &mut Connection, new: &VersionRow) -> Result<(), StoreError> {
    let ModelFacts { name, digest, .. } = &new.version.facts;
    let known = get(c, digest)?;
    if known.as_ref().is_some_and(|it| it.version.state == VersionState::Withdrawn) {
        return Err(StoreError::Conflict(format!("{digest} was withdrawn")));
    }
    catalog::ensure(c, name, new.created_at)?;
    // What is in the registry stays there.
    let size = known.as_ref().map_or(new.size, |it| it.size);
    let created_at = known.map_or(new.created_at, |it| it.created_at);
    let row = Row::of(&VersionRow { size, created_at, ..new.clone() })?;
    on_backend!(c, inner => diesel::insert_into(model_version::table)
        .values(&row)
        .on_conflict((model_version::name, model_version::version))
        .do_update()
        .set(&row)
        .execute(inner))?;
    catalog::assign_first(c, name, digest, new.created_at)?;
    revision::bump(c)
}

/// All versions, in the order of name and age.
pub fn rows(c: &mut Connection) -> Result<Vec<VersionRow>, StoreError> {
    let rows: Vec<Row> = model_version::table
        .order((
            model_version::name.asc(),
            model_version::created_at.asc(),
            model_version::version.asc(),
        ))
        .load(c)?;
    rows.into_iter().map(Row::read).collect()
}

/// All versions of a model, the newest first.
pub fn rows_of(c: &mut Connection, name: &ModelName) -> Result<Vec<VersionRow>, StoreError> {
    let rows: Vec<Row> = model_version::table
        .filter(model_version::name.eq(name.as_str()))
        .order((model_version::created_at.desc(), model_version::version.desc()))
        .load(c)?;
    rows.into_iter().map(Row::read).collect()
}

/// One version.
pub fn get(c: &mut Connection, digest: &Digest) -> Result<Option<VersionRow>, StoreError> {
    let row: Option<Row> = model_version::table
        .filter(model_version::digest.eq(digest.to_string()))
        .first(c)
        .optional()?;
    row.map(Row::read).transpose()
}

/// What gateways need of all versions, in the order of name and age.
pub fn list(c: &mut Connection) -> Result<Vec<ModelVersion>, StoreError> {
    Ok(rows(c)?.into_iter().map(|row| row.version).collect())
}

/// Changes how far a version has come; `NotFound` if it is not known.
pub fn set_state(
    c: &mut Connection,
    digest: &Digest,
    state: VersionState,
) -> Result<(), StoreError> {
    let version = model_version::table.filter(model_version::digest.eq(digest.to_string()));
    match diesel::update(version).set(model_version::state.eq(state.as_str())).execute(c)? {
        0 => Err(StoreError::NotFound("model version")),
        _ => revision::bump(c),
    }
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
