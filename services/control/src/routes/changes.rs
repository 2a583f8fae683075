use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use reeve_domain::{BundleDocument, Code, Digest};
use reeve_policy::{Bundle, check, check_files};
use reeve_store::{
    Connection, StoreError, policy,
    policy_change::{self, Change, Step},
    proof, simulation,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    check::{CheckView, FileMap, refused_files},
    proofs::ProofView,
    simulations::SimulationView,
};
use crate::{
    lifecycle::{Hand, NotAllowed},
    problem::{Problem, Refused},
    sent::Sent,
    signed_in::{PolicyAuthor, PolicyReader, SignedIn},
    state::{Control, Deed, block},
};

/// Changes that a listing shows.
const LISTED: usize = 200;

/// A change of policy on its way.
#[derive(Serialize, ToSchema)]
#[schema(as = PolicyChange)]
pub(crate) struct ChangeView {
    id: String,
    /// Counts what was done to it; to be sent along with what is done next.
    edition: i64,
    title: String,
    /// `draft`, `in-review`, `approved`, `scheduled`, `activated`, `withdrawn`.
    state: &'static str,
    /// The bundle that was active when it was begun.
    base: String,
    /// The bundle that it would put in force.
    digest: String,
    author: String,
    /// Everybody who worked on it; none of them may approve it.
    editors: Vec<String>,
    approved_by: Option<String>,
    /// Who approved before, where two must: in review as long as nobody else did.
    approved_with: Option<String>,
    /// RFC 3339.
    scheduled_at: Option<String>,
    /// The activation that it became.
    version: Option<i64>,
    created_at: String,
    updated_at: String,
}

impl From<&Change> for ChangeView {
    fn from(change: &Change) -> Self {
        Self {
            id: change.id.clone(),
            edition: change.edition,
            title: change.title.clone(),
            state: change.state.as_str(),
            base: change.base.to_string(),
            digest: change.digest.to_string(),
            author: change.author.to_string(),
            editors: change.editors.iter().map(ToString::to_string).collect(),
            approved_by: change.approval.as_ref().map(|approval| approval.by.to_string()),
            approved_with: change
                .approval
                .as_ref()
                .and_then(|approval| approval.with.as_ref())
                .map(ToString::to_string),
            scheduled_at: change.scheduled_at.map(|at| at.to_string()),
            version: change.version,
            created_at: change.created_at.to_string(),
            updated_at: change.updated_at.to_string(),
        }
    }
}

/// Something that was done to a change.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChangeStep {
    at: String,
    by: String,
    /// `begin`, `edit`, `submit`, `approve`, `reject`, `comment`, `schedule`, `activate`, `withdraw`.
    kind: String,
    digest: String,
    comment: String,
}

/// A change in full.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChangeDetail {
    change: ChangeView,
    /// Files of the bundle that it would put in force, by name.
    files: BTreeMap<String, String>,
    /// Files of the bundle that it was begun on.
    base_files: BTreeMap<String, String>,
    check: CheckView,
    /// The newest simulation of what it is now.
    simulation: Option<SimulationView>,
    /// The newest proof of what it changes.
    proof: Option<ProofView>,
    steps: Vec<ChangeStep>,
    /// Whether the bundle that it was begun on is active still.
    up_to_date: bool,
}

/// Changes, what was touched last first.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChangeList {
    items: Vec<ChangeView>,
}

/// A change to be begun.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewChange {
    title: String,
    /// Files of the bundle; none: those of the active one.
    #[serde(default)]
    files: Option<FileMap>,
}

/// Another content of a change.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EditedChange {
    /// As it was read.
    edition: i64,
    title: String,
    files: FileMap,
    /// Puts the change on top of the bundle that is active now.
    #[serde(default)]
    rebase: bool,
}

/// List changes.
#[utoipa::path(
    get, path = "/api/v1/policy/changes", tag = "policy", operation_id = "listChanges",
    responses(
        (status = 200, description = "Changes", body = ChangeList),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn list(
    control: web::Data<Control>,
    _: SignedIn<PolicyReader>,
) -> Result<HttpResponse, Refused> {
    let changes = control.read(|c| policy_change::list(c, LISTED)).await?;
    Ok(HttpResponse::Ok().json(ChangeList { items: changes.iter().map(Into::into).collect() }))
}

/// Begin a change.
#[utoipa::path(
    post, path = "/api/v1/policy/changes", tag = "policy", operation_id = "createChange",
    request_body = NewChange,
    responses(
        (status = 201, description = "Begun", body = ChangeView),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request, policy-invalid: the files are no bundle", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn create(
    control: web::Data<Control>,
    signed_in: SignedIn<PolicyAuthor>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let new: NewChange = sent.json()?;
    let title = titled(&new.title)?;
    let active = active(&control).await?;
    let base = active.digest;
    let document = match new.files {
        Some(files) => bundle_of(files).await?,
        None => active,
    };
    let hand = hand(&control, &signed_in);
    let id = format!("chg_{}", control.entropy.uuid(hand.at).simple());
    let change = hand.begin(id, title, base, document.digest);
    let deed = deed(&signed_in, "policy.draft", &change);
    let step = hand.step(&change, "begin", "");
    let row = change.clone();
    control
        .change(&deed, move |c| {
            policy::insert_bundle(c, &document, hand.by.as_str(), hand.at)?;
            policy_change::insert(c, &row, &step)
        })
        .await?;
    Ok(HttpResponse::Created().json(ChangeView::from(&change)))
}

/// One change in full.
#[utoipa::path(
    get, path = "/api/v1/policy/changes/{id}", tag = "policy", operation_id = "getChange",
    params(("id" = String, Path, description = "The change")),
    responses(
        (status = 200, description = "The change", body = ChangeDetail),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn read(
    control: web::Data<Control>,
    _: SignedIn<PolicyReader>,
    id: web::Path<String>,
) -> Result<HttpResponse, Refused> {
    let detail = control
        .read(move |c| {
            let Some(change) = policy_change::get(c, &id)? else { return Ok(None) };
            let steps = policy_change::steps(c, &id)?;
            let simulation = simulation::newest_of(c, &change.digest)?;
            let proof = proof::newest_of(c, &change.digest, &change.base)?;
            let document = stored(c, &change.digest)?;
            let base = stored(c, &change.base)?;
            let active = policy::active(c)?.map(|active| active.digest);
            Ok(Some((change, steps, (simulation, proof), document, base, active)))
        })
        .await?;
    let (change, steps, (simulation, proof), document, base, active) =
        detail.ok_or(Code::NotFound)?;
    let (files, base_files, check) =
        block(move || (files(&document), files(&base), CheckView::of(&check(&document)))).await?;
    let steps = steps.into_iter().map(step_view).collect();
    Ok(HttpResponse::Ok().json(ChangeDetail {
        up_to_date: active == Some(change.base),
        change: (&change).into(),
        files,
        base_files,
        check,
        simulation: simulation.map(Into::into),
        proof: proof.map(Into::into),
        steps,
    }))
}

/// Give a change another content.
#[utoipa::path(
    put, path = "/api/v1/policy/changes/{id}", tag = "policy", operation_id = "editChange",
    params(("id" = String, Path, description = "The change")),
    request_body = EditedChange,
    responses(
        (status = 200, description = "The change as it is now: a draft, whatever it was", body = ChangeView),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "conflict: changed meanwhile; wrong-state", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request, policy-invalid: the files are no bundle", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn edit(
    control: web::Data<Control>,
    signed_in: SignedIn<PolicyAuthor>,
    id: web::Path<String>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let edited: EditedChange = sent.json()?;
    let title = titled(&edited.title)?;
    let document = bundle_of(edited.files).await?;
    let before = existing(&control, &id, edited.edition).await?;
    let base = if edited.rebase { active(&control).await?.digest } else { before.base };
    let hand = hand(&control, &signed_in);
    let deed = deed(&signed_in, "policy.edit", &before);
    let after = hand.edit(before, title, document.digest, base);
    let change = or_recorded(&control, &deed, after).await?;
    let step = hand.step(&change, "edit", "");
    let row = change.clone();
    control
        .change(&deed, move |c| {
            policy::insert_bundle(c, &document, hand.by.as_str(), hand.at)?;
            policy_change::update(c, &row, &step)
        })
        .await?;
    Ok(HttpResponse::Ok().json(ChangeView::from(&change)))
}

pub(super) fn hand<R>(control: &Control, signed_in: &SignedIn<R>) -> Hand {
    Hand { by: signed_in.user.id.clone(), at: control.clock.now() }
}

pub(super) fn deed<R>(signed_in: &SignedIn<R>, action: &'static str, change: &Change) -> Deed {
    Deed {
        actor: signed_in.actor(),
        action,
        target: change.id.clone(),
        tenant: None,
        details: BTreeMap::from([("digest".to_owned(), change.digest.to_string())]),
    }
}

/// Records what was tried and may not be.
pub(super) async fn or_recorded<T>(
    control: &Control,
    deed: &Deed,
    tried: Result<T, NotAllowed>,
) -> Result<T, Refused> {
    match tried {
        Ok(done) => Ok(done),
        Err(why) => {
            control.record(deed, Some(why.code)).await?;
            Err(Refused::from(why.code).because(why.because))
        }
    }
}

/// The change, as long as it is what the caller has seen.
async fn existing(control: &Control, id: &str, edition: i64) -> Result<Change, Refused> {
    let change = policy_change_of(control, id).await?;
    if change.edition != edition {
        return Err(Refused::from(Code::Conflict).because("the change was changed meanwhile"));
    }
    Ok(change)
}

pub(crate) async fn policy_change_of(control: &Control, id: &str) -> Result<Change, Refused> {
    let id = id.to_owned();
    let found = control.read(move |c| policy_change::get(c, &id)).await?;
    found.ok_or_else(|| Code::NotFound.into())
}

pub(crate) async fn active(control: &Control) -> Result<BundleDocument, Refused> {
    let active = control.read(policy::active).await?;
    let active =
        active.ok_or_else(|| Refused::from(Code::NotFound).because("no policy is active"))?;
    Ok(BundleDocument { digest: active.digest, document: active.document })
}

pub(super) fn stored(c: &mut Connection, digest: &Digest) -> Result<BundleDocument, StoreError> {
    policy::bundle(c, digest)?.ok_or(StoreError::NotFound("policy bundle"))
}

/// The bundle that files make, whether or not it can be enforced.
async fn bundle_of(files: FileMap) -> Result<BundleDocument, Refused> {
    let (document, checked) = block(move || check_files(&files.0)).await?;
    document.ok_or_else(|| refused_files(&checked))
}

pub(crate) fn files(document: &BundleDocument) -> BTreeMap<String, String> {
    Bundle::parse(document).map(|bundle| bundle.files()).unwrap_or_default()
}

fn titled(title: &str) -> Result<String, Refused> {
    let title = title.trim();
    if title.is_empty() || title.chars().count() > 200 {
        return Err(Refused::field("title", "must have 1 to 200 characters"));
    }
    Ok(title.to_owned())
}

fn step_view(step: Step) -> ChangeStep {
    ChangeStep {
        at: step.at.to_string(),
        by: step.by,
        kind: step.kind,
        digest: step.digest.to_string(),
        comment: step.comment,
    }
}
