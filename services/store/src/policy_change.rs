//! Changes of policy on their way into force, and every step of theirs.

use std::collections::BTreeSet;

use diesel::prelude::*;
use reeve_domain::{Digest, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    Connection, StoreError,
    column::{Column, page},
    connection::on_backend,
    schema::{policy_change, policy_step},
};

/// How far a change has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeState {
    /// It is being worked on.
    Draft,
    /// It waits for a second person.
    InReview,
    /// A second person approved exactly what it is.
    Approved,
    /// It goes into force by itself at a time.
    Scheduled,
    /// It went into force.
    Activated,
    /// It was given up.
    Withdrawn,
}

impl ChangeState {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::InReview => "in-review",
            Self::Approved => "approved",
            Self::Scheduled => "scheduled",
            Self::Activated => "activated",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// A second person's approval, of exactly one bundle and one simulation of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who approved; nobody who worked on the change.
    pub by: UserId,
    /// When.
    pub at: Timestamp,
    /// The bundle.
    pub digest: Digest,
    /// The digest of the simulation's report.
    pub report: Digest,
    /// Who approved the same before, where two must.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<UserId>,
}

/// A change of policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its id.
    pub id: String,
    /// Counts what is done to it, so that nothing is done to what was not seen.
    pub edition: i64,
    /// What it is for, for people.
    pub title: String,
    /// How far it has come.
    pub state: ChangeState,
    /// The bundle that was active when it was begun.
    pub base: Digest,
    /// The bundle that it would put in force.
    pub digest: Digest,
    /// Who began it.
    pub author: UserId,
    /// Everybody who worked on it.
    pub editors: BTreeSet<UserId>,
    /// The simulation that it was submitted with.
    pub simulation: Option<String>,
    /// The approval.
    pub approval: Option<Approval>,
    /// When it shall go into force.
    pub scheduled_at: Option<Timestamp>,
    /// The activation that it became.
    pub version: Option<i64>,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When something was done to it last.
    pub updated_at: Timestamp,
}

/// Something that was done to a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// What: `begin`, `edit`, `submit`, `approve`, `reject`, `comment`, `schedule`, `activate`, …
    pub kind: String,
    /// The bundle that the change held then.
    pub digest: Digest,
    /// What was said.
    pub comment: String,
}

#[derive(Queryable, Insertable, AsChangeset)]
#[diesel(table_name = policy_change, treat_none_as_default_value = false, treat_none_as_null = true)]
struct Row {
    id: String,
    edition: i64,
    title: String,
    state: String,
    base: String,
    digest: String,
    author: String,
    editors: String,
    simulation: Option<String>,
    approval: Option<String>,
    scheduled_at: Option<i64>,
    version: Option<i64>,
    created_at: i64,
    updated_at: i64,
}

const fn column(name: &'static str) -> Column {
    Column("policy_change", name)
}

impl Row {
    fn of(change: &Change) -> Result<Self, StoreError> {
        let approval = change.approval.as_ref();
        Ok(Self {
            id: change.id.clone(),
            edition: change.edition,
            title: change.title.clone(),
            state: change.state.as_str().to_owned(),
            base: change.base.to_string(),
            digest: change.digest.to_string(),
            author: change.author.to_string(),
            editors: column("editors").to_json(&change.editors)?,
            simulation: change.simulation.clone(),
            approval: approval.map(|it| column("approval").to_json(it)).transpose()?,
            scheduled_at: change.scheduled_at.map(Timestamp::as_micros),
            version: change.version,
            created_at: change.created_at.as_micros(),
            updated_at: change.updated_at.as_micros(),
        })
    }

    fn read(self) -> Result<Change, StoreError> {
        let approval = self.approval.as_deref();
        Ok(Change {
            id: self.id,
            edition: self.edition,
            title: self.title,
            state: column("state").word(&self.state)?,
            base: column("base").parse(&self.base)?,
            digest: column("digest").parse(&self.digest)?,
            author: column("author").parse(&self.author)?,
            editors: column("editors").json(&self.editors)?,
            simulation: self.simulation,
            approval: approval.map(|text| column("approval").json(text)).transpose()?,
            scheduled_at: self.scheduled_at.map(Timestamp::from_micros),
            version: self.version,
            created_at: Timestamp::from_micros(self.created_at),
            updated_at: Timestamp::from_micros(self.updated_at),
        })
    }
}

/// Adds a change with its first step.
pub fn insert(c: &mut Connection, change: &Change, step: &Step) -> Result<(), StoreError> {
    let row = Row::of(change)?;
    on_backend!(c, inner => diesel::insert_into(policy_change::table).values(&row).execute(inner))?;
    add_step(c, change, step)
}

/// Writes down what became of a change that was read as `change.edition - 1`, and the step that
/// made it so; `Conflict` if something else was done to it meanwhile.
pub fn update(c: &mut Connection, change: &Change, step: &Step) -> Result<(), StoreError> {
    let row = Row::of(change)?;
    let seen = policy_change::table
        .filter(policy_change::id.eq(&change.id))
        .filter(policy_change::edition.eq(change.edition.saturating_sub(1)));
    if diesel::update(seen).set(&row).execute(c)? == 0 {
        return Err(StoreError::Conflict("the change was changed meanwhile".to_owned()));
    }
    add_step(c, change, step)
}

/// Writes down a step that leaves the change as it is.
pub fn add_step(c: &mut Connection, change: &Change, step: &Step) -> Result<(), StoreError> {
    let last: Option<i64> = policy_step::table
        .filter(policy_step::change.eq(&change.id))
        .select(diesel::dsl::max(policy_step::number))
        .first(c)?;
    let row = (
        policy_step::change.eq(&change.id),
        policy_step::number.eq(last.unwrap_or(0).saturating_add(1)),
        policy_step::at.eq(step.at.as_micros()),
        policy_step::by_user.eq(&step.by),
        policy_step::kind.eq(&step.kind),
        policy_step::digest.eq(step.digest.to_string()),
        policy_step::comment.eq(&step.comment),
    );
    on_backend!(c, inner => diesel::insert_into(policy_step::table).values(row).execute(inner))?;
    Ok(())
}

/// One change.
pub fn get(c: &mut Connection, id: &str) -> Result<Option<Change>, StoreError> {
    let row: Option<Row> = policy_change::table.find(id).first(c).optional()?;
    row.map(Row::read).transpose()
}

/// Up to `limit` changes, what was touched last first.
pub fn list(c: &mut Connection, limit: usize) -> Result<Vec<Change>, StoreError> {
    let rows: Vec<Row> = policy_change::table
        .order((policy_change::updated_at.desc(), policy_change::id.desc()))
        .limit(page(limit))
        .load(c)?;
    rows.into_iter().map(Row::read).collect()
}

/// Changes that shall go into force at `now` or before, the earliest first.
pub fn due(c: &mut Connection, now: Timestamp) -> Result<Vec<Change>, StoreError> {
    let rows: Vec<Row> = policy_change::table
        .filter(policy_change::state.eq(ChangeState::Scheduled.as_str()))
        .filter(policy_change::scheduled_at.le(now.as_micros()))
        .order((policy_change::scheduled_at.asc(), policy_change::id.asc()))
        .load(c)?;
    rows.into_iter().map(Row::read).collect()
}

/// Everything that was done to a change, in order.
pub fn steps(c: &mut Connection, id: &str) -> Result<Vec<Step>, StoreError> {
    let rows: Vec<(i64, String, String, String, String)> = policy_step::table
        .filter(policy_step::change.eq(id))
        .order(policy_step::number.asc())
        .select((
            policy_step::at,
            policy_step::by_user,
            policy_step::kind,
            policy_step::digest,
            policy_step::comment,
        ))
        .load(c)?;
    rows.into_iter()
        .map(|(at, by, kind, digest, comment)| {
            let digest = Column("policy_step", "digest").parse(&digest)?;
            Ok(Step { at: Timestamp::from_micros(at), by, kind, digest, comment })
        })
        .collect()
}
