use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use reeve_domain::{Actor, Code, Digest, Timestamp};
use reeve_policy::{Checked, check};
use reeve_store::{
    StoreError, policy,
    policy_change::{self, Change, ChangeState, Step},
    proof::{self, Proof},
    simulation::{self, Simulation},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::changes::{ChangeView, deed, hand, or_recorded, policy_change_of, stored};
use crate::{
    lifecycle::{self, Hand, NotAllowed},
    page,
    problem::{Problem, Refused},
    sent::Sent,
    signed_in::{Allowed, PolicyApprover, PolicyAuthor, PolicyWriter, SignedIn},
    state::{Control, Deed, block},
};

/// Something to be done to a change as it was seen.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeAction {
    /// As it was read.
    edition: i64,
    /// What is to be done.
    action: ActionName,
    /// What is said about it; required to reject.
    #[serde(default)]
    comment: String,
    /// The bundle that was looked at; required to approve.
    #[serde(default)]
    digest: Option<String>,
    /// The digest of the simulation's report that was looked at; required to approve.
    #[serde(default)]
    report: Option<String>,
    /// When it shall go into force, RFC 3339; required to schedule.
    #[serde(default)]
    at: Option<String>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ActionName {
    /// Ask for a second person's eyes.
    Submit,
    /// Say something.
    Comment,
    /// Let it into force.
    Approve,
    /// Give it back.
    Reject,
    /// Let it go into force at a time.
    Schedule,
    /// Put it in force now.
    Activate,
    /// Give it up.
    Withdraw,
}

impl ActionName {
    const fn word(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Comment => "comment",
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Schedule => "schedule",
            Self::Activate => "activate",
            Self::Withdraw => "withdraw",
        }
    }

    const fn recorded(self) -> &'static str {
        match self {
            Self::Submit => "policy.submit",
            Self::Comment => "policy.comment",
            Self::Approve => "policy.approve",
            Self::Reject => "policy.reject",
            Self::Schedule => "policy.schedule",
            Self::Activate => "policy.activate",
            Self::Withdraw => "policy.withdraw",
        }
    }

    /// Whether one of `roles` may do it.
    fn is_for(self, roles: &[String]) -> bool {
        let allowed = match self {
            Self::Submit | Self::Withdraw => PolicyAuthor::ROLES,
            Self::Approve | Self::Reject => PolicyApprover::ROLES,
            Self::Comment | Self::Schedule | Self::Activate => PolicyWriter::ROLES,
        };
        allowed.iter().any(|role| roles.iter().any(|name| name == role.as_str()))
    }
}

/// Submit, comment, approve, reject, schedule, activate or withdraw a change.
#[utoipa::path(
    post, path = "/api/v1/policy/changes/{id}/actions", tag = "policy", operation_id = "actOnChange",
    params(("id" = String, Path, description = "The change")),
    request_body = ChangeAction,
    responses(
        (status = 200, description = "The change as it is now", body = ChangeView),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch, four-eyes-required", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "conflict, wrong-state, approval-stale, simulation-required, policy-conflict", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request, policy-invalid", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn act(
    control: web::Data<Control>,
    signed_in: SignedIn<PolicyWriter>,
    id: web::Path<String>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let asked: ChangeAction = sent.json()?;
    let before = policy_change_of(&control, &id).await?;
    let mut deed = deed(&signed_in, asked.action.recorded(), &before);
    if !asked.comment.is_empty() {
        deed.details.insert("comment".to_owned(), asked.comment.chars().take(500).collect());
    }
    if !asked.action.is_for(&signed_in.user.roles) {
        control.record(&deed, Some(Code::RoleRequired)).await?;
        return Err(Code::RoleRequired.into());
    }
    if before.edition != asked.edition && asked.action != ActionName::Comment {
        control.record(&deed, Some(Code::ApprovalStale)).await?;
        return Err(Refused::from(Code::ApprovalStale).because("read the change again"));
    }
    let hand = hand(&control, &signed_in);
    if asked.action == ActionName::Activate {
        activate(&control, signed_in.actor(), hand.by.as_str(), before).await?;
        let now = policy_change_of(&control, &id).await?;
        return Ok(HttpResponse::Ok().json(ChangeView::from(&now)));
    }
    let step = hand.step(&before, asked.action.word(), asked.comment.trim());
    if asked.action == ActionName::Comment {
        if step.comment.is_empty() {
            return Err(Refused::field("comment", "must be given"));
        }
        let row = before.clone();
        control.change(&deed, move |c| policy_change::add_step(c, &row, &step)).await?;
        return Ok(HttpResponse::Ok().json(ChangeView::from(&before)));
    }
    let after = next(&control, &hand, before, &asked).await?;
    let change = or_recorded(&control, &deed, after).await?;
    let row = change.clone();
    control.change(&deed, move |c| policy_change::update(c, &row, &step)).await?;
    Ok(HttpResponse::Ok().json(ChangeView::from(&change)))
}

/// What becomes of a change.
async fn next(
    control: &Control,
    hand: &Hand,
    before: Change,
    asked: &ChangeAction,
) -> Result<Result<Change, NotAllowed>, Refused> {
    let (simulation, proof) = evidence(control, &before).await?;
    let (simulation, proof) = (simulation.as_ref(), proof.as_ref());
    Ok(match asked.action {
        ActionName::Submit => {
            let (active, checked) = now(control, &before).await?;
            hand.submit(before, active, &checked, simulation)
        }
        ActionName::Approve => {
            let digest = |field, text: Option<&str>| {
                page::parse::<Digest>(field, text)?
                    .ok_or_else(|| Refused::field(field, "must be given: what was looked at"))
            };
            let seen = (
                digest("digest", asked.digest.as_deref())?,
                digest("report", asked.report.as_deref())?,
            );
            hand.approve(before, seen, simulation, proof)
        }
        ActionName::Reject => {
            if asked.comment.trim().is_empty() {
                return Err(Refused::field("comment", "must say why"));
            }
            hand.reject(before)
        }
        ActionName::Schedule => {
            let at = page::moment("at", asked.at.as_deref())?
                .ok_or_else(|| Refused::field("at", "must be given"))?;
            hand.schedule(before, at, simulation, proof)
        }
        ActionName::Withdraw => hand.withdraw(before),
        ActionName::Comment | ActionName::Activate => Ok(before),
    })
}

/// Puts an approved change in force. Gives the activation's version.
pub(crate) async fn activate(
    control: &Control,
    actor: Actor,
    by: &str,
    before: Change,
) -> Result<i64, Refused> {
    let deed = Deed {
        actor,
        action: "policy.activate",
        target: before.id.clone(),
        tenant: None,
        details: BTreeMap::from([("digest".to_owned(), before.digest.to_string())]),
    };
    let (simulation, proof) = evidence(control, &before).await?;
    let (simulation, proof) = (simulation.as_ref(), proof.as_ref());
    let (active, checked) = now(control, &before).await?;
    let at = control.clock.now();
    let scheduled = before.state == ChangeState::Scheduled;
    let given_back = before.clone();
    let after = lifecycle::activated(before, active, &checked, simulation, proof, at);
    if let (Err(why), true) = (&after, scheduled && deed.actor == Actor::System) {
        // What cannot go into force at its time does not try for ever.
        let comment = format!("{}: {}", why.code, why.because);
        let step = step_of(&given_back, at, by, "give-back", &comment);
        let change = Change {
            state: ChangeState::Draft,
            edition: given_back.edition.saturating_add(1),
            approval: None,
            scheduled_at: None,
            updated_at: at,
            ..given_back
        };
        control.write(move |c| policy_change::update(c, &change, &step)).await?;
    }
    let change = or_recorded(control, &deed, after).await?;
    let step = step_of(&change, at, by, "activate", "");
    let by = by.to_owned();
    let sign = control.signer.of(change.digest, &by, at);
    control
        .change(&deed, move |c| {
            let now = policy::active(c)?.map(|active| active.digest);
            if now != Some(change.base) {
                return Err(StoreError::Conflict("another policy was activated".to_owned()));
            }
            let id = Some(change.id.as_str());
            let version = policy::activate(c, &change.digest, &by, id, at, &sign)?;
            let change = Change { version: Some(version), ..change };
            policy_change::update(c, &change, &step)?;
            Ok(version)
        })
        .await
}

fn step_of(change: &Change, at: Timestamp, by: &str, kind: &str, comment: &str) -> Step {
    let (by, kind, comment) = (by.to_owned(), kind.to_owned(), comment.to_owned());
    Step { at, by, kind, digest: change.digest, comment }
}

/// The simulation that a change was submitted with, or the newest of what it is, and the newest
/// proof of it.
async fn evidence(
    control: &Control,
    change: &Change,
) -> Result<(Option<Simulation>, Option<Proof>), Refused> {
    let (named, digest, base) = (change.simulation.clone(), change.digest, change.base);
    control
        .read(move |c| {
            let simulation = match named {
                Some(id) => simulation::get(c, &id),
                None => simulation::newest_of(c, &digest),
            };
            Ok((simulation?, proof::newest_of(c, &digest, &base)?))
        })
        .await
}

/// The active bundle, and what a check of the change says now.
async fn now(control: &Control, change: &Change) -> Result<(Digest, Checked), Refused> {
    let digest = change.digest;
    let (active, document) =
        control.read(move |c| Ok((policy::active(c)?, stored(c, &digest)?))).await?;
    let active = active.ok_or(Code::NotFound)?.digest;
    Ok((active, block(move || check(&document)).await?))
}
