//! What somebody wants to answer in production, and what a second person said.

use diesel::prelude::*;
use reeve_domain::{CanaryBy, Digest, ModelName, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    Connection, StoreError,
    column::{Column, page},
    connection::on_backend,
    schema::model_change,
};

/// What a change wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelChangeKind {
    /// That the version answers in production.
    Promote,
    /// That it answers a share of the calls.
    Canary,
    /// That a withdrawn version may be used again.
    Restore,
}

impl ModelChangeKind {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Canary => "canary",
            Self::Restore => "restore",
        }
    }
}

/// How far a change has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelChangeState {
    /// A second person is to look at it.
    InReview,
    /// It was approved and took effect.
    Applied,
    /// It was refused.
    Rejected,
    /// Who wanted it gave it up.
    Withdrawn,
}

impl ModelChangeState {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InReview => "in-review",
            Self::Applied => "applied",
            Self::Rejected => "rejected",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// A change of what answers in production.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelChange {
    /// Its id.
    pub id: String,
    /// Counts what is done to it, so that nothing is done to what was not seen.
    pub edition: i64,
    /// The model.
    pub model: ModelName,
    /// What is wanted.
    pub kind: ModelChangeKind,
    /// Of which version.
    pub digest: Digest,
    /// What answered in production when it was begun.
    pub base: Option<Digest>,
    /// The canary's share, in thousandths, and what decides whose calls these are.
    pub canary: Option<(u16, CanaryBy)>,
    /// How far it has come.
    pub state: ModelChangeState,
    /// Why it is wanted.
    pub reason: String,
    /// Who wants it.
    pub author: UserId,
    /// Since when.
    pub created_at: Timestamp,
    /// Who decided about it, and when.
    pub decided: Option<(UserId, Timestamp)>,
    /// What was said then.
    pub comment: Option<String>,
}

#[derive(Queryable, Insertable, AsChangeset)]
#[diesel(table_name = model_change, treat_none_as_default_value = false, treat_none_as_null = true)]
struct Row {
    id: String,
    edition: i64,
    model: String,
    kind: String,
    digest: String,
    base: Option<String>,
    permille: Option<i64>,
    canary_by: Option<String>,
    state: String,
    reason: String,
    author: String,
    created_at: i64,
    decided_by: Option<String>,
    decided_at: Option<i64>,
    comment: Option<String>,
}

const fn column(name: &'static str) -> Column {
    Column("model_change", name)
}

impl Row {
    fn of(change: &ModelChange) -> Self {
        let (decided_by, decided_at) = change.decided.clone().unzip();
        Self {
            id: change.id.clone(),
            edition: change.edition,
            model: change.model.to_string(),
            kind: change.kind.as_str().to_owned(),
            digest: change.digest.to_string(),
            base: change.base.map(|digest| digest.to_string()),
            permille: change.canary.map(|(share, _)| i64::from(share)),
            canary_by: change.canary.map(|(_, by)| by.as_str().to_owned()),
            state: change.state.as_str().to_owned(),
            reason: change.reason.clone(),
            author: change.author.to_string(),
            created_at: change.created_at.as_micros(),
            decided_by: decided_by.map(|by| by.to_string()),
            decided_at: decided_at.map(Timestamp::as_micros),
            comment: change.comment.clone(),
        }
    }

    fn read(self) -> Result<ModelChange, StoreError> {
        let canary = match (self.permille, self.canary_by) {
            (Some(share), Some(by)) => {
                let corrupt = |why| column("permille").corrupt(&share.to_string(), why);
                Some((u16::try_from(share).map_err(corrupt)?, column("canary_by").word(&by)?))
            }
            _ => None,
        };
        let by = column("decided_by").parse_some(self.decided_by.as_deref())?;
        Ok(ModelChange {
            id: self.id,
            edition: self.edition,
            model: column("model").parse(&self.model)?,
            kind: column("kind").word(&self.kind)?,
            digest: column("digest").parse(&self.digest)?,
            base: column("base").parse_some(self.base.as_deref())?,
            canary,
            state: column("state").word(&self.state)?,
            reason: self.reason,
            author: column("author").parse(&self.author)?,
            created_at: Timestamp::from_micros(self.created_at),
            decided: by.zip(self.decided_at.map(Timestamp::from_micros)),
            comment: self.comment,
        })
    }
}

/// Begins a change; `NotFound` if there is no such model.
pub fn insert(c: &mut Connection, change: &ModelChange) -> Result<(), StoreError> {
    let row = Row::of(change);
    on_backend!(c, inner => diesel::insert_into(model_change::table).values(&row).execute(inner))?;
    Ok(())
}

/// Writes down what became of a change that was read as `change.edition - 1`; `Conflict` if
/// something else was done to it meanwhile.
pub fn update(c: &mut Connection, change: &ModelChange) -> Result<(), StoreError> {
    let row = Row::of(change);
    let seen = model_change::table
        .filter(model_change::id.eq(&change.id))
        .filter(model_change::edition.eq(change.edition.saturating_sub(1)));
    match diesel::update(seen).set(&row).execute(c)? {
        0 => Err(StoreError::Conflict("the change was changed meanwhile".to_owned())),
        _ => Ok(()),
    }
}

/// One change.
pub fn get(c: &mut Connection, id: &str) -> Result<Option<ModelChange>, StoreError> {
    let row: Option<Row> = model_change::table.find(id).first(c).optional()?;
    row.map(Row::read).transpose()
}

/// Up to `limit` changes of a model, the newest first.
pub fn of_model(
    c: &mut Connection,
    model: &ModelName,
    limit: usize,
) -> Result<Vec<ModelChange>, StoreError> {
    let rows: Vec<Row> = model_change::table
        .filter(model_change::model.eq(model.as_str()))
        .order((model_change::created_at.desc(), model_change::id.desc()))
        .limit(page(limit))
        .load(c)?;
    rows.into_iter().map(Row::read).collect()
}
