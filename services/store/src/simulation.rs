//! Simulations: what a bundle would have done to recorded traffic. The worker makes them.

use diesel::prelude::*;
use reeve_domain::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Connection, StoreError,
    column::{Column, signed},
    connection::on_backend,
    schema::policy_simulation,
};

/// How far a simulation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SimulationState {
    /// It waits for a worker.
    Queued,
    /// A worker is at it.
    Running,
    /// The report is there.
    Done,
    /// It could not be made.
    Failed,
}

impl SimulationState {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// A simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simulation {
    /// Its id.
    pub id: String,
    /// The bundle.
    pub draft: Digest,
    /// The first moment of the traffic.
    pub from: Timestamp,
    /// The moment behind the last.
    pub until: Timestamp,
    /// How far it has come.
    pub state: SimulationState,
    /// Calls that were replayed.
    pub done: u64,
    /// Calls that there are.
    pub total: u64,
    /// What was found, as JSON.
    pub report: Option<String>,
    /// SHA-256 of `report`.
    pub report_digest: Option<Digest>,
    /// Why it failed.
    pub failure: Option<String>,
    /// Who wanted it.
    pub requested_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it came to its end.
    pub finished_at: Option<Timestamp>,
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = policy_simulation, treat_none_as_default_value = false)]
struct Row {
    id: String,
    draft: String,
    from_at: i64,
    until_at: i64,
    state: String,
    done: i64,
    total: i64,
    report: Option<String>,
    report_digest: Option<String>,
    failure: Option<String>,
    requested_by: String,
    created_at: i64,
    finished_at: Option<i64>,
}

const fn column(name: &'static str) -> Column {
    Column("policy_simulation", name)
}

impl Row {
    fn read(self) -> Result<Simulation, StoreError> {
        Ok(Simulation {
            id: self.id,
            draft: column("draft").parse(&self.draft)?,
            from: Timestamp::from_micros(self.from_at),
            until: Timestamp::from_micros(self.until_at),
            state: column("state").word(&self.state)?,
            done: column("done").count(self.done)?,
            total: column("total").count(self.total)?,
            report: self.report,
            report_digest: column("report_digest").parse_some(self.report_digest.as_deref())?,
            failure: self.failure,
            requested_by: self.requested_by,
            created_at: Timestamp::from_micros(self.created_at),
            finished_at: self.finished_at.map(Timestamp::from_micros),
        })
    }
}

/// Puts a simulation in the queue.
pub fn insert(c: &mut Connection, new: &Simulation) -> Result<(), StoreError> {
    let row = Row {
        id: new.id.clone(),
        draft: new.draft.to_string(),
        from_at: new.from.as_micros(),
        until_at: new.until.as_micros(),
        state: new.state.as_str().to_owned(),
        done: signed(new.done)?,
        total: signed(new.total)?,
        report: new.report.clone(),
        report_digest: new.report_digest.map(|digest| digest.to_string()),
        failure: new.failure.clone(),
        requested_by: new.requested_by.clone(),
        created_at: new.created_at.as_micros(),
        finished_at: new.finished_at.map(Timestamp::as_micros),
    };
    on_backend!(c, inner => diesel::insert_into(policy_simulation::table)
        .values(&row)
        .execute(inner))?;
    Ok(())
}

/// One simulation.
pub fn get(c: &mut Connection, id: &str) -> Result<Option<Simulation>, StoreError> {
    let row: Option<Row> = policy_simulation::table.find(id).first(c).optional()?;
    row.map(Row::read).transpose()
}

/// The newest simulation of a bundle.
pub fn newest_of(c: &mut Connection, draft: &Digest) -> Result<Option<Simulation>, StoreError> {
    let row: Option<Row> = policy_simulation::table
        .filter(policy_simulation::draft.eq(draft.to_string()))
        .order((policy_simulation::created_at.desc(), policy_simulation::id.desc()))
        .first(c)
        .optional()?;
    row.map(Row::read).transpose()
}

/// Takes the oldest simulation that waits, or that a worker left when it was stopped.
pub fn take(c: &mut Connection) -> Result<Option<Simulation>, StoreError> {
    let waits = policy_simulation::state
        .eq(SimulationState::Queued.as_str())
        .or(policy_simulation::state.eq(SimulationState::Running.as_str()));
    let row: Option<Row> = policy_simulation::table
        .filter(waits)
        .order((policy_simulation::created_at.asc(), policy_simulation::id.asc()))
        .first(c)
        .optional()?;
    let Some(mut taken) = row.map(Row::read).transpose()? else { return Ok(None) };
    diesel::update(policy_simulation::table.find(&taken.id))
        .set(policy_simulation::state.eq(SimulationState::Running.as_str()))
        .execute(c)?;
    taken.state = SimulationState::Running;
    Ok(Some(taken))
}

/// Writes down how far a simulation has come.
pub fn progress(c: &mut Connection, id: &str, done: u64, total: u64) -> Result<(), StoreError> {
    diesel::update(policy_simulation::table.find(id))
        .set((
            policy_simulation::done.eq(signed(done)?),
            policy_simulation::total.eq(signed(total)?),
        ))
        .execute(c)?;
    Ok(())
}

/// Writes down what a simulation found, or why it failed.
pub fn finish(
    c: &mut Connection,
    id: &str,
    found: Result<&str, &str>,
    at: Timestamp,
) -> Result<(), StoreError> {
    let state = if found.is_ok() { SimulationState::Done } else { SimulationState::Failed };
    let digest = found.ok().map(|report| Digest::of(report.as_bytes()).to_string());
    diesel::update(policy_simulation::table.find(id))
        .set((
            policy_simulation::state.eq(state.as_str()),
            policy_simulation::report.eq(found.ok()),
            policy_simulation::report_digest.eq(digest),
            policy_simulation::failure.eq(found.err()),
            policy_simulation::finished_at.eq(at.as_micros()),
        ))
        .execute(c)?;
    Ok(())
}
