use actix_web::{HttpResponse, web};
use reeve_domain::{Alias, CanaryBy, Code, Model, ModelVersion, Pod, Region, UserId};
use reeve_store::{
    Connection, StoreError,
    catalog::{self, Assigned},
    model,
    model_change::{self, ModelChange, ModelChangeKind},
    pod,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{deed, detail::ModelChangeView, digest, known, named, reason, share};
use crate::{
    lifecycle::NotAllowed,
    problem::{Problem, Refused},
    promotion::{self, InForce, Standing, Wanted},
    routes::changes::or_recorded,
    sent::Sent,
    signed_in::{Allowed as _, ModelApprover, Operator, SignedIn},
    state::{Control, Deed},
};

/// What is wanted to answer in production.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewModelChange {
    kind: ChangeKind,
    /// The version.
    digest: String,
    /// The canary's share of the calls, in thousandths.
    #[serde(default)]
    permille: Option<u16>,
    /// What decides whose calls these are; `subject` if nothing is said.
    #[serde(default)]
    by: Option<ShareBy>,
    /// Why.
    reason: String,
}

/// What is wanted.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ChangeKind {
    /// That the version answers in production.
    Promote,
    /// That it answers a share of the calls.
    Canary,
    /// That a withdrawn version may be used again.
    Restore,
}

/// What decides which version answers.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ShareBy {
    /// The person that the text is about.
    Subject,
    /// The call.
    Decision,
}

impl From<ShareBy> for CanaryBy {
    fn from(by: ShareBy) -> Self {
        match by {
            ShareBy::Subject => Self::Subject,
            ShareBy::Decision => Self::Decision,
        }
    }
}

/// Something to be done to a change as it was seen.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelChangeAction {
    /// As it was read.
    edition: i64,
    action: ModelActionName,
    /// The version that was looked at; required to approve.
    #[serde(default)]
    digest: Option<String>,
    /// What is said about it; required to reject.
    #[serde(default)]
    comment: String,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ModelActionName {
    /// Let it take effect.
    Approve,
    /// Refuse it.
    Reject,
    /// Give it up.
    Withdraw,
}

/// Ask for a version to be promoted, to answer a share of the calls, or to be restored.
#[utoipa::path(
    post, path = "/api/v1/models/{name}/changes", tag = "models", operation_id = "createModelChange",
    params(("name" = String, Path, description = "The model")),
    request_body = NewModelChange,
    responses(
        (status = 201, description = "It waits for a second person", body = ModelChangeView),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "wrong-state, model-not-placed", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn create(
    control: web::Data<Control>,
    signed_in: SignedIn<Operator>,
    name: web::Path<String>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let asked: NewModelChange = sent.json()?;
    let name = named(&name)?;
    let wanted = Wanted {
        kind: match asked.kind {
            ChangeKind::Promote => ModelChangeKind::Promote,
            ChangeKind::Canary => ModelChangeKind::Canary,
            ChangeKind::Restore => ModelChangeKind::Restore,
        },
        digest: digest("digest", &asked.digest)?,
        canary: match (asked.kind, asked.permille) {
            (ChangeKind::Canary, None) => {
                return Err(Refused::field("permille", "must be given for a canary"));
            }
            (ChangeKind::Canary, Some(permille)) => {
                Some((share(permille, 1)?, asked.by.unwrap_or(ShareBy::Subject).into()))
            }
            (_, Some(_)) => return Err(Refused::field("permille", "is for a canary only")),
            (_, None) => None,
        },
        reason: reason(&asked.reason)?,
    };
    let found = control.read({
        let (name, digest) = (name.clone(), wanted.digest);
        move |c| facts(c, &name, &digest)
    });
    let found = found.await?;
    let (by, at) = (signed_in.user.id.clone(), control.clock.now());
    let id = format!("mch_{}", control.entropy.uuid(at).simple());
    let details = [
        ("kind", wanted.kind.as_str().to_owned()),
        ("digest", wanted.digest.to_string()),
        ("reason", wanted.reason.clone()),
        ("permille", wanted.canary.map_or_else(String::new, |(share, _)| share.to_string())),
    ];
    let deed = deed(&signed_in, "model.propose", format!("{name}/{id}"), None, details);
    let begun = promotion::begin(id, wanted, &found.standing(), &by, at);
    let change = or_recorded(&control, &deed, begun).await?;
    let row = change.clone();
    control.change(&deed, move |c| model_change::insert(c, &row)).await?;
    Ok(HttpResponse::Created().json(ModelChangeView::from(&change)))
}

/// Approve, reject or give up what is wanted. What is approved takes effect at once.
#[utoipa::path(
    post, path = "/api/v1/models/{name}/changes/{id}/actions", tag = "models", operation_id = "actOnModelChange",
    params(
        ("name" = String, Path, description = "The model"),
        ("id" = String, Path, description = "The change"),
    ),
    request_body = ModelChangeAction,
    responses(
        (status = 200, description = "The change as it is now", body = ModelChangeView),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch, four-eyes-required", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "conflict, wrong-state, approval-stale, model-not-placed", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn act(
    control: web::Data<Control>,
    signed_in: SignedIn<ModelApprover>,
    path: web::Path<(String, String)>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let asked: ModelChangeAction = sent.json()?;
    let (name, id) = path.into_inner();
    let name = named(&name)?;
    let (of, wanted) = (name.clone(), id.clone());
    let found = control
        .read(move |c| {
            let change = model_change::get(c, &wanted)?.filter(|change| change.model == of);
            let change = change.ok_or(StoreError::NotFound("change"))?;
            let facts = facts(c, &of, &change.digest)?;
            Ok((change, facts))
        })
        .await?;
    let (change, facts) = found;
    let action = match asked.action {
        ModelActionName::Approve => "model.approve",
        ModelActionName::Reject => "model.reject",
        ModelActionName::Withdraw => "model.give-up",
    };
    let details = [
        ("kind", change.kind.as_str().to_owned()),
        ("digest", change.digest.to_string()),
        ("comment", asked.comment.chars().take(500).collect()),
    ];
    let owner = facts.model.owner.as_ref();
    let deed = deed(&signed_in, action, format!("{name}/{id}"), owner, details);
    if asked.action == ModelActionName::Withdraw && !may_ask(&signed_in) {
        control.record(&deed, Some(Code::RoleRequired)).await?;
        return Err(Code::RoleRequired.into());
    }
    if change.edition != asked.edition {
        control.record(&deed, Some(Code::ApprovalStale)).await?;
        return Err(Refused::from(Code::ApprovalStale).because("read the change again"));
    }
    let (by, at) = (signed_in.user.id.clone(), control.clock.now());
    let decided = match asked.action {
        ModelActionName::Approve => {
            let seen = asked
                .digest
                .as_deref()
                .ok_or_else(|| Refused::field("digest", "must be given: what was looked at"))?;
            let seen = digest("digest", seen)?;
            let approved = promotion::approve(change, seen, &facts.standing(), &by, at);
            approved.map(|(change, in_force)| (change, Some(in_force)))
        }
        ModelActionName::Reject => {
            let comment = asked.comment.trim();
            if comment.is_empty() {
                return Err(Refused::field("comment", "must say why"));
            }
            promotion::reject(change, comment, &by, at).map(|change| (change, None))
        }
        ModelActionName::Withdraw => {
            promotion::withdraw(change, &by, at).map(|change| (change, None))
        }
    };
    let change = put_in_force(&control, &deed, &facts.model, decided, &by).await?;
    Ok(HttpResponse::Ok().json(ModelChangeView::from(&change)))
}

fn may_ask<R>(signed_in: &SignedIn<R>) -> bool {
    let has =
        |role: &reeve_identity::Role| signed_in.user.roles.iter().any(|name| name == role.as_str());
    Operator::ROLES.iter().any(has)
}

/// Writes down what was decided, with what it puts in force, in one transaction.
async fn put_in_force(
    control: &Control,
    deed: &Deed,
    model: &Model,
    decided: Result<(ModelChange, Option<InForce>), NotAllowed>,
    by: &UserId,
) -> Result<ModelChange, Refused> {
    let (change, in_force) = or_recorded(control, deed, decided).await?;
    let (row, by, at) = (change.clone(), by.clone(), control.clock.now());
    let before = model.routes.get(Alias::PRODUCTION).cloned();
    control
        .change(deed, move |c| {
            model_change::update(c, &row)?;
            let Some(InForce { route, state }) = in_force else { return Ok(()) };
            let now = catalog::get(c, &row.model)?
                .and_then(|it| it.routes.get(Alias::PRODUCTION).cloned());
            if now != before {
                let why = "something else was put in production meanwhile".to_owned();
                return Err(StoreError::Conflict(why));
            }
            model::set_state(c, &row.digest, state)?;
            if let Some(route) = route {
                let id = Some(row.id.as_str());
                let how = Assigned { at, by: by.as_str(), kind: row.kind.as_str(), change: id };
                catalog::set_route(c, &row.model, &super::routing::production()?, &route, &how)?;
            }
            Ok(())
        })
        .await?;
    Ok(change)
}

/// What a change is about, as the store has it.
pub(super) struct Facts {
    pub(super) model: Model,
    version: ModelVersion,
    pods: Vec<Pod>,
}

pub(super) fn facts(
    c: &mut Connection,
    name: &reeve_domain::ModelName,
    digest: &reeve_domain::Digest,
) -> Result<Facts, StoreError> {
    let (model, rows) = known(c, name)?;
    let row = rows.into_iter().find(|row| row.version.facts.digest == *digest);
    let version = row.ok_or(StoreError::NotFound("model version"))?.version;
    Ok(Facts { model, version, pods: pod::list(c)? })
}

impl Facts {
    pub(super) fn standing(&self) -> Standing<'_> {
        let served = |digest: &reeve_domain::Digest| {
            let pods = self.pods.iter().filter(|pod| pod.models.contains(digest));
            pods.map(|pod| pod.region.clone()).collect::<std::collections::BTreeSet<Region>>()
        };
        let here = served(&self.version.facts.digest);
        let production = self.model.routes.get(Alias::PRODUCTION);
        let there = production.map(|route| served(&route.digest)).unwrap_or_default();
        Standing {
            model: &self.model,
            version: &self.version,
            uncovered: there.difference(&here).cloned().collect(),
            is_served: !here.is_empty(),
        }
    }
}
