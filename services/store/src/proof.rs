//! Proofs: what a solver says a draft changes. The worker asks it.

use diesel::prelude::*;
use reeve_domain::{Digest, Timestamp};

use crate::{
    Connection, StoreError, column::Column, connection::on_backend, schema::policy_proof,
    simulation::SimulationState,
};

/// A proof that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Its id.
    pub id: String,
    /// The draft.
    pub draft: Digest,
    /// The bundle that it is compared with.
    pub base: Digest,
    /// How far it has come.
    pub state: SimulationState,
    /// What the solver said, as JSON.
    pub report: Option<String>,
    /// Why it said nothing.
    pub failure: Option<String>,
    /// Who wanted it.
    pub requested_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it came to its end.
    pub finished_at: Option<Timestamp>,
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = policy_proof, treat_none_as_default_value = false)]
struct Row {
    id: String,
    draft: String,
    base: String,
    state: String,
    report: Option<String>,
    failure: Option<String>,
    requested_by: String,
    created_at: i64,
    finished_at: Option<i64>,
}

const fn column(name: &'static str) -> Column {
    Column("policy_proof", name)
}

impl Row {
    fn read(self) -> Result<Proof, StoreError> {
        Ok(Proof {
            id: self.id,
            draft: column("draft").parse(&self.draft)?,
            base: column("base").parse(&self.base)?,
            state: column("state").word(&self.state)?,
            report: self.report,
            failure: self.failure,
            requested_by: self.requested_by,
            created_at: Timestamp::from_micros(self.created_at),
            finished_at: self.finished_at.map(Timestamp::from_micros),
        })
    }
}

/// Puts a proof in the queue.
pub fn insert(c: &mut Connection, new: &Proof) -> Result<(), StoreError> {
    let row = Row {
        id: new.id.clone(),
        draft: new.draft.to_string(),
        base: new.base.to_string(),
        state: new.state.as_str().to_owned(),
        report: new.report.clone(),
        failure: new.failure.clone(),
        requested_by: new.requested_by.clone(),
        created_at: new.created_at.as_micros(),
        finished_at: new.finished_at.map(Timestamp::as_micros),
    };
    on_backend!(c, inner => diesel::insert_into(policy_proof::table)
        .values(&row)
        .execute(inner))?;
    Ok(())
}

/// The newest proof of what a draft changes against a bundle.
pub fn newest_of(
    c: &mut Connection,
    draft: &Digest,
    base: &Digest,
) -> Result<Option<Proof>, StoreError> {
    let row: Option<Row> = policy_proof::table
        .filter(policy_proof::draft.eq(draft.to_string()))
        .filter(policy_proof::base.eq(base.to_string()))
        .order((policy_proof::created_at.desc(), policy_proof::id.desc()))
        .first(c)
        .optional()?;
    row.map(Row::read).transpose()
}

/// Takes the oldest proof that waits, or that a worker left when it was stopped.
pub fn take(c: &mut Connection) -> Result<Option<Proof>, StoreError> {
    let waits = policy_proof::state
        .eq(SimulationState::Queued.as_str())
        .or(policy_proof::state.eq(SimulationState::Running.as_str()));
    let row: Option<Row> = policy_proof::table
        .filter(waits)
        .order((policy_proof::created_at.asc(), policy_proof::id.asc()))
        .first(c)
        .optional()?;
    let Some(mut taken) = row.map(Row::read).transpose()? else { return Ok(None) };
    diesel::update(policy_proof::table.find(&taken.id))
        .set(policy_proof::state.eq(SimulationState::Running.as_str()))
        .execute(c)?;
    taken.state = SimulationState::Running;
    Ok(Some(taken))
}

/// Writes down what the solver said, or why it said nothing.
pub fn finish(
    c: &mut Connection,
    id: &str,
    found: Result<&str, &str>,
    at: Timestamp,
) -> Result<(), StoreError> {
    let state = if found.is_ok() { SimulationState::Done } else { SimulationState::Failed };
    diesel::update(policy_proof::table.find(id))
        .set((
            policy_proof::state.eq(state.as_str()),
            policy_proof::report.eq(found.ok()),
            policy_proof::failure.eq(found.err()),
            policy_proof::finished_at.eq(at.as_micros()),
        ))
        .execute(c)?;
    Ok(())
}
