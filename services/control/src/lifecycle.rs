//! What may become of a change of policy, and by whom. Every rule of four eyes stands here; the
//! routes only ask.

use reeve_domain::{Code, Digest, Timestamp, UserId};
use reeve_policy::Checked;
use reeve_store::{
    policy_change::{Approval, Change, ChangeState, Step},
    proof::Proof,
    simulation::{Simulation, SimulationState},
};

/// Why something may not be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotAllowed {
    pub(crate) code: Code,
    pub(crate) because: String,
}

pub(crate) fn not(code: Code, because: impl Into<String>) -> NotAllowed {
    NotAllowed { code, because: because.into() }
}

/// Somebody who does something to a change now.
pub(crate) struct Hand {
    pub(crate) by: UserId,
    pub(crate) at: Timestamp,
}

impl Hand {
    /// What was done, to be written down with what became of the change.
    pub(crate) fn step(&self, change: &Change, kind: &str, comment: &str) -> Step {
        Step {
            at: self.at,
            by: self.by.to_string(),
            kind: kind.to_owned(),
            digest: change.digest,
            comment: comment.to_owned(),
        }
    }

    fn touched(&self, mut change: Change) -> Change {
        change.edition = change.edition.saturating_add(1);
        change.updated_at = self.at;
        change
    }

    /// A new draft, on top of the active bundle.
    pub(crate) fn begin(&self, id: String, title: String, base: Digest, digest: Digest) -> Change {
        Change {
            id,
            edition: 1,
            title,
            state: ChangeState::Draft,
            base,
            digest,
            author: self.by.clone(),
            editors: [self.by.clone()].into(),
            simulation: None,
            approval: None,
            scheduled_at: None,
            version: None,
            created_at: self.at,
            updated_at: self.at,
        }
    }

    /// Another content. Whatever was submitted or approved of it is void.
    pub(crate) fn edit(
        &self,
        change: Change,
        title: String,
        digest: Digest,
        base: Digest,
    ) -> Result<Change, NotAllowed> {
        open(&change)?;
        let mut change = self.touched(change);
        change.editors.insert(self.by.clone());
        Ok(Change {
            title,
            digest,
            base,
            state: ChangeState::Draft,
            simulation: None,
            approval: None,
            scheduled_at: None,
            ..change
        })
    }

    /// Asks for a second person's eyes.
    pub(crate) fn submit(
        &self,
        change: Change,
        active: Digest,
        checked: &Checked,
        simulation: Option<&Simulation>,
    ) -> Result<Change, NotAllowed> {
        is_in(&change, &[ChangeState::Draft])?;
        on_top_of(&change, active)?;
        valid(checked)?;
        let simulation = simulated(&change, simulation)?;
        let simulation = Some(simulation.id.clone());
        Ok(Change { state: ChangeState::InReview, simulation, ..self.touched(change) })
    }

    /// Approves exactly the bundle and the report that the reviewer looked at.
    pub(crate) fn approve(
        &self,
        change: Change,
        seen: (Digest, Digest),
        simulation: Option<&Simulation>,
        proof: Option<&Proof>,
    ) -> Result<Change, NotAllowed> {
        is_in(&change, &[ChangeState::InReview])?;
        self.is_a_second_person(&change)?;
        let report = simulated(&change, simulation)?.report_digest;
        if seen.0 != change.digest || Some(seen.1) != report {
            return Err(not(Code::ApprovalStale, "look at the change as it is now"));
        }
        let (digest, report) = seen;
        let before = change.approval.as_ref();
        let with = before.filter(|first| first.digest == digest && first.report == report);
        let with = with.map(|first| first.with.clone().unwrap_or_else(|| first.by.clone()));
        let two = two_must_approve(proof);
        if two && with.as_ref() == Some(&self.by) {
            return Err(not(Code::FourEyesRequired, "you approved it; somebody else must as well"));
        }
        let enough = !two || with.is_some();
        let state = if enough { ChangeState::Approved } else { ChangeState::InReview };
        let approval = Approval { by: self.by.clone(), at: self.at, digest, report, with };
        Ok(Change { state, approval: Some(approval), ..self.touched(change) })
    }

    /// Gives it back to those who worked on it.
    pub(crate) fn reject(&self, change: Change) -> Result<Change, NotAllowed> {
        let reviewed = [ChangeState::InReview, ChangeState::Approved, ChangeState::Scheduled];
        is_in(&change, &reviewed)?;
        self.is_a_second_person(&change)?;
        Ok(Change {
            state: ChangeState::Draft,
            simulation: None,
            approval: None,
            scheduled_at: None,
            ..self.touched(change)
        })
    }

    /// Sets the time at which an approved change goes into force.
    pub(crate) fn schedule(
        &self,
        change: Change,
        at: Timestamp,
        simulation: Option<&Simulation>,
        proof: Option<&Proof>,
    ) -> Result<Change, NotAllowed> {
        is_in(&change, &[ChangeState::Approved, ChangeState::Scheduled])?;
        approved(&change, simulation, proof)?;
        if at <= self.at {
            return Err(not(Code::InvalidRequest, "the time must lie ahead"));
        }
        let state = ChangeState::Scheduled;
        Ok(Change { state, scheduled_at: Some(at), ..self.touched(change) })
    }

    /// Gives it up.
    pub(crate) fn withdraw(&self, change: Change) -> Result<Change, NotAllowed> {
        open(&change)?;
        let state = ChangeState::Withdrawn;
        Ok(Change { state, approval: None, scheduled_at: None, ..self.touched(change) })
    }

    fn is_a_second_person(&self, change: &Change) -> Result<(), NotAllowed> {
        if change.editors.contains(&self.by) || change.author == self.by {
            return Err(not(
                Code::FourEyesRequired,
                "you worked on this change; somebody else must look at it",
            ));
        }
        Ok(())
    }
}

/// Whether a change may go into force now, and what it then is but for its version. Everything
/// that was asked of it on the way is asked again.
pub(crate) fn activated(
    change: Change,
    active: Digest,
    checked: &Checked,
    simulation: Option<&Simulation>,
    proof: Option<&Proof>,
    at: Timestamp,
) -> Result<Change, NotAllowed> {
    is_in(&change, &[ChangeState::Approved, ChangeState::Scheduled])?;
    on_top_of(&change, active)?;
    valid(checked)?;
    approved(&change, simulation, proof)?;
    let edition = change.edition.saturating_add(1);
    Ok(Change { state: ChangeState::Activated, edition, updated_at: at, ..change })
}

fn open(change: &Change) -> Result<(), NotAllowed> {
    match change.state {
        ChangeState::Activated | ChangeState::Withdrawn => {
            Err(not(Code::WrongState, "the change has come to its end; begin another"))
        }
        _ => Ok(()),
    }
}

fn is_in(change: &Change, states: &[ChangeState]) -> Result<(), NotAllowed> {
    if states.contains(&change.state) {
        return Ok(());
    }
    let names: Vec<_> = states.iter().map(|state| format!("`{}`", state.as_str())).collect();
    let because = format!("it is `{}`, not {}", change.state.as_str(), names.join(" or "));
    Err(not(Code::WrongState, because))
}

fn on_top_of(change: &Change, active: Digest) -> Result<(), NotAllowed> {
    if change.base == active {
        return Ok(());
    }
    let because = format!("{active} is active, and the change was made on top of {}", change.base);
    Err(not(Code::PolicyConflict, because))
}

fn valid(checked: &Checked) -> Result<(), NotAllowed> {
    if checked.may_be_activated() {
        return Ok(());
    }
    let faults = checked.faults.iter().map(ToString::to_string);
    let cases = checked.failures.iter().map(|failure| {
        format!("cases/{}: {}: {}", failure.file, failure.case, failure.differences.join("; "))
    });
    Err(not(Code::PolicyInvalid, faults.chain(cases).collect::<Vec<_>>().join("\n")))
}

/// The finished simulation of exactly what the change is.
fn simulated<'a>(
    change: &Change,
    simulation: Option<&'a Simulation>,
) -> Result<&'a Simulation, NotAllowed> {
    simulation
        .filter(|it| it.draft == change.digest && it.state == SimulationState::Done)
        .ok_or_else(|| not(Code::SimulationRequired, "no simulation of it has come to its end"))
}

/// Where a proof was asked for and there is none, people must make up for it.
pub(crate) fn two_must_approve(proof: Option<&Proof>) -> bool {
    proof.is_some_and(|proof| proof.state == SimulationState::Failed)
}

fn approved(
    change: &Change,
    simulation: Option<&Simulation>,
    proof: Option<&Proof>,
) -> Result<(), NotAllowed> {
    let report = simulated(change, simulation)?.report_digest;
    let holds = |approval: &&Approval| {
        approval.digest == change.digest
            && Some(approval.report) == report
            && !change.editors.contains(&approval.by)
            && (approval.with.is_some() || !two_must_approve(proof))
    };
    match change.approval.as_ref().filter(holds) {
        Some(_) => Ok(()),
        None => Err(not(Code::ApprovalStale, "the approval is not of what the change is now")),
    }
}
