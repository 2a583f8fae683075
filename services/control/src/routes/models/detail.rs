use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use reeve_domain::{Alias, Route, Share, TenantId};
use reeve_store::{
    catalog::{self, Assignment},
    model_change::{self, ModelChange},
    placement::{self, Placement, PodModel},
    pod,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{ModelView, known, named};
use crate::{
    problem::{Problem, Refused},
    signed_in::{ModelReader, SignedIn},
    state::Control,
};

/// Changes that are shown of a model.
const LISTED: usize = 50;

/// A model with all that is known of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ModelDetail {
    name: String,
    /// The tenant whose model it is; null: the platform's.
    owner: Option<String>,
    /// Whether every tenant may use it.
    open: bool,
    /// The tenants that it is shared with, and the terms.
    shares: Vec<ShareView>,
    /// Which version answers under which alias.
    routes: Vec<RouteView>,
    /// Its versions, the newest first.
    versions: Vec<VersionDetail>,
    /// What was wanted of it, the newest first.
    changes: Vec<ModelChangeView>,
    /// What was in production, the newest first.
    history: Vec<AssignmentView>,
    /// Regions where its versions are to be served.
    placements: Vec<PlacementView>,
    /// How far pods have come with them.
    pods: Vec<PodModelView>,
}

/// A tenant that a model is shared with.
#[derive(Serialize, ToSchema)]
pub(crate) struct ShareView {
    tenant: String,
    /// RFC 3339; null: until it is taken back.
    until: Option<String>,
    /// Purposes that it may be used for; empty: any.
    purposes: Vec<String>,
    /// Whether the tenant may name what is not approved yet.
    preview: bool,
    /// What was agreed.
    terms: String,
}

impl ShareView {
    fn of(tenant: &TenantId, share: Share) -> Self {
        Self {
            tenant: tenant.to_string(),
            until: share.until.map(|at| at.to_string()),
            purposes: share.purposes.iter().map(ToString::to_string).collect(),
            preview: share.preview,
            terms: share.terms,
        }
    }
}

/// What answers under an alias.
#[derive(Serialize, ToSchema)]
pub(crate) struct RouteView {
    alias: String,
    digest: String,
    /// The version that answers a share of the calls.
    canary: Option<CanaryView>,
    /// The version that is asked besides, without effect.
    shadow: Option<MirrorView>,
}

/// A version that answers a share of the calls.
#[derive(Serialize, ToSchema)]
pub(crate) struct CanaryView {
    digest: String,
    /// In thousandths.
    permille: u16,
    /// `subject` or `decision`: what decides whose calls these are.
    by: &'static str,
}

/// A version that is asked besides.
#[derive(Serialize, ToSchema)]
pub(crate) struct MirrorView {
    digest: String,
    /// In thousandths.
    permille: u16,
}

impl RouteView {
    pub(super) fn of(alias: &Alias, route: &Route) -> Self {
        Self {
            alias: alias.to_string(),
            digest: route.digest.to_string(),
            canary: route.canary.as_ref().map(|canary| CanaryView {
                digest: canary.digest.to_string(),
                permille: canary.permille,
                by: canary.by.as_str(),
            }),
            shadow: route.mirror.as_ref().map(|mirror| MirrorView {
                digest: mirror.digest.to_string(),
                permille: mirror.permille,
            }),
        }
    }
}

/// A version with its card.
#[derive(Serialize, ToSchema)]
pub(crate) struct VersionDetail {
    #[serde(flatten)]
    version: ModelView,
    /// What it is for and how well it does, as its bundle states it.
    #[schema(value_type = Object)]
    card: serde_json::Value,
}

/// What somebody wants to answer in production.
#[derive(Serialize, ToSchema)]
#[schema(as = ModelChange)]
pub(crate) struct ModelChangeView {
    id: String,
    /// Counts what was done to it; to be sent along with what is done next.
    edition: i64,
    /// `promote`, `canary` or `restore`.
    kind: &'static str,
    digest: String,
    /// What was in production when it was begun.
    base: Option<String>,
    /// The canary's share, in thousandths.
    permille: Option<u16>,
    /// `subject` or `decision`.
    by: Option<&'static str>,
    /// `in-review`, `applied`, `rejected` or `withdrawn`.
    state: &'static str,
    reason: String,
    author: String,
    created_at: String,
    decided_by: Option<String>,
    decided_at: Option<String>,
    comment: Option<String>,
}

impl From<&ModelChange> for ModelChangeView {
    fn from(change: &ModelChange) -> Self {
        let (decided_by, decided_at) = change.decided.clone().unzip();
        Self {
            id: change.id.clone(),
            edition: change.edition,
            kind: change.kind.as_str(),
            digest: change.digest.to_string(),
            base: change.base.map(|digest| digest.to_string()),
            permille: change.canary.map(|(permille, _)| permille),
            by: change.canary.map(|(_, by)| by.as_str()),
            state: change.state.as_str(),
            reason: change.reason.clone(),
            author: change.author.to_string(),
            created_at: change.created_at.to_string(),
            decided_by: decided_by.map(|by| by.to_string()),
            decided_at: decided_at.map(|at| at.to_string()),
            comment: change.comment.clone(),
        }
    }
}

/// That a version was in production from some moment on.
#[derive(Serialize, ToSchema)]
pub(crate) struct AssignmentView {
    number: i64,
    digest: String,
    at: String,
    by: String,
    /// `register`, `assign`, `promote`, `roll-back` or `withdraw`.
    kind: String,
    change: Option<String>,
}

impl From<Assignment> for AssignmentView {
    fn from(past: Assignment) -> Self {
        Self {
            number: past.number,
            digest: past.digest.to_string(),
            at: past.at.to_string(),
            by: past.by,
            kind: past.kind,
            change: past.change,
        }
    }
}

/// That a region's pods shall serve a version, or shall not any more.
#[derive(Serialize, ToSchema)]
pub(crate) struct PlacementView {
    digest: String,
    region: String,
    /// False while the pods unload it.
    wanted: bool,
    at: String,
    by: String,
}

impl From<Placement> for PlacementView {
    fn from(placement: Placement) -> Self {
        Self {
            digest: placement.digest.to_string(),
            region: placement.region.to_string(),
            wanted: placement.wanted,
            at: placement.changed_at.to_string(),
            by: placement.changed_by,
        }
    }
}

/// How far a pod has come with a version.
#[derive(Serialize, ToSchema)]
pub(crate) struct PodModelView {
    pod: String,
    region: String,
    digest: String,
    /// `loading`, `ready`, `failed` or `leaving`.
    state: &'static str,
    failure: Option<String>,
    /// RFC 3339; null if the pod has served it from its start.
    at: Option<String>,
}

/// One model in full.
#[utoipa::path(
    get, path = "/api/v1/models/{name}", tag = "models", operation_id = "getModel",
    params(("name" = String, Path, description = "The model")),
    responses(
        (status = 200, description = "The model", body = ModelDetail),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn read(
    control: web::Data<Control>,
    _: SignedIn<ModelReader>,
    name: web::Path<String>,
) -> Result<HttpResponse, Refused> {
    let name = named(&name)?;
    let production = Alias::new(Alias::PRODUCTION).map_err(|why| Refused::internal(&why))?;
    let ((model, rows), changes, history, placements, progress, pods) = control
        .read(move |c| {
            Ok((
                known(c, &name)?,
                model_change::of_model(c, &name, LISTED)?,
                catalog::history(c, &name, &production)?,
                placement::list(c)?,
                placement::progress(c)?,
                pod::list(c)?,
            ))
        })
        .await?;
    let digests: Vec<_> = rows.iter().map(|row| row.version.facts.digest).collect();
    let mut progress: BTreeMap<_, PodModel> =
        progress.into_iter().map(|it| ((it.pod.clone(), it.digest), it)).collect();
    let mut of_pods = Vec::new();
    for pod in &pods {
        for digest in &digests {
            let row = progress.remove(&(pod.id.clone(), *digest));
            let serves = pod.models.contains(digest);
            let (state, failure, at) = match row {
                Some(row) => (row.state.as_str(), row.failure, Some(row.at.to_string())),
                None if serves => ("ready", None, None),
                None => continue,
            };
            of_pods.push(PodModelView {
                pod: pod.id.to_string(),
                region: pod.region.to_string(),
                digest: digest.to_string(),
                state,
                failure,
                at,
            });
        }
    }
    let detail = ModelDetail {
        name: model.name.to_string(),
        owner: model.owner.as_ref().map(ToString::to_string),
        open: model.open,
        shares: model.shares.iter().map(|(it, share)| ShareView::of(it, share.clone())).collect(),
        routes: model.routes.iter().map(|(alias, route)| RouteView::of(alias, route)).collect(),
        versions: rows
            .into_iter()
            .map(|row| VersionDetail {
                card: serde_json::from_str(&row.card).unwrap_or_default(),
                version: ModelView::of(row, Some(&model)),
            })
            .collect(),
        changes: changes.iter().map(Into::into).collect(),
        history: history.into_iter().map(Into::into).collect(),
        placements: placements
            .into_iter()
            .filter(|placement| digests.contains(&placement.digest))
            .map(Into::into)
            .collect(),
        pods: of_pods,
    };
    Ok(HttpResponse::Ok().json(detail))
}
